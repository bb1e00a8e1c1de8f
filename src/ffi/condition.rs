//! Conditions.

use super::guard::{guard, guard_new};
use super::handle::{self, Handle, Kind};
use super::lock::mp_lock;
use super::rlock::mp_rlock;
use super::status::mp_status;
use super::token::read_token;
use super::types::{mp_token, Out};
use crate::sync::Condition;
use crate::sys::clock::Deadline;

/// A condition that processes share, with its lock. Who holds the lock looks whether something is so, and waits if it
/// is not: the lock is released for as long as the wait takes. Who changes it, under the same lock, notifies.
///
/// Notifying never waits for a waiter. Waiters are notified in the order in which they came. If a process dies after it
/// was notified and before its wait has returned, its notification passes to the next who waited then. If a process
/// dies holding the lock, perhaps before it notified anybody, one of those who wait gets the lock and is told.
///
/// A wait may end although nothing has changed for the one who waited: others may come first. So look in a loop:
///
///     while (!it_is_so && MP_SUCCEEDED(status))
///         status = mp_condition_wait(condition, timeout);
pub struct mp_condition {
    _private: [u8; 0],
}

impl Handle for mp_condition {
    type Core = Condition;
    const KIND: Kind = Kind::Condition;
}

/// Makes a condition with the recursive lock `rlock`, or, for NULL, with one of its own.
///
/// *Returns* `MP_OK`; `MP_ERR_NO_MEMORY`; `MP_ERR_INVALID` if `out` is NULL or `rlock` is no live handle;
/// `MP_ERR_STATE` as for `mp_lock_new`.
///
/// *Ownership*: free it with `mp_condition_free`. The handle `rlock` remains the caller's, and may be freed at any time;
/// the lock itself lives as long as the condition. *Threads*: thread-safe. *Processes*: a forked child has the handle
/// too; others get one by a token.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_condition_new(rlock: *mut mp_rlock, out: *mut *mut mp_condition) -> mp_status {
    // SAFETY: `out` is NULL or writable, and nobody frees the lock's handle meanwhile, as the header asks.
    unsafe {
        guard_new(out, || {
            let rlock = if rlock.is_null() { None } else { Some(handle::get(rlock, "rlock")?) };
            handle::create(Condition::new(rlock)?)
        })
    }
}

/// Makes a condition with the plain lock `lock`. That lock belongs to a process: whichever thread of the process that has
/// acquired it may wait and notify, and the program sees to it that it is the one which did.
///
/// *Returns* and *Ownership* as for `mp_condition_new`; `lock` must not be NULL. *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_condition_new_with_lock(
    lock: *mut mp_lock,
    out: *mut *mut mp_condition,
) -> mp_status {
    // SAFETY: `out` is NULL or writable, and nobody frees the lock's handle meanwhile, as the header asks.
    unsafe { guard_new(out, || handle::create(Condition::with_lock(handle::get(lock, "lock")?)?)) }
}

/// Acquires the condition's lock, waiting up to `timeout` nanoseconds.
///
/// *Returns* as `mp_rlock_acquire`, or as `mp_lock_acquire` if the condition was made with a plain lock.
///
/// *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_condition_acquire(condition: *mut mp_condition, timeout: i64) -> mp_status {
    // SAFETY: the header asks that nobody frees the handle meanwhile.
    guard(|| unsafe { handle::get(condition, "condition") }?.acquire(Deadline::after(timeout)))
}

/// Releases the condition's lock once.
///
/// *Returns* `MP_OK`; `MP_ERR_NOT_OWNER` if the caller does not hold it; `MP_ERR_INVALID`; `MP_ERR_STATE` as for
/// `mp_lock_new`.
///
/// *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_condition_release(condition: *mut mp_condition) -> mp_status {
    // SAFETY: the header asks that nobody frees the handle meanwhile.
    guard(|| unsafe { handle::get(condition, "condition") }?.release())
}

/// Releases the lock, however often it was acquired, waits up to `timeout` nanoseconds for a notification, and acquires
/// the lock again as often. The caller has the lock again whatever the answer is, unless it never had it; getting it
/// back may take longer than `timeout`, and is not cancelled.
///
/// *Returns* `MP_OK` if notified, even if the time ran out before the lock was back; `MP_OWNER_DEAD`, before all that
/// follows: whoever held the lock meanwhile died holding it, so what it protects may be half-written, and there may or
/// may not have been a notification: look whether to wait on, and notify the others if they should look too; `MP_ERR_TIMEOUT`; `MP_ERR_CANCELLED` (see `mp_cancel_use`). Without having waited:
/// `MP_ERR_NOT_OWNER` if the caller does not hold the lock; `MP_ERR_NO_MEMORY`; `MP_ERR_INVALID`; `MP_ERR_STATE` as for
/// `mp_lock_new`.
///
/// *Threads*: thread-safe. *Processes*: a child that was forked while its parent held the lock does not hold it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_condition_wait(condition: *mut mp_condition, timeout: i64) -> mp_status {
    // SAFETY: the header asks that nobody frees the handle meanwhile.
    guard(|| unsafe { handle::get(condition, "condition") }?.wait(Deadline::after(timeout)))
}

/// Notifies the `n` who have waited longest, or as many as wait. They go on when the lock is free; this call waits for
/// nobody. Notifications are not kept for who comes later.
///
/// *Returns* `MP_OK`; `MP_ERR_NOT_OWNER` if the caller does not hold the lock; `MP_ERR_INVALID`; `MP_ERR_STATE` as for
/// `mp_lock_new`.
///
/// *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_condition_notify(condition: *mut mp_condition, n: u32) -> mp_status {
    // SAFETY: the header asks that nobody frees the handle meanwhile.
    guard(|| unsafe { handle::get(condition, "condition") }?.notify(n))
}

/// Notifies all who wait.
///
/// *Returns* as `mp_condition_notify`. *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_condition_notify_all(condition: *mut mp_condition) -> mp_status {
    // SAFETY: the header asks that nobody frees the handle meanwhile.
    guard(|| unsafe { handle::get(condition, "condition") }?.notify_all())
}

/// Writes the condition's token into `*out`.
///
/// *Returns* `MP_OK`; `MP_ERR_INVALID`. *Ownership*: a token is plain bytes and keeps nothing alive by itself,
/// see `mp_token_keep`. *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_condition_token(condition: *const mp_condition, out: *mut mp_token) -> mp_status {
    guard(|| {
        // SAFETY: nobody frees the handle meanwhile, and `out` is NULL or writable, as the header asks.
        let (condition, out) = unsafe { (handle::get(condition, "condition")?, Out::new(out, "out")?) };
        out.set(condition.token().into());
        Ok(())
    })
}

/// Makes a handle of the condition that a token names, lock included.
///
/// *Returns* `MP_OK`; `MP_ERR_STALE` if the condition has been destroyed; `MP_ERR_INVALID` if the token is NULL, not one
/// of this family of processes, or of another kind of object; `MP_ERR_NO_MEMORY`; `MP_ERR_STATE` as for
/// `mp_lock_new`.
///
/// *Ownership*: free it with `mp_condition_free`. *Threads*: thread-safe. *Processes*: any process of the family.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_condition_from_token(
    token: *const mp_token,
    out: *mut *mut mp_condition,
) -> mp_status {
    // SAFETY: `token` is NULL or readable, `out` NULL or writable, as the header asks.
    unsafe { guard_new(out, || handle::create(Condition::from_token(&read_token(token)?)?)) }
}

/// Drops this process's handle; NULL is nothing. The condition goes with its last handle in any process. Freeing the
/// handle does not release the lock.
///
/// *Threads*: thread-safe, but no other call may be using the handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_condition_free(condition: *mut mp_condition) {
    // SAFETY: the header asks that nobody uses the handle any more.
    unsafe { handle::free(condition, "condition") }
}
