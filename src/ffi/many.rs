//! Many messages in one call, and messages that are written in place.

use super::buffer::mp_buffer;
use super::guard::{guard, guard_new};
use super::handle::{self, Handle, Kind, Vacant};
use super::queue::mp_queue;
use super::status::mp_status;
use super::types::{self, mp_slice, Out};
use crate::channel::Reservation;
use crate::error::{Error, Result, Status};
use crate::sys::clock::Deadline;
use std::ffi::c_void;

/// Room for one message in a queue, and the memory in which it is written: see `mp_queue_reserve`. It belongs to the
/// process that made it. *Threads*: thread-compatible.
pub struct mp_reservation {
    _private: [u8; 0],
}

impl Handle for mp_reservation {
    type Core = Reservation;
    const KIND: Kind = Kind::Reservation;
}

/// Puts copies of `n` messages, in this order, waiting for room for `timeout` nanoseconds at the longest, and writes how
/// many were put into `*done`. Much cheaper for each message than `mp_queue_put`, if they are of a kilobyte at most and
/// the queue is of the kind `MP_QUEUE_FIFO` with defaults, or with a `maxsize`: then nobody else's messages come between
/// those that there is room for at once.
///
/// *Returns* as `mp_queue_put`. After a failure the first `*done` messages are in the queue, and no other.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_queue_put_many(
    queue: *mut mp_queue,
    messages: *const mp_slice,
    n: usize,
    timeout: i64,
    done: *mut usize,
) -> mp_status {
    guard(|| {
        // SAFETY: `done` is NULL or writable, as the header asks.
        let done = unsafe { Out::new(done, "done") }?;
        // SAFETY: the handle is not freed meanwhile, and there are n messages, as the header asks.
        let read = unsafe {
            handle::get(queue, "queue")
                .and_then(|queue| Ok((queue, types::checked(messages, n, "messages")?)))
        };
        let (put, result) = match read {
            Ok((queue, messages)) => {
                // SAFETY: each has been checked, and is as long as it says.
                let message = |i: usize| unsafe { types::bytes_of(&messages[i]) };
                queue.put_many(n, message, Deadline::after(timeout))
            }
            Err(error) => (0, Err(error)),
        };
        done.set(put);
        result
    })
}

/// Waits for a message for `timeout` nanoseconds at the longest, then takes what is there, at most `cap` messages: their
/// buffers go into `out[0]` and on, and how many there are into `*n`.
///
/// *Returns* as `mp_queue_get`; `MP_ERR_INVALID` also if `cap` is 0. On failure nothing was taken, `*n` is 0, and all of
/// `out` is NULL.
/// *Ownership*: the caller frees each buffer with `mp_buffer_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_queue_get_many(
    queue: *mut mp_queue,
    out: *mut *mut mp_buffer,
    cap: usize,
    timeout: i64,
    n: *mut usize,
) -> mp_status {
    guard(|| {
        // SAFETY: `n` is NULL or writable, and `out` NULL or an array of `cap`, as the header asks.
        let count = unsafe { Out::new(n, "n") }?;
        // SAFETY: as above.
        let taken =
            unsafe { some_cap(cap).and_then(|()| types::array_mut(out, cap, "out")) }.and_then(|out| {
                // SAFETY: the handle is not freed meanwhile.
                let queue = unsafe { handle::get(queue, "queue") };
                let taken = queue.and_then(|queue| take_many(queue, out, Deadline::after(timeout)));
                if taken.is_err() {
                    out.fill(std::ptr::null_mut());
                }
                taken
            });
        count.set(*taken.as_ref().unwrap_or(&0));
        taken.map(drop)
    })
}

fn some_cap(cap: usize) -> Result<()> {
    if cap == 0 {
        return Err(Error::invalid("there must be room for one message at least, but it is said to be 0"));
    }
    Ok(())
}

/// Fills the first places of `out`: how many.
fn take_many(queue: &crate::channel::Queue, out: &mut [*mut mp_buffer], deadline: Deadline) -> Result<usize> {
    let mut n = 0;
    // The handles come first: no message is taken that nothing could hold. The first time as many as are there already.
    for until in [deadline, Deadline::Now] {
        let there = queue.size()?.max(usize::from(n == 0)).min(out.len() - n);
        let handles: Result<Vec<Vacant>> = (0..there).map(|_| Vacant::new()).collect();
        let taken = match handles {
            Ok(handles) if !handles.is_empty() => {
                queue.get_many(handles.len(), until).map(|buffers| handles.into_iter().zip(buffers))
            }
            Ok(_) => break,
            Err(error) => Err(error),
        };
        match taken {
            Ok(taken) => {
                for (handle, buffer) in taken {
                    out[n] = handle.fill(buffer);
                    n += 1;
                }
            }
            Err(error) if n == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(n)
}

/// Waits for a message for `timeout` nanoseconds at the longest, then copies what is there into `buf`, which has room for
/// `cap` bytes: at most `max` messages, as many as fit, one directly behind the other. `out[0]` and on say where each
/// lies in `buf` and how long it is, and `*n` how many there are. Messages of one size are aligned as `buf` and the
/// size are. Much cheaper for each message than `mp_queue_get_into`.
///
/// *Returns* as `mp_queue_get_into`; `MP_ERR_TOO_LARGE` if not even the first fits: then it stays, and `out[0].len` says
/// how many bytes are needed, with a NULL `data`. `MP_ERR_INVALID` also if `max` is 0. On failure `*n` is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_queue_get_many_into(
    queue: *mut mp_queue,
    buf: *mut c_void,
    cap: usize,
    out: *mut mp_slice,
    max: usize,
    timeout: i64,
    n: *mut usize,
) -> mp_status {
    guard(|| {
        // SAFETY: `n` is NULL or writable, as the header asks.
        let count = unsafe { Out::new(n, "n") }?;
        // SAFETY: the handle is not freed meanwhile; buf and out have room for so many, as the header asks.
        let taken = unsafe {
            some_cap(max).and_then(|()| {
                let into = types::bytes_mut(buf, cap, "buf")?;
                let out = types::array_mut(out, max, "out")?;
                Ok((handle::get(queue, "queue")?, into, out))
            })
        }
        .and_then(|(queue, into, out)| copy_many(queue, into, out, Deadline::after(timeout)));
        count.set(*taken.as_ref().unwrap_or(&0));
        taken.map(drop)
    })
}

fn copy_many(
    queue: &crate::channel::Queue,
    into: &mut [u8],
    out: &mut [mp_slice],
    deadline: Deadline,
) -> Result<usize> {
    let (base, room, most) = (into.as_ptr(), into.len(), out.len());
    let tell = |number: usize, place: usize, len: usize| {
        out[number] = mp_slice { data: base.wrapping_add(place).cast(), len };
    };
    match queue.get_many_into(into, most, deadline, tell)? {
        (n, None) => Ok(n),
        (_, Some(len)) => {
            out[0] = mp_slice { data: std::ptr::null(), len };
            let text = format!("the first message has {len} bytes, the buffer {room}");
            Err(Error::new(Status::TooLarge, text))
        }
    }
}

/// Reserves room in the queue for a message of `len` bytes, and the memory for it, waiting for `timeout` nanoseconds at
/// the longest. The message is written at `*data`, which is aligned as a buffer's is, with undefined contents at first; the
/// getter's buffer is that very memory, if it is longer than a kilobyte. Order and visibility come from the commit. A
/// process that dies before it leaves nothing behind.
///
/// *Returns* as `mp_queue_put`; on failure `*data` and `*reservation` are NULL. *Ownership*: `*reservation` is to be ended by `mp_queue_commit`, `mp_queue_commit_len` or
/// `mp_queue_abandon`. *Lifetime* of `*data`: until then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_queue_reserve(
    queue: *mut mp_queue,
    len: usize,
    timeout: i64,
    data: *mut *mut c_void,
    reservation: *mut *mut mp_reservation,
) -> mp_status {
    let reserve = || {
        // SAFETY: `data` is NULL or writable, as the header asks.
        let data = unsafe { Out::new(data, "data") }?;
        // SAFETY: the handle is not freed meanwhile, as the header asks.
        let made = unsafe { handle::get(queue, "queue") }.and_then(|queue| {
            let handle = Vacant::new()?;
            Ok((handle, queue.reserve(len, Deadline::after(timeout))?))
        });
        data.set(made.as_ref().map_or(std::ptr::null_mut(), |(_, reserved)| reserved.data().cast()));
        made.map(|(handle, reserved)| handle.fill(reserved))
    };
    // SAFETY: `reservation` is NULL or writable, as the header asks.
    unsafe { guard_new(reservation, reserve) }
}

/// Puts the whole message that was reserved.
///
/// *Returns* `MP_OK`; `MP_ERR_CLOSED` if the queue was closed meanwhile; `MP_ERR_NO_MEMORY`; `MP_ERR_STATE` in another
/// process than the one that reserved; `MP_ERR_CANCELLED` while another process is stopped in the middle of a put;
/// `MP_ERR_INVALID`. On failure nothing was put. *Ownership*: the reservation has
/// ended, whatever this answers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_queue_commit(reservation: *mut mp_reservation) -> mp_status {
    // SAFETY: nobody else uses the handle, as the header asks.
    guard(|| commit(unsafe { handle::take(reservation, "reservation") }?, None))
}

/// Puts the first `len` bytes of the message that was reserved.
///
/// *Returns* as `mp_queue_commit`, and `MP_ERR_INVALID` if fewer were reserved. *Ownership*: the reservation has ended,
/// whatever this answers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_queue_commit_len(reservation: *mut mp_reservation, len: usize) -> mp_status {
    // SAFETY: nobody else uses the handle, as the header asks.
    guard(|| commit(unsafe { handle::take(reservation, "reservation") }?, Some(len)))
}

fn commit(reservation: Option<Box<Reservation>>, len: Option<usize>) -> Result<()> {
    reservation.ok_or_else(|| Error::invalid("reservation is NULL"))?.commit(len)
}

/// Gives back what was reserved. NULL is nothing.
///
/// *Returns* `MP_OK`; `MP_ERR_INVALID`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_queue_abandon(reservation: *mut mp_reservation) -> mp_status {
    // SAFETY: nobody else uses the handle, as the header asks.
    guard(|| unsafe { handle::take(reservation, "reservation") }.map(drop))
}
