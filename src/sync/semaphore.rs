//! The semaphore. The algorithm of the plain one is in `permits.rs`; here are its words and its rules. The robust one,
//! whose permits belong to processes, is in `robust.rs`.

use super::robust::Robust;
use super::{ended, permits};
use crate::arena::bridge::{Descriptor, Watched};
use crate::arena::doorbell::Watchers;
use crate::arena::layout::shared;
use crate::arena::multi::Waitable;
use crate::arena::wait::Waiter;
use crate::arena::{object, Arena, Holder, Near, ObjectHead, ObjectKind, Token};
use crate::error::{Error, Result, Status};
use crate::sys::clock::Deadline;
use crate::sys::prim::{fence_after_exchange, AtomicU32, Futex, Ordering};
use std::os::fd::RawFd;

pub(super) const NO_PERMIT: &str = "the semaphore has no permit";

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
    watchers: Watchers<2>,
}

shared!(SemaphoreCell);
object!(SemaphoreCell, head, ObjectKind::Semaphore);

const _: () = assert!(size_of::<SemaphoreCell>() <= 64);

impl Watched for SemaphoreCell {
    fn enter(&self, arena: &Arena) {
        self.watchers.enter(arena);
    }

    fn is_ready(&self) -> bool {
        permits::count(self.word.load(Ordering::SeqCst)) > 0
    }
}

impl SemaphoreCell {
    /// By the exchange just made there came to be permits, or no more: for those who watch.
    #[inline(always)]
    fn tell(&self) {
        fence_after_exchange();
        if self.watchers.is_watched() {
            self.tell_watchers();
        }
    }

    #[cold]
    fn tell_watchers(&self) {
        if let Some(arena) = Arena::around_part(self) {
            self.watchers.ring(arena);
        }
    }
}

impl Near<SemaphoreCell> {
    /// Takes a permit if there is one: no system call, unless somebody watches.
    #[inline(always)]
    pub fn acquire_free(&self) -> bool {
        let left = if self.me() != 0 { permits::take(&self.body().word) } else { None };
        if left == Some(0) {
            self.body().tell();
        }
        left.is_some()
    }

    /// Gives `n` permits back if nobody sleeps and there is room for them: no system call, unless somebody watches.
    #[inline(always)]
    pub fn release_unwaited(&self, n: u32) -> bool {
        if self.me() == 0 {
            return false;
        }
        let cell = self.body();
        let before = permits::release_unwaited(&cell.word, n, cell.max.load(Ordering::Relaxed));
        if before == Some(0) {
            cell.tell();
        }
        before.is_some()
    }
}

/// A semaphore that processes share.
#[derive(Debug)]
pub struct Semaphore(Kind);

#[derive(Debug)]
enum Kind {
    /// Its permits belong to nobody.
    Plain(Plain),
    /// They come back when the process dies that has them.
    Robust(Robust),
}

#[derive(Debug)]
struct Plain {
    // Before the cell, of which it tells.
    descriptor: Descriptor,
    cell: Holder<SemaphoreCell>,
}

/// The bound on the number of permits; 0 is none but the word's.
fn bound(value: u32, max: u32) -> Result<u32> {
    let max = if max == 0 { permits::MAX } else { max };
    if max > permits::MAX || value > max {
        return Err(Error::invalid(format!(
            "a semaphore with {value} permits and at most {max}: the value may not exceed the maximum, nor that {}",
            permits::MAX
        )));
    }
    Ok(max)
}

impl Semaphore {
    /// A semaphore with `value` permits, and never more than `max`; 0 is no bound but the word's.
    pub fn new(value: u32, max: u32) -> Result<Semaphore> {
        Semaphore::new_in(Arena::get()?, value, max)
    }

    /// The same in this arena.
    pub fn new_in(arena: &'static Arena, value: u32, max: u32) -> Result<Semaphore> {
        Plain::new_cell(arena, value, bound(value, max)?).map(Semaphore::of)
    }

    /// The same, but a permit belongs to the process that took it, and comes back when that process dies.
    pub fn robust(value: u32, max: u32) -> Result<Semaphore> {
        Semaphore::robust_in(Arena::get()?, value, max)
    }

    /// The same in this arena.
    pub fn robust_in(arena: &'static Arena, value: u32, max: u32) -> Result<Semaphore> {
        Ok(Semaphore(Kind::Robust(Robust::new_in(arena, value, bound(value, max)?)?)))
    }

    /// A semaphore with `value` permits, and never more than that.
    pub fn bounded(value: u32) -> Result<Semaphore> {
        if value > permits::MAX {
            return Err(Error::invalid(format!(
                "a semaphore with {value} permits; the most are {}",
                permits::MAX
            )));
        }
        Plain::new_cell(Arena::get()?, value, value).map(Semaphore::of)
    }

    /// The semaphore of this name in an arena, made if there is none.
    pub fn named(
        arena: &'static Arena,
        name: &[u8],
        value: u32,
        max: u32,
        robust: bool,
    ) -> Result<Semaphore> {
        let max = bound(value, max)?;
        if robust {
            return Ok(Semaphore(Kind::Robust(Robust::named(arena, name, value, max)?)));
        }
        let same = |cell: &SemaphoreCell| {
            cell.initial.load(Ordering::Relaxed) == value && cell.max.load(Ordering::Relaxed) == max
        };
        arena.named(name, same, Some(|| Plain::new_cell(arena, value, max))).map(Semaphore::of)
    }

    fn of(cell: Holder<SemaphoreCell>) -> Semaphore {
        Semaphore(Kind::Plain(Plain { descriptor: Descriptor::default(), cell }))
    }

    /// The shortest way to its words: those of a [`SemaphoreCell`], or barred.
    #[inline]
    pub fn near(&self) -> Near<()> {
        match &self.0 {
            Kind::Plain(plain) => plain.cell.near().erased(),
            Kind::Robust(robust) => robust.barred(),
        }
    }

    /// Waits until it has taken a permit.
    #[inline]
    pub fn acquire(&self, deadline: Deadline) -> Result<()> {
        match &self.0 {
            Kind::Plain(plain) if plain.cell.near().acquire_free() => Ok(()),
            _ => self.acquire_slowly(deadline),
        }
    }

    /// The same for who has tried the short way.
    #[cold]
    pub fn acquire_slowly(&self, deadline: Deadline) -> Result<()> {
        match &self.0 {
            Kind::Plain(plain) => plain.acquire(deadline),
            Kind::Robust(robust) => robust.acquire(deadline),
        }
    }

    /// Gives back `n` permits, which a robust semaphore's process must have.
    pub fn release(&self, n: u32) -> Result<()> {
        match &self.0 {
            Kind::Plain(plain) => plain.release(n),
            Kind::Robust(robust) => robust.release(n),
        }
    }

    /// How many permits there are at this moment.
    pub fn value(&self) -> Result<u32> {
        match &self.0 {
            Kind::Plain(plain) => {
                plain.cell.live()?;
                Ok(permits::count(plain.cell.word.load(Ordering::Relaxed)))
            }
            Kind::Robust(robust) => robust.value(),
        }
    }

    /// Whether its permits belong to processes.
    pub fn is_robust(&self) -> bool {
        matches!(self.0, Kind::Robust(_))
    }

    /// A descriptor of this process that is readable while there are permits. It lives as long as this.
    pub fn descriptor(&self) -> Result<RawFd> {
        match &self.0 {
            Kind::Plain(plain) => plain.descriptor.get(plain.cell.live()?, || Box::new(plain.cell.body())),
            Kind::Robust(robust) => robust.descriptor(),
        }
    }

    /// To be waited for among others: that there are permits.
    pub fn waitable(&self) -> Result<Waitable> {
        match &self.0 {
            Kind::Plain(plain) => Ok(Waitable::object(plain.cell.live()?, plain.cell.body())),
            Kind::Robust(robust) => robust.waitable(),
        }
    }

    /// The semaphore's token.
    pub fn token(&self) -> Token {
        match &self.0 {
            Kind::Plain(plain) => plain.cell.token(),
            Kind::Robust(robust) => robust.token(),
        }
    }

    /// The semaphore, of either kind, that a token names.
    pub fn from_token(token: &Token) -> Result<Semaphore> {
        if token.kind() == Some(ObjectKind::RobustSemaphore) {
            return Ok(Semaphore(Kind::Robust(Robust::from_token(token)?)));
        }
        Ok(Semaphore::of(Holder::from_token(token)?))
    }
}

impl Plain {
    fn new_cell(arena: &'static Arena, value: u32, max: u32) -> Result<Holder<SemaphoreCell>> {
        Holder::new(arena, |cell: &SemaphoreCell| {
            cell.max.store(max, Ordering::Relaxed);
            cell.initial.store(value, Ordering::Relaxed);
            cell.word.store(value, Ordering::Relaxed);
        })
    }

    fn acquire(&self, deadline: Deadline) -> Result<()> {
        let (arena, cell) = (self.cell.live()?, self.cell.body());
        let mut waiter = Waiter::new(arena, deadline).spinning(&cell.spin);
        let acquired = match deadline {
            Deadline::Now if permits::take(&cell.word).is_some() => Ok(()),
            Deadline::Now => Err(waiter.try_ended()),
            _ => permits::acquire(&cell.word, &mut waiter),
        };
        // It may have been the last one; who took it since has told, too.
        if acquired.is_ok() && !cell.is_ready() {
            cell.tell();
        }
        acquired.map_err(|end| ended(end, NO_PERMIT))
    }

    fn release(&self, n: u32) -> Result<()> {
        let (arena, cell) = (self.cell.live()?, self.cell.body());
        let waited_for = permits::waited_for(cell.word.load(Ordering::Relaxed));
        // The record says that wake-ups are due, in case this process dies before it has given them.
        let record = waited_for.then(|| arena.park(&cell.word, false, 0)).flatten();
        let max = cell.max.load(Ordering::Relaxed);
        let released = permits::release(&cell.word, n, max);
        if let Some(record) = record {
            arena.unpark(record);
        }
        let Some(before) = released else {
            let text = format!("{n} more permits would exceed the semaphore's {max}");
            return Err(Error::new(Status::Overflow, text));
        };
        if before == 0 {
            cell.tell();
        }
        Ok(())
    }
}

/// Who held the semaphore at `offset` has died, perhaps before its watchers heard of what it did. Its sleepers are
/// woken by its park record.
pub(crate) fn stir(arena: &Arena, offset: u64) {
    arena.at::<SemaphoreCell>(offset).watchers.rouse(arena);
}
