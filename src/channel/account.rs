//! Accounts: what each process has taken from a queue and not yet told to be done, so that a join need not wait for the
//! dead.
//!
//! What is unfinished is what was put, the tail's ordinal, less what is done. A table beside the queue has a record
//! for each process that takes: its owner word, and how many messages it took and did not tell to be done. When it
//! has died, whoever joins, or finishes something, counts those as done and clears the record. All of it is written
//! under the head's turn.
//!
//! ```text
//! record:  owner | account: 63..32 count, 31..0 pending | at        log:  valid, void, record's offset | count, done
//! ```
//!
//! Killed between any two stores:
//! * A get writes where it takes (`at`), then that so many are pending, then commits, then adds them to the count. Who
//!   has the turn next finds them pending, and sees by `at` whether the commit took place: only that one had the
//!   turn, and nothing has moved since.
//! * Every other change is of two words, a record's and the queue's: it goes by the log, of which the last store is the
//!   commit. Who has the turn next does again what a log says that is still there; its numbers are absolute.
//!
//! In a queue that redelivers, a message is done when it is acknowledged, and comes back if its taker dies before. There
//! what is pending is an acknowledgement, and the count is a credit: so many acknowledged ones that a `task_done` of the
//! same process may still mean, or, if it is negative, so many of which it was told to be done before they were
//! acknowledged: those come back undone, so they are counted so before one of them is there again.

use super::ring::Position;
use super::settle::replace_part;
use super::store;
use super::words::{rule, Turn, Words};
use crate::arena::layout::shared;
use crate::arena::{Arena, BlockRef, Owner};
use crate::error::{Error, Result, Status};
use crate::fault;
use crate::sys::prim::{AtomicU32, AtomicU64, Ordering};

/// The first table is for so many processes.
const FIRST: u64 = 2;
const VALID: u64 = 1 << 63;
const VOID: u64 = 1 << 62;

/// What a process has taken, on a cache line of its own.
#[repr(C, align(64))]
#[derive(Debug)]
pub(super) struct Record {
    owner: AtomicU32,
    pad: AtomicU32,
    account: AtomicU64,
    at: AtomicU64,
    unused: [AtomicU64; 5],
}

shared!(Record);

impl Record {
    fn count(&self) -> i32 {
        (self.account.load(Ordering::Relaxed) >> 32) as i32
    }

    fn pending(&self) -> u32 {
        self.account.load(Ordering::Relaxed) as u32
    }

    fn set(&self, count: i32, pending: u32) {
        self.account.store(u64::from(count as u32) << 32 | u64::from(pending), Ordering::Release);
    }

    /// `n` messages are about to be taken, where `at` says.
    #[inline]
    pub(super) fn begin(&self, n: u32, at: u64) {
        // Not before the end of what was begun before.
        self.at.store(at, Ordering::Release);
        self.set(self.count(), n);
    }

    /// They have been.
    #[inline]
    pub(super) fn end(&self) {
        self.set(self.count().saturating_add_unsigned(self.pending()), 0);
    }
}

impl Words {
    /// Takes `n` messages out of the ring, those between the two positions, and counts them where they are counted. The
    /// caller has the head's turn.
    #[inline(always)]
    pub(super) fn take_run(&self, record: Option<&Record>, n: u32, from: Position, to: Position) {
        if let Some(record) = record {
            record.begin(n, from.0);
        }
        fault!("queue.get:copied");
        self.head.advance(to);
        fault!("queue.get:committed");
        if let Some(record) = record {
            record.end();
            fault!("queue.get:counted");
        }
    }
}

/// What a handle knows of its channel. Where this process's record was found last: in which table, and at which offset;
/// used under the head's turn.
#[derive(Debug, Default)]
pub(super) struct Mine {
    /// The queue's reference, which no later queue in its place has.
    pub(super) identity: u64,
    table: AtomicU64,
    record: AtomicU64,
}

impl Mine {
    pub(super) fn of(queue: BlockRef) -> Mine {
        Mine { identity: queue.bits(), ..Mine::default() }
    }
}

/// The accounts of a queue, for who has the head's turn.
#[derive(Clone, Copy)]
pub(super) struct Ledger<'a> {
    arena: &'static Arena,
    words: &'static Words,
    _turn: &'a Turn<'a>,
}

/// The records of a table.
fn records(arena: &'static Arena, words: &Words) -> &'static [Record] {
    let block = BlockRef::from_bits(words.accounts.load(Ordering::Acquire));
    if block.is_none() {
        return &[];
    }
    let start = arena.data_offset(block);
    let first = start.next_multiple_of(64);
    let bytes = arena.room_of(block).saturating_sub(first - start);
    arena.slice_at(first, bytes as usize / size_of::<Record>())
}

/// What was put and is not yet done.
pub(super) fn unfinished(words: &Words) -> u32 {
    let done = words.head.done.load(Ordering::Acquire);
    words.tail.position().ordinal().wrapping_sub(done)
}

/// Whether a dead process has a record.
pub(super) fn has_dead(arena: &'static Arena, words: &Words) -> bool {
    records(arena, words).iter().any(|record| {
        let owner = record.owner.load(Ordering::Acquire);
        owner != 0 && arena.is_dead(Owner::of_word(owner))
    })
}

/// Looks by system calls at the processes for which a join waits. True if one of them has died.
pub(super) fn investigate(arena: &'static Arena, words: &Words) -> bool {
    let mut found = false;
    for record in records(arena, words) {
        let owner = record.owner.load(Ordering::Acquire);
        if owner != 0 && owner != arena.me().bits() && record.account.load(Ordering::Relaxed) != 0 {
            found |= arena.investigate(Owner::of_word(owner));
        }
    }
    if found {
        arena.settle_pending();
    }
    found
}

impl<'a> Ledger<'a> {
    pub(super) fn new(arena: &'static Arena, words: &'static Words, turn: &'a Turn<'a>) -> Ledger<'a> {
        Ledger { arena, words, _turn: turn }
    }

    /// This process's record, made if there is none.
    #[inline]
    pub(super) fn mine(&self, mine: &Mine) -> Result<&'static Record> {
        match self.known(mine) {
            Some(record) => Ok(record),
            None => self.find_mine(mine),
        }
    }

    /// This process's record, if it is where it was found last.
    #[inline(always)]
    pub(super) fn known(&self, mine: &Mine) -> Option<&'static Record> {
        let table = self.words.accounts.load(Ordering::Relaxed);
        if table == 0 || mine.table.load(Ordering::Relaxed) != table {
            return None;
        }
        let record: &Record = self.arena.at(mine.record.load(Ordering::Relaxed));
        (record.owner.load(Ordering::Relaxed) == self.arena.me().bits()).then_some(record)
    }

    #[cold]
    fn find_mine(&self, mine: &Mine) -> Result<&'static Record> {
        let me = self.arena.me().bits();
        let of = |owner: u32| {
            let mut all = records(self.arena, self.words).iter();
            all.find(|record| record.owner.load(Ordering::Relaxed) == owner)
        };
        let record = match of(me).or_else(|| of(0)) {
            Some(record) => record,
            None => {
                self.fold_dead();
                match of(0) {
                    Some(record) => record,
                    None => self.grow()?,
                }
            }
        };
        record.owner.store(me, Ordering::Release);
        fault!("queue.account:entered");
        mine.table.store(self.words.accounts.load(Ordering::Relaxed), Ordering::Relaxed);
        mine.record.store(self.arena.offset_of(record), Ordering::Relaxed);
        Ok(record)
    }

    /// Makes the first table, if there is none yet: a queue that has filled the arena must be able to be drained.
    pub(super) fn prepare(&self) -> Result<()> {
        if self.words.is(rule::ACCOUNTS) && self.words.accounts.load(Ordering::Relaxed) == 0 {
            self.grow()?;
        }
        Ok(())
    }

    /// A table of twice the size; its first free record.
    fn grow(&self) -> Result<&'static Record> {
        let old = records(self.arena, self.words);
        let n = (2 * old.len() as u64).max(FIRST);
        let bytes = n * size_of::<Record>() as u64 + 64;
        let block = self.arena.allocate(bytes, false)?;
        let start = self.arena.data_offset(block.reference());
        self.arena.zero(start, self.arena.room_of(block.reference()));
        if let Some(first) = old.first() {
            let from = self.arena.offset_of(first);
            let bytes = self.arena.read(from, size_of_val(old) as u64);
            self.arena.write(start.next_multiple_of(64), bytes);
        }
        let taken = old.len();
        replace_part(self.arena, &self.words.accounts, block);
        records(self.arena, self.words)
            .get(taken)
            .ok_or_else(|| Error::internal("a table of accounts has no room"))
    }

    /// Makes a record's count and the queue's number of finished ones what is given.
    fn change(&self, record: &Record, count: i32, done: u32, void: bool) {
        let log = &self.words.head.log;
        // Not before the log of the change before has ended.
        log[1].store(u64::from(count as u32) << 32 | u64::from(done), Ordering::Release);
        let valid = VALID | if void { VOID } else { 0 };
        fault!("queue.account:logging");
        log[0].store(valid | self.arena.offset_of(record), Ordering::Release);
        self.replay();
    }

    /// Does what the log says.
    fn replay(&self) {
        let log = &self.words.head.log;
        let (what, numbers) = (log[0].load(Ordering::Acquire), log[1].load(Ordering::Relaxed));
        if what & VALID == 0 {
            return;
        }
        fault!("queue.account:logged");
        let record: &Record = self.arena.at(what & !(VALID | VOID));
        record.set((numbers >> 32) as i32, 0);
        fault!("queue.account:counted");
        if what & VOID != 0 {
            record.owner.store(0, Ordering::Release);
            fault!("queue.account:voided");
        }
        self.words.head.done.store(numbers as u32, Ordering::Release);
        fault!("queue.account:done");
        log[0].store(0, Ordering::Release);
        fault!("queue.account:ended");
    }

    /// The one before died having the turn: what it was at is finished, or told to have been nothing.
    pub(super) fn mend(&self) {
        self.replay();
        for record in records(self.arena, self.words).iter().filter(|record| record.pending() != 0) {
            let at = record.at.load(Ordering::Relaxed);
            let committed = if self.words.is(rule::STORE) {
                store::was_taken(self.arena, self.words, at)
            } else {
                self.words.head.position().ordinal() != Position(at).ordinal()
            };
            if committed && self.words.is(rule::REDELIVER) {
                self.credit(record);
            } else if committed {
                record.end();
            } else {
                record.set(record.count(), 0);
            }
        }
    }

    /// What the dead had taken counts as done, or, if it comes back, no more as done. True if there were any.
    pub(super) fn fold_dead(&self) -> bool {
        let redelivers = self.words.is(rule::REDELIVER);
        let mut found = false;
        for record in records(self.arena, self.words) {
            let owner = record.owner.load(Ordering::Relaxed);
            if owner == 0 || !self.arena.is_dead(Owner::of_word(owner)) {
                continue;
            }
            found = true;
            let count = if redelivers { record.count().min(0) } else { record.count() };
            let done = self.words.head.done.load(Ordering::Relaxed);
            // No more than was taken: what was told to be done before it was taken has been counted.
            let most = self.words.head.position().ordinal().wrapping_sub(done) as i32;
            self.change(record, 0, done.wrapping_add_signed(count.min(most.max(0))), true);
        }
        found
    }

    /// One message of this process, or else of another one's, is done. True if it was the last.
    pub(super) fn finish(&self, mine: &Mine) -> Result<bool> {
        let record = self.mine(mine)?;
        if record.count() <= 0 {
            self.fold_dead();
        }
        let (left, done) = (unfinished(self.words), self.words.head.done.load(Ordering::Relaxed));
        if self.words.is(rule::REDELIVER) && record.count() > 0 {
            // It was acknowledged, and counted then.
            record.set(record.count() - 1, 0);
            return Ok(false);
        }
        if left == 0 {
            return Err(too_often());
        }
        if self.words.is(rule::REDELIVER) {
            self.change(record, record.count().saturating_sub(1), done.wrapping_add(1), false);
            return Ok(left == 1);
        }
        let others = || records(self.arena, self.words).iter().find(|record| record.count() > 0);
        // Of none that was taken: then of one that will be. It counts for the dead no more than is left.
        let of = Some(record).filter(|record| record.count() > 0).or_else(others);
        let (record, count) = of.map_or((record, 0), |record| (record, record.count() - 1));
        self.change(record, count, done.wrapping_add(1), false);
        Ok(left == 1)
    }

    /// One message was acknowledged in a queue that redelivers. True if it was the last unfinished one.
    pub(super) fn credit(&self, record: &Record) -> bool {
        let count = record.count().saturating_add(1);
        if count <= 0 {
            record.set(count, 0);
            return false;
        }
        let (left, done) = (unfinished(self.words), self.words.head.done.load(Ordering::Relaxed));
        self.change(record, count, done.wrapping_add(u32::from(left > 0)), false);
        left == 1
    }

    /// The message that was pending is done, for it was dropped.
    pub(super) fn end_drop(&self, record: &Record) {
        let (left, done) = (unfinished(self.words), self.words.head.done.load(Ordering::Relaxed));
        self.change(record, record.count(), done.wrapping_add(u32::from(left > 0)), false);
    }
}

#[cold]
fn too_often() -> Error {
    Error::new(Status::Overflow, "task_done was called more often than messages were put: none is unfinished")
}
