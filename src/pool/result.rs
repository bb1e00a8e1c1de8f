//! The result of a submission, as the host holds it.

use super::host::Shared;
use super::item::{Item, Job, Reason, State, RAN};
use super::service;
use crate::arena::bridge::Watched;
use crate::arena::multi;
use crate::arena::wait::Waiter;
use crate::arena::{event, Arena, BlockRef};
use crate::error::{Error, Result, Status};
use crate::sys::clock::Deadline;
use crate::sys::fork::LocalLock;
use crate::sys::prim::{AtomicU32, Futex, Ordering};
use std::ffi::{CStr, CString};
use std::sync::{Arc, OnceLock};

/// What the caller wants to be told. The calls come from the pool's service thread, one at a time.
pub trait Callbacks: Send {
    /// The submission was accepted: the calls below will come.
    fn accepted(&mut self);
    /// Whether `progress` wants to be called.
    fn wants_progress(&self) -> bool;
    /// So many items have their outcome.
    fn progress(&mut self, done: usize, total: usize);
    /// All items have theirs: exactly one call, then the callbacks are dropped.
    fn finished(&mut self, result: &JobResult);
}

/// Why an item failed.
#[derive(Clone, Debug)]
pub struct TaskError {
    /// Which item.
    pub index: usize,
    /// `TaskFailed`, `WorkerDied`, `Cancelled` or `Broken`.
    pub status: Status,
    /// The function's code, or the exit code of the process.
    pub code: i32,
    /// The process that died, else 0.
    pub pid: i32,
    /// The signal that killed it, else 0.
    pub signal: i32,
    /// How long the item was in a worker's hands, in nanoseconds.
    pub elapsed: i64,
    /// A sentence.
    pub message: CString,
}

impl TaskError {
    /// As the error of a call.
    pub fn to_error(&self) -> Error {
        Error::new(self.status, self.text().into_owned())
    }

    fn text(&self) -> std::borrow::Cow<'_, str> {
        self.message.to_string_lossy()
    }
}

struct Inner {
    shared: Arc<Shared>,
    position: u64,
    block: BlockRef,
    callbacks: LocalLock<Option<Box<dyn Callbacks>>>,
    /// Whether the callbacks have returned, or there are none.
    called: AtomicU32,
    /// Rung when they have.
    ready: Futex,
    first_failure: OnceLock<Option<u32>>,
    errors: OnceLock<Box<[OnceLock<TaskError>]>>,
}

/// The result of one submission. Clones are the same result.
#[derive(Clone)]
pub struct JobResult(Arc<Inner>);

impl std::fmt::Debug for JobResult {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "JobResult({})", self.0.position)
    }
}

impl Watched for JobResult {
    fn enter(&self, arena: &Arena) {
        self.job().head.watchers.enter(arena);
    }

    fn is_ready(&self) -> bool {
        JobResult::is_ready(self)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.release(self.position, self.block);
    }
}

impl JobResult {
    pub(super) fn new(
        shared: Arc<Shared>,
        position: u64,
        block: BlockRef,
        callbacks: Option<Box<dyn Callbacks>>,
    ) -> JobResult {
        JobResult(Arc::new(Inner {
            shared,
            position,
            block,
            called: AtomicU32::new(u32::from(callbacks.is_none())),
            callbacks: LocalLock::new(callbacks),
            ready: Futex::new(0),
            first_failure: OnceLock::new(),
            errors: OnceLock::new(),
        }))
    }

    fn job(&self) -> Job<'static> {
        Job::of(self.0.shared.arena(), self.0.block)
    }

    /// Whether every item has its outcome; callbacks may still be due.
    pub(super) fn is_complete(&self) -> bool {
        self.job().is_complete()
    }

    /// Runs the callbacks that are due. True when that was the last of them.
    pub(super) fn call_back(&self, reported: &mut usize) -> bool {
        let complete = self.is_complete();
        let mut callbacks = self.0.callbacks.lock();
        let Some(calls) = callbacks.as_mut() else { return true };
        if calls.wants_progress() {
            let done = self.job().finished() as usize;
            if done != *reported {
                *reported = done;
                calls.progress(done, self.count_items());
            }
        }
        if !complete {
            return false;
        }
        calls.finished(self);
        let calls = callbacks.take();
        drop(callbacks);
        drop(calls);
        self.0.called.store(1, Ordering::Release);
        event::notify(&self.0.ready, u32::MAX);
        self.0.shared.arena().ring_own_bell();
        true
    }

    fn is_ready(&self) -> bool {
        (self.0.called.load(Ordering::Acquire) != 0 || service::is_serving(&self.0.shared))
            && self.is_complete()
    }

    /// Whether the result is there, its callback returned.
    pub fn ready(&self) -> Result<bool> {
        self.0.shared.check_ours()?;
        Ok(self.is_ready())
    }

    /// Waits until the result is there.
    pub fn wait(&self, deadline: Deadline) -> Result<()> {
        self.0.shared.check_ours()?;
        if self.is_ready() {
            return Ok(());
        }
        service::refuse_on_own_thread(&self.0.shared)?;
        let ready = || self.is_ready().then_some(());
        let job = self.job();
        let mut waiter = Waiter::new(self.0.shared.arena(), deadline).spinning(&job.head.spin);
        let ended = |end| crate::sync::ended(end, "the result is not there yet");
        if self.0.called.load(Ordering::Acquire) != 0 {
            event::wait(&job.head.event, &mut waiter, ready, || true).map_err(ended)
        } else {
            event::wait(&self.0.ready, &mut waiter, ready, || true).map_err(ended)
        }
    }

    /// To be waited for among others: that it is there.
    pub fn waitable(&self) -> Result<multi::Waitable> {
        self.0.shared.check_ours().map_err(|_| Error::invalid("the result belongs to another process"))?;
        if !self.is_ready() {
            service::refuse_on_own_thread(&self.0.shared)?;
        }
        Ok(multi::Waitable::object(self.0.shared.arena(), self.clone()))
    }

    /// As [`JobResult::wait`] without a deadline, past this thread's cancel object.
    pub(super) fn wait_uncancelled(&self) -> Result<()> {
        let job = self.job();
        let mut waiter =
            Waiter::new(self.0.shared.arena(), Deadline::Never).spinning(&job.head.spin).uncancelled();
        let ready = || self.is_ready().then_some(());
        event::wait(&job.head.event, &mut waiter, ready, || true)
            .map_err(|end| crate::sync::ended(end, "the result is not there yet"))
    }

    /// How many items have their outcome.
    pub(super) fn finished_items(&self) -> usize {
        self.job().finished() as usize
    }

    /// Whether progress is to be reported.
    pub(super) fn wants_progress(&self) -> bool {
        self.job().head.progress.load(Ordering::Relaxed) != 0
    }

    fn check_ready(&self) -> Result<()> {
        if self.ready()? {
            Ok(())
        } else {
            Err(Error::state("the result is not ready"))
        }
    }

    fn count_items(&self) -> usize {
        self.job().count() as usize
    }

    /// How many items there are.
    pub fn count(&self) -> Result<usize> {
        self.0.shared.check_ours()?;
        Ok(self.count_items())
    }

    /// How many items have their outcome, of how many.
    pub fn progress(&self) -> Result<(usize, usize)> {
        self.0.shared.check_ours()?;
        Ok((self.job().finished() as usize, self.count_items()))
    }

    /// Whether all items are done.
    pub fn successful(&self) -> Result<bool> {
        self.check_ready()?;
        Ok(self.first_failure().is_none())
    }

    /// The first item by index that failed.
    fn first_failure(&self) -> Option<u32> {
        let job = self.job();
        let failed = |i: &u32| matches!(job.item(*i).state(), State::Failed(_));
        *self.0.first_failure.get_or_init(|| (0..job.count()).find(failed))
    }

    /// The first failure by index, if any.
    pub fn error(&self) -> Result<Option<&TaskError>> {
        self.check_ready()?;
        self.first_failure().map_or(Ok(None), |index| self.error_at(index as usize))
    }

    /// Waits, and answers the first failure as an error.
    pub fn get(&self, deadline: Deadline) -> Result<()> {
        self.wait(deadline)?;
        match self.error()? {
            Some(error) => Err(error.to_error()),
            None => Ok(()),
        }
    }

    fn checked_item(&self, index: usize) -> Result<(Job<'static>, &'static Item)> {
        self.0.shared.check_ours()?;
        let count = self.count_items();
        if index >= count {
            return Err(Error::invalid(format!("item {index} of a result with {count} items")));
        }
        let job = self.job();
        Ok((job, job.item(index as u32)))
    }

    /// The bytes of an item's result, or its own failure. They live as long as the result.
    pub fn item(&self, index: usize) -> Result<&[u8]> {
        let (job, item) = self.checked_item(index)?;
        match item.state() {
            State::Done => Ok(job.bytes(item)),
            State::Failed(_) => match self.error_at(index)? {
                Some(error) => Err(error.to_error()),
                None => Err(Error::internal("a failed item has no error")),
            },
            State::Queued | State::Claimed(_) => {
                Err(Error::state(format!("item {index} has no outcome yet")))
            }
        }
    }

    /// Why an item failed; `None` if it did not.
    pub fn error_at(&self, index: usize) -> Result<Option<&TaskError>> {
        let (job, item) = self.checked_item(index)?;
        let State::Failed(reason) = item.state() else { return Ok(None) };
        let errors = self.0.errors.get_or_init(|| (0..job.count()).map(|_| OnceLock::new()).collect());
        Ok(Some(errors[index].get_or_init(|| describe(&job, item, index, reason))))
    }
}

/// Says in words why an item failed.
fn describe(job: &Job<'_>, item: &Item, index: usize, reason: Reason) -> TaskError {
    let code = item.code.load(Ordering::Relaxed) as i32;
    let elapsed = (item.time.load(Ordering::Relaxed) & !RAN) as i64;
    let mut error = TaskError {
        index,
        status: Status::Cancelled,
        code: 0,
        pid: 0,
        signal: 0,
        elapsed: 0,
        message: CString::default(),
    };
    let text = match reason {
        Reason::Task => {
            (error.status, error.code, error.elapsed) = (Status::TaskFailed, code, elapsed);
            match job.bytes(job.item(index as u32)) {
                [] => format!("item {index} failed with code {code}"),
                message => String::from_utf8_lossy(message).into_owned(),
            }
        }
        Reason::Died => {
            let pid = item.inline[0].load(Ordering::Relaxed) as u32 as i32;
            let signal = item.inline[1].load(Ordering::Relaxed) as u32 as i32;
            let elapsed = item.inline[2].load(Ordering::Relaxed) as i64;
            error = TaskError { status: Status::WorkerDied, code, pid, signal, elapsed, ..error };
            died(index, pid, code, signal)
        }
        Reason::Cancelled => format!("item {index} was cancelled: the pool was terminated"),
        Reason::Broken => {
            error.status = Status::Broken;
            format!("item {index} has no result: the pool is broken")
        }
    };
    error.message = to_c(&text);
    error
}

fn died(index: usize, pid: i32, code: i32, signal: i32) -> String {
    if signal != 0 {
        let name = crate::sys::signal::name(signal);
        format!("worker process {pid} was killed by signal {signal} ({name}) while it had item {index} in its hands")
    } else {
        format!("worker process {pid} exited with code {code} while it had item {index} in its hands")
    }
}

fn to_c(text: &str) -> CString {
    let bytes: Vec<u8> = text.bytes().map(|b| if b == 0 { b'?' } else { b }).collect();
    CString::new(bytes).unwrap_or_default()
}

/// The message as a C string.
impl AsRef<CStr> for TaskError {
    fn as_ref(&self) -> &CStr {
        &self.message
    }
}
