//! This process among others: what it is called, who made it, and which children it has.

use super::guard::{guard, guard_value};
use super::status::mp_status;
use super::types::Out;
use crate::error::{Error, Result, Status};
use crate::process::{identity, reaper};
use std::ffi::c_char;

/// What this process is called: the name that its maker gave it, or one like `Process-1:2`; `MainProcess` in one that
/// libmp did not start. A child that the program forks by itself is called like the process that forked it.
///
/// *Returns* the name, never NULL. *Lifetime*: until the process ends, in forked children too. *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub extern "C" fn mp_current_process_name() -> *const c_char {
    guard_value(c"".as_ptr(), || Ok(identity::current_c_name().as_ptr()))
}

/// The process that has made this one by libmp; 0 in one that libmp did not start. The number stays the same when that
/// process has ended, and may then be another's. For a pool's worker it is the process that made the pool. A child that
/// the program forks by itself gets the same answer as the process that forked it.
///
/// *Returns* the process id, or 0. *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub extern "C" fn mp_parent_pid() -> i32 {
    guard_value(0, || Ok(identity::parent_pid()))
}

/// Writes the process ids of this process's running children that `mp_process_start` made, also of those whose handles
/// were freed, but not of a pool's workers. `*n` is how many there are, even when `cap` is smaller; `pids` NULL with
/// `cap` 0 asks only for that. The order means nothing.
///
/// *Returns* `MP_OK`; `MP_ERR_TOO_LARGE` if there are more than `cap`: then the first `cap` are written;
/// `MP_ERR_INVALID` if `n` is NULL, or `pids` with a `cap`. *Threads*: thread-safe. By the time of the answer some may
/// have ended.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_active_children(pids: *mut i32, cap: usize, n: *mut usize) -> mp_status {
    guard(|| {
        // SAFETY: `n` is NULL or writable, as the header asks.
        let n = unsafe { Out::new(n, "n") }?;
        if pids.is_null() && cap > 0 {
            return Err(Error::invalid(format!("pids is NULL, and cap is {cap}")));
        }
        let active = reaper::active();
        n.set(active.len());
        for (i, pid) in active.iter().take(cap).enumerate() {
            // SAFETY: `pids` has room for `cap` numbers, as the header asks, and i is below that.
            unsafe { pids.add(i).write(*pid) };
        }
        check_room(active.len(), pids.is_null(), cap)
    })
}

fn check_room(found: usize, asked_only: bool, cap: usize) -> Result<()> {
    if found <= cap || asked_only {
        return Ok(());
    }
    Err(Error::new(Status::TooLarge, format!("there are {found} children, and room for {cap}")))
}
