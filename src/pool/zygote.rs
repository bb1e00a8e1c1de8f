//! The zygote: a process with one thread and the memory as of `mp_pool_new`, from which all workers of a fork pool
//! come. So a worker's death never forks a host with many threads at a random moment.
//!
//! It waits for its workers, records how each ended, mends the pool and replaces the dead. It takes no commands: it
//! leaves when the pool is closed and all workers have left; to end it earlier the host kills it, and its workers,
//! who watch it, go too.

use super::layout::{PoolCell, BROKEN, CLOSED, TERMINATED};
use super::{mend, worker};
use crate::arena::{wait, Arena, Obituary, Owner};
use crate::fault;
use crate::process::fork;
use crate::process::identity::{self, ChildOptions, Identity};
use crate::sys::clock::Deadline;
use crate::sys::pidfd::PidFd;
use crate::sys::prim::{Futex, Ordering};
use crate::sys::signal::{self, ChildSignal};
use crate::sys::{futex, reap};

/// So many workers in a row that die before they have run anything break the pool.
const HOPELESS: u32 = 20;

struct Child {
    pid: i32,
    owner: Owner,
}

struct Zygote {
    arena: &'static Arena,
    cell: &'static PoolCell,
    name: String,
    /// For the workers, whose tasks are the host's code.
    hosts: ChildSignal,
    workers: Vec<Option<Child>>,
    /// Workers made so far, for their names.
    made: u64,
    /// Deaths in a row without a worker that had begun to work.
    stillborn: u32,
}

/// The zygote's life. Answers its exit code.
pub(super) fn run(arena: &'static Arena, cell: &'static PoolCell, name: String) -> i32 {
    signal::ignore_interrupt();
    let hosts = ChildSignal::put_aside();
    let workers = (0..cell.workers()).map(|_| None).collect();
    let mut zygote = Zygote { arena, cell, name, hosts, workers, made: 0, stillborn: 0 };
    let record = cell.record(arena, cell.workers());
    record.hazard.store(0, Ordering::Relaxed);
    record.pid.store(std::process::id(), Ordering::Relaxed);
    record.owner.store(arena.me().bits(), Ordering::Release);
    for index in 0..cell.workers() {
        zygote.make_worker(index);
    }
    while let Some(ended) = reap::next_child() {
        zygote.bury(ended);
    }
    0
}

impl Zygote {
    fn make_worker(&mut self, index: u32) {
        if self.cell.state() >= TERMINATED {
            return;
        }
        self.made += 1;
        let identity = Identity::worker(&self.name, self.made).on_behalf_of(identity::parent_pid());
        let options = ChildOptions { identity, die_with_parent: true };
        let (arena, cell, hosts) = (self.arena, self.cell, self.hosts);
        // What stands there is the last worker's; the new one is not yet known to work.
        cell.record(arena, index).owner.store(0, Ordering::Release);
        let forked = fork::fork_unwatched(options, move || {
            signal::ignore_interrupt();
            hosts.give_back();
            worker::work(arena, cell, index)
        });
        match forked {
            Ok((pid, owner)) => {
                cell.record(arena, index).made.store(owner.bits(), Ordering::Release);
                self.workers[index as usize] = Some(Child { pid, owner });
            }
            Err(error) => self.give_up(&format!("a worker could not be forked: {error}")),
        }
    }

    /// Without a single worker left the pool breaks; with fewer than asked for it goes on.
    fn give_up(&self, why: &str) {
        crate::sys::log::say(crate::sys::log::ERROR, &format!("{}: {why}", self.name));
        if self.workers.iter().all(Option::is_none) && self.cell.enter_state(BROKEN) {
            mend::end_all(self.arena, self.cell, self.cell.record(self.arena, self.cell.workers()));
            wait::notify(self.arena, &self.cell.outcomes, u32::MAX);
        }
    }

    /// A worker has ended.
    fn bury(&mut self, ended: reap::Ended) {
        let found = self.workers.iter().position(|w| w.as_ref().is_some_and(|w| w.pid == ended.pid));
        let Some(index) = found else { return };
        let Some(child) = self.workers[index].take() else { return };
        let record = self.cell.record(self.arena, index as u32);
        let began = record.owner.load(Ordering::Acquire) == child.owner.bits();
        let obituary = Obituary { pid: ended.pid, code: ended.code, signal: ended.signal };
        self.arena.bury(child.owner, obituary);
        fault!("pool.zygote:buried");
        let mender = self.cell.record(self.arena, self.cell.workers());
        let fate = |owner| (owner == child.owner).then_some(obituary);
        let queued = mend::mend(self.arena, self.cell, mender, fate);
        let left_in_order = ended.code == 0 && ended.signal == 0 && self.cell.state() >= CLOSED;
        if left_in_order && !queued {
            return;
        }
        self.stillborn = if began { 0 } else { self.stillborn + 1 };
        if self.stillborn > HOPELESS {
            self.give_up("its workers die as soon as they begin");
            return;
        }
        self.make_worker(index as u32);
    }
}

/// What is known of how a worker of a dead zygote ended: what the zygote recorded, else that it was killed with it.
pub(super) fn fate(arena: &Arena, cell: &PoolCell, owner: Owner) -> Option<Obituary> {
    if !arena.is_dead(owner) {
        return None;
    }
    let killed = || {
        let pid = (0..cell.workers())
            .map(|index| cell.record(arena, index))
            .find(|record| record.owner.load(Ordering::Acquire) == owner.bits())
            .map_or(0, |record| record.pid.load(Ordering::Relaxed) as i32);
        Obituary { pid, code: 0, signal: libc::SIGKILL }
    };
    Some(arena.obituary(owner).unwrap_or_else(killed))
}

/// After the zygote's end: waits until all its workers have gone. They go by themselves, but for one whose task has
/// closed all descriptors.
pub(super) fn await_orphans(arena: &Arena, cell: &PoolCell) {
    let (end, patience) = (Deadline::after(5_000_000_000), Deadline::after(50_000_000));
    let nap = Futex::new(0);
    for record in (0..cell.workers()).map(|index| cell.record(arena, index)) {
        for word in [&record.owner, &record.made] {
            let owner = Owner::of_word(word.load(Ordering::Acquire));
            while !owner.is_none() && !arena.investigate(owner) && !end.passed() {
                if patience.passed() {
                    kill(arena, owner);
                }
                futex::wait(&nap, 0, Deadline::after(300_000));
            }
        }
    }
    arena.settle_pending();
}

/// Kills a process that is not this one's child.
pub(super) fn kill(arena: &Arena, owner: Owner) {
    let Some(Ok(pidfd)) = arena.pid_of(owner).filter(|pid| *pid > 0).map(PidFd::open) else { return };
    // If it still lives, its number meant it when the descriptor was opened.
    if !arena.investigate(owner) {
        let _ = pidfd.send_signal(libc::SIGKILL);
    }
}
