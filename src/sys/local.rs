//! The word of a lock among the threads of one process.
//!
//! | word | meaning                                         |
//! |------|-------------------------------------------------|
//! | 0    | free                                            |
//! | 1    | held, nobody sleeps                             |
//! | 2    | held, somebody may sleep: the release wakes one |
//!
//! Who has slept can't know whether others still do, so takes it as 2. It names no owner: a process that dies takes all
//! who wait with it, and in a forked child the word is as the forking thread took it before the fork, so that the
//! child releases its copy. A 2 in that copy speaks of threads that the child does not have, and costs a wake-up.

use super::prim::{spin_hint, Futex, Ordering};

#[cfg(not(loom))]
const SPINS: u32 = 100;
#[cfg(loom)]
const SPINS: u32 = 1;

/// Waits until the lock is the caller's. `sleep` sleeps while the word is what it is given.
#[inline]
pub fn acquire(word: &Futex, sleep: impl FnMut(&Futex, u32)) {
    if word.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_err() {
        acquire_slowly(word, sleep);
    }
}

fn acquire_slowly(word: &Futex, mut sleep: impl FnMut(&Futex, u32)) {
    for _ in 0..SPINS {
        spin_hint();
        if word.load(Ordering::Relaxed) == 0
            && word.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_ok()
        {
            return;
        }
    }
    while word.swap(2, Ordering::Acquire) != 0 {
        sleep(word, 2);
    }
}

/// Releases the lock.
#[inline]
pub fn release(word: &Futex) {
    if word.swap(0, Ordering::Release) == 2 {
        word.wake(1);
    }
}
