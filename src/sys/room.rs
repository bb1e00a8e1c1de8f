//! Room: how much memory may be asked of the kernel before somebody is killed for it.
//!
//! What limits it is the machine (MemAvailable) and each control group up the tree. A reserve is kept below every
//! limit, for what a process needs besides: its stacks, its page tables, its heap. Reading all that costs some
//! hundred microseconds, so an answer is good for a sixteenth of what it found free and for a tenth of a second: the
//! many processes that each go by an answer of their own stay below the limit together.

use super::cgroup;
use super::clock;
use super::procfs;
use crate::error::{self, Error, Status};
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// What leaves the least room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The machine's memory.
    Machine,
    /// A control group's limit.
    Group(PathBuf, u64),
}

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Whose::Machine => f.write_str("the machine has no more available"),
            Whose::Group(path, limit) => {
                write!(f, "the control group {} is limited to {limit} bytes", path.display())
            }
        }
    }
}

/// How many bytes may still be asked for, and why no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// So many.
    pub bytes: u64,
    /// By this limit.
    pub whose: Whose,
}

/// Kept free below a limit.
fn reserve(limit: u64) -> u64 {
    (limit / 32).clamp(1 << 20, 64 << 20)
}

/// Looks at all limits; `None` if none can be read.
pub fn room() -> Option<Room> {
    let machine = procfs::mem_available().map(|bytes| Room {
        bytes: bytes.saturating_sub(reserve(procfs::physical_memory())),
        whose: Whose::Machine,
    });
    let mut least = machine;
    cgroup::each_memory_limit(|path, limit, left| {
        let bytes = left.saturating_sub(reserve(limit));
        if least.as_ref().is_none_or(|room| bytes < room.bytes) {
            least = Some(Room { bytes, whose: Whose::Group(path.to_owned(), limit) });
        }
    });
    least
}

/// For so long an answer is good, in nanoseconds.
const FRESH: i64 = 100_000_000;
/// For so many bytes at most.
const MOST: u64 = 64 << 20;

static CREDIT: AtomicU64 = AtomicU64::new(0);
static ASKED: AtomicI64 = AtomicI64::new(i64::MIN);
/// What the last look at the limits found.
static FOUND: AtomicU64 = AtomicU64::new(u64::MAX);

/// Looks at the limits, and grants so much of what is free.
fn look(now: i64, bytes: u64) -> Option<Room> {
    let room = room()?;
    let credit = room.bytes.saturating_sub(bytes) / 16;
    CREDIT.store(credit.min(MOST), Ordering::Relaxed);
    FOUND.store(room.bytes, Ordering::Relaxed);
    ASKED.store(now, Ordering::Relaxed);
    Some(room)
}

/// Whether `bytes` more may be asked of the kernel; the error says what is free, and by which limit.
pub fn admit(bytes: u64) -> error::Result<()> {
    ask_for(bytes).map_err(|room| room.refuse(bytes))
}

/// The same, but the error is what there is.
pub fn ask_for(bytes: u64) -> Result<(), Room> {
    let now = clock::now();
    let fresh = now.saturating_sub(ASKED.load(Ordering::Relaxed)) < FRESH;
    let take = |credit: u64| credit.checked_sub(bytes);
    if fresh && CREDIT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
        return Ok(());
    }
    match look(now, bytes) {
        Some(room) if room.bytes < bytes => Err(room),
        _ => Ok(()),
    }
}

/// How much was free not long ago: within ten times what [`admit`] takes for fresh.
pub fn lately() -> u64 {
    let now = clock::now();
    if now.saturating_sub(ASKED.load(Ordering::Relaxed)) >= 10 * FRESH {
        look(now, 0);
    }
    FOUND.load(Ordering::Relaxed)
}

impl Room {
    /// The error of a request for `asked` bytes that there is no room for.
    pub fn refuse(&self, asked: u64) -> Error {
        let text = format!(
            "{asked} bytes of memory were asked for, but only {} bytes are free: {}",
            self.bytes, self.whose
        );
        Error::new(Status::NoMemory, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_machine_has_is_refused_with_the_limit() {
        assert!(admit(4096).is_ok());
        let error = admit(1 << 50).unwrap_err();
        assert_eq!(error.status(), Status::NoMemory);
        let room = room().unwrap();
        assert!(
            error.message().contains("1125899906842624") && error.message().contains("bytes are free"),
            "{error}"
        );
        assert!(room.bytes < procfs::physical_memory());
        let group = Whose::Group("/sys/fs/cgroup/a".into(), 7);
        assert_eq!(group.to_string(), "the control group /sys/fs/cgroup/a is limited to 7 bytes");
    }

    #[test]
    fn a_reserve_is_kept() {
        assert_eq!(reserve(0), 1 << 20);
        assert_eq!(reserve(320 << 20), 10 << 20);
        assert_eq!(reserve(u64::MAX), 64 << 20);
    }
}
