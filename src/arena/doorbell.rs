//! The doorbell: how a process sleeps on many objects at once.
//!
//! Each slot has one word to sleep on. An object keeps a few watcher entries, owner words of processes that want
//! to know when it changes; whoever changes it rings their bells. More watchers than entries: the last entry says
//! "everybody", and every bell is rung. A watcher that died is dropped by the next ring; the entry is an owner
//! word, so its successor in the slot is not taken for it. The algorithm, and what a kill leaves, is in `watchers.rs`.

use super::slot::Owner;
use super::wait::Waiter;
pub use super::watchers::Watchers;
use super::watchers::{self, Bells};
use super::word::Ended;
use super::Arena;
use crate::sys::prim::{Futex, Ordering};

impl Bells for Arena {
    fn caller(&self) -> u32 {
        self.me().bits()
    }

    fn is_gone(&self, owner: u32) -> bool {
        self.is_dead(Owner::of_word(owner))
    }

    fn bell_of(&self, owner: u32) -> &Futex {
        &self.slot(Owner::of_word(owner).slot()).doorbell
    }

    fn all_bells(&self) -> impl Iterator<Item = &Futex> {
        (1..self.header().slots_used.load(Ordering::Acquire)).map(|slot| &self.slot(slot).doorbell)
    }
}

impl Arena {
    /// Sleeps on this process's bell until `ready` answers something. The caller has entered itself as a watcher
    /// of everything that `ready` looks at.
    pub fn await_bell<T>(
        &self,
        mut waiter: Waiter<'_>,
        ready: impl FnMut() -> Option<T>,
    ) -> Result<T, Ended> {
        watchers::await_ring(&self.my_slot().doorbell, &mut waiter, ready)
    }

    /// Rings this process's own bell: something has changed that nobody else knows of, the end of a child for instance.
    pub fn ring_own_bell(&self) {
        watchers::ring(&self.my_slot().doorbell);
    }
}
