//! The runtime: how the library begins, start methods, names of functions, and the log.

use super::call::{self, mp_fn};
use super::guard::{guard, quiet_panics};
use super::status::mp_status;
use super::types;
use crate::error::Error;
use crate::process::{executable, spawn, start, target};
use crate::sys::{log, spawn as program};
use std::ffi::{c_char, c_int, c_void};
use std::path::Path;

/// The program's default start method, which is fork unless `mp_set_start_method` was called.
pub const MP_START_DEFAULT: i32 = 0;
/// A copy of this process: cheap, and everything is there. What other threads have locked stays locked in the copy.
pub const MP_START_FORK: i32 = 1;
/// A copy of a server process, which is this program, run anew, with one thread: see `mp_forkserver_start`. A clean child
/// for the price of a small fork, however large this process has grown. It needs `mp_main_init`. Its stdin, stdout and
/// stderr are this process's; handlers that other libraries gave to `pthread_atfork` don't run.
pub const MP_START_FORKSERVER: i32 = 2;
/// The same program, run anew, or another (`mp_set_executable`): a clean process. It needs `mp_main_init`.
pub const MP_START_SPAWN: i32 = 3;
/// As a thread of this process, for what needs no process of its own: the same calls, without the cost and without the
/// protection. Functions travel by pointer, and `mp_main_init` is not needed. Such a thread has the signal mask of the
/// thread that started it; it can't be killed or sent a signal; what it holds when its function returns, a lock say,
/// stays held by this process. If it crashes, or its function calls `exit`, the program ends, and `exit` there waits
/// for no other such thread. The function must end by returning, not by `pthread_exit`; and not by `exit` once `main`
/// has returned. In a forked child there is no such thread.
pub const MP_START_THREAD: i32 = 4;

/// A level for `mp_set_log_callback`: something went wrong that no call can answer for.
pub const MP_LOG_ERROR: i32 = 1;
/// A level for `mp_set_log_callback`: something is likely to go wrong.
pub const MP_LOG_WARNING: i32 = 2;

/// Gets what the library has to say: a text, which lives until the callback returns. It may be called on any thread,
/// also by several at once, and in forked children; it must not call libmp.
pub type mp_log_fn = Option<unsafe extern "C" fn(user: *mut c_void, level: i32, text: *const c_char)>;

/// To be called first in `main`, with its arguments, by a program that uses the start methods spawn and
/// forkserver. Such a child runs
/// this program again, with the same arguments; in it, this call runs the child's function and ends the process, as
/// `exit` does. What `main` does before this call, and every initialiser, happens in such children too. Functions
/// that need a name are registered before it.
///
/// *Returns* `MP_OK`, also when called again; in a spawned child it does not return. *Threads*: to be called once,
/// before the program's own threads use libmp; a runtime's threads (Go's) do no harm.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_main_init(argc: c_int, argv: *mut *mut c_char) -> mp_status {
    quiet_panics();
    guard(|| {
        // SAFETY: the header asks for the arguments of main.
        unsafe { program::save_arguments(argc, argv.cast_const().cast()) };
        spawn::main_init()
    })
}

/// Sets the start method for processes and pools that name none. `MP_START_DEFAULT` sets it back to fork. Spawned
/// and forked children begin with their parent's; threads share the program's.
///
/// *Returns* `MP_OK`; `MP_ERR_INVALID` for a number that is no method.
/// *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub extern "C" fn mp_set_start_method(method: i32) -> mp_status {
    guard(|| start::set_default(method))
}

/// The start method of processes and pools that name none: never `MP_START_DEFAULT`.
///
/// *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub extern "C" fn mp_get_start_method() -> i32 {
    start::default_method()
}

/// Names the program that spawned children run, instead of this one: for a plug-in, whose host does not call
/// `mp_main_init`. After that children can be spawned here without it. The named program must call `mp_main_init`; its
/// only argument is its own path. It holds for processes and pools from then on, and for their children; NULL sets it
/// back.
///
/// A function reaches such a child by its registered name, or by its place in a shared library, which the child loads
/// by its path if it has not done so itself. One that lies in this program can't be found there: `mp_process_start`
/// refuses it.
///
/// A program that ends without a call of `mp_main_init` has failed as a child: the exit code is not 0 (70 in its place),
/// `mp_process_result` answers `MP_ERR_BOOTSTRAP`, and the log says so. Of one that has not called it after a minute, and
/// was not stopped meanwhile, the log tells; a fork server and the workers of a pool are killed then, and whoever waits for
/// them gets `MP_ERR_BOOTSTRAP` or `MP_ERR_BROKEN`.
///
/// *Returns* `MP_OK`; `MP_ERR_NOT_FOUND` if there is no such file; `MP_ERR_ACCESS` if it can't be executed;
/// `MP_ERR_INVALID` for a path that is empty or not UTF-8; `MP_ERR_SYSTEM`. After a failure all is as before.
/// *Ownership*: `path` is copied, as an absolute one. *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_set_executable(path: *const c_char) -> mp_status {
    guard(|| {
        // SAFETY: the header asks for a string or NULL.
        let path = unsafe { types::optional_string(path, "path") }?;
        executable::set(path.as_deref().map(Path::new))
    })
}

/// Gives a function a name, by which it travels to spawned children. Needed only where a pointer can't travel: for a
/// function that lies in no loaded object, made at run time or by another language. To be called before
/// `mp_main_init`, so that the children know the name as well.
///
/// *Returns* `MP_OK`, also for the same function again; `MP_ERR_EXISTS` if another function has the name;
/// `MP_ERR_INVALID` for NULL, an empty name or one that is not UTF-8. *Ownership*: `name` is copied. *Threads*:
/// thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_register(name: *const c_char, function: mp_fn) -> mp_status {
    guard(|| {
        // SAFETY: the header asks for a string, and for a function.
        let (name, function) = unsafe { (types::string(name, "name")?, call::function(function, "fn")?) };
        target::register(&name, function)
    })
}

/// From now on the library says to `callback` what is at least as important as `level`. Without a callback errors
/// and warnings are lines on stderr; NULL goes back to that. It holds in forked children too, and for spawned ones
/// if it is set before `mp_main_init`.
///
/// *Returns* `MP_OK`; `MP_ERR_INVALID` for a `level` that is none. *Ownership*: `user` must stay valid until the
/// process ends. *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_set_log_callback(
    callback: mp_log_fn,
    user: *mut c_void,
    level: i32,
) -> mp_status {
    guard(|| {
        if callback.is_some() && !(MP_LOG_ERROR..=MP_LOG_WARNING).contains(&level) {
            return Err(Error::invalid(format!("level is {level}, which is none")));
        }
        // SAFETY: the header asks for a callback that may be called from any thread until the process ends.
        unsafe { log::set(callback, user, level) };
        Ok(())
    })
}
