//! The doorbell: how a process sleeps on many objects at once.
//!
//! Each slot has one word to sleep on. An object keeps a few watcher entries, owner words of processes that want
//! to know when it changes; whoever changes it rings their bells. More watchers than entries: the last entry says
//! "everybody", and every bell is rung. A watcher that died is dropped by the next ring; the entry is an owner
//! word, so its successor in the slot is not taken for it.
//!
//! Killed between a change and its ring, the ringer leaves a sleeper that looks again after its stretch.

use super::slot::Owner;
use super::wait::Waiter;
use super::word::{Ended, Sleeper};
use super::Arena;
use crate::sys::prim::{fence, fence_after_exchange, AtomicU32, Ordering};

const EVERYBODY: u32 = u32::MAX;
/// In a bell: somebody sleeps on it. The rest of the word counts rings.
const SLEEPERS: u32 = 1;
const STEP: u32 = 2;

/// Who wants to know when an object changes, with room for so many.
#[repr(C)]
#[derive(Debug)]
pub struct Watchers<const ENTRIES: usize = 3>([AtomicU32; ENTRIES]);

// SAFETY: repr(C), of atomics only.
unsafe impl<const ENTRIES: usize> super::layout::Shared for Watchers<ENTRIES> {}

impl<const ENTRIES: usize> Watchers<ENTRIES> {
    /// The object has changed: rings its watchers. Costs a few loads when there are none. Async-signal-safe.
    #[inline]
    pub fn ring(&self, arena: &Arena) {
        if self.is_watched() {
            self.ring_all(arena);
        }
    }

    /// The same for who has just changed the object by an exchange.
    #[inline]
    pub fn ring_after_exchange(&self, arena: &Arena) {
        fence_after_exchange();
        self.ring(arena);
    }

    /// Whether anybody wants to know.
    #[inline(always)]
    pub fn is_watched(&self) -> bool {
        self.0.iter().fold(0, |all, entry| all | entry.load(Ordering::Relaxed)) != 0
    }

    #[cold]
    fn ring_all(&self, arena: &Arena) {
        for entry in &self.0 {
            match entry.load(Ordering::Acquire) {
                0 => {}
                EVERYBODY => (1..arena.slots_used()).for_each(|s| arena.ring(s)),
                bits if arena.is_dead(Owner::of_word(bits)) => {
                    let _ = entry.compare_exchange(bits, 0, Ordering::AcqRel, Ordering::Relaxed);
                }
                bits => arena.ring(Owner::of_word(bits).slot()),
            }
        }
    }

    /// Enters this process. Entering twice is the same as once.
    pub fn enter(&self, arena: &Arena) {
        let me = arena.me().bits();
        for entry in &self.0 {
            let seen = entry.load(Ordering::Acquire);
            if seen == me || seen == EVERYBODY {
                break;
            }
            let vacant = seen == 0 || arena.is_dead(Owner::of_word(seen));
            if vacant && entry.compare_exchange(seen, me, Ordering::SeqCst, Ordering::Relaxed).is_ok() {
                break;
            }
            if std::ptr::eq(entry, &self.0[ENTRIES - 1]) {
                entry.store(EVERYBODY, Ordering::SeqCst);
            }
        }
        // Pairs with the ringer's: either it sees the entry, or the watcher's next look sees the change.
        fence(Ordering::SeqCst);
    }
}

impl Arena {
    fn ring(&self, slot: u32) {
        let bell = &self.slot(slot).doorbell;
        if bell.fetch_add(STEP, Ordering::SeqCst) & SLEEPERS != 0 {
            bell.fetch_and(!SLEEPERS, Ordering::SeqCst);
            bell.wake(u32::MAX);
        }
    }

    /// Rings the bell of one process.
    pub fn ring_owner(&self, owner: Owner) {
        if !self.is_dead(owner) {
            self.ring(owner.slot());
        }
    }

    /// Sleeps on this process's bell until `ready` answers something. The caller has entered itself as a watcher
    /// of everything that `ready` looks at.
    pub fn await_bell<T>(
        &self,
        mut waiter: Waiter<'_>,
        mut ready: impl FnMut() -> Option<T>,
    ) -> Result<T, Ended> {
        let bell = &self.my_slot().doorbell;
        loop {
            let seen = bell.fetch_or(SLEEPERS, Ordering::SeqCst) | SLEEPERS;
            fence(Ordering::SeqCst);
            if let Some(value) = ready() {
                return Ok(value);
            }
            if let Some(ended) = waiter.sleep(bell, seen) {
                return ready().ok_or(ended);
            }
        }
    }
}
