//! Fault points: places between two stores where a test may kill the process that passes.
//!
//! `fault!("lock.acquire:owned")` compiles to nothing unless the feature `fault` is on. With it, the
//! environment variable `MP_FAULT` (read when the process first passes a point) or [`arm`] names what happens
//! where: `kill@lock.acquire:owned#3` kills the process by SIGKILL the third time it passes that point,
//! `stop@...` stops it by SIGSTOP, and `panic@...` panics there, as a defect of the library would. Several are joined by commas. A forked child inherits what is armed, with
//! the counts as of the fork.

/// Marks a point between two stores.
#[macro_export]
#[doc(hidden)]
macro_rules! fault {
    ($point:literal) => {
        #[cfg(all(feature = "fault", not(loom)))]
        $crate::sys::fault::pass($point)
    };
}

#[cfg(all(feature = "fault", not(loom)))]
mod armed {
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
    use std::sync::{Once, RwLock};

    struct Fault {
        /// `None`: a panic.
        signal: Option<i32>,
        point: String,
        at: u32,
        passed: AtomicU32,
    }

    static ON: AtomicBool = AtomicBool::new(false);
    static ENVIRONMENT: Once = Once::new();
    static FAULTS: RwLock<Vec<Fault>> = RwLock::new(Vec::new());

    fn parse(spec: &str) -> Option<Fault> {
        let (action, rest) = spec.trim().split_once('@')?;
        let signal = match action {
            "kill" => Some(libc::SIGKILL),
            "stop" => Some(libc::SIGSTOP),
            "panic" => None,
            _ => return None,
        };
        let (point, at) = match rest.rsplit_once('#') {
            Some((point, n)) => (point, n.parse().ok()?),
            None => (rest, 1),
        };
        Some(Fault { signal, point: point.to_owned(), at, passed: AtomicU32::new(0) })
    }

    /// Replaces what is armed in this process. An empty string disarms.
    ///
    /// # Panics
    /// If a part is not of the form `kill@point#n`, `stop@point#n` or `panic@point#n`.
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

    /// Called at a fault point.
    pub fn pass(point: &str) {
        ENVIRONMENT.call_once(|| {
            if let Ok(specs) = std::env::var("MP_FAULT") {
                let parsed: Vec<Fault> = specs.split(',').filter_map(parse).collect();
                ON.store(!parsed.is_empty(), Ordering::SeqCst);
                *FAULTS.write().unwrap() = parsed;
            }
        });
        if !ON.load(Ordering::Relaxed) {
            return;
        }
        for fault in FAULTS.read().unwrap().iter().filter(|f| f.point == point) {
            if fault.passed.fetch_add(1, Ordering::SeqCst) + 1 == fault.at {
                let Some(signal) = fault.signal else { panic!("the fault that was asked for at {point}") };
                // SAFETY: kill with our own pid and a fixed signal touches no memory.
                unsafe { libc::kill(libc::getpid(), signal) };
            }
        }
    }
}

#[cfg(all(feature = "fault", not(loom)))]
pub use armed::{arm, pass};
