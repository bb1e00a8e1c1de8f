//! Recursive locks.

use super::guard::{guard, guard_new};
use super::handle::{self, Handle, Kind, Quick};
use super::status::{mp_status, MP_OK};
use super::token::read_token;
use super::types::{mp_token, Out};
use crate::arena::Near;
use crate::sync::{RLock, RLockCell, Who};
use crate::sys::clock::Deadline;

/// A recursive lock that processes share. It belongs to the thread that acquired it, which may acquire it again and
/// must release it as often. A thread that ends leaves it held; if the owning process ends in any way before the last
/// release, the next one who acquires the lock is told by `MP_OWNER_DEAD`, and begins with a count of one; nobody waits
/// for the dead.
///
/// Programs whose threads are not the system's (Go's, those of a scheduler) name the owner themselves, by
/// `mp_rlock_acquire_as`.
pub struct mp_rlock {
    _private: [u8; 0],
}

impl Handle for mp_rlock {
    type Core = RLock;
    const KIND: Kind = Kind::RLock;
    fn near(core: &RLock) -> Option<Near<()>> {
        Some(core.near().erased())
    }
}

// SAFETY: `near` is that of an RLockCell; cells of objects are never unmapped.
unsafe impl Quick for mp_rlock {
    type Body = RLockCell;
}

/// Makes a free recursive lock.
///
/// *Returns* `MP_OK`; `MP_ERR_NO_MEMORY`; `MP_ERR_INVALID` if `out` is NULL; `MP_ERR_STATE` as for `mp_lock_new`.
///
/// *Ownership*: free it with `mp_rlock_free`. *Threads*: thread-safe. *Processes*: a forked child has the handle
/// too; others get one by a token.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_rlock_new(out: *mut *mut mp_rlock) -> mp_status {
    // SAFETY: `out` is NULL or writable, as the header asks.
    unsafe { guard_new(out, || handle::create(RLock::new()?)) }
}

/// Acquires the lock for this thread, waiting up to `timeout` nanoseconds; at once if the thread has it already.
///
/// *Returns* `MP_OK`; `MP_OWNER_DEAD` (acquired, but the last owner died holding it: what the lock protects may
/// be half-written); `MP_ERR_TIMEOUT`; `MP_ERR_CANCELLED` (see `mp_cancel_use`); `MP_ERR_OVERFLOW` if the thread has
/// acquired it 4294967296 times; `MP_ERR_INVALID`; `MP_ERR_STATE` as for `mp_lock_new`.
///
/// *Threads*: thread-safe. *Processes*: a child that was forked while its parent held the lock does not hold it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_rlock_acquire(rlock: *mut mp_rlock, timeout: i64) -> mp_status {
    // SAFETY: the header asks that nobody frees the handle meanwhile.
    unsafe { acquire(rlock, Who::this_thread(), timeout) }
}

/// Releases the lock once, for this thread has it. It is free after as many releases as acquisitions.
///
/// *Returns* `MP_OK`; `MP_ERR_NOT_OWNER` if this thread does not have the lock, also if nobody has; `MP_ERR_INVALID`;
/// `MP_ERR_STATE` as for `mp_lock_new`.
///
/// *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_rlock_release(rlock: *mut mp_rlock) -> mp_status {
    // SAFETY: the header asks that nobody frees the handle meanwhile.
    unsafe { release(rlock, Who::this_thread()) }
}

/// Acquires the lock for an owner that the caller names, in place of this thread: whichever thread of this process calls
/// with the same number is the same owner. The number means nothing in other processes. The calls of one owner must
/// follow each other, as a thread's do.
///
/// *Returns* as `mp_rlock_acquire`.
///
/// *Threads*: thread-safe for different owners.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_rlock_acquire_as(rlock: *mut mp_rlock, owner: u64, timeout: i64) -> mp_status {
    // SAFETY: the header asks that nobody frees the handle meanwhile.
    unsafe { acquire(rlock, Who::named(owner), timeout) }
}

/// Releases the lock once, for the named owner has it: see `mp_rlock_acquire_as`.
///
/// *Returns* as `mp_rlock_release`.
///
/// *Threads*: thread-safe for different owners.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_rlock_release_as(rlock: *mut mp_rlock, owner: u64) -> mp_status {
    // SAFETY: the header asks that nobody frees the handle meanwhile.
    unsafe { release(rlock, Who::named(owner)) }
}

/// For a thread or a named owner.
///
/// # Safety
/// The handle is not freed meanwhile.
#[inline(always)]
unsafe fn acquire(rlock: *mut mp_rlock, who: Who, timeout: i64) -> mp_status {
    // SAFETY: by the contract.
    if unsafe { handle::quickly(rlock, |rlock| rlock.acquire_free(who)) } {
        return MP_OK;
    }
    // SAFETY: as above.
    unsafe { acquire_slowly(rlock, who, timeout) }
}

#[cold]
#[inline(never)]
unsafe fn acquire_slowly(rlock: *mut mp_rlock, who: Who, timeout: i64) -> mp_status {
    // SAFETY: as for `acquire`.
    guard(|| unsafe { handle::get(rlock, "rlock") }?.acquire(who, Deadline::after(timeout)))
}

/// For a thread or a named owner.
///
/// # Safety
/// The handle is not freed meanwhile.
#[inline(always)]
unsafe fn release(rlock: *mut mp_rlock, who: Who) -> mp_status {
    // SAFETY: by the contract.
    if unsafe { handle::quickly(rlock, |rlock| rlock.release_unwaited(who)) } {
        return MP_OK;
    }
    // SAFETY: as above.
    unsafe { release_slowly(rlock, who) }
}

#[cold]
#[inline(never)]
unsafe fn release_slowly(rlock: *mut mp_rlock, who: Who) -> mp_status {
    // SAFETY: as for `release`.
    guard(|| unsafe { handle::get(rlock, "rlock") }?.release(who))
}

/// Writes the lock's token into `*out`.
///
/// *Returns* `MP_OK`; `MP_ERR_INVALID`. *Ownership*: a token is plain bytes and keeps nothing alive by itself,
/// see `mp_token_keep`. *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_rlock_token(rlock: *const mp_rlock, out: *mut mp_token) -> mp_status {
    guard(|| {
        // SAFETY: nobody frees the handle meanwhile, and `out` is NULL or writable, as the header asks.
        let (rlock, out) = unsafe { (handle::get(rlock, "rlock")?, Out::new(out, "out")?) };
        out.set(rlock.token().into());
        Ok(())
    })
}

/// Makes a handle of the recursive lock that a token names.
///
/// *Returns* `MP_OK`; `MP_ERR_STALE` if the lock has been destroyed; `MP_ERR_INVALID` if the token is NULL, not one
/// of this family of processes, or of another kind of object; `MP_ERR_NO_MEMORY`; `MP_ERR_STATE` as for
/// `mp_lock_new`.
///
/// *Ownership*: free it with `mp_rlock_free`. *Threads*: thread-safe. *Processes*: any process of the family.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_rlock_from_token(token: *const mp_token, out: *mut *mut mp_rlock) -> mp_status {
    // SAFETY: `token` is NULL or readable, `out` NULL or writable, as the header asks.
    unsafe { guard_new(out, || handle::create(RLock::from_token(&read_token(token)?)?)) }
}

/// Drops this process's handle; NULL is nothing. The lock goes with its last handle in any process. Freeing the
/// handle does not release the lock.
///
/// *Threads*: thread-safe, but no other call may be using the handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_rlock_free(rlock: *mut mp_rlock) {
    // SAFETY: the header asks that nobody uses the handle any more.
    unsafe { handle::free(rlock, "rlock") }
}
