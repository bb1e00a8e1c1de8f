//! Processes: targets, start methods, and who reaps the children.

pub(crate) mod bootstrap;
pub mod call;
mod ending;
pub mod executable;
pub mod fork;
mod handle;
pub mod identity;
mod launch;
mod outcome;
pub mod reaper;
mod recipe;
pub mod sink;
pub mod spawn;
pub mod start;
pub mod target;
mod tree;
pub mod wire;

pub use self::handle::{Options, Process};
pub(crate) use self::recipe::run_spawned;

use crate::sys::fork::Handlers;

/// The exit code of a child in which the library itself failed, before or after the user's function.
pub const EXIT_FAILED: i32 = 70;

/// What a call of a dead handle's answers.
pub(crate) const NOT_OURS: &str =
    "this handle belongs to the process that made it: in a forked child it can only be freed";

static HANDLERS: Handlers = Handlers::new();

// Handlers of this floor: its locks are held over fork. No code calls the arena while it holds one of them, so
// their order against the arena's does not matter.
extern "C" fn prepare() {
    if !HANDLERS.begin(|| target::REGISTRY.hold_over_fork()) {
        return;
    }
    identity::CURRENT.hold_over_fork();
    identity::NAMES.hold_over_fork();
    executable::NAMED.hold_over_fork();
    reaper::STATE.hold_over_fork();
}

extern "C" fn parent() {
    if HANDLERS.end_in_parent() {
        release();
    }
}

extern "C" fn child() {
    if HANDLERS.end_in_child() {
        release();
    }
}

fn release() {
    reaper::STATE.release_after_fork();
    executable::NAMED.release_after_fork();
    identity::NAMES.release_after_fork();
    identity::CURRENT.release_after_fork();
    target::REGISTRY.release_after_fork();
}

/// Registers them, once in a line of forked processes. To be called before the first use of those locks.
pub(crate) fn register_fork_handlers() {
    HANDLERS.register(prepare, parent, child);
}
