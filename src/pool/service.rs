//! The service thread: it exists only where a submission has callbacks, and runs them one at a time.

use super::host::Shared;
use super::result::JobResult;
use super::threads;
use crate::arena::event;
use crate::arena::wait::Waiter;
use crate::error::{Error, Result};
use crate::sys::clock::Deadline;
use crate::sys::{futex, thread};
use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::Arc;

const STACK: usize = 8 << 20;
/// Progress is reported no more often than this, in nanoseconds.
const PROGRESS_PAUSE: i64 = 20_000_000;

std::thread_local! {
    /// The pool that this thread serves.
    static SERVES: Cell<*const Shared> = const { Cell::new(std::ptr::null()) };
}

/// Whether this is the service thread of that pool, inside a callback.
pub(super) fn is_serving(shared: &Arc<Shared>) -> bool {
    std::ptr::eq(SERVES.get(), Arc::as_ptr(shared))
}

/// A wait on the service thread would wait for itself. One on a worker that is a thread takes a worker away, perhaps
/// the last.
pub(super) fn refuse_on_own_thread(shared: &Arc<Shared>) -> Result<()> {
    if is_serving(shared) {
        return Err(Error::state(
            "a callback can't wait for its own pool: it runs on the thread that would end the wait",
        ));
    }
    if threads::is_worker(shared) {
        return Err(Error::state(
            "a task on a thread can't wait for its own pool: it runs on a thread that is to end the wait",
        ));
    }
    Ok(())
}

/// Starts the thread, if it does not run.
pub(super) fn ensure(shared: &Arc<Shared>) -> Result<()> {
    let mut host = shared.host.lock();
    if host.serving {
        return Ok(());
    }
    let pool = shared.clone();
    thread::start_detached(c"mp-pool", STACK, move || serve(&pool))?;
    host.serving = true;
    Ok(())
}

struct Watched {
    result: JobResult,
    reported: usize,
}

fn serve(shared: &Arc<Shared>) {
    SERVES.set(Arc::as_ptr(shared));
    let mut watched: VecDeque<Watched> = VecDeque::new();
    loop {
        let over = fetch(shared, &mut watched);
        let (called, progress) = call_back(shared, &mut watched);
        if called {
            continue;
        }
        if over && watched.is_empty() {
            break;
        }
        if progress {
            pause();
        }
        await_news(shared, &watched, progress);
    }
}

/// Takes over what was submitted since. True when the thread may end: then it is no longer counted on.
fn fetch(shared: &Arc<Shared>, watched: &mut VecDeque<Watched>) -> bool {
    let mut host = shared.host.lock();
    // The head of the host's list are those that are being watched already.
    let known = watched.len();
    watched.extend(host.watched.iter().skip(known).map(|r| Watched { result: r.clone(), reported: 0 }));
    let over = shared.is_gone() && host.watched.is_empty();
    if over {
        host.serving = false;
    }
    over
}

/// Runs the callbacks that are due: whether any was the last of its result, and whether progress is wanted.
///
/// Workers take jobs in order, so only so many at the front can be incomplete before all behind them are.
fn call_back(shared: &Arc<Shared>, watched: &mut VecDeque<Watched>) -> (bool, bool) {
    let patience = shared.cell.workers() as usize * 2 + 16;
    let (mut incomplete, mut finished, mut progress) = (0, Vec::new(), false);
    for (index, entry) in watched.iter_mut().enumerate() {
        if entry.result.call_back(&mut entry.reported) {
            finished.push(index);
        } else {
            progress |= entry.result.wants_progress();
            incomplete += 1;
            if incomplete > patience {
                break;
            }
        }
    }
    let mut host = shared.host.lock();
    let mut results = Vec::with_capacity(finished.len());
    for index in finished.iter().rev() {
        watched.remove(*index);
        results.extend(host.watched.remove(*index));
    }
    drop(host);
    // The last handles may go here, and take the lock for their jobs.
    drop(results);
    if !finished.is_empty() {
        shared.ring();
    }
    (!finished.is_empty(), progress)
}

fn pause() {
    let nap = crate::sys::prim::Futex::new(0);
    futex::wait(&nap, 0, Deadline::after(PROGRESS_PAUSE));
}

fn await_news(shared: &Arc<Shared>, watched: &VecDeque<Watched>, progress: bool) {
    let patience = shared.cell.workers() as usize * 2 + 16;
    let before: Vec<usize> = watched.iter().take(patience).map(|w| w.result.finished_items()).collect();
    let news = || {
        let host = shared.host.lock();
        let submitted = host.watched.len() != watched.len();
        let over = shared.is_gone() && host.watched.is_empty();
        drop(host);
        let mut front = watched.iter().take(patience).zip(&before);
        let outcome =
            front.any(|(w, done)| w.result.is_complete() || (progress && w.result.finished_items() != *done));
        (submitted || over || outcome).then_some(())
    };
    let mut waiter = Waiter::new(shared.arena(), Deadline::Never)
        .spinning(&shared.cell.body().outcomes_spin)
        .uncancelled();
    let _ = event::wait(&shared.cell.outcomes, &mut waiter, news, || false);
}
