//! Synchronisation: locks, semaphores and conditions that know their owners.

#[cfg(not(loom))]
pub mod cancel;
#[cfg(not(loom))]
mod condition;
#[cfg(not(loom))]
mod lock;
pub mod permits;
pub mod recursive;
#[cfg(not(loom))]
mod rlock;
#[cfg(not(loom))]
mod semaphore;
pub mod waiters;

#[cfg(not(loom))]
pub(crate) use self::condition::{destroy as destroy_condition, stir as stir_condition};
#[cfg(not(loom))]
pub use self::{
    cancel::Cancel, condition::Condition, lock::Lock, recursive::Who, rlock::RLock, semaphore::Semaphore,
};

#[cfg(not(loom))]
use crate::arena::word::Ended;
#[cfg(not(loom))]
use crate::error::{Error, Status};

/// The error of a wait that ended without success.
#[cfg(not(loom))]
pub fn ended(ended: Ended, what: &'static str) -> Error {
    match ended {
        Ended::TimedOut => Error::new(Status::Timeout, what),
        Ended::Cancelled => Error::new(Status::Cancelled, "the wait was cancelled"),
    }
}
