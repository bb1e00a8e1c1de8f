//! Channels: queues and pipes through which processes hand messages to each other.

mod account;
mod connection;
mod gate;
mod get;
mod many;
#[cfg(test)]
mod model;
mod options;
pub(crate) mod pipe;
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
    connection::Connection,
    options::{Overflow, QueueKind, QueueOptions},
    queue::Queue,
    reserve::Reservation,
};
pub(crate) use self::{
    queue::{destroy, stir},
    settle::{settle_put, settle_ring, settle_take},
};
