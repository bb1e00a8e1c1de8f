//! Channels: queues and pipes through which processes hand messages to each other.

#[cfg(not(loom))]
mod account;
#[cfg(not(loom))]
mod connection;
pub mod ends;
#[cfg(not(loom))]
mod gate;
#[cfg(not(loom))]
mod get;
#[cfg(not(loom))]
mod many;
pub mod memory;
#[cfg(all(test, not(loom)))]
mod model;
#[cfg(not(loom))]
mod options;
#[cfg(not(loom))]
pub(crate) mod pipe;
#[cfg(not(loom))]
mod port;
#[cfg(not(loom))]
mod put;
#[cfg(not(loom))]
mod queue;
#[cfg(not(loom))]
mod quick;
#[cfg(not(loom))]
mod reserve;
pub mod ring;
#[cfg(not(loom))]
mod room;
#[cfg(not(loom))]
mod settle;
#[cfg(not(loom))]
mod store;
#[cfg(not(loom))]
mod turn;
#[cfg(not(loom))]
mod watch;
pub mod words;

#[cfg(not(loom))]
pub use self::{
    connection::Connection,
    options::{Overflow, QueueKind, QueueOptions},
    queue::Queue,
    reserve::Reservation,
};
#[cfg(not(loom))]
pub(crate) use self::{
    queue::{destroy, stir},
    settle::{settle_put, settle_ring, settle_take},
};
