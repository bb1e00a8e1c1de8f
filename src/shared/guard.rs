//! The lock that goes with a value or an array. Its words are a recursive lock's, of which a plain one uses the
//! first three.

use crate::arena::word;
use crate::arena::{wait, Arena};
use crate::error::{Error, Result, Status};
use crate::sync::recursive::{Entered, RecursiveWords, Who};
use crate::sync::{ended, told};
use crate::sys::clock::Deadline;

/// Which lock. The numbers stand in the arena and never change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum LockKind {
    /// As `RLock`: its owner, a thread or whom the caller names, may acquire it again.
    #[default]
    Recursive = 0,
    /// As `Lock`: its owner is a process.
    Plain = 1,
    /// None.
    None = 2,
}

impl LockKind {
    /// The kind with this number.
    pub fn from_number(number: u32) -> Option<LockKind> {
        match number {
            0 => Some(LockKind::Recursive),
            1 => Some(LockKind::Plain),
            2 => Some(LockKind::None),
            _ => None,
        }
    }

    /// From what stands in the arena.
    pub(super) fn stored(number: u32) -> Result<LockKind> {
        LockKind::from_number(number).ok_or_else(|| Error::internal("a shared object's lock is of no kind"))
    }

    /// Takes the lock if that needs no waiting and there is nothing to tell: no system call.
    #[inline]
    pub(super) fn acquire_free(self, words: &RecursiveWords, arena: &Arena, who: Who) -> bool {
        let me = arena.me().bits();
        me != 0
            && match self {
                LockKind::Recursive => words.enter(me, who) == Entered::Yes,
                LockKind::Plain => word::try_acquire(&words.word, me),
                LockKind::None => false,
            }
    }

    /// Waits until the lock is the caller's. `OwnerDead`: it is, but its last owner died holding it.
    pub(super) fn acquire(
        self,
        words: &RecursiveWords,
        arena: &Arena,
        who: Who,
        deadline: Deadline,
    ) -> Result<Status> {
        match self {
            LockKind::Recursive => words.acquire(arena, who, deadline),
            LockKind::Plain => wait::acquire(arena, &words.word, &words.watch, &words.spin, deadline)
                .map(|acquired| told(arena, acquired))
                .map_err(|end| ended(end, "the lock is held by another owner")),
            LockKind::None => Err(without_lock()),
        }
    }

    /// Releases the lock, a plain one whoever holds it.
    #[inline]
    pub(super) fn release(self, words: &RecursiveWords, arena: &Arena, who: Who) -> Result<()> {
        match self {
            LockKind::Recursive => words.release(arena, who),
            LockKind::Plain if wait::release(arena, &words.word) => Ok(()),
            LockKind::Plain => Err(Error::new(
                Status::Overflow,
                "the lock is free: it was released more often than acquired",
            )),
            LockKind::None => Err(without_lock()),
        }
    }
}

#[cold]
fn without_lock() -> Error {
    Error::new(Status::Unsupported, "it was made without a lock (MP_LOCK_NONE)")
}
