//! Blocks: owned pieces of arena memory of any size.

use super::held::{kind, Entry};
use super::layout::{BLOCK_HEADER, CLASS_SIZES, FIRST_OBJECT_CLASS};
use super::refs::{BlockRef, Refs};
use super::{Arena, Tables};
use crate::error::{Result, Status};
use crate::sys::prim::{AtomicU64, Ordering};

/// Where the reference word of a large block lies in its run: the data begins on the next cache line.
pub(crate) const LARGE_META: u64 = 64 - BLOCK_HEADER;
/// What a large block's second word says in place of a class.
pub(crate) const LARGE_CLASS: u64 = 0xff;
/// Alignment of objects.
#[cfg(test)]
pub(crate) const OBJECT_ALIGN: u64 = 64;

/// The class for a block with `length` bytes of data, if it is not a large one.
pub(crate) fn block_class(length: u64) -> Option<usize> {
    let total = length.checked_add(BLOCK_HEADER)?;
    // From 4 KiB on data is aligned to 64, which only the classes beyond a page are.
    (0..FIRST_OBJECT_CLASS)
        .find(|c| u64::from(CLASS_SIZES[*c]) >= total && (length < 4096 || CLASS_SIZES[*c] > 4096))
}

/// Where a new block is noted by the process that takes it.
#[derive(Clone, Copy)]
pub(crate) enum Place<'a> {
    /// In a held entry, which then becomes this kind.
    Entry(&'a Entry, u32),
    /// In a slot's word for a chunk of entries that is being made.
    Chunk(&'a AtomicU64),
}

impl Place<'_> {
    /// Notes which block is about to be taken.
    pub(crate) fn name(self, block: BlockRef) {
        let word = match self {
            Place::Entry(entry, _) => &entry.a,
            Place::Chunk(word) => word,
        };
        word.store(block.bits(), Ordering::Relaxed);
    }

    /// The journal's entry, and what becomes of it when the block was taken.
    pub(crate) fn verdict(self, arena: &Arena) -> (u64, u32) {
        match self {
            Place::Entry(entry, kind) => (arena.offset_of(entry), kind),
            Place::Chunk(word) => (arena.offset_of(word), super::journal::CHUNK),
        }
    }

    /// The block has been taken.
    pub(crate) fn fill(self) {
        if let Place::Entry(entry, kind) = self {
            entry.become_kind(kind);
        }
    }
}

/// A block that this process holds, and the entry that says so. Dropping it gives it back.
#[derive(Debug)]
pub struct Block {
    arena: &'static Arena,
    reference: BlockRef,
    entry: EntryIndex,
}

/// A held entry of this process, by number: it stays right in a forked child, whose table is a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryIndex(pub(crate) u32);

impl Arena {
    /// Takes a block for `place`.
    pub(crate) fn take(&self, tables: &mut Tables, length: u64, place: Place<'_>) -> Result<BlockRef> {
        match block_class(length) {
            Some(class) => self.take_block(tables, class, place),
            None => self.make_large(tables, length, place),
        }
    }

    /// A new block with `length` bytes of data, which a forked child shares or not.
    pub fn allocate(&'static self, length: u64, shared_by_fork: bool) -> Result<Block> {
        let kind = if shared_by_fork { kind::BLOCK } else { kind::PRIVATE };
        let take = || self.or_after_sweep(|| self.try_allocate(length, kind));
        let block = match take() {
            // What lies idle in pieces may be what the machine lacks.
            Err(error)
                if error.status() == Status::NoMemory && self.has_granules(length) && self.trim_all() =>
            {
                take()?
            }
            taken => taken?,
        };
        if block_class(length).is_none() {
            self.tidy_old();
            self.trim_old();
        }
        Ok(block)
    }

    /// When memory is short, those who have ended unnoticed may have some.
    pub(crate) fn or_after_sweep<T>(&self, take: impl Fn() -> Result<T>) -> Result<T> {
        match take() {
            Err(error) if error.status() == Status::NoMemory && self.sweep_finds_dead(|| ()) => take(),
            result => result,
        }
    }

    fn try_allocate(&'static self, length: u64, kind: u32) -> Result<Block> {
        let mut tables = self.tables.lock();
        let entry = self.take_entry(&mut tables)?;
        match self.take(&mut tables, length, Place::Entry(self.my_entry(entry), kind)) {
            Ok(reference) => Ok(Block { arena: self, reference, entry }),
            Err(error) => {
                tables.free.push(entry.0);
                Err(error)
            }
        }
    }

    /// Whether the reference is to a block or an object that exists, in whatever generation.
    pub(crate) fn locates(&self, block: BlockRef) -> bool {
        self.is_run(block.offset()) || self.locate(block.offset()).is_some()
    }

    /// Whether the block has a holder in the generation that is meant.
    pub fn is_held(&self, block: BlockRef) -> bool {
        self.locates(block) && {
            let refs = Refs(self.at::<AtomicU64>(block.offset()).load(Ordering::Acquire));
            refs.is_held() && refs.generation() == block.generation()
        }
    }

    /// The data of a block whose holder the caller knows to exist.
    pub fn data_of(&self, block: BlockRef) -> *mut u8 {
        self.pointer(block.offset() + BLOCK_HEADER)
    }

    /// The offset of a block's data.
    #[inline(always)]
    pub fn data_offset(&self, block: BlockRef) -> u64 {
        block.offset() + BLOCK_HEADER
    }

    /// How many bytes of data a block has room for. Never beyond the arena, though the block may have gone and its
    /// memory may be another's: who looks without a lock then reads nonsense, but reads on.
    pub fn room_of(&self, block: BlockRef) -> u64 {
        let meta = self.at::<AtomicU64>(block.offset() + 8).load(Ordering::Relaxed);
        let room = if meta & 0xff == LARGE_CLASS {
            meta >> 8
        } else {
            CLASS_SIZES.get((meta & 0xff) as usize).map_or(0, |size| u64::from(*size) - BLOCK_HEADER)
        };
        room.min(self.capacity() - self.data_offset(block))
    }

    /// One more holder of a block that this process holds: the same bytes.
    pub fn share_block(&'static self, block: &Block) -> Result<Block> {
        let (reference, mut tables) = (block.reference, self.tables.lock());
        let index = self.take_entry(&mut tables)?;
        let entry = self.my_entry(index);
        entry.a.store(reference.bits(), Ordering::Relaxed);
        if let Err(error) = self.raise(&mut tables, reference, Some((entry, kind::BLOCK))) {
            tables.free.push(index.0);
            return Err(error);
        }
        Ok(Block { arena: self, reference, entry: index })
    }

    /// Gives back a block that a structure held, which this process has just taken out of it by the entry's turn.
    pub fn give_back(&self, block: BlockRef, entry: &Entry) {
        self.lower(block, Some((entry, kind::FREE)));
    }

    /// Gives back a block that no entry names.
    pub fn release_block(&self, block: BlockRef) {
        self.lower(block, None);
    }
}

impl Block {
    /// Which block.
    pub fn reference(&self) -> BlockRef {
        self.reference
    }

    /// Its data.
    pub fn data(&self) -> *mut u8 {
        self.arena.data_of(self.reference)
    }

    /// The entry that holds it.
    pub fn entry(&self) -> &Entry {
        self.arena.my_entry(self.entry)
    }

    /// The arena.
    pub fn arena(&self) -> &'static Arena {
        self.arena
    }

    /// A block that the entry already names: it has become this process's by the entry's turn.
    pub fn adopt(arena: &'static Arena, reference: BlockRef, entry: EntryIndex) -> Block {
        Block { arena, reference, entry }
    }

    /// Keeps the block from being shared by a fork from now on; false if somebody shares it already.
    pub fn make_private(&self) -> bool {
        // The fork handler copies entries under this lock.
        let _tables = self.arena.tables.lock();
        let word = self.arena.at::<AtomicU64>(self.reference.offset());
        let alone = Refs(word.load(Ordering::Acquire)).holders() == 1;
        if alone {
            self.entry().become_kind(kind::PRIVATE);
        }
        alone
    }

    /// A forked child shares it again.
    pub fn make_shared(&self) {
        self.entry().become_kind(kind::BLOCK);
    }

    /// Lets go of the block, which something else holds from now on, and of the entry, which must be free.
    pub fn surrender(self) {
        self.entry().become_kind(kind::FREE);
        self.arena.return_entry(self.entry);
        std::mem::forget(self);
    }

    /// Makes the block a part of an object that this process holds, by one store into the object's `word`; the
    /// object gives it back when it is taken apart. Killed before the store, the block goes back by the entry
    /// `OBJECT_PART`; after it, the block is the object's.
    pub fn become_part(self, word: &AtomicU64) {
        self.entry().turn(kind::OBJECT_PART, 0, self.arena.offset_of(word));
        crate::fault!("arena.part:noted");
        word.store(self.reference.bits(), Ordering::SeqCst);
        crate::fault!("arena.part:linked");
        self.surrender();
    }

    /// Its parts, for a caller that keeps the entry.
    pub fn into_parts(self) -> (BlockRef, EntryIndex) {
        let parts = (self.reference, self.entry);
        std::mem::forget(self);
        parts
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if self.arena.lost() {
            return;
        }
        self.arena.settle_entry(self.entry());
        self.arena.return_entry(self.entry);
    }
}
