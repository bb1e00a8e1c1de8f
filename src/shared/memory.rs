//! Blocks for data that users point at: zeroed, aligned to a cache line or to a huge page.
//!
//! Such a block is made and filled first, then becomes a part of its object by one store (`Block::become_part`).
//! Killed before that store, the block goes back by its entry, and the object, which knows of no block yet, by its
//! own; after it, the block goes with the object.

use crate::arena::{Arena, Block, BlockRef};
use crate::error::{Error, Result, Status};
use crate::fault;
use crate::sys::prim::{AtomicU64, Ordering};

/// A cache line: what data is aligned to.
pub(super) const LINE: u64 = 64;
/// A huge page: what data is aligned to that is to lie on such.
pub(super) const HUGE: u64 = 2 << 20;

/// How many bytes a block needs so that `length` of them can be aligned.
fn room_for(length: u64, align: u64) -> Option<u64> {
    // A block's data is aligned to 16, from 4 KiB on to a cache line.
    let at_least = if length >= 4096 { LINE } else { 16 };
    length.checked_add(align.saturating_sub(at_least))
}

/// Where the data of a block begins.
fn data_of(arena: &Arena, block: BlockRef, align: u64) -> u64 {
    arena.data_offset(block).next_multiple_of(align)
}

/// A block with `length` bytes that are `init`, or zero.
pub(super) fn make(arena: &'static Arena, length: u64, align: u64, init: Option<&[u8]>) -> Result<Block> {
    let room = room_for(length.max(1), align).ok_or_else(|| {
        Error::new(Status::NoMemory, format!("{length} bytes were asked for: more than there can be"))
    })?;
    let block = arena.allocate(room, false)?;
    let at = data_of(arena, block.reference(), align);
    if align == HUGE {
        arena.prefer_huge_pages(at, length);
    }
    match init {
        Some(bytes) => arena.write(at, bytes),
        None => arena.zero(at, length),
    }
    fault!("shared.memory:filled");
    Ok(block)
}

/// Where the data of the block lies that an object's word names.
pub(super) fn locate(arena: &Arena, word: &AtomicU64, length: u64, align: u64) -> Result<u64> {
    let block = BlockRef::from_bits(word.load(Ordering::Acquire));
    let room = room_for(length.max(1), align);
    if block.is_none() || !arena.is_held(block) || room.is_none_or(|room| room > arena.room_of(block)) {
        return Err(Error::internal("a shared object does not have the block that it needs"));
    }
    Ok(data_of(arena, block, align))
}

/// Gives back the block that an object's word names, if there is one. May be done twice.
pub(super) fn give_back(arena: &Arena, word: &AtomicU64) {
    let block = BlockRef::from_bits(word.load(Ordering::Acquire));
    if !block.is_none() {
        arena.release_block(block);
        fault!("shared.destroy:freed");
        word.store(0, Ordering::Release);
    }
}
