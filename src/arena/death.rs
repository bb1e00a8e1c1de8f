//! Death: how it is noticed and declared. How it is mended is in `settle.rs`.
//!
//! Declaring is one exchange of the slot's life word, which raises its generation: from then on whatever carries the
//! old generation is ownerless. Only positive proof leads there (see `sys::procfs::liveness`).

use super::slot::{Life, Owner, State};
use super::Arena;
use crate::fault;
use crate::sys::clock;
use crate::sys::prim::{fence, Ordering};
use crate::sys::procfs::{self, Liveness};

/// A forked child that has not taken its slot over by then loses it.
const TAKEOVER: u64 = 10_000_000_000;

/// How a process ended, as its parent recorded it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Obituary {
    /// Its process id.
    pub pid: i32,
    /// Its exit code, if it exited.
    pub code: i32,
    /// The signal that killed it, 0 if none.
    pub signal: i32,
}

const WRITTEN: u64 = 1 << 63;

impl Arena {
    /// Whether a process is known to be dead. No system call.
    #[inline]
    pub fn is_dead(&self, owner: Owner) -> bool {
        let slot = owner.slot();
        slot == 0
            || slot >= self.header().slots_used.load(Ordering::Relaxed) && self.was_never_used(slot)
            || self.life(slot).generation() != owner.generation()
    }

    /// A slot that seems to be beyond those used may have been taken since: who names it knew of that. Pairs with
    /// the fence of `set_me`.
    #[cold]
    fn was_never_used(&self, slot: u32) -> bool {
        fence(Ordering::Acquire);
        slot >= self.slots_used()
    }

    pub(crate) fn life(&self, slot: u32) -> Life {
        Life(self.slot(slot).life.load(Ordering::Acquire))
    }

    /// Looks at a process by system calls and declares it dead if it is. True if it is dead.
    pub fn investigate(&self, owner: Owner) -> bool {
        if self.is_dead(owner) {
            return true;
        }
        let life = self.life(owner.slot());
        self.has_died(owner.slot(), life) && {
            self.declare_dead(owner.slot(), life);
            true
        }
    }

    /// The same by one system call, to which a zombie is alive: for where time matters.
    pub fn glance_at(&self, owner: Owner) -> bool {
        if self.is_dead(owner) {
            return true;
        }
        let life = self.life(owner.slot());
        let another = life.state() == State::Live && owner != self.me();
        another && procfs::is_gone(life.pid() as i32) && self.investigate(owner)
    }

    /// Positive proof that the process of this slot has died.
    pub(super) fn has_died(&self, slot: u32, life: Life) -> bool {
        let (since, start) = {
            let s = self.slot(slot);
            (s.since.load(Ordering::Relaxed), s.started_by.load(Ordering::Relaxed))
        };
        match life.state() {
            State::Live => {
                slot != self.me().slot()
                    && procfs::liveness(life.pid() as i32, start, self.file()) == Liveness::Dead
            }
            State::Claimed => procfs::liveness(life.pid() as i32, 0, None) == Liveness::Dead,
            State::Pending if life.pid() == 0 => (clock::now() as u64).saturating_sub(since) > TAKEOVER,
            State::Pending => procfs::liveness(life.pid() as i32, start, None) == Liveness::Dead,
            State::Free | State::Dead | State::Settling | State::Kept => false,
        }
    }

    /// Declares the process of a slot dead, if its life is still as it was seen.
    pub(crate) fn declare_dead(&self, slot: u32, seen: Life) -> bool {
        let dead = Life::new(State::Dead, seen.generation().wrapping_add(1), 0, seen.pid());
        let word = &self.slot(slot).life;
        let declared = word.compare_exchange(seen.0, dead.0, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if declared {
            fault!("death.declare:declared");
            self.header().unsettled.store(1, Ordering::Release);
        }
        declared
    }

    /// A parent has collected its child: records how it ended, declares it dead and settles it.
    pub fn bury(&self, owner: Owner, obituary: Obituary) {
        if owner.is_none() {
            return;
        }
        let slot = self.slot(owner.slot());
        let end = u64::from(obituary.pid as u32) << 32 | u64::from(obituary.code as u32 & 0xffff) << 8;
        slot.obituary[1].store(end | u64::from(obituary.signal as u32 & 0xff), Ordering::Relaxed);
        slot.obituary[0].store(WRITTEN | u64::from(owner.generation()), Ordering::Release);
        let life = self.life(owner.slot());
        if life.generation() == owner.generation() && life.state() != State::Free {
            self.declare_dead(owner.slot(), life);
        }
        self.settle_pending();
        super::named::bury_in_named(obituary.pid);
    }

    /// Settles the process of this number, if it has died.
    pub(super) fn sweep_process(&self, pid: i32) {
        for slot in 1..self.slots_used() {
            let life = self.life(slot);
            if life.pid() as i32 == pid && self.has_died(slot, life) {
                self.declare_dead(slot, life);
            }
        }
        self.settle_pending();
    }

    /// How the process of this owner ended, if its parent has recorded it and the slot has had no later end.
    pub fn obituary(&self, owner: Owner) -> Option<Obituary> {
        let slot = self.slot(owner.slot());
        let written = || slot.obituary[0].load(Ordering::Acquire) == WRITTEN | u64::from(owner.generation());
        if !written() {
            return None;
        }
        let end = slot.obituary[1].load(Ordering::Acquire);
        written().then_some(Obituary {
            pid: (end >> 32) as i32,
            code: i32::from((end >> 8) as u16),
            signal: i32::from(end as u8),
        })
    }

    /// Looks at every process of the arena and settles the dead. A few system calls for each.
    pub fn sweep(&self) {
        self.sweep_finds_dead(|| ());
    }

    /// The same, with something to do after each process.
    pub fn sweep_with(&self, between: impl FnMut()) {
        self.sweep_finds_dead(between);
    }

    /// The same, and whether there was anybody to settle. It takes a while where there are many: what can't wait is
    /// done by `between`, after each process.
    pub(crate) fn sweep_finds_dead(&self, mut between: impl FnMut()) -> bool {
        let mut found = false;
        for slot in 1..self.slots_used() {
            let life = self.life(slot);
            if self.has_died(slot, life) {
                found |= self.declare_dead(slot, life);
                self.settle_pending();
            }
            if life.state() != State::Free {
                between();
            }
        }
        found |= self.header().unsettled.load(Ordering::Acquire) != 0;
        self.settle_pending();
        found
    }
}
