//! The reference word that heads every block and every object: who counts, and which change was the last.
//!
//! ```text
//! 63        44 43      28 27     16 15      0
//! generation   holders    slot      operation
//! ```
//!
//! * `holders` 0: free. `DESTROYING`: the last holder has gone and its process takes the object apart. Anything
//!   else: that many holders.
//! * `generation` rises when the holders reach zero, so that a reference with another generation is stale.
//! * `slot` and `operation` say which participant made the last change, by which of its journal's operations.
//!   That makes the change *detectable*: after a death, "did the exchange take place?" has an answer, see
//!   `journal.rs`. (After Attiya, Ben-Baruch, Hendler: "Nesting-safe recoverable linearizability", PODC 2018.)

use std::fmt;

const OPERATION_BITS: u32 = 16;
const SLOT_BITS: u32 = 12;
const HOLDERS_BITS: u32 = 16;
const GENERATION_BITS: u32 = 20;

const SLOT_SHIFT: u32 = OPERATION_BITS;
const HOLDERS_SHIFT: u32 = SLOT_SHIFT + SLOT_BITS;
const GENERATION_SHIFT: u32 = HOLDERS_SHIFT + HOLDERS_BITS;

const HOLDERS_MASK: u64 = (1 << HOLDERS_BITS) - 1;
const SLOT_MASK: u64 = (1 << SLOT_BITS) - 1;
pub(crate) const GENERATION_MASK: u64 = (1 << GENERATION_BITS) - 1;

/// The holders of an object that is being taken apart.
const DESTROYING: u64 = HOLDERS_MASK;
/// The largest number of holders.
const MAX_HOLDERS: u64 = HOLDERS_MASK - 1;

/// Who made a change: a slot and the low bits of its operation number. Slot 0 is nobody.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Actor {
    pub(crate) slot: u32,
    pub(crate) operation: u16,
}

/// A value of a reference word.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refs(pub(crate) u64);

impl Refs {
    /// A free word of this generation that nobody changed.
    pub(crate) const fn free(generation: u64) -> Refs {
        Refs((generation & GENERATION_MASK) << GENERATION_SHIFT)
    }

    pub(crate) fn generation(self) -> u64 {
        self.0 >> GENERATION_SHIFT
    }

    fn count(self) -> u64 {
        (self.0 >> HOLDERS_SHIFT) & HOLDERS_MASK
    }

    /// How many holders a held word counts.
    pub(crate) fn holders(self) -> u64 {
        if self.is_held() {
            self.count()
        } else {
            0
        }
    }

    pub(crate) fn is_free(self) -> bool {
        self.count() == 0
    }

    pub(crate) fn is_destroying(self) -> bool {
        self.count() == DESTROYING
    }

    pub(crate) fn is_held(self) -> bool {
        !self.is_free() && !self.is_destroying()
    }

    pub(crate) fn actor(self) -> Actor {
        Actor { slot: ((self.0 >> SLOT_SHIFT) & SLOT_MASK) as u32, operation: self.0 as u16 }
    }

    fn with_count(self, count: u64) -> Refs {
        Refs(self.0 & !(HOLDERS_MASK << HOLDERS_SHIFT) | count << HOLDERS_SHIFT)
    }

    pub(crate) fn with_actor(self, actor: Actor) -> Refs {
        let cleared = self.0 & (GENERATION_MASK << GENERATION_SHIFT | HOLDERS_MASK << HOLDERS_SHIFT);
        Refs(cleared | u64::from(actor.slot) << SLOT_SHIFT | u64::from(actor.operation))
    }

    /// The same generation with one holder.
    pub(crate) fn one_holder(self) -> Refs {
        self.with_count(1)
    }

    /// One holder, from a free word.
    pub(crate) fn taken(self) -> Option<Refs> {
        self.is_free().then(|| self.with_count(1))
    }

    /// One holder more, from a held word.
    pub(crate) fn raised(self) -> Option<Refs> {
        (self.is_held() && self.count() < MAX_HOLDERS).then(|| self.with_count(self.count() + 1))
    }

    /// One holder less; the last one leaves a free word of the next generation.
    pub(crate) fn lowered_to_free(self) -> Option<Refs> {
        match self.count() {
            0 | DESTROYING => None,
            1 => Some(Refs::free(self.generation() + 1)),
            n => Some(self.with_count(n - 1)),
        }
    }

    /// One holder less, but never the last one.
    pub(crate) fn lowered_to_one(self) -> Option<Refs> {
        (self.is_held() && self.count() > 1).then(|| self.with_count(self.count() - 1))
    }

    /// One holder less; the last one leaves a word that says "being taken apart".
    pub(crate) fn lowered_to_destroying(self) -> Option<Refs> {
        match self.count() {
            0 | DESTROYING => None,
            1 => Some(self.with_count(DESTROYING)),
            n => Some(self.with_count(n - 1)),
        }
    }

    /// The last holder goes, and leaves a word that says "being taken apart". Not where there is another.
    pub(crate) fn last_to_destroying(self) -> Option<Refs> {
        (self.count() == 1).then(|| self.with_count(DESTROYING))
    }

    /// The object has been taken apart.
    pub(crate) fn destroyed(self) -> Option<Refs> {
        self.is_destroying().then(|| Refs::free(self.generation() + 1))
    }
}

impl fmt::Debug for Refs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Refs(generation {}, holders {}, by {:?})", self.generation(), self.count(), self.actor())
    }
}

/// Names one block: its offset, and the generation in which it is meant.
///
/// Giving a block back through a reference whose generation has passed does nothing, so a reference that two
/// recoveries hold is harmless.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BlockRef(u64);

const BLOCK_OFFSET_BITS: u32 = 40;

impl BlockRef {
    /// No block.
    pub const NONE: BlockRef = BlockRef(0);

    /// The block at `offset` (of its reference word, a multiple of 16) in `generation`.
    pub(crate) fn new(offset: u64, generation: u64) -> BlockRef {
        debug_assert_eq!(offset % 16, 0);
        BlockRef((generation & GENERATION_MASK) << BLOCK_OFFSET_BITS | offset >> 4)
    }

    /// From what was stored in the arena; not validated.
    #[inline(always)]
    pub fn from_bits(bits: u64) -> BlockRef {
        BlockRef(bits)
    }

    /// For storing in the arena.
    pub fn bits(self) -> u64 {
        self.0
    }

    /// Whether it names no block.
    #[inline(always)]
    pub fn is_none(self) -> bool {
        self.0 == 0
    }

    #[inline(always)]
    pub(crate) fn offset(self) -> u64 {
        (self.0 & ((1 << BLOCK_OFFSET_BITS) - 1)) << 4
    }

    pub(crate) fn generation(self) -> u64 {
        self.0 >> BLOCK_OFFSET_BITS & GENERATION_MASK
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_counts_and_ages() {
        let free = Refs::free(7);
        let one = free.taken().unwrap().with_actor(Actor { slot: 4095, operation: 65535 });
        assert!(one.is_held() && one.generation() == 7);
        assert_eq!(one.actor(), Actor { slot: 4095, operation: 65535 });
        let two = one.raised().unwrap();
        assert_eq!(two.lowered_to_free().unwrap().generation(), 7);
        let gone = one.lowered_to_free().unwrap();
        assert!(gone.is_free() && gone.generation() == 8 && gone.raised().is_none());
        let dying = one.lowered_to_destroying().unwrap();
        assert!(dying.is_destroying() && dying.raised().is_none() && dying.taken().is_none());
        assert_eq!(dying.destroyed().unwrap(), Refs::free(8));
        assert_eq!((one.last_to_destroying(), two.last_to_destroying()), (Some(dying), None));
    }

    #[test]
    fn generations_wrap_without_touching_the_count() {
        let last = Refs::free(GENERATION_MASK).taken().unwrap();
        assert_eq!(last.lowered_to_free().unwrap(), Refs::free(0));
    }

    #[test]
    fn a_block_reference_keeps_offset_and_generation() {
        let r = BlockRef::new((64 << 30) - 16, GENERATION_MASK);
        assert_eq!((r.offset(), r.generation()), ((64 << 30) - 16, GENERATION_MASK));
        assert_eq!(BlockRef::from_bits(r.bits()), r);
    }
}
