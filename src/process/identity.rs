//! What processes are called: `Process-2`, and its own first child `Process-2:1`; and whether they are bound to live no
//! longer than their parents.
//!
//! A process that is a thread of this one has its identity on its thread, and counts its own children there.

use crate::sys::fork::LocalLock;
use std::cell::{Cell, RefCell};
use std::ffi::{CStr, CString};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// The name of a process and the path of counters from the first process to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// What it is called.
    pub name: String,
    /// `2:1` is the first child of the second child.
    pub path: String,
    /// The process that has made it.
    pub parent: i32,
}

impl Identity {
    /// The `n`th worker of something with a name of its own.
    pub fn worker(name: &str, n: u64) -> Identity {
        super::register_fork_handlers();
        let path = current().map_or_else(String::new, |current| format!("{}:", current.path));
        Identity {
            name: format!("{name}-{n}"),
            path: format!("{path}{n}"),
            parent: std::process::id() as i32,
        }
    }

    /// The same, made on behalf of another process.
    pub fn on_behalf_of(self, parent: i32) -> Identity {
        Identity { parent, ..self }
    }
}

/// What a child is to be.
#[derive(Clone, Debug)]
pub struct ChildOptions {
    /// What it is called.
    pub identity: Identity,
    /// Whether it is killed when this process ends, in whatever way.
    pub die_with_parent: bool,
}

/// What a thread is that runs the function of a process or the tasks of a pool.
struct OnThread {
    identity: Identity,
    children: u32,
}

std::thread_local! {
    static ON_THREAD: RefCell<Option<OnThread>> = const { RefCell::new(None) };
    /// The process in which it is a thread; a child forked from it has it as its main thread. Apart, since it is asked
    /// for in exit handlers, when `exit` has run the destructors of this thread's data.
    static THREAD_OF: Cell<u32> = const { Cell::new(0) };
}

/// `None` also where the destructor of this thread's data has run.
fn with_thread<R>(f: impl FnOnce(&mut OnThread) -> R) -> Option<R> {
    ON_THREAD.try_with(|on| on.borrow_mut().as_mut().map(f)).ok().flatten()
}

fn set_thread(on: Option<OnThread>) {
    let _ = ON_THREAD.try_with(|thread| thread.replace(on));
}

/// Runs `body` on this thread under a name of its own.
pub fn on_thread<R>(identity: Identity, body: impl FnOnce() -> R) -> R {
    set_thread(Some(OnThread { identity, children: 0 }));
    THREAD_OF.set(std::process::id());
    let result = body();
    THREAD_OF.set(0);
    set_thread(None);
    result
}

/// Whether the code that runs is that of a process that is a thread, or of a task on a thread.
pub(super) fn is_on_thread() -> bool {
    THREAD_OF.get() == std::process::id()
}

/// A process that serves this one, under a name of its own: it counts as no child.
pub fn helper(name: &str) -> Identity {
    let path = current().map_or_else(String::new, |current| current.path);
    Identity { name: name.to_owned(), path, parent: std::process::id() as i32 }
}

/// This process's; `None` in one that libmp did not start.
#[link_section = "mp_fork_data"]
pub(super) static CURRENT: LocalLock<Option<Identity>> = LocalLock::new(None);
/// Names of processes that were asked for, here and in those that this one is a copy of.
#[link_section = "mp_fork_data"]
pub(super) static NAMES: LocalLock<Vec<&'static CStr>> = LocalLock::new(Vec::new());
#[link_section = "mp_fork_data"]
static CHILDREN: AtomicU32 = AtomicU32::new(0);
/// Whether this process, or the one that forked it, dies with its parent.
#[link_section = "mp_fork_data"]
static BOUND: AtomicBool = AtomicBool::new(false);

fn current() -> Option<Identity> {
    let own = if is_on_thread() { with_thread(|on| on.identity.clone()) } else { None };
    own.or_else(|| CURRENT.lock().clone())
}

/// The identity of this process's next child, with a name of its own or the one that follows from its path.
pub fn next(name: Option<String>) -> Identity {
    super::register_fork_handlers();
    let count = |on: &mut OnThread| {
        on.children += 1;
        on.children
    };
    let on_thread = if is_on_thread() { with_thread(count) } else { None };
    let number = on_thread.unwrap_or_else(|| CHILDREN.fetch_add(1, Ordering::Relaxed) + 1);
    let path = match current() {
        Some(current) => format!("{}:{number}", current.path),
        None => number.to_string(),
    };
    let name = name.unwrap_or_else(|| format!("Process-{path}"));
    Identity { name, path, parent: std::process::id() as i32 }
}

/// What this process is called.
pub fn current_name() -> String {
    current().map_or_else(|| "MainProcess".to_owned(), |current| current.name)
}

/// The same as a C string, which lives as long as the process.
pub fn current_c_name() -> &'static CStr {
    let name = current_name();
    let mut asked = NAMES.lock();
    if let Some(known) = asked.last().filter(|known| known.to_bytes() == name.as_bytes()) {
        return known;
    }
    let name = CString::new(name).unwrap_or_default();
    asked.push(Box::leak(name.into_boxed_c_str()));
    asked[asked.len() - 1]
}

/// The process that has made this one by libmp; 0 if none has.
pub fn parent_pid() -> i32 {
    super::register_fork_handlers();
    current().map_or(0, |current| current.parent)
}

/// Whether this process dies with its parent. Then all that it starts dies with it in turn, daemon or not: who ends
/// the first of a family ends all of them, and nobody below a daemon that was killed is left over.
pub(super) fn is_bound() -> bool {
    BOUND.load(Ordering::Relaxed)
}

/// In a new child: takes its identity on, and that it is bound to its parent, or not.
#[link_section = "mp_fork"]
pub(super) fn take_on(identity: Identity, bound: bool) {
    // In a child of such a thread. (The data has a destructor, which to register would cost every other child a page.)
    if THREAD_OF.get() != 0 {
        set_thread(None);
    }
    CHILDREN.store(0, Ordering::Relaxed);
    BOUND.store(bound, Ordering::Relaxed);
    *CURRENT.lock() = Some(identity);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_path() {
        let first = next(None);
        assert_eq!(first.name, format!("Process-{}", first.path));
        let named = next(Some("worker".to_owned()));
        assert_eq!(named.name, "worker");
        assert_ne!(named.path, first.path);
        assert_eq!(current_name(), "MainProcess");
        assert_eq!(current_c_name(), c"MainProcess");
        assert!(std::ptr::eq(current_c_name(), current_c_name()));
        assert_eq!(parent_pid(), 0);
    }

    #[test]
    fn a_thread_has_a_name_and_children_of_its_own() {
        let identity = Identity { name: "twin".to_owned(), path: "7".to_owned(), parent: 1 };
        assert!(!is_on_thread());
        on_thread(identity, || {
            assert!(is_on_thread());
            assert_eq!(current_name(), "twin");
            assert_eq!(next(None).name, "Process-7:1");
            assert_eq!(next(None).path, "7:2");
            assert_eq!(Identity::worker("Pool-1", 3).path, "7:3");
        });
        assert!(!is_on_thread());
        assert_eq!(current_name(), "MainProcess");
    }
}
