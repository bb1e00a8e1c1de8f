//! The event word: "something has changed, look again", for queues, pools and results.
//!
//! ```text
//! 31        1 0
//! sequence    waiters
//! ```
//!
//! Who wants to sleep sets the waiters bit, looks at the condition once more, and sleeps on the word as it then
//! was. Who changes the condition looks at the bit afterwards; only if it is set does it raise the sequence,
//! clear the bit and wake. So a change nobody waits for costs one load.
//!
//! Since the bit is cleared by one wake-up while several may sleep, whoever has slept sets it again and, if there
//! is more to be had, wakes the next. A sleeper killed after its wake-up left its park record, and whoever settles
//! its process wakes all who sleep on the word; besides, everybody looks again after a second.

use super::word::{Ended, Sleeper};
use crate::sys::prim::{fence, Futex, Ordering};

const WAITERS: u32 = 1;
const STEP: u32 = 2;

/// Whether somebody may sleep on the word. To be asked after the change.
#[inline]
pub fn is_awaited(word: &Futex) -> bool {
    // Between the change and the look at the bit; pairs with the sleeper's fetch_or.
    fence(Ordering::SeqCst);
    has_waiters(word)
}

/// The same for who has put a full fence between the change and this look.
#[inline]
pub fn has_waiters(word: &Futex) -> bool {
    word.load(Ordering::Relaxed) & WAITERS != 0
}

/// Something has changed, enough for `n` sleepers.
#[inline]
pub fn notify(word: &Futex, n: u32) {
    if is_awaited(word) {
        notify_sleepers(word, n);
    }
}

#[cold]
fn notify_sleepers(word: &Futex, n: u32) {
    let mut seen = word.load(Ordering::SeqCst);
    while seen & WAITERS != 0 {
        let next = seen.wrapping_add(STEP) & !WAITERS;
        match word.compare_exchange(seen, next, Ordering::SeqCst, Ordering::SeqCst) {
            Ok(_) => {
                crate::fault!("event.notify:cleared");
                word.wake(n);
                return;
            }
            Err(now) => seen = now,
        }
    }
}

/// Wakes all, whatever the bit says: who has changed something died, perhaps when it had cleared the bit and woken
/// nobody. The word changes, so that no sleep begins on what was seen before.
pub fn rouse(word: &Futex) {
    word.fetch_add(STEP, Ordering::SeqCst);
    word.wake(u32::MAX);
}

/// Waits until `ready` answers something, then passes the wake-up on. `more` tells whether another sleeper could
/// be served as well.
pub fn wait<T>(
    word: &Futex,
    sleeper: &mut impl Sleeper,
    ready: impl FnMut() -> Option<T>,
    more: impl FnMut() -> bool,
) -> Result<T, Ended> {
    let result = await_change(word, sleeper, ready);
    pass_on(word, sleeper, more);
    result
}

/// Waits until `ready` answers something. The caller must [`pass_on`] when it has taken what it waited for, or has
/// given up; until then its sleeper must stay on record.
pub fn await_change<T>(
    word: &Futex,
    sleeper: &mut impl Sleeper,
    mut ready: impl FnMut() -> Option<T>,
) -> Result<T, Ended> {
    loop {
        if let Some(value) = ready() {
            return Ok(value);
        }
        if sleeper.spin() {
            continue;
        }
        let seen = word.fetch_or(WAITERS, Ordering::SeqCst) | WAITERS;
        fence(Ordering::SeqCst);
        if let Some(value) = ready() {
            return Ok(value);
        }
        crate::fault!("event.wait:announced");
        if let Some(ended) = sleeper.sleep(word, seen) {
            return ready().ok_or(ended);
        }
        crate::fault!("event.wait:woken");
    }
}

/// Who has slept sets the bit again, for those who still sleep, and wakes the next if there is more to be had.
pub fn pass_on(word: &Futex, sleeper: &impl Sleeper, mut more: impl FnMut() -> bool) {
    if sleeper.slept() {
        word.fetch_or(WAITERS, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if more() {
            notify(word, 1);
        }
    }
}
