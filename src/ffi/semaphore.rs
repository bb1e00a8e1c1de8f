//! Semaphores.

use super::guard::{guard, guard_new};
use super::handle::{self, Handle, Kind, Quick};
use super::options::{self, CStruct, Options};
use super::status::{mp_status, MP_OK};
use super::token::read_token;
use super::types::{mp_bool, mp_token, Out};
use crate::arena::{Arena, Near};
use crate::error::Result;
use crate::sync::{Semaphore, SemaphoreCell};
use crate::sys::clock::Deadline;

/// A semaphore that processes share: a number of permits. They belong to nobody: any thread of any process may
/// release, and what a dead process had acquired does not come back.
///
/// The permits of a robust one (`mp_semaphore_options.robust`) belong to the process that acquired them, whichever
/// thread and by whichever handle that was, and come back when that process ends in any way: at once if it was a child
/// of libmp, else within a tenth of a second if somebody waits, or some tenths if dozens of processes have permits.
pub struct mp_semaphore {
    _private: [u8; 0],
}

impl Handle for mp_semaphore {
    type Core = Semaphore;
    const KIND: Kind = Kind::Semaphore;
    fn near(core: &Semaphore) -> Option<Near<()>> {
        Some(core.near())
    }
}

// SAFETY: `near` is that of a SemaphoreCell, or of a cell that is longer, and barred; cells of objects are never
// unmapped.
unsafe impl Quick for mp_semaphore {
    type Body = SemaphoreCell;
}

/// How a semaphore is made.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct mp_semaphore_options {
    /// Set by `mp_semaphore_options_init`.
    pub size: usize,
    /// The largest number of permits; 0 is none but the largest possible, 2147483647. Default 0.
    pub max: u32,
    /// Permits belong to the process that acquired them, and come back when it dies. Default false.
    pub robust: mp_bool,
}

// SAFETY: repr(C), begins with its size, and every bit pattern is a value.
unsafe impl CStruct for mp_semaphore_options {
    const NAME: &'static str = "mp_semaphore_options";
}

impl Options for mp_semaphore_options {
    fn defaults() -> mp_semaphore_options {
        mp_semaphore_options { size: 0, max: 0, robust: false.into() }
    }
}

/// Writes the defaults into a struct of `size` bytes. Programs call `mp_semaphore_options_init`.
///
/// *Returns* `MP_OK`; `MP_ERR_INVALID` if `options` is NULL or `size` absurd. *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_semaphore_options_defaults(
    options: *mut mp_semaphore_options,
    size: usize,
) -> mp_status {
    // SAFETY: `options` is NULL or has `size` bytes, as the header asks.
    guard(|| unsafe { options::write_defaults(options, size) })
}

/// Makes a semaphore with `value` permits.
///
/// *Returns* `MP_OK`; `MP_ERR_INVALID` if `out` is NULL or `value` is more than the maximum; `MP_ERR_NO_MEMORY`;
/// `MP_ERR_STATE` as for `mp_lock_new`.
///
/// *Ownership*: free it with `mp_semaphore_free`. *Threads*: thread-safe. *Processes*: a forked child has the handle
/// too; others get one by a token.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_semaphore_new(
    value: u32,
    options: *const mp_semaphore_options,
    out: *mut *mut mp_semaphore,
) -> mp_status {
    // SAFETY: `options` is NULL or as long as its size says, `out` NULL or writable, as the header asks.
    unsafe { guard_new(out, || handle::create(make(value, &options::read(options)?)?)) }
}

fn make(value: u32, options: &mp_semaphore_options) -> Result<Semaphore> {
    if options.robust.get() {
        Semaphore::robust(value, options.max)
    } else {
        Semaphore::new(value, options.max)
    }
}

/// The semaphore of a name in an arena.
pub(super) fn named(
    arena: &'static Arena,
    name: &[u8],
    value: u32,
    options: &mp_semaphore_options,
) -> Result<Semaphore> {
    Semaphore::named(arena, name, value, options.max, options.robust.get())
}

/// Makes a semaphore with `value` permits that never has more than those.
///
/// *Returns* as `mp_semaphore_new`. *Ownership*: free it with `mp_semaphore_free`. *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_bounded_semaphore_new(value: u32, out: *mut *mut mp_semaphore) -> mp_status {
    // SAFETY: `out` is NULL or writable, as the header asks.
    unsafe { guard_new(out, || handle::create(Semaphore::bounded(value)?)) }
}

/// Takes a permit, waiting for one up to `timeout` nanoseconds.
///
/// *Returns* `MP_OK`; `MP_ERR_TIMEOUT`; `MP_ERR_CANCELLED` (see `mp_cancel_use`); `MP_ERR_INVALID`; `MP_ERR_NO_MEMORY`
/// (a robust semaphore only: each of its permits has a place in the process's table); `MP_ERR_STATE` as for
/// `mp_lock_new`.
///
/// *Threads*: thread-safe. *Processes*: a child that was forked while its parent had permits of a robust semaphore has
/// none of them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_semaphore_acquire(semaphore: *mut mp_semaphore, timeout: i64) -> mp_status {
    // SAFETY: the header asks that nobody frees the handle meanwhile.
    if unsafe { handle::quickly(semaphore, |semaphore| semaphore.acquire_free()) } {
        return MP_OK;
    }
    // SAFETY: as above.
    unsafe { acquire(semaphore, timeout) }
}

#[cold]
#[inline(never)]
unsafe extern "C" fn acquire(semaphore: *mut mp_semaphore, timeout: i64) -> mp_status {
    // SAFETY: as for `mp_semaphore_acquire`.
    guard(|| unsafe { handle::get(semaphore, "semaphore") }?.acquire_slowly(Deadline::after(timeout)))
}

/// Gives `n` permits, and wakes as many waiters. Of a robust semaphore it gives back permits of this process, which
/// any of its threads may have acquired.
///
/// *Returns* `MP_OK`; `MP_ERR_OVERFLOW` if there would be more than the maximum, and `MP_ERR_NOT_OWNER` if this process
/// has fewer than `n` permits of a robust semaphore: then nothing has changed; `MP_ERR_INVALID`; `MP_ERR_STATE` as for
/// `mp_lock_new`. *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_semaphore_release(semaphore: *mut mp_semaphore, n: u32) -> mp_status {
    // SAFETY: the header asks that nobody frees the handle meanwhile.
    if unsafe { handle::quickly(semaphore, |semaphore| semaphore.release_unwaited(n)) } {
        return MP_OK;
    }
    // SAFETY: as above.
    unsafe { release(semaphore, n) }
}

#[cold]
#[inline(never)]
unsafe extern "C" fn release(semaphore: *mut mp_semaphore, n: u32) -> mp_status {
    // SAFETY: as for `mp_semaphore_release`.
    guard(|| unsafe { handle::get(semaphore, "semaphore") }?.release(n))
}

/// Writes the number of permits at this moment into `*value`.
///
/// *Returns* `MP_OK`; `MP_ERR_INVALID`; `MP_ERR_STATE` as for `mp_lock_new`. *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_semaphore_value(semaphore: *const mp_semaphore, value: *mut u32) -> mp_status {
    guard(|| {
        // SAFETY: nobody frees the handle meanwhile, and `value` is NULL or writable, as the header asks.
        let (semaphore, value) = unsafe { (handle::get(semaphore, "semaphore")?, Out::new(value, "value")?) };
        value.set(semaphore.value()?);
        Ok(())
    })
}

/// Writes a descriptor into `*fd` that is readable while there are permits, for poll, select and epoll
/// (level-triggered). It follows a change within moments, so that it may tell of an earlier state: acquire without
/// waiting, and poll again if there is none. The handle has one descriptor, made at the first request, and with the
/// process's first one a thread that looks after them.
///
/// *Returns* `MP_OK`; `MP_ERR_INVALID`; `MP_ERR_SYSTEM` if none can be had, or no thread; `MP_ERR_STATE` as for
/// `mp_lock_new`.
///
/// *Ownership*, *Threads* and *Processes*: as for `mp_event_fd`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_semaphore_fd(semaphore: *mut mp_semaphore, fd: *mut i32) -> mp_status {
    guard(|| {
        // SAFETY: nobody frees the handle meanwhile, and `fd` is NULL or writable, as the header asks.
        let (semaphore, fd) = unsafe { (handle::get(semaphore, "semaphore")?, Out::new(fd, "fd")?) };
        fd.set(semaphore.descriptor()?);
        Ok(())
    })
}

/// Writes the semaphore's token into `*out`.
///
/// *Returns* `MP_OK`; `MP_ERR_INVALID`. *Ownership*: a token is plain bytes and keeps nothing alive by itself,
/// see `mp_token_keep`. *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_semaphore_token(semaphore: *const mp_semaphore, out: *mut mp_token) -> mp_status {
    guard(|| {
        // SAFETY: nobody frees the handle meanwhile, and `out` is NULL or writable, as the header asks.
        let (semaphore, out) = unsafe { (handle::get(semaphore, "semaphore")?, Out::new(out, "out")?) };
        out.set(semaphore.token().into());
        Ok(())
    })
}

/// Makes a handle of the semaphore that a token names.
///
/// *Returns* `MP_OK`; `MP_ERR_STALE` if the semaphore has been destroyed; `MP_ERR_INVALID` if the token is NULL, not
/// one of this family of processes, or of another kind of object; `MP_ERR_NO_MEMORY`; `MP_ERR_STATE` as for
/// `mp_lock_new`.
///
/// *Ownership*: free it with `mp_semaphore_free`. *Threads*: thread-safe. *Processes*: any process of the family.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_semaphore_from_token(
    token: *const mp_token,
    out: *mut *mut mp_semaphore,
) -> mp_status {
    // SAFETY: `token` is NULL or readable, `out` NULL or writable, as the header asks.
    unsafe { guard_new(out, || handle::create(Semaphore::from_token(&read_token(token)?)?)) }
}

/// Drops this process's handle, and its descriptor; NULL is nothing. The semaphore goes with its last handle in any
/// process. Permits of a robust one that this process still has stay its own, and keep the semaphore alive: it may
/// release them by another handle of it, else they come back when it ends.
///
/// *Threads*: thread-safe, but no other call may be using the handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_semaphore_free(semaphore: *mut mp_semaphore) {
    // SAFETY: the header asks that nobody uses the handle any more.
    unsafe { handle::free(semaphore, "semaphore") }
}
