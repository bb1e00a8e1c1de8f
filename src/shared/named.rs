//! Shared memory: bytes without a lock, under a name for unrelated programs, or without one.
//!
//! Without a name the bytes lie in a block of the arena. With one they are a file, and the object only keeps what
//! its token needs: the name, in a block, and which file it was. Nothing but `unlink` takes a file away, no death
//! either. Making one, the file comes last: killed before `linkat`, the file goes with its descriptor, and the
//! object by its entries; killed after it, the file is there, whole.

use super::memory::{self, LINE};
use crate::arena::layout::shared;
use crate::arena::{object, Arena, Block, Holder, ObjectHead, ObjectKind, Token};
use crate::error::{Error, Result, Status};
use crate::fault;
use crate::sys::prim::{AtomicU32, AtomicU64, Ordering};
use crate::sys::room;
use crate::sys::shmfile::{self, effective_uid, Directory, FileFacts, FileMap};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd};

/// What the arena knows of shared memory.
#[repr(C)]
#[derive(Debug)]
struct MemoryCell {
    head: ObjectHead,
    size: AtomicU64,
    /// The block with the bytes, or with the name.
    block: AtomicU64,
    /// The length of the name; 0 is no name.
    name: AtomicU32,
    unused: AtomicU32,
    device: AtomicU64,
    inode: AtomicU64,
}

shared!(MemoryCell);
object!(MemoryCell, head, ObjectKind::SharedMemory);

/// Where the bytes are.
#[derive(Debug)]
enum Home {
    /// In the arena, at this offset.
    Arena(u64),
    File(FileMap),
}

/// Bytes that processes share.
#[derive(Debug)]
pub struct SharedMemory {
    cell: Holder<MemoryCell>,
    home: Home,
    size: u64,
    name: CString,
}

impl SharedMemory {
    /// New memory of `size` zero bytes.
    pub fn create(name: Option<&str>, size: usize) -> Result<SharedMemory> {
        let arena = Arena::get()?;
        if size == 0 {
            return Err(Error::invalid("shared memory of 0 bytes: it has at least one"));
        }
        match name {
            Some(name) => SharedMemory::publish(arena, shmfile::file_name(name)?, size),
            None => SharedMemory::in_arena(arena, size as u64),
        }
    }

    fn in_arena(arena: &'static Arena, size: u64) -> Result<SharedMemory> {
        let block = memory::make(arena, size, LINE, None)?;
        let cell = Holder::new(arena, |cell: &MemoryCell| cell.size.store(size, Ordering::Relaxed))?;
        fault!("shared.memory:made");
        block.become_part(&cell.body().block);
        SharedMemory::of(cell)
    }

    fn publish(arena: &'static Arena, name: CString, size: usize) -> Result<SharedMemory> {
        let directory = Directory::open()?;
        let file = directory.temporary(0o600)?;
        fault!("shared.file:made");
        room::admit(size as u64)?;
        directory.back(file.as_fd(), size as u64)?;
        fault!("shared.file:backed");
        let memory = SharedMemory::around(arena, file.as_fd(), name)?;
        directory.publish(file.as_fd(), &memory.name)?;
        Ok(memory)
    }

    /// The memory that a program has put under this name.
    pub fn open(name: &str) -> Result<SharedMemory> {
        let arena = Arena::get()?;
        let name = shmfile::file_name(name)?;
        let directory = Directory::open()?;
        let file = directory.open_file(&name, effective_uid())?;
        let facts = shmfile::facts(file.as_fd())?;
        let size = usize::try_from(facts.len).ok().filter(|size| *size != 0).ok_or_else(|| {
            Error::state(format!(
                "the shared memory {name:?} has no bytes: who makes it has not yet given it a size"
            ))
        })?;
        if !facts.backed {
            room::admit(facts.len)?;
            directory.fill(file.as_fd(), size)?;
        }
        SharedMemory::around(arena, file.as_fd(), name)
    }

    /// Takes the name away; the memory goes when nobody has it mapped any more.
    pub fn unlink(name: &str) -> Result<()> {
        Directory::open()?.unlink(&shmfile::file_name(name)?, Some(effective_uid()))
    }

    /// An open file, and the object that tells of it.
    fn around(arena: &'static Arena, file: BorrowedFd<'_>, name: CString) -> Result<SharedMemory> {
        let facts = shmfile::facts(file)?;
        let map = FileMap::new(file, facts.len as usize)?;
        let block = name_block(arena, &name)?;
        let cell = Holder::new(arena, |cell: &MemoryCell| {
            cell.size.store(facts.len, Ordering::Relaxed);
            cell.name.store(name.as_bytes().len() as u32, Ordering::Relaxed);
            cell.device.store(facts.id.0, Ordering::Relaxed);
            cell.inode.store(facts.id.1, Ordering::Relaxed);
        })?;
        fault!("shared.memory:described");
        block.become_part(&cell.body().block);
        Ok(SharedMemory { cell, home: Home::File(map), size: facts.len, name })
    }

    fn of(cell: Holder<MemoryCell>) -> Result<SharedMemory> {
        let (arena, size) = (cell.arena(), cell.size.load(Ordering::Relaxed));
        let length = cell.name.load(Ordering::Relaxed);
        if length == 0 {
            let at = memory::locate(arena, &cell.body().block, size, LINE)?;
            return Ok(SharedMemory { cell, home: Home::Arena(at), size, name: CString::default() });
        }
        let at = memory::locate(arena, &cell.body().block, u64::from(length), 1)?;
        let name = CString::new(arena.read(at, u64::from(length)).to_vec())
            .map_err(|_| Error::internal("a shared memory's name is damaged"))?;
        let id = (cell.device.load(Ordering::Relaxed), cell.inode.load(Ordering::Relaxed));
        let map = SharedMemory::find_again(&name, FileFacts { id, len: size, backed: true })?;
        Ok(SharedMemory { cell, home: Home::File(map), size, name })
    }

    /// Maps the file that a token meant, if its name still stands for it.
    fn find_again(name: &CStr, meant: FileFacts) -> Result<FileMap> {
        let gone = |why: &str| Error::new(Status::Stale, format!("the shared memory {name:?} {why}"));
        let file = match Directory::open()?.open_file(name, effective_uid()) {
            Err(error) if error.status() == Status::NotFound => return Err(gone("was unlinked")),
            file => file?,
        };
        let found = shmfile::facts(file.as_fd())?;
        if found.id != meant.id {
            return Err(gone("was unlinked, and its name is another's now"));
        }
        if found.len != meant.len {
            return Err(gone(&format!("has {} bytes now, not {}", found.len, meant.len)));
        }
        FileMap::new(file.as_fd(), meant.len as usize)
    }

    /// Where it is mapped in this process: aligned to 64 bytes, with a name to a page.
    #[inline]
    pub fn data(&self) -> *mut u8 {
        match &self.home {
            Home::Arena(at) => self.cell.arena().pointer(*at),
            Home::File(map) => map.base(),
        }
    }

    /// How many bytes.
    pub fn size(&self) -> usize {
        self.size as usize
    }

    /// Its name, empty if it has none.
    pub fn name(&self) -> &CStr {
        &self.name
    }

    /// Its token.
    pub fn token(&self) -> Token {
        self.cell.token()
    }

    /// The memory that a token names.
    pub fn from_token(token: &Token) -> Result<SharedMemory> {
        SharedMemory::of(Holder::from_token(token)?)
    }
}

fn name_block(arena: &'static Arena, name: &CStr) -> Result<Block> {
    let bytes = name.to_bytes();
    memory::make(arena, bytes.len() as u64, 1, Some(bytes))
}

/// Takes apart the shared memory at `offset`. A file stays.
pub(crate) fn destroy(arena: &Arena, offset: u64) {
    memory::give_back(arena, &arena.at::<MemoryCell>(offset).block);
}
