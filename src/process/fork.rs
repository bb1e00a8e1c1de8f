//! Children made by fork.

use super::identity::{self, ChildOptions};
use super::reaper::{self, Child};
use super::{start, EXIT_FAILED};
use crate::arena::{self, Arena, Owner};
use crate::error::{Error, Result, Status};
use crate::fault;
use crate::sync::Cancel;
use crate::sys::child::{self, Fork};
use crate::sys::stdio::{self, Flushed};
use crate::sys::{life, log, signal, thread};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};

/// Forks a child, which runs `body` and leaves with the exit code that it answers. It is not watched yet:
/// [`reaper::watch`].
pub fn fork(options: ChildOptions, body: impl FnOnce() -> i32) -> Result<Child> {
    reaper::ensure()?;
    let threads = thread::host_threads();
    warn_of_threads(threads);
    let (pid, owner) = fork_beside(threads, options, body)?;
    fault!("process.fork:forked");
    Child::hold(pid, owner)
}

/// As [`fork`], for a caller that waits for its children itself: a pool's zygote, which must not have threads.
pub fn fork_unwatched(options: ChildOptions, body: impl FnOnce() -> i32) -> Result<(i32, Owner)> {
    fork_beside(thread::host_threads(), options, body)
}

/// Forks where the host has so many threads, if that is known.
#[link_section = "mp_fork"]
#[inline(never)]
fn fork_beside(
    threads: Option<u32>,
    options: ChildOptions,
    body: impl FnOnce() -> i32,
) -> Result<(i32, Owner)> {
    start::check_may_start()?;
    let arena = Arena::get()?;
    super::register_fork_handlers();
    if options.die_with_parent {
        life::read_end()?;
    } else {
        life::register();
    }
    let flushed = stdio::flush_before_fork(threads == Some(1));
    let forked = if options.die_with_parent { life::expecting(child::fork) } else { child::fork() };
    let owner = arena::forked_child();
    match forked {
        Err(error) => {
            arena.abandon_pending(owner);
            Err(error)
        }
        Ok(Fork::Child) => in_child(&flushed, options, body),
        Ok(Fork::Parent(pid)) => {
            if owner.is_none() {
                // The child finds the same and leaves before it does anything.
                child::discard(pid);
                return Err(Error::new(Status::NoMemory, "the arena has no place for one process more"));
            }
            Ok((pid, owner))
        }
    }
}

/// A child inherits what the host's other threads have locked at this moment, for ever.
fn warn_of_threads(threads: Option<u32>) {
    static WARNED: AtomicBool = AtomicBool::new(false);
    if WARNED.load(Ordering::Relaxed) {
        return;
    }
    if let Some(threads @ 2..) = threads {
        if !WARNED.swap(true, Ordering::Relaxed) {
            let text = format!(
                "a child is forked from a process with {threads} threads: whatever the others have locked at this \
                 moment stays locked in the child. Start children before threads, or use MP_START_SPAWN"
            );
            log::say(log::WARNING, &text);
        }
    }
}

/// The child's whole life. Nothing is allocated, copied or dropped on its way that need not be: each page that a fresh
/// child touches is a fault, which costs more than a system call.
#[link_section = "mp_fork"]
fn in_child(flushed: &Flushed, options: ChildOptions, body: impl FnOnce() -> i32) -> ! {
    stdio::after_fork_in_child(flushed);
    if let Err(error) = begin(options) {
        log::say(log::ERROR, &format!("{} could not begin: {error}", identity::current_name()));
        child::leave(EXIT_FAILED);
    }
    fault!("process.fork:begun");
    let code = run(body);
    end_with(code)
}

/// Ends a forked child whose function has returned.
#[link_section = "mp_fork"]
pub(super) fn end_with(code: i32) -> ! {
    end();
    fault!("process.fork:ended");
    if let Some(arena) = Arena::if_made() {
        arena.record_exit(code);
    }
    child::leave(code)
}

/// Puts away what belongs to the parent.
#[link_section = "mp_fork"]
fn begin(options: ChildOptions) -> Result<()> {
    identity::take_on(options.identity, options.die_with_parent);
    // At once: a child whose parent has gone has lost its place in the arena too, and ends here without a word.
    if options.die_with_parent {
        life::watch_inherited()?;
    }
    Arena::get()?;
    if thread::was_library() {
        signal::unblock_all();
    }
    reaper::forget_parent();
    Cancel::use_none();
    Ok(())
}

/// Runs what a child is made for; the exit code.
#[link_section = "mp_fork"]
#[inline(never)]
pub(super) fn run(body: impl FnOnce() -> i32) -> i32 {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(code) => code & 0xff,
        Err(_) => {
            log::say(log::ERROR, &format!("{}: a defect in libmp ended it", identity::current_name()));
            EXIT_FAILED
        }
    }
}

/// What a return from main would do: waits for the child's own children and threads, and flushes.
#[link_section = "mp_fork"]
fn end() {
    super::await_all();
    stdio::flush_at_end();
}
