//! Cancelling.

use super::guard::{guard, guard_new};
use super::handle::{self, Handle, Kind};
use super::status::mp_status;
use crate::sync::Cancel;

/// Ends blocking calls of this process: those of the threads that use it, once it is fired and until it is reset.
/// It is this process's alone; a forked child has its own copy.
pub struct mp_cancel {
    _private: [u8; 0],
}

impl Handle for mp_cancel {
    type Core = Cancel;
    const KIND: Kind = Kind::Cancel;
}

/// Makes a cancel object that is not fired.
///
/// *Returns* `MP_OK`; `MP_ERR_INVALID` if `out` is NULL; `MP_ERR_NO_MEMORY`.
///
/// *Ownership*: free it with `mp_cancel_free`. *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_cancel_new(out: *mut *mut mp_cancel) -> mp_status {
    // SAFETY: `out` is NULL or writable, as the header asks.
    unsafe { guard_new(out, || handle::create(Cancel::new())) }
}

/// Ends the waits of all threads that use it: they answer `MP_ERR_CANCELLED`, and so do the waits that those threads
/// begin, until `mp_cancel_reset`. A call that need not wait is not cancelled; one that would have to is,
/// with a timeout of 0 too.
///
/// *Returns* `MP_OK`; `MP_ERR_INVALID`.
///
/// *Threads*: thread-safe, and async-signal-safe for a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_cancel_fire(cancel: *mut mp_cancel) -> mp_status {
    guard(|| {
        // SAFETY: the header asks that nobody frees the handle meanwhile.
        unsafe { handle::get(cancel, "cancel") }?.fire();
        Ok(())
    })
}

/// Makes the object as new: waits that begin from now on are not ended by an earlier fire.
///
/// *Returns* `MP_OK`; `MP_ERR_INVALID`. *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_cancel_reset(cancel: *mut mp_cancel) -> mp_status {
    guard(|| {
        // SAFETY: the header asks that nobody frees the handle meanwhile.
        unsafe { handle::get(cancel, "cancel") }?.reset();
        Ok(())
    })
}

/// From now on this thread's blocking calls end when the object is fired; with NULL, nothing ends them. A thread uses
/// one object at a time, any number of threads may use the same one.
///
/// *Returns* `MP_OK`; `MP_ERR_INVALID`. *Threads*: it is about the calling thread. *Processes*: in a forked child the
/// thread that forked goes on using its copy.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_cancel_use(cancel: *mut mp_cancel) -> mp_status {
    guard(|| {
        if cancel.is_null() {
            Cancel::use_none();
        } else {
            // SAFETY: the header asks that nobody frees the handle meanwhile.
            unsafe { handle::get(cancel, "cancel") }?.use_here();
        }
        Ok(())
    })
}

/// Frees the object; NULL is nothing. A thread that still uses it is not cancelled by it any more; it should choose
/// another, or none, by `mp_cancel_use`. The calling thread need not.
///
/// *Threads*: thread-safe, but no other call may be using the handle, `mp_cancel_fire` in a signal handler included.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_cancel_free(cancel: *mut mp_cancel) {
    // SAFETY: the header asks that nobody uses the handle any more.
    unsafe { handle::free(cancel, "cancel") }
}
