//! What is left of a process that has ended: its result, and what it has used.

use super::buffer::mp_buffer;
use super::guard::{guard, guard_new};
use super::handle;
use super::options::{self, CStruct};
use super::process::{core, mp_process};
use super::status::mp_status;

/// What a process, and the children that it has waited for, have used of the machine.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct mp_usage {
    /// Set by the caller: `sizeof(mp_usage)`.
    pub size: usize,
    /// Processor time in the program's own code, in nanoseconds.
    pub user: i64,
    /// Processor time in the kernel, in nanoseconds.
    pub system: i64,
    /// The most memory that was resident at once, in bytes: of the process or of one of those children. Pages that
    /// several processes share count in each.
    pub max_resident: u64,
    /// Page faults for which no disk was read.
    pub minor_faults: u64,
    /// Page faults for which one was.
    pub major_faults: u64,
    /// How often it gave the processor up, to wait.
    pub voluntary_switches: u64,
    /// How often the processor was given to another.
    pub involuntary_switches: u64,
}

// SAFETY: repr(C), begins with its size, and every bit pattern is a value.
unsafe impl CStruct for mp_usage {
    const NAME: &'static str = "mp_usage";
}

/// What the function returned by `mp_call_return` or `mp_call_return_buffer`: an empty buffer if nothing. It counts from
/// the moment the function has returned, whatever happens to the process afterwards. It may be called again and by
/// several threads: all the buffers then have the same bytes, which may be the same memory; who writes into one must
/// have no other.
///
/// *Returns* `MP_OK`; `MP_ERR_STATE` while the process runs, or if it was not started; `MP_ERR_CLOSED`;
/// `MP_ERR_TASK_FAILED` if the exit code that follows from what the function answered, or from `mp_call_fail`, is not 0:
/// `mp_last_error` then has code and message, and what it had returned is dropped; the same if libmp could not run the
/// function; `MP_ERR_WORKER_DIED` if the process ended before its function had returned: `mp_last_error` has the signal
/// or the exit code; `MP_ERR_BOOTSTRAP` if the program that it ran never called `mp_main_init` (`mp_set_executable`);
/// `MP_ERR_NO_MEMORY`; `MP_ERR_INVALID` for NULL. *Ownership*: the caller frees the buffer with
/// `mp_buffer_free`; it outlives the process's handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_process_result(
    process: *const mp_process,
    out: *mut *mut mp_buffer,
) -> mp_status {
    // SAFETY: `out` is NULL or writable, as the header asks.
    unsafe { guard_new(out, || handle::create(core(process)?.result()?)) }
}

/// Writes into `*usage` what the process has used of the machine, as the kernel told at its end. The caller sets
/// `usage->size`.
///
/// *Returns* `MP_OK`; `MP_ERR_STATE` while the process runs, or if it was not started; `MP_ERR_CLOSED`;
/// `MP_ERR_NOT_FOUND` if the program itself collected the child (by `waitpid(-1)`, or since it ignores SIGCHLD): then
/// only it was told; `MP_ERR_INVALID` for NULL or a size that was not set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_process_usage(process: *const mp_process, usage: *mut mp_usage) -> mp_status {
    guard(|| {
        let used = core(process)?.usage()?;
        let used = mp_usage {
            size: 0,
            user: used.user,
            system: used.system,
            max_resident: used.max_resident,
            minor_faults: used.minor_faults,
            major_faults: used.major_faults,
            voluntary_switches: used.voluntary_switches,
            involuntary_switches: used.involuntary_switches,
        };
        // SAFETY: `usage` is NULL or begins with its size and is that long, as the header asks.
        unsafe { options::fill(usage, "usage", &used) }
    })
}
