//! Settling: what the dead held is given back.
//!
//! First the journal's open operation, then the wake-ups of the park records, then each held entry. Every step is
//! idempotent, and the slot stays SETTLING until the last one is done; if the settler dies, whoever settles the
//! settler takes over.
//!
//! Whoever inherits a lock that guards more than its own word (a queue's ends) first waits until the dead owner is
//! settled: so the held entries that speak of that structure are judged while it is as the dead one left it.

use super::held::{kind, Entry};
use super::refs::{BlockRef, Refs};
use super::slot::{Life, Owner, Slot, State};
use super::Arena;
use crate::fault;
use crate::sys::clock;
use crate::sys::prim::{fence, AtomicU64, Futex, Ordering};

impl Arena {
    /// Settles whoever has been declared dead. Must not be called while this thread holds the tables.
    pub fn settle_pending(&self) {
        if self.header().unsettled.swap(0, Ordering::AcqRel) == 0 {
            return;
        }
        for slot in 1..self.slots_used() {
            let life = self.life(slot);
            match life.state() {
                State::Dead => self.settle(slot, life),
                // The settler was settled before it had finished, or will be looked at below.
                State::Settling if life.settler() != self.me().slot() => self.look_at_settler(slot, life),
                State::Kept => self.look_at_kept(slot),
                _ => {}
            }
        }
    }

    /// Settles a slot that was just declared dead.
    pub(super) fn settle_slot(&self, number: u32) {
        let life = self.life(number);
        if life.state() == State::Dead {
            self.settle(number, life);
        }
    }

    fn look_at_settler(&self, slot: u32, life: Life) {
        let number = life.settler();
        let settler = self.life(number);
        if self.has_died(number, settler) {
            self.declare_dead(number, settler);
        }
        let settler = self.life(number);
        if settler.state() == State::Dead {
            // The settler first: its journal may speak of the very entry that it was settling. It is then that
            // `slot` is adopted.
            self.settle(number, settler);
        } else if self.life(slot) == life {
            self.header().unsettled.store(1, Ordering::Release);
        }
    }

    /// Waits until the process that this owner word names has been settled.
    pub fn await_settled(&self, owner: Owner) {
        let nap = Futex::new(0);
        loop {
            if !self.life(owner.slot()).is_end_of(owner) {
                return;
            }
            self.header().unsettled.store(1, Ordering::Release);
            self.settle_pending();
            crate::sys::futex::wait(&nap, 0, clock::Deadline::after(200_000));
        }
    }

    /// Waits until nobody who is dead remains to be settled. Who inherits a lock that guards more than its word
    /// begins with this.
    pub fn await_all_settled(&self) {
        for slot in 1..self.slots_used() {
            let life = self.life(slot);
            if matches!(life.state(), State::Dead | State::Settling) {
                let before = life.generation().wrapping_sub(1) & super::slot::GENERATION_MASK;
                self.await_settled(Owner::new(slot, before));
            }
        }
    }

    /// Settles one dead slot.
    fn settle(&self, number: u32, seen: Life) {
        if !self.settle_preparer(number, seen) {
            self.header().unsettled.store(1, Ordering::Release);
            return;
        }
        let mine = Life::new(State::Settling, seen.generation(), self.me().slot(), seen.pid());
        let slot = self.slot(number);
        if slot.life.compare_exchange(seen.0, mine.0, Ordering::AcqRel, Ordering::Acquire).is_err() {
            return;
        }
        fault!("death.settle:claimed");
        self.settle_journal(number, slot);
        self.rouse_sleepers_on(slot);
        fault!("death.settle:woken");
        self.free_awaited_locks(Owner::new(number, seen.generation().wrapping_sub(1)));
        // What is in doubt about a structure is judged before the structure itself may go.
        let entries = || (0..self.entry_count(slot)).map(|index| self.entry(slot, index));
        entries().filter(|e| e.kind() >= kind::FIRST_OF_FLOORS).for_each(|e| self.settle_entry(e));
        entries().filter(|e| e.kind() == kind::HANDLE).for_each(|e| self.stir(e));
        entries().for_each(|e| self.settle_entry(e));
        self.free_chunks(slot);
        self.adopt_settling(number);
        slot.started_by.store(0, Ordering::Relaxed);
        self.refresh_hints();
        let next = self.settle_outcome(number, seen.generation());
        let next = Life::new(next, seen.generation(), 0, 0);
        let _ = slot.life.compare_exchange(mine.0, next.0, Ordering::AcqRel, Ordering::Acquire);
        fault!("death.settle:freed");
        self.look_at_kept(number);
    }

    /// The dead one may have owed wake-ups to those who wait for an object that it held.
    fn stir(&self, entry: &Entry) {
        let (object, _, _) = entry.words();
        let object = BlockRef::from_bits(object);
        if self.locates(object) {
            crate::wiring::stir(self, object.offset());
        }
    }

    /// Who died while it prepared a slot for its child may have an operation open that speaks of an entry in that
    /// slot: so it goes first. False if another process is at that.
    fn settle_preparer(&self, number: u32, seen: Life) -> bool {
        let slot = self.slot(number);
        let parent = Owner::of_word(slot.parent.load(Ordering::Acquire));
        let prepared = slot.since.load(Ordering::Acquire) != 0;
        if seen.state() != State::Dead || prepared || parent.is_none() || !self.investigate(parent) {
            return true;
        }
        let unsettled = || Some(self.life(parent.slot())).filter(|life| life.is_end_of(parent));
        if let Some(life) = unsettled().filter(|life| life.state() == State::Dead) {
            self.settle(parent.slot(), life);
        }
        unsettled().is_none() || self.slot(parent.slot()).journal.open.load(Ordering::Acquire) == 0
    }

    /// What the dead slot `number` was itself settling is settled from here, and what was left to it is dropped.
    fn adopt_settling(&self, number: u32) {
        fence(Ordering::SeqCst);
        for other in 1..self.slots_used() {
            let life = self.life(other);
            if life.state() == State::Settling && life.settler() == number && other != number {
                self.settle(other, life);
            } else if life.state() == State::Kept {
                self.look_at_kept(other);
            }
        }
    }

    /// A block that was becoming a part of an object: it is the object's if the object's word names it.
    pub(crate) fn settle_part(&self, entry: &Entry) {
        let (block, _, word) = entry.words();
        let linked = self.at::<AtomicU64>(word).load(Ordering::Acquire) == block;
        entry.become_kind(if linked { kind::FREE } else { kind::PRIVATE });
    }

    /// Gives back what one entry of a dead process names.
    pub(crate) fn settle_entry(&self, entry: &Entry) {
        loop {
            let (a, _, _) = entry.words();
            let reference = BlockRef::from_bits(a);
            match entry.kind() {
                kind::FREE => return,
                kind::BLOCK | kind::PRIVATE | kind::NEWBORN => {
                    self.lower(reference, Some((entry, kind::FREE)))
                }
                kind::HANDLE => self.lower_object(reference, entry),
                kind::DESTROY => self.destroy(reference, entry),
                other => crate::wiring::settle(self, other, entry),
            }
        }
    }

    /// One holder of a block less; the entry is then what is given. A stale reference changes the entry only.
    pub(crate) fn lower(&self, block: BlockRef, entry: Option<(&Entry, u32)>) {
        let same =
            |now: Refs| (now.generation() == block.generation()).then(|| now.lowered_to_free()).flatten();
        let lowered = self.locates(block) && {
            let mut tables = self.tables.lock();
            self.change_refs(&mut tables, block.offset(), entry, same).is_some()
        };
        if !lowered {
            if let Some((entry, done)) = entry {
                entry.become_kind(done);
            }
        }
        self.trim_if_asked();
    }

    fn lower_object(&self, object: BlockRef, entry: &Entry) {
        let same = |now: Refs| {
            (now.generation() == object.generation()).then(|| now.lowered_to_destroying()).flatten()
        };
        let lowered = self.locates(object) && {
            let mut tables = self.tables.lock();
            self.change_refs(&mut tables, object.offset(), Some((entry, kind::FREE)), same).is_some()
        };
        if !lowered {
            entry.become_kind(kind::FREE);
        }
    }

    /// Takes an object apart whose last holder has gone. Idempotent.
    fn destroy(&self, object: BlockRef, entry: &Entry) {
        let same = |now: Refs| {
            (now.generation() == object.generation() && now.is_destroying())
                .then(|| now.destroyed())
                .flatten()
        };
        let word = self.at::<AtomicU64>(object.offset());
        if same(Refs(word.load(Ordering::Acquire))).is_some() {
            crate::wiring::destroy(self, object.offset());
            fault!("arena.destroy:apart");
            let mut tables = self.tables.lock();
            self.change_refs(&mut tables, object.offset(), Some((entry, kind::FREE)), same);
        }
        entry.become_kind(kind::FREE);
    }

    /// Drops this process's holder of an object.
    pub(crate) fn drop_holder(&self, entry: &Entry) {
        self.settle_entry(entry);
    }

    /// Gives back the chunks of entries, the longest first. Each is unlinked before it goes: the next settler must
    /// not read entries in memory that is another's by then.
    fn free_chunks(&self, slot: &Slot) {
        self.free_new_chunk(slot);
        for chunk in slot.chunks.iter().rev() {
            let block = chunk.load(Ordering::Acquire);
            if block != 0 {
                slot.new_chunk.store(block, Ordering::Release);
                fault!("death.chunk:named");
                chunk.store(0, Ordering::Release);
                fault!("death.chunk:unlinked");
                self.lower(BlockRef::from_bits(block), None);
                fault!("death.chunk:freed");
                slot.new_chunk.store(0, Ordering::Release);
            }
        }
    }

    fn free_new_chunk(&self, slot: &Slot) {
        let new = BlockRef::from_bits(slot.new_chunk.load(Ordering::Acquire));
        if !new.is_none() && !self.chunk_is_linked(new) {
            self.lower(new, None);
            fault!("death.chunk:freed");
        }
        slot.new_chunk.store(0, Ordering::Release);
    }

    fn chunk_is_linked(&self, block: BlockRef) -> bool {
        let used = self.slots_used();
        (1..used).any(|n| self.slot(n).chunks.iter().any(|c| c.load(Ordering::Acquire) == block.bits()))
    }
}
