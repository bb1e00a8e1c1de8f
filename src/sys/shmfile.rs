//! Files that unrelated programs map: made without a name, published whole, opened with care.
//!
//! A file is made by `O_TMPFILE`, filled, and given its name by `linkat`: so nobody ever meets a half-made one, and
//! what a creator leaves that is killed before is gone with it. Symbolic links are not followed.

use super::memfd;
use super::os;
use crate::error::{Error, Result, Status};
use std::ffi::{CStr, CString};
use std::fmt;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// Where named files lie unless `MP_ARENA_DIR` says otherwise.
const DEFAULT: &str = "/dev/shm";
/// The longest name of a file.
pub const LONGEST: usize = 255;

/// The directory of named files.
#[derive(Debug)]
pub struct Directory {
    fd: OwnedFd,
    path: PathBuf,
}

impl Directory {
    /// `/dev/shm`, or what `MP_ARENA_DIR` names.
    pub fn open() -> Result<Directory> {
        let path = PathBuf::from(std::env::var_os("MP_ARENA_DIR").unwrap_or_else(|| DEFAULT.into()));
        let text = CString::new(path.as_os_str().as_bytes())
            .map_err(|_| Error::invalid("MP_ARENA_DIR has a NUL in it"))?;
        match os::open(&text, libc::O_RDONLY | libc::O_DIRECTORY) {
            Ok(fd) => Ok(Directory { fd: os::above_stdio(fd)?, path }),
            Err(libc::ENOENT | libc::ENOTDIR) => Err(Error::new(
                Status::NotFound,
                format!("there is no directory {} (MP_ARENA_DIR changes it)", path.display()),
            )),
            Err(errno) => Err(failed(errno, format_args!("opening the directory {}", path.display()))),
        }
    }

    /// The path of a file in it, for messages.
    pub fn path_of(&self, name: &CStr) -> String {
        self.path.join(std::ffi::OsStr::from_bytes(name.to_bytes())).display().to_string()
    }

    /// Opens a file for reading and writing. `None` if there is none of that name.
    pub fn open_file(&self, name: &CStr) -> Result<Option<OwnedFd>> {
        let flags = libc::O_RDWR | libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NONBLOCK;
        // SAFETY: the directory is open and `name` ends in NUL.
        let fd = os::retry(|| unsafe { libc::openat(self.fd.as_raw_fd(), name.as_ptr(), flags) });
        if fd < 0 {
            return match os::errno() {
                libc::ENOENT => Ok(None),
                libc::ELOOP => Err(Error::new(
                    Status::Access,
                    format!("{} is a symbolic link, which is not followed", self.path_of(name)),
                )),
                errno => Err(failed(errno, format_args!("opening {}", self.path_of(name)))),
            };
        }
        // SAFETY: `fd` was just opened and belongs to nobody else.
        let fd = os::above_stdio(unsafe { OwnedFd::from_raw_fd(fd) })?;
        let regular = os::stat_of(fd.as_raw_fd()).is_some_and(|s| s.st_mode & libc::S_IFMT == libc::S_IFREG);
        if !regular {
            return Err(Error::invalid(format!("{} is not a regular file", self.path_of(name))));
        }
        Ok(Some(fd))
    }

    /// A new file of `len` bytes without a name, all of it holes, which will have exactly these permissions.
    pub fn make_file(&self, mode: u32, len: u64) -> Result<OwnedFd> {
        let limits = memfd::limits();
        if len > limits.file_size {
            return Err(Error::new(
                Status::NoMemory,
                format!("a file of {len} bytes is more than RLIMIT_FSIZE allows ({})", limits.file_size),
            ));
        }
        let size = libc::off_t::try_from(len).map_err(|_| Error::invalid("shared memory too large"))?;
        let flags = libc::O_TMPFILE | libc::O_RDWR | libc::O_CLOEXEC;
        // SAFETY: the directory is open; "." is a string.
        let fd = os::retry(|| unsafe { libc::openat(self.fd.as_raw_fd(), c".".as_ptr(), flags, 0o600) });
        if fd < 0 {
            return Err(match os::errno() {
                libc::EOPNOTSUPP | libc::EISDIR | libc::EINVAL => Error::new(
                    Status::Unsupported,
                    format!("{} is on a file system without O_TMPFILE", self.path.display()),
                ),
                errno => failed(errno, format_args!("making a file in {}", self.path.display())),
            });
        }
        // SAFETY: `fd` was just opened and belongs to nobody else.
        let fd = os::above_stdio(unsafe { OwnedFd::from_raw_fd(fd) })?;
        // SAFETY: the descriptor is open. fchmod, for the umask must not take what was asked for.
        if os::retry(|| unsafe { libc::fchmod(fd.as_raw_fd(), mode as libc::mode_t) }) < 0 {
            return Err(failed(os::errno(), format_args!("fchmod of a new file")));
        }
        // SAFETY: the descriptor is open.
        if os::retry(|| unsafe { libc::ftruncate(fd.as_raw_fd(), size) }) < 0 {
            return Err(failed(os::errno(), format_args!("ftruncate of a new file to {len} bytes")));
        }
        Ok(fd)
    }

    /// Gives a file its name. False if the name is taken.
    pub fn publish(&self, fd: &OwnedFd, name: &CStr) -> Result<bool> {
        let from = os::SmallText::<40>::new(format_args!("/proc/self/fd/{}", fd.as_raw_fd()));
        // SAFETY: both paths end in NUL and the directory is open.
        let done = os::retry(|| unsafe {
            libc::linkat(
                libc::AT_FDCWD,
                from.as_c_str().as_ptr(),
                self.fd.as_raw_fd(),
                name.as_ptr(),
                libc::AT_SYMLINK_FOLLOW,
            )
        });
        match done {
            0 => Ok(true),
            _ if os::errno() == libc::EEXIST => Ok(false),
            _ => Err(failed(os::errno(), format_args!("naming {}", self.path_of(name)))),
        }
    }

    /// Takes a file's name away; who has mapped it keeps it. False if there is none of that name.
    pub fn unlink(&self, name: &CStr) -> Result<bool> {
        // SAFETY: the directory is open and `name` ends in NUL.
        let done = os::retry(|| unsafe { libc::unlinkat(self.fd.as_raw_fd(), name.as_ptr(), 0) });
        match done {
            0 => Ok(true),
            _ if os::errno() == libc::ENOENT => Ok(false),
            _ => Err(failed(os::errno(), format_args!("removing {}", self.path_of(name)))),
        }
    }
}

fn failed(errno: i32, what: fmt::Arguments<'_>) -> Error {
    let error = Error::from_errno(what, errno);
    match errno {
        libc::EACCES | libc::EPERM | libc::EROFS => Error::new(Status::Access, error.message().to_owned()),
        libc::ENOSPC | libc::ENOMEM | libc::EDQUOT | libc::EFBIG => {
            Error::new(Status::NoMemory, error.message().to_owned())
        }
        _ => error,
    }
}

/// The file name `prefix` + `name`, if that is one: not empty, no slash, not too long. `what` is named in the error.
pub fn file_name(prefix: &str, name: &[u8], what: &str) -> Result<CString> {
    let shown = || String::from_utf8_lossy(name).into_owned();
    if name.is_empty() || name.contains(&b'/') || (prefix.is_empty() && matches!(name, b"." | b"..")) {
        return Err(Error::invalid(format!(
            "{:?} is no name for {what}: it must not be empty, nor have a slash in it",
            shown()
        )));
    }
    if prefix.len() + name.len() > LONGEST {
        let most = LONGEST - prefix.len();
        return Err(Error::invalid(format!(
            "the name of {what} has {} bytes; the most are {most}",
            name.len()
        )));
    }
    CString::new([prefix.as_bytes(), name].concat())
        .map_err(|_| Error::invalid(format!("the name of {what} has a NUL in it")))
}

/// The inode of this process's namespace of that kind; 0 if /proc does not tell.
pub fn namespace(kind: &CStr) -> u64 {
    let mut stat = std::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: the path ends in NUL, and `stat` has room for the answer.
    if unsafe { libc::stat(kind.as_ptr(), stat.as_mut_ptr()) } != 0 {
        return 0;
    }
    // SAFETY: stat succeeded and filled it.
    unsafe { stat.assume_init() }.st_ino
}

/// Reads the first bytes of a file, without touching what has no memory behind it; how many there were.
pub fn read_start(fd: &OwnedFd, bytes: &mut [u8]) -> usize {
    // SAFETY: the buffer is writable for its length.
    let n = unsafe { libc::pread(fd.as_raw_fd(), bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    usize::try_from(n).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here() -> (Directory, CString) {
        let name = format!("mp-test-{}-{:?}", std::process::id(), std::thread::current().id());
        (Directory::open().unwrap(), CString::new(name).unwrap())
    }

    #[test]
    fn a_file_appears_whole_and_goes_by_its_name() {
        let (directory, name) = here();
        assert!(directory.open_file(&name).unwrap().is_none());
        let fd = directory.make_file(0o640, 12345).unwrap();
        assert!(directory.open_file(&name).unwrap().is_none());
        assert!(directory.publish(&fd, &name).unwrap());
        assert!(!directory.publish(&fd, &name).unwrap());
        let other = directory.open_file(&name).unwrap().unwrap();
        let stat = os::stat_of(other.as_raw_fd()).unwrap();
        assert_eq!((stat.st_size, stat.st_mode & 0o777, stat.st_blocks), (12345, 0o640, 0));
        assert_eq!(os::file_of(other.as_raw_fd()), os::file_of(fd.as_raw_fd()));
        assert!(directory.unlink(&name).unwrap());
        assert!(!directory.unlink(&name).unwrap());
    }

    #[test]
    fn links_and_directories_are_refused() {
        let (directory, name) = here();
        let path = directory.path_of(&name);
        std::os::unix::fs::symlink("/dev/null", &path).unwrap();
        assert_eq!(directory.open_file(&name).unwrap_err().status(), Status::Access);
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(directory.open_file(&name).is_err());
        std::fs::remove_dir(&path).unwrap();
    }

    #[test]
    fn names_are_checked() {
        for name in [&b""[..], b"a/b", b"..", b"a\0b", &[b'x'; 256]] {
            assert_eq!(file_name("", name, "it").unwrap_err().status(), Status::Invalid, "{name:?}");
        }
        assert_eq!(file_name("mp.", b"..", "it").unwrap().as_c_str(), c"mp...");
        assert!(file_name("mp.", &[b'x'; 253], "it").is_err());
        assert_eq!(file_name("", &[b'x'; 255], "it").unwrap().as_bytes().len(), 255);
    }

    #[test]
    fn namespaces_have_numbers() {
        assert_ne!(namespace(c"/proc/self/ns/pid"), 0);
        assert_eq!(namespace(c"/proc/self/ns/none"), 0);
    }
}
