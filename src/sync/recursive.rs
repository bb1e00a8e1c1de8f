//! The words of a recursive lock: an owned word, and who in the owner's process has it and how often.
//!
//! | word, watch, spin | as a lock's: the owner is a process, and death is seen in the word (`arena::word`)          |
//! | `holder`          | who in that process has it, as a [stamp](Who): 0 while nobody does                           |
//! | `count`           | how often the holder has entered beyond the first time                                      |
//!
//! `holder` and `count` are written by the word's owner alone, and mean something only to it: a stamp mixes the
//! process into the name, so what a dead process left there is nobody's. A free word that was left in order has
//! `holder` and `count` zero.
//!
//! Killed between any two stores, the process leaves a word that it owns: who inherits it sets both. That covers:
//! after the word was taken, before `holder` says so; after `count` was raised or lowered; after `holder` was
//! cleared, before the word is released. After that exchange the lock is free and in order.

use crate::arena::word;
use crate::fault;
use crate::sys::prim::{AtomicU32, AtomicU64, Futex, Ordering};

/// Who enters a recursive lock: a thread, or whoever the caller names. In `holder` it stands mixed with its process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Who(u64);

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The finalizer of splitmix64: each number another, and all of them looking random.
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_mul(GOLDEN).wrapping_add(GOLDEN);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Who {
    /// By a name that the caller gives. Every number is one.
    pub fn named(name: u64) -> Who {
        Who::of(mix(name))
    }

    /// By a number that looks random.
    fn of(bits: u64) -> Who {
        // A stamp is never zero: owner bits have nothing in the upper half.
        Who(if bits >> 32 == 0 { bits | GOLDEN } else { bits })
    }

    fn stamp(self, me: u32) -> u64 {
        self.0 ^ u64::from(me)
    }
}

#[cfg(not(loom))]
mod identity {
    use super::{mix, AtomicU64, Ordering, Who};
    use std::cell::Cell;

    std::thread_local! {
        static THIS_THREAD: Cell<u64> = const { Cell::new(0) };
    }

    /// Where this process's numbers begin, so that they are not the names that a caller thinks of.
    static BASE: AtomicU64 = AtomicU64::new(0);
    static THREADS: AtomicU64 = AtomicU64::new(0);

    impl Who {
        /// This thread of this process. A thread keeps its number for life, and no other of the process gets it.
        #[inline]
        pub fn this_thread() -> Who {
            match THIS_THREAD.get() {
                0 => first_time(),
                number => Who(number),
            }
        }
    }

    #[cold]
    fn first_time() -> Who {
        let number = THREADS.fetch_add(1, Ordering::Relaxed);
        let who = Who::of(mix(base().wrapping_add(number)) | 1 << 63);
        THIS_THREAD.set(who.0);
        who
    }

    fn base() -> u64 {
        let known = BASE.load(Ordering::Relaxed);
        if known != 0 {
            return known;
        }
        let mut bytes = [0; 8];
        // Without random bytes the numbers are still this process's own.
        let _ = crate::sys::random::fill(&mut bytes);
        let new = u64::from_ne_bytes(bytes).max(1);
        BASE.compare_exchange(0, new, Ordering::Relaxed, Ordering::Relaxed)
            .map_or_else(|theirs| theirs, |_| new)
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use std::collections::HashSet;

        #[test]
        fn threads_and_names_are_all_different() {
            let mut all = HashSet::new();
            let here = Who::this_thread();
            assert_eq!(here, Who::this_thread());
            assert!(all.insert(here.0));
            for _ in 0..100 {
                let there = std::thread::spawn(Who::this_thread).join().unwrap();
                assert!(all.insert(there.0));
            }
            for name in (0..1000).chain([u64::MAX, here.0]) {
                assert_eq!(Who::named(name), Who::named(name));
                assert!(all.insert(Who::named(name).0), "{name}");
                assert_ne!(Who::named(name).stamp(u32::MAX >> 2), 0);
            }
            assert_ne!(Who::of(5).stamp(5), 0);
        }
    }
}

/// The words of a recursive lock, free when they are zero. Part of every object that has one.
#[repr(C)]
#[derive(Debug)]
pub struct RecursiveWords {
    /// The owner's process.
    pub word: Futex,
    count: AtomicU32,
    holder: AtomicU64,
    /// Where the word's watchman signs.
    pub watch: AtomicU32,
    /// How long spinning for the word pays.
    pub spin: AtomicU32,
}

#[cfg(not(loom))]
crate::arena::layout::shared!(RecursiveWords);

/// What came of an attempt to enter without waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entered {
    /// The lock was free, or the caller's already, and is the caller's now.
    Yes,
    /// The lock is another's, or there is something to tell: see [`word::acquire`], and then [`RecursiveWords::own`].
    No,
    /// The caller has entered as often as can be counted.
    Full,
}

impl RecursiveWords {
    /// A free lock outside of an arena, for models.
    pub fn new() -> RecursiveWords {
        RecursiveWords {
            word: Futex::new(0),
            count: AtomicU32::new(0),
            holder: AtomicU64::new(0),
            watch: AtomicU32::new(0),
            spin: AtomicU32::new(0),
        }
    }

    /// Whether `who` in the process `me` has the lock.
    #[inline]
    pub fn is_held_by(&self, me: u32, who: Who) -> bool {
        // Whoever has it wrote both itself, and whoever has not never reads its own stamp beside its own process: it
        // cleared the stamp before it released the word.
        word::owner(self.word.load(Ordering::Relaxed)) == me
            && self.holder.load(Ordering::Relaxed) == who.stamp(me)
    }

    /// Enters if the lock is free and in order, or the caller's already.
    #[inline]
    pub fn enter(&self, me: u32, who: Who) -> Entered {
        if self.word.load(Ordering::Relaxed) == 0 {
            if !word::try_acquire(&self.word, me) {
                return Entered::No;
            }
            fault!("rlock.acquire:unnamed");
            self.holder.store(who.stamp(me), Ordering::Relaxed);
            return Entered::Yes;
        }
        if self.is_held_by(me, who) {
            self.enter_again()
        } else {
            Entered::No
        }
    }

    fn enter_again(&self) -> Entered {
        let Some(more) = self.count.load(Ordering::Relaxed).checked_add(1) else { return Entered::Full };
        self.count.store(more, Ordering::Relaxed);
        fault!("rlock.acquire:again");
        Entered::Yes
    }

    /// The word has become `me`'s by [`word::acquire`]: so says `holder` now. An heir begins anew.
    pub fn own(&self, me: u32, who: Who) {
        fault!("rlock.acquire:unnamed");
        self.count.store(0, Ordering::Relaxed);
        self.holder.store(who.stamp(me), Ordering::Relaxed);
    }

    /// Leaves once. `None`: the lock is not the caller's. `Some(true)`: that was the last time, and the word is to be
    /// released now.
    #[inline]
    pub fn exit(&self, me: u32, who: Who) -> Option<bool> {
        if !self.is_held_by(me, who) {
            return None;
        }
        let count = self.count.load(Ordering::Relaxed);
        if count > 0 {
            self.count.store(count - 1, Ordering::Relaxed);
            fault!("rlock.release:once");
            return Some(false);
        }
        self.holder.store(0, Ordering::Relaxed);
        fault!("rlock.release:unnamed");
        Some(true)
    }

    /// Leaves once, if nobody waits for the lock; otherwise nothing has changed.
    #[inline]
    pub fn exit_unwaited(&self, me: u32, who: Who) -> bool {
        match self.exit(me, who) {
            Some(true) if !word::release_unwaited(&self.word, me) => {
                // The word is still this process's.
                self.holder.store(who.stamp(me), Ordering::Relaxed);
                false
            }
            left => left.is_some(),
        }
    }

    /// The holder leaves altogether; the word is to be released now. How often it had entered beyond the first time.
    pub fn exit_fully(&self) -> u32 {
        let count = self.count.load(Ordering::Relaxed);
        self.count.store(0, Ordering::Relaxed);
        self.holder.store(0, Ordering::Relaxed);
        fault!("rlock.release:unnamed");
        count
    }

    /// The holder, which has entered once, has entered so often beyond that again.
    pub fn set_count(&self, count: u32) {
        self.count.store(count, Ordering::Relaxed);
    }
}

impl Default for RecursiveWords {
    fn default() -> RecursiveWords {
        RecursiveWords::new()
    }
}
