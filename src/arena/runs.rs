//! Runs of granules: the large blocks, and the memory of slabs.
//!
//! The granule table has a word for each granule. A run is the word of its first granule, which says how long it
//! is and what for; all its other words are zero, and so are those of free granules. One store makes a run and
//! one store ends it, so whoever inherits the heap lock from a dead process finds nothing half done. `top` is raised
//! before the run below it is made; `cursor`, which only speeds up the search, is reset meanwhile.

use super::block::{Place, LARGE_CLASS, LARGE_META};
use super::held::kind;
use super::journal::What;
use super::layout::{CHUNK, GRANULE};
use super::refs::{BlockRef, Refs, GENERATION_MASK};
use super::word;
use super::{Arena, Tables};
use crate::error::{Error, Result, Status};
use crate::fault;
use crate::sys::clock::Deadline;
use crate::sys::prim::{AtomicU32, AtomicU64, Ordering};

/// What a run is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Use {
    Slab,
    Large,
}

const LENGTH_MASK: u32 = (1 << 30) - 1;

fn encode(purpose: Use, length: u32) -> u32 {
    length | if purpose == Use::Slab { 1 << 30 } else { 2 << 30 }
}

fn decode(word: u32) -> Option<(Use, u32)> {
    match word >> 30 {
        1 => Some((Use::Slab, word & LENGTH_MASK)),
        2 => Some((Use::Large, word & LENGTH_MASK)),
        _ => None,
    }
}

/// Holds the heap lock.
pub(crate) struct Heap<'a>(&'a Arena);

impl Drop for Heap<'_> {
    fn drop(&mut self) {
        super::wait::release(self.0, &self.0.header().heap_lock);
    }
}

impl Arena {
    /// Takes the heap lock. A dead owner has left nothing half done but the cursor.
    pub(crate) fn lock_heap(&self) -> Heap<'_> {
        let header = self.header();
        let taken =
            super::wait::acquire_internal(self, &header.heap_lock, &header.heap_watch, Deadline::Never);
        if taken == Ok(word::Acquired::OwnerDead) {
            header.cursor.store(0, Ordering::Release);
        }
        Heap(self)
    }

    fn granule(&self, index: u32) -> &AtomicU32 {
        self.at(self.regions().table + u64::from(index) * 4)
    }

    pub(crate) fn granule_offset(&self, index: u32) -> u64 {
        self.regions().heap + u64::from(index) * GRANULE
    }

    /// The granule that contains this offset.
    pub(crate) fn granule_of(&self, offset: u64) -> Option<u32> {
        let index = offset.checked_sub(self.regions().heap)? / GRANULE;
        (index < u64::from(self.regions().granules)).then_some(index as u32)
    }

    /// The run that begins at this granule.
    pub(crate) fn run_at(&self, index: u32) -> Option<(Use, u32)> {
        decode(self.granule(index).load(Ordering::Acquire))
    }

    /// Whether a large run's reference word is at `target`.
    pub(crate) fn is_run(&self, target: u64) -> bool {
        self.granule_of(target).is_some_and(|index| {
            self.run_at(index).is_some_and(|(purpose, _)| purpose == Use::Large)
                && self.granule_offset(index) + LARGE_META == target
        })
    }

    /// The first granule of `length` free ones. Backs them and what the table needs.
    fn find_run(&self, _heap: &Heap<'_>, length: u32) -> Result<u32> {
        let header = self.header();
        let limit = self.regions().granules;
        let top = header.top.load(Ordering::Relaxed).min(limit);
        let cursor = header.cursor.load(Ordering::Relaxed).min(top);
        let found = match self.scan(cursor, top, length).or_else(|| self.scan(0, top, length)) {
            Some(index) => index,
            None => self.tail_of(top),
        };
        found.checked_add(length).filter(|end| *end <= limit).ok_or_else(|| self.exhausted(length))?;
        self.back(self.regions().table + u64::from(found) * 4, u64::from(length) * 4 + 4)?;
        self.back(self.granule_offset(found), u64::from(length) * GRANULE)?;
        header.cursor.store(0, Ordering::Release);
        // Before the run is made, so that no run ever reaches beyond it.
        header.top.fetch_max(found + length, Ordering::Release);
        Ok(found)
    }

    fn scan(&self, from: u32, top: u32, length: u32) -> Option<u32> {
        let (mut index, mut free) = (from, 0);
        while index < top {
            match self.run_at(index) {
                Some((_, n)) => {
                    free = 0;
                    index += n.max(1);
                }
                None => {
                    free += 1;
                    index += 1;
                    if free == length {
                        return Some(index - length);
                    }
                }
            }
        }
        None
    }

    /// Where a run at the end of the used part begins: the free granules just below `top` belong to it.
    fn tail_of(&self, top: u32) -> u32 {
        let (mut index, mut tail) = (0, 0);
        while index < top {
            match self.run_at(index) {
                Some((_, n)) => {
                    index += n.max(1);
                    tail = index;
                }
                None => index += 1,
            }
        }
        tail
    }

    fn exhausted(&self, length: u32) -> Error {
        let free = u64::from(self.regions().granules) * GRANULE - self.granules_in_use() * GRANULE;
        Error::new(
            Status::NoMemory,
            format!(
                "the arena has no {} bytes in one piece: {} of its {} bytes are free (MP_ARENA_BYTES sets its size)",
                u64::from(length) * GRANULE,
                free,
                self.capacity()
            ),
        )
    }

    fn granules_in_use(&self) -> u64 {
        let top = self.header().top.load(Ordering::Relaxed).min(self.regions().granules);
        let (mut index, mut used) = (0, 0);
        while index < top {
            match self.run_at(index) {
                Some((_, n)) => {
                    used += u64::from(n);
                    index += n.max(1);
                }
                None => index += 1,
            }
        }
        used
    }

    /// Makes the run: the commit is the store into the table.
    fn commit_run(&self, _heap: &Heap<'_>, index: u32, purpose: Use, length: u32) {
        let header = self.header();
        fault!("arena.run:prepared");
        self.granule(index).store(encode(purpose, length), Ordering::Release);
        fault!("arena.run:made");
        header.cursor.store(index + length, Ordering::Release);
    }

    /// A large block of `length` bytes with one holder, for `place`.
    pub(crate) fn make_large(&self, tables: &mut Tables, length: u64, place: Place<'_>) -> Result<BlockRef> {
        let granules = u32::try_from(length.saturating_add(LARGE_META + 16).div_ceil(GRANULE))
            .ok()
            .filter(|n| *n <= LENGTH_MASK)
            .ok_or_else(|| self.exhausted(LENGTH_MASK))?;
        if length >= 64 * CHUNK {
            super::backing::refuse_beyond_memory(length)?;
        }
        let heap = self.lock_heap();
        let index = self.find_run(&heap, granules)?;
        let target = self.granule_offset(index) + LARGE_META;
        let generation =
            u64::from(self.header().generation.fetch_add(1, Ordering::Relaxed)) & GENERATION_MASK;
        let block = BlockRef::new(target, generation);
        place.name(block);
        let (entry, done) = place.verdict(self);
        let operation = self.operation(tables, What::Run, target, entry, done, kind::FREE);
        let refs = Refs::free(generation).one_holder().with_actor(operation.actor());
        self.at::<AtomicU64>(target + 8).store(length << 8 | LARGE_CLASS, Ordering::Relaxed);
        self.at::<AtomicU64>(target).store(refs.0, Ordering::Release);
        self.commit_run(&heap, index, Use::Large, granules);
        place.fill();
        drop(operation);
        Ok(block)
    }

    /// A large block has been freed: its granules may serve again.
    pub(crate) fn end_large(&self, block: BlockRef) {
        let _heap = self.lock_heap();
        let Some(index) = self.granule_of(block.offset()).filter(|_| self.is_run(block.offset())) else {
            return;
        };
        let refs = Refs(self.at::<AtomicU64>(block.offset()).load(Ordering::Acquire));
        if refs.is_free() && refs.generation() == block.generation() {
            fault!("arena.run:ending");
            self.granule(index).store(0, Ordering::Release);
        }
    }

    /// A run for a slab of `class`, entered in the class's directory.
    pub(crate) fn make_slab(&self, tables: &mut Tables, class: usize) -> Result<u32> {
        let heap = self.lock_heap();
        let granules = self.slab_granules(class);
        let ordinal = self.free_ordinal(class)?;
        let index = self.find_run(&heap, granules)?;
        let generation =
            u64::from(self.header().generation.fetch_add(1, Ordering::Relaxed)) & GENERATION_MASK;
        let offset = self.granule_offset(index);
        self.write_slab(offset, class, granules, generation);
        let operation = self.operation(tables, What::Slab, offset, class as u64, 0, 0);
        self.commit_run(&heap, index, Use::Slab, granules);
        self.enter_slab(class, ordinal, index);
        drop(operation);
        Ok(ordinal)
    }

    /// Settles a slab whose maker died: a run that is in no directory is entered.
    pub(crate) fn settle_slab(&self, offset: u64, class: u64) {
        let _heap = self.lock_heap();
        let class = class as usize;
        if class >= super::layout::CLASSES {
            return;
        }
        let Some(index) = self.granule_of(offset).filter(|i| self.granule_offset(*i) == offset) else {
            return;
        };
        // If the run was never made, another slab, of another class even, may be here by now.
        if !matches!(self.run_at(index), Some((Use::Slab, _))) || self.slab_class(offset) != class {
            return;
        }
        if let Some(ordinal) = self.entered_ordinal(class, index) {
            self.enter_slab(class, ordinal, index);
        } else if let Ok(ordinal) = self.free_ordinal(class) {
            self.enter_slab(class, ordinal, index);
        }
    }

    /// Calls `f` with each large block that is held: (length asked for).
    pub(crate) fn each_large(&self, mut f: impl FnMut(u64)) {
        let _heap = self.lock_heap();
        let top = self.header().top.load(Ordering::Relaxed).min(self.regions().granules);
        let mut index = 0;
        while index < top {
            match self.run_at(index) {
                Some((purpose, n)) => {
                    if purpose == Use::Large {
                        let target = self.granule_offset(index) + LARGE_META;
                        if Refs(self.at::<AtomicU64>(target).load(Ordering::Acquire)).is_held() {
                            f(u64::from(n) * GRANULE);
                        }
                    }
                    index += n.max(1);
                }
                None => index += 1,
            }
        }
    }
}
