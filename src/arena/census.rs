//! The census: which processes hold an object, as their held tables tell. For rules like "nobody is left who could
//! come": it costs a look at every entry of every process, so it is taken only after a death.
//!
//! It takes no lock. The object's reference word names its last change, so a word that is the same before and after
//! the count had no change meanwhile; an entry lags behind the word by an instant, and then the numbers differ.

use super::held::kind;
use super::refs::{BlockRef, Refs};
use super::slot::{Owner, State};
use super::Arena;
use crate::sys::prim::{AtomicU32, AtomicU64, Ordering};

/// How many processes one look asks the kernel about. If more are concerned, the next looks go on with them: a watch
/// takes little of a processor's time, however many they are.
const INVESTIGATED: usize = 16;

/// What a census found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Census {
    /// The processes that were shown are all the holders.
    Whole,
    /// There are holders that are no process: kept tokens, names, or something on its way.
    More,
    /// Holders came or went meanwhile, or a dead one is not settled yet: ask again.
    Unclear,
}

impl Arena {
    /// Shows every process that has a handle of the object at `offset`, or is being made with one.
    pub fn each_holder(&self, offset: u64, mut show: impl FnMut(Owner)) -> Census {
        let word = self.at::<AtomicU64>(offset);
        let before = Refs(word.load(Ordering::SeqCst));
        let object = BlockRef::new(offset, before.generation());
        let (mut found, mut unclear) = (0, false);
        for slot in 1..self.slots_used() {
            let life = self.life(slot);
            if life.state() == State::Free {
                continue;
            }
            let handles = self.entries_in(slot, object, &[kind::HANDLE]);
            let dead = matches!(life.state(), State::Dead | State::Settling);
            unclear |= self.life(slot) != life || dead && handles > 0;
            if handles > 0 && !dead {
                found += handles;
                show(Owner::new(slot, life.generation()));
            }
        }
        if unclear || Refs(word.load(Ordering::SeqCst)) != before || found > before.holders() {
            Census::Unclear
        } else if found < before.holders() {
            Census::More
        } else {
            Census::Whole
        }
    }

    /// Looks at the processes that hold this object, or are taking it apart, as [`Arena::look_at`] does.
    pub fn look_at_holders(&self, object: BlockRef) -> bool {
        self.look_at(|number| self.entries_in(number, object, &[kind::HANDLE, kind::DESTROY]) > 0)
    }

    /// Looks by system calls at the processes, but this one, in the slots that `concerns` names, and settles whoever of
    /// them has died. True if somebody had. If they are many, the next looks go on with them.
    pub(super) fn look_at(&self, concerns: impl Fn(u32) -> bool) -> bool {
        /// Whom the last look asked about last.
        static LAST: AtomicU32 = AtomicU32::new(0);
        let slots = self.slots_used().max(2) - 1;
        let (begin, mut asked, mut found) = (LAST.load(Ordering::Relaxed), 0, false);
        for number in (0..slots).map(|i| (begin + i) % slots + 1) {
            let life = self.life(number);
            found |= match life.state() {
                State::Free => false,
                // Its settler may have died too.
                State::Dead | State::Settling => {
                    self.header().unsettled.store(1, Ordering::Release);
                    true
                }
                _ if asked < INVESTIGATED && number != self.me().slot() && concerns(number) => {
                    asked += 1;
                    LAST.store(number, Ordering::Relaxed);
                    self.investigate(Owner::new(number, life.generation()))
                }
                _ => false,
            };
        }
        if found {
            self.settle_pending();
        }
        found
    }

    fn entries_in(&self, slot: u32, object: BlockRef, kinds: &[u32]) -> u64 {
        let slot = self.slot(slot);
        let entries = (0..self.entry_count(slot)).map(|index| self.entry(slot, index));
        entries.filter(|e| kinds.contains(&e.kind()) && e.words().0 == object.bits()).count() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::Lock;

    #[test]
    fn handles_and_kept_tokens_are_told_apart() {
        let lock = Lock::new().unwrap();
        let arena = Arena::get().unwrap();
        let offset = BlockRef::from_bits(lock.token().object_bits()).offset();
        // Other tests fork meanwhile, and their children have handles of the lock for a while.
        let becomes = |expected: Census| {
            let begun = std::time::Instant::now();
            let mut seen = Vec::new();
            while arena.each_holder(offset, |owner| seen.push(owner)) != expected || seen != [arena.me()] {
                assert!(begun.elapsed().as_secs() < 30, "{expected:?}: {seen:?}");
                arena.sweep();
                seen.clear();
            }
        };
        becomes(Census::Whole);
        let again = Lock::from_token(&lock.token()).unwrap();
        becomes(Census::Whole);
        arena.keep(&lock.token()).unwrap();
        drop(again);
        becomes(Census::More);
        arena.unkeep(&lock.token()).unwrap();
        becomes(Census::Whole);
    }
}
