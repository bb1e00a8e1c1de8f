//! Processes that are not this one's children, and yet are to be ended: which there are, by /proc, and signals that reach
//! the one that was meant or nobody.

use super::os;
use super::procfs::{self, Stat};
use crate::error::{Error, Result, Status};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// A process, by its number and when it started: so a later one of the same number is told from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Its number.
    pub pid: i32,
    /// When it started, in clock ticks after boot.
    pub start_time: u64,
}

/// Whether a process can still make others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// All its threads are stopped, or have ended.
    Still,
    /// Some wait in the kernel for something that no signal interrupts.
    Waiting,
    /// Some run.
    Moving,
}

/// All processes that /proc shows.
pub fn processes() -> Result<Vec<(Identity, Stat)>> {
    let hidden = || Error::system("reading /proc, without which nobody can tell who descends from a process");
    if procfs::stat(std::process::id() as i32).is_none() {
        return Err(hidden());
    }
    let folders = std::fs::read_dir("/proc").map_err(|_| hidden())?;
    let all = numbers(folders).filter_map(|pid| {
        let stat = procfs::stat(pid)?;
        Some((Identity { pid, start_time: stat.start_time }, stat))
    });
    Ok(all.collect())
}

/// The entries of a folder that are numbers.
fn numbers(folder: std::fs::ReadDir) -> impl Iterator<Item = i32> {
    folder.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The process that has this number now.
pub fn identity(pid: i32) -> Option<Identity> {
    procfs::start_time(pid).map(|start_time| Identity { pid, start_time })
}

impl Identity {
    /// What /proc says of the process, if it is still there, be it as a zombie.
    pub fn stat(self) -> Option<Stat> {
        procfs::stat(self.pid).filter(|stat| stat.start_time == self.start_time)
    }

    /// Whether it has ended. What can't be read proves nothing.
    pub fn has_ended(self) -> bool {
        match procfs::stat(self.pid) {
            Some(stat) => stat.start_time != self.start_time || stat.ended(),
            None => procfs::is_gone(self.pid),
        }
    }

    /// Sends a signal to this process, not to another that has got its number. False if it has gone.
    pub fn send(self, signal: i32) -> Result<bool> {
        // First a descriptor, then the look whose it is: if it were another's, the one that was meant would have ended
        // before, and the look would not find it.
        let fd = pidfd(self.pid);
        match procfs::stat(self.pid) {
            Some(stat) if stat.start_time == self.start_time => {}
            None if !procfs::is_gone(self.pid) => {
                return Err(Error::system(format_args!("reading what /proc says of process {}", self.pid)));
            }
            _ => return Ok(false),
        }
        let sent = match &fd {
            Ok(fd) => send_by_fd(fd.as_raw_fd(), signal),
            Err(libc::ESRCH) => return Ok(false),
            // SAFETY: two numbers; the process was there an instant ago.
            Err(_) => unsafe { libc::kill(self.pid, signal) },
        };
        match sent {
            0 => Ok(true),
            _ if os::errno() == libc::ESRCH => Ok(false),
            _ if os::errno() == libc::EPERM => {
                let text =
                    format!("process {} is another user's, and can't be sent signal {signal}", self.pid);
                Err(Error::new(Status::Access, text))
            }
            _ => Err(Error::system(format_args!("sending signal {signal} to process {}", self.pid))),
        }
    }

    /// Whether it can still make others.
    pub fn standing(self) -> Standing {
        if self.has_ended() {
            return Standing::Still;
        }
        let Ok(threads) = std::fs::read_dir(format!("/proc/{}/task", self.pid)) else {
            return Standing::Moving;
        };
        let mut all = Standing::Still;
        for thread in numbers(threads) {
            match procfs::thread_stat(self.pid, thread).map(|stat| stat.state) {
                None | Some(b'T' | b't' | b'Z' | b'X' | b'x') => {}
                Some(b'D') => all = Standing::Waiting,
                Some(_) => return Standing::Moving,
            }
        }
        all
    }
}

/// A descriptor of the process that has this number now; else the errno.
fn pidfd(pid: i32) -> std::result::Result<OwnedFd, i32> {
    // SAFETY: two numbers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    match RawFd::try_from(fd) {
        // SAFETY: the descriptor was just made and belongs to nobody else.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(os::errno()),
    }
}

fn send_by_fd(fd: RawFd, signal: i32) -> i32 {
    let info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: without a siginfo the call takes numbers only.
    unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, signal, info, 0) as i32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A child that sleeps.
    fn child() -> i32 {
        // SAFETY: pause and alarm are async-signal-safe; the alarm ends a forgotten child.
        unsafe {
            let pid = libc::fork();
            if pid == 0 {
                libc::alarm(60);
                libc::pause();
                libc::_exit(0);
            }
            pid
        }
    }

    fn reap(pid: i32) -> i32 {
        let mut status = 0;
        // SAFETY: a child of the test, and a live integer.
        unsafe { libc::waitpid(pid, &mut status, 0) };
        status
    }

    #[test]
    fn only_the_one_that_is_meant_gets_the_signal() {
        let pid = child();
        let process = identity(pid).unwrap();
        let another = Identity { start_time: process.start_time + 1, ..process };
        assert!(!another.send(libc::SIGKILL).unwrap());
        assert!(another.has_ended() && !process.has_ended());
        assert!(process.send(libc::SIGSTOP).unwrap());
        while process.standing() != Standing::Still {
            std::thread::yield_now();
        }
        assert!(process.send(libc::SIGKILL).unwrap());
        while !process.has_ended() {
            std::thread::yield_now();
        }
        assert_eq!(libc::WTERMSIG(reap(pid)), libc::SIGKILL);
        assert!(!process.send(libc::SIGKILL).unwrap());
        assert_eq!(process.standing(), Standing::Still);
    }

    #[test]
    fn all_processes_are_seen_with_their_parents() {
        let pid = child();
        let all = processes().unwrap();
        let (found, stat) = all.iter().find(|(process, _)| process.pid == pid).unwrap();
        assert_eq!(stat.parent, std::process::id() as i32);
        assert_ne!(found.standing(), Standing::Still);
        assert!(all.iter().any(|(process, _)| process.pid == stat.parent));
        found.send(libc::SIGKILL).unwrap();
        reap(pid);
    }
}
