//! Slots: what the arena knows of each process that uses it.
//!
//! `life` is one word, so that a slot's state, generation, process and settler always belong together:
//!
//! ```text
//! FREE --claim--> CLAIMED --prepare--> PENDING --take over--> LIVE --declare dead--> DEAD --settle--> SETTLING --> FREE
//!                                                                                            or KEPT --> FREE
//! ```
//!
//! * CLAIMED: the process `pid` is filling it in, for itself or for a child. If that dies, the slot is dead.
//! * PENDING: made for a child. `pid` 0: a forked one that has not yet taken it over; it has 10 s.
//! * DEAD: the generation has risen, so whatever carries the old one is ownerless from this very store on.
//! * SETTLING: the slot `settler` gives back what the dead one held. If the settler dies, another goes on: each
//!   step is idempotent.
//! * KEPT: settled, but the process that made the dead one has not yet taken what that left to it: see `outcome.rs`.

use super::held::Entry;
use super::layout::{shared, SLOT_SIZE};
use super::outcome::OutcomeWords;
use crate::sys::prim::{AtomicU32, AtomicU64, Futex};
use std::fmt;

/// The state of a slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum State {
    Free = 0,
    Claimed = 1,
    Pending = 2,
    Live = 3,
    Dead = 4,
    Settling = 5,
    Kept = 6,
}

const PID_BITS: u32 = 30;
const SLOT_BITS: u32 = 12;
const GENERATION_BITS: u32 = 18;
const SETTLER_SHIFT: u32 = PID_BITS;
const GENERATION_SHIFT: u32 = SETTLER_SHIFT + SLOT_BITS;
const STATE_SHIFT: u32 = GENERATION_SHIFT + GENERATION_BITS;
pub(crate) const GENERATION_MASK: u32 = (1 << GENERATION_BITS) - 1;

/// A value of a slot's life word.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Life(pub(crate) u64);

impl Life {
    pub(crate) fn new(state: State, generation: u32, settler: u32, pid: u32) -> Life {
        Life(
            u64::from(pid & ((1 << PID_BITS) - 1))
                | u64::from(settler & ((1 << SLOT_BITS) - 1)) << SETTLER_SHIFT
                | u64::from(generation & GENERATION_MASK) << GENERATION_SHIFT
                | (state as u64) << STATE_SHIFT,
        )
    }

    pub(crate) fn state(self) -> State {
        match self.0 >> STATE_SHIFT {
            0 => State::Free,
            1 => State::Claimed,
            2 => State::Pending,
            3 => State::Live,
            5 => State::Settling,
            6 => State::Kept,
            _ => State::Dead,
        }
    }

    pub(crate) fn generation(self) -> u32 {
        (self.0 >> GENERATION_SHIFT) as u32 & GENERATION_MASK
    }

    pub(crate) fn settler(self) -> u32 {
        (self.0 >> SETTLER_SHIFT) as u32 & ((1 << SLOT_BITS) - 1)
    }

    pub(crate) fn pid(self) -> u32 {
        self.0 as u32 & ((1 << PID_BITS) - 1)
    }

    /// Whether this is the slot of `owner` after its death, not yet settled.
    pub(crate) fn is_end_of(self, owner: Owner) -> bool {
        self.generation() == (owner.generation() + 1) & GENERATION_MASK
            && matches!(self.state(), State::Dead | State::Settling)
    }
}

impl fmt::Debug for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?}(generation {}, settler {}, pid {})",
            self.state(),
            self.generation(),
            self.settler(),
            self.pid()
        )
    }
}

/// A process as it stands in an owner word: slot and generation, 30 bits, never zero for a real one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Owner(u32);

impl Owner {
    /// Nobody.
    pub const NONE: Owner = Owner(0);
    /// The bits of a word that name the owner.
    pub const MASK: u32 = (1 << (SLOT_BITS + GENERATION_BITS)) - 1;

    pub(crate) fn new(slot: u32, generation: u32) -> Owner {
        Owner((slot & ((1 << SLOT_BITS) - 1)) << GENERATION_BITS | generation & GENERATION_MASK)
    }

    /// The owner that a word names.
    pub fn of_word(word: u32) -> Owner {
        Owner(word & Owner::MASK)
    }

    /// The bits for a word.
    pub fn bits(self) -> u32 {
        self.0
    }

    /// Whether it names nobody.
    pub fn is_none(self) -> bool {
        self.slot() == 0
    }

    pub(crate) fn slot(self) -> u32 {
        self.0 >> GENERATION_BITS
    }

    pub(crate) fn generation(self) -> u32 {
        self.0 & GENERATION_MASK
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Owner(slot {}, generation {})", self.slot(), self.generation())
    }
}

/// In a park record, beside the offset: the word is a lock's, which names its owner.
pub(crate) const OWNED_WORD: u64 = 1;

/// What a thread that sleeps says of itself: see `wait.rs`.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Park {
    /// The offset of the word it sleeps on, possibly with [`OWNED_WORD`]; 0 when it does not sleep.
    pub(crate) word: AtomicU64,
    /// The object that the word belongs to.
    pub(crate) object: AtomicU64,
    /// Since when, in nanoseconds on the monotonic clock.
    pub(crate) since: AtomicU64,
}

/// The operation on a reference word that is under way: see `journal.rs`.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Journal {
    /// The number of the operation under way, 0 if none. The store that opens and closes the record.
    pub(crate) open: AtomicU32,
    /// The last operation that others saw done before they changed the same word.
    pub(crate) confirmed: AtomicU32,
    /// The highest number used, over all generations of the slot.
    pub(crate) last: AtomicU32,
    /// What kind of operation.
    pub(crate) what: AtomicU32,
    /// The offset of the reference word.
    pub(crate) target: AtomicU64,
    /// The offset of the held entry (or directory word) that follows it, 0 if none.
    pub(crate) entry: AtomicU64,
    /// The entry's kind if the operation was done (high half) or was not (low half).
    pub(crate) verdict: AtomicU64,
}

/// How many threads of a process can be on record as sleeping. More may sleep; their wake-ups, should the
/// process die between wake-up and taking, are mended by the others' capped sleeps only.
pub(crate) const PARKS: usize = 14;
/// Held entries inside the slot itself.
pub(crate) const INLINE_ENTRIES: usize = 10;
/// Further chunks of held entries, each twice the one before.
pub(crate) const ENTRY_CHUNKS: usize = 16;

/// How many forebears beyond its parent a slot names.
pub(crate) const ELDERS: usize = 8;

/// A slot.
#[repr(C)]
pub(crate) struct Slot {
    pub(crate) life: AtomicU64,
    /// In the kernel's clock ticks: the process had started by then, which tells it from a later one with the same pid.
    pub(crate) started_by: AtomicU64,
    /// When the slot became PENDING, in nanoseconds on the monotonic clock; 0 before.
    pub(crate) since: AtomicU64,
    /// Rung when an object that the process watches changes.
    pub(crate) doorbell: Futex,
    /// Who prepared the slot, as an owner word; 0 for a process that came by itself.
    pub(crate) parent: AtomicU32,
    /// Who prepared the parent's, and so on: they stay when those between have gone.
    pub(crate) elders: [AtomicU32; ELDERS],
    /// The exit code as the process itself recorded it: 1 << 63 | generation << 32 | code. Until a child has taken the
    /// slot over, 1 << 62 | generation << 32; one that is killed before it has cleared that has died of a signal, and
    /// nobody asks.
    pub(crate) exit: AtomicU64,
    /// How the process of an earlier generation ended: see [`super::death::Obituary`].
    pub(crate) obituary: [AtomicU64; 2],
    /// A chunk of entries that is being made, as a block reference.
    pub(crate) new_chunk: AtomicU64,
    pub(crate) outcome: OutcomeWords,
    pub(crate) journal: Journal,
    pub(crate) chunks: [AtomicU64; ENTRY_CHUNKS],
    pub(crate) parks: [Park; PARKS],
    pub(crate) entries: [Entry; INLINE_ENTRIES],
}

shared!(Slot);

const _: () = assert!(size_of::<Slot>() as u64 <= SLOT_SIZE);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_word_keeps_its_parts() {
        use State::{Claimed, Dead, Free, Kept, Live, Pending, Settling};
        for state in [Free, Claimed, Pending, Live, Dead, Settling, Kept] {
            let life = Life::new(state, GENERATION_MASK, 4095, (1 << 30) - 1);
            assert_eq!(life.state(), state);
            assert_eq!(
                (life.generation(), life.settler(), life.pid()),
                (GENERATION_MASK, 4095, (1 << 30) - 1)
            );
        }
        assert_eq!(Life(0).state(), State::Free);
    }

    #[test]
    fn an_owner_word_keeps_its_parts() {
        let owner = Owner::new(4095, GENERATION_MASK);
        assert_eq!(owner.bits(), Owner::MASK);
        assert_eq!((owner.slot(), owner.generation()), (4095, GENERATION_MASK));
        assert!(Owner::of_word(3 << 30).is_none());
    }
}
