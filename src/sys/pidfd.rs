//! A process by descriptor: it names the same process even when its number is given to another.

use super::clock::Deadline;
use super::os;
use super::procfs;
use crate::error::{Error, Result};
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// How a child stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It has not ended.
    Running,
    /// It ended by itself, with this code.
    Exited(i32),
    /// It was killed by this signal.
    Signaled(i32),
    /// The kernel has no end of it to tell: it was reaped, the host ignores SIGCHLD, or it is not a child.
    Stolen,
}

/// What a process and the children that it has waited for have used of the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processor time in its own code, in nanoseconds.
    pub user: i64,
    /// The same in the kernel.
    pub system: i64,
    /// The most memory that it, or one of those children, had at once, in bytes.
    pub max_resident: u64,
    /// Pages that came without reading a disk.
    pub minor_faults: u64,
    /// Pages that were read.
    pub major_faults: u64,
    /// How often it waited.
    pub voluntary_switches: u64,
    /// How often another came first.
    pub involuntary_switches: u64,
}

impl Usage {
    /// What this thread has used; the memory is the whole process's.
    pub fn of_this_thread() -> Usage {
        // SAFETY: all zeroes is a valid rusage, which the call fills.
        unsafe {
            let mut raw: libc::rusage = std::mem::zeroed();
            libc::getrusage(libc::RUSAGE_THREAD, &mut raw);
            Usage::of(&raw)
        }
    }

    fn of(raw: &libc::rusage) -> Usage {
        let time = |t: libc::timeval| nanoseconds(t.tv_sec, t.tv_usec);
        let number = |n: libc::c_long| n.max(0) as u64;
        Usage {
            user: time(raw.ru_utime),
            system: time(raw.ru_stime),
            max_resident: number(raw.ru_maxrss) * 1024,
            minor_faults: number(raw.ru_minflt),
            major_faults: number(raw.ru_majflt),
            voluntary_switches: number(raw.ru_nvcsw),
            involuntary_switches: number(raw.ru_nivcsw),
        }
    }
}

/// Whatever type the two have on this machine.
fn nanoseconds(seconds: impl Into<i64>, microseconds: impl Into<i64>) -> i64 {
    seconds.into() * 1_000_000_000 + microseconds.into() * 1000
}

/// A child by its pidfd, close-on-exec. Where there is none (no descriptor is free, the host has closed it, under
/// valgrind) the number does as well: it stays the child's until somebody reaps it, and a wait looks now and then.
#[derive(Debug)]
pub struct PidFd {
    fd: RawFd,
    /// What tells the descriptor from others that the host may have put in its place.
    file: (u64, u64),
    pid: i32,
    reaped: AtomicBool,
}

const NONE: RawFd = -1;
const FIRST_NAP: i64 = 100_000;
const LONGEST_NAP: i64 = 10_000_000;

impl PidFd {
    /// Opens the process. If it is not a child of this process that waits to be reaped, [`PidFd::peek`] answers
    /// `Stolen`.
    pub fn open(pid: i32) -> Result<PidFd> {
        if pid <= 0 {
            return Err(Error::internal(format!("{pid} is no process")));
        }
        // SAFETY: two numbers; pidfds are always close-on-exec.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        let fd = RawFd::try_from(fd).ok().filter(|fd| *fd >= 0);
        // SAFETY: the descriptor was just made and belongs to nobody else.
        let fd = fd.and_then(|fd| os::above_stdio(unsafe { OwnedFd::from_raw_fd(fd) }).ok());
        let fd = fd.map_or(NONE, IntoRawFd::into_raw_fd);
        let file = os::file_of(fd).unwrap_or_default();
        Ok(PidFd { fd, file, pid, reaped: AtomicBool::new(false) })
    }

    /// The number of the process.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// The descriptor, if there is one; readable when the process has ended.
    pub fn raw(&self) -> Option<RawFd> {
        self.is_ours().then_some(self.fd)
    }

    /// Whether the descriptor is still that of this process: a host may close it and open others, its own pidfds too.
    fn is_ours(&self) -> bool {
        self.fd != NONE
            && os::file_of(self.fd) == Some(self.file)
            && (has_own_files(self.fd)
                || procfs::pid_of_descriptor(self.fd).is_none_or(|pid| pid == self.pid))
    }

    /// How the child stands; an ended one stays a zombie.
    pub fn peek(&self) -> Exit {
        self.status(libc::WNOWAIT).0
    }

    /// How the child stands; an ended one is reaped, and this is the only call that hears of its end, and what the child
    /// has used.
    pub fn reap(&self) -> (Exit, Option<Usage>) {
        let (exit, usage) = self.status(0);
        if exit != Exit::Running {
            self.reaped.store(true, Ordering::Release);
        }
        (exit, usage)
    }

    fn status(&self, flags: libc::c_int) -> (Exit, Option<Usage>) {
        if self.reaped.load(Ordering::Acquire) {
            return (Exit::Stolen, None);
        }
        let by_fd = match self.is_ours() {
            false => Err(libc::EBADF),
            true => status(libc::P_PIDFD, self.fd, flags),
        };
        by_fd
            .or_else(|errno| match errno {
                libc::ECHILD => Err(errno),
                _ => status(libc::P_PID, self.pid, flags),
            })
            .unwrap_or((Exit::Stolen, None))
    }

    /// Sends a signal; false if the process has already been reaped.
    pub fn send_signal(&self, signal: i32) -> Result<bool> {
        let mut errno = self.signal_by_fd(signal);
        if errno == libc::EBADF {
            errno = match self.peek() {
                Exit::Stolen => libc::ESRCH,
                // SAFETY: the number is the child's, for it was not reaped.
                _ => match unsafe { libc::kill(self.pid, signal) } {
                    0 => 0,
                    _ => os::errno(),
                },
            };
        }
        match errno {
            0 => Ok(true),
            libc::ESRCH => Ok(false),
            errno => {
                let what = format!("sending signal {signal} to process {}", self.pid);
                Err(Error::from_errno(what, errno))
            }
        }
    }

    /// 0 or the errno; EBADF if there is no pidfd.
    fn signal_by_fd(&self, signal: i32) -> i32 {
        if !self.is_ours() {
            return libc::EBADF;
        }
        let info = std::ptr::null::<libc::siginfo_t>();
        // SAFETY: without a siginfo the call takes numbers only.
        match unsafe { libc::syscall(libc::SYS_pidfd_send_signal, self.fd, signal, info, 0) } {
            0 => 0,
            _ => os::errno(),
        }
    }

    /// Waits until the process has ended; false when the deadline passes first.
    pub fn wait(&self, deadline: Deadline) -> bool {
        let mut nap = FIRST_NAP;
        loop {
            if let Some(fd) = self.raw() {
                match os::poll(fd, libc::POLLIN, deadline) {
                    0 => return false,
                    _ if self.raw().is_some() => return true,
                    _ => continue,
                }
            }
            if self.peek() != Exit::Running {
                return true;
            }
            if deadline.passed() {
                return false;
            }
            os::poll(NONE, 0, deadline.capped(nap));
            nap = (nap * 2).min(LONGEST_NAP);
        }
    }
}

/// Whether each process's pidfds are a file of their own, as they are since Linux 6.9: else all look alike.
fn has_own_files(fd: RawFd) -> bool {
    const UNKNOWN: u32 = 2;
    static KNOWN: AtomicU32 = AtomicU32::new(UNKNOWN);
    match KNOWN.load(Ordering::Relaxed) {
        UNKNOWN => {
            let own = os::file_system_of(fd) == Some(PIDFS);
            KNOWN.store(u32::from(own), Ordering::Relaxed);
            own
        }
        known => known != 0,
    }
}

/// The magic number of the file system of pidfds.
const PIDFS: u64 = 0x5049_4446;

type Status = (Exit, Option<Usage>);

fn status(kind: libc::idtype_t, id: i32, flags: libc::c_int) -> std::result::Result<Status, i32> {
    // SAFETY: all zeroes is a valid siginfo, and a valid rusage.
    let (mut info, mut usage): (libc::siginfo_t, libc::rusage) = unsafe { std::mem::zeroed() };
    let flags = flags | libc::WEXITED | libc::WNOHANG;
    // The system call itself, which has one parameter more than libc's function.
    // SAFETY: `info` and `usage` are live; a descriptor that is no pidfd only gives an error.
    let mut wait = || unsafe {
        libc::syscall(libc::SYS_waitid, kind, id, &raw mut info, flags, &raw mut usage) as libc::c_int
    };
    if os::retry(&mut wait) < 0 {
        return Err(os::errno());
    }
    // SAFETY: waitid filled the fields of SIGCHLD, or left the zeroes.
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    Ok(match info.si_code {
        _ if pid == 0 => (Exit::Running, None),
        libc::CLD_EXITED => (Exit::Exited(status), Some(Usage::of(&usage))),
        _ => (Exit::Signaled(status), Some(Usage::of(&usage))),
    })
}

impl Drop for PidFd {
    fn drop(&mut self) {
        // What the host has put in the place of a descriptor that it closed is not ours to close.
        if self.raw().is_some() {
            // SAFETY: the descriptor is a pidfd, and this value is its owner.
            unsafe { libc::close(self.fd) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    const WATCHDOG: i64 = 30_000_000_000;

    fn child(action: fn()) -> PidFd {
        // SAFETY: the actions are async-signal-safe.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            action();
            // SAFETY: _exit is async-signal-safe.
            unsafe { libc::_exit(7) };
        }
        PidFd::open(pid).unwrap()
    }

    fn sleep() {
        // SAFETY: pause is async-signal-safe; the watchdog's alarm ends a forgotten child.
        unsafe {
            libc::alarm(60);
            libc::pause();
        }
    }

    #[test]
    fn the_exit_code_is_told_once() {
        let child = child(|| {});
        assert!(child.wait(Deadline::after(WATCHDOG)));
        assert_eq!(child.peek(), Exit::Exited(7));
        assert_eq!(child.peek(), Exit::Exited(7));
        let (exit, usage) = child.reap();
        assert_eq!(exit, Exit::Exited(7));
        assert!(usage.unwrap().max_resident > 0);
        assert_eq!(child.reap(), (Exit::Stolen, None));
        assert!(!child.send_signal(libc::SIGKILL).unwrap());
    }

    #[test]
    fn a_running_child_is_killed() {
        let child = child(sleep);
        assert_eq!(child.reap(), (Exit::Running, None));
        assert!(!child.wait(Deadline::Now));
        assert!(child.send_signal(libc::SIGKILL).unwrap());
        assert!(child.wait(Deadline::after(WATCHDOG)));
        assert_eq!(child.reap().0, Exit::Signaled(libc::SIGKILL));
    }

    #[test]
    fn strangers_are_told_from_children() {
        let parent = PidFd::open(std::os::unix::process::parent_id() as i32).unwrap();
        assert_eq!(parent.peek(), Exit::Stolen);
        assert!(PidFd::open(-1).is_err());
    }

    /// Puts another file in the place of a running child's pidfd, as a host may: the file is left alone, and the number
    /// does as well.
    fn the_number_does(lost: PidFd, file: RawFd) {
        let place = lost.raw().unwrap();
        // SAFETY: the place is the child's, the file the test's.
        unsafe { libc::dup3(file, place, libc::O_CLOEXEC) };
        assert_eq!(lost.raw(), None);
        assert_eq!((lost.peek(), lost.reap().0), (Exit::Running, Exit::Running));
        assert!(!lost.wait(Deadline::Now));
        assert!(lost.send_signal(libc::SIGKILL).unwrap());
        assert!(lost.wait(Deadline::after(WATCHDOG)));
        assert_eq!(lost.reap().0, Exit::Signaled(libc::SIGKILL));
        assert_eq!(lost.reap().0, Exit::Stolen);
        assert!(!lost.send_signal(libc::SIGKILL).unwrap());
        drop(lost);
        assert!(os::file_of(place).is_some());
        // SAFETY: the place is the test's own descriptor.
        unsafe { libc::close(place) };
    }

    #[test]
    fn another_process_in_the_place_of_a_descriptor_is_left_alone() {
        let other = child(|| {});
        assert!(other.wait(Deadline::after(WATCHDOG)));
        the_number_does(child(sleep), other.raw().unwrap());
        assert_eq!(other.reap().0, Exit::Exited(7));
    }

    #[test]
    fn a_lost_descriptor_is_left_alone_and_the_number_does() {
        let null = os::open(c"/dev/null", libc::O_RDONLY).unwrap();
        the_number_does(child(sleep), null.as_raw_fd());
    }
}
