//! Time: one absolute deadline on the monotonic clock per call.

use std::sync::atomic::{AtomicU32, Ordering};

/// Nanoseconds on the monotonic clock.
pub fn now() -> i64 {
    let mut t = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `t` is a live timespec; CLOCK_MONOTONIC always exists.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut t) };
    t.tv_sec * 1_000_000_000 + t.tv_nsec
}

/// The same in a quarter of the time, some milliseconds behind.
pub fn roughly_now() -> i64 {
    let mut t = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `t` is a live timespec; CLOCK_MONOTONIC_COARSE always exists.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &mut t) };
    t.tv_sec * 1_000_000_000 + t.tv_nsec
}

/// The kernel's clock ticks since boot, as /proc counts them: a process that exists now began at this tick or before.
pub fn boot_ticks() -> u64 {
    const TICK: u64 = 10_000_000;
    let mut t = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `t` is a live timespec. By a system call: a forked child would have to fault in the kernel's shared page.
    unsafe { libc::syscall(libc::SYS_clock_gettime, libc::CLOCK_BOOTTIME, &raw mut t) };
    (t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64) / TICK
}

/// How many pauses of a spin loop take so many nanoseconds, about; none where there is only one processor, for a
/// thread that spins there keeps all others from going on.
pub fn pauses(nanoseconds: u32) -> u32 {
    let per_microsecond = match PAUSES.load(Ordering::Relaxed) {
        0 => measure_pauses(),
        known => known - 1,
    };
    (u64::from(nanoseconds) * u64::from(per_microsecond) / 1000) as u32
}

/// One more than how many pauses make a microsecond; 0 if that has not been measured yet.
static PAUSES: AtomicU32 = AtomicU32::new(0);

/// Takes some microseconds, once.
#[cold]
fn measure_pauses() -> u32 {
    const SOME: i64 = 64;
    let took = || {
        let start = now();
        (0..SOME).for_each(|_| std::hint::spin_loop());
        (now() - start).max(1)
    };
    // The shortest: the others were interrupted.
    let shortest = (0..4).map(|_| took()).min().unwrap_or(1);
    let count = if super::cpu::online() > 1 { (SOME * 1000 / shortest).clamp(1, 10_000) } else { 0 };
    PAUSES.store(count as u32 + 1, Ordering::Relaxed);
    count as u32
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

    /// Whether it has passed at a time on the monotonic clock.
    pub fn is_before(self, now: i64) -> bool {
        match self {
            Deadline::Never => false,
            Deadline::Now => true,
            Deadline::At(t) => now >= t,
        }
    }

    /// How many nanoseconds are left, from now on.
    pub fn left(self) -> i64 {
        match self {
            Deadline::Never => i64::MAX,
            Deadline::Now => 0,
            Deadline::At(t) => t - now(),
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
