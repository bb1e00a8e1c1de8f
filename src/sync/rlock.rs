//! The recursive lock. Its words and their algorithm are in `recursive.rs`; here are its rules.

use super::recursive::{Entered, RecursiveWords, Who};
use super::{ended, told};
use crate::arena::layout::shared;
use crate::arena::wait;
use crate::arena::word;
use crate::arena::{object, Arena, Holder, Near, ObjectHead, ObjectKind, Token};
use crate::error::{Error, Result, Status};
use crate::sys::clock::Deadline;
use crate::sys::prim::Ordering;

impl RecursiveWords {
    /// Enters the lock, waiting until `deadline` at the longest. The arena is one of which this process is a part.
    #[inline]
    pub fn acquire(&self, arena: &Arena, who: Who, deadline: Deadline) -> Result<Status> {
        match self.enter(arena.me().bits(), who) {
            Entered::Yes => Ok(Status::Ok),
            Entered::No => self.acquire_slowly(arena, who, deadline),
            Entered::Full => Err(Error::new(
                Status::Overflow,
                "the owner has acquired the recursive lock as often as can be counted, 4294967296 times",
            )),
        }
    }

    #[cold]
    fn acquire_slowly(&self, arena: &Arena, who: Who, deadline: Deadline) -> Result<Status> {
        match wait::acquire(arena, &self.word, &self.watch, &self.spin, deadline) {
            Ok(acquired) => {
                self.own(arena.me().bits(), who);
                Ok(told(arena, acquired))
            }
            Err(end) => Err(ended(end, "the lock is held by another owner")),
        }
    }

    /// Leaves the lock once.
    #[inline]
    pub fn release(&self, arena: &Arena, who: Who) -> Result<()> {
        match self.exit(arena.me().bits(), who) {
            Some(true) => {
                wait::release(arena, &self.word);
                Ok(())
            }
            Some(false) => Ok(()),
            None => Err(self.not_owner()),
        }
    }

    #[cold]
    fn not_owner(&self) -> Error {
        let free = word::owner(self.word.load(Ordering::Relaxed)) == 0;
        Error::new(
            Status::NotOwner,
            if free { "the recursive lock is free" } else { "the recursive lock is held by another owner" },
        )
    }
}

/// A recursive lock's words in the arena: what every turn touches shares a cache line with its head.
#[repr(C)]
#[derive(Debug)]
pub struct RLockCell {
    head: ObjectHead,
    pub(super) words: RecursiveWords,
}

shared!(RLockCell);
object!(RLockCell, head, ObjectKind::RLock);

impl Near<RLockCell> {
    /// Enters the lock if that needs no waiting and there is nothing to tell: no system call.
    #[inline(always)]
    pub fn acquire_free(&self, who: Who) -> bool {
        let me = self.me();
        me != 0 && self.body().words.enter(me, who) == Entered::Yes
    }

    /// Releases the lock once if it is the caller's and nobody waits: no system call.
    #[inline(always)]
    pub fn release_unwaited(&self, who: Who) -> bool {
        let me = self.me();
        me != 0 && self.body().words.exit_unwaited(me, who)
    }
}

/// A lock that its owner, a thread or whoever the caller names, may acquire again while it has it.
#[derive(Debug)]
pub struct RLock {
    pub(super) cell: Holder<RLockCell>,
}

impl RLock {
    /// A free lock.
    pub fn new() -> Result<RLock> {
        RLock::new_in(Arena::get()?)
    }

    /// A free lock in this arena.
    pub fn new_in(arena: &'static Arena) -> Result<RLock> {
        Ok(RLock { cell: Holder::new(arena, |_| {})? })
    }

    /// The lock of this name in an arena, made if there is none.
    pub fn named(arena: &'static Arena, name: &[u8]) -> Result<RLock> {
        let make = || RLock::new_in(arena).map(|lock| lock.cell);
        Ok(RLock { cell: arena.named(name, |_| true, Some(make))? })
    }

    /// The shortest way to its words.
    #[inline]
    pub fn near(&self) -> Near<RLockCell> {
        self.cell.near()
    }

    /// Waits until the lock is `who`'s, once or once more. `OwnerDead`: it is, but its last owner died holding it.
    #[inline]
    pub fn acquire(&self, who: Who, deadline: Deadline) -> Result<Status> {
        self.cell.words.acquire(self.cell.live()?, who, deadline)
    }

    /// Releases the lock once, for `who` has it.
    #[inline]
    pub fn release(&self, who: Who) -> Result<()> {
        self.cell.words.release(self.cell.live()?, who)
    }

    /// The lock's token.
    pub fn token(&self) -> Token {
        self.cell.token()
    }

    /// The lock that a token names.
    pub fn from_token(token: &Token) -> Result<RLock> {
        Ok(RLock { cell: Holder::from_token(token)? })
    }
}
