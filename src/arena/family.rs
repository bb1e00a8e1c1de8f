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
        let running = |number| {
            let life = self.life(number);
            let runs = matches!(life.state(), State::Live | State::Pending) && life.pid() != 0;
            runs.then(|| Owner::new(number, life.generation()))
        };
        let owners = (1..self.slots_used()).filter_map(running);
        owners.filter(|owner| self.descends(*owner, of)).filter_map(|owner| self.relative(owner)).collect()
    }

    fn relative(&self, owner: Owner) -> Option<Relative> {
        let started_by = self.slot(owner.slot()).started_by.load(Ordering::Acquire);
        let pid = self.life(owner.slot()).pid() as i32;
        // Only now is it sure that both are its own.
        (!self.is_dead(owner)).then_some(Relative { pid, started_by })
    }

    /// Whether a process descends from `of`. A line longer than a slot can name is followed from the eldest on that
    /// lives.
    fn descends(&self, mut owner: Owner, of: Owner) -> bool {
        while let Some(line) = self.line_of(owner) {
            if line.contains(&of) {
                return true;
            }
            let is_whole = line.len() <= ELDERS;
            match line.into_iter().rev().find(|forebear| !self.is_dead(*forebear)) {
                Some(eldest) if !is_whole => owner = eldest,
                _ => return false,
            }
        }
        false
    }

    /// The forebears that a running process's slot names.
    fn line_of(&self, owner: Owner) -> Option<Vec<Owner>> {
        let line = self.slot(owner.slot()).forebears().collect();
        (!self.is_dead(owner)).then_some(line)
    }
}
