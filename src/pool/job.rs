//! Making a job, entering it in the pool's table, and taking it out again.

use super::item::{item_count, Item, Job, JobHead, Slice};
use super::layout::PoolCell;
use crate::arena::held::kind;
use crate::arena::{Arena, Block, BlockRef, Entry, EntryIndex};
use crate::error::Result;
use crate::fault;
use crate::sys::prim::{AtomicU64, Ordering};

/// The items of a submission.
#[derive(Clone, Copy, Debug)]
pub enum Items<'a> {
    /// One argument each.
    Single(&'a [&'a [u8]]),
    /// Any number of arguments each.
    Many(&'a [Vec<&'a [u8]>]),
}

impl<'a> Items<'a> {
    pub(super) fn count(&self) -> usize {
        match self {
            Items::Single(items) => items.len(),
            Items::Many(items) => items.len(),
        }
    }

    fn arguments(&self, index: usize) -> &[&'a [u8]] {
        match self {
            Items::Single(items) => std::slice::from_ref(&items[index]),
            Items::Many(items) => &items[index],
        }
    }

    fn totals(&self) -> (u64, u64) {
        (0..self.count()).flat_map(|i| self.arguments(i)).fold((0, 0), |(slices, bytes), argument| {
            (slices + 1, bytes + (argument.len() as u64).next_multiple_of(16))
        })
    }
}

/// Writes a job into a new block.
pub(super) fn make(
    arena: &'static Arena,
    items: Items<'_>,
    chunk: u32,
    progress: bool,
    target: &[u8],
) -> Result<Block> {
    let count = item_count(items.count())?;
    let (slices, bytes) = items.totals();
    let items_bytes = u64::from(count) * size_of::<Item>() as u64;
    let slices_bytes = slices * size_of::<Slice>() as u64;
    let target_bytes = (target.len() as u64).next_multiple_of(16);
    let fixed = size_of::<JobHead>() as u64 + items_bytes;
    let block = arena.allocate(Job::SLACK + fixed + slices_bytes + target_bytes + bytes, false)?;
    let start = arena.data_offset(block.reference()).next_multiple_of(64);
    arena.zero(start, fixed);
    let job = Job::of(arena, block.reference());
    let head = job.head;
    let items_at = start + size_of::<JobHead>() as u64;
    let slices_at = items_at + items_bytes;
    let target_at = slices_at + slices_bytes;
    head.count.store(count, Ordering::Relaxed);
    head.chunk.store(chunk.max(1), Ordering::Relaxed);
    head.progress.store(u32::from(progress), Ordering::Relaxed);
    head.items.store(items_at, Ordering::Relaxed);
    head.slices.store(slices_at, Ordering::Relaxed);
    head.target.store(target_at, Ordering::Relaxed);
    head.target_length.store(target.len() as u32, Ordering::Relaxed);
    arena.write(target_at, target);
    write_arguments(arena, &job, items, slices_at, target_at + target_bytes);
    Ok(block)
}

fn write_arguments(arena: &Arena, job: &Job<'_>, items: Items<'_>, slices_at: u64, bytes_at: u64) {
    let (mut slice_number, mut at) = (0u32, bytes_at);
    for index in 0..items.count() {
        let arguments = items.arguments(index);
        let item = job.item(index as u32);
        item.first_slice.store(slice_number, Ordering::Relaxed);
        item.slices.store(arguments.len() as u32, Ordering::Relaxed);
        for argument in arguments {
            let slice: &Slice = arena.at(slices_at + u64::from(slice_number) * size_of::<Slice>() as u64);
            slice.offset.store(at, Ordering::Relaxed);
            slice.length.store(argument.len() as u64, Ordering::Relaxed);
            arena.write(at, argument);
            at += (argument.len() as u64).next_multiple_of(16);
            slice_number += 1;
        }
    }
}

/// Enters a job in the pool's table at its next position. The caller is the host and holds its lock. The commit is
/// the store into the table; the entry POOL_JOB says before it whose the block is.
pub(super) fn enter(cell: &PoolCell, block: Block, low: u64) -> Result<u64> {
    let arena = block.arena();
    let position = cell.tail.load(Ordering::Relaxed);
    if position - low >= cell.capacity(arena) {
        grow_table(cell, arena, low)?;
    }
    link(block, cell.job_word(arena, position), kind::POOL_JOB);
    cell.tail.store(position + 1, Ordering::Release);
    Ok(position)
}

/// Makes a block a part of the pool by one store into `word`.
pub(super) fn link(block: Block, word: &AtomicU64, as_kind: u32) {
    block.entry().turn(as_kind, 0, block.arena().offset_of(word));
    fault!("pool.link:noted");
    word.store(block.reference().bits(), Ordering::SeqCst);
    fault!("pool.link:linked");
    block.surrender();
}

/// A larger table. The old one stays as long as the pool: a worker may be reading it.
fn grow_table(cell: &PoolCell, arena: &'static Arena, low: u64) -> Result<()> {
    let capacity = cell.capacity(arena) * 2;
    let block = arena.allocate(PoolCell::table_bytes(capacity), false)?;
    cell.make_table(arena, block.reference(), capacity, low);
    link(block, &cell.table, kind::OBJECT_PART);
    Ok(())
}

/// A job that is out of the table but not yet given back, because a record may name it.
#[derive(Debug)]
pub(super) struct Unlinked {
    block: BlockRef,
    entry: EntryIndex,
}

/// Takes a job out of the table. The caller is the host and holds its lock.
pub(super) fn unlink(cell: &PoolCell, arena: &'static Arena, position: u64) -> Result<Unlinked> {
    let word = cell.job_word(arena, position);
    let block = BlockRef::from_bits(word.load(Ordering::Acquire));
    let entry = arena.new_entry(block)?;
    arena.my_entry(entry).turn(kind::POOL_JOB, 0, arena.offset_of(word));
    fault!("pool.unlink:noted");
    word.store(0, Ordering::SeqCst);
    fault!("pool.unlink:unlinked");
    Ok(Unlinked { block, entry })
}

impl Unlinked {
    /// Gives the job back, if no record names it.
    pub(super) fn free(self, cell: &PoolCell, arena: &'static Arena) -> std::result::Result<(), Unlinked> {
        if cell.is_used(arena, self.block) {
            return Err(self);
        }
        free(arena, self.block, arena.my_entry(self.entry));
        arena.return_entry(self.entry);
        Ok(())
    }
}

/// Gives back a job and its results, and frees the entry that names it.
fn free(arena: &Arena, block: BlockRef, entry: &Entry) {
    if arena.is_held(block) {
        Job::of(arena, block).free_results();
        fault!("pool.free:results");
    }
    arena.give_back(block, entry);
}

/// A job that was being entered or taken out by a process that died: it is the pool's if the table has it.
pub(crate) fn settle_job(arena: &Arena, entry: &Entry) {
    let (block, _, word) = entry.words();
    if arena.at::<AtomicU64>(word).load(Ordering::Acquire) == block {
        entry.become_kind(kind::FREE);
    } else {
        free(arena, BlockRef::from_bits(block), entry);
    }
}

/// A result that was being handed over: it is the job's if the item has its outcome by it. An item that was
/// cancelled meanwhile may name it, but does not own it.
pub(crate) fn settle_result(arena: &Arena, entry: &Entry) {
    let (block, item, _) = entry.words();
    let item = arena.at::<Item>(item);
    let handed_over = item.state().owns_result() && item.result.load(Ordering::Relaxed) == block;
    entry.become_kind(if handed_over { kind::FREE } else { kind::PRIVATE });
}

/// Takes apart the pool at `offset`: its jobs, tables and records.
pub(crate) fn destroy(arena: &Arena, offset: u64) {
    let cell = arena.at::<PoolCell>(offset);
    // Who took it apart before may have given the table back without having said so.
    if arena.is_held(BlockRef::from_bits(cell.table.load(Ordering::Acquire))) {
        for position in 0..cell.capacity(arena) {
            let word = cell.job_word(arena, position);
            let block = BlockRef::from_bits(word.load(Ordering::Acquire));
            if !block.is_none() && arena.is_held(block) {
                Job::of(arena, block).free_results();
                arena.release_block(block);
            }
            fault!("pool.destroy:job");
            word.store(0, Ordering::Release);
        }
    }
    cell.free_tables(arena);
    arena.release_block(BlockRef::from_bits(cell.records.load(Ordering::Acquire)));
    cell.records.store(0, Ordering::Release);
}
