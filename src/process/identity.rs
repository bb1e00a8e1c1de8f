//! What processes are called: `Process-2`, and its own first child `Process-2:1`.

use crate::sys::fork::LocalLock;
use std::ffi::{CStr, CString};
use std::sync::atomic::{AtomicU32, Ordering};

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
        let path = CURRENT.lock().as_ref().map_or_else(String::new, |current| format!("{}:", current.path));
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

/// This process's; `None` in one that libmp did not start.
pub(super) static CURRENT: LocalLock<Option<Identity>> = LocalLock::new(None);
/// Names of processes that were asked for, here and in those that this one is a copy of.
pub(super) static NAMES: LocalLock<Vec<&'static CStr>> = LocalLock::new(Vec::new());
static CHILDREN: AtomicU32 = AtomicU32::new(0);

/// The identity of this process's next child, with a name of its own or the one that follows from its path.
pub fn next(name: Option<String>) -> Identity {
    super::register_fork_handlers();
    let number = CHILDREN.fetch_add(1, Ordering::Relaxed) + 1;
    let path = match CURRENT.lock().as_ref() {
        Some(current) => format!("{}:{number}", current.path),
        None => number.to_string(),
    };
    let name = name.unwrap_or_else(|| format!("Process-{path}"));
    Identity { name, path, parent: std::process::id() as i32 }
}

/// What this process is called.
pub fn current_name() -> String {
    super::register_fork_handlers();
    CURRENT.lock().as_ref().map_or_else(|| "MainProcess".to_owned(), |current| current.name.clone())
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
    CURRENT.lock().as_ref().map_or(0, |current| current.parent)
}

/// In a new child: takes its identity on.
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
        assert_eq!(current_c_name(), c"MainProcess");
        assert!(std::ptr::eq(current_c_name(), current_c_name()));
        assert_eq!(parent_pid(), 0);
    }
}
