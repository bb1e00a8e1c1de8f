//! What lies where in an arena: offsets, sizes and the structs that all processes agree on.
//!
//! ```text
//! header | slots | slab directories | sectors | granule table | backed bitmap | heap
//! ```
//!
//! The heap is cut into granules; a run of granules is either one large block or a slab of equal small ones.
//! Everything here is reached through atomics, holds offsets rather than pointers, and is zero when new.

use crate::sys::prim::{AtomicU32, AtomicU64, Futex};

/// Marks a file as an arena.
pub(crate) const MAGIC: u64 = u64::from_le_bytes(*b"libmp\0ar");
/// The number of this layout. Another number is refused.
pub(crate) const LAYOUT: u32 = 4;

/// The size of a granule, the unit of the heap.
pub(crate) const GRANULE: u64 = 16 << 10;
/// Backing is asked of the kernel in chunks of this size.
pub(crate) const CHUNK: u64 = 256 << 10;

/// Granules in a chunk.
pub(crate) const PER_CHUNK: u32 = (CHUNK / GRANULE) as u32;
/// Granules in a sector, the unit of the search for free ones.
pub(crate) const SECTOR: u32 = 1024;

/// How many slots for processes there are, slot 0 being nobody. Some are reserved, see `participant.rs`.
pub(crate) const SLOTS: u32 = 4096;
/// The size of a slot.
pub(crate) const SLOT_SIZE: u64 = 1024;
/// How many slabs a class may have.
pub(crate) const SLABS_PER_CLASS: u64 = 16384;

/// A struct that may lie in shared memory: `repr(C)`, made of atomics only, valid for every bit pattern.
///
/// # Safety
/// The implementor has these properties.
pub unsafe trait Shared {}

macro_rules! shared {
    ($($t:ty),* $(,)?) => { $(
        // SAFETY: an atomic integer, or a repr(C) struct of nothing but such: every bit pattern is a value.
        unsafe impl $crate::arena::layout::Shared for $t {}
    )* };
}
pub(crate) use shared;

shared!(AtomicU32, AtomicU64, Futex, Header, Class, Sector, Idle);

/// The first bytes of an arena.
#[repr(C)]
pub(crate) struct Header {
    pub(crate) magic: AtomicU64,
    pub(crate) layout: AtomicU32,
    /// The size of the slot struct, as a cross-check of two builds of the library.
    pub(crate) slot_size: AtomicU32,
    /// A random number that tokens repeat.
    pub(crate) id: [AtomicU64; 2],
    /// The reserved size in bytes.
    pub(crate) capacity: AtomicU64,
    /// The number of granules of the heap.
    pub(crate) granules: AtomicU32,
    /// Guards the granule table and the slab directories.
    pub(crate) heap_lock: Futex,
    pub(crate) heap_watch: AtomicU32,
    /// No granule from here on is used.
    pub(crate) top: AtomicU32,
    /// Where the next search for a run begins: never inside a run. Zero while a run is being made.
    pub(crate) cursor: AtomicU32,
    /// No free stretch of so many granules lies below `top`, but at its very end; 0 is unknown.
    pub(crate) full: AtomicU32,
    /// Generations for memory that gets a new use.
    pub(crate) generation: AtomicU32,
    /// The slot at which the next search for a free one begins: slots are reused oldest first.
    pub(crate) next_slot: AtomicU32,
    /// Slots from here on were never used.
    pub(crate) slots_used: AtomicU32,
    /// Not zero while dead slots may be waiting to be settled.
    pub(crate) unsettled: AtomicU32,
    /// Numbers for objects, so that no two tokens are ever equal.
    pub(crate) serial: AtomicU64,
    /// The first record of the directory of names: see `names.rs`.
    pub(crate) names: AtomicU64,
    /// Guards the directory of names.
    pub(crate) names_lock: Futex,
    pub(crate) names_watch: AtomicU32,
    /// The namespaces of pids and of time in which the slots' numbers mean something; 0 if not known.
    pub(crate) pid_namespace: AtomicU64,
    pub(crate) time_namespace: AtomicU64,
    pub(crate) idle: Idle,
    pub(crate) classes: [Class; CLASSES],
}

/// What is known of memory that lies idle: see `trim.rs`. All but `look` and `since` under the heap lock.
#[repr(C)]
pub(crate) struct Idle {
    /// Granules in runs.
    pub(crate) used: AtomicU32,
    /// Chunks of the heap that are backed.
    pub(crate) backed: AtomicU32,
    /// The fewest idle granules since `since`.
    pub(crate) least: AtomicU32,
    /// So much was left idle by the last trimming that did not find enough; 0 if it did.
    pub(crate) barren: AtomicU32,
    pub(crate) pad: AtomicU32,
    /// A run has ended: somebody should see whether memory is to go back.
    pub(crate) look: AtomicU32,
    /// When the period began over which `least` is kept, in nanoseconds on the monotonic clock.
    pub(crate) since: AtomicU64,
    /// The chunks that come or go back at this moment: the first one << 32 | how many.
    pub(crate) going: AtomicU64,
}

/// What is known of a sector: see `sector.rs`.
#[repr(C)]
pub(crate) struct Sector {
    /// The run that covers the sector's first granule begins here, if there is one.
    pub(crate) entry: AtomicU32,
    /// No free stretch of so many granules touches the sector; 0 is unknown.
    pub(crate) none: AtomicU32,
}

/// The directory of one size class.
#[repr(C)]
pub(crate) struct Class {
    /// How many directory entries are in use.
    pub(crate) slabs: AtomicU32,
    pub(crate) pad: AtomicU32,
    /// One bit for each slab that may have a free block (a hint).
    pub(crate) available: [AtomicU64; (SLABS_PER_CLASS / 64) as usize],
}

/// Bytes before a block's or an object's body: the reference word and where it belongs.
pub(crate) const BLOCK_HEADER: u64 = 16;

/// Sizes of the slab classes with their header: first those of plain blocks, then those of objects, which use
/// no slab of the others, ever: an object's reference word stays one.
pub(crate) const CLASS_SIZES: [u32; CLASSES] = [
    32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4160, 6208, 8256, // blocks
    64, 128, 256, 384, 512, 640, // objects
];
/// How many classes there are.
pub(crate) const CLASSES: usize = 23;
/// The first class of objects.
pub(crate) const FIRST_OBJECT_CLASS: usize = 17;

/// Offsets of the regions of an arena with this capacity.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Regions {
    pub(crate) slots: u64,
    pub(crate) directories: u64,
    pub(crate) sectors: u64,
    pub(crate) table: u64,
    pub(crate) backed: u64,
    pub(crate) heap: u64,
    pub(crate) granules: u32,
}

const fn up(n: u64, to: u64) -> u64 {
    n.div_ceil(to) * to
}

impl Regions {
    /// The regions of an arena of `capacity` bytes.
    pub(crate) fn of(capacity: u64) -> Regions {
        let slots = up(size_of::<Header>() as u64, 4096);
        let directories = slots + u64::from(SLOTS) * SLOT_SIZE;
        let sectors = directories + CLASSES as u64 * SLABS_PER_CLASS * 4;
        let granules = (capacity / GRANULE).min(u64::from(u32::MAX >> 2)) as u32;
        let table = sectors + u64::from(granules.div_ceil(SECTOR)) * size_of::<Sector>() as u64;
        let backed = up(table + u64::from(granules) * 4, 64);
        let heap = up(backed + capacity / CHUNK / 8 + 8, CHUNK);
        let granules = (capacity.saturating_sub(heap) / GRANULE) as u32;
        Regions { slots, directories, sectors, table, backed, heap, granules }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_ordered_and_aligned() {
        for sizes in [&CLASS_SIZES[..FIRST_OBJECT_CLASS], &CLASS_SIZES[FIRST_OBJECT_CLASS..]] {
            assert!(sizes.windows(2).all(|w| w[0] < w[1]) && sizes.iter().all(|s| s % 16 == 0));
        }
        assert!(CLASS_SIZES[FIRST_OBJECT_CLASS..].iter().all(|s| s % 64 == 0));
        assert!(CLASS_SIZES.iter().filter(|s| **s > 4096).all(|s| s % 64 == 0));
    }

    #[test]
    fn regions_do_not_overlap() {
        for capacity in [64 << 20, 1 << 30, 64 << 30] {
            let r = Regions::of(capacity);
            assert!(
                r.slots < r.directories
                    && r.directories < r.sectors
                    && r.sectors < r.table
                    && r.table < r.backed
            );
            assert!(r.backed + capacity / CHUNK / 8 < r.heap);
            assert!(r.heap + u64::from(r.granules) * GRANULE <= capacity);
            assert!(u64::from(r.granules) * GRANULE + r.heap + GRANULE > capacity);
        }
    }
}
