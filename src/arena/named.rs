//! Named arenas: memory that unrelated programs share, found by a name.
//!
//! A named arena is a file, made whole before it gets its name (`sys::shmfile`): a creator that dies half-way leaves
//! nothing, and two creators race for the name, of whom the loser joins the winner's. Who joins takes a slot like any
//! participant, then settles whoever died in the arena since. Of programs that died everything else is left as of any
//! dead participant; the file and the named objects stay until they are removed.
//!
//! An arena that this process has opened stays mapped as long as the process lives: its objects' handles point into
//! it. Opening the same file again gives the same arena.

use super::layout::{Header, GRANULE, LAYOUT, MAGIC};
use super::map::{wanted_bytes, LEAST, MOST};
use super::participant::register_fork_handlers;
use super::slot::Slot;
use super::{existing, Arena, CREATE};
use crate::error::{Error, Result, Status};
use crate::fault;
use crate::sys::memfd::{self, SharedMap};
use crate::sys::os;
use crate::sys::prim::Ordering;
use crate::sys::shmfile::{self, Directory};
use std::ffi::{CStr, CString};
use std::mem::offset_of;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::atomic::AtomicPtr;

/// How a named arena is opened.
#[derive(Clone, Copy, Debug)]
pub struct OpenOptions {
    /// How large a new one may grow, in bytes; 0 is the default.
    pub capacity: u64,
    /// The permissions of a new one's file.
    pub mode: u32,
    /// The user to whom the file must belong.
    pub uid: u32,
    /// Refuse to make a new one.
    pub must_exist: bool,
}

/// What file names of arenas begin with.
const PREFIX: &str = "mp.";
/// How often losing the race for a name is bad luck.
const TRIES: u32 = 1000;

/// The named arena that was opened last.
static NAMED: AtomicPtr<Arena> = AtomicPtr::new(std::ptr::null_mut());

/// All arenas of this process: its family's, if there is one, and the named ones.
pub fn each_arena() -> impl Iterator<Item = &'static Arena> {
    let mut next = NAMED.load(Ordering::Acquire);
    let named = std::iter::from_fn(move || {
        // SAFETY: null, or made by Box::leak in `publish`.
        let arena: &'static Arena = unsafe { next.as_ref() }?;
        next = arena.next.load(Ordering::Acquire);
        Some(arena)
    });
    existing().into_iter().chain(named)
}

impl Arena {
    /// Opens the arena of this name, or makes it.
    pub fn open_named(name: &str, options: &OpenOptions) -> Result<&'static Arena> {
        let file = file_name(name)?;
        let directory = Directory::open()?;
        register_fork_handlers();
        let making = CREATE.lock();
        for _ in 0..TRIES {
            let arena = match directory.open_file(&file, options.uid) {
                Ok(fd) => join_file(&directory, &file, fd)?,
                Err(error) if error.status() != Status::NotFound => return Err(error),
                Err(_) if options.must_exist => return Err(no_arena(name)),
                Err(_) => match make_file(&directory, &file, options) {
                    // Another process was faster.
                    Err(error) if error.status() == Status::Exists => continue,
                    made => made?,
                },
            };
            drop(making);
            // What dead programs have left.
            arena.sweep();
            return Ok(arena);
        }
        Err(Error::internal(format!("{} comes and goes", directory.place(&file))))
    }

    /// Takes an arena's name away, and settles what dead programs have left in it, if this process has it open. Who has
    /// opened it goes on with it.
    pub fn unlink_named(name: &str) -> Result<()> {
        let (directory, file) = (Directory::open()?, file_name(name)?);
        // Of an arena that nobody uses, all goes with the name.
        if let Some(arena) = shmfile::id_of(&directory, &file).and_then(open_here) {
            if !arena.lost() {
                arena.sweep();
            }
        }
        directory.unlink(&file, None).map_err(|error| match error.status() {
            Status::NotFound => no_arena(name),
            _ => error,
        })
    }

    fn publish_named(self) -> &'static Arena {
        self.next.store(NAMED.load(Ordering::Relaxed), Ordering::Relaxed);
        let arena: &'static Arena = Box::leak(Box::new(self));
        NAMED.store(std::ptr::from_ref(arena).cast_mut(), Ordering::Release);
        arena
    }
}

fn no_arena(name: &str) -> Error {
    Error::new(Status::NotFound, format!("there is no arena {name:?}"))
}

/// The name of an arena's file.
fn file_name(name: &str) -> Result<CString> {
    let refused = |why: &str| Err(Error::invalid(format!("the name of an arena, {name:?}, {why}")));
    let most = shmfile::LONGEST - PREFIX.len();
    match name {
        "" => refused("is empty"),
        _ if name.contains('/') => refused("has a '/' inside"),
        _ if name.len() > most => refused(&format!("has {} bytes; the most are {most}", name.len())),
        _ => shmfile::file_name(&format!("{PREFIX}{name}")),
    }
}

/// A new arena, published.
fn make_file(directory: &Directory, file: &CStr, options: &OpenOptions) -> Result<&'static Arena> {
    if options.uid != shmfile::effective_uid() {
        let text = format!("user {} has no arena {}", options.uid, directory.place(file));
        return Err(Error::new(Status::NotFound, text));
    }
    if options.mode & !0o777 != 0 || options.mode & 0o600 != 0o600 {
        let mode = options.mode;
        let text =
            format!("mode 0{mode:o} is none for an arena: it must be in 0600 to 0777, with 0600 in it");
        return Err(Error::invalid(text));
    }
    let (fd, map) = reserve(directory, options)?;
    let arena = Arena::around(map)?;
    arena.initialise()?;
    fault!("arena.open:made");
    arena.join()?;
    directory.publish(fd.as_fd(), file)?;
    fault!("arena.open:published");
    Ok(arena.publish_named())
}

/// A file and its mapping, as large as the limits allow.
fn reserve(directory: &Directory, options: &OpenOptions) -> Result<(OwnedFd, SharedMap)> {
    let wanted = match options.capacity {
        0 => wanted_bytes()?,
        bytes if bytes > MOST => {
            return Err(Error::new(
                Status::TooLarge,
                format!("an arena of {bytes} bytes; the largest has {MOST}"),
            ))
        }
        bytes => bytes.max(LEAST),
    };
    let mut len = wanted.next_multiple_of(GRANULE);
    let largest = memfd::limits().largest();
    loop {
        let made = if len > largest {
            let text = format!("an arena of {len} bytes is more than the limits allow ({largest})");
            Err(Error::new(Status::NoMemory, text))
        } else {
            map_new_file(directory, options.mode, len)
        };
        match made {
            // What the caller asked for is not made smaller behind its back.
            Err(_) if options.capacity == 0 && len / 2 >= LEAST => len = len / 2 / GRANULE * GRANULE,
            result => return result,
        }
    }
}

fn map_new_file(directory: &Directory, mode: u32, len: u64) -> Result<(OwnedFd, SharedMap)> {
    let fd = directory.temporary(mode)?;
    directory.resize(fd.as_fd(), len)?;
    let copy = fd.try_clone().map_err(|_| Error::system("duplicating a descriptor"))?;
    Ok((fd, SharedMap::attach(copy, len as usize)?))
}

/// Joins the arena in a file that was found.
fn join_file(directory: &Directory, file: &CStr, fd: OwnedFd) -> Result<&'static Arena> {
    let path = || directory.place(file);
    let Some(stat) = os::stat_of(fd.as_raw_fd()) else {
        return Err(Error::system(format_args!("fstat of {}", path())));
    };
    if let Some(open) = open_here((stat.st_dev, stat.st_ino)) {
        return if open.lost() { Err(super::map::lost()) } else { Ok(open) };
    }
    let capacity = check_header(&fd, &path, stat.st_size as u64)?;
    let arena = Arena::around(SharedMap::attach(fd, capacity as usize)?)?;
    arena.check()?;
    arena.join()?;
    fault!("arena.open:joined");
    Ok(arena.publish_named())
}

/// The arena in this file, if this process has it open.
fn open_here(file: (u64, u64)) -> Option<&'static Arena> {
    named_arenas().find(|arena| arena.map().file() == file)
}

fn named_arenas() -> impl Iterator<Item = &'static Arena> {
    let family = existing();
    each_arena().filter(move |arena| !family.is_some_and(|f| std::ptr::eq(f, *arena)))
}

/// Whether the file is an arena that this process can take part in; its capacity. Read, not mapped: a page that has
/// no memory behind it must not be touched.
fn check_header(fd: &OwnedFd, path: &impl Fn() -> String, size: u64) -> Result<u64> {
    let mut bytes = [0u8; 256];
    const { assert!(offset_of!(Header, classes) <= 256) };
    let read = shmfile::read_start(fd.as_fd(), &mut bytes);
    let word = |at: usize| u64::from_ne_bytes(std::array::from_fn(|i| bytes[at + i]));
    let half = |at: usize| u32::from_ne_bytes(std::array::from_fn(|i| bytes[at + i]));
    if read < bytes.len() || word(offset_of!(Header, magic)) != MAGIC {
        return Err(Error::invalid(format!("{} is not an arena", path())));
    }
    let (layout, slot) = (half(offset_of!(Header, layout)), half(offset_of!(Header, slot_size)));
    if layout != LAYOUT || slot as usize != size_of::<Slot>() {
        let (mine, text) = (size_of::<Slot>(), path());
        return Err(Error::new(
            Status::Unsupported,
            format!("{text} has layout {layout}/{slot}, this library {LAYOUT}/{mine}"),
        ));
    }
    let capacity = word(offset_of!(Header, capacity));
    if capacity > size || !(LEAST..=MOST).contains(&capacity) {
        return Err(Error::invalid(format!("{} was cut: it has {size} bytes, not {capacity}", path())));
    }
    for (at, kind, what) in [
        (offset_of!(Header, pid_namespace), c"/proc/thread-self/ns/pid", "pid"),
        (offset_of!(Header, time_namespace), c"/proc/thread-self/ns/time", "time"),
    ] {
        let (theirs, mine) = (word(at), shmfile::namespace(kind));
        if theirs != mine && theirs != 0 && mine != 0 {
            let text = format!(
                "{} was made in another {what} namespace, in which this process's numbers mean nothing",
                path()
            );
            return Err(Error::new(Status::Unsupported, text));
        }
    }
    Ok(capacity)
}

/// The process of this number, a child of this one, has ended: settles it in the named arenas, which it may have
/// opened by itself.
pub(super) fn bury_in_named(pid: i32) {
    named_arenas().filter(|arena| !arena.lost()).for_each(|arena| arena.sweep_process(pid));
}
