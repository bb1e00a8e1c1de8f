//! The order in which a store's messages leave: a heap, or a stack, of the numbers of the full slots; then those of the
//! taken ones, and the free ones. It is derived: whoever takes the turn over from one that died makes it anew.

use super::{sequence, Store, Stored, FREE, FULL, TAG, TAKEN};
use crate::fault;
use crate::sys::prim::Ordering;

impl Store<'_> {
    /// Whether the message in one slot leaves before the one in another.
    pub(super) fn precedes(&self, a: u32, b: u32) -> bool {
        let key = |slot: u32| self.slots[slot as usize].priority.load(Ordering::Relaxed) as i64;
        let age = sequence(self.state(a)).wrapping_sub(sequence(self.state(b))) as i32;
        (key(a), age) < (key(b), 0)
    }

    /// Makes the order and all that is counted from the slots' states. May be done twice.
    pub(super) fn derive(&self) {
        let tagged = |tag: u64| (0..self.capacity()).filter(move |slot| self.state(*slot) & TAG == tag);
        let mut full: Vec<u32> = tagged(FULL).collect();
        if self.is_stack() {
            full.sort_unstable_by(|a, b| {
                (sequence(self.state(*a)).wrapping_sub(sequence(self.state(*b))) as i32).cmp(&0)
            });
        } else {
            full.sort_unstable_by(|a, b| {
                if self.precedes(*a, *b) {
                    std::cmp::Ordering::Less
                } else {
                    std::cmp::Ordering::Greater
                }
            });
        }
        let taken: Vec<u32> = tagged(TAKEN).collect();
        let free = tagged(FREE).chain(tagged(TAG));
        let all = full.iter().chain(&taken).copied().chain(free);
        all.enumerate().for_each(|(place, slot)| self.set(place as u32, slot));
        fault!("queue.store:deriving");
        self.head.full.store(full.len() as u32, Ordering::Relaxed);
        self.head.used.store((full.len() + taken.len()) as u32, Ordering::Relaxed);
        // The one before may have committed its put and not told.
        let mut puts = self.words.tail.position().ordinal();
        for slot in full.iter().chain(&taken) {
            let next = sequence(self.state(*slot)).wrapping_add(1);
            if next.wrapping_sub(puts) as i32 > 0 {
                puts = next;
            }
        }
        let bytes = full.iter().map(|slot| self.length(*slot)).sum();
        self.words.tail.set_bytes(bytes);
        self.publish(puts);
    }

    /// In a heap, the message at `place` goes up to where it belongs.
    pub(super) fn rise(&self, mut place: u32) {
        if self.is_stack() {
            return;
        }
        let slot = self.slot(place);
        while place > 0 && self.precedes(slot, self.slot((place - 1) / 2)) {
            self.set(place, self.slot((place - 1) / 2));
            place = (place - 1) / 2;
        }
        self.set(place, slot);
    }

    /// In a heap of so many, the message at `place` goes down to where it belongs.
    pub(super) fn sink(&self, mut place: u32, full: u32) {
        let slot = self.slot(place);
        loop {
            let left = 2 * place + 1;
            if left >= full {
                break;
            }
            let right = left + 1;
            let least =
                if right < full && self.precedes(self.slot(right), self.slot(left)) { right } else { left };
            if !self.precedes(self.slot(least), slot) {
                break;
            }
            self.set(place, self.slot(least));
            place = least;
        }
        self.set(place, slot);
    }

    /// A full slot is so no longer, but taken or free: brings the order up to date.
    pub(super) fn forget(&self, stored: &Stored, taken: bool) {
        let (full, used) = (self.full(), self.used());
        let is_it = |place: &u32| self.slot(*place) == stored.slot;
        let first = if self.is_stack() { full - 1 } else { 0 };
        let place = if is_it(&first) { Some(first) } else { (0..full).find(is_it) };
        let Some(place) = place else { return self.derive() };
        let last = full - 1;
        if self.is_stack() {
            (place..last).for_each(|place| self.set(place, self.slot(place + 1)));
        } else {
            self.set(place, self.slot(last));
        }
        self.set(last, stored.slot);
        self.head.full.store(last, Ordering::Relaxed);
        fault!("queue.store:forgotten");
        if !self.is_stack() && place < last {
            self.sink(place, last);
            self.rise(place);
        }
        if !taken {
            self.free_place(last, used);
        }
        self.add_bytes(-(stored.length as i64));
        self.publish(self.words.tail.position().ordinal());
    }

    /// The slot at `place`, one of the taken ones, is free.
    pub(super) fn free_place(&self, place: u32, used: u32) {
        let slot = self.slot(place);
        self.set(place, self.slot(used - 1));
        self.set(used - 1, slot);
        self.head.used.store(used - 1, Ordering::Relaxed);
    }
}
