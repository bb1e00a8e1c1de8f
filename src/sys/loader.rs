//! The dynamic loader's list of objects, which no thread of the library reads while another forks: the C library keeps
//! the lock of that list locked in the child, for ever, if some thread had it.

use super::fork::{Handlers, LocalLock};
use std::cell::Cell;

static READING: LocalLock<()> = LocalLock::new(());
static HANDLERS: Handlers = Handlers::new();

thread_local! {
    /// A look at the list may lead to another one.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

extern "C" fn prepare() {
    HANDLERS.begin(|| READING.hold_over_fork());
}

extern "C" fn parent() {
    if HANDLERS.end_in_parent() {
        READING.release_after_fork();
    }
}

extern "C" fn child() {
    if HANDLERS.end_in_child() {
        READING.release_after_fork();
    }
}

/// Registers the fork handlers, once in a line of forked processes. To be called before those of any lock under which
/// the list is read.
pub fn register() {
    HANDLERS.register(prepare, parent, child);
}

/// Runs `read`, which reads the list, and neither forks nor loads objects.
pub fn reading<R>(read: impl FnOnce() -> R) -> R {
    if INSIDE.get() {
        return read();
    }
    register();
    let _guard = READING.lock();
    INSIDE.set(true);
    let result = read();
    INSIDE.set(false);
    result
}
