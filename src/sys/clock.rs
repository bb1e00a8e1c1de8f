//! Time: one absolute deadline on the monotonic clock per call.

/// Nanoseconds on the monotonic clock.
pub fn now() -> i64 {
    let mut t = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `t` is a live timespec; CLOCK_MONOTONIC always exists.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut t) };
    t.tv_sec * 1_000_000_000 + t.tv_nsec
}

/// The timeout that means "for ever".
pub const FOREVER: i64 = i64::MAX;

/// When a wait ends: never, at once, or at a time on the monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadline {
    /// Wait for ever.
    Never,
    /// Do not wait.
    Now,
    /// Wait until this many nanoseconds on the monotonic clock.
    At(i64),
}

impl Deadline {
    /// The deadline `timeout` nanoseconds from now. Zero and negative mean "do not wait"; `FOREVER`, and
    /// whatever would overflow the clock, mean "for ever".
    pub fn after(timeout: i64) -> Deadline {
        if timeout <= 0 {
            Deadline::Now
        } else if timeout == FOREVER {
            Deadline::Never
        } else {
            now().checked_add(timeout).map_or(Deadline::Never, Deadline::At)
        }
    }

    /// Whether it has passed.
    pub fn passed(self) -> bool {
        match self {
            Deadline::Never => false,
            Deadline::Now => true,
            Deadline::At(t) => now() >= t,
        }
    }

    /// The earlier of this deadline and `nanoseconds` from now.
    pub fn capped(self, nanoseconds: i64) -> Deadline {
        self.earlier(now().saturating_add(nanoseconds))
    }

    /// The earlier of this deadline and a time on the monotonic clock.
    pub fn earlier(self, time: i64) -> Deadline {
        match self {
            Deadline::Never => Deadline::At(time),
            Deadline::Now => Deadline::Now,
            Deadline::At(t) => Deadline::At(t.min(time)),
        }
    }

    pub(crate) fn timespec(self) -> Option<libc::timespec> {
        let t = match self {
            Deadline::Never => return None,
            Deadline::Now => 0,
            Deadline::At(t) => t.max(0),
        };
        Some(libc::timespec {
            tv_sec: (t / 1_000_000_000) as libc::time_t,
            tv_nsec: (t % 1_000_000_000) as libc::c_long,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_become_deadlines() {
        assert_eq!(Deadline::after(0), Deadline::Now);
        assert_eq!(Deadline::after(-5), Deadline::Now);
        assert_eq!(Deadline::after(i64::MIN), Deadline::Now);
        assert_eq!(Deadline::after(FOREVER), Deadline::Never);
        assert_eq!(Deadline::after(FOREVER - 1), Deadline::Never);
        assert!(matches!(Deadline::after(1_000_000_000), Deadline::At(_)));
        assert!(!Deadline::after(60_000_000_000).passed());
        assert!(Deadline::Now.passed());
    }
}
