//! Pools: workers, processes or threads, that run tasks, each of which reaches exactly one outcome whoever dies.

mod host;
mod item;
mod job;
mod layout;
mod mend;
mod result;
mod service;
mod threads;
mod worker;
mod workers;
mod zygote;

use self::host::Shared;
use crate::arena::Owner;
use crate::error::{Error, Result};
use crate::process::start;
use crate::sys::clock::Deadline;
use crate::sys::cpu;
use crate::sys::function::Function;
use crate::sys::prim::{AtomicU64, Ordering};
use std::sync::Arc;

pub use self::job::Items;
pub(crate) use self::job::{destroy, settle_job, settle_result};
pub use self::result::{Callbacks, JobResult, TaskError};
pub(crate) use self::workers::{run_spawned, run_zygote, WORKER_BOOTSTRAP, ZYGOTE_BOOTSTRAP};

/// How a pool is made.
#[derive(Clone, Copy, Debug, Default)]
pub struct PoolOptions {
    /// How many workers; 0 is as many as there are processors for this process.
    pub processes: u32,
    /// The number of the start method, 0 for the default.
    pub start_method: i32,
}

/// A pool of worker processes. It belongs to the process that made it.
#[derive(Debug)]
pub struct Pool {
    shared: Arc<Shared>,
}

/// The most workers of one pool: each takes a place in the arena.
const MOST_WORKERS: u32 = 2048;
/// How long freeing a pool waits for its processes, which have been sent SIGKILL.
const LAST_WAIT: i64 = 10_000_000_000;

impl Pool {
    /// A pool whose workers are being started.
    pub fn new(options: &PoolOptions) -> Result<Pool> {
        static POOLS: AtomicU64 = AtomicU64::new(0);
        // Before the arena: a spawned child that made one of its own could not join its parent's.
        start::check_may_start()?;
        let method = start::resolve(options.start_method)?;
        let processes = if options.processes == 0 { cpu::count() } else { options.processes };
        if processes > MOST_WORKERS {
            return Err(Error::invalid(format!("{processes} processes; a pool may have {MOST_WORKERS}")));
        }
        let name = format!("Pool-{}", POOLS.fetch_add(1, Ordering::Relaxed) + 1);
        let shared = Shared::make(processes, method, name)?;
        let pool = Pool { shared };
        // If not all can be started, those that were end before the caller hears of it.
        pool.shared.start()?;
        Ok(pool)
    }

    /// Submits items. 0 is an automatic chunk size.
    pub fn submit(
        &self,
        function: Function,
        items: Items<'_>,
        chunksize: usize,
        callbacks: Option<Box<dyn Callbacks>>,
    ) -> Result<JobResult> {
        self.shared.submit(function, items, chunksize, callbacks)
    }

    /// Submits and waits, however long it takes. Refused in a callback of the same pool, and in a task on its threads.
    pub fn run(&self, function: Function, items: Items<'_>, chunksize: usize) -> Result<JobResult> {
        self.shared.check_ours()?;
        service::refuse_on_own_thread(&self.shared)?;
        let result = self.shared.submit(function, items, chunksize, None)?;
        // A call without a timeout can't be cancelled either: its items would go on unseen.
        result.wait_uncancelled()?;
        Ok(result)
    }

    /// No submissions any more; what was submitted is finished. Twice is fine.
    pub fn close(&self) -> Result<()> {
        self.shared.close()
    }

    /// Ends the workers at once; what has no outcome is cancelled. Twice is fine.
    pub fn terminate(&self) -> Result<()> {
        self.shared.check_ours()?;
        self.shared.terminate();
        Ok(())
    }

    /// Waits until all workers have gone and all callbacks have returned.
    pub fn join(&self, deadline: Deadline) -> Result<()> {
        self.shared.check_ours()?;
        service::refuse_on_own_thread(&self.shared)?;
        if self.shared.cell.state() == layout::OPEN {
            return Err(Error::state("join before close or terminate"));
        }
        self.shared.join(deadline, true)
    }

    /// Who the workers are at this moment.
    pub fn workers(&self) -> Vec<Owner> {
        let (arena, cell) = (self.shared.arena(), self.shared.words());
        (0..cell.workers())
            .map(|index| Owner::of_word(cell.record(arena, index).owner.load(Ordering::Acquire)))
            .filter(|owner| !arena.is_dead(*owner))
            .collect()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if !self.shared.is_ours() {
            return;
        }
        self.shared.terminate();
        if !service::is_serving(&self.shared) && !threads::is_worker(&self.shared) {
            // They can't be killed: what a task uses may go when this returns.
            threads::join(&self.shared);
            let _ = self.shared.join(Deadline::after(LAST_WAIT), false);
        }
    }
}
