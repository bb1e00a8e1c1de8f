//! Watchers and bells: how whoever changes an object finds those who sleep on many objects at once.
//!
//! ```text
//! bell:  31    1 0            entry:  owner word of a process that wants to know
//!        rings   sleepers             0: vacant        all ones: everybody
//! ```
//!
//! Who is to watch enters itself first, and looks at the objects then: either it sees a change, or whoever makes it
//! sees the entry. Before it sleeps it sets the sleepers bit in its process's bell, looks again, and sleeps on the
//! bell as it then was. A ring counts, and only where the bit is set takes it away and wakes all: so two threads of a
//! process share a bell, and each looks for what it waits for.
//!
//! Killed between the change and the ring, or between any two stores of a ring, the ringer leaves a sleeper beside a
//! change, perhaps without its bit. Whoever settles the ringer stirs what it held, and so [rouses](Watchers::rouse)
//! the watchers: that wakes also where there is no bit. Besides, the sleeper looks again after its stretch.

use super::word::{Ended, Sleeper};
use crate::fault;
use crate::sys::prim::{fence, fence_after_exchange, AtomicU32, Futex, Ordering};

const EVERYBODY: u32 = u32::MAX;
/// In a bell: somebody sleeps on it. The rest of the word counts rings.
const SLEEPERS: u32 = 1;
const STEP: u32 = 2;

/// Where the bells hang.
pub trait Bells {
    /// This process as an owner word.
    fn caller(&self) -> u32;
    /// Whether the process of this owner word is known to be dead. No system call.
    fn is_gone(&self, owner: u32) -> bool;
    /// The bell of this owner word's process.
    fn bell_of(&self, owner: u32) -> &Futex;
    /// The bells of all processes.
    fn all_bells(&self) -> impl Iterator<Item = &Futex>;
}

/// Who wants to know when an object changes, with room for so many.
#[repr(C)]
#[derive(Debug)]
pub struct Watchers<const ENTRIES: usize = 3>([AtomicU32; ENTRIES]);

// SAFETY: repr(C), of atomics only.
#[cfg(not(loom))]
unsafe impl<const ENTRIES: usize> super::layout::Shared for Watchers<ENTRIES> {}

impl<const ENTRIES: usize> Watchers<ENTRIES> {
    /// Nobody yet, outside of an arena: for models.
    pub fn new() -> Watchers<ENTRIES> {
        Watchers(std::array::from_fn(|_| AtomicU32::new(0)))
    }

    /// The object has changed, and a full fence has followed: rings its watchers. Costs a few loads when there are
    /// none. Async-signal-safe.
    #[inline]
    pub fn ring(&self, bells: &impl Bells) {
        if self.is_watched() {
            self.ring_all(bells, ring);
        }
    }

    /// The same for who has just changed the object by an exchange.
    #[inline]
    pub fn ring_after_exchange(&self, bells: &impl Bells) {
        fence_after_exchange();
        self.ring(bells);
    }

    /// A process has died that may have changed the object and rung nobody, or half: its watchers look again.
    pub fn rouse(&self, bells: &impl Bells) {
        // Between the change, which came before the death, and the look at the entries.
        fence(Ordering::SeqCst);
        self.ring_all(bells, rouse);
    }

    /// Whether anybody wants to know.
    #[inline(always)]
    pub fn is_watched(&self) -> bool {
        self.0.iter().fold(0, |all, entry| all | entry.load(Ordering::Relaxed)) != 0
    }

    #[cold]
    fn ring_all(&self, bells: &impl Bells, ring: fn(&Futex)) {
        for entry in &self.0 {
            match entry.load(Ordering::Acquire) {
                0 => {}
                EVERYBODY => bells.all_bells().for_each(ring),
                owner if bells.is_gone(owner) => {
                    let _ = entry.compare_exchange(owner, 0, Ordering::AcqRel, Ordering::Relaxed);
                }
                owner => ring(bells.bell_of(owner)),
            }
        }
    }

    /// Enters this process. Entering twice is the same as once.
    pub fn enter(&self, bells: &impl Bells) {
        let me = bells.caller();
        for entry in &self.0 {
            let seen = entry.load(Ordering::Acquire);
            if seen == me || seen == EVERYBODY {
                break;
            }
            let vacant = seen == 0 || bells.is_gone(seen);
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

impl<const ENTRIES: usize> Default for Watchers<ENTRIES> {
    fn default() -> Watchers<ENTRIES> {
        Watchers::new()
    }
}

/// Counts a ring; whether somebody is to be woken.
pub fn strike(bell: &Futex) -> bool {
    let asleep = bell.fetch_add(STEP, Ordering::SeqCst) & SLEEPERS != 0;
    if asleep {
        fault!("doorbell.ring:counted");
        bell.fetch_and(!SLEEPERS, Ordering::SeqCst);
        fault!("doorbell.ring:cleared");
    }
    asleep
}

/// Rings a bell: those who sleep on it look again.
pub fn ring(bell: &Futex) {
    if strike(bell) {
        bell.wake(u32::MAX);
    }
}

/// The same where another ringer may have died after it had taken the bit away.
fn rouse(bell: &Futex) {
    strike(bell);
    bell.wake(u32::MAX);
}

/// Sleeps on a bell until `ready` answers something. The caller has entered its process as a watcher of everything
/// that `ready` looks at.
pub fn await_ring<T>(
    bell: &Futex,
    sleeper: &mut impl Sleeper,
    mut ready: impl FnMut() -> Option<T>,
) -> Result<T, Ended> {
    loop {
        let seen = bell.fetch_or(SLEEPERS, Ordering::SeqCst) | SLEEPERS;
        fence(Ordering::SeqCst);
        if let Some(value) = ready() {
            return Ok(value);
        }
        if let Some(ended) = sleeper.sleep(bell, seen) {
            return ready().ok_or(ended);
        }
    }
}
