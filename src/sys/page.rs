//! A page of words that two processes share, for as long as either has it mapped. Their children do not have it.

use super::os;
use crate::error::{Error, Result};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::AtomicU32;

const BYTES: usize = 4096;

/// The page.
#[derive(Debug)]
pub struct SharedPage {
    start: std::ptr::NonNull<AtomicU32>,
}

// SAFETY: the page is reached through atomics only.
unsafe impl Send for SharedPage {}
// SAFETY: as above.
unsafe impl Sync for SharedPage {}

impl SharedPage {
    /// A page of zeroes, and the descriptor by which another process maps it.
    pub fn new() -> Result<(SharedPage, OwnedFd)> {
        // SAFETY: the name is a C string.
        let fd = unsafe { libc::memfd_create(c"libmp-server".as_ptr(), libc::MFD_CLOEXEC) };
        if fd < 0 {
            return Err(Error::system("memfd_create"));
        }
        // SAFETY: it was just made and belongs to nobody else.
        let fd = os::above_stdio(unsafe { OwnedFd::from_raw_fd(fd) })?;
        // SAFETY: a descriptor and numbers. The page is there before it is used: no SIGBUS later.
        match unsafe { libc::posix_fallocate(fd.as_raw_fd(), 0, BYTES as libc::off_t) } {
            0 => Ok((SharedPage::map(&fd)?, fd)),
            errno => Err(Error::from_errno("posix_fallocate", errno)),
        }
    }

    /// Maps the page behind a descriptor.
    pub fn map(fd: &OwnedFd) -> Result<SharedPage> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at an address that the kernel chooses.
        let start = unsafe {
            libc::mmap(std::ptr::null_mut(), BYTES, protection, libc::MAP_SHARED, fd.as_raw_fd(), 0)
        };
        if start == libc::MAP_FAILED {
            return Err(Error::system("mmap"));
        }
        // SAFETY: the mapping was just made.
        unsafe { libc::madvise(start, BYTES, libc::MADV_DONTFORK) };
        let start = std::ptr::NonNull::new(start.cast()).ok_or_else(|| Error::internal("a page at zero"))?;
        Ok(SharedPage { start })
    }

    /// One of its 1024 words. Not in a forked child.
    pub fn word(&self, index: usize) -> &AtomicU32 {
        assert!(index < BYTES / size_of::<AtomicU32>());
        // SAFETY: the index lies in the page, which is mapped as long as `self` lives.
        unsafe { self.start.add(index).as_ref() }
    }

    /// In a forked child, where the page is not: there is nothing to unmap.
    pub fn forget(self) {
        std::mem::forget(self);
    }
}

impl Drop for SharedPage {
    fn drop(&mut self) {
        // SAFETY: the mapping belongs to this value.
        unsafe { libc::munmap(self.start.as_ptr().cast(), BYTES) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering;

    #[test]
    fn both_see_one_page() {
        let (one, fd) = SharedPage::new().unwrap();
        let other = SharedPage::map(&fd).unwrap();
        drop(fd);
        one.word(3).store(7, Ordering::Relaxed);
        assert_eq!((other.word(3).load(Ordering::Relaxed), other.word(1023).load(Ordering::Relaxed)), (7, 0));
    }
}
