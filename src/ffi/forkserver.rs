//! The fork server for C.

use super::call::{self, mp_fn};
use super::guard::guard;
use super::status::mp_status;
use super::types::{self, mp_slice};
use crate::process::{forkserver, server};

/// Starts this process's fork server and has it call `warm_up` with `nargs` arguments, before it forks any child: what
/// that function loads, opens and computes is in the memory of every child from then on, shared until it is changed. It
/// waits until the function has returned. The function should leave no threads behind. Without this call the server is
/// started by the first process or pool of `MP_START_FORKSERVER`, and nothing is warmed up.
///
/// The server is a clean process: this program, run anew, with one thread, no other descriptors than stdin, stdout,
/// stderr and libmp's, and the environment and working directory of this moment. It ends with this process. If it is
/// killed, the next start makes another, which calls the function again.
///
/// *Returns* `MP_OK`; `MP_ERR_STATE` if the server runs already (`mp_forkserver_stop` ends it) or the program has closed
/// libmp's descriptors; `MP_ERR_TASK_FAILED` if the function failed: its code is in the text, and there is no server;
/// `MP_ERR_WORKER_DIED` if the server ended meanwhile; `MP_ERR_BOOTSTRAP` if the program has not called `mp_main_init`,
/// or the one that the server runs does not (`mp_set_executable`),
/// or this process is itself a child that is still starting; `MP_ERR_INVALID` for NULL, or a function that can't travel:
/// register it by name; `MP_ERR_NO_MEMORY`; `MP_ERR_SYSTEM`. *Ownership*: the arguments are copied. *Threads*:
/// thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_forkserver_start(
    warm_up: mp_fn,
    args: *const mp_slice,
    nargs: usize,
) -> mp_status {
    guard(|| {
        // SAFETY: the header asks for a function, and for `nargs` slices.
        let (function, args) =
            unsafe { (call::function(warm_up, "warm_up")?, types::slices(args, nargs, "args")?) };
        forkserver::start(server::warm_up(function, &args)?)
    })
}

/// Ends this process's fork server and waits for its end; its children go on. The next start makes another, which warms nothing up.
///
/// *Returns* `MP_OK`, also if there is none. *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub extern "C" fn mp_forkserver_stop() -> mp_status {
    guard(forkserver::stop)
}
