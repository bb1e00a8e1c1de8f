//! The journal: one operation on a reference word at a time per process, made so that its outcome can be told
//! after a death at any store.
//!
//! An operation opens its record (`open` is stored last), changes the reference word by an exchange that leaves
//! (slot, operation) in it, stores what follows from it in the held entry, and closes the record. Whoever is
//! about to replace a word that names (slot, operation) first *confirms* that operation in its slot. So for an
//! open record there are two cases: the word still names the operation, or the operation is confirmed: then it
//! was done; otherwise it was not, and since the process is dead it never will be.
//!
//! Killed between any two stores:
//! * before `open`: nothing happened. After it, before the exchange: the settler gives the entry its "not done"
//!   kind, and puts a free block back among the hints.
//! * after the exchange: the settler gives the entry its "done" kind and finishes what a freed block or a dying
//!   object needs; each of those steps is idempotent. After the close: nothing is in doubt.
//!
//! A confirmation can go astray only if a process sleeps between reading a word and confirming it for exactly a
//! multiple of 65,536 operations of the other, whose death then falls into its one open operation.

use super::held::{kind, Entry};
use super::permit::COUNT_SHIFT;
use super::refs::{Actor, BlockRef, Refs};
use super::slot::{Journal, Slot};
use super::{Arena, Tables};
use crate::fault;
use crate::sys::prim::{AtomicU64, Ordering};

/// What the target of an operation is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub(crate) enum What {
    /// A reference word.
    Refs = 1,
    /// A new run of granules; its reference word is the target.
    Run = 2,
    /// A new slab: the target is its run, `entry` its class.
    Slab = 3,
    /// A counting word: where a reference word has generation and holders, it has a count.
    Count = 4,
}

/// The verdict of an operation whose entry is a word that names a new chunk: zero if it was not done.
const CHUNK_VERDICT: u64 = u64::MAX;
/// The kind that leads to it.
pub(crate) const CHUNK: u32 = u32::MAX;
/// The verdict of an operation whose entry is a word that names the target: zero if it was done.
const LINK_VERDICT: u64 = u64::MAX - 1;
/// The kind that leads to it.
const LINK: u32 = u32::MAX - 1;

impl Journal {
    fn open(&self, what: What, number: u32, target: u64, entry: u64, done: u32, not_done: u32) {
        self.what.store(what as u32, Ordering::Relaxed);
        self.target.store(target, Ordering::Relaxed);
        self.entry.store(entry, Ordering::Relaxed);
        let verdict = match done {
            CHUNK => CHUNK_VERDICT,
            LINK => LINK_VERDICT,
            _ => u64::from(done) << 32 | u64::from(not_done),
        };
        self.verdict.store(verdict, Ordering::Relaxed);
        self.last.store(number, Ordering::Relaxed);
        self.open.store(number, Ordering::Release);
    }

    fn close(&self) {
        self.open.store(0, Ordering::Release);
    }
}

/// An operation under way.
pub(crate) struct Operation<'a> {
    arena: &'a Arena,
    journal: &'a Journal,
    actor: Actor,
    word: Option<&'a AtomicU64>,
}

impl Drop for Operation<'_> {
    fn drop(&mut self) {
        self.journal.close();
    }
}

impl<'a> Operation<'a> {
    pub(crate) fn actor(&self) -> Actor {
        self.actor
    }

    fn settle_verdict(&self, kind: u32) {
        self.journal.verdict.store(u64::from(kind) << 32 | u64::from(kind), Ordering::Release);
    }

    /// Exchanges the reference word by what `change` makes of it, until that answers `None`.
    pub(crate) fn exchange(&self, change: impl Fn(Refs) -> Option<Refs>) -> Option<Refs> {
        let word = self.word?;
        let mut old = word.load(Ordering::Acquire);
        loop {
            let new = change(Refs(old))?.with_actor(self.actor);
            self.arena.confirm(Refs(old).actor());
            match word.compare_exchange_weak(old, new.0, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Some(new),
                Err(now) => old = now,
            }
        }
    }
}

impl Arena {
    /// Opens an operation of this process. The target of `What::Run` and `What::Slab` need not be a reference
    /// word yet.
    pub(crate) fn operation(
        &self,
        tables: &mut Tables,
        what: What,
        target: u64,
        entry: u64,
        done: u32,
        not_done: u32,
    ) -> Operation<'_> {
        let _ = &tables;
        let slot = self.my_slot_number();
        let journal = &self.slot(slot).journal;
        let word = matches!(what, What::Refs | What::Count).then(|| self.at::<AtomicU64>(target));
        let mut number = next_number(journal.last.load(Ordering::Relaxed));
        // A word that nobody changed for 65,536 of our operations may still name this number.
        let mut actor = Actor { slot, operation: number as u16 };
        if word.is_some_and(|w| Refs(w.load(Ordering::Acquire)).actor() == actor) {
            number = next_number(number);
            actor = Actor { slot, operation: number as u16 };
        }
        journal.open(what, number, target, entry, done, not_done);
        fault!("arena.journal:open");
        Operation { arena: self, journal, actor, word }
    }

    /// Changes the reference word at `target` and then gives the entry the kind that follows: `done`, or
    /// `DESTROY` if the change began to take the object apart. `None` if `change` refused; then the entry is
    /// left alone.
    pub(crate) fn change_refs(
        &self,
        tables: &mut Tables,
        target: u64,
        entry: Option<(&Entry, u32)>,
        change: impl Fn(Refs) -> Option<Refs>,
    ) -> Option<Refs> {
        let (entry_offset, done, not_done) =
            entry.map_or((0, 0, 0), |(e, done)| (self.offset_of(e), done, e.kind.load(Ordering::Relaxed)));
        let operation = self.operation(tables, What::Refs, target, entry_offset, done, not_done);
        let new = operation.exchange(change)?;
        fault!("arena.refs:changed");
        if let Some((entry, done)) = entry {
            entry.become_kind(if new.is_destroying() { kind::DESTROY } else { done });
            fault!("arena.refs:entered");
        }
        if new.is_free() {
            // What follows may give the memory a new use, in which the word no longer tells.
            operation.settle_verdict(done);
            self.after_free(BlockRef::new(target, new.generation()));
        }
        Some(new)
    }

    /// Changes the reference word at `target`, of which the word `link` is a holder, and clears `link`. False if
    /// `change` refused; then both are left alone.
    pub(crate) fn change_linked(
        &self,
        tables: &mut Tables,
        target: u64,
        link: &AtomicU64,
        change: impl Fn(Refs) -> Option<Refs>,
    ) -> bool {
        let operation = self.operation(tables, What::Refs, target, self.offset_of(link), LINK, 0);
        let Some(new) = operation.exchange(change) else { return false };
        fault!("arena.link:lowered");
        link.store(0, Ordering::Release);
        fault!("arena.link:cleared");
        // Whether or not the word still tells after this: what follows is that `link` is zero, and it is.
        if new.is_free() {
            self.after_free(BlockRef::new(target, new.generation()));
        }
        true
    }

    /// Changes the count of a counting word and then gives the entry this kind: the new count. `None` if `change`
    /// refused; then the entry is left alone.
    pub(crate) fn change_count(
        &self,
        tables: &mut Tables,
        word: &AtomicU64,
        entry: &Entry,
        done: u32,
        change: impl Fn(u32) -> Option<u32>,
    ) -> Option<u32> {
        let not_done = entry.kind.load(Ordering::Relaxed);
        let (target, entry_offset) = (self.offset_of(word), self.offset_of(entry));
        let operation = self.operation(tables, What::Count, target, entry_offset, done, not_done);
        let counted =
            |now: Refs| change((now.0 >> COUNT_SHIFT) as u32).map(|n| Refs(u64::from(n) << COUNT_SHIFT));
        let new = operation.exchange(counted)?;
        fault!("permit.count:changed");
        entry.become_kind(done);
        fault!("permit.count:entered");
        Some((new.0 >> COUNT_SHIFT) as u32)
    }

    /// Records that others have seen this operation done.
    fn confirm(&self, actor: Actor) {
        if actor.slot == 0 {
            return;
        }
        let journal = &self.slot(actor.slot).journal;
        let open = journal.open.load(Ordering::Acquire);
        if open != 0 && open as u16 == actor.operation {
            journal.confirmed.store(open, Ordering::Release);
        }
    }

    /// Settles the open operation of a dead slot.
    pub(crate) fn settle_journal(&self, number: u32, slot: &Slot) {
        let journal = &slot.journal;
        let open = journal.open.load(Ordering::Acquire);
        if open == 0 {
            return;
        }
        let actor = Actor { slot: number, operation: open as u16 };
        let target = journal.target.load(Ordering::Relaxed);
        let entry = journal.entry.load(Ordering::Relaxed);
        let verdict = journal.verdict.load(Ordering::Relaxed);
        let what = journal.what.load(Ordering::Relaxed);
        if what == What::Slab as u32 {
            self.settle_slab(target, entry);
        } else if what != What::Run as u32 || self.is_run(target) {
            let word = self.at::<AtomicU64>(target);
            let now = Refs(word.load(Ordering::Acquire));
            let counts = what == What::Count as u32;
            let named = now.actor() == actor;
            let done =
                named || (what != What::Run as u32 && journal.confirmed.load(Ordering::Acquire) == open);
            if verdict == CHUNK_VERDICT || verdict == LINK_VERDICT {
                if done == (verdict == LINK_VERDICT) {
                    self.at::<AtomicU64>(entry).store(0, Ordering::Release);
                }
            } else if entry != 0 {
                let verdict = if done { (verdict >> 32) as u32 } else { verdict as u32 };
                let kind = if named && !counts && now.is_destroying() { kind::DESTROY } else { verdict };
                self.at::<Entry>(entry).become_kind(kind);
            }
            if !counts && now.is_free() {
                self.after_free(BlockRef::new(target, now.generation()));
            }
        }
        journal.close();
    }
}

fn next_number(number: u32) -> u32 {
    let next = number.wrapping_add(1);
    // Zero means closed; so must the 16 bits that the word shows never be zero, or an untouched word of slot 0
    // would look like ours.
    if next as u16 == 0 {
        next.wrapping_add(1).max(1)
    } else {
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operation_numbers_skip_zero() {
        assert_eq!(next_number(0), 1);
        assert_eq!(next_number(65535), 65537);
        assert_eq!(next_number(u32::MAX), 1);
    }
}
