//! Killing a process with all that descends from it.
//!
//! Who descends from it is told by two sources. libmp's own processes name their forebears in their slots, so that they
//! are found even when those between have gone. Others (plain forks, programs that were exec'ed) are found by the parents
//! that /proc shows, as long as these live: an orphan of theirs has gone to another parent.
//!
//! Nobody must fork away while one looks. So whoever is found is stopped first; when all stand still, one looks again,
//! and only if that shows nobody new are they killed, all at once. Then it begins anew, until it finds nobody.

use super::handle::Process;
use super::reaper;
use crate::arena::{wait, Arena, Owner, Relative};
use crate::error::{Error, Result, Status};
use crate::sys::clock::{self, Deadline};
use crate::sys::futex;
use crate::sys::prim::Futex;
use crate::sys::procfs::Stat;
use crate::sys::tree::{self, Identity, Standing};
use std::collections::HashMap;

/// How long a process may take to stop, in nanoseconds: beyond that it is killed as it is.
const PATIENCE: i64 = 10_000_000_000;
/// The same for one that waits for what no signal interrupts.
const GRACE: i64 = 100_000_000;
const FIRST_NAP: i64 = 100_000;
const LONGEST_NAP: i64 = 10_000_000;

impl Process {
    /// Kills it and all that descends from it, and waits until they have ended.
    pub fn kill_tree(&self) -> Result<()> {
        let (pid, owner) = self.addressee()?;
        let mut hunt = Hunt { arena: Arena::get()?, root: (pid, owner), found: HashMap::new(), failed: None };
        while hunt.failed.is_none() {
            hunt.find_all();
            if hunt.found.is_empty() {
                break;
            }
            hunt.kill_all();
            hunt.await_ends()?;
        }
        match hunt.failed {
            Some(error) => {
                self.signal(libc::SIGKILL)?;
                Err(error)
            }
            None => self.join(Deadline::Never),
        }
    }
}

struct Hunt {
    arena: &'static Arena,
    root: (i32, Owner),
    /// Who was found and stopped, by number.
    found: HashMap<i32, Identity>,
    /// The first thing that went wrong.
    failed: Option<Error>,
}

impl Hunt {
    /// Finds all and stops them.
    fn find_all(&mut self) {
        self.found.clear();
        while self.find_more() {
            self.await_still();
        }
    }

    /// Looks once; true if there was somebody new.
    fn find_more(&mut self) -> bool {
        let before = self.found.len();
        let own = self.arena.descendants(self.root.1);
        let is_it = |relative: &Relative, process: &Identity| process.start_time <= relative.started_by;
        let known = own.iter().filter_map(|r| tree::identity(r.pid).filter(|process| is_it(r, process)));
        let known: Vec<_> = known.collect();
        for process in self.root().into_iter().chain(known) {
            self.stop(process);
        }
        match tree::processes() {
            Ok(all) => {
                while all.iter().filter(|(process, stat)| self.add_child(*process, stat)).count() > 0 {}
            }
            Err(error) => self.fail(error),
        }
        self.found.len() > before
    }

    /// The process itself, as long as it runs.
    fn root(&mut self) -> Option<Identity> {
        let (pid, owner) = self.root;
        // In this order: while the child has not been reaped, the number is its own.
        let process = tree::identity(pid);
        if !reaper::is_running(owner) {
            return None;
        }
        if process.is_none() {
            self.fail(Error::state(format!("/proc does not show process {pid}, which runs")));
        }
        process
    }

    /// Adds a process if its parent is one of those found, and both still are who they were.
    fn add_child(&mut self, process: Identity, stat: &Stat) -> bool {
        let Some(parent) = self.found.get(&stat.parent).copied() else { return false };
        let is_child = || process.stat().is_some_and(|now| now.parent == parent.pid);
        !stat.ended() && is_child() && parent.stat().is_some() && self.stop(process)
    }

    /// Stops a process; false if it was stopped before, or can't be.
    fn stop(&mut self, process: Identity) -> bool {
        let known = self.found.get(&process.pid) == Some(&process);
        if process.pid == std::process::id() as i32 || known || process.has_ended() {
            return false;
        }
        match process.send(libc::SIGSTOP) {
            Ok(true) => self.found.insert(process.pid, process) != Some(process),
            Ok(false) => false,
            Err(error) => {
                self.fail(error);
                false
            }
        }
    }

    fn fail(&mut self, error: Error) {
        self.failed.get_or_insert(error);
    }

    /// Waits until nobody who was found can make others.
    fn await_still(&self) {
        let begun = clock::now();
        naps(|| {
            let waited = clock::now() - begun;
            self.found.values().all(|process| match process.standing() {
                Standing::Still => true,
                Standing::Waiting => waited > GRACE,
                Standing::Moving => waited > PATIENCE,
            })
        });
    }

    fn kill_all(&mut self) {
        for process in std::mem::take(&mut self.found).into_values() {
            match process.send(libc::SIGKILL) {
                Ok(true) => drop(self.found.insert(process.pid, process)),
                Ok(false) => {}
                Err(error) => self.fail(error),
            }
        }
    }

    fn await_ends(&self) -> Result<()> {
        let cancelled = || wait::cancelled() == Some(true);
        naps(|| cancelled() || self.found.values().all(|process| process.has_ended()));
        if cancelled() {
            return Err(Error::new(Status::Cancelled, "the wait for those that were killed was cancelled"));
        }
        Ok(())
    }
}

/// Looks again and again, with naps between, until it is so.
fn naps(mut so: impl FnMut() -> bool) {
    let mut nap = FIRST_NAP;
    while !so() {
        futex::wait(&Futex::new(0), 0, Deadline::after(nap));
        nap = (nap * 2).min(LONGEST_NAP);
    }
}
