//! Families: who descends from whom, as far as slots tell. Who has gone from the middle of a line does not break it: a
//! slot names its forebears itself.

use super::slot::{Owner, Slot, State, ELDERS};
use super::Arena;
use crate::sys::prim::{AtomicU32, Ordering};

/// A process of the arena that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relative {
    /// Its number.
    pub pid: i32,
    /// In the kernel's clock ticks: it had started by then, which tells it from a later one with the same number; 0 if
    /// that is not known.
    pub started_by: u64,
}

impl Slot {
    fn forebears(&self) -> impl Iterator<Item = Owner> + '_ {
        let owner = |word: &AtomicU32| Owner::of_word(word.load(Ordering::Acquire));
        [&self.parent].into_iter().chain(&self.elders).map(owner).take_while(|owner| !owner.is_none())
    }
}

impl Arena {
    /// In a slot for a child: that this process makes it, and who made this one.
    pub(super) fn name_forebears(&self, child: &Slot) {
        let me = self.me();
        let mine = (!me.is_none()).then(|| self.my_slot());
        let mut line = mine.into_iter().flat_map(Slot::forebears);
        for elder in &child.elders {
            elder.store(line.next().map_or(0, Owner::bits), Ordering::Relaxed);
        }
        child.parent.store(me.bits(), Ordering::Release);
    }

    /// The processes of the arena that descend from this one, near or far, and run.
    pub fn descendants(&self, of: Owner) -> Vec<Relative> {
        let running = |number: &u32| {
            let life = self.life(*number);
            matches!(life.state(), State::Live | State::Pending) && life.pid() != 0
        };
        let numbers = (1..self.slots_used()).filter(running);
        numbers.filter(|number| self.descends(*number, of)).map(|number| self.relative(number)).collect()
    }

    /// The process of this owner, if it runs.
    pub fn relative_of(&self, owner: Owner) -> Option<Relative> {
        (!self.is_dead(owner)).then(|| self.relative(owner.slot())).filter(|relative| relative.pid != 0)
    }

    fn relative(&self, number: u32) -> Relative {
        let started_by = self.slot(number).started_by.load(Ordering::Relaxed);
        Relative { pid: self.life(number).pid() as i32, started_by }
    }

    /// Whether the process in this slot descends from `of`. A line longer than a slot can name is followed from its
    /// eldest on, as long as that one lives.
    fn descends(&self, mut number: u32, of: Owner) -> bool {
        loop {
            let mut line = self.slot(number).forebears();
            if line.any(|owner| owner == of) {
                return true;
            }
            match self.slot(number).forebears().nth(ELDERS) {
                Some(eldest) if !self.is_dead(eldest) => number = eldest.slot(),
                _ => return false,
            }
        }
    }
}
