//! Files of named shared memory and of named arenas, in /dev/shm or where `MP_ARENA_DIR` says.
//!
//! A file is made without a name, backed whole, and then published by one `linkat`. So a name never stands for
//! something half-made, and who dies before that leaves nothing. Names of shm_open, "/NAME", are the same files.

use super::memfd;
use super::os;
use crate::error::{Error, Result, Status};
use crate::fault;
use std::ffi::{CStr, CString, OsString};
use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::ptr::NonNull;

/// The longest name of a file.
pub const LONGEST: usize = 255;

/// A name as the directory knows it. One leading '/', as shm_open has it, is dropped.
pub fn file_name(name: &str) -> Result<CString> {
    let bare = name.strip_prefix('/').unwrap_or(name);
    let refused = |why: &str| Err(Error::invalid(format!("the name {name:?} {why}")));
    match bare {
        "" => refused("is empty"),
        "." | ".." => refused("is that of a directory"),
        _ if bare.contains('/') => refused("has a '/' inside"),
        _ if bare.len() > LONGEST => refused(&format!("has {} bytes; the most are {LONGEST}", bare.len())),
        _ => CString::new(bare).or_else(|_| refused("has a NUL inside")),
    }
}

/// Whom a file that this process makes belongs to.
pub fn effective_uid() -> u32 {
    // SAFETY: it only answers a number.
    unsafe { libc::geteuid() }
}

/// The directory of named shared memory.
#[derive(Debug)]
pub struct Directory {
    fd: OwnedFd,
    path: CString,
}

impl Directory {
    /// /dev/shm, or `MP_ARENA_DIR`.
    pub fn open() -> Result<Directory> {
        let path = std::env::var_os("MP_ARENA_DIR").unwrap_or_else(|| OsString::from("/dev/shm"));
        let path =
            CString::new(path.into_vec()).map_err(|_| Error::invalid("MP_ARENA_DIR has a NUL inside"))?;
        match os::open(&path, libc::O_PATH | libc::O_DIRECTORY) {
            Ok(fd) => Ok(Directory { fd: os::above_stdio(fd)?, path }),
            Err(libc::ENOENT | libc::ENOTDIR) => {
                let path = text(&path);
                let what = format!("there is no directory {path} for named memory (MP_ARENA_DIR names it)");
                Err(Error::new(Status::NotFound, what))
            }
            Err(errno) => {
                let what = format!("opening {}, the directory of named memory,", text(&path));
                Err(failure(what, errno))
            }
        }
    }

    /// Where a name lies, for messages.
    pub fn place(&self, name: &CStr) -> String {
        format!("{}/{}", text(&self.path), text(name))
    }

    /// A new file without a name, of no length, with exactly this mode whatever the umask.
    pub fn temporary(&self, mode: u32) -> Result<OwnedFd> {
        let flags = libc::O_TMPFILE | libc::O_RDWR | libc::O_CLOEXEC;
        // SAFETY: the path is a literal that ends in NUL, the directory is open.
        let fd = os::retry(|| unsafe { libc::openat(self.fd.as_raw_fd(), c".".as_ptr(), flags, mode) });
        let what = || format!("making a file in {}", text(&self.path));
        if fd < 0 {
            return Err(match os::errno() {
                libc::EOPNOTSUPP | libc::EISDIR => {
                    let text = format!("{} is on a file system without O_TMPFILE", text(&self.path));
                    Error::new(Status::Unsupported, text)
                }
                errno => failure(what(), errno),
            });
        }
        // SAFETY: `fd` was just opened and belongs to nobody else.
        let fd = os::above_stdio(unsafe { OwnedFd::from_raw_fd(fd) })?;
        // SAFETY: `fd` is open.
        if unsafe { libc::fchmod(fd.as_raw_fd(), mode) } < 0 {
            return Err(failure(what(), os::errno()));
        }
        Ok(fd)
    }

    /// Makes such a file `len` bytes long, all of them holes.
    pub fn resize(&self, file: BorrowedFd<'_>, len: u64) -> Result<()> {
        check_file_limit(len)?;
        let size = libc::off_t::try_from(len).map_err(|_| Error::invalid("shared memory too large"))?;
        // SAFETY: `file` is open.
        if os::retry(|| unsafe { libc::ftruncate(file.as_raw_fd(), size) }) < 0 {
            let what = format!("ftruncate of a file in {} to {len} bytes", text(&self.path));
            return Err(failure(what, os::errno()));
        }
        Ok(())
    }

    /// Makes such a file `len` bytes long, all of them backed by memory.
    pub fn back(&self, file: BorrowedFd<'_>, len: u64) -> Result<()> {
        check_file_limit(len)?;
        let free = self.free_bytes();
        let size = usize::try_from(len).ok().filter(|n| *n <= isize::MAX as usize);
        let (Some(size), true) = (size, free.is_none_or(|free| len <= free)) else {
            return Err(self.no_room(len, free));
        };
        self.fill(file, size)
    }

    /// Backs what another program may have left as holes in the first `len` bytes of a file.
    pub fn fill(&self, file: BorrowedFd<'_>, len: usize) -> Result<()> {
        memfd::allocate(file.as_raw_fd(), 0, len).map_err(|errno| match errno {
            libc::ENOSPC | libc::ENOMEM | libc::EFBIG | libc::EDQUOT => {
                self.no_room(len as u64, self.free_bytes())
            }
            errno => {
                Error::from_errno(format_args!("fallocate of {len} bytes in {}", text(&self.path)), errno)
            }
        })
    }

    fn no_room(&self, asked: u64, free: Option<u64>) -> Error {
        let free = free.map_or("an unknown number of".to_owned(), |free| free.to_string());
        let path = text(&self.path);
        Error::new(Status::NoMemory, format!("{asked} bytes were asked for; {path} has {free} bytes free"))
    }

    /// How many bytes the file system has free, if it has a limit.
    fn free_bytes(&self) -> Option<u64> {
        let mut stat = std::mem::MaybeUninit::<libc::statvfs>::uninit();
        // SAFETY: `stat` has room for the answer.
        let done = unsafe { libc::fstatvfs(self.fd.as_raw_fd(), stat.as_mut_ptr()) };
        // SAFETY: fstatvfs succeeded and filled it.
        let stat = (done == 0).then(|| unsafe { stat.assume_init() })?;
        (stat.f_blocks != 0).then(|| stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    /// Gives a file its name; if the name is taken, `Exists`, and nothing has changed.
    pub fn publish(&self, file: BorrowedFd<'_>, name: &CStr) -> Result<()> {
        let path = os::SmallText::<40>::new(format_args!("/proc/thread-self/fd/{}", file.as_raw_fd()));
        // SAFETY: both paths end in NUL, both descriptors are open.
        let link = |from: i32, path: &CStr, flags: i32| unsafe {
            match libc::linkat(from, path.as_ptr(), self.fd.as_raw_fd(), name.as_ptr(), flags) {
                0 => Ok(()),
                _ => Err(os::errno()),
            }
        };
        link(libc::AT_FDCWD, path.as_c_str(), libc::AT_SYMLINK_FOLLOW)
            .or_else(|errno| match errno {
                // No /proc here; newer kernels can do without.
                libc::ENOENT => link(file.as_raw_fd(), c"", libc::AT_EMPTY_PATH),
                errno => Err(errno),
            })
            .map_err(|errno| match errno {
                libc::EEXIST => Error::new(Status::Exists, format!("{} exists already", self.place(name))),
                errno => failure(format!("publishing {}", self.place(name)), errno),
            })?;
        fault!("shared.file:published");
        Ok(())
    }

    /// Opens a regular file of the user `owner`, never through a symbolic link.
    pub fn open_file(&self, name: &CStr, owner: u32) -> Result<OwnedFd> {
        // A FIFO or a device must not make the caller wait.
        let flags = libc::O_RDWR | libc::O_CLOEXEC | libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;
        // SAFETY: the name ends in NUL, the directory is open.
        let fd = os::retry(|| unsafe { libc::openat(self.fd.as_raw_fd(), name.as_ptr(), flags) });
        if fd < 0 {
            return Err(self.refusal("opening", name, os::errno()));
        }
        // SAFETY: `fd` was just opened and belongs to nobody else.
        let fd = os::above_stdio(unsafe { OwnedFd::from_raw_fd(fd) })?;
        let stat = os::stat_of(fd.as_raw_fd()).ok_or_else(|| Error::system("fstat of shared memory"))?;
        self.accept(name, &stat, owner)?;
        Ok(fd)
    }

    /// Takes a name away from its file, if that belongs to `owner`. Whoever has the file mapped keeps it.
    pub fn unlink(&self, name: &CStr, owner: Option<u32>) -> Result<()> {
        let mut stat = std::mem::MaybeUninit::<libc::stat>::uninit();
        let (directory, flags) = (self.fd.as_raw_fd(), libc::AT_SYMLINK_NOFOLLOW);
        // SAFETY: the name ends in NUL, the directory is open, `stat` has room for the answer.
        if unsafe { libc::fstatat(directory, name.as_ptr(), stat.as_mut_ptr(), flags) } < 0 {
            return Err(self.refusal("unlinking", name, os::errno()));
        }
        // SAFETY: fstatat succeeded and filled it.
        let stat = unsafe { stat.assume_init() };
        self.accept(name, &stat, owner.unwrap_or(stat.st_uid))?;
        // SAFETY: as above.
        if unsafe { libc::unlinkat(directory, name.as_ptr(), 0) } < 0 {
            return Err(self.refusal("unlinking", name, os::errno()));
        }
        Ok(())
    }

    fn accept(&self, name: &CStr, stat: &libc::stat, owner: u32) -> Result<()> {
        if stat.st_mode & libc::S_IFMT != libc::S_IFREG {
            return Err(self.refusal("opening", name, libc::ENODEV));
        }
        if stat.st_uid != owner {
            let text = format!("{} belongs to user {}, not {owner}", self.place(name), stat.st_uid);
            return Err(Error::new(Status::Access, text));
        }
        Ok(())
    }

    fn refusal(&self, doing: &str, name: &CStr, errno: i32) -> Error {
        let place = self.place(name);
        match errno {
            libc::ENOENT => Error::new(Status::NotFound, format!("there is no {place}")),
            libc::ELOOP | libc::EISDIR | libc::ENXIO | libc::ENODEV => {
                Error::invalid(format!("{place} is not a regular file"))
            }
            errno => failure(format!("{doing} {place}"), errno),
        }
    }
}

/// ftruncate beyond the limit would kill by SIGXFSZ.
fn check_file_limit(len: u64) -> Result<()> {
    let limit = memfd::limits().file_size;
    if len <= limit {
        return Ok(());
    }
    let text = format!("{len} bytes were asked for, but files may have {limit} at most (RLIMIT_FSIZE)");
    Err(Error::new(Status::NoMemory, text))
}

fn text(path: &CStr) -> std::borrow::Cow<'_, str> {
    path.to_string_lossy()
}

fn failure(what: impl fmt::Display, errno: i32) -> Error {
    match errno {
        libc::EACCES | libc::EPERM | libc::EROFS => {
            let text = std::io::Error::from_raw_os_error(errno);
            Error::new(Status::Access, format!("{what} failed: {text}"))
        }
        errno => Error::from_errno(what, errno),
    }
}

/// A file mapped shared, from its beginning.
#[derive(Debug)]
pub struct FileMap {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: it is an address range; what lies in it belongs to its users, who know that it is shared.
unsafe impl Send for FileMap {}
// SAFETY: as above; no method changes the fields.
unsafe impl Sync for FileMap {}

impl FileMap {
    /// Maps `len` bytes, at least one.
    pub fn new(file: BorrowedFd<'_>, len: usize) -> Result<FileMap> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let fd = file.as_raw_fd();
        // SAFETY: a new mapping at an address that the kernel chooses touches nothing that exists.
        let base = unsafe { libc::mmap(std::ptr::null_mut(), len, protection, libc::MAP_SHARED, fd, 0) };
        if base == libc::MAP_FAILED {
            let (errno, limit) = (os::errno(), memfd::limits().address_space);
            if errno != libc::ENOMEM {
                return Err(Error::from_errno(format_args!("mmap of {len} shared bytes"), errno));
            }
            let text = format!("no address space for {len} bytes of shared memory (RLIMIT_AS {limit})");
            return Err(Error::new(Status::NoMemory, text));
        }
        // Best effort: it only keeps core files small.
        // SAFETY: the range was just mapped; MADV_DONTDUMP changes no contents.
        unsafe { libc::madvise(base, len, libc::MADV_DONTDUMP) };
        let base = NonNull::new(base.cast()).ok_or_else(|| Error::internal("mmap answered NULL"))?;
        Ok(FileMap { base, len })
    }

    /// Where it is mapped in this process.
    pub fn base(&self) -> *mut u8 {
        self.base.as_ptr()
    }

    /// How many bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none: never.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl Drop for FileMap {
    fn drop(&mut self) {
        // SAFETY: the range was mapped by `new`, and whoever drops the map no longer uses it.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
    }
}

/// What is known of an open file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileFacts {
    /// Device and inode.
    pub id: (u64, u64),
    /// Its length in bytes.
    pub len: u64,
    /// Whether all of it is backed by memory.
    pub backed: bool,
}

/// Asks for them.
pub fn facts(file: BorrowedFd<'_>) -> Result<FileFacts> {
    let stat =
        os::stat_of(file.as_fd().as_raw_fd()).ok_or_else(|| Error::system("fstat of shared memory"))?;
    let len = u64::try_from(stat.st_size).unwrap_or(0);
    let backed = u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(512) >= len;
    Ok(FileFacts { id: (stat.st_dev, stat.st_ino), len, backed })
}

/// Which file has this name, as (device, inode); `None` if there is none, or it can't be seen.
pub fn id_of(directory: &Directory, name: &CStr) -> Option<(u64, u64)> {
    let mut stat = std::mem::MaybeUninit::<libc::stat>::uninit();
    let (fd, flags) = (directory.fd.as_raw_fd(), libc::AT_SYMLINK_NOFOLLOW);
    // SAFETY: the name ends in NUL, the directory is open, and `stat` has room for the answer.
    if unsafe { libc::fstatat(fd, name.as_ptr(), stat.as_mut_ptr(), flags) } < 0 {
        return None;
    }
    // SAFETY: fstatat succeeded and filled it.
    let stat = unsafe { stat.assume_init() };
    Some((stat.st_dev, stat.st_ino))
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
pub fn read_start(file: BorrowedFd<'_>, bytes: &mut [u8]) -> usize {
    // SAFETY: the buffer is writable for its length.
    let n = unsafe { libc::pread(file.as_raw_fd(), bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    usize::try_from(n).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_files() {
        for (name, bare) in [("a", c"a"), ("/a", c"a"), ("grüße", c"grüße"), ("...", c"...")] {
            assert_eq!(file_name(name).unwrap().as_c_str(), bare);
        }
        assert!(file_name(&"x".repeat(255)).is_ok() && file_name(&format!("/{}", "x".repeat(255))).is_ok());
        for name in ["", "/", ".", "..", "/..", "a/b", "//a", "a/", "a\0b", &"x".repeat(256)] {
            assert_eq!(file_name(name).unwrap_err().status(), Status::Invalid, "{name:?}");
        }
    }

    #[test]
    fn a_file_is_published_once_and_whole() {
        let name = CString::new(format!("libmp-test-{}", std::process::id())).unwrap();
        let directory = Directory::open().unwrap();
        let uid = effective_uid();
        let file = directory.temporary(0o600).unwrap();
        directory.back(file.as_fd(), 10_001).unwrap();
        assert_eq!(directory.open_file(&name, uid).unwrap_err().status(), Status::NotFound);
        directory.publish(file.as_fd(), &name).unwrap();
        assert_eq!(directory.publish(file.as_fd(), &name).unwrap_err().status(), Status::Exists);
        let again = directory.open_file(&name, uid).unwrap();
        let found = facts(again.as_fd()).unwrap();
        assert_eq!(found, FileFacts { len: 10_001, backed: true, ..facts(file.as_fd()).unwrap() });
        assert_eq!(directory.open_file(&name, uid + 1).unwrap_err().status(), Status::Access);
        assert_eq!(directory.unlink(&name, Some(uid + 1)).unwrap_err().status(), Status::Access);
        directory.unlink(&name, Some(uid)).unwrap();
        assert_eq!(directory.unlink(&name, Some(uid)).unwrap_err().status(), Status::NotFound);
    }

    #[test]
    fn what_is_too_large_is_refused_with_what_is_free() {
        let directory = Directory::open().unwrap();
        let file = directory.temporary(0o600).unwrap();
        for len in [1 << 60, i64::MAX as u64, u64::MAX] {
            let error = directory.back(file.as_fd(), len).unwrap_err();
            assert_eq!(error.status(), Status::NoMemory);
            assert!(error.message().contains(&len.to_string()), "{error}");
        }
        assert_eq!(facts(file.as_fd()).unwrap().len, 0);
    }
}
