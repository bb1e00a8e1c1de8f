//! Waiting for many descriptors at once, by a thread that others can wake.
//!
//! poll rather than epoll: a host may close every descriptor that it does not know and open others in their
//! places. An epoll of the host's in the place of ours would lose its events to us; poll takes nothing from anybody.

use super::clock::{self, Deadline};
use super::os;
use crate::error::{Error, Result};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};

/// So long a wait is that can't be one for descriptors, in nanoseconds.
const NAP: i64 = 10_000_000;

/// A pipe by which a waiting thread is woken.
#[derive(Debug)]
pub struct Watcher {
    ends: [RawFd; 2],
    file: (u64, u64),
}

impl Watcher {
    /// One that is not woken yet.
    pub fn new() -> Result<Watcher> {
        let mut ends = [0; 2];
        // SAFETY: room for two descriptors.
        if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) } < 0 {
            return Err(Error::system("pipe2"));
        }
        // SAFETY: both were just made and belong to nobody else.
        let [read, write] = ends.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
        let (read, write) = (os::above_stdio(read)?, os::above_stdio(write)?);
        let file = os::file_of(read.as_raw_fd()).ok_or_else(|| Error::system("fstat of a pipe"))?;
        Ok(Watcher { ends: [read.into_raw_fd(), write.into_raw_fd()], file })
    }

    /// Whether the host has left both ends open.
    pub fn is_whole(&self) -> bool {
        self.ends.iter().all(|&fd| self.is_ours(fd))
    }

    fn is_ours(&self, fd: RawFd) -> bool {
        os::file_of(fd) == Some(self.file)
    }

    /// Ends the wait that is under way, or the next one.
    pub fn wake(&self) {
        if self.is_ours(self.ends[1]) {
            // SAFETY: one readable byte. A full pipe is a wake-up too.
            unsafe { libc::write(self.ends[1], [1u8].as_ptr().cast(), 1) };
        }
    }

    /// Waits until one of `fds` is readable (or closed), somebody wakes this, or the deadline passes. Answers the
    /// places of the former.
    pub fn wait(&self, fds: &[RawFd], deadline: Deadline) -> Vec<usize> {
        let entry = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        let wake = if self.is_ours(self.ends[0]) { self.ends[0] } else { -1 };
        // More entries than descriptors are allowed would be an error, and those that name none count.
        let (places, named): (Vec<usize>, Vec<RawFd>) =
            fds.iter().copied().enumerate().filter(|(_, fd)| *fd >= 0).unzip();
        let mut entries: Vec<libc::pollfd> = named.into_iter().chain([wake]).map(entry).collect();
        let timeout = match deadline {
            Deadline::Never => -1,
            Deadline::Now => 0,
            Deadline::At(at) => (at.saturating_sub(clock::now()).max(0) / 1_000_000 + 1).min(1 << 30) as i32,
        };
        // SAFETY: the entries are live. An interruption is a wake-up like another.
        let ready = unsafe { libc::poll(entries.as_mut_ptr(), entries.len() as libc::nfds_t, timeout) };
        if ready < 0 && os::errno() != libc::EINTR {
            // The host allows fewer descriptors by now than it has: each is to be looked at, now and then.
            os::poll(-1, 0, deadline.capped(NAP));
            return places;
        }
        if ready <= 0 {
            return Vec::new();
        }
        if entries.pop().is_some_and(|wake| wake.revents != 0) && self.is_ours(wake) {
            let _ = os::read(wake, &mut [0; 64]);
        }
        places
            .into_iter()
            .zip(entries)
            .filter(|(_, entry)| entry.revents != 0)
            .map(|(place, _)| place)
            .collect()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        for fd in self.ends.into_iter().filter(|&fd| self.is_ours(fd)) {
            // SAFETY: the descriptor is the one that was made here.
            unsafe { libc::close(fd) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ready_is_told() {
        let watcher = Watcher::new().unwrap();
        let other = Watcher::new().unwrap();
        assert!(watcher.wait(&[other.ends[0]], Deadline::Now).is_empty());
        other.wake();
        assert_eq!(watcher.wait(&[-1, other.ends[0]], Deadline::Never), [1]);
        assert!(watcher.wait(&[], Deadline::Now).is_empty());
    }

    #[test]
    fn a_wake_up_is_kept_until_the_next_wait() {
        let watcher = Watcher::new().unwrap();
        watcher.wake();
        watcher.wake();
        assert!(watcher.wait(&[], Deadline::Never).is_empty());
        assert!(watcher.wait(&[], Deadline::Now).is_empty());
    }

    #[test]
    fn a_pipe_that_the_host_closed_is_left_alone() {
        let watcher = Watcher::new().unwrap();
        let null = os::open(c"/dev/null", libc::O_RDONLY).unwrap();
        for end in watcher.ends {
            // SAFETY: what a host does that closes everything and opens something else.
            unsafe { libc::dup3(null.as_raw_fd(), end, libc::O_CLOEXEC) };
        }
        assert!(!watcher.is_whole());
        watcher.wake();
        let ends = watcher.ends;
        drop(watcher);
        for end in ends {
            assert!(os::file_of(end).is_some());
            // SAFETY: the test's own descriptor.
            unsafe { libc::close(end) };
        }
    }
}
