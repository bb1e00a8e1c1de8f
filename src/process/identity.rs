//! What processes are called: `Process-2`, and its own first child `Process-2:1`.

use crate::sys::fork::LocalLock;
use std::sync::atomic::{AtomicU32, Ordering};

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

/// A process that serves this one, under a name of its own: it counts as no child.
pub fn helper(name: &str) -> Identity {
    let path = CURRENT.lock().as_ref().map_or_else(String::new, |current| current.path.clone());
    Identity { name: name.to_owned(), path }
}

/// This process's; `None` in one that libmp did not start.
#[link_section = "mp_fork_data"]
pub(super) static CURRENT: LocalLock<Option<Identity>> = LocalLock::new(None);
#[link_section = "mp_fork_data"]
static CHILDREN: AtomicU32 = AtomicU32::new(0);

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

/// In a new child: takes its identity on.
#[link_section = "mp_fork"]
pub(super) fn take_on(identity: Identity) {
    CHILDREN.store(0, Ordering::Relaxed);
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
