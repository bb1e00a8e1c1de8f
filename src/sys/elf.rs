//! Where a function lives: in which loaded object and how far into it, so that another process that runs the same
//! files finds it, wherever they are loaded there.

use super::elf_file::{build_id_of, file_identity, find_build_id, Identity, ProgramHeader, MAX_ID, MIN_ID};
use super::loader;
use super::procfs;
use super::program::{mapped_path, program_path};
use crate::error::{Error, Result, Status};
use std::ffi::{c_int, c_void, CStr, CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// A place in the code of a loaded object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which object.
    pub identity: Identity,
    /// How far into it, as its own addresses count.
    pub offset: u64,
    /// Its path: for messages, and to load it where it is not loaded.
    pub path: PathBuf,
}

/// A loaded object, as the loader lists it.
pub(super) struct Object<'a> {
    pub(super) base: u64,
    name: &'a CStr,
    headers: &'a [ProgramHeader],
    /// How many objects the process has ever loaded, and unloaded.
    pub(super) loads: u64,
    pub(super) unloads: u64,
}

/// Addresses and sizes as 64 bits, whatever the pointers have.
fn wide(number: impl Into<u64>) -> u64 {
    number.into()
}

/// Calls `see` with each loaded object, the program first, until it answers something.
pub(super) fn find_object<R>(see: impl FnMut(&Object<'_>) -> Option<R>) -> Option<R> {
    struct Search<F, R>(F, Option<R>);

    unsafe extern "C" fn visit<R, F: FnMut(&Object<'_>) -> Option<R>>(
        info: *mut libc::dl_phdr_info,
        _size: libc::size_t,
        search: *mut c_void,
    ) -> c_int {
        // SAFETY: the loader passes a live record, and `search` is what `find_object` handed in; the name and the
        // headers live as long as the object, which can't be unloaded during the call.
        let (search, object) = unsafe {
            let info = &*info;
            let name = if info.dlpi_name.is_null() { c"" } else { CStr::from_ptr(info.dlpi_name) };
            let headers = match info.dlpi_phnum {
                0 => &[],
                n => std::slice::from_raw_parts(info.dlpi_phdr, usize::from(n)),
            };
            let (loads, unloads) = (info.dlpi_adds, info.dlpi_subs);
            let object = Object { base: wide(info.dlpi_addr), name, headers, loads, unloads };
            (&mut *search.cast::<Search<F, R>>(), object)
        };
        search.1 = (search.0)(&object);
        c_int::from(search.1.is_some())
    }

    fn go<R, F: FnMut(&Object<'_>) -> Option<R>>(mut search: Search<F, R>) -> Option<R> {
        // SAFETY: `visit` gets the search that it expects, which outlives the call.
        loader::reading(|| unsafe {
            libc::dl_iterate_phdr(Some(visit::<R, F>), (&raw mut search).cast());
        });
        search.1
    }

    go(Search(see, None))
}

impl Object<'_> {
    fn segments(&self, kind: u32, flags: u32) -> impl Iterator<Item = &ProgramHeader> {
        self.headers.iter().filter(move |h| h.p_type == kind && h.p_flags & flags == flags)
    }

    /// Whether the `len` bytes at `offset` lie in a segment that has these flags.
    fn holds(&self, offset: u64, len: u64, flags: u32) -> bool {
        self.segments(libc::PT_LOAD, flags).any(|segment| {
            let (start, size) = (wide(segment.p_vaddr), wide(segment.p_memsz));
            offset >= start && len <= size && offset - start <= size - len
        })
    }

    /// The offset of an address in this object's code.
    pub(super) fn code_offset(&self, address: u64) -> Option<u64> {
        let offset = address.wrapping_sub(self.base);
        self.holds(offset, 1, libc::PF_X).then_some(offset)
    }

    fn build_id(&self) -> Option<Identity> {
        let notes = self.segments(libc::PT_NOTE, 0).filter(|segment| {
            self.holds(wide(segment.p_vaddr), wide(segment.p_memsz), libc::PF_R) && segment.p_memsz > 0
        });
        notes.into_iter().find_map(|segment| {
            let start = self.base.wrapping_add(wide(segment.p_vaddr)) as *const u8;
            // SAFETY: the bytes lie in a readable segment of an object that is loaded, and notes never change.
            let bytes = unsafe { std::slice::from_raw_parts(start, segment.p_memsz as usize) };
            find_build_id(bytes, if segment.p_align == 8 { 8 } else { 4 })
        })
    }

    fn identity(&self) -> Option<Identity> {
        self.build_id().or_else(|| file_identity(&self.path()?).filter(|file| self.is_file(file)))
    }

    /// Whether this is still the file that is loaded: another may have taken its place.
    fn is_file(&self, file: &Identity) -> bool {
        let mapped = self.first_byte().and_then(|start| procfs::mapping_at(start as *const u8));
        match (file, mapped) {
            (Identity::File(numbers), Some((_, inode))) => numbers[1] == inode,
            _ => true,
        }
    }

    fn path(&self) -> Option<PathBuf> {
        let name = self.name.to_bytes();
        match name.first() {
            // Its file may have gone: then the path only says what is meant.
            None => program_path().ok().or_else(|| mapped_path(self.first_byte()?)),
            Some(b'/') => Some(PathBuf::from(OsStr::from_bytes(name))),
            // Relative to what was the working directory when it was loaded.
            Some(_) => mapped_path(self.first_byte()?),
        }
    }

    fn first_byte(&self) -> Option<u64> {
        let segment = self.segments(libc::PT_LOAD, libc::PF_R).next()?;
        Some(self.base.wrapping_add(wide(segment.p_vaddr)))
    }
}

/// Where a function lives; `None` for an address that lies in the code of no loaded object.
pub fn locate(function: *const c_void) -> Option<Place> {
    find_object(|object| {
        let offset = object.code_offset(function as u64)?;
        Some(object.identity().zip(object.path()).map(|(identity, path)| Place { identity, offset, path }))
    })?
}

/// How many objects this process has ever loaded: while the number stays, an address found by [`locate`] is in an
/// object that was loaded before.
pub fn loaded_count() -> u64 {
    find_object(|object| Some(object.loads)).unwrap_or(0)
}

/// Where this program's file is mapped.
pub(super) fn program_start() -> Option<u64> {
    find_object(|object| Some(object.first_byte())).flatten()
}

impl Place {
    /// Whether the object is known by its build id, which never changes, rather than by its file.
    pub fn has_build_id(&self) -> bool {
        matches!(self.identity, Identity::BuildId(..))
    }

    /// The address of this place in this process, if the object is loaded and has code there. Of several copies
    /// of the object the one of the same path counts.
    pub fn resolve(&self) -> Option<*const c_void> {
        let first = self.resolve_where(|_| true);
        let mut seen = 0;
        let second = self.resolve_where(|_| {
            seen += 1;
            seen == 2
        });
        // To find an object's path reads files: only where it matters.
        if second.is_none() {
            return first;
        }
        self.resolve_where(|object| object.path().is_some_and(|path| path == self.path)).or(first)
    }

    fn resolve_where(&self, mut fits: impl FnMut(&Object<'_>) -> bool) -> Option<*const c_void> {
        find_object(|object| {
            if !object.holds(self.offset, 1, libc::PF_X) || !self.names(object) || !fits(object) {
                return None;
            }
            Some(object.base.wrapping_add(self.offset) as *const c_void)
        })
    }

    fn names(&self, object: &Object<'_>) -> bool {
        match self.identity {
            Identity::BuildId(..) => object.build_id() == Some(self.identity),
            Identity::File(_) => object.build_id().is_none() && object.identity() == Some(self.identity),
        }
    }

    /// As [`Place::resolve`], loading the object when it is not loaded, as a plug-in is not in a fresh process.
    pub fn resolve_or_load(&self) -> Result<*const c_void> {
        if let Some(address) = self.resolve() {
            return Ok(address);
        }
        if self.is_in_its_file() {
            if let Some(address) = self.load() {
                return Ok(address);
            }
        }
        Err(Error::new(Status::NotFound, format!("the function at {self} does not exist in this program: that file is not there, or is another build")))
    }

    /// Whether the file at the path is this build: what another would do when it is loaded nobody knows.
    fn is_in_its_file(&self) -> bool {
        let found = match self.identity {
            Identity::BuildId(..) => build_id_of(&self.path),
            Identity::File(_) => file_identity(&self.path),
        };
        found == Some(self.identity)
    }

    /// Loads the object, for good if the place is in it.
    fn load(&self) -> Option<*const c_void> {
        let path = CString::new(self.path.as_os_str().as_bytes()).ok()?;
        // SAFETY: loading runs the object's initialisers, as it did in the process that sent the place.
        let object = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        if object.is_null() {
            return None;
        }
        let found = self.resolve();
        if found.is_none() {
            // SAFETY: the handle is from just above, and nothing of the object is in use here.
            unsafe { libc::dlclose(object) };
        }
        found
    }

    /// Writes it as bytes: kind, length of the identity, identity, offset, path.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match &self.identity {
            Identity::BuildId(id, len) => {
                out.extend([0, *len]);
                out.extend(&id[..usize::from(*len)]);
            }
            Identity::File(numbers) => {
                out.extend([1, 40]);
                numbers.iter().for_each(|number| out.extend(number.to_le_bytes()));
            }
        }
        out.extend(self.offset.to_le_bytes());
        out.extend(self.path.as_os_str().as_bytes());
    }

    /// Reads what [`Place::encode`] wrote; `None` for anything else.
    pub fn decode(bytes: &[u8]) -> Option<Place> {
        let (&[kind, len], rest) = bytes.split_first_chunk::<2>()?;
        let (id, rest) = rest.split_at_checked(usize::from(len))?;
        let identity = match kind {
            0 if (MIN_ID..=MAX_ID).contains(&id.len()) => {
                let mut padded = [0; MAX_ID];
                padded[..id.len()].copy_from_slice(id);
                Identity::BuildId(padded, len)
            }
            1 if id.len() == 40 => {
                let mut numbers = [0; 5];
                for (number, bytes) in numbers.iter_mut().zip(id.chunks_exact(8)) {
                    *number = u64::from_le_bytes(bytes.try_into().ok()?);
                }
                Identity::File(numbers)
            }
            _ => return None,
        };
        let (offset, path) = rest.split_first_chunk::<8>()?;
        if path.is_empty() || path.len() >= libc::PATH_MAX as usize || path.contains(&0) {
            return None;
        }
        let path = PathBuf::from(OsStr::from_bytes(path));
        Some(Place { identity, offset: u64::from_le_bytes(*offset), path })
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#x} in {}", self.offset, self.path.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn somewhere() {}

    #[test]
    fn functions_of_the_program_and_of_libraries_are_found_again() {
        let functions =
            [somewhere as *const c_void, libc::strtol as *const c_void, libc::getpid as *const c_void];
        for function in functions {
            let place = locate(function).unwrap();
            assert_eq!(place.resolve(), Some(function));
            let mut bytes = Vec::new();
            place.encode(&mut bytes);
            assert_eq!(Place::decode(&bytes).unwrap().resolve_or_load().unwrap(), function);
        }
        assert_eq!(locate(somewhere as *const c_void).unwrap().path, std::env::current_exe().unwrap());
    }

    #[test]
    fn what_is_not_code_is_refused() {
        static DATA: u32 = 7;
        let on_stack = 0u8;
        for address in
            [(&raw const DATA).cast(), (&raw const on_stack).cast(), std::ptr::null(), usize::MAX as _]
        {
            assert_eq!(locate(address), None);
        }
        let mut place = locate(somewhere as *const c_void).unwrap();
        place.offset = u64::MAX;
        assert_eq!(place.resolve(), None);
        assert_eq!(place.resolve_or_load().unwrap_err().status(), Status::NotFound);
    }

    #[test]
    fn another_build_is_refused() {
        let mut place = locate(somewhere as *const c_void).unwrap();
        place.identity = Identity::BuildId([9; MAX_ID], 20);
        assert_eq!(place.resolve(), None);
        place.identity = Identity::File([0; 5]);
        assert_eq!(place.resolve(), None);
    }

    #[test]
    fn files_without_a_build_id_are_known_by_their_stat() {
        let path = program_path().unwrap();
        let place = Place { identity: file_identity(&path).unwrap(), offset: 0, path };
        let mut bytes = Vec::new();
        place.encode(&mut bytes);
        assert_eq!(Place::decode(&bytes), Some(place));
    }

    #[test]
    fn loading_raises_the_count() {
        assert!(loaded_count() > 0);
    }

    proptest! {
        #[test]
        fn any_bytes_are_decoded_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            if let Some(place) = Place::decode(&bytes) {
                let mut again = Vec::new();
                place.encode(&mut again);
                prop_assert_eq!(again, bytes);
            }
        }
    }
}
