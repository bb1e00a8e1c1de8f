//! The thread twin: a process that is a thread of this one.
//!
//! Such a thread writes its exit code as the last thing that it does; that is what others wait for. What follows are
//! the destructors of its thread-local data and its way out of the kernel. Whoever joins the process joins the thread
//! as well, so that nothing of it is left, and nothing of it runs, when `join` has returned. Threads that nobody
//! joins stay in a list; those of them that have left are joined when a handle is freed or the next one is started, and
//! those that are no daemons when this process exits.

use super::end::{Ended, Exit};
use super::fork;
use super::identity;
use super::launch::Plan;
use super::outcome::{self, Remains};
use super::start;
use crate::arena::Arena;
use crate::error::Result;
use crate::fault;
use crate::sys::fork::LocalLock;
use crate::sys::thread::{self, Thread};
use std::cell::Cell;
use std::sync::Arc;

/// A thread that was started.
#[derive(Debug)]
pub(super) struct Running {
    daemon: bool,
    /// `None` once it was joined.
    thread: LocalLock<Option<Thread>>,
}

/// The threads that nobody is joining or has joined.
pub(super) struct State {
    /// The process that this state speaks of: in a forked child its parent's threads do not exist.
    home: u32,
    threads: Vec<Arc<Running>>,
}

impl State {
    fn collect(&mut self) {
        self.threads.retain(|thread| !thread.try_reap());
    }
}

#[link_section = "mp_fork_data"]
pub(super) static STATE: LocalLock<State> = LocalLock::new(State { home: 0, threads: Vec::new() });

std::thread_local! {
    /// What this thread is.
    static THIS: Cell<*const Running> = const { Cell::new(std::ptr::null()) };
}

fn with_state<R>(f: impl FnOnce(&mut State) -> R) -> R {
    let mut state = STATE.lock();
    let me = std::process::id();
    if state.home != me {
        *state = State { home: me, threads: Vec::new() };
    }
    f(&mut state)
}

/// Starts a thread that runs the recipe, and then calls `on_end` as its last act.
pub(super) fn start(
    plan: &Plan<'_>,
    on_end: impl FnOnce(Ended, Remains) + Send + 'static,
) -> Result<Arc<Running>> {
    let arena = Arena::get()?;
    start::check_may_start()?;
    plan.refuse_conditions()?;
    super::register_fork_handlers();
    let running = Arc::new(Running { daemon: plan.die_with_parent, thread: LocalLock::new(None) });
    let (this, identity, recipe) = (running.clone(), plan.identity.clone(), plan.recipe.clone());
    let body = move || {
        THIS.set(Arc::as_ptr(&this));
        let mut left = None;
        let run = || {
            fault!("process.thread:begun");
            let mut sink = outcome::sink(arena);
            let said = recipe.call(&mut sink);
            left = Some(outcome::whole(sink, &said));
            outcome::exit_code(&said)
        };
        let code = identity::on_thread(identity, || fork::run(run));
        // Nothing of it is left when others hear of its end.
        drop((recipe, this));
        let remains = Remains::of_thread(left);
        on_end(Ended { exit: Exit::Code(code), usage: None, unbegun: None }, remains);
    };
    // Under the lock, so that no fork and no exit of this process comes between the start and the entry.
    with_state(|state| {
        state.collect();
        let thread = thread::start_for_user(&plan.identity.name, body)?;
        *running.thread.lock() = Some(thread);
        state.threads.push(running.clone());
        Ok(running)
    })
}

/// Joins those that have left, without a wait.
pub(super) fn collect() {
    with_state(State::collect);
}

/// Waits for the end of all that are no daemons. A thread that calls `exit` waits for none: they may wait for it.
#[link_section = "mp_fork"]
pub(super) fn await_all() {
    if identity::is_on_thread() {
        return;
    }
    let next = |state: &mut State| {
        let place = state.threads.iter().position(|thread| !thread.daemon)?;
        Some(state.threads.swap_remove(place))
    };
    while let Some(running) = with_state(next) {
        running.reap();
    }
}

impl Running {
    /// Whether it is the calling thread.
    pub(super) fn is_this_thread(&self) -> bool {
        std::ptr::eq(THIS.get(), self)
    }

    /// Waits until the thread has left. Several may.
    pub(super) fn reap(&self) {
        with_state(|state| state.threads.retain(|thread| !std::ptr::eq(Arc::as_ptr(thread), self)));
        let mut thread = self.thread.lock();
        if let Some(thread) = thread.take() {
            thread.join();
        }
    }

    /// Joins the thread if it has left. Only for one in the list, whose lock nobody holds for long.
    fn try_reap(&self) -> bool {
        let mut thread = self.thread.lock();
        *thread = thread.take().and_then(|thread| thread.try_join().err());
        thread.is_none()
    }
}
