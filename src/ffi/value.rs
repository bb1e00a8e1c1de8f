//! Values.

use super::guard::{guard, guard_new, guard_value};
use super::handle::{self, Handle, Kind};
use super::status::{mp_status, MP_OK};
use super::token::read_token;
use super::types::{self, mp_token, Out};
use crate::error::{Error, Result};
use crate::shared::{LockKind, Value};
use crate::sync::Who;
use crate::sys::clock::Deadline;
use std::ffi::c_void;

/// Some bytes that processes share, a number or a struct, with a lock or without. The bytes are plain memory that the
/// program reads and writes through `mp_value_data`, or by `MP_VALUE(value, type)`, `mp_value_get_i64` and the like;
/// nothing there acquires the lock by itself. For a counter and other integers of 4 or 8 bytes there are atomic
/// operations, `mp_value_fetch_add_i64` and its kin, which need no lock.
///
/// The lock knows its owner: if that process ends in any way before the release, the next one who acquires it is told
/// by `MP_OWNER_DEAD` that the value may be half-written.
pub struct mp_value {
    _private: [u8; 0],
}

impl Handle for mp_value {
    type Core = Value;
    const KIND: Kind = Kind::Value;
}

/// With a recursive lock: its owner, a thread, may acquire it again, and only the owner may release it.
pub const MP_LOCK_RECURSIVE: i32 = 0;
/// With a plain lock, as `mp_lock`: it belongs to a process, and any thread of any process may release it.
pub const MP_LOCK_PLAIN: i32 = 1;
/// Without a lock: acquire and release are `MP_ERR_UNSUPPORTED`.
pub const MP_LOCK_NONE: i32 = 2;

/// The kind of lock that a caller names.
pub(super) fn lock_kind(lock: i32) -> Result<LockKind> {
    u32::try_from(lock).ok().and_then(LockKind::from_number).ok_or_else(|| {
        Error::invalid(format!(
            "lock is {lock}, not one of MP_LOCK_RECURSIVE, MP_LOCK_PLAIN and MP_LOCK_NONE"
        ))
    })
}

/// What a new value or array begins with; NULL is zeroes.
///
/// # Safety
/// `init` is NULL or points to `len` readable bytes for as long as the answer is used.
pub(super) unsafe fn beginning<'a>(init: *const c_void, len: usize) -> Result<Option<&'a [u8]>> {
    if init.is_null() {
        return Ok(None);
    }
    // SAFETY: the contract is the same.
    unsafe { types::bytes(init, len, "init") }.map(Some)
}

/// Makes a value of `size` bytes: a copy of those at `init`, or zeroes if that is NULL. `lock` is
/// `MP_LOCK_RECURSIVE`, `MP_LOCK_PLAIN` or `MP_LOCK_NONE`.
///
/// *Returns* `MP_OK`; `MP_ERR_INVALID` if `size` is 0, `lock` none of these or `out` NULL; `MP_ERR_NO_MEMORY`;
/// `MP_ERR_STATE` as for `mp_lock_new`.
///
/// *Ownership*: free it with `mp_value_free`. *Threads*: thread-safe. *Processes*: a forked child has the handle too;
/// others get one by a token.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_value_new(
    size: usize,
    init: *const c_void,
    lock: i32,
    out: *mut *mut mp_value,
) -> mp_status {
    // SAFETY: `init` is NULL or has `size` bytes, `out` is NULL or writable, as the header asks.
    unsafe { guard_new(out, || handle::create(Value::new(size, beginning(init, size)?, lock_kind(lock)?)?)) }
}

/// The value's bytes, aligned to 16, those of more than 48 bytes to 64. Every process sees the same bytes, each at an
/// address of its own. *Lifetime*: until the handle is freed; in a forked child until its own is.
///
/// *Returns* NULL for a bad handle, with `mp_last_error`. *Threads*: thread-safe; who may touch the bytes when is the
/// program's affair: hold the lock, or use atomics only.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_value_data(value: *const mp_value) -> *mut c_void {
    // SAFETY: the header asks that nobody frees the handle meanwhile.
    guard_value(std::ptr::null_mut(), || Ok(unsafe { handle::get(value, "value") }?.data().cast()))
}

/// The same for a type of `size` bytes, which must be the value's size: what `MP_VALUE(value, type)` calls.
///
/// *Returns* NULL for a bad handle and for another size, with `mp_last_error`. *Lifetime* and *Threads* as for
/// `mp_value_data`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_value_data_as(value: *const mp_value, size: usize) -> *mut c_void {
    // SAFETY: the header asks that nobody frees the handle meanwhile.
    guard_value(std::ptr::null_mut(), || Ok(unsafe { handle::get(value, "value") }?.data_as(size)?.cast()))
}

/// How many bytes the value has.
///
/// *Returns* 0 for a bad handle, with `mp_last_error`. *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_value_size(value: *const mp_value) -> usize {
    // SAFETY: the header asks that nobody frees the handle meanwhile.
    guard_value(0, || Ok(unsafe { handle::get(value, "value") }?.size()))
}

/// Copies the value into the `size` bytes at `to`. Plain reading: whoever may write meanwhile must be kept away by
/// the lock, which this call leaves alone.
///
/// *Returns* `MP_OK`; `MP_ERR_INVALID`, also if the value has another size; `MP_ERR_STATE` as for `mp_lock_new`.
///
/// *Threads*: as any reading of the bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_value_get(value: *const mp_value, to: *mut c_void, size: usize) -> mp_status {
    guard(|| {
        // SAFETY: nobody frees the handle meanwhile, and `to` is NULL or has `size` bytes, as the header asks.
        let (value, to) = unsafe { (handle::get(value, "value")?, types::bytes_mut(to, size, "to")?) };
        value.read(to)
    })
}

/// Copies the `size` bytes at `from` into the value. Plain writing: everybody else must be kept away by the lock,
/// which this call leaves alone.
///
/// *Returns* `MP_OK`; `MP_ERR_INVALID`, also if the value has another size; `MP_ERR_STATE` as for `mp_lock_new`.
///
/// *Threads*: as any writing of the bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_value_set(value: *mut mp_value, from: *const c_void, size: usize) -> mp_status {
    guard(|| {
        // SAFETY: nobody frees the handle meanwhile, and `from` is NULL or has `size` bytes, as the header asks.
        let (value, from) = unsafe { (handle::get(value, "value")?, types::bytes(from, size, "from")?) };
        value.write(from)
    })
}

/// Acquires the value's lock, waiting up to `timeout` nanoseconds. A recursive one counts: it wants as many releases.
///
/// *Returns* `MP_OK`; `MP_OWNER_DEAD` (acquired, but the last owner died holding it: the value may be
/// half-written); `MP_ERR_TIMEOUT`; `MP_ERR_CANCELLED` (see `mp_cancel_use`); `MP_ERR_UNSUPPORTED` if it was made
/// with `MP_LOCK_NONE`; `MP_ERR_OVERFLOW` if a recursive lock was acquired more often than can be counted;
/// `MP_ERR_INVALID`; `MP_ERR_STATE` as for `mp_lock_new`.
///
/// *Threads*: thread-safe; a recursive lock belongs to the calling thread. *Processes*: a child that was forked while
/// its parent held the lock does not hold it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_value_acquire(value: *mut mp_value, timeout: i64) -> mp_status {
    // SAFETY: the header asks that nobody frees the handle meanwhile.
    unsafe { acquire(value, Who::this_thread(), timeout) }
}

/// The same for a recursive lock's owner that the caller names, instead of a thread: for languages whose code moves
/// between threads. Every number is a name. A plain lock belongs to the process as always.
///
/// *Returns* and *Threads* as `mp_value_acquire`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_value_acquire_as(value: *mut mp_value, owner: u64, timeout: i64) -> mp_status {
    // SAFETY: as above.
    unsafe { acquire(value, Who::named(owner), timeout) }
}

/// # Safety
/// Nobody frees the handle meanwhile.
#[inline]
unsafe fn acquire(value: *mut mp_value, who: Who, timeout: i64) -> mp_status {
    // SAFETY: by the contract.
    if unsafe { handle::get(value, "value") }.is_ok_and(|value| value.acquire_free(who)) {
        return MP_OK;
    }
    // SAFETY: as above.
    guard(|| unsafe { handle::get(value, "value") }?.acquire(who, Deadline::after(timeout)))
}

/// Releases the value's lock, once.
///
/// *Returns* `MP_OK`; `MP_ERR_NOT_OWNER` if a recursive lock is not this thread's; `MP_ERR_OVERFLOW` if a plain
/// lock is free; `MP_ERR_UNSUPPORTED` if there is no lock; `MP_ERR_INVALID`; `MP_ERR_STATE` as for `mp_lock_new`.
///
/// *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_value_release(value: *mut mp_value) -> mp_status {
    // SAFETY: the header asks that nobody frees the handle meanwhile.
    guard(|| unsafe { handle::get(value, "value") }?.release(Who::this_thread()))
}

/// The same for an owner that the caller names.
///
/// *Returns* and *Threads* as `mp_value_release`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_value_release_as(value: *mut mp_value, owner: u64) -> mp_status {
    // SAFETY: the header asks that nobody frees the handle meanwhile.
    guard(|| unsafe { handle::get(value, "value") }?.release(Who::named(owner)))
}

/// Writes the value's token into `*out`.
///
/// *Returns* `MP_OK`; `MP_ERR_INVALID`. *Ownership*: a token is plain bytes and keeps nothing alive by itself, see
/// `mp_token_keep`. *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_value_token(value: *const mp_value, out: *mut mp_token) -> mp_status {
    guard(|| {
        // SAFETY: nobody frees the handle meanwhile, and `out` is NULL or writable, as the header asks.
        let (value, out) = unsafe { (handle::get(value, "value")?, Out::new(out, "out")?) };
        out.set(value.token().into());
        Ok(())
    })
}

/// Makes a handle of the value that a token names.
///
/// *Returns* `MP_OK`; `MP_ERR_STALE` if the value has been destroyed; `MP_ERR_INVALID` if the token is NULL, not
/// one of this family of processes, or of another kind of object; `MP_ERR_NO_MEMORY`; `MP_ERR_STATE` as for
/// `mp_lock_new`.
///
/// *Ownership*: free it with `mp_value_free`. *Threads*: thread-safe. *Processes*: any process of the family.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_value_from_token(token: *const mp_token, out: *mut *mut mp_value) -> mp_status {
    // SAFETY: `token` is NULL or readable, `out` NULL or writable, as the header asks.
    unsafe { guard_new(out, || handle::create(Value::from_token(&read_token(token)?)?)) }
}

/// Drops this process's handle; NULL is nothing. The value goes with its last handle in any process; pointers into it
/// end with this one. Freeing the handle does not release the lock.
///
/// *Threads*: thread-safe, but no other call may be using the handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_value_free(value: *mut mp_value) {
    // SAFETY: the header asks that nobody uses the handle any more.
    unsafe { handle::free(value, "value") }
}
