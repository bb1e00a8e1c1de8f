//! Events.

use super::guard::{guard, guard_new, guard_signal_safe};
use super::handle::{self, Handle, Kind};
use super::status::mp_status;
use super::token::read_token;
use super::types::{mp_token, Out};
use crate::error::Status;
use crate::sync::Event;
use crate::sys::clock::Deadline;

/// An event that processes share: it is set or not, and processes wait until it is set. It belongs to nobody.
pub struct mp_event {
    _private: [u8; 0],
}

impl Handle for mp_event {
    type Core = Event;
    const KIND: Kind = Kind::Event;
}

/// Makes an event that is not set.
///
/// *Returns* `MP_OK`; `MP_ERR_NO_MEMORY`; `MP_ERR_INVALID` if `out` is NULL; `MP_ERR_STATE` as for `mp_lock_new`.
///
/// *Ownership*: free it with `mp_event_free`. *Threads*: thread-safe. *Processes*: a forked child has the handle
/// too; others get one by a token.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_event_new(out: *mut *mut mp_event) -> mp_status {
    // SAFETY: `out` is NULL or writable, as the header asks.
    unsafe { guard_new(out, || handle::create(Event::new()?)) }
}

/// Sets the event and wakes all who wait for it, in every process. Setting one that is set changes nothing.
///
/// *Returns* `MP_OK`; `MP_ERR_INVALID`; `MP_ERR_STATE` as for `mp_lock_new`.
///
/// *Threads*: thread-safe, and async-signal-safe: it takes no lock, allocates nothing and keeps errno, also where it
/// fails; a failure's text for `mp_last_error` is a fixed one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_event_set(event: *mut mp_event) -> mp_status {
    guard_signal_safe(|| {
        // SAFETY: the header asks that nobody frees the handle meanwhile.
        let event = unsafe { handle::peek(event) }
            .ok_or((Status::Invalid, c"event is not a live mp_event handle: it is NULL, foreign or freed"))?;
        let lost = c"this process has no part in the arena of the event, see mp_lock_new";
        event.set().map_err(|error| (error.status(), lost))
    })
}

/// Makes the event not set.
///
/// *Returns* `MP_OK`; `MP_ERR_INVALID`; `MP_ERR_STATE` as for `mp_lock_new`. *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_event_clear(event: *mut mp_event) -> mp_status {
    // SAFETY: the header asks that nobody frees the handle meanwhile.
    guard(|| unsafe { handle::get(event, "event") }?.clear())
}

/// Writes whether the event is set at this moment into `*set`.
///
/// *Returns* `MP_OK`; `MP_ERR_INVALID`; `MP_ERR_STATE` as for `mp_lock_new`. *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_event_is_set(event: *const mp_event, set: *mut bool) -> mp_status {
    guard(|| {
        // SAFETY: nobody frees the handle meanwhile, and `set` is NULL or writable, as the header asks.
        let (event, set) = unsafe { (handle::get(event, "event")?, Out::new(set, "set")?) };
        set.set(event.is_set()?);
        Ok(())
    })
}

/// Waits until the event is set, up to `timeout` nanoseconds. Who waits when it is set gets `MP_OK`, also if it is
/// cleared at once afterwards.
///
/// *Returns* `MP_OK`; `MP_ERR_TIMEOUT`; `MP_ERR_CANCELLED` (see `mp_cancel_use`); `MP_ERR_INVALID`; `MP_ERR_STATE` as
/// for `mp_lock_new`. *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_event_wait(event: *mut mp_event, timeout: i64) -> mp_status {
    // SAFETY: the header asks that nobody frees the handle meanwhile.
    guard(|| unsafe { handle::get(event, "event") }?.wait(Deadline::after(timeout)))
}

/// Writes a descriptor into `*fd` that is readable while the event is set, for poll, select and epoll
/// (level-triggered). It follows a change within moments, so that it may tell of an earlier state: ask the event
/// itself, without waiting, and poll again if it says otherwise. The handle has one descriptor, made at the first
/// request, and with the process's first one a thread that looks after them.
///
/// *Returns* `MP_OK`; `MP_ERR_INVALID`; `MP_ERR_SYSTEM` if none can be had, or no thread; `MP_ERR_STATE` as for
/// `mp_lock_new`.
///
/// *Ownership*: the library's: do not read, write or close it; it goes with the handle. If the program has closed it
/// all the same, the next request makes another. *Threads*: thread-safe. *Processes*: it is this process's alone; a
/// forked child's copy is closed, and it asks for its own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_event_fd(event: *mut mp_event, fd: *mut i32) -> mp_status {
    guard(|| {
        // SAFETY: nobody frees the handle meanwhile, and `fd` is NULL or writable, as the header asks.
        let (event, fd) = unsafe { (handle::get(event, "event")?, Out::new(fd, "fd")?) };
        fd.set(event.descriptor()?);
        Ok(())
    })
}

/// Writes the event's token into `*out`.
///
/// *Returns* `MP_OK`; `MP_ERR_INVALID`. *Ownership*: a token is plain bytes and keeps nothing alive by itself,
/// see `mp_token_keep`. *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_event_token(event: *const mp_event, out: *mut mp_token) -> mp_status {
    guard(|| {
        // SAFETY: nobody frees the handle meanwhile, and `out` is NULL or writable, as the header asks.
        let (event, out) = unsafe { (handle::get(event, "event")?, Out::new(out, "out")?) };
        out.set(event.token().into());
        Ok(())
    })
}

/// Makes a handle of the event that a token names.
///
/// *Returns* `MP_OK`; `MP_ERR_STALE` if the event has been destroyed; `MP_ERR_INVALID` if the token is NULL, not one
/// of this family of processes, or of another kind of object; `MP_ERR_NO_MEMORY`; `MP_ERR_STATE` as for
/// `mp_lock_new`.
///
/// *Ownership*: free it with `mp_event_free`. *Threads*: thread-safe. *Processes*: any process of the family.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_event_from_token(token: *const mp_token, out: *mut *mut mp_event) -> mp_status {
    // SAFETY: `token` is NULL or readable, `out` NULL or writable, as the header asks.
    unsafe { guard_new(out, || handle::create(Event::from_token(&read_token(token)?)?)) }
}

/// Drops this process's handle, and its descriptor; NULL is nothing. The event goes with its last handle in any
/// process.
///
/// *Threads*: thread-safe, but no other call may be using the handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_event_free(event: *mut mp_event) {
    // SAFETY: the header asks that nobody uses the handle any more.
    unsafe { handle::free(event, "event") }
}
