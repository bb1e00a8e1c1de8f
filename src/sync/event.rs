//! The event. Its algorithm is in `flag.rs`; here are its words and its rules.

use super::{ended, flag};
use crate::arena::bridge::{Descriptor, Watched};
use crate::arena::doorbell::Watchers;
use crate::arena::layout::shared;
use crate::arena::multi::Waitable;
use crate::arena::wait::Waiter;
use crate::arena::{object, Arena, Holder, ObjectHead, ObjectKind, Token};
use crate::error::Result;
use crate::sys::clock::Deadline;
use crate::sys::prim::{AtomicU32, Futex, Ordering};
use std::os::fd::RawFd;

/// An event's words in the arena: with its head one cache line.
#[repr(C)]
#[derive(Debug)]
struct EventCell {
    head: ObjectHead,
    word: Futex,
    spin: AtomicU32,
    watchers: Watchers<3>,
}

shared!(EventCell);
object!(EventCell, head, ObjectKind::Event);

const _: () = assert!(size_of::<EventCell>() <= 64);

impl Watched for EventCell {
    fn enter(&self, arena: &Arena) {
        self.watchers.enter(arena);
    }

    fn is_ready(&self) -> bool {
        flag::is_set(self.word.load(Ordering::SeqCst))
    }
}

/// An event that processes share: set or not.
#[derive(Debug)]
pub struct Event {
    // Before the cell, of which it tells.
    descriptor: Descriptor,
    cell: Holder<EventCell>,
}

impl Event {
    /// An event that is not set.
    pub fn new() -> Result<Event> {
        Event::new_in(Arena::get()?)
    }

    /// An event in this arena.
    pub fn new_in(arena: &'static Arena) -> Result<Event> {
        Ok(Event::of(Holder::new(arena, |_| {})?))
    }

    /// The event of this name in an arena, made if there is none.
    pub fn named(arena: &'static Arena, name: &[u8]) -> Result<Event> {
        Ok(Event::of(arena.named(name, |_| true, Some(|| Holder::new(arena, |_| {})))?))
    }

    fn of(cell: Holder<EventCell>) -> Event {
        Event { descriptor: Descriptor::default(), cell }
    }

    /// Sets it and wakes all who wait for it. Async-signal-safe, also where it fails: it takes no lock, allocates
    /// nothing and keeps errno.
    #[inline]
    pub fn set(&self) -> Result<()> {
        let arena = self.cell.live()?;
        if flag::set(&self.cell.word) {
            self.cell.watchers.ring_after_exchange(arena);
        }
        Ok(())
    }

    /// Makes it not set.
    #[inline]
    pub fn clear(&self) -> Result<()> {
        let arena = self.cell.live()?;
        if flag::clear(&self.cell.word) {
            self.cell.watchers.ring_after_exchange(arena);
        }
        Ok(())
    }

    /// Whether it is set at this moment.
    #[inline]
    pub fn is_set(&self) -> Result<bool> {
        self.cell.live()?;
        Ok(flag::is_set(self.cell.word.load(Ordering::Acquire)))
    }

    /// Waits until it is set, or was set for a moment since the call began.
    #[inline]
    pub fn wait(&self, deadline: Deadline) -> Result<()> {
        if self.is_set()? {
            return Ok(());
        }
        self.wait_slowly(deadline)
    }

    #[cold]
    fn wait_slowly(&self, deadline: Deadline) -> Result<()> {
        let mut waiter = Waiter::new(self.cell.live()?, deadline).spinning(&self.cell.body().spin);
        let waited = match deadline {
            Deadline::Now => Err(waiter.try_ended()),
            _ => flag::wait(&self.cell.word, &mut waiter),
        };
        waited.map_err(|end| ended(end, "the event is not set"))
    }

    /// A descriptor of this process that is readable while the event is set. It lives as long as this.
    pub fn descriptor(&self) -> Result<RawFd> {
        self.descriptor.get(self.cell.live()?, || Box::new(self.cell.body()))
    }

    /// To be waited for among others: that it is set.
    pub fn waitable(&self) -> Result<Waitable> {
        Ok(Waitable::object(self.cell.live()?, self.cell.body()))
    }

    /// The event's token.
    pub fn token(&self) -> Token {
        self.cell.token()
    }

    /// The event that a token names.
    pub fn from_token(token: &Token) -> Result<Event> {
        Ok(Event::of(Holder::from_token(token)?))
    }
}

/// Who held the event at `offset` has died, perhaps after it had set or cleared it and before anybody heard of it.
pub(crate) fn stir(arena: &Arena, offset: u64) {
    let cell = arena.at::<EventCell>(offset);
    cell.word.wake(u32::MAX);
    cell.watchers.rouse(arena);
}
