//! Memory of a model: blocks of units, each a cell in which loom sees every access that nothing orders.

use loom::cell::UnsafeCell;
use mp::arena::BlockRef;
use mp::channel::memory::Memory;
use mp::channel::ring::UNIT;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Units in all, of all blocks that a model ever takes.
const CELLS: usize = 24;

pub(crate) struct Cells {
    cells: Vec<UnsafeCell<[u8; UNIT as usize]>>,
    /// Not loom's: blocks are taken under the tail's turn, and nothing is to be ordered by it.
    used: AtomicUsize,
}

impl Cells {
    pub(crate) fn new() -> Cells {
        let cell = || UnsafeCell::new([0xee; UNIT as usize]);
        // The block that begins at 0 would be none.
        Cells { cells: (0..CELLS).map(|_| cell()).collect(), used: AtomicUsize::new(1) }
    }

    /// A block of so many bytes that nobody has had.
    pub(crate) fn allocate(&self, bytes: u64) -> BlockRef {
        let units = bytes.div_ceil(UNIT) as usize;
        let start = self.used.fetch_add(units, Ordering::Relaxed);
        assert!(start + units <= self.cells.len(), "the model has too few units");
        BlockRef::from_bits(start as u64)
    }

    /// The block goes back, and somebody else writes into it.
    pub(crate) fn give_back(&self, block: BlockRef) {
        let start = block.bits() as usize;
        let units =
            self.read(start as u64 * UNIT, 8).iter().rev().fold(0, |n, byte| n << 8 | usize::from(*byte));
        (start..=start + units).for_each(|unit| self.write(unit as u64 * UNIT, &[0xdd; UNIT as usize]));
    }

    pub(crate) fn read(&self, at: u64, length: usize) -> Vec<u8> {
        (at..at + length as u64)
            .map(|at| {
                // SAFETY: the positions and the turns order the accesses, which is what the model checks.
                self.cells[(at / UNIT) as usize].with(|cell| unsafe { (*cell)[(at % UNIT) as usize] })
            })
            .collect()
    }
}

impl Memory for &Cells {
    fn start_of(self, block: BlockRef) -> u64 {
        block.bits() * UNIT
    }

    fn units(self, at: u64) -> u32 {
        self.load(at) as u32
    }

    fn set_units(self, at: u64, units: u32) {
        self.store(at, u64::from(units));
    }

    fn load(self, at: u64) -> u64 {
        u64::from_le_bytes(self.read(at, 8).try_into().unwrap())
    }

    fn store(self, at: u64, word: u64) {
        self.write(at, &word.to_le_bytes());
    }

    fn write(self, at: u64, bytes: &[u8]) {
        for (at, byte) in (at..).zip(bytes) {
            // SAFETY: as in `read`.
            self.cells[(at / UNIT) as usize]
                .with_mut(|cell| unsafe { (*cell)[(at % UNIT) as usize] = *byte });
        }
    }

    fn copy(self, from: u64, to: u64, length: u64) {
        self.write(to, &self.read(from, length as usize));
    }
}
