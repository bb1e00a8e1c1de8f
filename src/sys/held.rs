//! A descriptor that the host may have closed, and its number given to another file.

use super::os;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};

/// It is closed by [`Held::close`] alone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) fd: RawFd,
    pub(super) file: (u64, u64),
}

impl Held {
    /// `None` if the kernel says nothing of the descriptor.
    pub(super) fn new(fd: OwnedFd) -> Option<Held> {
        let file = os::file_of(fd.as_raw_fd())?;
        Some(Held { fd: fd.into_raw_fd(), file })
    }

    pub(super) fn is_ours(&self) -> bool {
        os::file_of(self.fd) == Some(self.file)
    }

    /// Closes it, unless the host has.
    #[link_section = "mp_fork"]
    pub(super) fn close(self) {
        if self.is_ours() {
            // SAFETY: the descriptor is the one that this value was made of.
            unsafe { libc::close(self.fd) };
        }
    }
}
