//! How a child watches its parent's pipe (see `life.rs`): the pipe opened anew, by a descriptor that signals.
//!
//! That descriptor stays open over exec. What it signals belongs to the open file and to the process, not to the
//! program: so the program that takes a child's place dies with the parent too.

use super::clock::Deadline;
use super::descriptors;
use super::os::{self, SmallText};
use super::signal;
use crate::error::{Error, Result};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// Where a descriptor's file can be opened anew. Signals belong to the open file, which all children share: so each
/// opens the pipe again for itself.
type Path = SmallText<32>;

fn path(fd: RawFd) -> Path {
    Path::new(format_args!("/proc/self/fd/{fd}"))
}

/// The descriptor, or -1. Async-signal-safe.
fn open_anew(path: &Path) -> RawFd {
    let flags = libc::O_RDONLY | libc::O_NONBLOCK;
    // SAFETY: the path ends in NUL. By number, for libc's function is a point of cancellation.
    unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path.as_c_str().as_ptr(), flags) as RawFd }
}

/// The read end as it is passed to a program: what a child needs before exec to watch it.
#[derive(Debug)]
pub(super) struct Passed {
    fd: RawFd,
    path: Path,
}

impl Passed {
    /// To be made before the child.
    pub(super) fn new(fd: RawFd) -> Passed {
        Passed { fd, path: path(fd) }
    }

    /// In the child before exec, with no other thread in its way: from now on it dies with its parent, though it hang
    /// or be stopped before its program gets to [`watch`]. If it can't be done, it is left to that. Async-signal-safe.
    pub(super) fn watch(&self) {
        let own = open_anew(&self.path);
        if own < 0 {
            return;
        }
        // SAFETY: both are open.
        let watching = asked_for_sigkill(own) && unsafe { libc::dup2(own, self.fd) } == self.fd;
        if watching && os::poll(self.fd, 0, Deadline::Now) != 0 {
            signal::kill_self();
        }
        descriptors::close(own);
    }
}

/// Whether [`Passed::watch`] has done it for this process.
pub(super) fn is_watched_by(fd: RawFd) -> bool {
    // SAFETY: numbers only.
    unsafe { libc::fcntl(fd, libc::F_GETOWN) == libc::getpid() }
}

/// From now on this process dies with its parent, whose pipe was passed; at once if that has ended already. The
/// descriptor that it does by has whatever number is free: the passed one may be above the limit by now.
pub(super) fn watch(passed: OwnedFd) -> Result<OwnedFd> {
    let own = open_anew(&path(passed.as_raw_fd()));
    if own < 0 {
        return Err(Error::system("opening the parent's pipe"));
    }
    // SAFETY: it was just opened and belongs to nobody else.
    let mut own = unsafe { OwnedFd::from_raw_fd(own) };
    if own.as_raw_fd() <= libc::STDERR_FILENO {
        own = os::above_stdio(own)?;
        keep_over_exec(own.as_raw_fd())?;
    }
    drop(passed);
    if !asked_for_sigkill(own.as_raw_fd()) {
        return Err(Error::system("asking for SIGKILL when the parent ends"));
    }
    if os::poll(own.as_raw_fd(), 0, Deadline::Now) != 0 {
        signal::kill_self();
    }
    Ok(own)
}

/// For a descriptor that was moved.
pub(super) fn keep_over_exec(fd: RawFd) -> Result<()> {
    // SAFETY: numbers only.
    if unsafe { libc::fcntl(fd, libc::F_SETFD, 0) } < 0 {
        return Err(Error::system("descriptor of the parent's pipe"));
    }
    Ok(())
}

/// Async-signal-safe.
fn asked_for_sigkill(fd: RawFd) -> bool {
    // SAFETY: `fd` is open; the three set its owner, its signal and then that it signals.
    unsafe {
        libc::fcntl(fd, libc::F_SETOWN, libc::getpid()) >= 0
            && libc::fcntl(fd, F_SETSIG, libc::SIGKILL) >= 0
            && libc::fcntl(fd, libc::F_SETFL, libc::O_ASYNC | libc::O_NONBLOCK) >= 0
    }
}

/// The same number on every architecture; libc has no name for it on glibc.
const F_SETSIG: libc::c_int = 10;
