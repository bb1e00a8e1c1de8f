//! The semaphore. Its algorithm is in `permits.rs`; here are its words and its rules.

use super::{ended, permits};
use crate::arena::layout::shared;
use crate::arena::wait::Waiter;
use crate::arena::{object, Arena, Holder, Near, ObjectHead, ObjectKind, Token};
use crate::error::{Error, Result, Status};
use crate::sys::clock::Deadline;
use crate::sys::prim::{AtomicU32, Futex, Ordering};

/// A semaphore's words in the arena: with its head one cache line.
#[repr(C)]
#[derive(Debug)]
pub struct SemaphoreCell {
    head: ObjectHead,
    word: Futex,
    spin: AtomicU32,
    max: AtomicU32,
    /// How many permits it began with.
    initial: AtomicU32,
}

shared!(SemaphoreCell);
object!(SemaphoreCell, head, ObjectKind::Semaphore);

impl Near<SemaphoreCell> {
    /// Takes a permit if there is one: no system call.
    #[inline(always)]
    pub fn acquire_free(&self) -> bool {
        self.me() != 0 && permits::take(&self.body().word)
    }

    /// Gives `n` permits back if nobody sleeps and there is room for them: no system call.
    #[inline(always)]
    pub fn release_unwaited(&self, n: u32) -> bool {
        let cell = self.body();
        self.me() != 0 && permits::release_unwaited(&cell.word, n, cell.max.load(Ordering::Relaxed))
    }
}

/// A semaphore that processes share. Its permits belong to nobody.
#[derive(Debug)]
pub struct Semaphore {
    cell: Holder<SemaphoreCell>,
}

impl Semaphore {
    /// A semaphore with `value` permits, and never more than `max`; 0 is no bound but the word's.
    pub fn new(value: u32, max: u32) -> Result<Semaphore> {
        Semaphore::new_in(Arena::get()?, value, max)
    }

    /// The same in this arena.
    pub fn new_in(arena: &'static Arena, value: u32, max: u32) -> Result<Semaphore> {
        let max = if max == 0 { permits::MAX } else { max };
        if max > permits::MAX || value > max {
            return Err(Error::invalid(format!(
                "a semaphore with {value} permits and at most {max}: the value may not exceed the maximum, nor that {}",
                permits::MAX
            )));
        }
        Semaphore::with(arena, value, max)
    }

    /// A semaphore with `value` permits, and never more than that.
    pub fn bounded(value: u32) -> Result<Semaphore> {
        if value > permits::MAX {
            return Err(Error::invalid(format!(
                "a semaphore with {value} permits; the most are {}",
                permits::MAX
            )));
        }
        Semaphore::with(Arena::get()?, value, value)
    }

    /// The semaphore of this name in an arena, made if there is none.
    pub fn named(arena: &'static Arena, name: &[u8], value: u32, max: u32) -> Result<Semaphore> {
        let bound = if max == 0 { permits::MAX } else { max };
        let same = |cell: &SemaphoreCell| {
            cell.initial.load(Ordering::Relaxed) == value && cell.max.load(Ordering::Relaxed) == bound
        };
        let make = || Semaphore::new_in(arena, value, max).map(|semaphore| semaphore.cell);
        Ok(Semaphore { cell: arena.named(name, same, Some(make))? })
    }

    fn with(arena: &'static Arena, value: u32, max: u32) -> Result<Semaphore> {
        let cell = Holder::new(arena, |cell: &SemaphoreCell| {
            cell.max.store(max, Ordering::Relaxed);
            cell.initial.store(value, Ordering::Relaxed);
            cell.word.store(value, Ordering::Relaxed);
        })?;
        Ok(Semaphore { cell })
    }

    /// The shortest way to its words.
    #[inline]
    pub fn near(&self) -> Near<SemaphoreCell> {
        self.cell.near()
    }

    /// Waits until it has taken a permit.
    #[inline]
    pub fn acquire(&self, deadline: Deadline) -> Result<()> {
        if self.near().acquire_free() {
            return Ok(());
        }
        self.acquire_slowly(deadline)
    }

    /// The same for who has tried.
    #[cold]
    pub fn acquire_slowly(&self, deadline: Deadline) -> Result<()> {
        let mut waiter = Waiter::new(self.cell.live()?, deadline).spinning(&self.cell.body().spin);
        let acquired = match deadline {
            Deadline::Now if permits::take(&self.cell.word) => Ok(()),
            Deadline::Now => Err(waiter.try_ended()),
            _ => permits::acquire(&self.cell.word, &mut waiter),
        };
        acquired.map_err(|end| ended(end, "the semaphore has no permit"))
    }

    /// Gives back `n` permits.
    pub fn release(&self, n: u32) -> Result<()> {
        let arena = self.cell.live()?;
        let waited_for = permits::waited_for(self.cell.word.load(Ordering::Relaxed));
        // The record says that wake-ups are due, in case this process dies before it has given them.
        let record = waited_for.then(|| arena.park(&self.cell.word, false, 0)).flatten();
        let max = self.cell.max.load(Ordering::Relaxed);
        let released = permits::release(&self.cell.word, n, max);
        if let Some(record) = record {
            arena.unpark(record);
        }
        if released {
            Ok(())
        } else {
            Err(Error::new(Status::Overflow, format!("{n} more permits would exceed the semaphore's {max}")))
        }
    }

    /// How many permits there are at this moment.
    pub fn value(&self) -> Result<u32> {
        self.cell.live()?;
        Ok(permits::count(self.cell.word.load(Ordering::Relaxed)))
    }

    /// The semaphore's token.
    pub fn token(&self) -> Token {
        self.cell.token()
    }

    /// The semaphore that a token names.
    pub fn from_token(token: &Token) -> Result<Semaphore> {
        Ok(Semaphore { cell: Holder::from_token(token)? })
    }
}
