//! The memory in which a ring lies: the arena's blocks; in a model, cells that tell of every access without order.

#[cfg(not(loom))]
use crate::arena::Arena;
use crate::arena::BlockRef;
#[cfg(not(loom))]
use crate::sys::prim::{AtomicU32, AtomicU64, Ordering};

/// Memory by offsets. Who reads or writes is ordered by the positions and the turns, not by these accesses.
pub trait Memory: Copy {
    /// Where the bytes of a block begin.
    fn start_of(self, block: BlockRef) -> u64;
    /// How many units the ring that begins here has.
    fn units(self, at: u64) -> u32;
    /// Writes that.
    fn set_units(self, at: u64, units: u32);
    /// The word at an offset.
    fn load(self, at: u64) -> u64;
    /// Writes the word at an offset.
    fn store(self, at: u64, word: u64);
    /// Writes bytes at an offset.
    fn write(self, at: u64, bytes: &[u8]);
    /// Copies so many bytes from one block to another.
    fn copy(self, from: u64, to: u64, length: u64);
}

#[cfg(not(loom))]
impl Memory for &Arena {
    #[inline(always)]
    fn start_of(self, block: BlockRef) -> u64 {
        self.data_offset(block)
    }

    #[inline(always)]
    fn units(self, at: u64) -> u32 {
        self.at::<AtomicU32>(at).load(Ordering::Relaxed)
    }

    fn set_units(self, at: u64, units: u32) {
        self.at::<AtomicU32>(at).store(units, Ordering::Relaxed);
    }

    #[inline(always)]
    fn load(self, at: u64) -> u64 {
        self.at::<AtomicU64>(at).load(Ordering::Relaxed)
    }

    #[inline(always)]
    fn store(self, at: u64, word: u64) {
        self.at::<AtomicU64>(at).store(word, Ordering::Relaxed);
    }

    #[inline(always)]
    fn write(self, at: u64, bytes: &[u8]) {
        Arena::write(self, at, bytes);
    }

    fn copy(self, from: u64, to: u64, length: u64) {
        Arena::write(self, to, self.read(from, length));
    }
}
