//! The options of processes for C.

use super::guard::guard;
use super::options::{self, CStruct, Options};
use super::status::mp_status;
use super::types::{self, mp_bool};
use crate::error::{Error, Result};
use crate::process::{self, Conditions};
use std::ffi::{c_char, CStr};

/// No limit, as `RLIM_INFINITY`.
pub const MP_NO_LIMIT: u64 = u64::MAX;

/// For `mp_fd_map.fd`: /dev/null, for reading and writing.
pub const MP_FD_NULL: i32 = -1;
/// For `mp_fd_map.fd`: the number is closed in the child.
pub const MP_FD_CLOSED: i32 = -2;

/// A resource limit, as for setrlimit.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct mp_rlimit {
    /// `RLIMIT_NOFILE` or another of the system's numbers.
    pub resource: i32,
    /// What is in force, or `MP_NO_LIMIT`.
    pub soft: u64,
    /// How far the process may raise it, or `MP_NO_LIMIT`.
    pub hard: u64,
}

/// A descriptor of a child's.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct mp_fd_map {
    /// A descriptor of this process, or `MP_FD_NULL` or `MP_FD_CLOSED`.
    pub fd: i32,
    /// Its number in the child: 0, 1 and 2 are stdin, stdout and stderr.
    pub r#as: i32,
}

/// How a process is to be. Use `mp_process_options_init`.
///
/// Where nothing is said, a process begins as this one is. What can't be had, from `cwd` on, fails the start; it is then
/// set in this order: `cwd`, `fds`, `cpus`, `rlimits`, `nice`. A spawned program begins under them, libmp's part in it
/// too: it needs a few descriptors, and address space for the arena. With `MP_START_THREAD` none may be set from `env`
/// on.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct mp_process_options {
    /// Set by `mp_process_options_init`.
    pub size: usize,
    /// What it is called; NULL means a name like `Process-1`, or `Process-1:2` for the second child of that one.
    pub name: *const c_char,
    /// Whether it is killed, by SIGKILL, when this process ends in whatever way. Others are waited for when this
    /// process exits. What a daemon starts, or who was started below one, is killed with its own parent too, daemon or
    /// not. A thread is not killed: a daemon is just not waited for.
    ///
    /// A program that takes a daemon's place by exec is killed likewise. The descriptor by which that is done is
    /// therefore open in it, and in programs that a daemon starts, to which it does nothing.
    pub daemon: mp_bool,
    /// One of the start methods, `MP_START_FORK` and so on; `MP_START_DEFAULT` means the program's default.
    pub start_method: i32,
    /// `nenv` changes of its environment, against this process's at the start: `NAME=value` sets a variable, `NAME`
    /// alone removes it. Of two for one name the last counts. In a spawned child they are made before the program
    /// begins. `MP_CHILD` is libmp's own.
    pub env: *const *const c_char,
    /// How many changes.
    pub nenv: usize,
    /// Its working directory. A relative path counts from this process's at the start.
    pub cwd: *const c_char,
    /// What is added to its nice value. Less than 0 needs a right: CAP_SYS_NICE, or RLIMIT_NICE.
    pub nice: i32,
    /// The `ncpus` CPUs that it may run on, whether this process may now or not.
    pub cpus: *const i32,
    /// How many CPUs; 0 means those of this process.
    pub ncpus: usize,
    /// `nrlimits` resource limits, each resource at most once.
    pub rlimits: *const mp_rlimit,
    /// How many limits.
    pub nrlimits: usize,
    /// `nfds` descriptors, up to 250: in the child, descriptor `as` is what `fd` is here. They may overlap in any way,
    /// two swapped for example, but each `as` comes once. What they stand for is looked up at the start; they stay the
    /// caller's. A forked child has all other descriptors too, a spawned one only 0, 1 and 2, and one of the fork server
    /// also what that has open. Descriptors that libmp has given, like `mp_event_fd`'s, can't be passed.
    pub fds: *const mp_fd_map,
    /// How many descriptors.
    pub nfds: usize,
}

// SAFETY: repr(C), begins with its size, and every bit pattern is a value.
unsafe impl CStruct for mp_process_options {
    const NAME: &'static str = "mp_process_options";
}

impl Options for mp_process_options {
    fn defaults() -> mp_process_options {
        use std::ptr::null;
        mp_process_options {
            size: 0,
            name: null(),
            daemon: false.into(),
            start_method: 0,
            env: null(),
            nenv: 0,
            cwd: null(),
            nice: 0,
            cpus: null(),
            ncpus: 0,
            rlimits: null(),
            nrlimits: 0,
            fds: null(),
            nfds: 0,
        }
    }
}

/// Writes the defaults into options of `size` bytes; programs call `mp_process_options_init`.
///
/// *Returns* `MP_OK`; `MP_ERR_INVALID` for NULL or a size that no such struct has.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_process_options_defaults(
    options: *mut mp_process_options,
    size: usize,
) -> mp_status {
    // SAFETY: `options` is NULL or has `size` bytes, as the header asks.
    guard(|| unsafe { options::write_defaults(options, size) })
}

/// The core's options, copied.
///
/// # Safety
/// All that the options point at is as the header says.
pub(super) unsafe fn core_options(options: &mp_process_options) -> Result<process::Options> {
    // SAFETY: by the contract: texts are NULL or end in NUL, arrays have as many elements as is said.
    unsafe {
        Ok(process::Options {
            name: types::optional_string(options.name, "options.name")?,
            daemon: options.daemon.get(),
            start_method: options.start_method,
            conditions: conditions(options)?,
        })
    }
}

/// # Safety
/// As for [`core_options`].
unsafe fn conditions(options: &mp_process_options) -> Result<Conditions> {
    let mut conditions = Conditions::default();
    // SAFETY: by the contract.
    let (env, cpus, limits, fds) = unsafe {
        (
            texts(options.env, options.nenv, "options.env")?,
            types::array(options.cpus, options.ncpus, "options.cpus")?,
            types::array(options.rlimits, options.nrlimits, "options.rlimits")?,
            types::array(options.fds, options.nfds, "options.fds")?,
        )
    };
    conditions.set_env(&env)?;
    if !options.cwd.is_null() {
        // SAFETY: not NULL, so it ends in NUL.
        conditions.set_cwd(unsafe { CStr::from_ptr(options.cwd) })?;
    }
    conditions.set_nice(options.nice);
    conditions.set_cpus(cpus)?;
    let limits: Vec<_> = limits.iter().map(|limit| (limit.resource, limit.soft, limit.hard)).collect();
    conditions.set_limits(&limits)?;
    let fds: Vec<_> = fds.iter().map(|fd| (fd.fd, fd.r#as)).collect();
    conditions.set_descriptors(&fds)?;
    Ok(conditions)
}

/// C strings, none of them NULL.
///
/// # Safety
/// `first` is NULL or points at `n` pointers, each NULL or a C string, for as long as the answer is used.
unsafe fn texts<'a>(first: *const *const c_char, n: usize, name: &str) -> Result<Vec<&'a CStr>> {
    // SAFETY: by the contract.
    let texts = unsafe { types::array(first, n, name) }?;
    let text = |(at, &text): (usize, &*const c_char)| {
        if text.is_null() {
            return Err(Error::invalid(format!("{name}[{at}] is NULL")));
        }
        // SAFETY: not NULL, so it ends in NUL.
        Ok(unsafe { CStr::from_ptr(text) })
    };
    texts.iter().enumerate().map(text).collect()
}
