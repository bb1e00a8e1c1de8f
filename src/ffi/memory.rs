//! Shared memory.

use super::guard::{guard, guard_new, guard_value};
use super::handle::{self, Handle, Kind};
use super::status::mp_status;
use super::token::read_token;
use super::types::{self, mp_token, Out};
use crate::shared::SharedMemory;
use std::ffi::{c_char, c_void};

/// Plain memory that processes share, without a lock, under a name or without one.
///
/// Without a name it lies in the family's arena, and goes with its last handle in any process.
///
/// With a name it is a file in /dev/shm (the environment variable `MP_ARENA_DIR` names another directory), the same
/// that `shm_open("/NAME")` and Python's `SharedMemory(name)` mean, with mode 0600. It is there with all its bytes,
/// backed by memory, from the first moment that its name is. Having it open is not owning it: nothing but
/// `mp_shared_memory_unlink` takes the name away, no free, no exit and no death. What is mapped stays until it is
/// freed, also without a name.
pub struct mp_shared_memory {
    _private: [u8; 0],
}

impl Handle for mp_shared_memory {
    type Core = SharedMemory;
    const KIND: Kind = Kind::SharedMemory;
}

/// Makes shared memory of `size` zero bytes, under `name` or, if that is NULL, without one. A name is that of a
/// file: up to 255 bytes of UTF-8 without '/'; one at its beginning, as `shm_open` wants it, is dropped.
///
/// *Returns* `MP_OK`; `MP_ERR_EXISTS` if the name is taken; `MP_ERR_INVALID` if `size` is 0, the name not one, or
/// `out` NULL; `MP_ERR_NO_MEMORY` if there is no room for all of it, or it is larger than the limit on files
/// (RLIMIT_FSIZE) allows; `MP_ERR_NOT_FOUND` if the directory is missing; `MP_ERR_UNSUPPORTED` if its file system
/// has no O_TMPFILE; `MP_ERR_ACCESS`; `MP_ERR_SYSTEM`; `MP_ERR_STATE` as for `mp_lock_new`. On failure there is
/// nothing of it.
///
/// *Ownership*: free it with `mp_shared_memory_free`; the name stays until `mp_shared_memory_unlink`. *Threads*:
/// thread-safe. *Processes*: a forked child has the handle too; others get one by a token, or open the name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_shared_memory_create(
    name: *const c_char,
    size: usize,
    out: *mut *mut mp_shared_memory,
) -> mp_status {
    // SAFETY: `name` is NULL or ends in NUL, `out` is NULL or writable, as the header asks.
    unsafe {
        guard_new(out, || {
            let name = types::optional_string(name, "name")?;
            handle::create(SharedMemory::create(name.as_deref(), size)?)
        })
    }
}

/// Opens the shared memory of that name, whoever made it: libmp, `shm_open` or Python. Its size is what its maker
/// gave it; bytes that the maker left without memory behind them get it now.
///
/// *Returns* `MP_OK`; `MP_ERR_NOT_FOUND`; `MP_ERR_ACCESS` if it belongs to another user; `MP_ERR_INVALID` if the
/// name is none, or what it stands for is not a regular file: symbolic links are not followed; `MP_ERR_STATE` if it
/// has no bytes yet, and as for `mp_lock_new`; `MP_ERR_NO_MEMORY`; `MP_ERR_SYSTEM`.
///
/// *Ownership*: free it with `mp_shared_memory_free`. *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_shared_memory_open(
    name: *const c_char,
    out: *mut *mut mp_shared_memory,
) -> mp_status {
    // SAFETY: `name` is NULL or ends in NUL, `out` is NULL or writable, as the header asks.
    unsafe { guard_new(out, || handle::create(SharedMemory::open(&types::string(name, "name")?)?)) }
}

/// The bytes, aligned to 64; with a name, to a page. *Lifetime*: until the handle is freed; in a forked child until
/// its own is. Another program that makes the file shorter meanwhile takes the bytes away (SIGBUS).
///
/// *Returns* NULL for a bad handle, with `mp_last_error`. *Threads*: thread-safe; who may touch the bytes when is the
/// program's affair.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_shared_memory_data(memory: *const mp_shared_memory) -> *mut c_void {
    // SAFETY: the header asks that nobody frees the handle meanwhile.
    guard_value(std::ptr::null_mut(), || Ok(unsafe { handle::get(memory, "memory") }?.data().cast()))
}

/// How many bytes: exactly as many as were asked for.
///
/// *Returns* 0 for a bad handle, with `mp_last_error`. *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_shared_memory_size(memory: *const mp_shared_memory) -> usize {
    // SAFETY: the header asks that nobody frees the handle meanwhile.
    guard_value(0, || Ok(unsafe { handle::get(memory, "memory") }?.size()))
}

/// The name, without a '/'; an empty string for memory without one. *Lifetime*: until the handle is freed.
///
/// *Returns* NULL for a bad handle, with `mp_last_error`. *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_shared_memory_name(memory: *const mp_shared_memory) -> *const c_char {
    // SAFETY: the header asks that nobody frees the handle meanwhile.
    guard_value(std::ptr::null(), || Ok(unsafe { handle::get(memory, "memory") }?.name().as_ptr()))
}

/// Takes a name away. Whoever has the memory keeps it until it is freed; tokens of it are stale from now on; the
/// name may be given anew.
///
/// *Returns* `MP_OK`; `MP_ERR_NOT_FOUND` if there is none of that name, as when it was unlinked already;
/// `MP_ERR_ACCESS` if it belongs to another user; `MP_ERR_INVALID` as for `mp_shared_memory_open`; `MP_ERR_SYSTEM`.
///
/// *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_shared_memory_unlink(name: *const c_char) -> mp_status {
    // SAFETY: `name` is NULL or ends in NUL, as the header asks.
    guard(|| SharedMemory::unlink(&unsafe { types::string(name, "name") }?))
}

/// Writes the memory's token into `*out`.
///
/// *Returns* `MP_OK`; `MP_ERR_INVALID`. *Ownership*: a token is plain bytes and keeps nothing alive by itself, see
/// `mp_token_keep`. *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_shared_memory_token(
    memory: *const mp_shared_memory,
    out: *mut mp_token,
) -> mp_status {
    guard(|| {
        // SAFETY: nobody frees the handle meanwhile, and `out` is NULL or writable, as the header asks.
        let (memory, out) = unsafe { (handle::get(memory, "memory")?, Out::new(out, "out")?) };
        out.set(memory.token().into());
        Ok(())
    })
}

/// Makes a handle of the shared memory that a token names. With a name, it is opened by that name, and must still
/// be the very file that the token was made of.
///
/// *Returns* `MP_OK`; `MP_ERR_STALE` if the memory has been destroyed, its name unlinked, or given to another;
/// `MP_ERR_INVALID` if the token is NULL, not one of this family of processes, or of another kind of object;
/// `MP_ERR_NO_MEMORY`; `MP_ERR_ACCESS`; `MP_ERR_SYSTEM`; `MP_ERR_STATE` as for `mp_lock_new`.
///
/// *Ownership*: free it with `mp_shared_memory_free`. *Threads*: thread-safe. *Processes*: any process of the family.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_shared_memory_from_token(
    token: *const mp_token,
    out: *mut *mut mp_shared_memory,
) -> mp_status {
    // SAFETY: `token` is NULL or readable, `out` NULL or writable, as the header asks.
    unsafe { guard_new(out, || handle::create(SharedMemory::from_token(&read_token(token)?)?)) }
}

/// Drops this process's handle; NULL is nothing. Pointers into the memory end with it; a name stays.
///
/// *Threads*: thread-safe, but no other call may be using the handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_shared_memory_free(memory: *mut mp_shared_memory) {
    // SAFETY: the header asks that nobody uses the handle any more.
    unsafe { handle::free(memory, "memory") }
}
