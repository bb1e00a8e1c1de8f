//! The futex, shared between processes (never the private kind).

use super::clock::Deadline;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Why a sleep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slept {
    /// Woken, or the word had changed, or a signal came: look again.
    Woken,
    /// The deadline passed.
    TimedOut,
}

/// Wakes at most `n` sleepers on `word` and says how many there were. Async-signal-safe; keeps errno.
pub fn wake(word: &AtomicU32, n: u32) -> u32 {
    let count = n.min(i32::MAX as u32) as libc::c_long;
    // SAFETY: FUTEX_WAKE only uses the address as a key; `word` is a live atomic.
    let woken =
        unsafe { keep_errno(|| libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, count)) };
    woken.max(0) as u32
}

/// Sleeps on `word` while it holds `seen`, until `deadline`.
pub fn wait(word: &AtomicU32, seen: u32, deadline: Deadline) -> Slept {
    let until = deadline.timespec();
    let until_ptr = until.as_ref().map_or(std::ptr::null(), |t| t as *const libc::timespec);
    // SAFETY: `word` is a live atomic and `until_ptr` is null or points at a live timespec; FUTEX_WAIT_BITSET
    // takes an absolute time on the monotonic clock.
    let result = unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT_BITSET,
            seen as libc::c_ulong,
            until_ptr,
            std::ptr::null::<u32>(),
            libc::FUTEX_BITSET_MATCH_ANY as libc::c_ulong,
        )
    };
    outcome(result)
}

fn outcome(result: libc::c_long) -> Slept {
    if result < 0 && errno() == libc::ETIMEDOUT {
        Slept::TimedOut
    } else {
        Slept::Woken
    }
}

#[repr(C)]
struct WaitV {
    value: u64,
    address: u64,
    flags: u32,
    reserved: u32,
}

const FUTEX2_SIZE_U32: u32 = 2;
const SYS_FUTEX_WAITV: libc::c_long = 449;
/// futex_waitv came with Linux 5.16; before it, and under valgrind, a second word is polled.
static NO_WAITV: AtomicBool = AtomicBool::new(false);
const POLL: i64 = 10_000_000;

/// Sleeps while `word` holds `seen` and `other` holds `other_seen`, until `deadline`.
pub fn wait_either(
    word: &AtomicU32,
    seen: u32,
    other: &AtomicU32,
    other_seen: u32,
    deadline: Deadline,
) -> Slept {
    if !NO_WAITV.load(Ordering::Relaxed) {
        let waiters = [(word, seen), (other, other_seen)].map(|(w, v)| WaitV {
            value: u64::from(v),
            address: w.as_ptr() as u64,
            flags: FUTEX2_SIZE_U32,
            reserved: 0,
        });
        let until = deadline.timespec();
        let until_ptr = until.as_ref().map_or(std::ptr::null(), |t| t as *const libc::timespec);
        // SAFETY: the array has two entries whose addresses are live atomics; the timeout is null or live.
        let result = unsafe {
            libc::syscall(SYS_FUTEX_WAITV, waiters.as_ptr(), 2, 0, until_ptr, libc::CLOCK_MONOTONIC)
        };
        // Some sandboxes answer EPERM to calls that they do not know: no sleep, and no answer of the call's own.
        if result >= 0 || !matches!(errno(), libc::ENOSYS | libc::EPERM) {
            return outcome(result);
        }
        NO_WAITV.store(true, Ordering::Relaxed);
    }
    while other.load(Ordering::SeqCst) == other_seen {
        match wait(word, seen, deadline.capped(POLL)) {
            Slept::Woken => return Slept::Woken,
            Slept::TimedOut if deadline.passed() => return Slept::TimedOut,
            Slept::TimedOut => {}
        }
    }
    Slept::Woken
}

fn errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// Runs `f` and puts errno back as it was.
///
/// # Safety
/// None of its own; it is unsafe because `f` usually is.
unsafe fn keep_errno<R>(f: impl FnOnce() -> R) -> R {
    // SAFETY: __errno_location answers this thread's errno, which lives as long as the thread.
    let location = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let saved = unsafe { *location };
    let result = f();
    // SAFETY: as above.
    unsafe { *location = saved };
    result
}
