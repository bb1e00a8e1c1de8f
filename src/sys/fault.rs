//! Fault points: places between two stores where a test may kill the process that passes.
//!
//! `fault!("lock.acquire:owned")` compiles to nothing unless the feature `fault` is on. With it, the
//! environment variable `MP_FAULT` (read when the process first passes a point) or [`arm`] names what happens
//! where: `kill@lock.acquire:owned#3` kills the process by SIGKILL the third time it passes that point,
//! `stop@...` stops it by SIGSTOP, and `panic@...` panics there, as a defect of the library would. `short@...` makes a
//! limit of time short that is looked up there by [`shortened!`](crate::shortened). Several are joined by commas. A
//! forked child inherits what is armed, with the counts as of the fork.

/// Marks a point between two stores.
#[macro_export]
#[doc(hidden)]
macro_rules! fault {
    ($point:literal) => {
        #[cfg(all(feature = "fault", not(loom)))]
        $crate::sys::fault::pass($point)
    };
}

/// A limit of time in nanoseconds: the second one if `short@point` is armed, so that a test need not wait for the first.
#[macro_export]
#[doc(hidden)]
macro_rules! shortened {
    ($point:literal, $usual:expr, $short:expr) => {{
        #[cfg(all(feature = "fault", not(loom)))]
        let limit: i64 = if $crate::sys::fault::is_short($point) { $short } else { $usual };
        #[cfg(not(all(feature = "fault", not(loom))))]
        let limit: i64 = $usual;
        limit
    }};
}

#[cfg(all(feature = "fault", not(loom)))]
mod armed {
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
    use std::sync::{Once, RwLock};

    #[derive(Clone, Copy, PartialEq)]
    enum Action {
        Signal(i32),
        Panic,
        Short,
    }

    struct Fault {
        action: Action,
        point: String,
        at: u32,
        passed: AtomicU32,
    }

    static ON: AtomicBool = AtomicBool::new(false);
    static ENVIRONMENT: Once = Once::new();
    static FAULTS: RwLock<Vec<Fault>> = RwLock::new(Vec::new());

    fn parse(spec: &str) -> Option<Fault> {
        let (action, rest) = spec.trim().split_once('@')?;
        let action = match action {
            "kill" => Action::Signal(libc::SIGKILL),
            "stop" => Action::Signal(libc::SIGSTOP),
            "panic" => Action::Panic,
            "short" => Action::Short,
            _ => return None,
        };
        let (point, at) = match rest.rsplit_once('#') {
            Some((point, n)) => (point, n.parse().ok()?),
            None => (rest, 1),
        };
        Some(Fault { action, point: point.to_owned(), at, passed: AtomicU32::new(0) })
    }

    /// Replaces what is armed in this process. An empty string disarms.
    ///
    /// # Panics
    /// If a part is not of the form `kill@point#n`, `stop@point#n`, `panic@point#n` or `short@point`.
    pub fn arm(specs: &str) {
        ENVIRONMENT.call_once(|| {});
        let parsed: Vec<Fault> = specs
            .split(',')
            .filter(|s| !s.trim().is_empty())
            .map(|s| parse(s).unwrap_or_else(|| panic!("not a fault: {s:?}")))
            .collect();
        ON.store(!parsed.is_empty(), Ordering::SeqCst);
        *FAULTS.write().unwrap() = parsed;
    }

    fn read_environment() {
        ENVIRONMENT.call_once(|| {
            if let Ok(specs) = std::env::var("MP_FAULT") {
                let parsed: Vec<Fault> = specs.split(',').filter_map(parse).collect();
                ON.store(!parsed.is_empty(), Ordering::SeqCst);
                *FAULTS.write().unwrap() = parsed;
            }
        });
    }

    /// Whether a limit of time is to be short.
    pub fn is_short(point: &str) -> bool {
        read_environment();
        FAULTS.read().unwrap().iter().any(|fault| fault.action == Action::Short && fault.point == point)
    }

    /// Called at a fault point.
    pub fn pass(point: &str) {
        read_environment();
        if !ON.load(Ordering::Relaxed) {
            return;
        }
        for fault in FAULTS.read().unwrap().iter().filter(|f| f.point == point) {
            if fault.passed.fetch_add(1, Ordering::SeqCst) + 1 == fault.at {
                match fault.action {
                    // SAFETY: kill with our own pid and a fixed signal touches no memory.
                    Action::Signal(signal) => unsafe {
                        libc::kill(libc::getpid(), signal);
                    },
                    Action::Panic => panic!("the fault that was asked for at {point}"),
                    Action::Short => {}
                }
            }
        }
    }
}

#[cfg(all(feature = "fault", not(loom)))]
pub use armed::{arm, is_short, pass};
