//! Shared memory: a sealed memfd, reserved once, backed and given back piece by piece.

use super::descriptors::{self, Place};
use super::os;
use crate::error::{Error, Result, Status};
use std::ffi::CStr;
use std::fmt;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicI32, Ordering};

/// What the process's resource limits allow, in bytes; `u64::MAX` is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// RLIMIT_AS: the whole address space, what is in use included.
    pub address_space: u64,
    /// RLIMIT_FSIZE: the largest file; ftruncate beyond it kills by SIGXFSZ.
    pub file_size: u64,
}

impl Limits {
    /// The largest mapping that is allowed.
    pub fn largest(&self) -> u64 {
        self.address_space.min(self.file_size)
    }

    /// The largest mapping worth trying: half of the address space is for the rest of the program.
    fn sensible(&self) -> u64 {
        let address_space = if self.address_space == u64::MAX { u64::MAX } else { self.address_space / 2 };
        address_space.min(self.file_size)
    }
}

/// The limits that there are, each after a comma.
impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, limit) in [("RLIMIT_AS", self.address_space), ("RLIMIT_FSIZE", self.file_size)] {
            if limit != u64::MAX {
                write!(f, ", {name} is {limit} bytes")?;
            }
        }
        Ok(())
    }
}

/// Reads the limits that bound a shared mapping.
pub fn limits() -> Limits {
    let soft = |which| {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: `limit` is a live rlimit.
        match unsafe { libc::getrlimit(which, &mut limit) } {
            0 => limit.rlim_cur,
            _ => u64::MAX,
        }
    };
    Limits { address_space: soft(libc::RLIMIT_AS), file_size: soft(libc::RLIMIT_FSIZE) }
}

const MFD_NOEXEC_SEAL: libc::c_uint = 8;
const MADV_COLLAPSE: libc::c_int = 25;
/// A huge page, and what the address of a mapping is aligned to so that it can have some.
const HUGE_PAGE: usize = 2 << 20;

/// A memfd of no length that may be sealed, and not executed where the kernel knows how to forbid it.
fn memfd(name: &CStr) -> Result<OwnedFd> {
    let plain = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    for flags in [plain | MFD_NOEXEC_SEAL, plain] {
        // SAFETY: `name` ends in NUL and lives through the call.
        let fd = unsafe { libc::memfd_create(name.as_ptr(), flags) };
        if fd >= 0 {
            // SAFETY: `fd` was just made and belongs to nobody else.
            return os::above_stdio(unsafe { OwnedFd::from_raw_fd(fd) });
        }
        if os::errno() != libc::EINVAL {
            break;
        }
    }
    Err(Error::system("memfd_create"))
}

/// A file mapped shared and whole. It keeps the descriptor, but does not rely on it: a host may close all of its
/// descriptors and open others in their places, so that every use asks first whether the file is still the same.
#[derive(Debug)]
pub struct SharedMap {
    /// It changes only in a child that gives its number to another file.
    fd: AtomicI32,
    file: (u64, u64),
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: it is an address range and a descriptor; what lies in the range is reached through atomics and raw
// pointers by those who know its layout.
unsafe impl Send for SharedMap {}
// SAFETY: as above; no method changes the fields.
unsafe impl Sync for SharedMap {}

impl SharedMap {
    /// Makes a memfd of `len` bytes (a multiple of the page size), seals its size and maps it. No memory is used
    /// until [`SharedMap::back`].
    pub fn create(name: &CStr, len: usize) -> Result<SharedMap> {
        let limits = limits();
        if len as u64 > limits.largest() {
            return Err(Error::new(
                Status::NoMemory,
                format!("{len} bytes of shared memory are more than the limits allow{limits}"),
            ));
        }
        let size = libc::off_t::try_from(len).map_err(|_| Error::invalid("shared memory too large"))?;
        let fd = memfd(name)?;
        // SAFETY: `fd` is open.
        if os::retry(|| unsafe { libc::ftruncate(fd.as_raw_fd(), size) }) < 0 {
            return Err(Error::system(format_args!("ftruncate of a memfd to {len} bytes")));
        }
        let seals = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
        // SAFETY: `fd` is open.
        if unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_ADD_SEALS, seals) } < 0 {
            return Err(Error::system("fcntl(F_ADD_SEALS)"));
        }
        SharedMap::map(fd, len)
    }

    /// [`SharedMap::create`] with `want` bytes, halved on failure as long as it stays `least` or more.
    pub fn reserve(name: &CStr, want: usize, least: usize) -> Result<SharedMap> {
        let largest = usize::try_from(limits().sensible()).unwrap_or(usize::MAX);
        let mut len = want;
        while len > largest && len / 2 >= least {
            len = page_multiple(len / 2);
        }
        loop {
            match SharedMap::create(name, len) {
                Err(_) if len / 2 >= least => len = page_multiple(len / 2),
                result => return result,
            }
        }
    }

    /// Maps `len` bytes of a file that another process made. A shorter file is refused: touching what lies
    /// behind its end would kill by SIGBUS.
    pub fn attach(fd: OwnedFd, len: usize) -> Result<SharedMap> {
        let size = os::stat_of(fd.as_raw_fd()).map(|stat| stat.st_size);
        match size {
            None => Err(Error::system("fstat of shared memory")),
            Some(size) if u64::try_from(size).unwrap_or(0) < len as u64 => {
                Err(Error::invalid(format!("shared memory of {size} bytes, {len} expected")))
            }
            Some(_) => SharedMap::map(fd, len),
        }
    }

    fn map(fd: OwnedFd, len: usize) -> Result<SharedMap> {
        let file = os::file_of(fd.as_raw_fd()).ok_or_else(|| Error::system("fstat of shared memory"))?;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_SHARED | libc::MAP_NORESERVE;
        let (place, fixed) = aligned_place(len);
        // SAFETY: a new mapping at an address that the kernel chooses, or in the place that was just reserved for it,
        // touches nothing that exists.
        let base = unsafe { libc::mmap(place, len, protection, flags | fixed, fd.as_raw_fd(), 0) };
        if base == libc::MAP_FAILED {
            let error = Error::system(format_args!("mmap of {len} shared bytes"));
            if fixed != 0 {
                // SAFETY: the place was reserved just now, and nobody knows of it.
                unsafe { libc::munmap(place, len) };
            }
            return Err(error);
        }
        // Best effort: it only keeps core files small.
        // SAFETY: the range was just mapped; MADV_DONTDUMP changes no contents.
        unsafe { libc::madvise(base, len, libc::MADV_DONTDUMP) };
        let base = NonNull::new(base.cast()).ok_or_else(|| Error::internal("mmap answered NULL"))?;
        Ok(SharedMap { fd: AtomicI32::new(fd.into_raw_fd()), file, base, len })
    }

    /// Where it is mapped in this process.
    pub fn base(&self) -> *mut u8 {
        self.base.as_ptr()
    }

    /// How many bytes are mapped.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is mapped: never.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The file, as (device, inode), the way fstat shows it.
    pub fn file(&self) -> (u64, u64) {
        self.file
    }

    /// The descriptor, unless the host has closed it.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        let fd = self.fd.load(Ordering::Relaxed);
        // SAFETY: the descriptor is open and still names this file; it stays so as long as the host does not
        // close what is not its own.
        (os::file_of(fd) == Some(self.file)).then(|| unsafe { BorrowedFd::borrow_raw(fd) })
    }

    /// In a child with one thread: moves the descriptor if a place has its number.
    pub fn make_way(&self, places: &[Place]) -> Result<()> {
        match self.descriptor().map(|fd| fd.as_raw_fd()) {
            Some(fd) if descriptors::is_wanted(places, fd) => {
                let moved = descriptors::copy_aside(fd, places)
                    .map_err(|errno| Error::from_errno("moving the descriptor of shared memory", errno))?;
                self.fd.store(moved, Ordering::Relaxed);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Backs a range with memory, so that touching it can't fail. Too little memory is `NoMemory`.
    pub fn back(&self, offset: usize, len: usize) -> Result<()> {
        self.check(offset, len)?;
        let done = match self.descriptor() {
            Some(fd) => allocate(fd.as_raw_fd(), offset, len),
            None => self.advise(offset, len, libc::MADV_POPULATE_WRITE),
        };
        done.map_err(|errno| match errno {
            libc::ENOMEM | libc::ENOSPC | libc::EFBIG => {
                let text = format!("no memory for {len} bytes of shared memory{}", self.free_space());
                Error::new(Status::NoMemory, text)
            }
            libc::EINVAL if self.descriptor().is_none() => {
                Error::state("the shared memory can't grow: this program has closed its descriptor")
            }
            errno => Error::from_errno(format_args!("fallocate of {len} shared bytes"), errno),
        })
    }

    /// How much the file system of the file has free, if it has a limit of its own, as /dev/shm has.
    fn free_space(&self) -> String {
        let mut stat = std::mem::MaybeUninit::<libc::statvfs>::zeroed();
        // SAFETY: `stat` has room for the answer; the descriptor is this map's own.
        let done = self
            .descriptor()
            .is_some_and(|fd| unsafe { libc::fstatvfs(fd.as_raw_fd(), stat.as_mut_ptr()) } == 0);
        // SAFETY: zeroes are a statvfs, and so is what fstatvfs wrote.
        let stat = unsafe { stat.assume_init() };
        if !done || stat.f_blocks == 0 {
            return String::new();
        }
        let (free, all) = (stat.f_bavail * stat.f_frsize, stat.f_blocks * stat.f_frsize);
        format!(": its file system has {free} of its {all} bytes free")
    }

    /// Gives the memory of a range (whole pages) back to the kernel; it then reads as zeros and must be backed
    /// anew before use.
    pub fn punch(&self, offset: usize, len: usize) -> Result<()> {
        self.check(offset, len)?;
        let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
        let done = match self.descriptor() {
            Some(fd) => fallocate(fd.as_raw_fd(), mode, offset, len),
            None => self.advise(offset, len, libc::MADV_REMOVE),
        };
        done.map_err(|errno| Error::from_errno(format_args!("giving back {len} shared bytes"), errno))
    }

    /// Asks the kernel to put huge pages behind the whole ones in a range; where it has none, or not for shared
    /// memory, ordinary ones stay. The contents do too.
    pub fn prefer_huge_pages(&self, offset: usize, len: usize) {
        let (from, end) = (offset.next_multiple_of(HUGE_PAGE), (offset + len) / HUGE_PAGE * HUGE_PAGE);
        if from < end && self.check(from, end - from).is_ok() {
            let _ = self.advise(from, end - from, libc::MADV_HUGEPAGE);
            let _ = self.advise(from, end - from, MADV_COLLAPSE);
        }
    }

    fn check(&self, offset: usize, len: usize) -> Result<()> {
        match offset.checked_add(len) {
            Some(end) if end <= self.len && len > 0 => Ok(()),
            _ => Err(Error::internal(format!("range {offset}+{len} outside {} shared bytes", self.len))),
        }
    }

    fn advise(&self, offset: usize, len: usize, advice: libc::c_int) -> std::result::Result<(), i32> {
        // SAFETY: the range lies inside the mapping; populating changes no contents, removing is what the caller
        // asked for.
        match os::retry(|| unsafe { libc::madvise(self.base().add(offset).cast(), len, advice) }) {
            0 => Ok(()),
            _ => Err(os::errno()),
        }
    }
}

impl Drop for SharedMap {
    fn drop(&mut self) {
        if let Some(fd) = self.descriptor() {
            // SAFETY: the descriptor is this map's own, as was just seen.
            unsafe { libc::close(fd.as_raw_fd()) };
        }
        // SAFETY: the range was mapped by `map`, and whoever drops the map no longer uses it.
        unsafe { libc::munmap(self.base().cast(), self.len) };
    }
}

/// Address space for `len` bytes that is aligned to a huge page, and the flag to map there; NULL and none if there is
/// not enough for that.
fn aligned_place(len: usize) -> (*mut libc::c_void, libc::c_int) {
    let none = (std::ptr::null_mut(), 0);
    let Some(reserved) = len.checked_add(HUGE_PAGE) else { return none };
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a new mapping at an address that the kernel chooses touches nothing that exists.
    let base = unsafe { libc::mmap(std::ptr::null_mut(), reserved, libc::PROT_NONE, flags, -1, 0) };
    if base == libc::MAP_FAILED {
        return none;
    }
    let before = (base as usize).next_multiple_of(HUGE_PAGE) - base as usize;
    let after = reserved - before - len.next_multiple_of(page_size());
    // SAFETY: the two ends of the range that was just mapped, which nobody knows of.
    unsafe {
        let place = base.add(before);
        if before > 0 {
            libc::munmap(base, before);
        }
        if after > 0 {
            libc::munmap(place.add(reserved - before - after), after);
        }
        (place, libc::MAP_FIXED)
    }
}

fn page_multiple(len: usize) -> usize {
    len & !(page_size() - 1)
}

/// The size of a page.
pub fn page_size() -> usize {
    // SAFETY: sysconf only answers a number; the page size is always known.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) as usize }
}

const LARGEST_PIECE: usize = 16 << 20;
const SMALLEST_PIECE: usize = 64 << 10;

/// fallocate in pieces: a signal undoes the piece in work, so that under a fast interval timer a large range
/// would never be done. Each interrupted piece is tried again at half its size.
pub(super) fn allocate(fd: RawFd, offset: usize, len: usize) -> std::result::Result<(), i32> {
    let (mut at, end) = (offset, offset + len);
    let mut largest = LARGEST_PIECE;
    while at < end {
        let piece = (end - at).min(largest);
        match fallocate_once(fd, 0, at, piece) {
            Ok(()) => at += piece,
            Err(libc::EINTR) => largest = (largest / 2).max(SMALLEST_PIECE),
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

fn fallocate(fd: RawFd, mode: i32, offset: usize, len: usize) -> std::result::Result<(), i32> {
    loop {
        match fallocate_once(fd, mode, offset, len) {
            Err(libc::EINTR) => {}
            result => return result,
        }
    }
}

fn fallocate_once(fd: RawFd, mode: i32, offset: usize, len: usize) -> std::result::Result<(), i32> {
    // SAFETY: it acts on a descriptor and numbers only; the callers checked whose descriptor it is.
    match unsafe { libc::fallocate(fd, mode, offset as libc::off_t, len as libc::off_t) } {
        0 => Ok(()),
        _ => Err(os::errno()),
    }
}

/// One private page that every fork and every clone without shared memory finds zeroed. It lives as long as the
/// process.
pub fn wipe_on_fork_page() -> Result<NonNull<u8>> {
    let len = page_size();
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping at an address that the kernel chooses touches nothing that exists.
    let page = unsafe { libc::mmap(std::ptr::null_mut(), len, protection, flags, -1, 0) };
    if page == libc::MAP_FAILED {
        return Err(Error::system("mmap of a page"));
    }
    // SAFETY: the page was just mapped and holds nothing yet.
    if unsafe { libc::madvise(page, len, libc::MADV_WIPEONFORK) } < 0 {
        let error = Error::system("madvise(MADV_WIPEONFORK)");
        // SAFETY: nobody has seen the page.
        unsafe { libc::munmap(page, len) };
        return Err(error);
    }
    NonNull::new(page.cast()).ok_or_else(|| Error::internal("mmap answered NULL"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn blocks(map: &SharedMap) -> i64 {
        os::stat_of(map.descriptor().unwrap().as_raw_fd()).unwrap().st_blocks
    }

    #[test]
    fn memory_comes_with_backing_and_goes_with_punching() {
        let map = SharedMap::create(c"mp-test", 64 * MIB).unwrap();
        assert_eq!(blocks(&map), 0);
        map.back(MIB, 20 * MIB).unwrap();
        assert!(blocks(&map) as usize * 512 >= 20 * MIB);
        // SAFETY: the byte lies in the backed range.
        unsafe {
            map.base().add(MIB).write_volatile(7);
            map.punch(MIB, 20 * MIB).unwrap();
            assert_eq!(map.base().add(MIB).read_volatile(), 0);
        }
        assert!(map.back(60 * MIB, 5 * MIB).is_err());
        assert!(map.back(usize::MAX, 2).is_err());
    }

    #[test]
    fn its_size_is_sealed() {
        let map = SharedMap::create(c"mp-test", MIB).unwrap();
        let fd = map.descriptor().unwrap().as_raw_fd();
        for size in [0, 2 * MIB] {
            // SAFETY: the descriptor is open.
            assert_eq!(unsafe { libc::ftruncate(fd, size as libc::off_t) }, -1);
            assert_eq!(os::errno(), libc::EPERM);
        }
    }

    #[test]
    fn two_mappings_show_the_same_bytes() {
        let one = SharedMap::create(c"mp-test", MIB).unwrap();
        one.back(0, 4096).unwrap();
        let fd = one.descriptor().unwrap().try_clone_to_owned().unwrap();
        assert!(SharedMap::attach(fd.try_clone().unwrap(), 2 * MIB).is_err());
        let two = SharedMap::attach(fd, MIB).unwrap();
        assert_eq!(one.file(), two.file());
        // SAFETY: the byte is backed.
        unsafe {
            one.base().add(5).write_volatile(9);
            assert_eq!(two.base().add(5).read_volatile(), 9);
        }
    }

    #[test]
    fn a_lost_descriptor_is_noticed_and_not_used() {
        let map = SharedMap::create(c"mp-test", MIB).unwrap();
        let other = memfd(c"mp-other").unwrap();
        // SAFETY: puts another file in the place of the map's descriptor, as a host may.
        unsafe { libc::dup3(other.as_raw_fd(), map.fd.load(Ordering::Relaxed), libc::O_CLOEXEC) };
        assert!(map.descriptor().is_none());
        match map.back(0, 8192) {
            Ok(()) => {
                // SAFETY: the byte is backed, and a hole reads as zero.
                unsafe {
                    map.base().add(4096).write_volatile(3);
                    map.punch(4096, 4096).unwrap();
                    assert_eq!(map.base().add(4096).read_volatile(), 0);
                }
            }
            // Linux before 5.14 can back memory by descriptor only.
            Err(error) => assert_eq!(error.status(), Status::State),
        }
        assert_eq!(os::stat_of(other.as_raw_fd()).unwrap().st_size, 0);
        let place = map.fd.load(Ordering::Relaxed);
        drop(map);
        assert_eq!(os::file_of(place), os::file_of(other.as_raw_fd()));
        // SAFETY: the place holds the test's own duplicate.
        unsafe { libc::close(place) };
    }

    #[test]
    fn a_reservation_shrinks_until_it_fits() {
        let map = SharedMap::reserve(c"mp-test", (usize::MAX / 4) & !4095, 64 * MIB).unwrap();
        assert!(map.len() >= 64 * MIB);
        assert_eq!(map.len() % page_size(), 0);
        assert!(SharedMap::reserve(c"mp-test", usize::MAX / 4, usize::MAX / 4).is_err());
    }

    #[test]
    fn a_forked_child_finds_the_page_wiped() {
        let page = wipe_on_fork_page().unwrap();
        // SAFETY: the page is mapped and this test's own; the child touches nothing else.
        unsafe {
            page.write_volatile(1);
            let child = libc::fork();
            if child == 0 {
                libc::_exit(i32::from(page.read_volatile()));
            }
            let mut status = -1;
            libc::waitpid(child, &mut status, 0);
            assert_eq!(status, 0);
            assert_eq!(page.read_volatile(), 1);
        }
    }
}
