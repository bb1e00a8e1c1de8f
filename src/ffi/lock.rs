//! Locks.

use super::guard::{guard, guard_new};
use super::handle::{self, Handle, Kind, Quick};
use super::status::{mp_status, MP_OK};
use super::token::read_token;
use super::types::{mp_token, Out};
use crate::arena::Near;
use crate::sync::{Lock, LockCell};
use crate::sys::clock::Deadline;

/// A lock that processes share. It belongs to the process that acquired it, whichever thread that was: a thread
/// that ends leaves it held. If the owning process ends in any way before the release, the next one who acquires
/// the lock is told by `MP_OWNER_DEAD`; nobody waits for the dead.
///
/// To signal between processes use a semaphore: a lock that one process acquires and another releases works, but
/// says that its owner died when the first one ends in between.
pub struct mp_lock {
    _private: [u8; 0],
}

impl Handle for mp_lock {
    type Core = Lock;
    const KIND: Kind = Kind::Lock;
    fn near(core: &Lock) -> Option<Near<()>> {
        Some(core.near().erased())
    }
}

// SAFETY: `near` is that of a LockCell; cells of objects are never unmapped.
unsafe impl Quick for mp_lock {
    type Body = LockCell;
}

/// Makes a free lock.
///
/// *Returns* `MP_OK`; `MP_ERR_NO_MEMORY`; `MP_ERR_INVALID` if `out` is NULL; `MP_ERR_STATE` in a process without
/// a part in its parent's arena (made by a raw clone, or forked when there was no room for one more).
///
/// *Ownership*: free it with `mp_lock_free`. *Threads*: thread-safe. *Processes*: a forked child has the handle
/// too; others get one by a token.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_lock_new(out: *mut *mut mp_lock) -> mp_status {
    // SAFETY: `out` is NULL or writable, as the header asks.
    unsafe { guard_new(out, || handle::create(Lock::new()?)) }
}

/// Acquires the lock for this process, waiting up to `timeout` nanoseconds.
///
/// *Returns* `MP_OK`; `MP_OWNER_DEAD` (acquired, but the last owner died holding it: what the lock protects may
/// be half-written); `MP_ERR_TIMEOUT`, also if this process holds it already; `MP_ERR_CANCELLED` (see
/// `mp_cancel_use`); `MP_ERR_INVALID`; `MP_ERR_STATE` as for `mp_lock_new`.
///
/// *Threads*: thread-safe; threads of one process exclude each other too. *Processes*: a child that was forked
/// while its parent held the lock does not hold it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_lock_acquire(lock: *mut mp_lock, timeout: i64) -> mp_status {
    // SAFETY: the header asks that nobody frees the handle meanwhile.
    if unsafe { handle::quickly(lock, |lock| lock.acquire_free()) } {
        return MP_OK;
    }
    // SAFETY: as above.
    unsafe { acquire(lock, timeout) }
}

#[cold]
#[inline(never)]
unsafe extern "C" fn acquire(lock: *mut mp_lock, timeout: i64) -> mp_status {
    // SAFETY: as for `mp_lock_acquire`.
    guard(|| unsafe { handle::get(lock, "lock") }?.acquire_slowly(Deadline::after(timeout)))
}

/// Releases the lock, whoever holds it: any thread of any process may do so.
///
/// *Returns* `MP_OK`; `MP_ERR_OVERFLOW` if the lock is free; `MP_ERR_INVALID`; `MP_ERR_STATE` as for
/// `mp_lock_new`. Releasing for an owner that has died is fine; the next one to acquire is told all the same.
///
/// *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_lock_release(lock: *mut mp_lock) -> mp_status {
    // SAFETY: the header asks that nobody frees the handle meanwhile.
    if unsafe { handle::quickly(lock, |lock| lock.release_unwaited()) } {
        return MP_OK;
    }
    // SAFETY: as above.
    unsafe { release(lock) }
}

#[cold]
#[inline(never)]
unsafe extern "C" fn release(lock: *mut mp_lock) -> mp_status {
    // SAFETY: as for `mp_lock_release`.
    guard(|| unsafe { handle::get(lock, "lock") }?.release())
}

/// Writes the pid of the process that holds the lock into `*pid`; 0 if it is free, or its owner is known to have
/// died. It may have changed by the time the caller looks.
///
/// *Returns* `MP_OK`; `MP_ERR_INVALID`; `MP_ERR_STATE` as for `mp_lock_new`. *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_lock_owner(lock: *const mp_lock, pid: *mut i32) -> mp_status {
    guard(|| {
        // SAFETY: nobody frees the handle meanwhile, and `pid` is NULL or writable, as the header asks.
        let (lock, pid) = unsafe { (handle::get(lock, "lock")?, Out::new(pid, "pid")?) };
        pid.set(lock.owner()?);
        Ok(())
    })
}

/// Writes the lock's token into `*out`.
///
/// *Returns* `MP_OK`; `MP_ERR_INVALID`. *Ownership*: a token is plain bytes and keeps nothing alive by itself,
/// see `mp_token_keep`. *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_lock_token(lock: *const mp_lock, out: *mut mp_token) -> mp_status {
    guard(|| {
        // SAFETY: nobody frees the handle meanwhile, and `out` is NULL or writable, as the header asks.
        let (lock, out) = unsafe { (handle::get(lock, "lock")?, Out::new(out, "out")?) };
        out.set(lock.token().into());
        Ok(())
    })
}

/// Makes a handle of the lock that a token names.
///
/// *Returns* `MP_OK`; `MP_ERR_STALE` if the lock has been destroyed; `MP_ERR_INVALID` if the token is NULL, not one
/// of this family of processes, or of another kind of object; `MP_ERR_NO_MEMORY`; `MP_ERR_STATE` as for
/// `mp_lock_new`.
///
/// *Ownership*: free it with `mp_lock_free`. *Threads*: thread-safe. *Processes*: any process of the family.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_lock_from_token(token: *const mp_token, out: *mut *mut mp_lock) -> mp_status {
    // SAFETY: `token` is NULL or readable, `out` NULL or writable, as the header asks.
    unsafe { guard_new(out, || handle::create(Lock::from_token(&read_token(token)?)?)) }
}

/// Drops this process's handle; NULL is nothing. The lock goes with its last handle in any process. Freeing the
/// handle does not release the lock.
///
/// *Threads*: thread-safe, but no other call may be using the handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_lock_free(lock: *mut mp_lock) {
    // SAFETY: the header asks that nobody uses the handle any more.
    unsafe { handle::free(lock, "lock") }
}
