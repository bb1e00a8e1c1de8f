//! A descriptor that is readable or is not, as it is told.
//!
//! It is a pipe whose two ends are one descriptor, with a byte in it or none. Not an eventfd, for those can't be told
//! apart: a host may close every descriptor that it does not know and open others in their places, and an eventfd of
//! its event loop must not be read by us. A pipe has a file number of its own, so each step asks first.

use super::os;
use crate::error::{Error, Result};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};

/// Such a descriptor, close-on-exec.
#[derive(Debug)]
pub struct Level {
    fd: RawFd,
    /// The end that is written to: the same descriptor, or where /proc can't open it anew, another.
    write: RawFd,
    file: (u64, u64),
    raised: bool,
}

impl Level {
    /// One that is not readable.
    pub fn new() -> Result<Level> {
        let mut ends = [0; 2];
        // SAFETY: room for two descriptors.
        if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) } < 0 {
            return Err(Error::system("making a pipe for a descriptor to poll"));
        }
        // SAFETY: both were just made and belong to nobody else.
        let [read, write] = ends.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
        let file = os::file_of(read.as_raw_fd()).ok_or_else(|| Error::system("fstat of a pipe"))?;
        let path = os::SmallText::<40>::new(format_args!("/proc/thread-self/fd/{}", read.as_raw_fd()));
        let whole = os::open(path.as_c_str(), libc::O_RDWR | libc::O_NONBLOCK).ok();
        if let Some(fd) = whole.filter(|fd| os::file_of(fd.as_raw_fd()) == Some(file)) {
            drop((read, write));
            let fd = os::above_stdio(fd)?.into_raw_fd();
            return Ok(Level { fd, write: fd, file, raised: false });
        }
        let (read, write) = (os::above_stdio(read)?, os::above_stdio(write)?);
        Ok(Level { fd: read.into_raw_fd(), write: write.into_raw_fd(), file, raised: false })
    }

    /// Its number.
    pub fn fd(&self) -> RawFd {
        self.fd
    }

    fn is_ours(&self, fd: RawFd) -> bool {
        fd >= 0 && os::file_of(fd) == Some(self.file)
    }

    /// Whether the host has left it open.
    pub fn is_whole(&self) -> bool {
        self.is_ours(self.fd) && (self.write == self.fd || self.is_ours(self.write))
    }

    /// Makes it readable, or not readable any more. False if it was so, or the host has closed it.
    pub fn set(&mut self, readable: bool) -> bool {
        if readable == self.raised || !self.is_whole() {
            return false;
        }
        if readable {
            // SAFETY: one readable byte.
            unsafe { libc::write(self.write, [1u8].as_ptr().cast(), 1) };
        } else {
            let _ = os::read(self.fd, &mut [0; 16]);
        }
        self.raised = readable;
        true
    }

    /// Closes this process's copy and leaves the pipe as it is: it is its parent's.
    pub fn disown(&mut self) {
        for fd in [self.fd, self.write] {
            if self.is_ours(fd) {
                // SAFETY: the descriptor is the one that was made here, or its copy by fork.
                unsafe { libc::close(fd) };
            }
        }
        (self.fd, self.write) = (-1, -1);
    }
}

impl Drop for Level {
    fn drop(&mut self) {
        // An epoll may go on telling of it, if somebody has a copy: of something that is not readable.
        self.set(false);
        self.disown();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::clock::Deadline;

    fn is_readable(level: &Level) -> bool {
        os::poll(level.fd(), libc::POLLIN, Deadline::Now) == libc::POLLIN
    }

    #[test]
    fn it_is_readable_as_told() {
        let mut level = Level::new().unwrap();
        assert!(!is_readable(&level));
        for readable in [true, true, false, false, true] {
            level.set(readable);
            assert_eq!(is_readable(&level), readable);
        }
        assert!(level.is_whole() && level.fd() > libc::STDERR_FILENO && level.write == level.fd);
        // SAFETY: asks for the flags of a live descriptor.
        assert_eq!(unsafe { libc::fcntl(level.fd(), libc::F_GETFD) }, libc::FD_CLOEXEC);
    }

    #[test]
    fn what_the_host_puts_in_its_place_is_left_alone() {
        let (mut level, other) = (Level::new().unwrap(), Level::new().unwrap());
        // SAFETY: both are live; the level's own file goes.
        assert_eq!(unsafe { libc::dup2(other.fd(), level.fd()) }, level.fd());
        let place = level.fd();
        assert!(!level.is_whole());
        level.set(true);
        assert!(!is_readable(&other));
        drop(level);
        // SAFETY: the copy that dup2 made is still open, and this test's.
        assert_eq!(unsafe { libc::close(place) }, 0);
        assert!(other.is_whole());
    }
}
