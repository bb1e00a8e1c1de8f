//! Processes: targets, start methods, and who reaps the children.

pub(crate) mod beginning;
pub(crate) mod bootstrap;
pub mod call;
pub mod conditions;
pub mod end;
mod ending;
pub mod executable;
pub mod fork;
pub mod forkserver;
mod handle;
pub mod identity;
mod launch;
mod outcome;
pub mod reaper;
mod recipe;
mod refused;
pub mod server;
pub mod sink;
pub mod spawn;
pub mod start;
pub mod target;
mod thread;
mod tree;
pub mod wire;
mod words;

pub use self::conditions::Conditions;
pub use self::handle::{Options, Process};
pub(crate) use self::recipe::run_spawned;

use crate::sys::fork::Handlers;
use crate::sys::{loader, stdio};

/// The exit code of a child in which the library itself failed, before or after the user's function.
pub const EXIT_FAILED: i32 = 70;

/// What a call of a dead handle's answers.
pub(crate) const NOT_OURS: &str =
    "this handle belongs to the process that made it: in a forked child it can only be freed";

/// Waits for the end of all children and threads that are no daemons, and ends the fork server.
fn await_all() {
    // The threads first: they may start children yet.
    thread::await_all();
    reaper::await_children();
    // Nobody else may collect it, once this process has gone.
    forkserver::end();
}

#[link_section = "mp_fork_data"]
static HANDLERS: Handlers = Handlers::new();

// What runs around every fork has a section of its own, here and below: it lies together, and a fresh child, to which
// every page of code is a fault, needs few pages of it. So have the words that they change.
//
// Handlers of this floor: its locks are held over fork. No code calls the arena while it holds one of them, so
// their order against the arena's does not matter.
#[link_section = "mp_fork"]
extern "C" fn prepare() {
    if !HANDLERS.begin(|| target::REGISTRY.hold_over_fork()) {
        return;
    }
    target::LOCATED.hold_over_fork();
    identity::CURRENT.hold_over_fork();
    identity::NAMES.hold_over_fork();
    executable::NAMED.hold_over_fork();
    reaper::STATE.hold_over_fork();
    thread::STATE.hold_over_fork();
    forkserver::STATE.hold_over_fork();
}

#[link_section = "mp_fork"]
extern "C" fn parent() {
    if HANDLERS.end_in_parent() {
        release();
    }
}

#[link_section = "mp_fork"]
extern "C" fn child() {
    if HANDLERS.end_in_child() {
        release();
    }
}

#[link_section = "mp_fork"]
fn release() {
    forkserver::STATE.release_after_fork();
    thread::STATE.release_after_fork();
    reaper::STATE.release_after_fork();
    executable::NAMED.release_after_fork();
    identity::NAMES.release_after_fork();
    identity::CURRENT.release_after_fork();
    target::LOCATED.release_after_fork();
    target::REGISTRY.release_after_fork();
}

/// Registers them, once in a line of forked processes. To be called before the first use of those locks.
pub(crate) fn register_fork_handlers() {
    loader::register();
    stdio::look_around();
    HANDLERS.register(prepare, parent, child);
}
