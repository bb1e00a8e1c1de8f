//! Status numbers, their names, the last error's text, the version, and how many CPUs there are.

use super::guard;
use crate::error::Status;
use std::ffi::{c_char, CStr};

/// What a call answered: `MP_OK` (0) is success, a positive number is success with a notice, a negative number
/// is failure. Ask with `MP_SUCCEEDED` and `MP_FAILED`. The numbers never change once released.
pub type mp_status = i32;

/// Done.
pub const MP_OK: i32 = 0;
/// Done: acquired, but the last owner died holding it, so what it protects may be half-written.
pub const MP_OWNER_DEAD: i32 = 1;
/// An argument is wrong: NULL, out of range, or a wrong or freed handle.
pub const MP_ERR_INVALID: i32 = -1;
/// The wrong moment for this call: started twice, joined before it was started.
pub const MP_ERR_STATE: i32 = -2;
/// The timeout ran out.
pub const MP_ERR_TIMEOUT: i32 = -3;
/// The queue is full, and stayed so for the whole timeout.
pub const MP_ERR_FULL: i32 = -4;
/// The queue is empty, and stayed so for the whole timeout.
pub const MP_ERR_EMPTY: i32 = -5;
/// The object was closed.
pub const MP_ERR_CLOSED: i32 = -6;
/// The end of a pipe or of an iterator.
pub const MP_ERR_END: i32 = -7;
/// The caller does not hold what it wants to release.
pub const MP_ERR_NOT_OWNER: i32 = -8;
/// Released too often.
pub const MP_ERR_OVERFLOW: i32 = -9;
/// The barrier or the pool is broken.
pub const MP_ERR_BROKEN: i32 = -10;
/// Not enough memory.
pub const MP_ERR_NO_MEMORY: i32 = -11;
/// The caller's buffer is too small, or the object too large.
pub const MP_ERR_TOO_LARGE: i32 = -12;
/// The token names an object that has been destroyed.
pub const MP_ERR_STALE: i32 = -13;
/// The task's function reported a failure.
pub const MP_ERR_TASK_FAILED: i32 = -14;
/// The task ran longer than its timeout.
pub const MP_ERR_TASK_TIMEOUT: i32 = -15;
/// The process that had the task in its hands died.
pub const MP_ERR_WORKER_DIED: i32 = -16;
/// The wait or the task was cancelled.
pub const MP_ERR_CANCELLED: i32 = -17;
/// `mp_main_init` was not called in this program.
pub const MP_ERR_BOOTSTRAP: i32 = -18;
/// Not built, or not possible for this object, kind or start method.
pub const MP_ERR_UNSUPPORTED: i32 = -19;
/// There is nothing of that name.
pub const MP_ERR_NOT_FOUND: i32 = -20;
/// There is already something else of that name.
pub const MP_ERR_EXISTS: i32 = -21;
/// Permission was refused.
pub const MP_ERR_ACCESS: i32 = -22;
/// The other side could not prove who it is.
pub const MP_ERR_AUTH: i32 = -23;
/// A system call failed; `mp_last_error` has the errno's text.
pub const MP_ERR_SYSTEM: i32 = -24;
/// A defect in libmp.
pub const MP_ERR_INTERNAL: i32 = -25;

/// The timeout that means "wait for ever".
pub const MP_FOREVER: i64 = i64::MAX;

/// The exit code of a process whose true one nobody can know, because the host took it from the kernel first.
pub const MP_EXIT_UNKNOWN: i32 = i32::MIN;

/// The version of this header. `mp_version` has that of the library at run time.
pub const MP_VERSION_MAJOR: i32 = 0;
/// See `MP_VERSION_MAJOR`.
pub const MP_VERSION_MINOR: i32 = 1;
/// See `MP_VERSION_MAJOR`.
pub const MP_VERSION_PATCH: i32 = 0;

/// The name of a status, such as `"MP_ERR_FULL"`.
///
/// *Returns* a string that lives for ever; never NULL: `"MP_STATUS_UNKNOWN"` for a number that is no status.
///
/// *Threads*: thread-safe, and async-signal-safe.
#[unsafe(no_mangle)]
pub extern "C" fn mp_status_name(status: mp_status) -> *const c_char {
    Status::from_code(status).map_or(c"MP_STATUS_UNKNOWN", Status::c_name).as_ptr()
}

/// What this thread's last failing call has to say: a sentence with what failed, which and why. Meant for
/// people; do not parse it.
///
/// *Returns* a string, empty if no call of this thread has failed yet; never NULL. It stays valid until this
/// thread's next failing call; a call that succeeds leaves it alone.
///
/// *Threads*: each thread has its own. *Processes*: a forked child keeps the forking thread's.
#[unsafe(no_mangle)]
pub extern "C" fn mp_last_error() -> *const c_char {
    guard::last_error()
}

/// The version of the library at run time, such as `"0.1.0"`.
///
/// *Returns* a string that lives for ever. *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub extern "C" fn mp_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    match CStr::from_bytes_with_nul(VERSION.as_bytes()) {
        Ok(version) => version.as_ptr(),
        Err(_) => c"".as_ptr(),
    }
}

/// How many CPUs this process may use: its affinity and its cgroup's quota counted.
///
/// *Returns* at least 1. *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub extern "C" fn mp_cpu_count() -> i32 {
    guard::guard_value(1, || Ok(i32::try_from(crate::sys::cpu::count()).unwrap_or(i32::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The constants as they stand in this file: the header's readers see these, the core has the table.
    fn constants() -> Vec<(String, i32)> {
        let source = include_str!("status.rs");
        source
            .lines()
            .filter_map(|line| line.strip_prefix("pub const ")?.split_once(": i32 = "))
            .filter(|(name, _)| ["MP_OK", "MP_OWNER_DEAD"].contains(name) || name.starts_with("MP_ERR_"))
            .map(|(name, number)| (name.to_owned(), number.trim_end_matches(';').parse().unwrap()))
            .collect()
    }

    #[test]
    fn constants_equal_the_table() {
        let table: Vec<(String, i32)> =
            Status::ALL.iter().map(|&s| (s.c_name().to_str().unwrap().to_owned(), s as i32)).collect();
        assert_eq!(constants(), table);
    }

    #[test]
    fn every_number_has_a_name() {
        for (name, number) in constants() {
            // SAFETY: mp_status_name answers a NUL-terminated string that lives for ever.
            let answered = unsafe { CStr::from_ptr(mp_status_name(number)) };
            assert_eq!(answered.to_str(), Ok(name.as_str()));
        }
        for unknown in [2, -26, i32::MIN, i32::MAX] {
            // SAFETY: as above.
            let answered = unsafe { CStr::from_ptr(mp_status_name(unknown)) };
            assert_eq!(answered, c"MP_STATUS_UNKNOWN");
        }
    }

    #[test]
    fn the_version_is_cargos() {
        let macros = format!("{MP_VERSION_MAJOR}.{MP_VERSION_MINOR}.{MP_VERSION_PATCH}");
        assert_eq!(macros, env!("CARGO_PKG_VERSION"));
        // SAFETY: mp_version answers a NUL-terminated string that lives for ever.
        assert_eq!(unsafe { CStr::from_ptr(mp_version()) }.to_str(), Ok(macros.as_str()));
    }
}
