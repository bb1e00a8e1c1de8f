//! What a pool looks like in the arena: its words, its job table and the records of its workers. `item.rs` has what
//! a job looks like.
//!
//! The jobs of a pool stand in a table that only the host writes. A worker that uses a job names it in its record
//! first (a hazard pointer: Michael, "Hazard Pointers", 2004), and the host frees no job that a record names.

use super::item::Job;
use crate::arena::layout::shared;
use crate::arena::{object, Arena, BlockRef, ObjectHead, ObjectKind, Owner};
use crate::sys::prim::{fence, AtomicU32, AtomicU64, Futex, Ordering};

/// The state of a pool: open, then one of the others.
pub(super) const OPEN: u32 = 0;
/// No submissions any more; the rest is finished.
pub(super) const CLOSED: u32 = 1;
/// Whatever has no outcome is cancelled.
pub(super) const TERMINATED: u32 = 2;
/// It has no workers and can't get any.
pub(super) const BROKEN: u32 = 3;

/// A pool's words in the arena.
#[repr(C)]
#[derive(Debug)]
pub(super) struct PoolCell {
    head: ObjectHead,
    pub(super) state: AtomicU32,
    pub(super) processes: AtomicU32,
    /// Positions of the job table before this one have no queued items: a [`First`].
    pub(super) first: AtomicU64,
    /// Positions before this one are no longer used.
    pub(super) low: AtomicU64,
    /// Positions from here on are not used yet.
    pub(super) tail: AtomicU64,
    /// The table, as a block.
    pub(super) table: AtomicU64,
    /// The records of the workers, as a block.
    pub(super) records: AtomicU64,
    pad: [AtomicU64; 3],
    /// Workers wait here for work.
    pub(super) work: Futex,
    pub(super) work_spin: AtomicU32,
    /// The host's service thread waits here for outcomes.
    pub(super) outcomes: Futex,
    pub(super) outcomes_spin: AtomicU32,
}

/// Where workers begin to look for queued items: a position, and an epoch that a mender raises as it sets the
/// position back, so that nobody moves on from what he saw before.
#[derive(Clone, Copy)]
pub(super) struct First(pub(super) u64);

const POSITION: u64 = (1 << 48) - 1;

impl First {
    pub(super) fn position(self) -> u64 {
        self.0 & POSITION
    }

    pub(super) fn next(self) -> First {
        First(self.0 & !POSITION | (self.position() + 1) & POSITION)
    }

    pub(super) fn set_back(self, position: u64) -> First {
        First((self.0 & !POSITION).wrapping_add(POSITION + 1) | position & POSITION)
    }
}

/// What is known of a worker while it runs.
#[repr(C, align(64))]
#[derive(Debug)]
pub(super) struct WorkerRecord {
    /// Its owner word, once it works.
    pub(super) owner: AtomicU32,
    pub(super) pid: AtomicU32,
    /// The owner word of the child that was made for it.
    pub(super) made: AtomicU32,
    /// The job that it uses, as a block: it is not freed.
    pub(super) hazard: AtomicU64,
}

/// The head of the job table: positions modulo `capacity` follow it.
#[repr(C)]
#[derive(Debug)]
struct TableHead {
    capacity: AtomicU64,
    /// The table before this one, which a worker may still read.
    before: AtomicU64,
}

shared!(PoolCell, WorkerRecord, TableHead);
object!(PoolCell, head, ObjectKind::Pool);

impl WorkerRecord {
    /// A record that keeps nothing: for the host, which holds the lock without which no job is freed.
    pub(super) fn unneeded() -> WorkerRecord {
        WorkerRecord {
            owner: AtomicU32::new(0),
            pid: AtomicU32::new(0),
            made: AtomicU32::new(0),
            hazard: AtomicU64::new(0),
        }
    }
}

impl PoolCell {
    pub(super) fn state(&self) -> u32 {
        self.state.load(Ordering::Acquire)
    }

    /// Leaves the open state, or the closed one for a worse.
    pub(super) fn enter_state(&self, state: u32) -> bool {
        self.state.fetch_max(state, Ordering::SeqCst) < state
    }

    /// The positions of the table that are in use, a few more perhaps.
    pub(super) fn positions(&self) -> std::ops::Range<u64> {
        let low = self.low.load(Ordering::Acquire);
        low..self.tail.load(Ordering::Acquire)
    }

    pub(super) fn workers(&self) -> u32 {
        self.processes.load(Ordering::Relaxed)
    }

    /// The record of a worker; the one after the last is the mender's.
    pub(super) fn record<'a>(&self, arena: &'a Arena, index: u32) -> &'a WorkerRecord {
        let records = BlockRef::from_bits(self.records.load(Ordering::Relaxed));
        let start = arena.data_offset(records).next_multiple_of(64);
        arena.at(start + u64::from(index) * size_of::<WorkerRecord>() as u64)
    }

    /// Bytes for the records of so many workers and the mender.
    pub(super) fn records_bytes(workers: u32) -> u64 {
        (u64::from(workers) + 2) * size_of::<WorkerRecord>() as u64
    }

    /// Bytes for a table of this capacity.
    pub(super) fn table_bytes(capacity: u64) -> u64 {
        size_of::<TableHead>() as u64 + capacity * 8
    }

    /// Prepares a table in a new block: with the entries from `low` on of the one before.
    pub(super) fn make_table(&self, arena: &Arena, block: BlockRef, capacity: u64, low: u64) {
        let head: &TableHead = arena.at(arena.data_offset(block));
        let before = self.table.load(Ordering::Relaxed);
        head.capacity.store(capacity, Ordering::Relaxed);
        head.before.store(before, Ordering::Relaxed);
        for index in 0..capacity {
            Self::word(arena, block, index).store(0, Ordering::Relaxed);
        }
        if before != 0 {
            for position in low..self.tail.load(Ordering::Relaxed) {
                let job = self.entry(arena, BlockRef::from_bits(before), position).load(Ordering::Relaxed);
                Self::word(arena, block, position % capacity).store(job, Ordering::Relaxed);
            }
        }
    }

    fn word(arena: &Arena, table: BlockRef, index: u64) -> &AtomicU64 {
        arena.at(arena.data_offset(table) + size_of::<TableHead>() as u64 + index * 8)
    }

    pub(super) fn capacity(&self, arena: &Arena) -> u64 {
        let table = BlockRef::from_bits(self.table.load(Ordering::Acquire));
        arena.at::<TableHead>(arena.data_offset(table)).capacity.load(Ordering::Relaxed)
    }

    fn entry<'a>(&self, arena: &'a Arena, table: BlockRef, position: u64) -> &'a AtomicU64 {
        let capacity =
            arena.at::<TableHead>(arena.data_offset(table)).capacity.load(Ordering::Relaxed).max(1);
        Self::word(arena, table, position % capacity)
    }

    /// The word of the table for a position.
    pub(super) fn job_word<'a>(&self, arena: &'a Arena, position: u64) -> &'a AtomicU64 {
        self.entry(arena, BlockRef::from_bits(self.table.load(Ordering::Acquire)), position)
    }

    /// The job at a position, which `record` then keeps from being freed. `None` if there is none.
    pub(super) fn use_job<'a>(
        &self,
        arena: &'a Arena,
        position: u64,
        record: &WorkerRecord,
    ) -> Option<Job<'a>> {
        loop {
            let table = self.table.load(Ordering::Acquire);
            let job = self.entry(arena, BlockRef::from_bits(table), position).load(Ordering::Acquire);
            if job == 0 {
                record.hazard.store(0, Ordering::Release);
                return None;
            }
            record.hazard.store(job, Ordering::SeqCst);
            fence(Ordering::SeqCst);
            if self.table.load(Ordering::SeqCst) == table
                && self.entry(arena, BlockRef::from_bits(table), position).load(Ordering::SeqCst) == job
            {
                return Some(Job::of(arena, BlockRef::from_bits(job)));
            }
        }
    }

    /// Whether a worker may be using the job.
    pub(super) fn is_used(&self, arena: &Arena, job: BlockRef) -> bool {
        fence(Ordering::SeqCst);
        (0..=self.workers()).map(|w| self.record(arena, w)).any(|record| {
            record.hazard.load(Ordering::SeqCst) == job.bits()
                && !arena.is_dead(Owner::of_word(record.owner.load(Ordering::Acquire)))
        })
    }

    /// Gives back the tables, the oldest first, so that each step may be done twice.
    pub(super) fn free_tables(&self, arena: &Arena) {
        loop {
            let mut word = &self.table;
            let mut table = BlockRef::from_bits(word.load(Ordering::Acquire));
            if !arena.is_held(table) {
                word.store(0, Ordering::Release);
                return;
            }
            loop {
                let before = &arena.at::<TableHead>(arena.data_offset(table)).before;
                let older = BlockRef::from_bits(before.load(Ordering::Relaxed));
                if !arena.is_held(older) {
                    break;
                }
                (word, table) = (before, older);
            }
            arena.release_block(table);
            word.store(0, Ordering::Release);
        }
    }
}
