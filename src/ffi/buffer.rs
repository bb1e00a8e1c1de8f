//! Buffers.

use super::guard::{guard_new, guard_value};
use super::handle::{self, Handle, Kind};
use super::status::mp_status;
use crate::arena::Buffer;
use std::ffi::c_void;

/// Owned bytes, in shared memory where they can be handed on without a copy. The owner may read and write them.
/// *Threads*: thread-compatible. *Processes*: a forked child has its own handle to the same bytes.
pub struct mp_buffer {
    _private: [u8; 0],
}

impl Handle for mp_buffer {
    type Core = Buffer;
    const KIND: Kind = Kind::Buffer;
}

/// Makes a buffer of `len` zero bytes.
///
/// *Returns* `MP_OK`; `MP_ERR_INVALID` if out is NULL; `MP_ERR_NO_MEMORY`. *Ownership*: the caller frees it with
/// `mp_buffer_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_buffer_new(len: usize, out: *mut *mut mp_buffer) -> mp_status {
    // SAFETY: `out` is NULL or writable, as the header asks.
    unsafe { guard_new(out, || handle::create(Buffer::new(len)?)) }
}

/// The buffer's bytes, aligned to 16, from 4 KiB on to 64. Never NULL for a live buffer. *Lifetime*: until the
/// buffer is freed.
///
/// *Returns* NULL for a bad handle, with `mp_last_error`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_buffer_data(buffer: *const mp_buffer) -> *const c_void {
    guard_value(std::ptr::null(), || {
        // SAFETY: the header asks that nobody frees the handle meanwhile.
        Ok(unsafe { handle::get(buffer, "buffer") }?.data().cast_const().cast())
    })
}

/// How many bytes the buffer has.
///
/// *Returns* 0 for a bad handle, with `mp_last_error`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_buffer_len(buffer: *const mp_buffer) -> usize {
    // SAFETY: the header asks that nobody frees the handle meanwhile.
    guard_value(0, || Ok(unsafe { handle::get(buffer, "buffer") }?.len()))
}

/// Frees a buffer. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_buffer_free(buffer: *mut mp_buffer) {
    // SAFETY: the header asks that nobody uses the handle any more.
    unsafe { handle::free(buffer, "buffer") }
}
