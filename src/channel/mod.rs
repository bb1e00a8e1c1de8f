//! Channels: queues through which processes hand messages to each other.

mod cell;
mod get;
#[cfg(test)]
mod model;
mod put;
mod queue;
mod ring;
mod settle;
mod watch;

pub use self::queue::{Overflow, Queue, QueueKind, QueueOptions};
pub(crate) use self::settle::{destroy, settle_put, settle_ring, settle_take, stir};
