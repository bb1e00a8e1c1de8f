//! Outcomes: what a process leaves to the one that made it, by libmp: a code and some bytes. They lie in the slot of
//! the process itself, few bytes there and many in a block that the slot names, so that a process which leaves nothing
//! costs nothing.
//!
//! The `mark` is the commit. Whoever settles the dead process keeps such a slot for its maker (the state KEPT, in which
//! nobody else gets it), who takes the outcome out, and with that frees the slot. Killed between any two stores:
//!
//! * The process while it leaves the outcome: a block that is the slot's goes with it as long as the mark does not stand.
//! * The maker while it takes the block: an entry OBJECT_PART says that it is the maker's once the slot's word no longer
//!   names it. After its death nobody awaits the outcome any more, and whoever settles the maker drops it.
//! * A settler between "the slot is kept" and the look whether somebody still awaits it: whoever settles the settler
//!   looks again.

use super::block::{Block, EntryIndex};
use super::held::kind;
use super::layout::shared;
use super::participant::exit_mark;
use super::refs::BlockRef;
use super::slot::{Life, Owner, Slot, State, GENERATION_MASK};
use super::Arena;
use crate::error::Result;
use crate::fault;
use crate::sys::prim::{fence, AtomicU64, Ordering};

/// Up to so many bytes need no block.
pub const FEW: usize = 48;

/// An outcome as it lies in a slot.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct OutcomeWords {
    /// Whose it is and with which code, as a recorded exit code; 0 if there is none, or no more.
    mark: AtomicU64,
    /// How many bytes, and [`FAILED`].
    length: AtomicU64,
    /// The block with the bytes, if they are many.
    block: AtomicU64,
    few: [AtomicU64; FEW / 8],
}

shared!(OutcomeWords);

/// Beside the length: the bytes say why it failed.
const FAILED: u64 = 1 << 63;

/// Bytes that are few, or a block's first ones.
#[derive(Debug)]
pub enum Bytes {
    /// Words that hold them.
    Few([u64; FEW / 8]),
    /// A block of this process.
    Many(Block),
}

/// What a process leaves.
#[derive(Debug)]
pub struct Outcome {
    /// The code of its function.
    pub code: i32,
    /// Whether it failed, so that the bytes say why.
    pub failed: bool,
    /// How many bytes there are.
    pub length: usize,
    /// The bytes.
    pub bytes: Bytes,
}

impl Slot {
    /// A new process has no outcome yet.
    pub(super) fn clear_outcome(&self) {
        self.outcome.mark.store(0, Ordering::Relaxed);
    }
}

impl Arena {
    /// Leaves an outcome to the process that made this one, whole or not at all.
    pub fn leave_outcome(&self, outcome: Outcome) {
        if self.lost() {
            return;
        }
        let words = &self.my_slot().outcome;
        let failed = if outcome.failed { FAILED } else { 0 };
        words.length.store(outcome.length as u64 | failed, Ordering::Relaxed);
        match outcome.bytes {
            Bytes::Few(few) => {
                for (to, from) in words.few.iter().zip(few) {
                    to.store(from, Ordering::Relaxed);
                }
            }
            Bytes::Many(block) => block.become_part(&words.block),
        }
        fault!("outcome.leave:written");
        words.mark.store(exit_mark(self.me()) | u64::from(outcome.code as u32), Ordering::SeqCst);
        fault!("outcome.leave:committed");
    }

    /// Takes out what a process has left that this one made and that has ended. `None`: nothing.
    pub fn take_outcome(&'static self, owner: Owner) -> Result<Option<Outcome>> {
        let words = &self.slot(owner.slot()).outcome;
        let mark = words.mark.load(Ordering::Acquire);
        if self.lost() || owner.is_none() || mark >> 32 << 32 != exit_mark(owner) {
            return Ok(None);
        }
        let length = words.length.load(Ordering::Relaxed);
        let block = BlockRef::from_bits(words.block.load(Ordering::Relaxed));
        let bytes = if block.is_none() {
            Ok(Bytes::Few(std::array::from_fn(|i| words.few[i].load(Ordering::Relaxed))))
        } else {
            self.take_block_of(words, block).map(Bytes::Many)
        };
        fault!("outcome.take:taken");
        self.drop_outcome(words);
        self.free_if_kept(owner);
        let (code, failed) = (mark as u32 as i32, length & FAILED != 0);
        bytes.map(|bytes| Some(Outcome { code, failed, length: (length & !FAILED) as usize, bytes }))
    }

    fn take_block_of(&'static self, words: &OutcomeWords, block: BlockRef) -> Result<Block> {
        let index: EntryIndex = self.new_entry(block)?;
        let entry = self.my_entry(index);
        entry.turn(kind::OBJECT_PART, 0, self.offset_of(&words.block));
        fault!("outcome.take:noted");
        words.block.store(0, Ordering::Release);
        fault!("outcome.take:unlinked");
        entry.become_kind(kind::PRIVATE);
        Ok(Block::adopt(self, block, index))
    }

    /// The block, if it is still there, goes back, then the mark goes. May be done twice.
    fn drop_outcome(&self, words: &OutcomeWords) {
        let block = BlockRef::from_bits(words.block.load(Ordering::Acquire));
        if !block.is_none() {
            self.release_block(block);
            fault!("outcome.drop:freed");
            words.block.store(0, Ordering::Release);
        }
        words.mark.store(0, Ordering::SeqCst);
        fault!("outcome.drop:done");
    }

    /// The outcome of a kept slot has been taken.
    fn free_if_kept(&self, owner: Owner) {
        let generation = (owner.generation() + 1) & GENERATION_MASK;
        let kept = Life::new(State::Kept, generation, 0, 0);
        let free = Life::new(State::Free, generation, 0, 0);
        fence(Ordering::SeqCst);
        let life = &self.slot(owner.slot()).life;
        let _ = life.compare_exchange(kept.0, free.0, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Whether an outcome lies in the slot for somebody who can still take it. `generation` is that of the slot since
    /// the death of who left it.
    pub(super) fn is_outcome_awaited(&self, number: u32, generation: u32) -> bool {
        let slot = self.slot(number);
        let owner = Owner::new(number, generation.wrapping_sub(1));
        let marked = slot.outcome.mark.load(Ordering::SeqCst) >> 32 << 32 == exit_mark(owner);
        marked && !self.is_dead(Owner::of_word(slot.parent.load(Ordering::Acquire)))
    }

    /// In a dead slot whose entries are settled: what becomes of it. An outcome that nobody can take is dropped.
    pub(super) fn settle_outcome(&self, number: u32, generation: u32) -> State {
        if self.is_outcome_awaited(number, generation) {
            return State::Kept;
        }
        self.drop_outcome(&self.slot(number).outcome);
        State::Free
    }

    /// A slot is kept: whoever was to take the outcome may have taken it, or died, just before.
    pub(super) fn look_at_kept(&self, number: u32) {
        fence(Ordering::SeqCst);
        let life = self.life(number);
        if life.state() == State::Kept
            && !self.is_outcome_awaited(number, life.generation())
            && self.declare_dead(number, life)
        {
            self.settle_slot(number);
        }
    }
}
