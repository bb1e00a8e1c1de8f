//! Waiting for many things at once.

use super::connection::mp_connection;
use super::event::mp_event;
use super::guard::guard;
use super::handle::{self, Handle};
use super::process::mp_process;
use super::queue::mp_queue;
use super::result::mp_result;
use super::semaphore::mp_semaphore;
use super::status::mp_status;
use super::types::{self, mp_bool};
use crate::arena::multi::{self, Waitable};
use crate::error::{Error, Result};
use crate::sync;
use crate::sys::clock::Deadline;
use std::ffi::c_void;

/// A kind of `mp_waitable`: the descriptor `fd`. Ready: it has bytes to read, its other end was closed, or it failed.
pub const MP_WAIT_FD: i32 = 0;
/// A kind of `mp_waitable`: an `mp_queue`. Ready: a get may succeed, or fail for good, as the queue is closed.
pub const MP_WAIT_QUEUE: i32 = 1;
/// A kind of `mp_waitable`: an `mp_connection`. Ready: a receive would not wait: there is a message, or the other end has
/// gone.
pub const MP_WAIT_CONNECTION: i32 = 2;
/// A kind of `mp_waitable`: an `mp_event`. Ready: it is set.
pub const MP_WAIT_EVENT: i32 = 3;
/// A kind of `mp_waitable`: an `mp_semaphore`. Ready: it has a permit.
pub const MP_WAIT_SEMAPHORE: i32 = 4;
/// A kind of `mp_waitable`: an `mp_process`. Ready: it has ended.
pub const MP_WAIT_PROCESS: i32 = 5;
/// A kind of `mp_waitable`: an `mp_result`. Ready: it is, and its callback has returned.
pub const MP_WAIT_RESULT: i32 = 6;

/// One thing that `mp_wait` waits for.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct mp_waitable {
    /// `MP_WAIT_FD`, `MP_WAIT_QUEUE` or another: which of the next two counts, and what it is.
    pub kind: i32,
    /// The descriptor, for `MP_WAIT_FD`.
    pub fd: i32,
    /// The handle, for all others.
    pub handle: *mut c_void,
    /// Written by `mp_wait`: whether it is ready.
    pub ready: mp_bool,
}

/// Waits until at least one of `n` things is ready, up to `timeout` nanoseconds, and says which: `ready` becomes true
/// of all that are, and false of the others. It takes nothing: others may be faster, so take what is ready without
/// waiting, and wait again if it has gone. The same thing may stand there twice. `n` may be 0, with a timeout that
/// ends.
///
/// Objects of one arena need no descriptor. With descriptors or a second arena among the items, it has one descriptor of
/// its own for each arena while it sleeps, which the thread of `mp_event_fd` looks after. Where these can't be had, and
/// where a cancel object is in use meanwhile, it looks every 10 ms.
///
/// *Returns* `MP_OK` if at least one is ready; `MP_ERR_TIMEOUT`; `MP_ERR_CANCELLED` (see `mp_cancel_use`);
/// `MP_ERR_INVALID` if `items` is NULL, if `n` is 0 and `timeout` is `MP_FOREVER`, or for an item whose kind is none,
/// whose handle is not a live one of that kind or belongs to another process, or whose descriptor is not open;
/// `MP_ERR_STATE` for a process that was not started, a result of the pool in whose callback this is, and as for
/// `mp_lock_new`; `MP_ERR_CLOSED` for a process whose handle was closed; `MP_ERR_UNSUPPORTED` for the end of a
/// one-way pipe that only sends; `MP_ERR_SYSTEM`. The text says which item it is. After a failure no `ready` is true.
///
/// *Threads*: thread-safe, each thread with an array of its own; no handle in it may be freed meanwhile. *Processes*:
/// what another process does counts as what this one does. *Signals*: none ends the wait.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_wait(items: *mut mp_waitable, n: usize, timeout: i64) -> mp_status {
    guard(|| {
        // SAFETY: `items` is NULL or has `n` elements that nobody else uses meanwhile, as the header asks.
        let items = unsafe { types::array_mut(items, n, "items") }?;
        items.iter_mut().for_each(|item| item.ready = false.into());
        // SAFETY: no handle is freed meanwhile, as the header asks.
        let wanted =
            items.iter().enumerate().map(|(i, item)| unsafe { waitable(item) }.map_err(|e| at(i, &e)));
        let outcome = multi::wait(wanted.collect::<Result<_>>()?, Deadline::after(timeout))?;
        let ready = outcome.map_err(|end| sync::ended(end, "nothing is ready"))?;
        items.iter_mut().zip(ready).for_each(|(item, ready)| item.ready = ready.into());
        Ok(())
    })
}

/// The error of item `i`.
#[cold]
fn at(i: usize, error: &Error) -> Error {
    Error::new(error.status(), format!("items[{i}]: {}", error.message()))
}

/// What an item stands for.
///
/// # Safety
/// Its handle is not freed while the answer is in use. Any pointer value is allowed.
unsafe fn waitable(item: &mp_waitable) -> Result<Waitable> {
    // SAFETY: by the contract.
    unsafe {
        match item.kind {
            MP_WAIT_FD => Ok(Waitable::File(item.fd)),
            MP_WAIT_QUEUE => core::<mp_queue>(item)?.waitable(),
            MP_WAIT_CONNECTION => core::<mp_connection>(item)?.waitable(),
            MP_WAIT_EVENT => core::<mp_event>(item)?.waitable(),
            MP_WAIT_SEMAPHORE => core::<mp_semaphore>(item)?.waitable(),
            MP_WAIT_PROCESS => core::<mp_process>(item)?.waitable(),
            MP_WAIT_RESULT => core::<mp_result>(item)?.waitable(),
            kind => Err(Error::invalid(format!("kind is {kind}, which is none"))),
        }
    }
}

/// The core behind an item's handle.
///
/// # Safety
/// As for [`waitable`].
unsafe fn core<H: Handle>(item: &mp_waitable) -> Result<&H::Core> {
    // SAFETY: the contract is the same.
    unsafe { handle::get(item.handle.cast::<H>(), "handle") }
}
