//! Which file this program is.

use super::{elf, procfs};
use crate::error::{Error, Result, Status};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

const LINK: &str = "/proc/self/exe";
/// Where the first thread has left, the process's own link leads nowhere, but a thread's does, and a child's.
const THREADS_LINK: &str = "/proc/thread-self/exe";

/// The path of this program: what /proc/self/exe names; the program's own file where that names its loader
/// instead (`ld.so program`); the link itself when the file has been deleted or replaced, or when its path leads to
/// another one by now, as after a mount.
pub fn program_path() -> Result<PathBuf> {
    // Whether the link names what is mapped here, which never changes: to see it takes a look at all that is.
    static NAMED: AtomicBool = AtomicBool::new(false);
    let named = std::fs::read_link(THREADS_LINK).ok();
    let start = elf::program_start();
    let mut names_program = NAMED.load(Ordering::Relaxed) && named.is_some();
    let path = if names_program {
        named
    } else {
        let mapped = start.and_then(mapped_path);
        names_program = named.is_some() && named == mapped;
        NAMED.store(names_program, Ordering::Relaxed);
        match (named, mapped) {
            (Some(named), Some(mapped)) if named != mapped => Some(mapped),
            (named, mapped) => named.or(mapped),
        }
    };
    match path {
        Some(path) if names_program && leads_elsewhere(&path) => Ok(PathBuf::from(LINK)),
        Some(path) if path.exists() => Ok(path),
        _ if link_is_program(start) => Ok(PathBuf::from(LINK)),
        Some(path) => {
            let text = format!("the program's own file, {}, can't be found", path.display());
            Err(Error::new(Status::System, text))
        }
        None => Err(Error::new(Status::System, "the program's own file can't be found: is /proc mounted?")),
    }
}

/// Whether the path that the link shows leads to another file than the link itself.
fn leads_elsewhere(path: &Path) -> bool {
    let both_there = path.exists() && Path::new(THREADS_LINK).exists();
    both_there && !is_same_file(path, Path::new(THREADS_LINK))
}

/// Whether the link leads to the program, not to a loader that runs it.
fn link_is_program(start: Option<u64>) -> bool {
    let mapped = start.and_then(|start| procfs::mapping_at(start as *const u8));
    std::fs::metadata(THREADS_LINK).is_ok_and(|link| mapped.is_none_or(|(_, inode)| inode == link.ino()))
}

/// Whether two paths lead to the same file.
pub fn is_same_file(one: &Path, other: &Path) -> bool {
    let file = |path: &Path| std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()));
    file(one).is_some() && file(one) == file(other)
}

/// The path of the file that is mapped at an address, as /proc/self/maps shows it.
pub(super) fn mapped_path(address: u64) -> Option<PathBuf> {
    let maps = std::fs::read("/proc/thread-self/maps").ok()?;
    maps.split(|&b| b == b'\n').find_map(|line| path_in_line(line, address))
}

/// The path in a line "START-END PERMS OFFSET DEV INODE     PATH", if the address lies in its range.
fn path_in_line(line: &[u8], address: u64) -> Option<PathBuf> {
    let hex = |text: &[u8]| u64::from_str_radix(std::str::from_utf8(text).ok()?, 16).ok();
    let range = line.split(|&b| b == b' ').next()?;
    let dash = range.iter().position(|&b| b == b'-')?;
    if !(hex(&range[..dash])?..hex(&range[dash + 1..])?).contains(&address) {
        return None;
    }
    let path = &line[line.iter().position(|&b| b == b'/')?..];
    // A line break is all that the kernel escapes here.
    let mut unescaped = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = rest.strip_prefix(b"\\012");
        unescaped.push(if escaped.is_some() { b'\n' } else { first });
        rest = escaped.unwrap_or(tail);
    }
    Some(PathBuf::from(std::ffi::OsString::from_vec(unescaped)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_memory_map() {
        let line = b"1000-2000 r-xp 00000000 08:01 55                    /opt/a b\\012c (deleted)";
        assert_eq!(path_in_line(line, 0x1fff), Some(PathBuf::from("/opt/a b\nc (deleted)")));
        assert_eq!(path_in_line(line, 0x2000), None);
        assert_eq!(path_in_line(b"1000-2000 rw-p 00000000 00:00 0", 0x1000), None);
        assert_eq!(path_in_line(b"", 0), None);
    }

    #[test]
    fn this_program_is_a_file() {
        let path = program_path().unwrap();
        assert!(path.is_absolute() && is_same_file(&path, Path::new(LINK)));
        assert!(
            !is_same_file(&path, Path::new("/")) && !is_same_file(Path::new("/none"), Path::new("/none"))
        );
        assert!(link_is_program(elf::program_start()) && link_is_program(None));
    }
}
