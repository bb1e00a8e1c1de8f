//! What /proc tells about processes and memory, read without the heap.

use super::os::{self, SmallText};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicI32, Ordering};

/// What can be said about a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liveness {
    /// It lives and is the one that was meant.
    Alive,
    /// Proven to have ended, or to have become another program.
    Dead,
    /// Nothing could be proven: it counts as alive.
    Unknown,
}

/// The fields of /proc/PID/stat that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// R, S, D, T, t, Z, X and so on.
    pub state: u8,
    /// The parent.
    pub parent: i32,
    /// How many threads it has.
    pub threads: u32,
    /// When it started, in clock ticks after boot.
    pub start_time: u64,
}

impl Stat {
    /// A zombie. A leader that left by `pthread_exit` shows as one too, while its other threads run on.
    pub fn ended(&self) -> bool {
        matches!(self.state, b'Z' | b'X' | b'x') && self.threads <= 1
    }
}

/// Reads /proc/PID/stat. `None` says nothing: the file may be hidden, or no descriptor may be free.
pub fn stat(pid: i32) -> Option<Stat> {
    if pid <= 0 || !proc_is_ours() {
        return None;
    }
    read_stat(&SmallText::<32>::new(format_args!("/proc/{pid}/stat")))
}

/// The same for a thread of a process.
pub fn thread_stat(pid: i32, thread: i32) -> Option<Stat> {
    read_stat(&SmallText::<64>::new(format_args!("/proc/{pid}/task/{thread}/stat")))
}

fn read_stat<const N: usize>(path: &SmallText<N>) -> Option<Stat> {
    let mut buffer = [0; 1024];
    parse_stat(os::read_file(path.as_c_str(), &mut buffer).ok()?)
}

fn parse_stat(line: &[u8]) -> Option<Stat> {
    // The name in parentheses may itself hold parentheses, blanks and line breaks; numbers follow the last one.
    let after_name = line.iter().rposition(|&b| b == b')')? + 1;
    let mut fields = line[after_name..].split(|&b| b == b' ').skip(1);
    let state = *fields.next()?.first()?;
    let parent = os::number(fields.next()?)? as i32;
    let threads = os::number(fields.nth(15)?)? as u32;
    let start_time = os::number(fields.nth(1)?)?;
    Some(Stat { state, parent, threads, start_time })
}

/// The process that a pidfd of this process's names; `None` if that can't be told, or it has been reaped.
pub fn pid_of_descriptor(fd: i32) -> Option<i32> {
    let mut buffer = [0; 512];
    let path = SmallText::<48>::new(format_args!("/proc/thread-self/fdinfo/{fd}"));
    let text = os::read_file(path.as_c_str(), &mut buffer).ok()?;
    let number = text.split(|&b| b == b'\n').find_map(|line| line.strip_prefix(b"Pid:\t"))?;
    os::number(number).map(|pid| pid as i32)
}

/// How many threads this process has, by one system call.
pub fn threads() -> Option<u32> {
    let mut task = std::mem::MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: the path ends in NUL, and stat fills the struct or fails. A directory has two links more than entries that
    // are directories, here one for each thread.
    let links = unsafe {
        if libc::stat(c"/proc/self/task".as_ptr(), task.as_mut_ptr()) < 0 {
            return None;
        }
        task.assume_init().st_nlink
    };
    u32::try_from(links).ok()?.checked_sub(2).filter(|threads| *threads > 0)
}

/// When the process started, in clock ticks after boot: with the pid, its identity.
pub fn start_time(pid: i32) -> Option<u64> {
    stat(pid).map(|stat| stat.start_time)
}

/// Whether /proc belongs to this process's pid namespace; in another one's it tells about strangers.
fn proc_is_ours() -> bool {
    // Kept with the pid, for a child may have been put into a new namespace.
    static CHECKED_BY: AtomicI32 = AtomicI32::new(0);
    // SAFETY: getpid cannot fail.
    let pid = unsafe { libc::getpid() };
    if CHECKED_BY.load(Ordering::Relaxed) == pid {
        return true;
    }
    let mut target = [0u8; 16];
    // SAFETY: the buffer is writable for the length given.
    let n = unsafe { libc::readlink(c"/proc/self".as_ptr(), target.as_mut_ptr().cast(), target.len()) };
    let ours = n > 0 && os::number(&target[..n as usize]) == Some(pid as u64);
    if ours {
        CHECKED_BY.store(pid, Ordering::Relaxed);
    }
    ours
}

/// This process's memory map. Its first thread may have left, and then what lies in /proc/self itself is empty.
const OWN_MAPS: &str = "/proc/thread-self/maps";

/// Whether nothing of this process is left, not even a zombie.
pub fn is_gone(pid: i32) -> bool {
    // SAFETY: signal 0 only asks whether the process exists.
    pid > 0 && unsafe { libc::kill(pid, 0) } < 0 && os::errno() == libc::ESRCH
}

/// Whether a process lives that had started by that clock tick; 0 means that it is not known. With `mapping`, as [`mapping_at`] gave it,
/// a process whose readable memory map does not show that file has exec'ed, and counts as dead.
///
/// Only proof counts: ESRCH, a zombie, a later start, or such a map. No permission, no descriptor, and a
/// hidden or foreign /proc prove nothing.
pub fn liveness(pid: i32, started_by: u64, mapping: Option<(u64, u64)>) -> Liveness {
    if pid <= 0 {
        return Liveness::Unknown;
    }
    if is_gone(pid) {
        return Liveness::Dead;
    }
    let Some(stat) = stat(pid) else { return Liveness::Unknown };
    if stat.ended() || (started_by != 0 && stat.start_time > started_by) {
        return Liveness::Dead;
    }
    match mapping.map(|file| maps_file(pid, file)) {
        None | Some(Some(true)) => Liveness::Alive,
        Some(Some(false)) => Liveness::Dead,
        Some(None) => Liveness::Unknown,
    }
}

/// Whether the process's memory map shows this file; `None` if the map can't be read whole or is empty, as it is
/// in a process that is just ending and in one whose first thread has left.
fn maps_file(pid: i32, file: (u64, u64)) -> Option<bool> {
    let path = SmallText::<32>::new(format_args!("/proc/{pid}/maps"));
    let mut regions = 0usize;
    let mut found = false;
    each_region(&path, |region| {
        regions += 1;
        found = region.file() == file;
        found
    })?;
    (regions > 0).then_some(found)
}

/// The file that is mapped at `address` in this process, as (device, inode) the way memory maps show it: on some
/// file systems fstat answers another device.
pub fn mapping_at(address: *const u8) -> Option<(u64, u64)> {
    let mut found = None;
    each_region(&SmallText::<32>::new(format_args!("{OWN_MAPS}")), |region| {
        if (region.start..region.end).contains(&(address as u64)) {
            found = Some(region.file());
        }
        found.is_some()
    })?;
    found.filter(|file| file.1 != 0)
}

/// Whether this process has the file, as [`mapping_at`] gave it, mapped outside of this range; `None` if its map can't
/// be read.
pub fn is_mapped_outside(file: (u64, u64), range: std::ops::Range<u64>) -> Option<bool> {
    let mut found = false;
    each_region(&SmallText::<32>::new(format_args!("{OWN_MAPS}")), |region| {
        found = region.file() == file && !range.contains(&region.start);
        found
    })?;
    Some(found)
}

/// A line of a memory map, as it is read.
#[derive(Default)]
struct Region {
    start: u64,
    end: u64,
    major: u64,
    minor: u64,
    inode: u64,
}

impl Region {
    fn file(&self) -> (u64, u64) {
        (libc::makedev(self.major as u32, self.minor as u32), self.inode)
    }
}

/// Which part of "START-END PERMS OFFSET MAJOR:MINOR INODE PATH" the reader stands in.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    Start,
    End,
    Permissions,
    Offset,
    Major,
    Minor,
    Inode,
    Path,
}

#[derive(Default)]
struct MapReader {
    part: Option<Part>,
    region: Region,
}

impl MapReader {
    /// Takes one byte; true at the end of a line.
    fn take(&mut self, byte: u8) -> bool {
        use Part::*;
        let part = self.part.unwrap_or(Start);
        self.part = Some(match (part, byte) {
            (_, b'\n') => {
                self.part = None;
                return true;
            }
            (Start, b'-') => End,
            (End, b' ') => Permissions,
            (Permissions, b' ') => Offset,
            (Offset, b' ') => Major,
            (Major, b':') => Minor,
            (Minor, b' ') => Inode,
            (Inode, b' ') => Path,
            (part, byte) => {
                self.digit(part, byte);
                part
            }
        });
        false
    }

    fn digit(&mut self, part: Part, byte: u8) {
        let Some(digit) = (byte as char).to_digit(16).map(u64::from) else { return };
        let (number, base) = match part {
            Part::Start => (&mut self.region.start, 16),
            Part::End => (&mut self.region.end, 16),
            Part::Major => (&mut self.region.major, 16),
            Part::Minor => (&mut self.region.minor, 16),
            Part::Inode => (&mut self.region.inode, 10),
            _ => return,
        };
        *number = number.wrapping_mul(base).wrapping_add(digit);
    }
}

/// Calls `see` for each region until it answers true; `None` if the map could not be read.
fn each_region(path: &SmallText<32>, mut see: impl FnMut(&Region) -> bool) -> Option<()> {
    let fd = os::open(path.as_c_str(), libc::O_RDONLY).ok()?;
    let mut buffer = [0; 4096];
    let mut reader = MapReader::default();
    loop {
        let n = os::read(fd.as_raw_fd(), &mut buffer).ok()?;
        if n == 0 {
            return Some(());
        }
        for &byte in &buffer[..n] {
            if reader.take(byte) && see(&std::mem::take(&mut reader.region)) {
                return Some(());
            }
        }
    }
}

/// The machine's memory in bytes.
pub fn physical_memory() -> u64 {
    // SAFETY: sysconf only answers numbers.
    let (pages, size) = unsafe { (libc::sysconf(libc::_SC_PHYS_PAGES), libc::sysconf(libc::_SC_PAGESIZE)) };
    (pages.max(0) as u64).saturating_mul(size.max(0) as u64)
}

/// What the kernel thinks can still be used without swapping, in bytes (MemAvailable).
pub fn mem_available() -> Option<u64> {
    let mut buffer = [0; 512];
    let text = os::read_file(c"/proc/meminfo", &mut buffer).ok()?;
    let line = text.split(|&b| b == b'\n').find_map(|line| line.strip_prefix(b"MemAvailable:"))?;
    Some(os::number(line)?.saturating_mul(1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn me() -> i32 {
        std::process::id() as i32
    }

    #[test]
    fn stat_lines_with_any_name() {
        let tail = "7 1 1 0 -1 4194304 100 0 0 0 1 2 3 4 20 0 9 0 12345 1000 200 18446744073709551615";
        for name in ["sh", "a b", "a) R 1", "((", "x\n)y"] {
            let stat = parse_stat(format!("42 ({name}) S {tail}").as_bytes()).unwrap();
            assert_eq!(stat, Stat { state: b'S', parent: 7, threads: 9, start_time: 12345 });
        }
        assert_eq!(parse_stat(b"42 (sh) S 7"), None);
        assert_eq!(parse_stat(b""), None);
    }

    #[test]
    fn this_process_lives_and_others_are_known_apart() {
        let start = start_time(me()).unwrap();
        assert_eq!(liveness(me(), start, None), Liveness::Alive);
        assert_eq!(liveness(me(), 0, None), Liveness::Alive);
        assert_eq!(liveness(me(), super::super::clock::boot_ticks(), None), Liveness::Alive);
        assert_eq!(liveness(me(), start - 1, None), Liveness::Dead);
        assert_eq!(liveness(0, 0, None), Liveness::Unknown);
        assert_eq!(liveness(-1, 0, None), Liveness::Unknown);
        assert_eq!(liveness(i32::MAX, 0, None), Liveness::Dead);
    }

    #[test]
    fn a_pidfd_names_its_process() {
        let me = super::super::pidfd::PidFd::open(me()).unwrap();
        assert_eq!(me.raw().and_then(pid_of_descriptor), Some(me.pid()));
        let null = os::open(c"/dev/null", libc::O_RDONLY).unwrap();
        assert_eq!(pid_of_descriptor(null.as_raw_fd()), None);
    }

    #[test]
    fn a_leader_that_left_before_its_threads_is_alive() {
        let mut stat = Stat { state: b'Z', parent: 1, threads: 2, start_time: 1 };
        assert!(!stat.ended());
        stat.threads = 1;
        assert!(stat.ended());
    }

    #[test]
    fn a_zombie_is_dead_before_it_is_reaped() {
        // SAFETY: the child only exits.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // SAFETY: _exit is async-signal-safe.
            unsafe { libc::_exit(0) };
        }
        // SAFETY: a zeroed siginfo is valid; the child stays a zombie.
        unsafe {
            let mut info: libc::siginfo_t = std::mem::zeroed();
            libc::waitid(libc::P_PID, child as u32, &mut info, libc::WEXITED | libc::WNOWAIT);
        }
        assert_eq!(liveness(child, 0, None), Liveness::Dead);
        // SAFETY: waits for the child that was made here.
        unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
        assert_eq!(liveness(child, 0, None), Liveness::Dead);
    }

    #[test]
    fn the_memory_map_tells_an_exec() {
        let file = mapping_at(me as *const u8).unwrap();
        let start = start_time(me()).unwrap();
        assert_eq!(liveness(me(), start, Some(file)), Liveness::Alive);
        assert_eq!(liveness(me(), start, Some((file.0, u64::MAX))), Liveness::Dead);
        assert_eq!(maps_file(i32::MAX, file), None);
        let on_stack = 0u8;
        assert_eq!(mapping_at(&on_stack), None);
    }

    #[test]
    fn map_lines_are_read_whatever_the_path() {
        let mut reader = MapReader::default();
        let text = b"7f00-8f00 rw-s 00000000 00:1a 1027 /memfd:a 1-2 (deleted)\n";
        assert_eq!(text.iter().filter(|&&b| reader.take(b)).count(), 1);
        assert_eq!((reader.region.start, reader.region.end), (0x7f00, 0x8f00));
        assert_eq!(reader.region.file(), (libc::makedev(0, 0x1a), 1027));
    }

    #[test]
    fn memory_is_known() {
        assert!(physical_memory() > 1 << 20);
        assert!(mem_available().unwrap() > 0);
    }
}
