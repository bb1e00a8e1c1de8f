//! The memory of handles: cells in one region of address space, reserved once, committed as it is needed and
//! never unmapped.

use crate::error::{Error, Result, Status};
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// What a handle points to: one cache line.
#[repr(C, align(64))]
pub(super) struct Cell {
    /// The kind of the handle; 0 if the cell is free.
    pub(super) kind: AtomicU32,
    /// A boxed core of the type that the kind says.
    pub(super) core: AtomicPtr<()>,
    /// For kinds whose commonest calls take some nanoseconds: the two parts of their [`Near`](crate::arena::Near).
    pub(super) body: AtomicPtr<()>,
    pub(super) me: AtomicPtr<AtomicU32>,
    /// Where the hand was when this cell was freed; 0 if it never was. In the first cell, which is never a
    /// handle: the length of the region.
    pub(super) freed: AtomicU64,
}

/// The kind of a cell that is no handle yet or any more: a thread is just filling or emptying it.
pub(super) const BUSY: u32 = u32::MAX;

const CELL: usize = size_of::<Cell>();
const _: () = assert!(CELL == 64);
const LARGEST: usize = 1 << 30;
const SMALLEST: usize = 1 << 20;
const FIRST: usize = 1 << 16;

/// Where the region is, and how many of its bytes are committed: a power of two. Whoever sees `limit` sees `base`,
/// so `limit` is stored last and loaded first. Both in one cache line, for every call reads them.
#[repr(C, align(64))]
struct Bounds {
    base: AtomicPtr<Cell>,
    limit: AtomicUsize,
}

static BOUNDS: Bounds = Bounds { base: AtomicPtr::new(std::ptr::null_mut()), limit: AtomicUsize::new(0) };

/// The committed cells.
#[derive(Clone, Copy)]
pub(super) struct Region {
    base: *const Cell,
    /// How many: a power of two.
    pub(super) cells: usize,
}

impl Region {
    /// The region as it is now, reserved if this is the first call.
    pub(super) fn now() -> Result<Region> {
        if BOUNDS.limit.load(Ordering::Acquire) == 0 {
            publish()?;
        }
        let cells = BOUNDS.limit.load(Ordering::Acquire) / CELL;
        Ok(Region { base: BOUNDS.base.load(Ordering::Relaxed), cells })
    }

    /// The cell at an index, taken modulo their number.
    pub(super) fn cell(self, index: u64) -> &'static Cell {
        let index = index as usize & (self.cells - 1);
        // SAFETY: the index lies within the committed cells, which are never unmapped.
        unsafe { &*self.base.add(index) }
    }

    /// Doubles what is committed, unless another thread has. False if there is no more.
    #[cold]
    pub(super) fn grow(self) -> bool {
        let committed = self.cells * CELL;
        if committed as u64 >= self.cell(0).freed.load(Ordering::Relaxed) {
            return false;
        }
        if !commit(self.base.wrapping_add(self.cells).cast_mut(), committed) {
            return false;
        }
        let _ = BOUNDS.limit.compare_exchange(committed, 2 * committed, Ordering::AcqRel, Ordering::Relaxed);
        true
    }
}

/// The cell that a pointer points to, whatever pointer it is.
#[inline]
pub(super) fn find<H>(handle: *const H) -> Option<&'static Cell> {
    if contains(handle) {
        // SAFETY: it is a whole committed cell, which is never unmapped; zeroes are a free cell.
        Some(unsafe { &*handle.cast::<Cell>() })
    } else {
        heap::find(handle)
    }
}

/// Whether a pointer points to a committed cell of the region.
#[inline(always)]
pub(super) fn contains<H>(handle: *const H) -> bool {
    let limit = BOUNDS.limit.load(Ordering::Acquire);
    let offset = (handle as usize).wrapping_sub(BOUNDS.base.load(Ordering::Relaxed) as usize);
    offset < limit && offset % CELL == 0
}

#[cold]
fn publish() -> Result<()> {
    super::guard::quiet_panics();
    let (base, length) = reserve()?;
    // SAFETY: the first cell is committed.
    let header = unsafe { &*base };
    header.kind.store(BUSY, Ordering::Relaxed);
    header.freed.store(length as u64, Ordering::Relaxed);
    if BOUNDS.base.compare_exchange(std::ptr::null_mut(), base, Ordering::AcqRel, Ordering::Acquire).is_err()
    {
        // SAFETY: another thread was first, so nobody knows this region.
        unsafe { libc::munmap(base.cast(), length) };
    }
    BOUNDS.limit.fetch_max(FIRST, Ordering::AcqRel);
    Ok(())
}

/// Reserves address space, as much as can be had, and commits its first part.
fn reserve() -> Result<(*mut Cell, usize)> {
    let mut length = 1 << LARGEST.min(address_space() / 16).max(SMALLEST).ilog2();
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    loop {
        // SAFETY: a new mapping at an address of the kernel's choice.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), length, libc::PROT_NONE, flags, -1, 0) };
        if start == libc::MAP_FAILED && length > SMALLEST {
            length /= 2;
            continue;
        }
        if start == libc::MAP_FAILED || !commit(start.cast(), FIRST) {
            let why = std::io::Error::last_os_error();
            return Err(Error::new(Status::NoMemory, format!("cannot get memory for handles: {why}")));
        }
        return Ok((start.cast(), length));
    }
}

/// The limit on this process's address space.
fn address_space() -> usize {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a live rlimit.
    match unsafe { libc::getrlimit(libc::RLIMIT_AS, &mut limit) } {
        0 => usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX),
        _ => usize::MAX,
    }
}

fn commit(start: *mut Cell, length: usize) -> bool {
    // SAFETY: the range lies in the region, which belongs to this module; what is there stays as it is.
    unsafe { libc::mprotect(start.cast(), length, libc::PROT_READ | libc::PROT_WRITE) == 0 }
}

/// Handles from malloc, for leak checkers, which do not look into mapped memory: with `MP_HANDLES=malloc` in
/// the environment. A foreign or stale handle is then not recognised but read, for the checker to see.
pub(super) mod heap {
    use super::{Cell, BUSY};
    use std::sync::atomic::{AtomicU32, Ordering};

    /// 0 not asked yet, 1 no, 2 yes.
    static WANTED: AtomicU32 = AtomicU32::new(0);

    pub(in super::super) fn wanted() -> bool {
        if WANTED.load(Ordering::Relaxed) == 0 {
            let yes = std::env::var_os("MP_HANDLES").is_some_and(|v| v == "malloc");
            WANTED.store(1 + u32::from(yes), Ordering::Relaxed);
        }
        WANTED.load(Ordering::Relaxed) == 2
    }

    pub(in super::super) fn claim() -> &'static Cell {
        let kind = AtomicU32::new(BUSY);
        Box::leak(Box::new(Cell {
            kind,
            core: Default::default(),
            body: Default::default(),
            me: Default::default(),
            freed: Default::default(),
        }))
    }

    #[cold]
    pub(super) fn find<H>(handle: *const H) -> Option<&'static Cell> {
        let plausible = !handle.is_null() && handle as usize % align_of::<Cell>() == 0;
        // SAFETY: under the test flag every handle that a correct program passes is such a cell.
        (plausible && WANTED.load(Ordering::Relaxed) == 2).then(|| unsafe { &*handle.cast::<Cell>() })
    }

    pub(in super::super) fn release<H>(handle: *mut H) {
        if WANTED.load(Ordering::Relaxed) == 2 {
            // SAFETY: under the test flag the cell came from `claim`, and nobody uses it any more.
            drop(unsafe { Box::from_raw(handle.cast::<Cell>()) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_beside_the_region_are_not_found() {
        let region = Region::now().unwrap();
        assert!(find(region.base).is_some() && find(region.base.wrapping_add(1)).is_some());
        for foreign in [region.base.wrapping_sub(1), region.base.wrapping_byte_add(8), std::ptr::null()] {
            assert!(find(foreign).is_none());
        }
        let reserved = region.cell(0).freed.load(Ordering::Relaxed) as usize / CELL;
        assert!(find(region.base.wrapping_add(reserved)).is_none());
        assert!(reserved >= SMALLEST / CELL && reserved >= region.cells);
    }
}
