//! Synchronisation: locks, semaphores, conditions, events and barriers that know their owners.

#[cfg(not(loom))]
pub(crate) mod barrier;
#[cfg(not(loom))]
pub mod cancel;
#[cfg(not(loom))]
pub(crate) mod condition;
#[cfg(not(loom))]
pub(crate) mod event;
#[cfg(all(test, not(loom)))]
mod event_model;
pub mod flag;
#[cfg(not(loom))]
mod lock;
#[cfg(all(test, not(loom)))]
mod lock_model;
pub mod permits;
pub mod recursive;
pub mod returning;
#[cfg(not(loom))]
mod rlock;
#[cfg(not(loom))]
pub(crate) mod robust;
pub mod rounds;
#[cfg(not(loom))]
pub(crate) mod semaphore;
pub mod waiters;

#[cfg(not(loom))]
pub use self::{
    barrier::Barrier,
    cancel::Cancel,
    condition::Condition,
    event::Event,
    lock::{Lock, LockCell},
    recursive::Who,
    rlock::{RLock, RLockCell},
    semaphore::{Semaphore, SemaphoreCell},
};

#[cfg(not(loom))]
use crate::arena::word::{Acquired, Ended};
#[cfg(not(loom))]
use crate::arena::Arena;
#[cfg(not(loom))]
use crate::error::{Error, Status};

/// What an acquirer is told. After a death, what else the dead one held is given back, and who slept on its behalf
/// is woken.
#[cfg(not(loom))]
pub fn told(arena: &Arena, acquired: Acquired) -> Status {
    match acquired {
        Acquired::Clean => Status::Ok,
        Acquired::OwnerDead => {
            arena.settle_pending();
            Status::OwnerDead
        }
    }
}

/// The error of a wait that ended without success.
#[cfg(not(loom))]
pub fn ended(ended: Ended, what: &'static str) -> Error {
    match ended {
        Ended::TimedOut => Error::new(Status::Timeout, what),
        Ended::Cancelled => Error::new(Status::Cancelled, "the wait was cancelled"),
    }
}
