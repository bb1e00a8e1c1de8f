//! Processes for C.

use super::call::{self, mp_fn};
use super::guard::{guard, guard_new, guard_value};
use super::handle::{self, Handle, Kind};
use super::options;
use super::process_options::{self, mp_process_options};
use super::status::mp_status;
use super::types::{self, mp_slice, Out};
use crate::error::{Error, Result, Status};
use crate::process::Process;
use crate::sys::clock::Deadline;
use std::ffi::c_char;

/// A process: made, started once, joined. *Threads*: thread-safe. *Processes*: the handle belongs to the process that
/// made it; in a forked child every call but `mp_process_free` answers `MP_ERR_STATE`.
pub struct mp_process {
    _private: [u8; 0],
}

impl Handle for mp_process {
    type Core = Process;
    const KIND: Kind = Kind::Process;
}

/// Makes a process that will call `fn` with `nargs` arguments. It is not started yet. `options` NULL means the
/// defaults.
///
/// *Returns* `MP_OK`; `MP_ERR_INVALID` for NULL where something must be, a name that is not UTF-8, a start method
/// that is none, or another option that can never be had; `MP_ERR_TOO_LARGE` for more than 250 descriptors;
/// `MP_ERR_BOOTSTRAP` in a spawned child before `mp_main_init`; `MP_ERR_NO_MEMORY`. *Ownership*: options and arguments are copied, with all that they point at;
/// free the handle with `mp_process_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_process_new(
    function: mp_fn,
    args: *const mp_slice,
    nargs: usize,
    options: *const mp_process_options,
    out: *mut *mut mp_process,
) -> mp_status {
    // SAFETY: what the header asks of each parameter is what each of these expects.
    unsafe {
        guard_new(out, || {
            let function = call::function(function, "fn")?;
            let args = types::slices(args, nargs, "args")?;
            let options = process_options::core_options(&options::read(options)?)?;
            handle::create(Process::new(function, &args, options)?)
        })
    }
}

/// The core's process behind a handle.
pub(super) fn core<'a>(process: *const mp_process) -> Result<&'a Process> {
    // SAFETY: the header asks that nobody frees the handle meanwhile; any other pointer is refused.
    unsafe { handle::get(process, "process") }
}

/// Starts the process. It does not wait for the child to begin. A spawned child gets this process's stdin, stdout and
/// stderr, and no other descriptor but those that its options name; its signals are as in a fresh program. A child of the
/// fork server gets the same, and whatever its warm-up function has opened; where its options say nothing, its environment,
/// working directory, limits and nice value are the server's. A thread has this thread's signal mask.
///
/// *Returns* `MP_OK`; `MP_ERR_STATE` if it was started before, or if a child is spawned after the program closed
/// libmp's descriptors; `MP_ERR_CLOSED`; `MP_ERR_BOOTSTRAP` if it is to be spawned and the program has not called
/// `mp_main_init`, or if this process is itself a spawned child that is still starting; `MP_ERR_INVALID` if `fn` lies
/// in no loaded object and can't travel to a spawned child: register it by name; `MP_ERR_NO_MEMORY`; `MP_ERR_SYSTEM`.
/// If the child can't begin as its options say: `MP_ERR_NOT_FOUND` for a directory that is not there;
/// `MP_ERR_INVALID` for a descriptor that is not open, or a CPU that there is not; `MP_ERR_ACCESS` for what this process
/// has no right to; `MP_ERR_UNSUPPORTED` for a thread. After a failure there is no child, and it may be tried again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_process_start(process: *mut mp_process) -> mp_status {
    guard(|| core(process)?.start())
}

/// Waits until the process has ended. It may be called again and by several threads. `mp_process_exitcode` then says
/// how it ended. A thread has left, and the destructors of its thread-local data have run, when this answers `MP_OK`;
/// other ways to hear of its end tell that its function has returned.
///
/// *Returns* `MP_OK`; `MP_ERR_TIMEOUT`; `MP_ERR_STATE` if it was not started, or for a thread that waits for itself;
/// `MP_ERR_CLOSED`; `MP_ERR_CANCELLED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_process_join(process: *mut mp_process, timeout: i64) -> mp_status {
    guard(|| core(process)?.join(Deadline::after(timeout)))
}

/// Sends SIGTERM to the process, and to nobody else. Its own children go on.
///
/// *Returns* `MP_OK`, also if it has ended already; `MP_ERR_STATE` if it was not started; `MP_ERR_UNSUPPORTED` for a
/// thread; `MP_ERR_CLOSED`; `MP_ERR_SYSTEM`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_process_terminate(process: *mut mp_process) -> mp_status {
    guard(|| core(process)?.signal(libc::SIGTERM))
}

/// Sends SIGKILL to the process, as `mp_process_terminate` does SIGTERM. It dies at once; what it held of libmp's is
/// mended.
///
/// *Returns* as `mp_process_terminate`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_process_kill(process: *mut mp_process) -> mp_status {
    guard(|| core(process)?.signal(libc::SIGKILL))
}

/// Sends a signal to the process, as `mp_process_terminate` does SIGTERM.
///
/// *Returns* as `mp_process_terminate`; `MP_ERR_INVALID` for a number that is no signal.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_process_signal(process: *mut mp_process, signal: i32) -> mp_status {
    guard(|| core(process)?.signal(signal))
}

/// Sends SIGINT to the process, as Ctrl-C does, but to nobody else.
///
/// *Returns* as `mp_process_terminate`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_process_interrupt(process: *mut mp_process) -> mp_status {
    guard(|| core(process)?.signal(libc::SIGINT))
}

/// Ends the process: SIGTERM, and if it has not ended `grace` nanoseconds later, SIGKILL. It returns when the process
/// has ended. A `grace` of 0 or less sends both at once; with `MP_FOREVER` there is no SIGKILL. Its own children go on.
///
/// *Returns* `MP_OK` when it has ended, also if it had before; `MP_ERR_CANCELLED` if the wait was cancelled (see
/// `mp_cancel_use`): during `grace`, no SIGKILL was sent; `MP_ERR_STATE` if it was not started; `MP_ERR_CLOSED`;
/// `MP_ERR_SYSTEM`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_process_stop(process: *mut mp_process, grace: i64) -> mp_status {
    guard(|| core(process)?.stop(grace))
}

/// Kills the process and all its descendants by SIGKILL, and waits until they have ended: its children, theirs, and
/// programs that any of them started. All are stopped first, so that nobody escapes by forking. If the process itself
/// has ended already, what is left of its descendants is killed.
///
/// Processes that use libmp's objects or were made by libmp are known by their forebears, wherever those have gone.
/// Others are found by /proc as long as all processes between them and the first have not ended: an orphan of theirs has
/// become another's child, and stays. Nobody is killed who merely got the process id of one that has ended.
///
/// *Returns* `MP_OK`; `MP_ERR_CANCELLED` if the wait was cancelled: those that were found were killed, but may not have
/// ended yet; `MP_ERR_STATE` if it was not started; `MP_ERR_CLOSED`; `MP_ERR_ACCESS` or `MP_ERR_SYSTEM` if one of them
/// can't be killed (it runs as another user), or /proc can't be read: the process itself is killed nevertheless.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_process_kill_tree(process: *mut mp_process) -> mp_status {
    guard(|| core(process)?.kill_tree())
}

/// Ends the use of a process that was never started or has ended: from then on only its name and description are
/// told. Twice is fine.
///
/// *Returns* `MP_OK`; `MP_ERR_STATE` while the process runs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_process_close(process: *mut mp_process) -> mp_status {
    guard(|| core(process)?.close())
}

/// How the process ended: 0 to 255, the low byte of what the function returned or of what was given to `exit`; -N if
/// signal N killed it; 70 if libmp itself failed in the child, or never began in it, which the log explains; `MP_EXIT_UNKNOWN` if the
/// program itself collected the child (by `waitpid(-1)`, or since it ignores SIGCHLD) and the child ended by a signal
/// or by its own `exit`.
///
/// *Returns* `MP_OK`; `MP_ERR_STATE` while it runs, or if it was not started; `MP_ERR_CLOSED`; `MP_ERR_INVALID` for
/// NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_process_exitcode(process: *const mp_process, code: *mut i32) -> mp_status {
    guard(|| {
        // SAFETY: `code` is NULL or writable, as the header asks.
        let code = unsafe { Out::new(code, "code") }?;
        code.set(core(process)?.exit_code()?);
        Ok(())
    })
}

/// Writes a descriptor into `*fd` that is readable when the process has ended, for poll, select and epoll. Then
/// `mp_process_exitcode` answers. The handle has one descriptor, made at the first request, and with this process's
/// first one a thread that looks after them.
///
/// *Returns* `MP_OK`; `MP_ERR_STATE` if it was not started; `MP_ERR_CLOSED`; `MP_ERR_INVALID` for NULL; `MP_ERR_SYSTEM`
/// if none can be had, or no thread.
///
/// *Ownership*: as for `mp_event_fd`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_process_sentinel(process: *mut mp_process, fd: *mut i32) -> mp_status {
    guard(|| {
        // SAFETY: `fd` is NULL or writable, as the header asks.
        let fd = unsafe { Out::new(fd, "fd") }?;
        fd.set(core(process)?.sentinel()?);
        Ok(())
    })
}

/// Whether the process runs: false before its start and after its end.
///
/// *Returns* `MP_OK`; `MP_ERR_CLOSED`; `MP_ERR_INVALID` for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_process_is_alive(process: *const mp_process, alive: *mut bool) -> mp_status {
    guard(|| {
        // SAFETY: `alive` is NULL or writable, as the header asks.
        let alive = unsafe { Out::new(alive, "alive") }?;
        alive.set(core(process)?.is_alive()?);
        Ok(())
    })
}

/// The process id; a thread has this process's. After the end of a process the system may give the number to another.
///
/// *Returns* `MP_OK`; `MP_ERR_STATE` if it was not started; `MP_ERR_CLOSED`; `MP_ERR_INVALID` for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_process_pid(process: *const mp_process, pid: *mut i32) -> mp_status {
    guard(|| {
        // SAFETY: `pid` is NULL or writable, as the header asks.
        let pid = unsafe { Out::new(pid, "pid") }?;
        pid.set(core(process)?.pid()?);
        Ok(())
    })
}

/// What the process is called.
///
/// *Returns* the name; NULL for a bad handle. *Lifetime*: until the handle is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_process_name(process: *const mp_process) -> *const c_char {
    guard_value(std::ptr::null(), || Ok(core(process)?.name()?.as_ptr()))
}

/// Describes the process in a line like `<Process(Process-1, started)>`, which always ends in NUL. The word after
/// the name is `initial`, `started`, `stopped` or `closed`.
///
/// *Returns* `MP_OK`; `MP_ERR_TOO_LARGE` if the line was cut to fit into `cap` bytes; `MP_ERR_INVALID` for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_process_repr(
    process: *const mp_process,
    buf: *mut c_char,
    cap: usize,
) -> mp_status {
    guard(|| {
        if buf.is_null() {
            return Err(Error::invalid("buf is NULL"));
        }
        let text = core(process)?.describe()?;
        let kept = text.len().min(cap.saturating_sub(1));
        if cap > 0 {
            // SAFETY: `buf` has `cap` bytes, as the header asks, of which at most all are written.
            unsafe {
                buf.copy_from_nonoverlapping(text.as_ptr().cast(), kept);
                buf.add(kept).write(0);
            }
        }
        if kept < text.len() {
            let text = format!("the description has {} bytes with its NUL, buf has {cap}", text.len() + 1);
            return Err(Error::new(Status::TooLarge, text));
        }
        Ok(())
    })
}

/// Drops the handle; NULL is fine. A running process, or thread, goes on, and is waited for when this process exits
/// unless it is a daemon.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_process_free(process: *mut mp_process) {
    // SAFETY: the header asks that nobody uses the handle any more.
    unsafe { handle::free(process, "process") }
}
