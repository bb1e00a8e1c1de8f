//! Object files that are not loaded: what tells one build from another, read without running anything of it.

use super::elf::{find_build_id, Identity, ProgramHeader};
use std::fs::File;
use std::mem::{offset_of, size_of};
use std::os::unix::fs::FileExt;
use std::path::Path;

#[cfg(target_pointer_width = "64")]
type Header = libc::Elf64_Ehdr;
#[cfg(target_pointer_width = "32")]
type Header = libc::Elf32_Ehdr;

/// More notes than that no linker writes.
const MOST_NOTES: u64 = 1 << 20;

/// The build id of an object file of this machine's kind; `None` if there is none, or no such file.
pub(super) fn build_id_of(path: &Path) -> Option<Identity> {
    let file = File::open(path).ok()?;
    let read = |at: u64, len: usize| {
        let mut bytes = vec![0; len];
        file.read_exact_at(&mut bytes, at).ok().map(|()| bytes)
    };
    let header = read(0, size_of::<Header>())?;
    if header[..4] != *b"\x7fELF" || usize::from(header[4]) != size_of::<usize>() / 4 {
        return None;
    }
    let table = number(&header, offset_of!(Header, e_phoff), size_of::<usize>())?;
    let size = number(&header, offset_of!(Header, e_phentsize), 2)?;
    let count = number(&header, offset_of!(Header, e_phnum), 2)?;
    (0..count).find_map(|at| {
        let entry = read(table.checked_add(at * size)?, size_of::<ProgramHeader>())?;
        let word = |offset: usize| number(&entry, offset, size_of::<usize>());
        let kind = number(&entry, offset_of!(ProgramHeader, p_type), 4)?;
        let len = word(offset_of!(ProgramHeader, p_filesz))?;
        if kind != u64::from(libc::PT_NOTE) || len > MOST_NOTES {
            return None;
        }
        let notes = read(word(offset_of!(ProgramHeader, p_offset))?, len as usize)?;
        find_build_id(&notes, if word(offset_of!(ProgramHeader, p_align))? == 8 { 8 } else { 4 })
    })
}

/// The number of so many bytes at a place.
fn number(bytes: &[u8], at: usize, size: usize) -> Option<u64> {
    let field = bytes.get(at..at.checked_add(size)?)?;
    let mut wide = [0; 8];
    match cfg!(target_endian = "little") {
        true => wide.get_mut(..size)?.copy_from_slice(field),
        false => wide.get_mut(8usize.checked_sub(size)?..)?.copy_from_slice(field),
    }
    Some(u64::from_ne_bytes(wide))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::elf::locate;
    use proptest::prelude::*;
    use std::ffi::c_void;

    #[test]
    fn a_file_has_the_build_id_of_what_was_loaded_from_it() {
        let place = locate(libc::getpid as *const c_void).unwrap();
        assert!(place.has_build_id(), "{place:?}");
        assert_eq!(build_id_of(&place.path), Some(place.identity));
    }

    #[test]
    fn other_files_have_none() {
        for path in ["/", "/nowhere", "/dev/null", "/etc/passwd", "/proc/self/maps"] {
            assert_eq!(build_id_of(Path::new(path)), None, "{path}");
        }
    }

    proptest! {
        #[test]
        fn damaged_files_are_read_or_refused(cut in 0usize..2000, at in 0usize..600, byte in any::<u8>()) {
            let whole = std::fs::read(locate(libc::getpid as *const c_void).unwrap().path).unwrap();
            let mut bytes = whole[..whole.len().min(4000) - cut].to_vec();
            bytes[at] = byte;
            let path = std::env::temp_dir().join(format!("mp-elf-file-{}", std::process::id()));
            std::fs::write(&path, &bytes).unwrap();
            let _ = build_id_of(&path);
            std::fs::remove_file(&path).unwrap();
        }
    }
}
