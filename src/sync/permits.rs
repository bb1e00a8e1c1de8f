//! The permits word of a semaphore.
//!
//! ```text
//! 31       30     0
//! waiters  permits
//! ```
//!
//! Taking a permit is one exchange, giving some back is one exchange that also clears the waiters bit, followed by
//! the wake-ups. Whoever has slept can't know whether others still do: it sets the bit as it takes, and if it
//! leaves permits behind it wakes the next. Killed between its wake-up and its taking, a waiter is mended as for
//! the lock word: by its park record, or by the others' capped sleeps.

use crate::arena::word::{Ended, Sleeper};
use crate::fault;
use crate::sys::prim::{Futex, Ordering};

const WAITERS: u32 = 1 << 31;
/// The largest number of permits.
pub const MAX: u32 = WAITERS - 1;

/// How many permits the word holds.
pub fn count(word: u32) -> u32 {
    word & MAX
}

/// Whether somebody may sleep on the word.
pub fn waited_for(word: u32) -> bool {
    word & WAITERS != 0
}

/// Takes a permit if there is one: how many that leaves. Announces nothing.
#[inline(always)]
pub fn take(word: &Futex) -> Option<u32> {
    let mut seen = word.load(Ordering::Relaxed);
    while count(seen) > 0 {
        match word.compare_exchange(seen, seen - 1, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => return Some(count(seen) - 1),
            Err(now) => seen = now,
        }
    }
    None
}

/// Waits until it has taken a permit.
#[cold]
pub fn acquire(word: &Futex, sleeper: &mut impl Sleeper) -> Result<(), Ended> {
    loop {
        let seen = word.load(Ordering::Relaxed);
        if count(seen) > 0 {
            let waiters = if sleeper.slept() { WAITERS } else { seen & WAITERS };
            let next = (count(seen) - 1) | waiters;
            if word.compare_exchange(seen, next, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                fault!("semaphore.acquire:taken");
                if sleeper.slept() && count(next) > 0 {
                    word.wake(1);
                }
                return Ok(());
            }
            continue;
        }
        if sleeper.spin() {
            continue;
        }
        if seen & WAITERS == 0
            && word.compare_exchange(seen, seen | WAITERS, Ordering::Relaxed, Ordering::Relaxed).is_err()
        {
            continue;
        }
        fault!("semaphore.acquire:announced");
        if let Some(ended) = sleeper.sleep(word, WAITERS) {
            // The wake-up that it may have had must not be lost on the next one.
            if sleeper.slept() && count(word.load(Ordering::SeqCst)) > 0 {
                word.wake(1);
            }
            return Err(ended);
        }
        fault!("semaphore.acquire:woken");
    }
}

/// Gives back `n` permits if nobody sleeps and there would be no more than `max`: how many there were before.
#[inline(always)]
pub fn release_unwaited(word: &Futex, n: u32, max: u32) -> Option<u32> {
    let mut seen = word.load(Ordering::Relaxed);
    loop {
        // With the waiters bit it is more than any maximum.
        let next = seen.checked_add(n).filter(|next| *next <= max)?;
        match word.compare_exchange_weak(seen, next, Ordering::Release, Ordering::Relaxed) {
            Ok(_) => return Some(seen),
            Err(now) => seen = now,
        }
    }
}

/// Gives back `n` permits: how many there were before. `None`, and nothing changed, if there would be more than `max`.
pub fn release(word: &Futex, n: u32, max: u32) -> Option<u32> {
    let mut seen = word.load(Ordering::Relaxed);
    if n == 0 {
        // The waiters bit must stay: nobody is woken who would set it again.
        return Some(count(seen));
    }
    loop {
        let next = count(seen).checked_add(n).filter(|next| *next <= max)?;
        match word.compare_exchange_weak(seen, next, Ordering::Release, Ordering::Relaxed) {
            Ok(_) => break,
            Err(now) => seen = now,
        }
    }
    fault!("semaphore.release:given");
    if seen & WAITERS != 0 {
        word.wake(n);
    }
    Some(count(seen))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_release_of_none_leaves_the_sleepers_announced() {
        let word = Futex::new(WAITERS);
        assert_eq!(release_unwaited(&word, 0, MAX), None);
        assert_eq!(release(&word, 0, MAX), Some(0));
        assert_eq!(word.load(Ordering::Relaxed), WAITERS);
        assert_eq!(release(&word, 2, MAX), Some(0));
        assert_eq!(word.load(Ordering::Relaxed), 2);
    }
}
