//! The lock word: who holds the lock is in the very word that is exchanged to take it.
//!
//! ```text
//! 31       30           29    18 17          0
//! waiters  owner died   slot     generation      zero is free
//! ```
//!
//! | word                     | meaning                                                              |
//! |--------------------------|----------------------------------------------------------------------|
//! | 0                        | free                                                                 |
//! | owner                    | held, nobody sleeps                                                  |
//! | owner + waiters          | held, somebody may sleep: the release wakes one                      |
//! | owner of a past generation | its process died holding it: the next one takes it and is told     |
//! | owner died (+ waiters)   | free, but its last owner died holding it                             |
//!
//! Killed between any two stores: taking is one exchange and releasing is one exchange, so there is no between
//! but two places. A waiter killed after it was woken, before it took the word: the others find its park record
//! (see `wait.rs`), or look again by themselves. A releaser killed after its exchange, before its wake: likewise.
//!
//! The algorithm is the three-state futex mutex (Drepper, "Futexes Are Tricky", 2011) with the owner in place of
//! "locked". It takes references to its words and asks a [`Sleeper`] for all else, so that loom can own it.

use crate::fault;
use crate::sys::prim::{Futex, Ordering};

/// Somebody may sleep on the word.
pub const WAITERS: u32 = 1 << 31;
/// The last owner died holding it.
pub const OWNER_DIED: u32 = 1 << 30;
const OWNER: u32 = OWNER_DIED - 1;

/// How a lock was acquired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acquired {
    /// As usual.
    Clean,
    /// Its last owner died holding it.
    OwnerDead,
}

/// Why a wait ended without success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The deadline passed.
    TimedOut,
    /// The thread's cancel object was fired.
    Cancelled,
}

/// What a waiting algorithm needs of the world.
pub trait Sleeper {
    /// Whether the process that these owner bits name is known to be dead. No system call.
    fn is_dead(&self, owner: u32) -> bool;
    /// Spins a moment; false when it is better to sleep.
    fn spin(&mut self) -> bool;
    /// Sleeps while `word` holds `seen`. `None`: look again.
    fn sleep(&mut self, word: &Futex, seen: u32) -> Option<Ended>;
    /// Whether it has slept since it was made.
    fn slept(&self) -> bool;
}

/// Takes a free lock.
#[inline]
pub fn try_acquire(word: &Futex, me: u32) -> bool {
    word.compare_exchange(0, me, Ordering::Acquire, Ordering::Relaxed).is_ok()
}

/// The owner that a word names, 0 for none.
pub fn owner(word: u32) -> u32 {
    word & OWNER
}

/// Takes the lock if it is free or its owner dead; otherwise answers the word as it was seen.
pub fn take(word: &Futex, me: u32, sleeper: &impl Sleeper) -> Result<Acquired, u32> {
    loop {
        let seen = word.load(Ordering::Relaxed);
        let free = owner(seen) == 0;
        if !free && !sleeper.is_dead(owner(seen)) {
            return Err(seen);
        }
        // Who has slept can't know whether others still do.
        let waiters = if sleeper.slept() { WAITERS } else { seen & WAITERS };
        if word.compare_exchange(seen, me | waiters, Ordering::Acquire, Ordering::Relaxed).is_ok() {
            fault!("lock.acquire:owned");
            let died = !free || seen & OWNER_DIED != 0;
            return Ok(if died { Acquired::OwnerDead } else { Acquired::Clean });
        }
    }
}

/// Waits until the lock is `me`'s.
#[cold]
pub fn acquire(word: &Futex, me: u32, sleeper: &mut impl Sleeper) -> Result<Acquired, Ended> {
    loop {
        let seen = match take(word, me, sleeper) {
            Ok(acquired) => return Ok(acquired),
            Err(seen) => seen,
        };
        if sleeper.spin() {
            continue;
        }
        let waited = seen | WAITERS;
        if seen != waited
            && word.compare_exchange(seen, waited, Ordering::Relaxed, Ordering::Relaxed).is_err()
        {
            continue;
        }
        fault!("lock.acquire:announced");
        if let Some(ended) = sleeper.sleep(word, waited) {
            leave(word, sleeper);
            return Err(ended);
        }
        fault!("lock.acquire:woken");
    }
}

/// A waiter leaves without the lock. The wake-up that it may have had must not be lost on the next one.
fn leave(word: &Futex, sleeper: &impl Sleeper) {
    if sleeper.slept() && owner(word.load(Ordering::SeqCst)) == 0 {
        word.wake(1);
    }
}

/// Wakes one of those who sleep though nothing has changed: it is to take over what the caller did for all. The bit
/// goes, so that no sleep begins on the word as it was; whoever wakes, or comes, sets it again.
pub fn call_one(word: &Futex) {
    let mut seen = word.load(Ordering::Relaxed);
    while seen & WAITERS != 0 {
        match word.compare_exchange(seen, seen & !WAITERS, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => {
                fault!("lock.call:cleared");
                word.wake(1);
                return;
            }
            Err(now) => seen = now,
        }
    }
}

/// Wakes all for who slept and died, perhaps after it was woken, or called, or as the one that looked after the owner
/// for all. No sleep begins on the word as it was.
pub fn rouse(word: &Futex) {
    word.fetch_and(!WAITERS, Ordering::SeqCst);
    fault!("lock.rouse:cleared");
    word.wake(u32::MAX);
}

/// Releases the lock if it is `me`'s and nobody sleeps.
#[inline]
pub fn release_unwaited(word: &Futex, me: u32) -> bool {
    word.compare_exchange(me, 0, Ordering::Release, Ordering::Relaxed).is_ok()
}

/// The owner has died while others may sleep: frees the lock, so that no sleep can begin on the word as it was, and
/// wakes them. The next owner is told.
pub fn bereave(word: &Futex, dead: u32) {
    let mut seen = word.load(Ordering::SeqCst);
    while owner(seen) == dead {
        match word.compare_exchange(seen, OWNER_DIED | seen & WAITERS, Ordering::SeqCst, Ordering::SeqCst) {
            Ok(_) => {
                fault!("lock.bereave:freed");
                word.wake(u32::MAX);
                return;
            }
            Err(now) => seen = now,
        }
    }
}

/// Releases the lock. False if it was free: then nothing changed. `leave` is what it leaves: zero, or
/// [`OWNER_DIED`] if the owner is dead.
#[inline]
pub fn release(word: &Futex, leave: u32) -> bool {
    let seen = word.load(Ordering::Relaxed);
    if owner(seen) == 0 {
        return false;
    }
    let old = word.swap(leave, Ordering::Release);
    fault!("lock.release:freed");
    if old & WAITERS != 0 {
        word.wake(1);
    }
    true
}
