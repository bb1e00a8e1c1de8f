//! The lock. Its algorithm is in `arena::word`; here are its words and its rules.

use super::{ended, told};
use crate::arena::layout::shared;
use crate::arena::wait;
use crate::arena::word;
use crate::arena::{object, Arena, Holder, Near, ObjectHead, ObjectKind, Owner, Token};
use crate::error::{Error, Result, Status};
use crate::sys::clock::Deadline;
use crate::sys::prim::{AtomicU32, Futex, Ordering};

/// A lock's words in the arena: with its head one cache line.
#[repr(C)]
#[derive(Debug)]
pub struct LockCell {
    head: ObjectHead,
    pub(super) word: Futex,
    pub(super) watch: AtomicU32,
    pub(super) spin: AtomicU32,
}

shared!(LockCell);
object!(LockCell, head, ObjectKind::Lock);

impl Near<LockCell> {
    /// Takes the lock if it is free and there is nothing to tell: one exchange, no system call.
    #[inline(always)]
    pub fn acquire_free(&self) -> bool {
        let me = self.me();
        me != 0 && word::try_acquire(&self.body().word, me)
    }

    /// Releases the lock if it is this process's and nobody waits: one exchange, no system call.
    #[inline(always)]
    pub fn release_unwaited(&self) -> bool {
        let me = self.me();
        me != 0 && word::release_unwaited(&self.body().word, me)
    }
}

/// A lock that processes share. It belongs to the process that acquired it; any process or thread may release it.
#[derive(Debug)]
pub struct Lock {
    pub(super) cell: Holder<LockCell>,
}

impl Lock {
    /// A free lock.
    pub fn new() -> Result<Lock> {
        Lock::new_in(Arena::get()?)
    }

    /// A free lock in this arena.
    pub fn new_in(arena: &'static Arena) -> Result<Lock> {
        Ok(Lock { cell: Holder::new(arena, |_| {})? })
    }

    /// The lock of this name in an arena, made if there is none.
    pub fn named(arena: &'static Arena, name: &[u8]) -> Result<Lock> {
        let make = || Lock::new_in(arena).map(|lock| lock.cell);
        Ok(Lock { cell: arena.named(name, |_| true, Some(make))? })
    }

    /// The shortest way to its words.
    #[inline]
    pub fn near(&self) -> Near<LockCell> {
        self.cell.near()
    }

    /// Waits until the lock is this process's. `OwnerDead`: it is, but its last owner died holding it.
    #[inline]
    pub fn acquire(&self, deadline: Deadline) -> Result<Status> {
        if self.near().acquire_free() {
            return Ok(Status::Ok);
        }
        self.acquire_slowly(deadline)
    }

    /// The same for who has tried.
    #[cold]
    pub fn acquire_slowly(&self, deadline: Deadline) -> Result<Status> {
        let (arena, cell) = (self.cell.live()?, self.cell.body());
        wait::acquire_slowly(arena, &cell.word, &cell.watch, &cell.spin, deadline)
            .map(|acquired| told(arena, acquired))
            .map_err(|end| ended(end, "the lock is held by another owner"))
    }

    /// Releases the lock, whoever holds it.
    #[inline]
    pub fn release(&self) -> Result<()> {
        if self.near().release_unwaited() || wait::release(self.cell.live()?, &self.cell.word) {
            return Ok(());
        }
        Err(Error::new(Status::Overflow, "the lock is free: it was released more often than acquired"))
    }

    /// The pid of the process that holds the lock; 0 if it is free, or its owner is dead.
    pub fn owner(&self) -> Result<i32> {
        let owner = Owner::of_word(word::owner(self.cell.word.load(Ordering::Relaxed)));
        Ok(self.cell.live()?.pid_of(owner).unwrap_or(0))
    }

    /// The lock's token.
    pub fn token(&self) -> Token {
        self.cell.token()
    }

    /// The lock that a token names.
    pub fn from_token(token: &Token) -> Result<Lock> {
        Ok(Lock { cell: Holder::from_token(token)? })
    }
}
