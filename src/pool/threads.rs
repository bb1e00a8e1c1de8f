//! Workers that are threads of the pool's host.
//!
//! They work as processes do, but all are one owner, the host: so nobody mends while the host lives, and with it the
//! pool goes. Nor can they be killed: when the pool is terminated its items are cancelled at once, and each worker
//! leaves after the task in its hands, whose outcome then comes too late.

use super::host::{Member, Shared};
use super::worker;
use crate::error::Result;
use crate::process::identity::{self, Identity};
use crate::process::start;
use crate::sys::log;
use crate::sys::thread;
use std::cell::Cell;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Arc;

/// A worker in which the library has failed so often breaks the pool.
const HOPELESS: u32 = 20;

std::thread_local! {
    /// The pool for which this thread works.
    static WORKS_FOR: Cell<*const Shared> = const { Cell::new(std::ptr::null()) };
}

/// Whether this thread is a worker of that pool.
pub(super) fn is_worker(shared: &Arc<Shared>) -> bool {
    std::ptr::eq(WORKS_FOR.get(), Arc::as_ptr(shared))
}

/// Starts the workers, with the signal mask of this thread.
pub(super) fn start(shared: &Arc<Shared>) -> Result<()> {
    start::check_may_start()?;
    shared.host.lock().children.resize(shared.cell.workers() as usize, None);
    (0..shared.cell.workers()).try_for_each(|index| start_one(shared, index))
}

fn start_one(shared: &Arc<Shared>, index: u32) -> Result<()> {
    let identity = Identity::worker(&shared.name, u64::from(index) + 1);
    let (name, pool) = (identity.name.clone(), shared.clone());
    // Before it runs, so that its end finds the entry.
    shared.host.lock().children[index as usize] = Some(Member::Thread);
    let body = move || {
        WORKS_FOR.set(Arc::as_ptr(&pool));
        identity::on_thread(identity, || work(&pool, index));
        pool.forget_child(index as usize);
    };
    match thread::start_for_user(&name, body) {
        Ok(thread) => {
            shared.threads.lock().push(thread);
            Ok(())
        }
        Err(error) => {
            shared.forget_child(index as usize);
            Err(error)
        }
    }
}

fn work(shared: &Arc<Shared>, index: u32) {
    for _ in 0..HOPELESS {
        let working = AssertUnwindSafe(|| worker::work(shared.arena(), shared.words(), index));
        if catch_unwind(working).is_ok() {
            return;
        }
        log::say(log::ERROR, &format!("{}: a defect in libmp has cost a task", shared.name));
        // What it had claimed to look at is to be looked at again.
        shared.mend(|_| None);
    }
    shared.break_up("the library fails in it again and again");
}

/// Waits until all threads have left: they do when the pool is closed or terminated. Several may wait.
pub(super) fn join(shared: &Shared) {
    let mut threads = shared.threads.lock();
    threads.drain(..).for_each(thread::Thread::join);
}

/// The last handle of a pool goes without a wait, perhaps on the last of its threads.
pub(super) fn let_go(shared: &Shared) {
    shared.threads.lock().drain(..).for_each(thread::Thread::detach);
}
