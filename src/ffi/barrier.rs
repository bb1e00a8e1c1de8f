//! Barriers.

use super::guard::{guard, guard_new};
use super::handle::{self, Handle, Kind};
use super::status::mp_status;
use super::token::read_token;
use super::types::{mp_token, Out};
use crate::sync::Barrier;
use crate::sys::clock::Deadline;

/// A barrier that processes share: `parties` threads of any processes wait in it until all have come, and then go on
/// together; then the next round begins.
///
/// A wait that times out or is cancelled breaks the barrier for all, and so does `mp_barrier_abort`; a broken one stays
/// broken until `mp_barrier_reset`. Nobody waits for the dead: see `mp_barrier_new`.
pub struct mp_barrier {
    _private: [u8; 0],
}

impl Handle for mp_barrier {
    type Core = Barrier;
    const KIND: Kind = Kind::Barrier;
}

/// Makes a barrier for `parties` threads.
///
/// It breaks when a process ends, in whatever way,
/// - that waits in it, or took part in the round before (since the last reset); or
/// - that held a handle of it, and no live process that holds one is left besides those that wait: a kept token
///   (`mp_token_keep`) and a name in a named arena count as such a process, since by them somebody may still come.
///
/// The waiters learn it at once if the dead process was started by libmp, else within a second. What a barrier can't know
/// is who its parties are before they have come for the first time: if one dies before, while others that hold a
/// handle live on without ever coming, its waiters wait for as long as they said. A timeout is for that.
///
/// The second rule counts processes. Of a process that waits with one thread, and took part in the round before with
/// one at the most, no other thread is expected when a holder dies meanwhile: threads that share a barrier with each
/// other and with no other process should use it once before such a process ends, or come within the time that matters.
/// If the holder had died before the wait began, other threads of the waiting process, apart from libmp's own, are
/// expected. A process that only frees its handle breaks nothing, but one that took part in the last round does when it
/// ends, unless another round has been completed since.
///
/// *Returns* `MP_OK`; `MP_ERR_INVALID` if `parties` is 0 or `out` is NULL; `MP_ERR_NO_MEMORY`; `MP_ERR_STATE` as for
/// `mp_lock_new`.
///
/// *Ownership*: free it with `mp_barrier_free`. *Threads*: thread-safe. *Processes*: a forked child has the handle
/// too; others get one by a token.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_barrier_new(parties: u32, out: *mut *mut mp_barrier) -> mp_status {
    // SAFETY: `out` is NULL or writable, as the header asks.
    unsafe { guard_new(out, || handle::create(Barrier::new(parties)?)) }
}

/// Waits until all parties have come, up to `timeout` nanoseconds, and writes this one's number among those of its round
/// into `*index`: 0 for the first that came, `parties` - 1 for the last. `index` may be NULL; it is written only
/// with `MP_OK`.
///
/// *Returns* `MP_OK`, also if the barrier was broken, reset or went on after this round was complete; `MP_ERR_TIMEOUT` and
/// `MP_ERR_CANCELLED` (see `mp_cancel_use`): this wait has broken the barrier; `MP_ERR_BROKEN`: it was broken, by
/// another or by a death, or reset; `MP_ERR_INVALID`; `MP_ERR_STATE` as for `mp_lock_new`. A timeout of 0 succeeds only
/// for the last one to come.
///
/// *Threads*: thread-safe; each waiting thread is a party.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_barrier_wait(
    barrier: *mut mp_barrier,
    timeout: i64,
    index: *mut u32,
) -> mp_status {
    guard(|| {
        // SAFETY: the header asks that nobody frees the handle meanwhile.
        let number = unsafe { handle::get(barrier, "barrier") }?.wait(Deadline::after(timeout))?;
        if !index.is_null() {
            // SAFETY: not NULL, so writable, as the header asks.
            unsafe { index.write(number) };
        }
        Ok(())
    })
}

/// Makes the barrier as new: whoever waits in it gets `MP_ERR_BROKEN`, and it is not broken any more.
///
/// *Returns* `MP_OK`; `MP_ERR_INVALID`; `MP_ERR_STATE` as for `mp_lock_new`. *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_barrier_reset(barrier: *mut mp_barrier) -> mp_status {
    // SAFETY: the header asks that nobody frees the handle meanwhile.
    guard(|| unsafe { handle::get(barrier, "barrier") }?.reset())
}

/// Breaks the barrier: whoever waits in it, or comes before a reset, gets `MP_ERR_BROKEN`.
///
/// *Returns* `MP_OK`, also if it was broken; `MP_ERR_INVALID`; `MP_ERR_STATE` as for `mp_lock_new`. *Threads*:
/// thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_barrier_abort(barrier: *mut mp_barrier) -> mp_status {
    // SAFETY: the header asks that nobody frees the handle meanwhile.
    guard(|| unsafe { handle::get(barrier, "barrier") }?.abort())
}

/// Writes for how many parties the barrier is into `*parties`.
///
/// *Returns* `MP_OK`; `MP_ERR_INVALID`; `MP_ERR_STATE` as for `mp_lock_new`. *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_barrier_parties(barrier: *const mp_barrier, parties: *mut u32) -> mp_status {
    guard(|| {
        // SAFETY: nobody frees the handle meanwhile, and `parties` is NULL or writable, as the header asks.
        let (barrier, parties) = unsafe { (handle::get(barrier, "barrier")?, Out::new(parties, "parties")?) };
        parties.set(barrier.parties()?);
        Ok(())
    })
}

/// Writes how many threads wait in the barrier at this moment into `*waiting`; 0 if it is broken.
///
/// *Returns* `MP_OK`; `MP_ERR_INVALID`; `MP_ERR_STATE` as for `mp_lock_new`. *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_barrier_waiting(barrier: *const mp_barrier, waiting: *mut u32) -> mp_status {
    guard(|| {
        // SAFETY: nobody frees the handle meanwhile, and `waiting` is NULL or writable, as the header asks.
        let (barrier, waiting) = unsafe { (handle::get(barrier, "barrier")?, Out::new(waiting, "waiting")?) };
        waiting.set(barrier.waiting()?);
        Ok(())
    })
}

/// Writes whether the barrier is broken into `*broken`. Looks whether the processes live on which the barrier depends: a
/// few system calls for each.
///
/// *Returns* `MP_OK`; `MP_ERR_INVALID`; `MP_ERR_STATE` as for `mp_lock_new`. *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_barrier_broken(barrier: *const mp_barrier, broken: *mut bool) -> mp_status {
    guard(|| {
        // SAFETY: nobody frees the handle meanwhile, and `broken` is NULL or writable, as the header asks.
        let (barrier, broken) = unsafe { (handle::get(barrier, "barrier")?, Out::new(broken, "broken")?) };
        broken.set(barrier.broken()?);
        Ok(())
    })
}

/// Writes the barrier's token into `*out`.
///
/// *Returns* `MP_OK`; `MP_ERR_INVALID`. *Ownership*: a token is plain bytes and keeps nothing alive by itself,
/// see `mp_token_keep`. *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_barrier_token(barrier: *const mp_barrier, out: *mut mp_token) -> mp_status {
    guard(|| {
        // SAFETY: nobody frees the handle meanwhile, and `out` is NULL or writable, as the header asks.
        let (barrier, out) = unsafe { (handle::get(barrier, "barrier")?, Out::new(out, "out")?) };
        out.set(barrier.token().into());
        Ok(())
    })
}

/// Makes a handle of the barrier that a token names.
///
/// *Returns* `MP_OK`; `MP_ERR_STALE` if the barrier has been destroyed; `MP_ERR_INVALID` if the token is NULL, not one of
/// this family of processes, or of another kind of object; `MP_ERR_NO_MEMORY`; `MP_ERR_STATE` as for `mp_lock_new`.
///
/// *Ownership*: free it with `mp_barrier_free`. *Threads*: thread-safe. *Processes*: any process of the family.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_barrier_from_token(
    token: *const mp_token,
    out: *mut *mut mp_barrier,
) -> mp_status {
    // SAFETY: `token` is NULL or readable, `out` NULL or writable, as the header asks.
    unsafe { guard_new(out, || handle::create(Barrier::from_token(&read_token(token)?)?)) }
}

/// Drops this process's handle; NULL is nothing. The barrier goes with its last handle in any process.
///
/// *Threads*: thread-safe, but no other call may be using the handle: abort the barrier first, or cancel the waits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_barrier_free(barrier: *mut mp_barrier) {
    // SAFETY: the header asks that nobody uses the handle any more.
    unsafe { handle::free(barrier, "barrier") }
}
