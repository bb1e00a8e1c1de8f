//! Park records: who sleeps on what, or owes a wake-up to whom, and what is done about it when it has died.
//!
//! What they are for is in `wait.rs`. A record is one word in the slot, so it is there or it is not; who settles a dead
//! process ends each of its records only when all who sleep on that word have been woken.

use super::slot::{Owner, Park, Slot, State, OWNED_WORD};
use super::word;
use super::Arena;
use crate::sys::prim::{fence, Futex, Ordering};

impl Arena {
    /// Records that this thread sleeps on `word` since `since`, or, with 0, owes it a wake-up. `owned`: it sleeps on a
    /// lock word. Ends with an exchange, if it answers a record.
    pub(crate) fn park(&self, word: &Futex, owned: bool, since: u64) -> Option<usize> {
        let record = self.find_offset(word)? | if owned { OWNED_WORD } else { 0 };
        // One exchange both takes the record and writes it.
        let free = |park: &Park| {
            park.word.load(Ordering::Relaxed) == 0
                && park.word.compare_exchange(0, record, Ordering::SeqCst, Ordering::Relaxed).is_ok()
        };
        let parks = &self.my_slot().parks;
        let index = parks.iter().position(free)?;
        parks[index].since.store(since, Ordering::Relaxed);
        Some(index)
    }

    /// Ends such a record.
    #[inline]
    pub(crate) fn unpark(&self, record: usize) {
        self.my_slot().parks[record].word.store(0, Ordering::Release);
    }

    /// Wakes all who sleep on the words that a dead process has on record, and ends the records.
    pub(super) fn rouse_sleepers_on(&self, dead: &Slot) {
        for park in &dead.parks {
            let record = park.word.load(Ordering::Acquire);
            let offset = record & !OWNED_WORD;
            if offset % 4 == 0 && offset < self.capacity() && record != 0 {
                let word = self.at::<Futex>(offset);
                if record != offset {
                    word::rouse(word);
                } else {
                    word.wake(u32::MAX);
                }
            }
            park.word.store(0, Ordering::Release);
        }
    }

    /// Frees the locks that the dead one held, as far as others are on record as sleeping on them.
    pub(super) fn free_awaited_locks(&self, dead: Owner) {
        fence(Ordering::SeqCst);
        for slot in 1..self.slots_used() {
            if self.life(slot).state() != State::Live {
                continue;
            }
            for park in &self.slot(slot).parks {
                let record = park.word.load(Ordering::SeqCst);
                let offset = record & !OWNED_WORD;
                if record != offset && offset % 4 == 0 && offset < self.capacity() {
                    word::bereave(self.at::<Futex>(offset), dead.bits());
                }
            }
        }
    }
}
