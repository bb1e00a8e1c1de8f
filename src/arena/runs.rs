//! Runs of granules: the large blocks, and the memory of slabs.
//!
//! The granule table has a word for each granule. A run is the word of its first granule, which says how long it
//! is and what for; all its other words are zero, and so are those of free granules. One store makes a run and
//! one store ends it, so whoever inherits the heap lock from a dead process finds nothing half done. `top` is raised
//! before the run below it is made; `cursor`, which only speeds up the search, is reset meanwhile. The counts of
//! granules and chunks (`Idle`) are made anew by who inherits the lock; `sector.rs` says why its words need not be.

use super::block::{Place, LARGE_CLASS, LARGE_META};
use super::held::kind;
use super::journal::What;
use super::layout::{GRANULE, SECTOR};
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

/// Granules among which runs take turns. A sector has several.
const NEIGHBOURHOOD: u32 = 384;

/// Where the neighbourhood of the granule before `index` begins.
fn neighbourhood(index: u32) -> u32 {
    index.saturating_sub(1) / NEIGHBOURHOOD * NEIGHBOURHOOD
}

impl Arena {
    /// Takes the heap lock. What a dead owner has left is mended first.
    pub(crate) fn lock_heap(&self) -> Heap<'_> {
        let header = self.header();
        let taken =
            super::wait::acquire_internal(self, &header.heap_lock, &header.heap_watch, Deadline::Never);
        let heap = Heap(self);
        if taken == Ok(word::Acquired::OwnerDead) {
            self.inherit_heap(&heap);
        }
        heap
    }

    fn granule(&self, index: u32) -> &AtomicU32 {
        self.at(self.regions().table + u64::from(index) * 4)
    }

    pub(crate) fn granule_offset(&self, index: u32) -> u64 {
        self.regions().heap + u64::from(index) * GRANULE
    }

    /// The granule that contains this offset, if any such was ever used.
    pub(crate) fn granule_of(&self, offset: u64) -> Option<u32> {
        let index = offset.checked_sub(self.regions().heap)? / GRANULE;
        (index < u64::from(self.top())).then_some(index as u32)
    }

    /// No granule from here on is used.
    pub(crate) fn top(&self) -> u32 {
        self.header().top.load(Ordering::Acquire).min(self.regions().granules)
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

    /// The first granule of `length` free ones, for `bytes` that were asked for. Backs them and what the table needs.
    fn find_run(&self, _heap: &Heap<'_>, length: u32, bytes: u64) -> Result<u32> {
        let header = self.header();
        let limit = self.regions().granules;
        let found = self.choose_run(length);
        let end =
            found.checked_add(length).filter(|end| *end <= limit).ok_or_else(|| self.exhausted(bytes))?;
        self.back(self.regions().table + u64::from(found) * 4, u64::from(length) * 4 + 4)?;
        self.back_sectors(found, end)?;
        header.cursor.store(0, Ordering::Release);
        // Before the run is made, so that no run ever reaches beyond it; and before the memory is backed, so that no
        // more than a part of a chunk is ever backed beyond it.
        header.top.fetch_max(end, Ordering::Release);
        self.back_for(self.granule_offset(found), u64::from(length) * GRANULE, bytes)?;
        Ok(found)
    }

    fn choose_run(&self, length: u32) -> u32 {
        let top = self.top();
        let cursor = self.header().cursor.load(Ordering::Relaxed).min(top);
        // A run that ends at `top` was the last one made or kept.
        let tail = || if cursor == top { top } else { self.tail_of(top) };
        self.find_hole(cursor, top, length).unwrap_or_else(tail)
    }

    /// Free granules below `top`: near the cursor if possible, behind the run that was made last. So blocks that go
    /// from one process to another take turns, and who writes one does not have to take its lines from the nearest cache
    /// of who has just read it; but the turns do not go through all that lies idle.
    fn find_hole(&self, cursor: u32, top: u32, length: u32) -> Option<u32> {
        let full = self.header().full.load(Ordering::Relaxed);
        if (1..=length).contains(&full) {
            return None;
        }
        let start = neighbourhood(cursor);
        let end = top.min(start + NEIGHBOURHOOD);
        let from_its_start = || self.find_stretch(self.boundary(start, end), end, length);
        let nearby = || self.find_stretch(cursor, end, length).or_else(from_its_start);
        let near = (length < NEIGHBOURHOOD).then(nearby).flatten();
        let found = near
            .or_else(|| self.find_stretch(cursor, top, length))
            .or_else(|| self.find_stretch(0, top, length));
        if found.is_none() {
            self.header().full.store(length, Ordering::Relaxed);
        }
        found
    }

    /// The first granule from `start` on, but before `end`, that is not inside a run which began before.
    fn boundary(&self, start: u32, end: u32) -> u32 {
        let mut index = self.entrance(start / SECTOR);
        while index < start.min(end) {
            index += self.run_at(index).map_or(1, |(_, length)| length.max(1));
        }
        index
    }

    fn free_bytes(&self) -> u64 {
        let used = self.header().idle.used.load(Ordering::Relaxed).min(self.regions().granules);
        u64::from(self.regions().granules - used) * GRANULE
    }

    /// Whether so many bytes are free, if not in one piece.
    pub(crate) fn has_granules(&self, bytes: u64) -> bool {
        bytes <= self.free_bytes()
    }

    fn exhausted(&self, bytes: u64) -> Error {
        let free = self.free_bytes();
        Error::new(
            Status::NoMemory,
            format!(
                "the arena has no {bytes} bytes in one piece: {free} of its {} bytes are free (MP_ARENA_BYTES sets its size{})",
                self.capacity(),
                crate::sys::memfd::limits(),
            ),
        )
    }

    /// Makes the run: the commit is the store into the table.
    fn commit_run(&self, _heap: &Heap<'_>, index: u32, purpose: Use, length: u32) {
        let header = self.header();
        self.note_entries(index, length);
        fault!("arena.run:prepared");
        self.granule(index).store(encode(purpose, length), Ordering::Release);
        fault!("arena.run:made");
        header.cursor.store(index + length, Ordering::Release);
        self.count_used(length);
    }

    /// A large block of `length` bytes with one holder, for `place`.
    pub(crate) fn make_large(&self, tables: &mut Tables, length: u64, place: Place<'_>) -> Result<BlockRef> {
        let granules = u32::try_from(length.saturating_add(LARGE_META + 16).div_ceil(GRANULE))
            .ok()
            .filter(|n| *n <= LENGTH_MASK)
            .ok_or_else(|| self.exhausted(length))?;
        let heap = self.lock_heap();
        let index = self.find_run(&heap, granules, length)?;
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
        let heap = self.lock_heap();
        let Some(index) = self.granule_of(block.offset()).filter(|_| self.is_run(block.offset())) else {
            return;
        };
        let refs = Refs(self.at::<AtomicU64>(block.offset()).load(Ordering::Acquire));
        if refs.is_free() && refs.generation() == block.generation() {
            self.end_run(&heap, index);
        }
    }

    fn end_run(&self, _heap: &Heap<'_>, index: u32) {
        let Some((_, length)) = self.run_at(index) else { return };
        self.header().full.store(0, Ordering::Relaxed);
        self.forget_limits(index, length);
        fault!("arena.run:ending");
        self.granule(index).store(0, Ordering::Release);
        fault!("arena.run:ended");
        let header = self.header();
        let cursor = header.cursor.load(Ordering::Relaxed);
        if neighbourhood(cursor) != neighbourhood(index + 1) || cursor == self.top() {
            header.cursor.store(index, Ordering::Release);
        }
        self.count_freed(length);
    }

    /// A run for a slab of `class`, entered in the class's directory.
    pub(crate) fn make_slab(&self, tables: &mut Tables, class: usize) -> Result<u32> {
        let heap = self.lock_heap();
        let granules = self.slab_granules(class);
        let ordinal = self.free_ordinal(class)?;
        let index = self.find_run(&heap, granules, u64::from(granules) * GRANULE)?;
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

    /// Calls `f` with each run: (its first granule, what for, how many granules).
    pub(crate) fn each_run(&self, _heap: &Heap<'_>, mut f: impl FnMut(u32, Use, u32)) {
        let (mut index, top) = (0, self.top());
        while index < top {
            match self.run_at(index) {
                Some((purpose, n)) => {
                    f(index, purpose, n);
                    index += n.max(1);
                }
                None => index += 1,
            }
        }
    }

    /// Calls `f` with each large block that is held: (bytes of its run).
    pub(crate) fn each_large(&self, mut f: impl FnMut(u64)) {
        let heap = self.lock_heap();
        self.each_run(&heap, |index, purpose, n| {
            let target = self.granule_offset(index) + LARGE_META;
            if purpose == Use::Large && Refs(self.at::<AtomicU64>(target).load(Ordering::Acquire)).is_held() {
                f(u64::from(n) * GRANULE);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::layout::SECTOR;
    use super::*;
    use crate::sys::memfd::SharedMap;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::mem::ManuallyDrop;

    /// One step: make a run so long; begin to, and be refused its memory; or end the run of that number.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        Make(u32),
        Refuse(u32),
        End(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let length = || {
            prop_oneof![
                5 => 1..20u32,
                5 => 1..200u32,
                8 => 200..SECTOR,
                3 => SECTOR - 3..SECTOR + 3,
                2 => 1..4 * SECTOR,
            ]
        };
        let step = prop_oneof![
            10 => length().prop_map(Step::Make),
            1 => length().prop_map(Step::Refuse),
            8 => any::<usize>().prop_map(Step::End),
        ];
        prop::collection::vec(step, 1..400)
    }

    /// Runs without memory, and what must be true of them.
    struct Model {
        arena: Arena,
        runs: BTreeMap<u32, u32>,
    }

    impl Model {
        fn new() -> Model {
            let arena = Arena::around(SharedMap::create(c"mp-test", 4 << 30).unwrap()).unwrap();
            arena.initialise().unwrap();
            Model { arena, runs: BTreeMap::new() }
        }

        /// Whether so many granules are free in one piece below `top`, and where the last run ends.
        fn hole(&self, length: u32, top: u32) -> (bool, u32) {
            let (mut found, mut end) = (false, 0);
            for (start, n) in &self.runs {
                found |= start - end >= length;
                end = start + n;
            }
            (found || top - end >= length, end)
        }

        fn choose(&self, length: u32) -> Option<u32> {
            let (arena, top) = (&self.arena, self.arena.top());
            let index = arena.choose_run(length);
            let end = index + length;
            let before = self.runs.range(..end).next_back().map_or(0, |(start, n)| start + n);
            assert!(before <= index, "the run at {index} of {length} would overlap");
            let (hole, tail) = self.hole(length, top);
            assert_eq!(hole, end <= top, "a hole for {length} below {top}");
            assert!(hole || index == tail);
            if end > arena.regions().granules {
                return None;
            }
            arena.back(arena.regions().table + u64::from(index) * 4, u64::from(length) * 4 + 4).unwrap();
            arena.back_sectors(index, end).unwrap();
            arena.header().cursor.store(0, Ordering::Release);
            arena.header().top.fetch_max(end, Ordering::Release);
            Some(index)
        }

        fn step(&mut self, step: Step) {
            let heap = ManuallyDrop::new(Heap(&self.arena));
            match step {
                Step::Make(length) => {
                    if let Some(index) = self.choose(length) {
                        self.arena.commit_run(&heap, index, Use::Large, length);
                        self.runs.insert(index, length);
                    }
                }
                Step::Refuse(length) => drop(self.choose(length)),
                Step::End(n) if !self.runs.is_empty() => {
                    let index = *self.runs.keys().nth(n % self.runs.len()).unwrap();
                    self.arena.end_run(&heap, index);
                    self.runs.remove(&index);
                }
                Step::End(_) => {}
            }
            let used: u32 = self.runs.values().sum();
            assert_eq!(self.arena.header().idle.used.load(Ordering::Relaxed), used);
        }
    }

    #[test]
    fn free_stretches_are_found_as_by_a_look_at_each_granule() {
        let config = ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() };
        proptest!(config, |(steps in steps())| {
            let mut model = Model::new();
            steps.iter().for_each(|step| model.step(*step));
            let mut seen = Vec::new();
            let heap = ManuallyDrop::new(Heap(&model.arena));
            model.arena.each_run(&heap, |index, _, length| seen.push((index, length)));
            prop_assert_eq!(seen, model.runs.into_iter().collect::<Vec<_>>());
        });
    }
}
