//! What a job and its items look like in the arena.
//!
//! A **job** is one submission: one block with its items, their arguments and the function. Each item has a state
//! word, and that word alone says what is to be done:
//!
//! ```text
//! 31 30   29     0
//! 0       0          queued
//! 1       owner      in the hands of this process
//! 2       0          done: the result is in the item
//! 3       reason     failed: see `Reason`
//! ```
//!
//! One exchange claims an item, one exchange commits its outcome. Everything else is a hint that is checked: the
//! cursor says where to look for queued items, the pool's `first` which jobs may have any, the job's `low` below
//! which all items have their outcome. After a death the hints are set back. So a worker killed between any two
//! stores leaves one item in its hands, or none.

use crate::arena::doorbell::Watchers;
use crate::arena::layout::shared;
use crate::arena::{Arena, BlockRef, Owner};
use crate::error::{Error, Result};
use crate::sys::prim::{fence, AtomicU32, AtomicU64, Futex, Ordering};

/// The head of a job.
#[repr(C, align(64))]
#[derive(Debug)]
pub(super) struct JobHead {
    pub(super) count: AtomicU32,
    pub(super) chunk: AtomicU32,
    /// Where to look for queued items.
    pub(super) cursor: AtomicU32,
    /// All items below have their outcome.
    pub(super) low: AtomicU32,
    /// Rung when the last item has its outcome.
    pub(super) event: Futex,
    pub(super) spin: AtomicU32,
    /// Somebody wants to know of each outcome.
    pub(super) progress: AtomicU32,
    pub(super) target_length: AtomicU32,
    pub(super) target: AtomicU64,
    pub(super) items: AtomicU64,
    pub(super) slices: AtomicU64,
    /// The host, if it waits for more than this job: rung when the last item has its outcome.
    pub(super) watchers: Watchers<1>,
}

/// In an item's `time`: it is no longer a point in time.
pub(super) const RAN: u64 = 1 << 63;

/// Results of up to this many bytes lie in the item.
pub(super) const INLINE: usize = 24;

/// One item of a job: one cache line.
#[repr(C, align(64))]
#[derive(Debug)]
pub(super) struct Item {
    pub(super) state: AtomicU32,
    /// The code of a failed task; of a dead worker its exit code.
    pub(super) code: AtomicU32,
    /// The first of its argument slices, and how many.
    pub(super) first_slice: AtomicU32,
    pub(super) slices: AtomicU32,
    /// The block with the result or the message, if it is not inline.
    pub(super) result: AtomicU64,
    pub(super) length: AtomicU64,
    /// Since when it is in somebody's hands; of one that was run to its end, how long,
    /// and [`RAN`]. Nanoseconds.
    pub(super) time: AtomicU64,
    pub(super) inline: [AtomicU64; INLINE / 8],
}

/// An argument.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Slice {
    pub(super) offset: AtomicU64,
    pub(super) length: AtomicU64,
}

shared!(JobHead, Item, Slice);

/// Why an item failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reason {
    /// Its function said so: `code`, and the message as its result.
    Task = 1,
    /// The process that had it died: `code`, and pid, signal and time in its hands inline.
    Died = 2,
    /// The pool was terminated.
    Cancelled = 3,
    /// The pool broke.
    Broken = 4,
}

/// What an item's state word says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    Queued,
    Claimed(Owner),
    Done,
    Failed(Reason),
}

impl State {
    pub(super) fn of_word(word: u32) -> State {
        match word >> 30 {
            0 => State::Queued,
            1 => State::Claimed(Owner::of_word(word)),
            2 => State::Done,
            _ => State::Failed(match word & Owner::MASK {
                1 => Reason::Task,
                2 => Reason::Died,
                4 => Reason::Broken,
                _ => Reason::Cancelled,
            }),
        }
    }

    pub(super) fn word(self) -> u32 {
        match self {
            State::Queued => 0,
            State::Claimed(owner) => 1 << 30 | owner.bits(),
            State::Done => 2 << 30,
            State::Failed(reason) => 3 << 30 | reason as u32,
        }
    }

    pub(super) fn is_final(self) -> bool {
        matches!(self, State::Done | State::Failed(_))
    }

    /// Whether the block that the item names is the item's. A cancelled one may name that of a worker that came too
    /// late.
    pub(super) fn owns_result(self) -> bool {
        matches!(self, State::Done | State::Failed(Reason::Task))
    }
}

impl Item {
    pub(super) fn state(&self) -> State {
        State::of_word(self.state.load(Ordering::Acquire))
    }

    /// Changes the state, if it is still as it was seen.
    pub(super) fn exchange(&self, seen: State, next: State) -> bool {
        self.state.compare_exchange(seen.word(), next.word(), Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

/// A job in the arena, for as long as something keeps it from being freed.
#[derive(Clone, Copy)]
pub(super) struct Job<'a> {
    arena: &'a Arena,
    pub(super) head: &'a JobHead,
}

impl<'a> Job<'a> {
    pub(super) fn of(arena: &'a Arena, block: BlockRef) -> Job<'a> {
        Job { arena, head: arena.at(arena.data_offset(block).next_multiple_of(64)) }
    }

    /// Where a block's job begins, and how many bytes more it may need for that.
    pub(super) const SLACK: u64 = 64;

    pub(super) fn count(&self) -> u32 {
        self.head.count.load(Ordering::Relaxed)
    }

    pub(super) fn item(&self, index: u32) -> &'a Item {
        let items = self.head.items.load(Ordering::Relaxed);
        self.arena.at(items + u64::from(index) * size_of::<Item>() as u64)
    }

    /// The encoded function.
    pub(super) fn target(&self) -> &'a [u8] {
        let length = u64::from(self.head.target_length.load(Ordering::Relaxed));
        self.arena.read(self.head.target.load(Ordering::Relaxed), length)
    }

    /// Fills `args` with the arguments of an item.
    pub(super) fn arguments(&self, item: &Item, args: &mut Vec<&'a [u8]>) {
        args.clear();
        let first = item.first_slice.load(Ordering::Relaxed);
        for index in first..first + item.slices.load(Ordering::Relaxed) {
            let slices = self.head.slices.load(Ordering::Relaxed);
            let slice: &Slice = self.arena.at(slices + u64::from(index) * size_of::<Slice>() as u64);
            args.push(
                self.arena.read(slice.offset.load(Ordering::Relaxed), slice.length.load(Ordering::Relaxed)),
            );
        }
    }

    /// Whether a queued item may be found.
    pub(super) fn may_have_work(&self) -> bool {
        self.head.cursor.load(Ordering::Relaxed) < self.count()
    }

    /// Whether every item has its outcome. Looks from `low` on, and raises it.
    pub(super) fn is_complete(&self) -> bool {
        let (count, start) = (self.count(), self.head.low.load(Ordering::Acquire));
        // Pairs with the same fence of the others: of two last outcomes one sees the other.
        fence(Ordering::SeqCst);
        let low = (start..count).find(|i| !self.item(*i).state().is_final()).unwrap_or(count);
        if low > start {
            self.head.low.fetch_max(low, Ordering::AcqRel);
        }
        low == count
    }

    /// How many items have their outcome.
    pub(super) fn finished(&self) -> u32 {
        let low = self.head.low.load(Ordering::Acquire);
        low + (low..self.count()).filter(|i| self.item(*i).state().is_final()).count() as u32
    }

    /// The bytes of an item's result or message.
    pub(super) fn bytes(&self, item: &'a Item) -> &'a [u8] {
        let length = item.length.load(Ordering::Relaxed);
        let block = BlockRef::from_bits(item.result.load(Ordering::Relaxed));
        if block.is_none() {
            self.arena.read(self.arena.offset_of(&item.inline[0]), length.min(INLINE as u64))
        } else {
            self.arena.read(self.arena.data_offset(block), length.min(self.arena.room_of(block)))
        }
    }

    /// Gives back the results. May be done twice.
    pub(super) fn free_results(&self) {
        for index in 0..self.count() {
            let item = self.item(index);
            let result = BlockRef::from_bits(item.result.load(Ordering::Relaxed));
            if item.state().owns_result() && !result.is_none() {
                self.arena.release_block(result);
            }
        }
    }
}

/// A job larger than a job can be.
pub(super) fn too_many(count: usize) -> Error {
    Error::new(
        crate::error::Status::TooLarge,
        format!("{count} items; a submission may have {}", u32::MAX >> 2),
    )
}

/// The number of items as the arena keeps it.
pub(super) fn item_count(count: usize) -> Result<u32> {
    u32::try_from(count).ok().filter(|n| *n <= u32::MAX >> 2).ok_or_else(|| too_many(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_a_cache_line_and_its_states_round_trip() {
        assert_eq!((size_of::<Item>(), size_of::<JobHead>()), (64, 64));
        let owner = Owner::of_word(Owner::MASK);
        let reasons = [Reason::Task, Reason::Died, Reason::Cancelled, Reason::Broken];
        let states = [State::Queued, State::Claimed(owner), State::Done];
        for state in states.into_iter().chain(reasons.map(State::Failed)) {
            assert_eq!(State::of_word(state.word()), state);
        }
    }
}
