//! The host's side of a pool: the processes, the job table, and what becomes of both.

use super::item::Job;
use super::job::{self, Items, Unlinked};
use super::layout::{PoolCell, WorkerRecord, BROKEN, CLOSED, OPEN, TERMINATED};
use super::result::{Callbacks, JobResult};
use super::{mend, service, threads, workers};
use crate::arena::held::kind;
use crate::arena::wait::{self, Waiter};
use crate::arena::{event, Arena, BlockRef, Holder, Obituary, Owner};
use crate::error::{Error, Result, Status};
use crate::process::executable;
use crate::process::start::StartMethod;
use crate::process::target::{self, Target};
use crate::sys::clock::{self, Deadline};
use crate::sys::fork::LocalLock;
use crate::sys::function::Function;
use crate::sys::objects::Snapshot;
use crate::sys::pidfd::PidFd;
use crate::sys::prim::{AtomicU32, AtomicU64, Futex, Ordering};
use crate::sys::thread::Thread;
use std::collections::VecDeque;
use std::sync::Arc;

const FIRST_CAPACITY: u64 = 64;
/// So many jobs whose handles were freed early are looked at with each submission.
const ORPHANS_AT_ONCE: usize = 16;

/// A function, as it travels, and when that was found out: after so many loads of objects and namings of programs.
type Known = (Function, (u64, u32), Vec<u8>);

/// What the host keeps of a pool.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) cell: Holder<PoolCell>,
    /// The process that made the pool: to any other it means nothing.
    maker: Owner,
    pub(super) name: String,
    pub(super) method: StartMethod,
    /// What was loaded when the zygote was made: what was loaded later it does not have.
    pub(super) loaded: LocalLock<Arc<Snapshot>>,
    /// The function of the last submission to spawned workers.
    known: LocalLock<Option<Known>>,
    pub(super) host: LocalLock<Host>,
    /// Workers that are threads and were not joined yet.
    pub(super) threads: LocalLock<Vec<Thread>>,
    /// Becomes 1 when no worker of the pool is left.
    gone: AtomicU32,
    /// When it was terminated, in nanoseconds on the monotonic clock.
    terminated_at: AtomicU64,
    /// Rung when `gone` or the service's list changes.
    pub(super) changed: Futex,
}

/// One that the host looks after.
#[derive(Clone, Debug)]
pub(super) enum Member {
    /// A child of this process: the zygote or a worker.
    Process(Arc<PidFd>),
    /// A worker that is a thread of this process.
    Thread,
}

/// What the host's lock guards.
#[derive(Debug, Default)]
pub(super) struct Host {
    /// Whether the job at a position still is in use, from the position `low` on.
    active: VecDeque<bool>,
    low: u64,
    unlinked: Vec<Unlinked>,
    /// Positions of jobs whose handles were freed before they were complete.
    orphans: VecDeque<u64>,
    /// The pool's processes that are this process's children, or its threads.
    pub(super) children: Vec<Option<Member>>,
    /// Results whose callbacks are due, in order of submission.
    pub(super) watched: VecDeque<JobResult>,
    pub(super) serving: bool,
    /// Children in a row that ended before they had begun to work.
    stillborn: u32,
    /// The spawned workers that could not be replaced when they ended: it is tried again.
    pub(super) missing: Vec<u32>,
    /// Not before this time, in nanoseconds on the monotonic clock.
    pub(super) again_at: i64,
}

/// So many of them break the pool.
const HOPELESS: u32 = 20;
/// How long a zygote has for leaving after its workers were killed.
const PATIENCE: i64 = 1_000_000_000;

impl Shared {
    pub(super) fn make(processes: u32, method: StartMethod, name: String) -> Result<Arc<Shared>> {
        let arena = Arena::get()?;
        let cell: Holder<PoolCell> =
            Holder::new(arena, |cell: &PoolCell| cell.processes.store(processes, Ordering::Relaxed))?;
        let table = arena.allocate(PoolCell::table_bytes(FIRST_CAPACITY), false)?;
        cell.make_table(arena, table.reference(), FIRST_CAPACITY, 0);
        job::link(table, &cell.table, kind::OBJECT_PART);
        let bytes = PoolCell::records_bytes(processes);
        let records = arena.allocate(bytes, false)?;
        arena.zero(arena.data_offset(records.reference()), bytes);
        job::link(records, &cell.records, kind::OBJECT_PART);
        Ok(Arc::new(Shared {
            cell,
            maker: arena.me(),
            name,
            method,
            loaded: LocalLock::new(Arc::default()),
            known: LocalLock::new(None),
            host: LocalLock::new(Host::default()),
            threads: LocalLock::new(Vec::new()),
            gone: AtomicU32::new(0),
            terminated_at: AtomicU64::new(0),
            changed: Futex::new(0),
        }))
    }

    pub(super) fn arena(&self) -> &'static Arena {
        self.cell.arena()
    }

    /// The words, for a closure that outlives the borrow: a cell is never unmapped.
    pub(super) fn words(&self) -> &'static PoolCell {
        self.cell.body()
    }

    /// Whether this is the process that made the pool.
    pub(super) fn is_ours(&self) -> bool {
        self.arena().me() == self.maker
    }

    pub(super) fn check_ours(&self) -> Result<()> {
        Arena::get()?;
        if self.is_ours() {
            Ok(())
        } else {
            Err(Error::state("the pool belongs to the process that made it; this is a forked child"))
        }
    }

    fn check_open(&self) -> Result<()> {
        match self.cell.state() {
            OPEN => Ok(()),
            BROKEN => {
                Err(Error::new(Status::Broken, "the pool is broken: it has no workers and can't get any"))
            }
            _ => Err(Error::new(Status::Closed, "the pool is closed")),
        }
    }

    /// The function as it reaches the pool's workers.
    fn target(&self, function: Function) -> Result<Vec<u8>> {
        match self.method {
            StartMethod::Fork => {
                let zygotes = self.loaded.lock().clone();
                return Ok(Target::for_zygote(function, &zygotes)?.encode());
            }
            StartMethod::Thread => return Ok(Target::for_fork(function).encode()),
            StartMethod::ForkServer | StartMethod::Spawn => {}
        }
        // To find the object of a function reads files: most submissions are of the one before.
        let now = (target::loaded(), executable::namings());
        let mut known = self.known.lock();
        match &*known {
            Some((same, at, encoded)) if (*same, *at) == (function, now) => Ok(encoded.clone()),
            _ => {
                let target = Target::for_exec(function)?;
                let encoded = target.encode();
                *known = target.is_lasting().then(|| (function, now, encoded.clone()));
                Ok(encoded)
            }
        }
    }

    /// Submits a job.
    pub(super) fn submit(
        self: &Arc<Self>,
        function: Function,
        items: Items<'_>,
        chunksize: usize,
        mut callbacks: Option<Box<dyn Callbacks>>,
    ) -> Result<JobResult> {
        self.check_ours()?;
        self.check_open()?;
        let has_callbacks = callbacks.is_some();
        if has_callbacks {
            service::ensure(self)?;
        }
        let count = items.count();
        let target = self.target(function)?;
        let progress = callbacks.as_ref().is_some_and(|c| c.wants_progress());
        let block = job::make(self.arena(), items, self.chunk(count, chunksize), progress, &target)?;
        let mut host = self.host.lock();
        self.check_open()?;
        self.collect(&mut host);
        let incomplete = !host.missing.is_empty();
        let reference = block.reference();
        let position = job::enter(&self.cell, block, host.low)?;
        host.active.push_back(true);
        if let Some(callbacks) = callbacks.as_mut() {
            callbacks.accepted();
        }
        let result = JobResult::new(self.clone(), position, reference, callbacks);
        if has_callbacks {
            host.watched.push_back(result.clone());
        }
        drop(host);
        if count > 0 {
            wait::notify(self.arena(), &self.cell.work, (count as u32).min(self.cell.workers()));
        }
        if has_callbacks {
            wait::notify(self.arena(), &self.cell.outcomes, u32::MAX);
        }
        if incomplete {
            workers::refill(self);
        }
        Ok(result)
    }

    /// Automatic chunks: four for each worker, as in Python.
    fn chunk(&self, count: usize, chunksize: usize) -> u32 {
        let chunk = if chunksize == 0 { count.div_ceil(self.cell.workers() as usize * 4) } else { chunksize };
        chunk.clamp(1, (u32::MAX >> 2) as usize) as u32
    }

    /// A result's handle has gone: its job goes too, at once or when it is complete.
    pub(super) fn release(&self, position: u64, block: BlockRef) {
        if !self.is_ours() {
            return;
        }
        let mut host = self.host.lock();
        if Job::of(self.arena(), block).is_complete() {
            self.unlink(&mut host, position);
        } else {
            host.orphans.push_back(position);
        }
        self.collect(&mut host);
    }

    fn unlink(&self, host: &mut Host, position: u64) {
        match job::unlink(&self.cell, self.arena(), position) {
            Ok(unlinked) => host.unlinked.push(unlinked),
            // No room for the entry: the job stays until the pool goes.
            Err(_) => return,
        }
        if let Some(active) = host.active.get_mut((position - host.low) as usize) {
            *active = false;
        }
        while host.active.front() == Some(&false) {
            host.active.pop_front();
            host.low += 1;
        }
        self.cell.low.store(host.low, Ordering::Release);
    }

    /// Gives back what can be given back by now.
    fn collect(&self, host: &mut Host) {
        for _ in 0..host.orphans.len().min(ORPHANS_AT_ONCE) {
            let Some(position) = host.orphans.pop_front() else { break };
            let block =
                BlockRef::from_bits(self.cell.job_word(self.arena(), position).load(Ordering::Acquire));
            if Job::of(self.arena(), block).is_complete() {
                self.unlink(host, position);
            } else {
                host.orphans.push_back(position);
            }
        }
        for unlinked in std::mem::take(&mut host.unlinked) {
            if let Err(unlinked) = unlinked.free(&self.cell, self.arena()) {
                host.unlinked.push(unlinked);
            }
        }
    }

    /// Starts the pool's processes.
    pub(super) fn start(self: &Arc<Self>) -> Result<()> {
        match self.method {
            StartMethod::Spawn => {
                self.host.lock().children.resize(self.cell.workers() as usize, None);
                (0..self.cell.workers()).try_for_each(|index| workers::spawn(self, index))
            }
            StartMethod::Thread => threads::start(self),
            StartMethod::Fork | StartMethod::ForkServer => {
                self.host.lock().children.resize(1, None);
                *self.loaded.lock() = Arc::new(Snapshot::take());
                workers::make_zygote(self)
            }
        }
    }

    /// Closes the pool: no submissions any more.
    pub(super) fn close(&self) -> Result<()> {
        self.check_ours()?;
        let host = self.host.lock();
        self.cell.enter_state(CLOSED);
        drop(host);
        wait::notify(self.arena(), &self.cell.work, u32::MAX);
        Ok(())
    }

    /// Ends the pool's processes and cancels what has no outcome. The zygote collects its workers and leaves; threads
    /// leave after the task in their hands.
    pub(super) fn terminate(&self) {
        if self.cell.enter_state(TERMINATED) {
            self.terminated_at.store(clock::now() as u64, Ordering::Relaxed);
        }
        let host = self.host.lock();
        match self.method {
            StartMethod::Fork | StartMethod::ForkServer => workers::kill_forked(self.arena(), &self.cell),
            StartMethod::Spawn => Self::kill(&host),
            // Their owner word is this process's.
            StartMethod::Thread => {}
        }
        let nobody_left = host.children.iter().all(Option::is_none);
        mend::end_all(self.arena(), &self.cell, &WorkerRecord::unneeded());
        drop(host);
        if nobody_left {
            self.all_gone();
        }
    }

    fn kill(host: &Host) {
        for child in host.children.iter().flatten() {
            if let Member::Process(pidfd) = child {
                let _ = pidfd.send_signal(libc::SIGKILL);
            }
        }
    }

    /// The pool has no workers and can't get any: whatever has no outcome fails.
    pub(super) fn break_up(&self, why: &str) {
        crate::sys::log::say(crate::sys::log::ERROR, &format!("{}: {why}", self.name));
        self.cell.enter_state(BROKEN);
        self.end_all();
    }

    /// Gives every item an outcome, now that the pool is terminated or broken. Submissions are refused by then, or
    /// are in the table.
    pub(super) fn end_all(&self) {
        let _host = self.host.lock();
        mend::end_all(self.arena(), &self.cell, &WorkerRecord::unneeded());
    }

    /// Mends the pool after a child's end, as its host. True if items are queued.
    pub(super) fn mend(&self, fate: impl Fn(Owner) -> Option<Obituary>) -> bool {
        let _host = self.host.lock();
        mend::mend(self.arena(), &self.cell, &WorkerRecord::unneeded(), fate)
    }

    /// Whether a job waits for workers.
    pub(super) fn has_unfinished(&self) -> bool {
        let host = self.host.lock();
        let positions = (host.low..).zip(&host.active).filter(|(_, active)| **active);
        positions.map(|(position, _)| self.cell.job_word(self.arena(), position)).any(|word| {
            !Job::of(self.arena(), BlockRef::from_bits(word.load(Ordering::Acquire))).is_complete()
        })
    }

    /// A child has ended; true when so many in a row had not even begun that it is time to give up.
    pub(super) fn is_hopeless(&self, began: bool) -> bool {
        let mut host = self.host.lock();
        host.stillborn = if began { 0 } else { host.stillborn + 1 };
        host.stillborn > HOPELESS
    }

    /// Whether no child but this one is left.
    pub(super) fn is_last_child(&self, index: usize) -> bool {
        let host = self.host.lock();
        host.children.iter().enumerate().all(|(i, child)| i == index || child.is_none())
    }

    /// A child has ended and gets no successor.
    pub(super) fn forget_child(&self, index: usize) {
        let mut host = self.host.lock();
        host.children[index] = None;
        let alone = host.children.iter().all(Option::is_none);
        drop(host);
        if alone {
            self.all_gone();
        }
    }

    /// No worker of the pool is left.
    pub(super) fn all_gone(&self) {
        self.gone.store(1, Ordering::Release);
        self.ring();
    }

    /// Something that joiners wait for has changed.
    pub(super) fn ring(&self) {
        event::notify(&self.changed, u32::MAX);
        wait::notify(self.arena(), &self.cell.outcomes, u32::MAX);
    }

    pub(super) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire) != 0
    }

    /// Waits until no worker is left and no callback is due; `cancellable` says whether this thread's cancel object
    /// ends the wait.
    pub(super) fn join(&self, deadline: Deadline, cancellable: bool) -> Result<()> {
        self.await_workers(deadline, cancellable)?;
        threads::join(self);
        Ok(())
    }

    fn await_workers(&self, deadline: Deadline, cancellable: bool) -> Result<()> {
        if self.cell.state() >= TERMINATED {
            let limit = self.terminated_at.load(Ordering::Relaxed) as i64 + PATIENCE;
            match self.await_end(deadline.earlier(limit), cancellable) {
                // A zygote that is stopped, or waits for what is no worker of its own any more.
                Err(error) if error.status() == Status::Timeout && clock::now() >= limit => {
                    Self::kill(&self.host.lock());
                }
                ended => return ended,
            }
        }
        self.await_end(deadline, cancellable)
    }

    fn await_end(&self, deadline: Deadline, cancellable: bool) -> Result<()> {
        let waiter = Waiter::new(self.arena(), deadline);
        let mut waiter = if cancellable { waiter } else { waiter.uncancelled() };
        let over = || (self.is_gone() && self.host.lock().watched.is_empty()).then_some(());
        event::wait(&self.changed, &mut waiter, over, || over().is_some())
            .map_err(|end| crate::sync::ended(end, "the pool has not ended yet"))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if self.is_ours() {
            self.collect(&mut self.host.lock());
            threads::let_go(self);
        }
    }
}
