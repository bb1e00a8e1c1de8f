//! Small things that every module of this floor needs: errno, retrying, and files read without the heap.

use super::clock::{self, Deadline};
use crate::error::{Error, Result};
use std::ffi::CStr;
use std::fmt::{self, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// This thread's errno.
pub fn errno() -> i32 {
    // SAFETY: __errno_location answers this thread's errno, which lives as long as the thread.
    unsafe { *libc::__errno_location() }
}

/// Runs `f` and puts errno back as it was.
pub fn keep_errno<R>(f: impl FnOnce() -> R) -> R {
    let saved = errno();
    let result = f();
    // SAFETY: as in `errno`.
    unsafe { *libc::__errno_location() = saved };
    result
}

/// Calls `f` again as long as it fails with EINTR. Negative is failure.
pub fn retry(mut f: impl FnMut() -> libc::c_int) -> libc::c_int {
    loop {
        let result = f();
        if result >= 0 || errno() != libc::EINTR {
            return result;
        }
    }
}

/// A NUL-terminated text of at most `N - 1` bytes that lives on the stack.
#[derive(Debug)]
pub struct SmallText<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> SmallText<N> {
    /// Formats into it; what does not fit is cut off.
    pub fn new(text: fmt::Arguments<'_>) -> SmallText<N> {
        let mut small = SmallText { bytes: [0; N], len: 0 };
        let _ = small.write_fmt(text);
        small
    }

    /// It as a C string.
    pub fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or_default()
    }
}

impl<const N: usize> Write for SmallText<N> {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        let room = N - 1 - self.len;
        let n = s.len().min(room);
        self.bytes[self.len..self.len + n].copy_from_slice(&s.as_bytes()[..n]);
        self.len += n;
        if n == s.len() {
            Ok(())
        } else {
            Err(fmt::Error)
        }
    }
}

/// Opens a file for reading, close-on-exec; the errno if that fails.
pub fn open(path: &CStr, flags: libc::c_int) -> std::result::Result<OwnedFd, i32> {
    // SAFETY: `path` ends in NUL and lives through the call.
    let fd = retry(|| unsafe { libc::open(path.as_ptr(), flags | libc::O_CLOEXEC) });
    if fd < 0 {
        return Err(errno());
    }
    // SAFETY: `fd` was just opened and belongs to nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Reads once from `fd`: the number of bytes, 0 at the end; the errno if that fails.
pub fn read(fd: RawFd, buffer: &mut [u8]) -> std::result::Result<usize, i32> {
    loop {
        // SAFETY: the buffer is writable for its length.
        let n = unsafe { libc::read(fd, buffer.as_mut_ptr().cast(), buffer.len()) };
        if n >= 0 {
            return Ok(n as usize);
        }
        if errno() != libc::EINTR {
            return Err(errno());
        }
    }
}

/// Reads a small file, as much of it as fits into `buffer`; the errno if that fails.
pub fn read_file<'a>(path: &CStr, buffer: &'a mut [u8]) -> std::result::Result<&'a [u8], i32> {
    let fd = open(path, libc::O_RDONLY)?;
    let mut filled = 0;
    while filled < buffer.len() {
        match read(fd.as_raw_fd(), &mut buffer[filled..])? {
            0 => break,
            n => filled += n,
        }
    }
    Ok(&buffer[..filled])
}

/// Waits until `fd` has one of `events`, a hang-up or an error, and answers which; 0 when the deadline passes
/// first, POLLNVAL if it is closed.
pub fn poll(fd: RawFd, events: libc::c_short, deadline: Deadline) -> libc::c_short {
    loop {
        let left = match deadline {
            Deadline::Never => None,
            Deadline::Now => Some(0),
            Deadline::At(at) => Some(at.saturating_sub(clock::now()).max(0)),
        };
        let mut timeout = left.map(|left| libc::timespec {
            tv_sec: (left / 1_000_000_000) as libc::time_t,
            tv_nsec: (left % 1_000_000_000) as libc::c_long,
        });
        let timeout_ptr = timeout.as_mut().map_or(std::ptr::null_mut(), std::ptr::from_mut);
        let mut entry = libc::pollfd { fd, events, revents: 0 };
        // SAFETY: one live entry; the timeout is null or live; no mask. Not libc's, which may end a cancelled thread, and
        // that would unwind through this library.
        match unsafe { libc::syscall(libc::SYS_ppoll, &raw mut entry, 1, timeout_ptr, 0, 0) } {
            n if n > 0 => return entry.revents,
            0 => return 0,
            _ if errno() == libc::EINTR => {}
            _ => return libc::POLLERR,
        }
    }
}

/// The decimal number at the start of `bytes`, after blanks.
pub fn number(bytes: &[u8]) -> Option<u64> {
    let start = bytes.iter().position(|b| !matches!(b, b' ' | b'\t'))?;
    let digits = &bytes[start..];
    let len = digits.iter().position(|b| !b.is_ascii_digit()).unwrap_or(digits.len());
    std::str::from_utf8(&digits[..len]).ok()?.parse().ok()
}

/// Moves a descriptor out of the places of stdin, stdout and stderr, which a host may have closed: whoever
/// writes to stderr must not write into what the library opened.
pub fn above_stdio(fd: OwnedFd) -> Result<OwnedFd> {
    if fd.as_raw_fd() > libc::STDERR_FILENO {
        return Ok(fd);
    }
    // SAFETY: `fd` is open; the result is a new descriptor or -1.
    let moved = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, libc::STDERR_FILENO + 1) };
    if moved < 0 {
        return Err(Error::system("fcntl(F_DUPFD_CLOEXEC)"));
    }
    // SAFETY: `moved` was just made and belongs to nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(moved) })
}

/// The file behind a descriptor, as (device, inode); `None` if the descriptor is closed.
pub fn file_of(fd: RawFd) -> Option<(u64, u64)> {
    stat_of(fd).map(|stat| (stat.st_dev, stat.st_ino))
}

/// The magic number of the file system on which a descriptor's file lies.
pub fn file_system_of(fd: RawFd) -> Option<u64> {
    let mut about = std::mem::MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: `about` has room for the answer; a bad descriptor only gives an error.
    let done = unsafe { libc::fstatfs(fd, about.as_mut_ptr()) };
    // SAFETY: fstatfs succeeded and filled it.
    (done == 0).then(|| unsafe { about.assume_init() }.f_type as u64)
}

/// What fstat says of a descriptor.
pub fn stat_of(fd: RawFd) -> Option<libc::stat> {
    let mut stat = std::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: `stat` has room for the answer; a bad descriptor only gives an error.
    let done = unsafe { libc::fstat(fd, stat.as_mut_ptr()) };
    // SAFETY: fstat succeeded and filled it.
    (done == 0).then(|| unsafe { stat.assume_init() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_texts_end_in_nul_and_are_cut() {
        assert_eq!(SmallText::<16>::new(format_args!("/proc/{}", 17)).as_c_str(), c"/proc/17");
        assert_eq!(SmallText::<4>::new(format_args!("abcdef")).as_c_str(), c"abc");
        assert_eq!(SmallText::<4>::new(format_args!("")).as_c_str(), c"");
    }

    #[test]
    fn numbers_are_read_to_their_end() {
        assert_eq!(number(b"  42 kB"), Some(42));
        assert_eq!(number(b"42"), Some(42));
        assert_eq!(number(b"x"), None);
        assert_eq!(number(b"  "), None);
        assert_eq!(number(b"99999999999999999999"), None);
    }

    #[test]
    fn missing_files_answer_their_errno() {
        assert_eq!(read_file(c"/proc/self/no-such-file", &mut [0; 8]).err(), Some(libc::ENOENT));
        assert_eq!(file_of(-1), None);
    }
}
