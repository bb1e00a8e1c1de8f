//! Queues.

use super::buffer::mp_buffer;
use super::guard::{guard, guard_new, quickly};
use super::handle::{self, Handle, Kind, Vacant};
use super::options::{self, CStruct, Options};
use super::status::{mp_status, MP_OK};
use super::types::{self, mp_bool, mp_token, Out};
use crate::arena::Token;
use crate::channel::{Overflow, Queue, QueueKind, QueueOptions};
use crate::error::{Error, Result};
use crate::sys::clock::Deadline;
use std::ffi::c_void;

/// A queue of messages of any length that processes share: many producers, many consumers. A put is complete when
/// it returns: the message is there for every getter, whatever becomes of the putter. A process killed inside loses
/// at most the message of that call. *Threads*: thread-safe. *Processes*: process-shared; a forked child may use
/// it.
pub struct mp_queue {
    _private: [u8; 0],
}

impl Handle for mp_queue {
    type Core = Queue;
    const KIND: Kind = Kind::Queue;
}

/// First in, first out.
pub const MP_QUEUE_FIFO: i32 = 0;
/// Last in, first out.
pub const MP_QUEUE_LIFO: i32 = 1;
/// Lowest priority number first; equals in the order in which they were put. See `mp_queue_put_priority`.
pub const MP_QUEUE_PRIORITY: i32 = 2;

/// A put into a full queue waits.
pub const MP_OVERFLOW_WAIT: i32 = 0;
/// A put into a full queue answers `MP_ERR_FULL` at once, whatever its timeout.
pub const MP_OVERFLOW_FAIL: i32 = 1;
/// A put into a full queue drops the oldest messages until there is room: those that were put first, in a priority queue
/// too. What is dropped counts as done, see `mp_queue_join`. A put waits only where others have reserved all the room.
pub const MP_OVERFLOW_DROP_OLDEST: i32 = 2;

/// How a queue is made. Set up by `mp_queue_options_init`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct mp_queue_options {
    /// Set by `mp_queue_options_init`.
    pub size: usize,
    /// `MP_QUEUE_FIFO` (the default) or another order.
    pub kind: i32,
    /// The largest number of messages; 0 (the default) and less is unbounded.
    pub maxsize: i64,
    /// The largest number of bytes in all messages together; 0 (the default) is unbounded. A longer message is refused
    /// with `MP_ERR_TOO_LARGE`.
    pub max_bytes: u64,
    /// `MP_OVERFLOW_WAIT` (the default) or another policy.
    pub overflow: i32,
    /// Whether messages come back whose taker died before it acknowledged them by `mp_queue_ack`: in their old place,
    /// for another taker. So a message may be worked on twice, but is not lost. With its taker it takes up no room in
    /// the bounds above, and it comes back even where there is none. Such a queue hands out copies, in buffers only: the
    /// calls with `_into` answer `MP_ERR_UNSUPPORTED`.
    pub redeliver: mp_bool,
}

// SAFETY: repr(C), begins with its size, and has no field with invalid values.
unsafe impl CStruct for mp_queue_options {
    const NAME: &'static str = "mp_queue_options";
}

impl Options for mp_queue_options {
    fn defaults() -> Self {
        // SAFETY: zero is a value of every field.
        unsafe { std::mem::zeroed() }
    }
}

pub(super) fn core_options(o: &mp_queue_options) -> Result<QueueOptions> {
    let unknown = |value: i32, field: &str| {
        Err(Error::invalid(format!("mp_queue_options.{field} is {value}: there is no such one")))
    };
    let kind = match o.kind {
        MP_QUEUE_FIFO => QueueKind::Fifo,
        MP_QUEUE_LIFO => QueueKind::Lifo,
        MP_QUEUE_PRIORITY => QueueKind::Priority,
        other => return unknown(other, "kind"),
    };
    let overflow = match o.overflow {
        MP_OVERFLOW_WAIT => Overflow::Wait,
        MP_OVERFLOW_FAIL => Overflow::Fail,
        MP_OVERFLOW_DROP_OLDEST => Overflow::DropOldest,
        other => return unknown(other, "overflow"),
    };
    let redeliver = o.redeliver.get();
    Ok(QueueOptions { kind, maxsize: o.maxsize, max_bytes: o.max_bytes, overflow, redeliver })
}

/// Writes the defaults into options of `size` bytes. Programs call `mp_queue_options_init`.
///
/// *Returns* `MP_OK`; `MP_ERR_INVALID` if options is NULL or the size impossible.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_queue_options_defaults(options: *mut mp_queue_options, size: usize) -> mp_status {
    // SAFETY: `options` is NULL or has `size` writable bytes, as the header asks.
    guard(|| unsafe { options::write_defaults(options, size) })
}

/// Makes an empty queue. NULL options mean the defaults: unbounded, first in first out.
///
/// *Returns* `MP_OK`; `MP_ERR_INVALID`, naming the field; `MP_ERR_NO_MEMORY`. *Ownership*: the caller frees the handle with `mp_queue_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_queue_new(
    options: *const mp_queue_options,
    out: *mut *mut mp_queue,
) -> mp_status {
    // SAFETY: both are NULL or what the header asks.
    unsafe { guard_new(out, || handle::create(Queue::new(&core_options(&options::read(options)?)?)?)) }
}

/// Puts a copy of `len` bytes into the queue, waiting for room for `timeout` nanoseconds at the longest. In a priority
/// queue its priority is 0. When it returns the message is there for every getter, whatever becomes of this process.
///
/// *Returns* `MP_OK`; `MP_ERR_FULL` if there was no room in time; `MP_ERR_CLOSED`; `MP_ERR_TOO_LARGE` if it is longer
/// than the queue's `max_bytes`; `MP_ERR_CANCELLED`; `MP_ERR_NO_MEMORY`; `MP_ERR_INVALID`. On failure nothing was put.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_queue_put(
    queue: *mut mp_queue,
    data: *const c_void,
    len: usize,
    timeout: i64,
) -> mp_status {
    // SAFETY: the handle is not freed meanwhile, and data has len bytes, as the header asks.
    let quick = || unsafe {
        !data.is_null()
            && handle::peek(queue).is_some_and(|queue| queue.put_quickly(types::some_bytes(data, len)))
    };
    if quickly(quick) {
        return MP_OK;
    }
    guard(|| {
        // SAFETY: the handle is not freed meanwhile, and data has len bytes, as the header asks.
        let (queue, bytes) = unsafe { (handle::get(queue, "queue")?, types::bytes(data, len, "data")?) };
        queue.put_the_long_way(bytes, Deadline::after(timeout))
    })
}

/// Takes the next message, waiting for one for `timeout` nanoseconds at the longest. Long messages are handed over
/// without a copy.
///
/// *Returns* `MP_OK`; `MP_ERR_EMPTY` if there was none in time; `MP_ERR_CLOSED` when the queue is closed and
/// drained; `MP_ERR_CANCELLED`; `MP_ERR_NO_MEMORY`; `MP_ERR_INVALID`. On failure nothing was taken. *Ownership*: the
/// caller frees the buffer with `mp_buffer_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_queue_get(
    queue: *mut mp_queue,
    timeout: i64,
    out: *mut *mut mp_buffer,
) -> mp_status {
    let get = || {
        // SAFETY: the handle is not freed meanwhile, as the header asks.
        let queue = unsafe { handle::get(queue, "queue") }?;
        // Before a message is taken that nothing could hold.
        let handle = Vacant::new()?;
        Ok(handle.fill(queue.get(Deadline::after(timeout))?))
    };
    // SAFETY: `out` is NULL or writable, as the header asks.
    unsafe { guard_new(out, get) }
}

/// Copies the next message into `buf`, which has room for `cap` bytes, and sets `*len`.
///
/// *Returns* as `mp_queue_get`, and `MP_ERR_TOO_LARGE` if the message has more than `cap` bytes: then it stays in
/// the queue, and `*len` says how many are needed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_queue_get_into(
    queue: *mut mp_queue,
    buf: *mut c_void,
    cap: usize,
    len: *mut usize,
    timeout: i64,
) -> mp_status {
    let quick = || {
        // SAFETY: the handle is not freed meanwhile, buf has room for cap bytes, len is NULL or writable.
        unsafe {
            let ready = !buf.is_null() && !len.is_null();
            let queue = if ready { handle::peek(queue) } else { None };
            match queue.and_then(|queue| queue.get_quickly(types::some_bytes_mut(buf, cap))) {
                Some(length) => {
                    *len = length;
                    true
                }
                None => false,
            }
        }
    };
    if quickly(quick) {
        return MP_OK;
    }
    guard(|| {
        // SAFETY: the handle is not freed meanwhile, buf has room for cap bytes, len is NULL or writable.
        let (queue, into, len) = unsafe {
            (handle::get(queue, "queue")?, types::bytes_mut(buf, cap, "buf")?, Out::new(len, "len")?)
        };
        let (length, taken) = queue.get_into_the_long_way(into, Deadline::after(timeout))?;
        len.set(length);
        taken
    })
}

/// Puts a copy of `len` bytes with a priority: the lowest leaves first, equals in the order in which they were put.
///
/// *Returns* as `mp_queue_put`, and `MP_ERR_UNSUPPORTED` if the queue is not of the kind `MP_QUEUE_PRIORITY`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_queue_put_priority(
    queue: *mut mp_queue,
    priority: i64,
    data: *const c_void,
    len: usize,
    timeout: i64,
) -> mp_status {
    guard(|| {
        // SAFETY: the handle is not freed meanwhile, and data has len bytes, as the header asks.
        let (queue, bytes) = unsafe { (handle::get(queue, "queue")?, types::bytes(data, len, "data")?) };
        queue.put_priority(priority, bytes, Deadline::after(timeout))
    })
}

/// Hands a buffer on: the getter's buffer is its memory, not a copy, if it is in shared memory and nobody else has it (a
/// forked child may), and longer than a kilobyte. In a priority queue its priority is 0.
///
/// *Returns* as `mp_queue_put`. *Ownership*: on success the buffer is consumed, and its handle no longer one; on failure
/// it stays the caller's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_queue_put_buffer(
    queue: *mut mp_queue,
    buffer: *mut mp_buffer,
    timeout: i64,
) -> mp_status {
    guard(|| {
        // SAFETY: the queue's handle is not freed meanwhile; nobody else uses the buffer, which the call may consume.
        let (queue, (lent, core)) =
            unsafe { (handle::get(queue, "queue")?, handle::lend(buffer, "buffer")?) };
        match queue.put_buffer(*core, Deadline::after(timeout)) {
            Ok(()) => {
                lent.end();
                Ok(())
            }
            Err((error, core)) => {
                lent.give_back(Box::new(core));
                Err(error)
            }
        }
    })
}

/// How many messages are in the queue at this moment.
///
/// *Returns* `MP_OK`; `MP_ERR_INVALID`; `MP_ERR_STATE` in a process that has no part in the arena.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_queue_size(queue: *const mp_queue, size: *mut usize) -> mp_status {
    guard(|| {
        // SAFETY: the handle is not freed meanwhile; `size` is NULL or writable.
        let (queue, out) = unsafe { (handle::get(queue, "queue")?, Out::new(size, "size")?) };
        out.set(queue.size()?);
        Ok(())
    })
}

/// Tells that one of the messages that were taken is done: whoever joins the queue waits until that was told of all. It
/// is for a message of this process if it has such, else for any. In a queue that redelivers `mp_queue_ack` tells it;
/// there the same process may call this as well, before or after that: the two count once. A message that was told to be
/// done, but not acknowledged, is unfinished again when it comes back.
///
/// *Returns* `MP_OK`; `MP_ERR_OVERFLOW` if no message is unfinished; `MP_ERR_NO_MEMORY`; `MP_ERR_INVALID`;
/// `MP_ERR_CANCELLED` while another process is stopped in the middle of a get; `MP_ERR_STATE` in a process that has no
/// part in the arena.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_queue_task_done(queue: *mut mp_queue) -> mp_status {
    // SAFETY: the handle is not freed meanwhile.
    guard(|| unsafe { handle::get(queue, "queue") }?.task_done())
}

/// Acknowledges a message that was got from a queue that redelivers: it is done, and does not come back. The buffer
/// stays the caller's; if it is freed without this, the message comes back when this process has ended.
///
/// *Returns* `MP_OK`; `MP_ERR_UNSUPPORTED` if the queue does not redeliver; `MP_ERR_INVALID` if the buffer was not got
/// from it; `MP_ERR_STATE` if the message was acknowledged before, or went back when its taker died;
/// `MP_ERR_NO_MEMORY`; `MP_ERR_CANCELLED` while another process is stopped in the middle of a call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_queue_ack(queue: *mut mp_queue, buffer: *const mp_buffer) -> mp_status {
    guard(|| {
        // SAFETY: neither handle is freed meanwhile.
        let (queue, buffer) = unsafe { (handle::get(queue, "queue")?, handle::get(buffer, "buffer")?) };
        queue.acknowledge(buffer)
    })
}

/// Waits until every message that was put into the queue is done, for `timeout` nanoseconds at the longest. A message
/// is done when `mp_queue_task_done` was called for it, when it was dropped, or when a process that took it has died;
/// if the queue redelivers, when it was acknowledged.
///
/// *Returns* `MP_OK`; `MP_ERR_TIMEOUT`; `MP_ERR_CANCELLED`; `MP_ERR_INVALID`; `MP_ERR_STATE` in a process that has no
/// part in the arena.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_queue_join(queue: *mut mp_queue, timeout: i64) -> mp_status {
    // SAFETY: the handle is not freed meanwhile.
    guard(|| unsafe { handle::get(queue, "queue") }?.join(Deadline::after(timeout)))
}

/// Closes the queue for all processes: puts answer `MP_ERR_CLOSED` at once, gets drain it and then answer that too,
/// and whoever waits is woken. Twice is fine.
///
/// *Returns* `MP_OK`; `MP_ERR_INVALID`; `MP_ERR_STATE` in a process that has no part in the arena.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_queue_close(queue: *mut mp_queue) -> mp_status {
    // SAFETY: the handle is not freed meanwhile.
    guard(|| unsafe { handle::get(queue, "queue") }?.close())
}

/// Writes a descriptor into `*fd` that is readable while a get may succeed, or fail for good because the queue is
/// closed, for poll, select and epoll (level-triggered). It follows a change within moments, so that it may tell of an
/// earlier state: get without waiting, and poll again if there is nothing. The handle has one such descriptor, made at
/// the first request, and with the process's first one a thread that looks after them.
///
/// *Returns* `MP_OK`; `MP_ERR_INVALID`; `MP_ERR_SYSTEM` if none can be had, or no thread; `MP_ERR_STATE` in a process
/// that has no part in the arena.
///
/// *Ownership*, *Threads* and *Processes*: as for `mp_event_fd`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_queue_fd(queue: *mut mp_queue, fd: *mut i32) -> mp_status {
    guard(|| {
        // SAFETY: the handle is not freed meanwhile; `fd` is NULL or writable.
        let (queue, fd) = unsafe { (handle::get(queue, "queue")?, Out::new(fd, "fd")?) };
        fd.set(queue.messages_descriptor()?);
        Ok(())
    })
}

/// The same for the other end: readable while a put may succeed, or fail for good because the queue is closed. That of
/// an unbounded queue is always readable.
///
/// *Returns*, *Ownership*, *Threads* and *Processes*: as for `mp_queue_fd`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_queue_put_fd(queue: *mut mp_queue, fd: *mut i32) -> mp_status {
    guard(|| {
        // SAFETY: the handle is not freed meanwhile; `fd` is NULL or writable.
        let (queue, fd) = unsafe { (handle::get(queue, "queue")?, Out::new(fd, "fd")?) };
        fd.set(queue.room_descriptor()?);
        Ok(())
    })
}

/// Writes the queue's token: 32 bytes that name it in every process of the family.
///
/// *Returns* `MP_OK`; `MP_ERR_INVALID`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_queue_token(queue: *const mp_queue, out: *mut mp_token) -> mp_status {
    guard(|| {
        // SAFETY: the handle is not freed meanwhile; `out` is NULL or writable.
        let (queue, out) = unsafe { (handle::get(queue, "queue")?, Out::new(out, "out")?) };
        out.set(mp_token { bytes: queue.token().to_bytes() });
        Ok(())
    })
}

/// A handle to the queue that a token names.
///
/// *Returns* `MP_OK`; `MP_ERR_STALE` if the queue was destroyed; `MP_ERR_INVALID` if the token names no queue of
/// this family; `MP_ERR_NO_MEMORY`. *Ownership*: the caller frees the handle with `mp_queue_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_queue_from_token(token: *const mp_token, out: *mut *mut mp_queue) -> mp_status {
    // SAFETY: both are NULL or what the header asks.
    unsafe {
        guard_new(out, || {
            let token = token.as_ref().ok_or_else(|| Error::invalid("token is NULL"))?;
            handle::create(Queue::from_token(&Token::from_bytes(&token.bytes))?)
        })
    }
}

/// Drops this process's handle; the queue goes, with its messages, with the last handle in any process. NULL is
/// fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_queue_free(queue: *mut mp_queue) {
    // SAFETY: the header asks that nobody uses the handle any more.
    unsafe { handle::free(queue, "queue") }
}
