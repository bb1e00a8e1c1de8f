//! The worker: claims items one by one, runs them, commits their outcomes.
//!
//! Those that are threads of the host share its owner word. That does no harm: an exchange claims an item, so that of
//! two with the same word only one has it, and nothing is taken from an owner that lives.

use super::item::{Item, Job, Reason, State, INLINE, RAN};
use super::layout::{First, PoolCell, WorkerRecord, CLOSED, TERMINATED};
use super::mend;
use crate::arena::held::kind;
use crate::arena::wait::{self, Waiter};
use crate::arena::{event, Arena, Obituary, Owner};
use crate::fault;
use crate::process::call::Call;
use crate::process::sink::ArenaSink;
use crate::process::target::Target;
use crate::process::EXIT_FAILED;
use crate::sys::clock::{self, Deadline};
use crate::sys::function::Function;
use crate::sys::prim::{fence, Ordering};

/// A function that was found, and how it was named: to find it again may read files.
struct Resolved {
    target: Vec<u8>,
    function: Function,
}

/// What a worker carries through its life.
struct Worker<'a> {
    arena: &'static Arena,
    cell: &'a PoolCell,
    record: &'a WorkerRecord,
    me: Owner,
    resolved: Option<Resolved>,
    args: Vec<&'static [u8]>,
}

/// An item that this worker has claimed. Should the library itself fail before its outcome is committed, the item
/// fails with it: a worker that is a thread has an owner that lives on.
struct InHand<'a> {
    arena: &'static Arena,
    cell: &'a PoolCell,
    me: Owner,
    job: &'a Job<'static>,
    item: &'a Item,
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() && self.item.state() == State::Claimed(self.me) {
            let obituary = Obituary { pid: std::process::id() as i32, code: EXIT_FAILED, signal: 0 };
            mend::fail(self.item, self.me, obituary, self.cell.state() >= TERMINATED);
            announce_if_complete(self.arena, self.cell, self.job);
        }
    }
}

/// Works for the pool until there is nothing more to do. Answers the process's exit code.
pub(super) fn work(arena: &'static Arena, cell: &'static PoolCell, index: u32) -> i32 {
    let record = cell.record(arena, index);
    record.hazard.store(0, Ordering::Relaxed);
    record.pid.store(std::process::id(), Ordering::Relaxed);
    record.owner.store(arena.me().bits(), Ordering::Release);
    // Either this process sees that the pool was terminated, or the host sees whom to kill.
    fence(Ordering::SeqCst);
    let mut worker = Worker { arena, cell, record, me: arena.me(), resolved: None, args: Vec::new() };
    while worker.await_work() {
        worker.work_through_jobs();
    }
    record.hazard.store(0, Ordering::Release);
    0
}

impl Worker<'_> {
    /// Waits until a job may have queued items; false when the worker may leave.
    fn await_work(&self) -> bool {
        let cell = self.cell;
        let work = || {
            // The state first: what was submitted before the pool was closed is seen by the look that follows.
            let state = cell.state();
            if state >= TERMINATED {
                Some(false)
            } else if self.has_work() {
                Some(true)
            } else {
                (state >= CLOSED).then_some(false)
            }
        };
        loop {
            let mut waiter = Waiter::new(self.arena, Deadline::Never).spinning(&cell.work_spin);
            let answer = event::await_change(&cell.work, &mut waiter, work);
            event::pass_on(&cell.work, &waiter, || work().is_some());
            if let Ok(answer) = answer {
                return answer;
            }
        }
    }

    fn has_work(&self) -> bool {
        self.find_job().is_some()
    }

    /// The first job that may have queued items. Raises `first` over those that have none.
    fn find_job(&self) -> Option<Job<'static>> {
        let cell = self.cell;
        loop {
            let first = First(cell.first.load(Ordering::Acquire));
            if first.position() >= cell.tail.load(Ordering::Acquire) {
                self.record.hazard.store(0, Ordering::Release);
                return None;
            }
            if let Some(job) = cell.use_job(self.arena, first.position(), self.record) {
                if job.may_have_work() {
                    return Some(job);
                }
            }
            let _ = cell.first.compare_exchange(first.0, first.next().0, Ordering::AcqRel, Ordering::Relaxed);
        }
    }

    fn work_through_jobs(&mut self) {
        while self.cell.state() < TERMINATED {
            let Some(job) = self.find_job() else { break };
            self.work_on(&job);
        }
        self.record.hazard.store(0, Ordering::Release);
    }

    /// Takes chunks of one job until it has none left.
    fn work_on(&mut self, job: &Job<'static>) {
        let (count, chunk) = (job.count(), job.head.chunk.load(Ordering::Relaxed));
        let function = self.function_of(job);
        let mut now = clock::now();
        while job.may_have_work() && self.cell.state() < TERMINATED {
            let after = |at: u32| (at < count).then(|| at.saturating_add(chunk).min(count));
            let Ok(from) = job.head.cursor.fetch_update(Ordering::AcqRel, Ordering::Acquire, after) else {
                break;
            };
            fault!("pool.claim:chunk");
            for index in from..count.min(from.saturating_add(chunk)) {
                now = self.run(job, index, &function, now);
            }
        }
        // A mender may have set the cursor back while the last outcomes came in, and nobody looked then.
        announce_if_complete(self.arena, self.cell, job);
    }

    fn function_of(&mut self, job: &Job<'static>) -> std::result::Result<Function, String> {
        let target = job.target();
        if let Some(known) = self.resolved.as_ref().filter(|known| known.target == target) {
            return Ok(known.function);
        }
        let found = Target::decode(target).and_then(|target| target.resolve());
        let function = found.map_err(|error| error.message().to_owned())?;
        self.resolved = Some(Resolved { target: target.to_vec(), function });
        Ok(function)
    }

    /// Claims one item and runs it, if it is queued.
    fn run(
        &mut self,
        job: &Job<'static>,
        index: u32,
        function: &std::result::Result<Function, String>,
        now: i64,
    ) -> i64 {
        let item = job.item(index);
        let claimed = State::Claimed(self.me);
        if item.state() != State::Queued || !item.exchange(State::Queued, claimed) {
            return now;
        }
        item.time.store(now as u64, Ordering::Relaxed);
        let _in_hand = InHand { arena: self.arena, cell: self.cell, me: self.me, job, item };
        fault!("pool.item:claimed");
        let mut sink = ArenaSink::new(self.arena, INLINE);
        let (code, message) = match function {
            Ok(function) => {
                job.arguments(item, &mut self.args);
                let outcome = Call::new(&self.args, &mut sink).run(*function);
                (outcome.code, outcome.message)
            }
            Err(message) => (-1, Some(message.clone())),
        };
        let next = if code == 0 { State::Done } else { State::Failed(Reason::Task) };
        if code != 0 {
            sink.store_text(&message.unwrap_or_default());
        }
        let end = clock::now();
        item.code.store(code as u32, Ordering::Relaxed);
        item.time.store((end - now) as u64 | RAN, Ordering::Relaxed);
        commit(self.arena, item, sink, claimed, next);
        after_outcome(self.arena, self.cell, job);
        end
    }
}

/// Hands the result over to the item: the commit is the exchange of its state. If the item is no longer ours (the
/// pool was terminated) the result goes back.
fn commit(arena: &Arena, item: &Item, sink: ArenaSink, claimed: State, next: State) {
    item.length.store(sink.len() as u64, Ordering::Relaxed);
    let words = sink.words::<{ INLINE / 8 }>();
    let Some(block) = sink.into_block() else {
        item.result.store(0, Ordering::Relaxed);
        item.inline.iter().zip(words).for_each(|(to, from)| to.store(from, Ordering::Relaxed));
        fault!("pool.item:written");
        item.exchange(claimed, next);
        fault!("pool.item:committed");
        return;
    };
    item.result.store(block.reference().bits(), Ordering::Relaxed);
    block.entry().turn(kind::POOL_RESULT, arena.offset_of(item), 0);
    fault!("pool.item:noted");
    if item.exchange(claimed, next) {
        fault!("pool.item:handed over");
        block.surrender();
    } else {
        block.entry().become_kind(kind::PRIVATE);
    }
}

/// After an outcome: wakes those who wait for the job, if it was the last one, or for every outcome.
fn after_outcome(arena: &Arena, cell: &PoolCell, job: &Job<'_>) {
    if !job.may_have_work() && announce_if_complete(arena, cell, job) {
        return;
    }
    if job.head.progress.load(Ordering::Relaxed) != 0 {
        wait::notify(arena, &cell.outcomes, u32::MAX);
    }
}

/// Wakes those who wait for the job if every item has its outcome.
pub(super) fn announce_if_complete(arena: &Arena, cell: &PoolCell, job: &Job<'_>) -> bool {
    let complete = job.is_complete();
    if complete {
        fault!("pool.job:complete");
        wait::notify(arena, &job.head.event, u32::MAX);
        wait::notify(arena, &cell.outcomes, u32::MAX);
        // `is_complete` has put a fence between the last outcome and here.
        job.head.watchers.ring(arena);
    }
    complete
}
