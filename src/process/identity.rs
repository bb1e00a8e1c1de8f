//! What processes are called: `Process-2`, and its own first child `Process-2:1`; and whether they are bound to live no
//! longer than their parents.

use crate::sys::fork::LocalLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// The name of a process and the path of counters from the first process to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// What it is called.
    pub name: String,
    /// `2:1` is the first child of the second child.
    pub path: String,
}

impl Identity {
    /// The `n`th worker of something with a name of its own.
    pub fn worker(name: &str, n: u64) -> Identity {
        let path = CURRENT.lock().as_ref().map_or_else(String::new, |current| format!("{}:", current.path));
        Identity { name: format!("{name}-{n}"), path: format!("{path}{n}") }
    }
}

/// This process's; `None` in one that libmp did not start.
pub(super) static CURRENT: LocalLock<Option<Identity>> = LocalLock::new(None);
static CHILDREN: AtomicU32 = AtomicU32::new(0);
/// Whether this process, or the one that forked it, dies with its parent.
static BOUND: AtomicBool = AtomicBool::new(false);

/// The identity of this process's next child, with a name of its own or the one that follows from its path.
pub fn next(name: Option<String>) -> Identity {
    super::register_fork_handlers();
    let number = CHILDREN.fetch_add(1, Ordering::Relaxed) + 1;
    let path = match CURRENT.lock().as_ref() {
        Some(current) => format!("{}:{number}", current.path),
        None => number.to_string(),
    };
    Identity { name: name.unwrap_or_else(|| format!("Process-{path}")), path }
}

/// What this process is called.
pub fn current_name() -> String {
    CURRENT.lock().as_ref().map_or_else(|| "MainProcess".to_owned(), |current| current.name.clone())
}

/// Whether this process dies with its parent. Then all that it starts dies with it in turn, daemon or not: who ends
/// the first of a family ends all of them, and nobody below a daemon that was killed is left over.
pub(super) fn is_bound() -> bool {
    BOUND.load(Ordering::Relaxed)
}

/// In a new child: takes its identity on, and that it is bound to its parent, or not.
pub(super) fn take_on(identity: Identity, bound: bool) {
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
    }
}
