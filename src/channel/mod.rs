//! Channels: queues through which processes hand messages to each other.

mod account;
mod get;
mod many;
#[cfg(test)]
mod model;
mod options;
mod port;
mod put;
mod queue;
mod quick;
mod reserve;
mod ring;
mod room;
mod settle;
mod store;
mod watch;
mod words;

pub use self::{
    options::{Overflow, QueueKind, QueueOptions},
    queue::Queue,
    reserve::Reservation,
};
pub(crate) use self::{
    queue::{destroy, stir},
    settle::{settle_put, settle_ring, settle_take},
};
