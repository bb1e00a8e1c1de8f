//! Handles: what an `mp_lock *` in a C program points to.
//!
//! Cells of 64 bytes lie in one region of address space that is reserved once and never unmapped. A cell
//! begins with its kind, so a call finds out in a few instructions whether a pointer is a live handle of the
//! kind that it wants: NULL, foreign, freed and wrong handles are errors, never crashes.
//!
//! Freed cells are found again by a hand that walks round the committed cells, and passes over those freed
//! less than half a round ago: so what was freed longest ago is reused first, and a stale handle stays
//! recognisable for long. All of it is single atomic steps without a lock, so a fork beside a thread in the
//! middle of them costs the child that one cell, and can never hang it.

use super::region::{contains, find, heap, Cell, Region, BUSY};
use crate::arena::Near;
use crate::error::{Error, Result, Status};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

macro_rules! kinds {
    ($($variant:ident $name:literal,)*) => {
        /// The kinds of handles.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u32)]
        pub enum Kind {
            /// No handle: the number of a free cell.
            Free,
            $(#[doc = $name] $variant,)*
        }

        impl Kind {
            const NAMES: &'static [&'static str] = &["", $($name),*];
        }
    };
}

kinds! {
    Buffer "mp_buffer",
    Cancel "mp_cancel",
    Process "mp_process",
    Lock "mp_lock",
    RLock "mp_rlock",
    Semaphore "mp_semaphore",
    Condition "mp_condition",
    Event "mp_event",
    Barrier "mp_barrier",
    Queue "mp_queue",
    Reservation "mp_reservation",
    Connection "mp_connection",
    Value "mp_value",
    Array "mp_array",
    SharedMemory "mp_shared_memory",
    Arena "mp_arena",
    Pool "mp_pool",
    Result "mp_result",
    Iterator "mp_iterator",
}

/// A C handle type: an empty shell whose pointers are cells that hold a `Core`.
pub trait Handle: Sized {
    /// What the handle stands for.
    type Core: Send + Sync;
    /// Its kind.
    const KIND: Kind;
    /// The core's words, to be kept in the cell; None unless the kind is [`Quick`].
    fn near(_core: &Self::Core) -> Option<Near<()>> {
        None
    }
}

/// A kind of handle whose commonest calls take some nanoseconds: [`quickly`] finds all they need in the cell itself.
///
/// # Safety
/// [`Handle::near`] answers the way to a `Body`, which stays what it is for as long as the core lives, and memory of
/// a `Body` for ever.
pub unsafe trait Quick: Handle {
    /// The words of the object.
    type Body: 'static;
}

/// Where the hand is: it only ever rises. (On a page that a fork writes in any case.)
#[link_section = "mp_fork_data"]
static HAND: AtomicU64 = AtomicU64::new(1);
#[link_section = "mp_fork_data"]
static LIVE: AtomicUsize = AtomicUsize::new(0);

/// How many handles this process has.
pub fn live() -> usize {
    LIVE.load(Ordering::Relaxed)
}

/// A cell that is to become a handle: what may be lacking is had before a call does what can't be undone.
pub struct Vacant(&'static Cell);

impl Vacant {
    /// Takes a free cell.
    pub fn new() -> Result<Vacant> {
        Ok(Vacant(if heap::wanted() { heap::claim() } else { claim()? }))
    }

    /// Puts a core into it.
    pub fn fill<H: Handle>(self, core: H::Core) -> *mut H {
        let cell = self.0;
        std::mem::forget(self);
        LIVE.fetch_add(1, Ordering::Relaxed);
        let (body, me) = H::near(&core).map_or((std::ptr::null(), std::ptr::null()), Near::into_raw);
        cell.body.store(body.cast_mut(), Ordering::Relaxed);
        cell.me.store(me.cast_mut(), Ordering::Relaxed);
        cell.core.store(Box::into_raw(Box::new(core)).cast(), Ordering::Relaxed);
        cell.kind.store(H::KIND as u32, Ordering::Release);
        std::ptr::from_ref(cell).cast_mut().cast()
    }
}

impl Drop for Vacant {
    fn drop(&mut self) {
        self.0.kind.store(Kind::Free as u32, Ordering::Release);
        heap::release(std::ptr::from_ref(self.0).cast_mut());
    }
}

/// Puts a core into a new handle.
pub fn create<H: Handle>(core: H::Core) -> Result<*mut H> {
    Ok(Vacant::new()?.fill(core))
}

/// The core of a handle. `name` is the parameter's, for the error.
///
/// # Safety
/// The handle is not freed while the answer is in use. Any pointer value is allowed.
#[inline]
pub unsafe fn get<'a, H: Handle>(handle: *const H, name: &str) -> Result<&'a H::Core> {
    match find(handle) {
        Some(cell) if cell.kind.load(Ordering::Acquire) == H::KIND as u32 => {
            // SAFETY: a cell of this kind holds a core of this type, published before its kind; it lives as
            // long as the handle, by the contract.
            Ok(unsafe { &*cell.core.load(Ordering::Relaxed).cast::<H::Core>() })
        }
        _ => Err(refuse(handle, name)),
    }
}

/// Whether `call` did all there is to do with the words behind a handle. Otherwise, and if the pointer is no handle of
/// this kind or not one of the region, the long way by [`get`] is left, which tells what is wrong.
///
/// # Safety
/// As for [`get`].
#[inline(always)]
pub unsafe fn quickly<H: Quick>(handle: *const H, call: impl FnOnce(Near<H::Body>) -> bool) -> bool {
    contains(handle) && {
        // SAFETY: a committed cell of the region, which is never unmapped.
        let cell = unsafe { &*handle.cast::<Cell>() };
        cell.kind.load(Ordering::Acquire) == H::KIND as u32 && {
            let (body, me) = (cell.body.load(Ordering::Relaxed), cell.me.load(Ordering::Relaxed));
            // SAFETY: `create` stored the two before the kind, as `H::near` answered them.
            call(unsafe { Near::from_raw(body, me) })
        }
    }
}

/// The same for signal handlers: no error is made, which would take memory.
///
/// # Safety
/// As for [`get`].
#[inline]
pub unsafe fn peek<'a, H: Handle>(handle: *const H) -> Option<&'a H::Core> {
    let cell = find(handle).filter(|cell| cell.kind.load(Ordering::Acquire) == H::KIND as u32)?;
    // SAFETY: as in `get`.
    Some(unsafe { &*cell.core.load(Ordering::Relaxed).cast::<H::Core>() })
}

/// Ends a handle and gives its core back. NULL is nothing; a pointer that is no live handle of this kind is
/// an error.
///
/// # Safety
/// No other call is using the handle.
pub unsafe fn take<H: Handle>(handle: *mut H, name: &str) -> Result<Option<Box<H::Core>>> {
    if handle.is_null() {
        return Ok(None);
    }
    // SAFETY: the contract is the same.
    let (lent, core) = unsafe { lend(handle, name) }?;
    lent.end();
    Ok(Some(core))
}

/// A handle whose core is out, for a call that ends it or gives it back.
pub struct Lent<H: Handle> {
    cell: &'static Cell,
    handle: *mut H,
}

impl<H: Handle> Lent<H> {
    /// The handle has ended.
    pub fn end(self) {
        self.cell.freed.store(HAND.load(Ordering::Relaxed), Ordering::Relaxed);
        self.cell.kind.store(Kind::Free as u32, Ordering::Release);
        LIVE.fetch_sub(1, Ordering::Relaxed);
        heap::release(self.handle);
    }

    /// The handle stands for this core, as it did before.
    pub fn give_back(self, core: Box<H::Core>) {
        self.cell.core.store(Box::into_raw(core).cast(), Ordering::Relaxed);
        self.cell.kind.store(H::KIND as u32, Ordering::Release);
    }
}

/// Takes the core out of a handle, which is none until it is [given back](Lent::give_back).
///
/// # Safety
/// No other call is using the handle.
pub unsafe fn lend<H: Handle>(handle: *mut H, name: &str) -> Result<(Lent<H>, Box<H::Core>)> {
    let kind = H::KIND as u32;
    let cell = find(handle)
        .filter(|c| c.kind.compare_exchange(kind, BUSY, Ordering::AcqRel, Ordering::Relaxed).is_ok())
        .ok_or_else(|| refuse(handle, name))?;
    let core = cell.core.swap(std::ptr::null_mut(), Ordering::Relaxed);
    // SAFETY: the core came from a Box of this type in `fill`, and the exchange gave it to this thread alone.
    Ok((Lent { cell, handle }, unsafe { Box::from_raw(core.cast()) }))
}

/// The body of every `mp_X_free`.
///
/// # Safety
/// As for [`take`].
pub unsafe fn free<H: Handle>(handle: *mut H, name: &str) {
    // SAFETY: the contract is the same.
    super::guard::guard(|| unsafe { take(handle, name) }.map(drop));
}

#[cold]
fn refuse<H: Handle>(handle: *const H, name: &str) -> Error {
    let wanted = Kind::NAMES[H::KIND as usize];
    if handle.is_null() {
        return Error::invalid(format!("{name} is NULL, not a live {wanted} handle"));
    }
    let kind = find(handle).map(|cell| cell.kind.load(Ordering::Relaxed));
    Error::invalid(match kind.map(|k| Kind::NAMES.get(k as usize)) {
        None => format!("{name} ({handle:p}) is not a live {wanted} handle: libmp did not make it"),
        Some(None | Some(&"")) => format!("{name} ({handle:p}) is not a live {wanted} handle: it was freed"),
        Some(Some(other)) => format!("{name} ({handle:p}) is not a live {wanted} handle but an {other}"),
    })
}

/// Takes a free cell, marked busy.
fn claim() -> Result<&'static Cell> {
    loop {
        let region = Region::now()?;
        let crowded = live() >= region.cells / 4 * 3;
        if crowded && region.grow() {
            continue;
        }
        // Two rounds pass every cell, the second time with none freed too recently.
        for _ in 0..2 * region.cells {
            if let Some(cell) = step(region) {
                return Ok(cell);
            }
        }
        if !region.grow() {
            let text = format!("this process has {} handles, and no room for more", live());
            return Err(Error::new(Status::NoMemory, text));
        }
    }
}

/// Moves the hand by one, and takes the cell under it if it may be taken.
fn step(region: Region) -> Option<&'static Cell> {
    let hand = HAND.fetch_add(1, Ordering::Relaxed);
    let cell = region.cell(hand);
    if cell.kind.load(Ordering::Relaxed) != Kind::Free as u32 {
        return None;
    }
    let freed = cell.freed.load(Ordering::Relaxed);
    if freed != 0 && hand.wrapping_sub(freed) < region.cells as u64 / 2 {
        return None;
    }
    let claimed = cell.kind.compare_exchange(0, BUSY, Ordering::AcqRel, Ordering::Relaxed);
    claimed.is_ok().then_some(cell)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, AtomicUsize};
    use std::sync::Arc;

    struct mp_lock;
    impl Handle for mp_lock {
        type Core = Counted;
        const KIND: Kind = Kind::Lock;
    }
    struct mp_queue;
    impl Handle for mp_queue {
        type Core = u64;
        const KIND: Kind = Kind::Queue;
    }

    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn refused<H: Handle>(handle: *const H) -> String {
        // SAFETY: nothing is freed while the answer is in use.
        let error = unsafe { get(handle, "it") }.err().expect("must be refused");
        assert_eq!(error.status(), Status::Invalid);
        error.message().to_owned()
    }

    #[test]
    fn a_handle_gives_its_core_and_free_drops_it_once() {
        let drops = Arc::new(AtomicUsize::new(0));
        let handle = create::<mp_lock>(Counted(drops.clone())).unwrap();
        // SAFETY: the handle is live, and nobody else uses it.
        unsafe {
            assert!(Arc::ptr_eq(&get(handle, "it").unwrap().0, &drops));
            free(handle, "it");
            assert_eq!(drops.load(Ordering::SeqCst), 1);
            assert!(refused(handle).contains("it was freed"));
            assert!(take(handle, "it").is_err());
            assert!(take::<mp_lock>(std::ptr::null_mut(), "it").unwrap().is_none());
        }
        assert_eq!(drops.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn wrong_pointers_are_refused() {
        let lock = create::<mp_lock>(Counted(Arc::default())).unwrap();
        let other = lock.cast::<mp_queue>();
        assert!(refused(other).contains("not a live mp_queue handle but an mp_lock"));
        assert!(refused::<mp_lock>(std::ptr::null()).contains("it is NULL"));
        let local = [0u64; 16];
        let inside = lock.wrapping_byte_add(8);
        for foreign in [local.as_ptr().cast(), inside.cast_const()] {
            assert!(refused::<mp_lock>(foreign).contains("libmp did not make it"));
        }
        // SAFETY: nobody else uses the handle; freeing it as a queue is refused, which is the point.
        unsafe {
            assert!(take(other, "it").is_err());
            free(lock, "it");
        }
    }

    static WORD: AtomicU32 = AtomicU32::new(7);

    struct mp_semaphore;
    impl Handle for mp_semaphore {
        type Core = u64;
        const KIND: Kind = Kind::Semaphore;
        fn near(_: &u64) -> Option<Near<()>> {
            // SAFETY: a static word.
            Some(unsafe { Near::<AtomicU32>::from_raw((&raw const WORD).cast(), &WORD) }.erased())
        }
    }
    // SAFETY: `near` is that of an AtomicU32, which is static.
    unsafe impl Quick for mp_semaphore {
        type Body = AtomicU32;
    }

    #[test]
    fn the_short_way_is_for_live_handles_of_the_kind() {
        let handle = create::<mp_semaphore>(1).unwrap();
        let queue = create::<mp_queue>(1).unwrap();
        // SAFETY: no handle is freed while it is in use; any pointer is allowed.
        let goes = |handle| unsafe { quickly::<mp_semaphore>(handle, |near| near.me() == 7) };
        assert!(goes(handle));
        let local = [0u64; 16];
        for wrong in
            [queue.cast(), std::ptr::null_mut(), handle.wrapping_byte_add(8), local.as_ptr() as *mut _]
        {
            assert!(!goes(wrong));
        }
        // SAFETY: the handles are this test's own.
        unsafe {
            free(handle, "it");
            free(queue, "it");
        }
        assert!(!goes(handle));
    }

    #[test]
    fn a_freed_handle_is_not_reused_soon() {
        let stale = create::<mp_queue>(1).unwrap();
        // SAFETY: these handles are this test's own.
        unsafe {
            free(stale, "it");
            for n in 0..200 {
                let handle = create::<mp_queue>(n).unwrap();
                assert_ne!(handle, stale);
                free(handle, "it");
            }
        }
    }

    #[test]
    fn many_handles_from_many_threads() {
        let work = |seed: u64| {
            let mut handles: Vec<(*mut mp_queue, u64)> = Vec::new();
            for n in 0..20_000 {
                handles.push((create(seed + n).unwrap(), seed + n));
                if n % 3 == 0 {
                    let (handle, expected) = handles.swap_remove((n as usize * 7) % handles.len());
                    // SAFETY: the handle is this thread's own.
                    assert_eq!(unsafe { take(handle, "it") }.unwrap().as_deref(), Some(&expected));
                }
            }
            for (handle, expected) in handles {
                // SAFETY: as above.
                unsafe {
                    assert_eq!(get(handle, "it").unwrap(), &expected);
                    free(handle, "it");
                }
            }
        };
        std::thread::scope(|scope| {
            for seed in 0..4 {
                scope.spawn(move || work(seed << 32));
            }
        });
    }
}
