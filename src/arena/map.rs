//! The mapping: making, joining and addressing the arenas of this process: its family's, and the named ones that it
//! has opened (`named.rs`).

use super::layout::{
    Header, Regions, Shared, CLASSES, CLASS_SIZES, GRANULE, LAYOUT, MAGIC, SLOTS, SLOT_SIZE,
};
use super::participant::register_fork_handlers;
use super::slot::{Owner, Slot};
use crate::error::{Error, Result, Status};
use crate::sys::descriptors::Place;
use crate::sys::fork::LocalLock;
use crate::sys::memfd::{self, SharedMap};
use crate::sys::prim::{fence, AtomicU32, AtomicU64, Futex, Ordering};
use crate::sys::{procfs, shmfile};
use std::os::fd::OwnedFd;
use std::sync::atomic::AtomicPtr;

pub(super) const LEAST: u64 = 64 << 20;
pub(super) const MOST: u64 = 64 << 30;

/// What a process keeps beside the arena: guarded by one lock, which also admits one journal operation at a time.
#[derive(Debug)]
pub(crate) struct Tables {
    /// Free entries of the held table below `next`.
    pub(crate) free: Vec<u32>,
    pub(crate) next: u32,
    /// The slab of each class in which this process found a block last.
    pub(crate) last_slab: [u32; CLASSES],
    /// Which entries are permits of which robust semaphore.
    pub(crate) permits: super::permit::Permits,
}

/// The arena of this process.
#[derive(Debug)]
pub struct Arena {
    map: SharedMap,
    regions: Regions,
    /// See [`Arena::file`]: whether it was looked up, the device and the inode.
    file: (AtomicU32, AtomicU64, AtomicU64),
    /// On a page that fork wipes: this process's owner bits.
    me: &'static AtomicU32,
    pub(crate) tables: LocalLock<Tables>,
    /// The slot that the prepare handler made for the child of the fork under way, as an owner word; 0 if none.
    pub(super) prepared: AtomicU32,
    /// So many children more, and it is time to look for the dead: see `Arena::tidy`.
    pub(super) children_to_go: AtomicU32,
    /// When that was done last, in nanoseconds on the monotonic clock.
    pub(super) tidied: AtomicU64,
    /// The named arena that was opened before this one.
    pub(super) next: AtomicPtr<Arena>,
}

// SAFETY: the mapping is shared memory that is only reached through atomics and raw pointers; the rest is Sync.
unsafe impl Sync for Arena {}
// SAFETY: as above; nothing in it belongs to a thread.
unsafe impl Send for Arena {}

static ARENA: AtomicPtr<Arena> = AtomicPtr::new(std::ptr::null_mut());
/// Admits one thread at a time to making the arena.
#[link_section = "mp_fork_data"]
pub(crate) static CREATE: LocalLock<()> = LocalLock::new(());

/// The arena, if there is one.
#[inline]
pub(crate) fn existing() -> Option<&'static Arena> {
    let arena = ARENA.load(Ordering::Acquire);
    // SAFETY: the pointer is null or was made by Box::leak.
    unsafe { arena.as_ref() }
}

/// How much of an arena is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of blocks and objects.
    pub bytes: u64,
    /// Objects.
    pub objects: u64,
    /// Blocks.
    pub blocks: u64,
}

impl Arena {
    /// This process's arena, made at the first call.
    #[inline]
    pub fn get() -> Result<&'static Arena> {
        match existing() {
            Some(arena) if !arena.lost() => Ok(arena),
            Some(_) => Err(lost()),
            None => Arena::make(),
        }
    }

    /// This process's arena, if one was made.
    pub fn if_made() -> Option<&'static Arena> {
        existing().filter(|arena| !arena.lost())
    }

    #[cold]
    fn make() -> Result<&'static Arena> {
        // First, so that another thread's fork waits until the arena is whole.
        register_fork_handlers();
        let _making = CREATE.lock();
        if let Some(arena) = existing() {
            return Ok(arena);
        }
        let wanted = wanted_bytes()?;
        let map = SharedMap::reserve(c"libmp", wanted as usize, LEAST as usize)?;
        let arena = Arena::around(map)?;
        arena.initialise()?;
        arena.join()?;
        Ok(arena.publish())
    }

    /// Joins the arena behind `file`, in which this process's parent made the slot `owner` for it.
    pub fn attach(file: OwnedFd, capacity: u64, owner: Owner) -> Result<&'static Arena> {
        register_fork_handlers();
        let _making = CREATE.lock();
        if existing().is_some() {
            return Err(Error::state("this process already has an arena"));
        }
        let arena = Arena::around(SharedMap::attach(file, capacity as usize)?)?;
        arena.check()?;
        if !arena.take_over(owner) {
            return Err(lost());
        }
        Ok(arena.publish())
    }

    pub(super) fn around(map: SharedMap) -> Result<Arena> {
        let page = memfd::wipe_on_fork_page()?;
        // SAFETY: the page is zeroed, aligned and lives for ever, and only this reference is made to it.
        let me = unsafe { page.cast::<AtomicU32>().as_ref() };
        let tables =
            Tables { free: Vec::new(), next: 0, last_slab: [0; CLASSES], permits: Default::default() };
        Ok(Arena {
            regions: Regions::of(map.len() as u64),
            file: Default::default(),
            map,
            me,
            tables: LocalLock::new(tables),
            prepared: AtomicU32::new(0),
            children_to_go: AtomicU32::new(0),
            tidied: AtomicU64::new(0),
            next: AtomicPtr::new(std::ptr::null_mut()),
        })
    }

    fn publish(self) -> &'static Arena {
        let arena: &'static Arena = Box::leak(Box::new(self));
        ARENA.store(std::ptr::from_ref(arena).cast_mut(), Ordering::Release);
        arena
    }

    pub(super) fn initialise(&self) -> Result<()> {
        let bitmap = self.capacity() / super::layout::CHUNK / 8 + 8;
        // The bitmap of what is backed comes first: it lies behind what it describes.
        self.map.back(self.regions.backed as usize, bitmap as usize)?;
        self.map.back(0, size_of::<Header>())?;
        self.back(0, size_of::<Header>() as u64)?;
        self.back(self.regions.backed, bitmap)?;
        let header = self.header();
        let mut random = [0u8; 16];
        crate::sys::random::fill(&mut random)?;
        for (word, bytes) in header.id.iter().zip(random.chunks_exact(8)) {
            word.store(u64::from_ne_bytes(std::array::from_fn(|i| bytes[i])), Ordering::Relaxed);
        }
        header.layout.store(LAYOUT, Ordering::Relaxed);
        header.slot_size.store(size_of::<Slot>() as u32, Ordering::Relaxed);
        header.capacity.store(self.capacity(), Ordering::Relaxed);
        header.granules.store(self.regions.granules, Ordering::Relaxed);
        header.slots_used.store(1, Ordering::Relaxed);
        header.pid_namespace.store(shmfile::namespace(c"/proc/thread-self/ns/pid"), Ordering::Relaxed);
        header.time_namespace.store(shmfile::namespace(c"/proc/thread-self/ns/time"), Ordering::Relaxed);
        header.magic.store(MAGIC, Ordering::Release);
        Ok(())
    }

    pub(super) fn check(&self) -> Result<()> {
        let header = self.header();
        if header.magic.load(Ordering::Acquire) != MAGIC {
            return Err(Error::invalid("the file is not an arena"));
        }
        let (layout, size) =
            (header.layout.load(Ordering::Relaxed), header.slot_size.load(Ordering::Relaxed));
        if layout != LAYOUT || size as usize != size_of::<Slot>() {
            return Err(Error::new(
                Status::Unsupported,
                format!("the arena has layout {layout}/{size}, this library {LAYOUT}/{}", size_of::<Slot>()),
            ));
        }
        if header.capacity.load(Ordering::Relaxed) != self.capacity() {
            return Err(Error::invalid("the file is another arena, or was cut"));
        }
        Ok(())
    }

    /// Runs `f` with the tables that a fork handler holds.
    pub(crate) fn with_held_tables<R>(&self, f: impl FnOnce(&mut Tables) -> R) -> R {
        // SAFETY: only called by the prepare handler, between its hold_over_fork and the release.
        f(unsafe { self.tables.held() })
    }

    /// Who this process is.
    #[inline]
    pub fn me(&self) -> Owner {
        Owner::of_word(self.me.load(Ordering::Relaxed))
    }

    /// The word that says who this process is: its owner bits, 0 if it has no slot.
    pub(crate) fn my_word(&self) -> &'static AtomicU32 {
        self.me
    }

    pub(crate) fn set_me(&self, owner: Owner) {
        // Whoever sees a word that names this process must see its slot in use: not every exchange says so.
        fence(Ordering::SeqCst);
        self.me.store(owner.bits(), Ordering::Relaxed);
    }

    /// Whether this process has no slot: a raw clone, or a child that came too late.
    #[inline]
    pub fn lost(&self) -> bool {
        self.me.load(Ordering::Relaxed) == 0
    }

    pub(crate) fn my_slot_number(&self) -> u32 {
        self.me().slot()
    }

    pub(crate) fn my_slot(&self) -> &Slot {
        self.slot(self.me().slot())
    }

    pub(crate) fn slot(&self, number: u32) -> &Slot {
        self.at(self.regions.slots + u64::from(number) * SLOT_SIZE)
    }

    /// Slots from here on were never used.
    pub(crate) fn slots_used(&self) -> u32 {
        self.header().slots_used.load(Ordering::Acquire).min(SLOTS)
    }

    pub(crate) fn header(&self) -> &Header {
        self.at(0)
    }

    pub(crate) fn regions(&self) -> &Regions {
        &self.regions
    }

    pub(crate) fn map(&self) -> &SharedMap {
        &self.map
    }

    /// The device and inode of the arena's file as memory maps show them, if this process could read its own.
    /// It is looked up when it is first needed: most children never do.
    pub fn file(&self) -> Option<(u64, u64)> {
        const FOUND: u32 = 1;
        const UNKNOWN: u32 = 2;
        let (state, device, inode) = &self.file;
        if state.load(Ordering::Acquire) == 0 {
            // Not by fstat: that may answer another device, by which all others would seem to have exec'ed. Two threads
            // find the same.
            let found = procfs::mapping_at(self.map.base());
            let (d, i) = found.unwrap_or_default();
            device.store(d, Ordering::Relaxed);
            inode.store(i, Ordering::Relaxed);
            state.store(if found.is_some() { FOUND } else { UNKNOWN }, Ordering::Release);
        }
        let found = state.load(Ordering::Acquire) == FOUND;
        found.then(|| (device.load(Ordering::Relaxed), inode.load(Ordering::Relaxed)))
    }

    /// Whether this process is known to have the arena's file mapped nowhere else.
    pub(super) fn is_mapped_once(&self) -> bool {
        let from = self.map.base() as u64;
        let own = from..from + self.capacity();
        self.file().is_some_and(|file| procfs::is_mapped_outside(file, own) == Some(false))
    }

    /// The arena's descriptor, if the host has not closed it.
    pub fn descriptor(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        self.map.descriptor()
    }

    /// In a child with one thread: moves the descriptor if a place has its number.
    pub fn make_way(&self, places: &[Place]) -> Result<()> {
        self.map.make_way(places)
    }

    /// The reserved size in bytes.
    #[inline(always)]
    pub fn capacity(&self) -> u64 {
        self.map.len() as u64
    }

    pub(crate) fn id(&self) -> u64 {
        self.header().id[0].load(Ordering::Relaxed)
    }

    pub(crate) fn key(&self) -> u64 {
        self.header().id[1].load(Ordering::Relaxed)
    }

    /// The struct at `offset`.
    ///
    /// # Panics
    /// If it does not lie in the arena, aligned: the offset was damaged.
    #[inline(always)]
    pub fn at<T: Shared>(&self, offset: u64) -> &T {
        let size = size_of::<T>() as u64;
        let aligned = offset % align_of::<T>() as u64 == 0;
        assert!(aligned && offset <= self.capacity() - size, "an offset outside the arena: {offset:#x}");
        // SAFETY: in bounds and aligned by the line above; the mapping lives as long as the arena, which is never
        // dropped; T is valid for every bit pattern and consists of atomics, so sharing it is sound.
        unsafe { &*self.map.base().add(offset as usize).cast::<T>() }
    }

    /// The `n` structs that begin at `offset`.
    ///
    /// # Panics
    /// As [`Arena::at`].
    pub fn slice_at<T: Shared>(&self, offset: u64, n: usize) -> &[T] {
        let end = (n as u64).checked_mul(size_of::<T>() as u64).and_then(|size| size.checked_add(offset));
        let inside = end.is_some_and(|end| end <= self.capacity());
        let aligned = offset % align_of::<T>() as u64 == 0;
        assert!(aligned && inside, "an offset outside the arena: {offset:#x}");
        // SAFETY: as in `at`, for each of them.
        unsafe { std::slice::from_raw_parts(self.map.base().add(offset as usize).cast::<T>(), n) }
    }

    /// The address of `offset`.
    #[inline(always)]
    pub fn pointer(&self, offset: u64) -> *mut u8 {
        assert!(offset < self.capacity(), "an offset outside the arena: {offset:#x}");
        // SAFETY: in bounds.
        unsafe { self.map.base().add(offset as usize) }
    }

    /// The offset of a struct in the arena.
    #[inline(always)]
    pub(crate) fn offset_of<T>(&self, part: &T) -> u64 {
        (std::ptr::from_ref(part) as usize - self.map.base() as usize) as u64
    }

    /// The arena of this process in which a struct lies.
    pub fn around_part<T>(part: &T) -> Option<&'static Arena> {
        let address = std::ptr::from_ref(part) as usize;
        super::named::each_arena().find(|arena| {
            address.checked_sub(arena.map.base() as usize).is_some_and(|offset| offset < arena.map.len())
        })
    }

    /// The offset of a word, if it lies in the arena.
    pub(crate) fn find_offset(&self, word: &Futex) -> Option<u64> {
        let offset = (std::ptr::from_ref(word) as usize).checked_sub(self.map.base() as usize)? as u64;
        (offset < self.capacity()).then_some(offset)
    }

    /// Zeroes memory that nobody else uses.
    pub(crate) fn zero(&self, offset: u64, length: u64) {
        assert!(offset.checked_add(length).is_some_and(|end| end <= self.capacity()));
        // SAFETY: in bounds; the caller alone uses the memory.
        unsafe { std::ptr::write_bytes(self.pointer(offset), 0, length as usize) };
    }

    /// Copies bytes into memory that this process alone uses.
    #[inline(always)]
    pub fn write(&self, offset: u64, bytes: &[u8]) {
        assert!(offset.checked_add(bytes.len() as u64).is_some_and(|end| end <= self.capacity()));
        // SAFETY: in bounds; the caller's bytes are not arena memory that others write, or they accept the mix.
        unsafe { std::ptr::copy(bytes.as_ptr(), self.pointer(offset), bytes.len()) };
    }

    /// Copies arena memory into `bytes`.
    #[inline(always)]
    pub fn copy_out(&self, offset: u64, bytes: &mut [u8]) {
        assert!(offset.checked_add(bytes.len() as u64).is_some_and(|end| end <= self.capacity()));
        // SAFETY: in bounds; through raw pointers, since users' data may be written meanwhile.
        unsafe { std::ptr::copy(self.map.base().add(offset as usize), bytes.as_mut_ptr(), bytes.len()) };
    }

    /// Asks for huge pages behind a range of whole ones, as far as the system has them.
    pub fn prefer_huge_pages(&self, offset: u64, length: u64) {
        self.map.prefer_huge_pages(offset as usize, length as usize);
    }

    /// The bytes at an offset, which the caller knows nobody writes while the slice lives.
    pub fn read(&self, offset: u64, length: u64) -> &[u8] {
        assert!(offset.checked_add(length).is_some_and(|end| end <= self.capacity()));
        if length == 0 {
            return &[];
        }
        // SAFETY: in bounds; the protocol of the caller's structure keeps writers away until the bytes are given
        // back.
        unsafe { std::slice::from_raw_parts(self.pointer(offset), length as usize) }
    }

    /// Counts what is in use, by looking at every block. For tests and statistics.
    pub fn usage(&self) -> Usage {
        let mut usage = Usage::default();
        self.each_block(|class, _| {
            usage.bytes += u64::from(CLASS_SIZES[class]);
            if class >= super::layout::FIRST_OBJECT_CLASS {
                usage.objects += 1;
            } else {
                usage.blocks += 1;
            }
        });
        self.each_large(|bytes| {
            usage.bytes += bytes;
            usage.blocks += 1;
        });
        usage
    }
}

pub(super) fn lost() -> Error {
    Error::state(
        "this process has no part in the arena: it was made by a raw clone, came later than ten seconds after its fork, or found no room for one process more",
    )
}

/// Whether valgrind runs this process. Its leak checker reads every mapped byte, backed or not, in each process.
fn under_memcheck() -> bool {
    std::env::var_os("LD_PRELOAD").is_some_and(|list| list.to_string_lossy().contains("vgpreload"))
}

pub(super) fn wanted_bytes() -> Result<u64> {
    let wanted = match std::env::var_os("MP_ARENA_BYTES") {
        None if under_memcheck() => LEAST,
        None => procfs::physical_memory().min(MOST),
        Some(text) => {
            text.to_str().and_then(|t| t.trim().parse::<u64>().ok()).filter(|n| *n >= LEAST).ok_or_else(
                || {
                    Error::invalid(format!(
                        "MP_ARENA_BYTES is {:?}; it must be a number of bytes, {LEAST} or more",
                        text.to_string_lossy()
                    ))
                },
            )?
        }
    };
    Ok(wanted.clamp(LEAST, MOST) / GRANULE * GRANULE)
}
