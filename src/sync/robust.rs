//! The robust semaphore: a permit belongs to the process that took it, and comes back when that process dies.
//!
//! `arena::permit` has the exchanges and what a kill between any two stores leaves, `returning.rs` the waiting; here
//! are the words and the rules. Killed after its exchange and before the wake-ups, a releaser is mended by its settler,
//! who stirs what it held.

use super::returning::{self, Permits};
use super::{ended, permits};
use crate::arena::bridge::{Descriptor, Watched};
use crate::arena::doorbell::Watchers;
use crate::arena::layout::shared;
use crate::arena::multi::Waitable;
use crate::arena::permit::{self, Holders};
use crate::arena::wait::{self, Waiter};
use crate::arena::{
    event, object, Arena, BlockRef, Entry, Holder, Near, ObjectHead, ObjectKind, Owner, Token,
};
use crate::error::Result;
use crate::fault;
use crate::sys::clock::Deadline;
use crate::sys::prim::{AtomicU32, AtomicU64, Futex, Ordering};
use std::os::fd::RawFd;

/// A robust semaphore's words in the arena.
#[repr(C)]
#[derive(Debug)]
struct RobustCell {
    head: ObjectHead,
    /// How many permits there are, and who changed that last.
    count: AtomicU64,
    event: Futex,
    watch: AtomicU32,
    spin: AtomicU32,
    max: AtomicU32,
    watchers: Watchers<3>,
    /// How many permits it began with.
    initial: AtomicU32,
}

shared!(RobustCell);
object!(RobustCell, head, ObjectKind::RobustSemaphore);

/// How often a bridge looks after those who have permits, in nanoseconds, and how often if another does.
const PATROL: i64 = 50_000_000;
const RELIEF: i64 = 1_000_000_000;

impl Watched for Count<'static> {
    fn enter(&self, arena: &Arena) {
        self.cell.watchers.enter(arena);
    }

    fn is_ready(&self) -> bool {
        self.cell.has_some()
    }

    fn look_after(&self, arena: &Arena) -> Option<i64> {
        if self.cell.has_some() {
            return None;
        }
        let watchman = Owner::of_word(self.cell.watch.load(Ordering::Relaxed));
        if watchman != arena.me() && !arena.investigate(watchman) {
            return Some(RELIEF);
        }
        self.holders().look(arena);
        Some(PATROL)
    }

    fn glance(&self, arena: &Arena) -> bool {
        self.holders().glance(arena)
    }
}

impl RobustCell {
    fn has_some(&self) -> bool {
        permit::count(&self.count) > 0
    }

    /// There are `n` permits more; before, there were none, as far as the caller knows.
    fn announce(&self, arena: &Arena, n: u32, were_none: bool) {
        wait::notify(arena, &self.event, n);
        if were_none {
            self.watchers.ring_after_exchange(arena);
        }
    }
}

/// A semaphore whose permits belong to processes.
#[derive(Debug)]
pub(super) struct Robust {
    descriptor: Descriptor,
    /// `None` only while it is dropped.
    cell: Option<Holder<RobustCell>>,
}

/// The permits of one semaphore as this process takes them.
struct Count<'a> {
    arena: &'a Arena,
    object: BlockRef,
    cell: &'a RobustCell,
}

impl Permits for Count<'_> {
    type Taken = Result<()>;

    fn take(&self) -> Option<Result<()>> {
        match self.arena.take_permit(self.object, &self.cell.count).transpose()? {
            Ok(left) => {
                if left == 0 {
                    self.cell.watchers.ring_after_exchange(self.arena);
                }
                Some(Ok(()))
            }
            Err(error) => Some(Err(error)),
        }
    }

    fn is_available(&self) -> bool {
        self.cell.has_some()
    }
}

impl Robust {
    /// With `value` permits, and never more than `max`.
    pub(super) fn new_in(arena: &'static Arena, value: u32, max: u32) -> Result<Robust> {
        Ok(Robust::of(new_cell(arena, value, max)?))
    }

    /// The one of this name in an arena, made if there is none.
    pub(super) fn named(arena: &'static Arena, name: &[u8], value: u32, max: u32) -> Result<Robust> {
        let same = |cell: &RobustCell| {
            cell.initial.load(Ordering::Relaxed) == value && cell.max.load(Ordering::Relaxed) == max
        };
        Ok(Robust::of(arena.named(name, same, Some(|| new_cell(arena, value, max)))?))
    }

    fn of(cell: Holder<RobustCell>) -> Robust {
        cell.arena().join_permits(cell.reference());
        Robust { descriptor: Descriptor::default(), cell: Some(cell) }
    }

    fn cell(&self) -> &Holder<RobustCell> {
        self.cell.as_ref().expect("a robust semaphore that is dropped")
    }

    /// No short way: its calls are longer.
    pub(super) fn barred(&self) -> Near<()> {
        self.cell().barred().erased()
    }

    pub(super) fn acquire(&self, deadline: Deadline) -> Result<()> {
        let count = self.count()?;
        count.take().unwrap_or_else(|| count.acquire_slowly(deadline))
    }

    fn count(&self) -> Result<Count<'static>> {
        let cell = self.cell();
        Ok(Count { arena: cell.live()?, object: cell.reference(), cell: cell.body() })
    }

    pub(super) fn release(&self, n: u32) -> Result<()> {
        let arena = self.cell().live()?;
        if n == 0 {
            // Nor may the waiters be taken for woken.
            return Ok(());
        }
        let cell = self.cell().body();
        let max = cell.max.load(Ordering::Relaxed);
        let were_none = arena.give_permits(self.cell().reference(), &cell.count, n, max)?;
        fault!("permit.release:given");
        cell.announce(arena, n, were_none);
        Ok(())
    }

    pub(super) fn value(&self) -> Result<u32> {
        self.cell().live()?;
        Ok(permit::count(&self.cell().count))
    }

    pub(super) fn descriptor(&self) -> Result<RawFd> {
        let count = self.count()?;
        self.descriptor.get(count.arena, || Box::new(count))
    }

    pub(super) fn waitable(&self) -> Result<Waitable> {
        let count = self.count()?;
        Ok(Waitable::object(count.arena, count))
    }

    pub(super) fn token(&self) -> Token {
        self.cell().token()
    }

    pub(super) fn from_token(token: &Token) -> Result<Robust> {
        Ok(Robust::of(Holder::from_token(token)?))
    }
}

fn new_cell(arena: &'static Arena, value: u32, max: u32) -> Result<Holder<RobustCell>> {
    Holder::new(arena, |cell: &RobustCell| {
        cell.max.store(max, Ordering::Relaxed);
        cell.initial.store(value, Ordering::Relaxed);
        permit::begin(&cell.count, value);
    })
}

impl Drop for Robust {
    fn drop(&mut self) {
        // First, for it tells of the cell, which may be another object's afterwards.
        drop(std::mem::take(&mut self.descriptor));
        let Some(cell) = self.cell.take() else { return };
        let stays = !cell.arena().lost() && !cell.arena().leave_permits(cell.reference(), cell.entry());
        if stays {
            // With the permits that this process still has.
            std::mem::forget(cell);
        }
    }
}

impl<'a> Count<'a> {
    fn holders(&self) -> Holders<'a> {
        Holders { object: self.object, count: &self.cell.count }
    }

    #[cold]
    fn acquire_slowly(&self, deadline: Deadline) -> Result<()> {
        let waiter = Waiter::new(self.arena, deadline).spinning(&self.cell.spin);
        let mut waiter = waiter.watching_holders(&self.cell.watch, self.holders());
        let acquired = match deadline {
            // A try looks, now and then, whether a dead process has what is asked for.
            Deadline::Now if self.holders().glance(self.arena) => self.take().ok_or(waiter.try_ended()),
            Deadline::Now => Err(waiter.try_ended()),
            _ => returning::acquire(self, &self.cell.event, &mut waiter),
        };
        acquired.unwrap_or_else(|end| Err(ended(end, super::semaphore::NO_PERMIT)))
    }
}

/// A dead process had a permit.
pub(crate) fn settle_permit(arena: &Arena, entry: &Entry) {
    let (object, _, _) = entry.words();
    let object = BlockRef::from_bits(object);
    if !arena.is_held(object) || arena.object_kind(object) != Some(ObjectKind::RobustSemaphore) {
        entry.become_kind(crate::arena::held::kind::FREE);
        return;
    }
    let cell: &RobustCell = arena.cell_at(object);
    arena.return_permit(&cell.count, entry);
    fault!("permit.settle:returned");
    cell.announce(arena, 1, true);
}

/// Who held the semaphore at `offset` has died, perhaps after a release and before anybody heard of it.
pub(crate) fn stir(arena: &Arena, offset: u64) {
    let cell = arena.at::<RobustCell>(offset);
    event::rouse(&cell.event);
    cell.watchers.rouse(arena);
}

// What a robust semaphore shares with the other: its bounds, and that handles of both kinds are read as the other's.
const _: () = assert!((permits::MAX as u64) < 1 << (64 - permit::COUNT_SHIFT));
const _: () = assert!(size_of::<RobustCell>() >= size_of::<super::semaphore::SemaphoreCell>());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_of_none_leaves_the_sleepers_announced() {
        let semaphore = Robust::new_in(Arena::get().unwrap(), 1, 1).unwrap();
        let event = &semaphore.cell().event;
        semaphore.acquire(Deadline::Now).unwrap();
        let announced = event.fetch_or(1, Ordering::Relaxed) | 1;
        assert!(event::has_waiters(event));
        semaphore.release(0).unwrap();
        assert_eq!(event.load(Ordering::Relaxed), announced);
        semaphore.release(1).unwrap();
        assert!(!event::has_waiters(event));
    }
}
