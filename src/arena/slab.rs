//! Slabs: runs of equal small blocks, found through bitmaps that are only hints.
//!
//! Whether a block is free is in its reference word alone. A set bit says "probably free": who wants the block
//! clears the bit and then takes the word from zero to one holder. Freeing does the reverse. A bit that is set
//! for a held block costs one failed try; a bit missing for a free one is set again by whoever settles the
//! process that died between the two, whose journal names the block. Slabs are never given another use, so an
//! object's reference word stays one for ever.

use super::block::Place;
use super::held::kind;
use super::journal::What;
use super::layout::{shared, Class, BLOCK_HEADER, CLASS_SIZES, FIRST_OBJECT_CLASS, GRANULE, SLABS_PER_CLASS};
use super::refs::{BlockRef, Refs};
use super::runs::Use;
use super::{Arena, Tables};
use crate::error::{Error, Result, Status};
use crate::fault;
use crate::sys::prim::{AtomicU32, AtomicU64, Ordering};

/// The head of a slab, followed by its bitmap and its blocks.
#[repr(C)]
pub(crate) struct Slab {
    class: AtomicU32,
    /// How many blocks.
    count: AtomicU32,
    /// Where the first block is, from the slab's start.
    first: AtomicU32,
    /// The bitmap word at which the next search begins (a hint).
    hint: AtomicU32,
    /// Where the slab stands in its class's directory.
    ordinal: AtomicU32,
    pad: AtomicU32,
}

shared!(Slab);

const SMALL_SLABS: u32 = 16;
const SMALL_SLAB: u32 = (64 << 10) / GRANULE as u32;
const BIG_SLAB: u32 = (1 << 20) / GRANULE as u32;

/// Where the blocks of a slab begin and how many there are.
fn shape(class: usize, granules: u32) -> (u32, u32) {
    let size = CLASS_SIZES[class];
    let bytes = granules * GRANULE as u32;
    let most = bytes / size;
    let head = size_of::<Slab>() as u32 + most.div_ceil(64) * 8;
    let mut first = head.div_ceil(64) * 64;
    if class < FIRST_OBJECT_CLASS && size > 4096 {
        first += 64 - BLOCK_HEADER as u32;
    }
    (first, (bytes - first) / size)
}

impl Arena {
    fn class(&self, class: usize) -> &Class {
        &self.header().classes[class]
    }

    /// How many directory entries of a class are in use.
    fn slabs(&self, class: usize) -> u32 {
        self.class(class).slabs.load(Ordering::Acquire).min(SLABS_PER_CLASS as u32)
    }

    fn directory(&self, class: usize, ordinal: u32) -> &AtomicU32 {
        self.at(self.regions().directories + (class as u64 * SLABS_PER_CLASS + u64::from(ordinal)) * 4)
    }

    pub(crate) fn slab_granules(&self, class: usize) -> u32 {
        if self.slabs(class) < SMALL_SLABS {
            SMALL_SLAB
        } else {
            BIG_SLAB
        }
    }

    /// The directory entry for one slab more, backed.
    pub(crate) fn free_ordinal(&self, class: usize) -> Result<u32> {
        let mut ordinal = self.slabs(class);
        loop {
            if u64::from(ordinal) >= SLABS_PER_CLASS {
                let text = format!("the arena has no room for more blocks of {} bytes", CLASS_SIZES[class]);
                return Err(Error::new(Status::NoMemory, text));
            }
            let entry = self.directory(class, ordinal);
            self.back(self.offset_of(entry), 4)?;
            if entry.load(Ordering::Relaxed) == 0 {
                return Ok(ordinal);
            }
            ordinal += 1;
        }
    }

    /// The class of the slab at `offset`.
    pub(crate) fn slab_class(&self, offset: u64) -> usize {
        self.at::<Slab>(offset).class.load(Ordering::Relaxed) as usize
    }

    /// Where a slab stands in its directory. Those who died entering one may have left some beyond the count.
    pub(crate) fn entered_ordinal(&self, class: usize, granule: u32) -> Option<u32> {
        (0..SLABS_PER_CLASS as u32).find(|&ordinal| {
            self.is_backed(self.offset_of(self.directory(class, ordinal)))
                && self.directory(class, ordinal).load(Ordering::Acquire) == granule + 1
        })
    }

    /// Enters a slab: the commit is the store into the directory. May be done twice.
    pub(crate) fn enter_slab(&self, class: usize, ordinal: u32, granule: u32) {
        self.at::<Slab>(self.granule_offset(granule)).ordinal.store(ordinal, Ordering::Relaxed);
        self.directory(class, ordinal).store(granule + 1, Ordering::Release);
        fault!("arena.slab:entered");
        let c = self.class(class);
        c.available[ordinal as usize / 64].fetch_or(1 << (ordinal % 64), Ordering::AcqRel);
        c.slabs.fetch_max(ordinal + 1, Ordering::AcqRel);
    }

    /// Writes a new slab into memory that nobody uses yet.
    pub(crate) fn write_slab(&self, offset: u64, class: usize, granules: u32, generation: u64) {
        let slab = self.at::<Slab>(offset);
        let (first, count) = shape(class, granules);
        slab.class.store(class as u32, Ordering::Relaxed);
        slab.count.store(count, Ordering::Relaxed);
        slab.first.store(first, Ordering::Relaxed);
        slab.hint.store(0, Ordering::Relaxed);
        for block in 0..count {
            let target = offset + u64::from(first) + u64::from(block) * u64::from(CLASS_SIZES[class]);
            self.at::<AtomicU64>(target + 8).store(u64::from(block) << 8 | class as u64, Ordering::Relaxed);
            self.at::<AtomicU64>(target).store(Refs::free(generation).0, Ordering::Relaxed);
        }
        for word in 0..count.div_ceil(64) {
            let bits = (count - word * 64).min(64);
            self.slab_bits(offset, word).store(u64::MAX >> (64 - bits), Ordering::Relaxed);
        }
    }

    fn slab_bits(&self, slab: u64, word: u32) -> &AtomicU64 {
        self.at(slab + size_of::<Slab>() as u64 + u64::from(word) * 8)
    }

    /// The slab of an ordinal: its offset.
    fn slab_at(&self, class: usize, ordinal: u32) -> Option<u64> {
        let granule = self.directory(class, ordinal).load(Ordering::Acquire).checked_sub(1)?;
        (granule < self.regions().granules).then(|| self.granule_offset(granule))
    }

    /// Takes a free block of `class` for `place`.
    pub(crate) fn take_block(&self, tables: &mut Tables, class: usize, place: Place<'_>) -> Result<BlockRef> {
        loop {
            let ordinal = match self.available_slab(tables, class) {
                Some(ordinal) => ordinal,
                None => self.make_slab(tables, class)?,
            };
            tables.last_slab[class] = ordinal;
            let Some(slab) = self.slab_at(class, ordinal) else {
                // A damaged directory: nothing is to be had there.
                let available = &self.class(class).available[ordinal as usize / 64];
                available.fetch_and(!(1 << (ordinal % 64)), Ordering::SeqCst);
                continue;
            };
            while let Some((word, bit)) = self.free_bit(slab, class) {
                let target = self.block_at(slab, class, word * 64 + bit);
                let refs = Refs(self.at::<AtomicU64>(target).load(Ordering::Acquire));
                let block = BlockRef::new(target, refs.generation());
                place.name(block);
                let (entry, done) = place.verdict(self);
                let operation = self.operation(tables, What::Refs, target, entry, done, kind::FREE);
                if self.slab_bits(slab, word).fetch_and(!(1 << bit), Ordering::AcqRel) & 1 << bit == 0 {
                    continue;
                }
                fault!("arena.alloc:unhinted");
                let same = |now: Refs| (now.generation() == refs.generation()).then(|| now.taken()).flatten();
                if operation.exchange(same).is_none() {
                    continue;
                }
                fault!("arena.alloc:taken");
                place.fill();
                return Ok(block);
            }
            self.mark_exhausted(class, ordinal, slab);
        }
    }

    fn block_at(&self, slab: u64, class: usize, index: u32) -> u64 {
        let first = self.at::<Slab>(slab).first.load(Ordering::Relaxed);
        slab + u64::from(first) + u64::from(index) * u64::from(CLASS_SIZES[class])
    }

    fn free_bit(&self, slab: u64, class: usize) -> Option<(u32, u32)> {
        let head = self.at::<Slab>(slab);
        debug_assert_eq!(head.class.load(Ordering::Relaxed) as usize, class);
        let words = head.count.load(Ordering::Relaxed).div_ceil(64);
        let start = head.hint.load(Ordering::Relaxed).min(words);
        for word in (start..words).chain(0..start) {
            let bits = self.slab_bits(slab, word).load(Ordering::Acquire);
            if bits != 0 {
                if word != start {
                    head.hint.store(word, Ordering::Relaxed);
                }
                return Some((word, bits.trailing_zeros()));
            }
        }
        None
    }

    /// A slab that may have a free block: this process's last one first.
    fn available_slab(&self, tables: &Tables, class: usize) -> Option<u32> {
        let c = self.class(class);
        let slabs = self.slabs(class);
        let last = tables.last_slab[class];
        if last < slabs && c.available[last as usize / 64].load(Ordering::Relaxed) & 1 << (last % 64) != 0 {
            return Some(last);
        }
        (0..slabs.div_ceil(64)).find_map(|word| {
            let bits = c.available[word as usize].load(Ordering::Acquire);
            (bits != 0).then(|| word * 64 + bits.trailing_zeros())
        })
    }

    /// No free block was found in this slab. A block freed meanwhile sets the bit again, here or by its freer.
    fn mark_exhausted(&self, class: usize, ordinal: u32, slab: u64) {
        let available = &self.class(class).available[ordinal as usize / 64];
        available.fetch_and(!(1 << (ordinal % 64)), Ordering::SeqCst);
        fault!("arena.slab:exhausted");
        if self.free_bit(slab, class).is_some() {
            available.fetch_or(1 << (ordinal % 64), Ordering::SeqCst);
        }
    }

    /// The slab, class and index of the block whose reference word is at `target`, if there is one.
    pub(crate) fn locate(&self, target: u64) -> Option<(u64, usize, u32)> {
        // Memory that is not backed is not read: it might have to be found for that.
        self.granule_of(target).filter(|_| target % 16 == 0 && self.is_backed(target))?;
        let meta = self.at::<AtomicU64>(target + 8).load(Ordering::Relaxed);
        let (class, index) = ((meta & 0xff) as usize, (meta >> 8) as u32);
        let size = u64::from(*CLASS_SIZES.get(class)?);
        // What was read may be anything, so the slab that it leads to must agree.
        [SMALL_SLAB, BIG_SLAB].into_iter().find_map(|granules| {
            let (first, count) = shape(class, granules);
            let slab = target.checked_sub(u64::from(first) + u64::from(index) * size)?;
            let run = self.granule_of(slab).filter(|g| self.granule_offset(*g) == slab)?;
            let is_slab = index < count && self.run_at(run) == Some((Use::Slab, granules));
            (is_slab && self.at::<Slab>(slab).class.load(Ordering::Relaxed) as usize == class)
                .then_some((slab, class, index))
        })
    }

    /// A block has become free: hints at it. Idempotent, and harmless should it have been taken again.
    pub(crate) fn after_free(&self, block: BlockRef) {
        if self.is_run(block.offset()) {
            self.end_large(block);
        } else if let Some((slab, class, index)) = self.locate(block.offset()) {
            fault!("arena.free:freed");
            self.slab_bits(slab, index / 64).fetch_or(1 << (index % 64), Ordering::SeqCst);
            fault!("arena.free:hinted");
            let ordinal = self.at::<Slab>(slab).ordinal.load(Ordering::Relaxed) % SLABS_PER_CLASS as u32;
            let available = &self.class(class).available[ordinal as usize / 64];
            if available.load(Ordering::SeqCst) & 1 << (ordinal % 64) == 0 {
                available.fetch_or(1 << (ordinal % 64), Ordering::SeqCst);
            }
        }
    }

    /// After a death: every slab may have free blocks. Costs one search in each that has none.
    pub(crate) fn refresh_hints(&self) {
        for class in 0..CLASS_SIZES.len() {
            let c = self.class(class);
            for ordinal in 0..self.slabs(class) {
                c.available[ordinal as usize / 64].fetch_or(1 << (ordinal % 64), Ordering::AcqRel);
            }
        }
    }

    /// Calls `f(class, refs)` with the reference word of each block and object that is not free.
    pub(crate) fn each_block(&self, mut f: impl FnMut(usize, u64)) {
        for class in 0..CLASS_SIZES.len() {
            for ordinal in 0..self.slabs(class) {
                let Some(slab) = self.slab_at(class, ordinal) else { continue };
                for index in 0..self.at::<Slab>(slab).count.load(Ordering::Relaxed) {
                    let target = self.block_at(slab, class, index);
                    if !Refs(self.at::<AtomicU64>(target).load(Ordering::Acquire)).is_free() {
                        f(class, target);
                    }
                }
            }
        }
    }
}

/// The class for an object of `size` bytes with its header.
pub(crate) fn object_class(size: usize) -> Option<usize> {
    (FIRST_OBJECT_CLASS..CLASS_SIZES.len()).find(|c| CLASS_SIZES[*c] as usize >= size)
}

#[cfg(test)]
mod tests {
    use super::super::block::{block_class, OBJECT_ALIGN};
    use super::*;

    #[test]
    fn slabs_are_filled_and_aligned() {
        for (class, size) in CLASS_SIZES.iter().enumerate() {
            for granules in [SMALL_SLAB, BIG_SLAB] {
                let (first, count) = shape(class, granules);
                assert!(u64::from(first + count * size) <= u64::from(granules) * GRANULE);
                assert!(u64::from(first + (count + 2) * size) > u64::from(granules) * GRANULE);
                assert!(size_of::<Slab>() as u32 + count.div_ceil(64) * 8 <= first);
                if class >= FIRST_OBJECT_CLASS {
                    assert_eq!(u64::from(first) % OBJECT_ALIGN, 0);
                }
            }
        }
        assert_eq!(block_class(1), Some(0));
        assert_eq!(object_class(64), Some(FIRST_OBJECT_CLASS));
        assert_eq!(object_class(4096), None);
    }
}
