//! The watchman: of those who sleep on an owned word, the one who looks after the owner often.
//!
//! It signs with its owner word in a word beside. Who is about to sleep has announced that on the word it sleeps on,
//! and looks at the signature then: whoever finds none, or one that no longer counts, signs. Who leaves takes its
//! signature back first and looks for the announcement then: so either the sleeper finds the place vacant, or the
//! leaver finds a sleeper, and calls it. The call changes the word slept on, so that it also reaches who has looked at
//! the signature and does not sleep yet; and to be called is a duty: whoever leaves after it slept, with the word or
//! without, as the watchman or not, and finds no watchman, calls the next.
//!
//! Killed between any two stores, a watchman leaves its signature, which the others find to be a dead one's when their
//! long stretch ends, or when it has been declared dead; or a vacant place, and its park record stands until its call is done:
//! whoever settles it wakes all. So it is with one that was called. Should nobody settle it, the others look after the
//! owner themselves, after their long stretch.

use crate::sys::prim::{fence_after_exchange, AtomicU32, Ordering};

/// Whether the caller is the watchman, perhaps from now on; `watching`: it has signed before. It has announced its
/// sleep. `counts` tells whether the signature of another counts.
pub fn begin(watch: &AtomicU32, me: u32, watching: bool, counts: impl FnOnce(u32) -> bool) -> bool {
    // Between the announcement, or the look at another's, and the look at the signature; pairs with `leave`'s.
    fence_after_exchange();
    let signed = watch.load(Ordering::Relaxed);
    if watching && signed == me {
        return true;
    }
    let vacant = signed == 0 || !counts(signed);
    vacant && watch.compare_exchange(signed, me, Ordering::AcqRel, Ordering::Relaxed).is_ok()
}

/// Who has slept leaves. `call` wakes one of those who sleep.
pub fn leave(
    watch: &AtomicU32,
    me: u32,
    watching: bool,
    is_dead: impl FnOnce(u32) -> bool,
    call: impl FnOnce(),
) {
    if watching {
        // It may be another's by now.
        let _ = watch.compare_exchange(me, 0, Ordering::SeqCst, Ordering::Relaxed);
        crate::fault!("watch.leave:left");
    }
    // Between the signature and the look for sleepers; pairs with `begin`'s.
    fence_after_exchange();
    let signed = watch.load(Ordering::Relaxed);
    if signed == 0 || is_dead(signed) {
        call();
    }
}

/// After a stretch of sleep: who is not the watchman looks after that one.
pub fn look_after(watch: &AtomicU32, watching: bool, investigate: impl FnOnce(u32)) {
    if !watching {
        investigate(watch.load(Ordering::Relaxed));
    }
}
