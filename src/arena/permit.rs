//! Permits of robust semaphores: those of a dead process come back.
//!
//! The semaphore's count is a word like a reference word: below the count stands who changed it last, by which
//! operation of its journal. Taking a permit is one exchange of that word with the verdict "this entry of my held
//! table becomes PERMIT", giving it back one with the verdict "it becomes FREE". So there is no window between taking
//! and recording: killed between any two stores,
//! * before the exchange: the count is as it was, and the entry as well;
//! * between the exchange and the entry's new kind: the settler of the journal gives it that kind;
//! * with an entry PERMIT: its settler gives the permit back, by its own journal, and wakes a waiter.
//!
//! The object lives as long as the entry: a process with permits also has a handle, and entries of permits are settled
//! before handles. When it frees its last handle with permits in hand, the handle's entry stays, as their anchor.
//!
//! Which entries of this process are permits of which semaphore is kept beside, in [`Permits`], so that a release
//! need not search. They are copied by fork, and a child, to which none of its parent's permits belong, sees by their
//! `home` that they are not its own.

use super::block::EntryIndex;
use super::held::{kind, Entry};
use super::refs::BlockRef;
use super::wait::may_glance;
use super::{Arena, Tables};
use crate::error::{Error, Result, Status};
use crate::sys::prim::{AtomicU64, Ordering};
use std::collections::BTreeMap;

/// Below the count stand slot and operation, as in a reference word.
pub(crate) const COUNT_SHIFT: u32 = 28;

/// The count in a counting word.
pub fn count(word: &AtomicU64) -> u32 {
    (word.load(Ordering::Acquire) >> COUNT_SHIFT) as u32
}

/// Sets the counting word of an object that nobody knows yet.
pub fn begin(word: &AtomicU64, value: u32) {
    word.store(u64::from(value) << COUNT_SHIFT, Ordering::Relaxed);
}

/// What this process has of each robust semaphore, by the object's bits.
pub(crate) type Permits = BTreeMap<u64, Mine>;

/// What this process has of one robust semaphore.
#[derive(Debug, Default)]
pub(crate) struct Mine {
    /// Whose permits these are, as an owner word.
    home: u32,
    handles: u32,
    /// The entries PERMIT.
    permits: Vec<EntryIndex>,
    /// The entry of the last handle, freed while there were permits.
    anchor: Option<EntryIndex>,
}

/// A robust semaphore as its waiters look after it: whether somebody died with a permit.
#[derive(Clone, Copy, Debug)]
pub struct Holders<'a> {
    /// The semaphore.
    pub object: BlockRef,
    /// Its counting word.
    pub count: &'a AtomicU64,
}

impl Arena {
    /// What this process has of `object`. Of a forked child's copy the permits are not its own.
    fn mine<'t>(&self, tables: &'t mut Tables, object: BlockRef) -> &'t mut Mine {
        let mine = tables.permits.entry(object.bits()).or_default();
        if mine.home != self.me().bits() {
            mine.home = self.me().bits();
            tables.free.extend(mine.permits.drain(..).map(|index| index.0));
        }
        mine
    }

    /// This process has one handle more of a robust semaphore.
    pub fn join_permits(&self, object: BlockRef) {
        let anchor = {
            let mut tables = self.tables.lock();
            let mine = self.mine(&mut tables, object);
            mine.handles += 1;
            mine.anchor.take()
        };
        anchor.into_iter().for_each(|anchor| self.drop_anchor(anchor));
    }

    /// This process frees a handle, whose entry `entry` is. False if the entry must stay, as the anchor of permits.
    pub fn leave_permits(&self, object: BlockRef, entry: EntryIndex) -> bool {
        let mut tables = self.tables.lock();
        let mine = self.mine(&mut tables, object);
        mine.handles -= 1;
        if mine.handles > 0 {
            return true;
        }
        if mine.permits.is_empty() {
            tables.permits.remove(&object.bits());
            return true;
        }
        mine.anchor = Some(entry);
        false
    }

    fn drop_anchor(&self, anchor: EntryIndex) {
        self.drop_holder(self.my_entry(anchor));
        self.return_entry(anchor);
    }

    /// Takes a permit if there is one: how many that leaves.
    pub fn take_permit(&self, object: BlockRef, word: &AtomicU64) -> Result<Option<u32>> {
        if count(word) == 0 {
            return Ok(None);
        }
        let mut tables = self.tables.lock();
        let index = self.take_entry(&mut tables)?;
        let entry = self.my_entry(index);
        entry.a.store(object.bits(), Ordering::Relaxed);
        let left = self.change_count(&mut tables, word, entry, kind::PERMIT, |n| n.checked_sub(1));
        match left {
            Some(_) => self.mine(&mut tables, object).permits.push(index),
            None => tables.free.push(index.0),
        }
        Ok(left)
    }

    /// Gives back `n` permits of this process, or none if it has fewer: whether there were none to be had before.
    pub fn give_permits(&self, object: BlockRef, word: &AtomicU64, n: u32, max: u32) -> Result<bool> {
        let mut tables = self.tables.lock();
        let have = self.mine(&mut tables, object).permits.len();
        if have < n as usize {
            return Err(Error::new(
                Status::NotOwner,
                format!(
                    "{n} permits of the robust semaphore cannot be released: this process has {have} of them"
                ),
            ));
        }
        let mut was_empty = false;
        for _ in 0..n {
            let Some(index) = self.mine(&mut tables, object).permits.pop() else { break };
            let one_more = |n: u32| n.checked_add(1).filter(|n| *n <= max);
            match self.change_count(&mut tables, word, self.my_entry(index), kind::FREE, one_more) {
                Some(now) => was_empty |= now == 1,
                None => {
                    self.mine(&mut tables, object).permits.push(index);
                    let text = format!("{n} more permits would exceed the semaphore's {max}");
                    return Err(Error::new(Status::Overflow, text));
                }
            }
            tables.free.push(index.0);
        }
        Ok(was_empty)
    }

    /// The permit of a dead process, of which `entry` tells, comes back.
    pub(crate) fn return_permit(&self, word: &AtomicU64, entry: &Entry) {
        let mut tables = self.tables.lock();
        let back = self.change_count(&mut tables, word, entry, kind::FREE, |n| n.checked_add(1));
        if back.is_none() {
            // More than can be counted: the count was damaged. The entry must end all the same.
            entry.become_kind(kind::FREE);
        }
    }
}

impl Holders<'_> {
    /// For who only tries: looks at those who have a permit. True if a permit may have come back.
    pub(crate) fn glance(&self, arena: &Arena) -> bool {
        may_glance(self.count) && self.look(arena)
    }

    /// Looks at those who have a permit, and settles whoever of them has died. True if a permit may have come back.
    /// Held tables are only read; system calls are for processes with a permit.
    pub(crate) fn look(&self, arena: &Arena) -> bool {
        arena.look_at(|number| self.is_held_by(arena, number))
    }

    /// Whether the process of this slot has a permit, or is just taking one or giving it back.
    pub(super) fn is_held_by(&self, arena: &Arena, number: u32) -> bool {
        let slot = arena.slot(number);
        let is_permit = |entry: &Entry| {
            entry.kind() == kind::PERMIT && entry.a.load(Ordering::Relaxed) == self.object.bits()
        };
        let is_at_it = slot.journal.open.load(Ordering::Acquire) != 0
            && slot.journal.target.load(Ordering::Relaxed) == arena.offset_of(self.count);
        is_at_it || (0..arena.entry_count(slot)).any(|index| is_permit(arena.entry(slot, index)))
    }
}
