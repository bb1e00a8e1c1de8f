//! Arrays.

use super::guard::{guard, guard_new, guard_value};
use super::handle::{self, Handle, Kind};
use super::options::{self, CStruct, Options};
use super::status::{mp_status, MP_OK};
use super::token::read_token;
use super::types::{self, mp_bool, mp_token, Out};
use super::value::{beginning, lock_kind, MP_LOCK_RECURSIVE};
use crate::error::Result;
use crate::shared::{Array, ArrayOptions};
use crate::sync::Who;
use crate::sys::clock::Deadline;
use std::ffi::c_void;

/// A fixed number of elements of one size that processes share, with a lock or without. They are plain memory that
/// the program reads and writes through `mp_array_data`, or by `MP_ARRAY(array, type)`, `mp_array_get_i64` and the
/// like; nothing there acquires the lock by itself.
///
/// The lock knows its owner: if that process ends in any way before the release, the next one who acquires it is told
/// by `MP_OWNER_DEAD` that the array may be half-written.
pub struct mp_array {
    _private: [u8; 0],
}

impl Handle for mp_array {
    type Core = Array;
    const KIND: Kind = Kind::Array;
}

/// How an array is made. Set up by `mp_array_options_init`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct mp_array_options {
    /// Set by `mp_array_options_init`.
    pub size: usize,
    /// `MP_LOCK_RECURSIVE` (the default), `MP_LOCK_PLAIN` or `MP_LOCK_NONE`.
    pub lock: i32,
    /// Whether an array of 2 MiB and more is aligned to huge pages, and the kernel asked to put such behind it. It is
    /// a wish: where the kernel does not grant it (it can since Linux 6.1, and needs free memory in large pieces), the
    /// array lies on ordinary pages. Costs up to 2 MiB more. Default false.
    pub huge_pages: mp_bool,
}

// SAFETY: repr(C), begins with its size, and every bit pattern is a value.
unsafe impl CStruct for mp_array_options {
    const NAME: &'static str = "mp_array_options";
}

impl Options for mp_array_options {
    fn defaults() -> mp_array_options {
        mp_array_options { size: 0, lock: MP_LOCK_RECURSIVE, huge_pages: false.into() }
    }
}

/// Writes the defaults into options of `size` bytes. Programs call `mp_array_options_init`.
///
/// *Returns* `MP_OK`; `MP_ERR_INVALID` if `options` is NULL or `size` absurd. *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_array_options_defaults(options: *mut mp_array_options, size: usize) -> mp_status {
    // SAFETY: `options` is NULL or has `size` writable bytes, as the header asks.
    guard(|| unsafe { options::write_defaults(options, size) })
}

/// # Safety
/// `init` is NULL or has as many bytes as the elements together.
unsafe fn make(element: usize, count: usize, init: *const c_void, options: &ArrayOptions) -> Result<Array> {
    // SAFETY: by the contract.
    let init = unsafe { beginning(init, Array::bytes(element, count)?) }?;
    Array::new(element, count, init, options)
}

/// Makes an array of `count` elements of `elem_size` bytes: copies of those at `init`, or zeroes if that is NULL.
/// `lock` is `MP_LOCK_RECURSIVE`, `MP_LOCK_PLAIN` or `MP_LOCK_NONE`. An array of no elements is fine.
///
/// *Returns* `MP_OK`; `MP_ERR_INVALID` if `elem_size` is 0, `lock` none of these or `out` NULL; `MP_ERR_TOO_LARGE`
/// if all memory together could not hold it; `MP_ERR_NO_MEMORY`; `MP_ERR_STATE` as for `mp_lock_new`.
///
/// *Ownership*: free it with `mp_array_free`. *Threads*: thread-safe. *Processes*: a forked child has the handle too;
/// others get one by a token.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_array_new(
    elem_size: usize,
    count: usize,
    init: *const c_void,
    lock: i32,
    out: *mut *mut mp_array,
) -> mp_status {
    // SAFETY: `init` is NULL or has all the bytes, `out` is NULL or writable, as the header asks.
    unsafe {
        guard_new(out, || {
            let options = ArrayOptions { lock: lock_kind(lock)?, huge_pages: false };
            handle::create(make(elem_size, count, init, &options)?)
        })
    }
}

/// The same with options; NULL options mean the defaults.
///
/// *Returns*, *Ownership*, *Threads*, *Processes* as `mp_array_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_array_new_with(
    elem_size: usize,
    count: usize,
    init: *const c_void,
    options: *const mp_array_options,
    out: *mut *mut mp_array,
) -> mp_status {
    // SAFETY: as above; `options` is NULL or as long as its size says.
    unsafe {
        guard_new(out, || {
            let options = options::read(options)?;
            let lock = lock_kind(options.lock)?;
            let options = ArrayOptions { lock, huge_pages: options.huge_pages.get() };
            handle::create(make(elem_size, count, init, &options)?)
        })
    }
}

/// The first element, aligned to 64 bytes, a cache line; not NULL for an array of no elements either. Every process
/// sees the same bytes, each at an address of its own. *Lifetime*: until the handle is freed; in a forked child
/// until its own is.
///
/// *Returns* NULL for a bad handle, with `mp_last_error`. *Threads*: thread-safe; who may touch the elements when
/// is the program's affair.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_array_data(array: *const mp_array) -> *mut c_void {
    // SAFETY: the header asks that nobody frees the handle meanwhile.
    guard_value(std::ptr::null_mut(), || Ok(unsafe { handle::get(array, "array") }?.data().cast()))
}

/// The same for elements of `elem_size` bytes, which must be the array's size of them: what `MP_ARRAY(array, type)`
/// calls.
///
/// *Returns* NULL for a bad handle and for another size, with `mp_last_error`. *Lifetime* and *Threads* as for
/// `mp_array_data`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_array_data_as(array: *const mp_array, elem_size: usize) -> *mut c_void {
    guard_value(std::ptr::null_mut(), || {
        // SAFETY: the header asks that nobody frees the handle meanwhile.
        Ok(unsafe { handle::get(array, "array") }?.data_as(elem_size)?.cast())
    })
}

/// How many elements the array has.
///
/// *Returns* 0 for a bad handle, with `mp_last_error`. *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_array_len(array: *const mp_array) -> usize {
    // SAFETY: the header asks that nobody frees the handle meanwhile.
    guard_value(0, || Ok(unsafe { handle::get(array, "array") }?.len()))
}

/// How many bytes an element has.
///
/// *Returns* 0 for a bad handle, with `mp_last_error`. *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_array_elem_size(array: *const mp_array) -> usize {
    // SAFETY: the header asks that nobody frees the handle meanwhile.
    guard_value(0, || Ok(unsafe { handle::get(array, "array") }?.element_size()))
}

/// Copies the element at `index` into the `elem_size` bytes at `to`. Plain reading, as `mp_value_get`.
///
/// *Returns* `MP_OK`; `MP_ERR_INVALID`, also if there is no such element or elements have another size;
/// `MP_ERR_STATE` as for `mp_lock_new`.
///
/// *Threads*: as any reading of the element.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_array_get(
    array: *const mp_array,
    index: usize,
    to: *mut c_void,
    elem_size: usize,
) -> mp_status {
    guard(|| {
        // SAFETY: nobody frees the handle meanwhile, and `to` is NULL or has room, as the header asks.
        let (array, to) = unsafe { (handle::get(array, "array")?, types::bytes_mut(to, elem_size, "to")?) };
        array.read(index, to)
    })
}

/// Copies the `elem_size` bytes at `from` into the element at `index`. Plain writing, as `mp_value_set`.
///
/// *Returns* as `mp_array_get`.
///
/// *Threads*: as any writing of the element.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_array_set(
    array: *mut mp_array,
    index: usize,
    from: *const c_void,
    elem_size: usize,
) -> mp_status {
    guard(|| {
        // SAFETY: nobody frees the handle meanwhile, and `from` is NULL or has the bytes, as the header asks.
        let (array, from) = unsafe { (handle::get(array, "array")?, types::bytes(from, elem_size, "from")?) };
        array.write(index, from)
    })
}

/// Acquires the array's lock, waiting up to `timeout` nanoseconds; see `mp_value_acquire`.
///
/// *Returns* and *Threads* as `mp_value_acquire`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_array_acquire(array: *mut mp_array, timeout: i64) -> mp_status {
    // SAFETY: the header asks that nobody frees the handle meanwhile.
    unsafe { acquire(array, Who::this_thread(), timeout) }
}

/// The same for a recursive lock's owner that the caller names, see `mp_value_acquire_as`.
///
/// *Returns* and *Threads* as `mp_value_acquire`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_array_acquire_as(array: *mut mp_array, owner: u64, timeout: i64) -> mp_status {
    // SAFETY: as above.
    unsafe { acquire(array, Who::named(owner), timeout) }
}

/// # Safety
/// Nobody frees the handle meanwhile.
#[inline]
unsafe fn acquire(array: *mut mp_array, who: Who, timeout: i64) -> mp_status {
    // SAFETY: by the contract.
    if unsafe { handle::get(array, "array") }.is_ok_and(|array| array.acquire_free(who)) {
        return MP_OK;
    }
    // SAFETY: as above.
    guard(|| unsafe { handle::get(array, "array") }?.acquire(who, Deadline::after(timeout)))
}

/// Releases the array's lock, once.
///
/// *Returns* and *Threads* as `mp_value_release`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_array_release(array: *mut mp_array) -> mp_status {
    // SAFETY: the header asks that nobody frees the handle meanwhile.
    guard(|| unsafe { handle::get(array, "array") }?.release(Who::this_thread()))
}

/// The same for an owner that the caller names.
///
/// *Returns* and *Threads* as `mp_value_release`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_array_release_as(array: *mut mp_array, owner: u64) -> mp_status {
    // SAFETY: the header asks that nobody frees the handle meanwhile.
    guard(|| unsafe { handle::get(array, "array") }?.release(Who::named(owner)))
}

/// Writes the array's token into `*out`.
///
/// *Returns* `MP_OK`; `MP_ERR_INVALID`. *Ownership*: a token is plain bytes and keeps nothing alive by itself, see
/// `mp_token_keep`. *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_array_token(array: *const mp_array, out: *mut mp_token) -> mp_status {
    guard(|| {
        // SAFETY: nobody frees the handle meanwhile, and `out` is NULL or writable, as the header asks.
        let (array, out) = unsafe { (handle::get(array, "array")?, Out::new(out, "out")?) };
        out.set(array.token().into());
        Ok(())
    })
}

/// Makes a handle of the array that a token names.
///
/// *Returns* `MP_OK`; `MP_ERR_STALE` if the array has been destroyed; `MP_ERR_INVALID` if the token is NULL, not
/// one of this family of processes, or of another kind of object; `MP_ERR_NO_MEMORY`; `MP_ERR_STATE` as for
/// `mp_lock_new`.
///
/// *Ownership*: free it with `mp_array_free`. *Threads*: thread-safe. *Processes*: any process of the family.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_array_from_token(token: *const mp_token, out: *mut *mut mp_array) -> mp_status {
    // SAFETY: `token` is NULL or readable, `out` NULL or writable, as the header asks.
    unsafe { guard_new(out, || handle::create(Array::from_token(&read_token(token)?)?)) }
}

/// Drops this process's handle; NULL is nothing. The array goes with its last handle in any process; pointers into it
/// end with this one. Freeing the handle does not release the lock.
///
/// *Threads*: thread-safe, but no other call may be using the handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_array_free(array: *mut mp_array) {
    // SAFETY: the header asks that nobody uses the handle any more.
    unsafe { handle::free(array, "array") }
}
