//! What tells one object file from others, and from other builds of itself; also of a file that is not loaded, without
//! running anything of it.

use std::fs::File;
use std::mem::{offset_of, size_of};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

/// By what a file is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// The linker's build id: the first bytes, and how many they are.
    BuildId([u8; MAX_ID], u8),
    /// Device, inode, size, and time of change in seconds and nanoseconds.
    File([u64; 5]),
}

/// Longer build ids, and such as are too short to tell files apart, do not count.
pub(super) const MAX_ID: usize = 32;
pub(super) const MIN_ID: usize = 8;

#[cfg(target_pointer_width = "64")]
pub(super) type ProgramHeader = libc::Elf64_Phdr;
#[cfg(target_pointer_width = "32")]
pub(super) type ProgramHeader = libc::Elf32_Phdr;

#[cfg(target_pointer_width = "64")]
type Header = libc::Elf64_Ehdr;
#[cfg(target_pointer_width = "32")]
type Header = libc::Elf32_Ehdr;

/// More notes than that no linker writes.
const MOST_NOTES: u64 = 1 << 20;

/// Finds the GNU build id among notes: each is three 32-bit numbers (length of the name, length of the content,
/// type), the name and the content, both padded.
pub(super) fn find_build_id(notes: &[u8], align: usize) -> Option<Identity> {
    const NT_GNU_BUILD_ID: u32 = 3;
    let mut rest = notes;
    loop {
        let word = |at: usize| Some(u32::from_ne_bytes(rest.get(at..at + 4)?.try_into().ok()?));
        let (name_len, len, kind) = (word(0)? as usize, word(4)? as usize, word(8)?);
        let start = name_len.checked_add(12)?.checked_next_multiple_of(align)?;
        let end = start.checked_add(len)?;
        let (name, content) = (rest.get(12..12 + name_len)?, rest.get(start..end)?);
        if kind == NT_GNU_BUILD_ID && name == b"GNU\0" && (MIN_ID..=MAX_ID).contains(&len) {
            let mut id = [0; MAX_ID];
            id[..len].copy_from_slice(content);
            return Some(Identity::BuildId(id, len as u8));
        }
        rest = rest.get(end.checked_next_multiple_of(align)?..)?;
    }
}

pub(super) fn file_identity(path: &Path) -> Option<Identity> {
    let file = std::fs::metadata(path).ok()?;
    Some(Identity::File([file.dev(), file.ino(), file.size(), file.mtime() as u64, file.mtime_nsec() as u64]))
}

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
    fn build_ids_among_notes() {
        let note = |name: &[u8], kind: u32, content: &[u8]| {
            let mut note = Vec::new();
            note.extend((name.len() as u32).to_ne_bytes());
            note.extend((content.len() as u32).to_ne_bytes());
            note.extend(kind.to_ne_bytes());
            for part in [name, content] {
                note.extend(part);
                note.resize(note.len().next_multiple_of(4), 0);
            }
            note
        };
        let id = Some(Identity::BuildId(std::array::from_fn(|at| if at < 20 { 5 } else { 0 }), 20));
        let notes =
            [note(b"GNU\0", 1, &[1; 16]), note(b"Go\0\0", 4, &[2; 83]), note(b"GNU\0", 3, &[5; 20])].concat();
        assert_eq!(find_build_id(&notes, 4), id);
        assert_eq!(find_build_id(&notes[..notes.len() - 1], 4), None);
        assert_eq!(find_build_id(&note(b"GNU\0", 3, &[5; 4]), 4), None);
        assert_eq!(find_build_id(&[0xff; 64], 4), None);
        assert_eq!(find_build_id(&[], 8), None);
    }

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
