//! Making and ending processes.

use super::{os, sibling};
use crate::error::{Error, Result};
use std::ffi::CString;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::AtomicU32;

/// Which side of a fork this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fork {
    /// The new process.
    Child,
    /// The old one, and the new one's pid.
    Parent(i32),
}

/// This process's number.
pub fn pid() -> i32 {
    // SAFETY: getpid cannot fail.
    unsafe { libc::getpid() }
}

/// libc's fork, with all fork handlers. In the child only this thread goes on: what other threads had locked in
/// the host's code stays locked.
#[link_section = "mp_fork"]
pub fn fork() -> Result<Fork> {
    // SAFETY: fork takes nothing. The child keeps to what libc leaves usable, and to locks that fork handlers
    // hold; what the user's function does there is the user's affair.
    match unsafe { libc::fork() } {
        0 => Ok(Fork::Child),
        pid if pid > 0 => Ok(Fork::Parent(pid)),
        _ => Err(Error::system("fork")),
    }
}

/// Ends this process at once, past exit handlers and buffers.
#[link_section = "mp_fork"]
pub fn leave(code: i32) -> ! {
    // SAFETY: _exit takes a number.
    unsafe { libc::_exit(code) }
}

/// Ends this process as a return from main does.
pub fn exit(code: i32) -> ! {
    // SAFETY: exit may be called once, and the callers never come back to call it again.
    unsafe { libc::exit(code) }
}

/// Has `f` called when the process exits.
pub fn at_exit(f: extern "C" fn()) {
    // SAFETY: `f` lives as long as the library, which is never unloaded.
    unsafe { libc::atexit(f) };
}

/// Ends a child that can't be watched, and reaps it.
pub fn discard(pid: i32) {
    if is_unreaped(pid) {
        // SAFETY: `pid` is a child that was not reaped, so the number still means it.
        unsafe { libc::kill(pid, libc::SIGKILL) };
        // SAFETY: as above; the status is not wanted.
        os::retry(|| unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) });
    }
}

/// Whether `pid` is a child of this process that has not been reaped.
fn is_unreaped(pid: i32) -> bool {
    // SAFETY: all zeroes is a valid siginfo, and waitid fills it.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: as above.
    os::retry(|| unsafe { libc::waitid(libc::P_PID, pid as libc::id_t, &mut info, flags) }) == 0
}

/// A descriptor that this process was started with, for itself alone from now on.
pub fn adopt_descriptor(fd: RawFd) -> Result<OwnedFd> {
    // SAFETY: a number and a flag.
    if unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
        return Err(Error::system(format_args!("descriptor {fd}, which the parent passed")));
    }
    // SAFETY: it is open, and was passed for the caller.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// What the kernel calls a process, in `ps` for instance: 15 bytes and a NUL.
pub type ShortName = [u8; 16];

/// The name of this process's main thread.
pub fn short_name() -> ShortName {
    let mut name = [0; 16];
    // SAFETY: room for the 16 bytes that the kernel writes.
    unsafe { libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr()) };
    name
}

/// Names this process's main thread, which is this one.
#[link_section = "mp_fork"]
pub fn set_short_name(name: &ShortName) {
    // SAFETY: 16 bytes, of which the kernel reads what stands before a NUL, at most 15.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
}

/// Opens /dev/null in the place of stdin, stdout or stderr where one is closed.
pub fn fill_standard() -> Result<()> {
    for fd in 0..=libc::STDERR_FILENO {
        if os::file_of(fd).is_none() {
            // SAFETY: a path; the lowest free number is `fd`.
            let opened = unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR) };
            if opened != fd {
                return Err(Error::system(format_args!("opening /dev/null as descriptor {fd}")));
            }
        }
    }
    Ok(())
}

/// In a fresh child: moves `from`, a higher number that nobody uses any more, to `to`, which is stdin, stdout or stderr;
/// `None` closes that.
#[link_section = "mp_fork"]
pub fn move_standard(from: Option<RawFd>, to: RawFd) -> Result<()> {
    // SAFETY: numbers; the child has one thread, and what `to` was means nothing to it.
    let done = unsafe {
        match from {
            Some(from) => libc::dup2(from, to).min(libc::close(from)),
            None => libc::close(to),
        }
    };
    if done < 0 {
        return Err(Error::system(format_args!("descriptor {to}")));
    }
    Ok(())
}

/// As [`sibling::fork`].
#[link_section = "mp_fork"]
pub fn fork_sibling(pid: &AtomicU32, prepared: impl FnOnce() -> Result<()>) -> Result<Fork> {
    // SAFETY: the only caller is the fork server, in which the library starts no thread; one that the user's warm-up
    // function has left is not in the child, as with every fork.
    unsafe { sibling::fork(pid, prepared) }
}

/// The value of an environment variable, which is then removed; `None` if there is none, or it is no text.
pub fn take_variable(name: &str) -> Option<String> {
    let value = std::env::var(name).ok()?;
    let name = CString::new(name).ok()?;
    // SAFETY: as with every change of the environment, no other thread may use it at the same time: this is called
    // first in main, in a process that was just started.
    unsafe { libc::unsetenv(name.as_ptr()) };
    Some(value)
}
