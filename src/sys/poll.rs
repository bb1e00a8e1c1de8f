//! Waiting for any of many descriptors of the program's.

use super::clock::{self, Deadline};
use super::os;
use crate::error::{Error, Result};
use std::os::fd::RawFd;

/// What of a descriptor is looked for: bytes to read, or its end. Errors are told always.
const EVENTS: libc::c_short = libc::POLLIN | libc::POLLRDHUP;

/// Descriptors, and what was last found of each.
#[derive(Debug, Default)]
pub struct Poll {
    entries: Vec<libc::pollfd>,
}

impl Poll {
    /// Adds one; they keep their order.
    pub fn push(&mut self, fd: RawFd) {
        self.entries.push(libc::pollfd { fd, events: EVENTS, revents: 0 });
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Forgets all but the first `n`.
    pub fn truncate(&mut self, n: usize) {
        self.entries.truncate(n);
    }

    /// Sleeps until at least one is ready or bad, or the deadline passes. A signal ends no sleep.
    pub fn wait(&mut self, deadline: Deadline) -> Result<()> {
        loop {
            let left = match deadline {
                Deadline::Never => None,
                Deadline::Now => Some(0),
                Deadline::At(at) => Some(at.saturating_sub(clock::now()).max(0)),
            };
            let timeout = left.map(|left| libc::timespec {
                tv_sec: (left / 1_000_000_000) as libc::time_t,
                tv_nsec: (left % 1_000_000_000) as libc::c_long,
            });
            let timeout_ptr = timeout.as_ref().map_or(std::ptr::null(), |t| t as *const libc::timespec);
            let (entries, n) = (self.entries.as_mut_ptr(), self.entries.len() as libc::nfds_t);
            // SAFETY: the entries are live; the timeout is null or live; no mask.
            if unsafe { libc::ppoll(entries, n, timeout_ptr, std::ptr::null()) } >= 0 {
                return Ok(());
            }
            if os::errno() != libc::EINTR {
                return Err(Error::system(format_args!("ppoll of {n} descriptors")));
            }
            // It was interrupted since none was ready, and left the entries as they had been.
            self.entries.iter_mut().for_each(|entry| entry.revents = 0);
            if deadline.passed() {
                return Ok(());
            }
        }
    }

    /// Which were found ready, in their order.
    pub fn ready(&self) -> impl Iterator<Item = bool> + '_ {
        self.entries.iter().map(|entry| entry.revents != 0)
    }

    /// The place of the first of the first `n` that is no open descriptor.
    pub fn bad(&self, n: usize) -> Option<usize> {
        // Negative ones poll passes over in silence.
        self.entries[..n].iter().position(|entry| entry.fd < 0 || entry.revents & libc::POLLNVAL != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::level::Level;

    #[test]
    fn ready_and_bad_ones_are_told_apart() {
        let (mut left, right) = (Level::new().unwrap(), Level::new().unwrap());
        let mut poll = Poll::default();
        [right.fd(), left.fd(), -1, i32::MAX].into_iter().for_each(|fd| poll.push(fd));
        assert_eq!(poll.len(), 4);
        left.set(true);
        poll.wait(Deadline::Never).unwrap();
        assert_eq!(poll.ready().take(2).collect::<Vec<_>>(), [false, true]);
        assert_eq!((poll.bad(2), poll.bad(3), poll.bad(4)), (None, Some(2), Some(2)));
        poll.truncate(2);
        left.set(false);
        poll.wait(Deadline::after(1_000_000)).unwrap();
        assert!(poll.ready().all(|ready| !ready) && !poll.is_empty());
    }
}
