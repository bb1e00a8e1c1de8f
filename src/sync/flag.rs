//! The flag word of an event: set or not, and how often it was set.
//!
//! ```text
//! 31      2 1       0
//! sequence  waiters set
//! ```
//!
//! Setting a flag that is not set is one exchange: it raises the sequence and takes the waiters bit away, and whoever
//! saw the bit wakes all. A waiter remembers the sequence with which it began: so it returns although the flag was
//! cleared before it came to run. Killed between its exchange and its wake-ups, a setter is mended by whoever settles
//! it, as the holder of an event that it is; besides, everybody looks again after a second. A woken waiter has nothing
//! that another might miss: all were woken.
//!
//! Setting is for signal handlers too: it takes no lock, allocates nothing and leaves errno alone.

use crate::arena::word::{Ended, Sleeper};
use crate::fault;
use crate::sys::prim::{Futex, Ordering};

const SET: u32 = 1;
const WAITERS: u32 = 2;
const STEP: u32 = 4;

/// Whether the flag is set.
#[inline]
pub fn is_set(word: u32) -> bool {
    word & SET != 0
}

/// Whether somebody may sleep on the word.
pub fn is_awaited(word: u32) -> bool {
    word & WAITERS != 0
}

/// Whether it is set, or was set since the word was `begun`.
fn has_been_set(begun: u32, now: u32) -> bool {
    is_set(now) || (now ^ begun) >= STEP
}

/// Sets the flag, and wakes nobody yet: how it was before.
#[inline]
pub fn raise(word: &Futex) -> u32 {
    let mut seen = word.load(Ordering::Relaxed);
    loop {
        // An exchange also of a flag that is set: whoever clears it and then looks for what the setter has written
        // before must find it, or be followed by the setter's exchange.
        let next = if is_set(seen) { seen } else { (seen.wrapping_add(STEP) | SET) & !WAITERS };
        match word.compare_exchange_weak(seen, next, Ordering::SeqCst, Ordering::Relaxed) {
            Ok(_) => return seen,
            Err(now) => seen = now,
        }
    }
}

/// Sets the flag and wakes all who wait for it. False if it was set.
#[inline]
pub fn set(word: &Futex) -> bool {
    let before = raise(word);
    fault!("flag.set:raised");
    if is_awaited(before) {
        word.wake(u32::MAX);
    }
    !is_set(before)
}

/// Clears the flag. False if it was not set.
#[inline]
pub fn clear(word: &Futex) -> bool {
    is_set(word.load(Ordering::Relaxed)) && is_set(word.fetch_and(!SET, Ordering::SeqCst))
}

/// Waits until the flag is set, or has been set since the call began.
pub fn wait(word: &Futex, sleeper: &mut impl Sleeper) -> Result<(), Ended> {
    let begun = word.load(Ordering::Acquire);
    let mut seen = begun;
    loop {
        if has_been_set(begun, seen) {
            return Ok(());
        }
        if sleeper.spin() {
            seen = word.load(Ordering::Acquire);
            continue;
        }
        let waited = seen | WAITERS;
        if seen != waited {
            if let Err(now) = word.compare_exchange(seen, waited, Ordering::AcqRel, Ordering::Acquire) {
                seen = now;
                continue;
            }
        }
        fault!("flag.wait:announced");
        let ended = sleeper.sleep(word, waited);
        seen = word.load(Ordering::Acquire);
        match ended {
            Some(ended) if !has_been_set(begun, seen) => return Err(ended),
            _ => {}
        }
        fault!("flag.wait:woken");
    }
}
