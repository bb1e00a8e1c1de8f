//! Pipes and their connections.

use super::buffer::mp_buffer;
use super::guard::{guard, guard_new};
use super::handle::{self, Handle, Kind, Vacant};
use super::status::mp_status;
use super::token::read_token;
use super::types::{self, mp_bool, mp_token, Out};
use crate::channel::Connection;
use crate::error::Error;
use crate::sys::clock::Deadline;
use std::ffi::c_void;

/// One end of a pipe, through which processes send each other messages of any length. A message is received whole or
/// not at all, in the order in which they were sent; several threads and processes may use an end, and each message goes
/// to one of them. A process killed inside a call loses at most the message of that call.
///
/// An end lives while any process has a handle of it. When the last one is closed or freed, or the last process with
/// one has died, the other end receives what was sent before and then `MP_ERR_END`, and its sends answer
/// `MP_ERR_CLOSED`. The death of a child of libmp is noticed at once; that of another process by who waits, within
/// about a second. A forked child has all handles of its parent, those of both ends: so each process should close the
/// end that it does not use, or nobody will ever see the other one gone.
///
/// *Threads*: thread-safe. *Processes*: a forked child may use it; others get one by a token.
pub struct mp_connection {
    _private: [u8; 0],
}

impl Handle for mp_connection {
    type Core = Connection;
    const KIND: Kind = Kind::Connection;
}

/// Makes a pipe and gives its two ends. If it is `duplex` both send and receive; otherwise `*a` only receives and `*b`
/// only sends. Each direction has room for 64 MiB in 1,048,576 messages, or for one message of any length.
///
/// *Returns* `MP_OK`; `MP_ERR_NO_MEMORY`; `MP_ERR_INVALID` if `a` or `b` is NULL, or both are the same; `MP_ERR_STATE`
/// as for `mp_lock_new`. After a failure both are NULL.
///
/// *Ownership*: free each with `mp_connection_free`. *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_pipe(
    duplex: mp_bool,
    a: *mut *mut mp_connection,
    b: *mut *mut mp_connection,
) -> mp_status {
    if !b.is_null() {
        // SAFETY: not NULL, so writable, as the header asks.
        unsafe { b.write(std::ptr::null_mut()) };
    }
    let make = || {
        if b.is_null() || std::ptr::eq(a, b) {
            return Err(Error::invalid("b is NULL, or the same as a"));
        }
        let (first, second) = (Vacant::new()?, Vacant::new()?);
        let (one, other) = Connection::pair(duplex.get())?;
        // SAFETY: as above.
        unsafe { b.write(second.fill(other)) };
        Ok(first.fill(one))
    };
    // SAFETY: `a` is NULL or writable, as the header asks.
    unsafe { guard_new(a, make) }
}

/// Sends a copy of `len` bytes, waiting for room up to `timeout` nanoseconds. When it returns the message is there for
/// whoever receives at the other end, whatever becomes of this process. There is never a SIGPIPE.
///
/// *Returns* `MP_OK`; `MP_ERR_TIMEOUT` if there was no room in time; `MP_ERR_CLOSED` if nobody has the other end any
/// more, or this handle was closed; `MP_ERR_UNSUPPORTED` if the pipe is one-way and this end only receives;
/// `MP_ERR_CANCELLED` (see `mp_cancel_use`); `MP_ERR_NO_MEMORY`; `MP_ERR_INVALID`; `MP_ERR_STATE` as for
/// `mp_lock_new`. On failure nothing was sent. *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_connection_send(
    connection: *mut mp_connection,
    data: *const c_void,
    len: usize,
    timeout: i64,
) -> mp_status {
    guard(|| {
        // SAFETY: the handle is not freed meanwhile, and data has len bytes, as the header asks.
        let (connection, bytes) =
            unsafe { (handle::get(connection, "connection")?, types::bytes(data, len, "data")?) };
        connection.send(bytes, Deadline::after(timeout))
    })
}

/// Receives the next message, waiting for one up to `timeout` nanoseconds. A message longer than a kilobyte is handed
/// over without a copy.
///
/// *Returns* `MP_OK`; `MP_ERR_TIMEOUT` if none came in time; `MP_ERR_END` when nobody has the other end any more, and
/// all that was sent is received; `MP_ERR_CLOSED` if this handle was closed; `MP_ERR_UNSUPPORTED` if the pipe is one-way
/// and this end only sends; `MP_ERR_CANCELLED` (see `mp_cancel_use`); `MP_ERR_NO_MEMORY`; `MP_ERR_INVALID`;
/// `MP_ERR_STATE` as for `mp_lock_new`. On failure nothing was received, and `*out` is NULL.
///
/// *Ownership*: free the buffer with `mp_buffer_free`. *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_connection_recv(
    connection: *mut mp_connection,
    timeout: i64,
    out: *mut *mut mp_buffer,
) -> mp_status {
    let receive = || {
        // SAFETY: the handle is not freed meanwhile, as the header asks.
        let connection = unsafe { handle::get(connection, "connection") }?;
        // Before a message is taken that nothing could hold.
        let handle = Vacant::new()?;
        Ok(handle.fill(connection.recv(Deadline::after(timeout))?))
    };
    // SAFETY: `out` is NULL or writable, as the header asks.
    unsafe { guard_new(out, receive) }
}

/// Copies the next message into `buf`, which has room for `cap` bytes, and sets `*len`.
///
/// *Returns* as `mp_connection_recv`, and `MP_ERR_TOO_LARGE` if the message has more than `cap` bytes: then it is still
/// the next one, and `*len` says how many are needed. *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_connection_recv_into(
    connection: *mut mp_connection,
    buf: *mut c_void,
    cap: usize,
    len: *mut usize,
    timeout: i64,
) -> mp_status {
    guard(|| {
        // SAFETY: the handle is not freed meanwhile, buf has room for cap bytes, len is NULL or writable.
        let (connection, into, len) = unsafe {
            (
                handle::get(connection, "connection")?,
                types::bytes_mut(buf, cap, "buf")?,
                Out::new(len, "len")?,
            )
        };
        let (length, received) = connection.recv_into(into, Deadline::after(timeout))?;
        len.set(length);
        received
    })
}

/// Waits up to `timeout` nanoseconds until a receive would not wait, and writes into `*ready` whether that is so: a
/// message is there, or the other end has gone. It takes nothing; another thread or process may be faster.
///
/// *Returns* `MP_OK`, also if it is not ready; `MP_ERR_CLOSED` if this handle was closed; `MP_ERR_UNSUPPORTED` if the
/// pipe is one-way and this end only sends; `MP_ERR_CANCELLED` (see `mp_cancel_use`); `MP_ERR_INVALID`; `MP_ERR_STATE`
/// as for `mp_lock_new`. *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_connection_poll(
    connection: *mut mp_connection,
    timeout: i64,
    ready: *mut bool,
) -> mp_status {
    guard(|| {
        // SAFETY: nobody frees the handle meanwhile, and `ready` is NULL or writable, as the header asks.
        let (connection, ready) =
            unsafe { (handle::get(connection, "connection")?, Out::new(ready, "ready")?) };
        ready.set(connection.poll(Deadline::after(timeout))?);
        Ok(())
    })
}

/// Closes this handle. Other threads that are inside a call with it are woken, and their calls answer `MP_ERR_CLOSED`,
/// as do all later ones but this and `mp_connection_free`. The other end sees this one gone when every process that has
/// a handle of it has closed or freed that, or died; what was sent can be received. Twice is fine.
///
/// *Returns* `MP_OK`; `MP_ERR_INVALID`; `MP_ERR_STATE` as for `mp_lock_new`. *Threads*: thread-safe. *Processes*: closes
/// this process's handle only.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_connection_close(connection: *mut mp_connection) -> mp_status {
    // SAFETY: the header asks that nobody frees the handle meanwhile.
    guard(|| unsafe { handle::get(connection, "connection") }?.close())
}

/// Writes a descriptor into `*fd` that is readable while a receive would not wait, or when this handle was closed: for
/// poll, select and epoll (level-triggered). It follows a change within moments, so that it may tell of an earlier
/// state: receive without waiting, and poll again if there is nothing. The handle has one descriptor, made at the first
/// request, and with the process's first one a thread that looks after them.
///
/// *Returns* `MP_OK`; `MP_ERR_CLOSED` if this handle was closed; `MP_ERR_UNSUPPORTED` if the pipe is one-way and this end
/// only sends; `MP_ERR_INVALID`; `MP_ERR_SYSTEM` if none can be had, or no thread; `MP_ERR_STATE` as for `mp_lock_new`.
///
/// *Ownership*: the library's: do not read, write or close it; it goes with the handle, when that is freed. If the program
/// has closed it all the same, the next request makes another. *Threads*: thread-safe. *Processes*: it is this process's
/// alone; a forked child's copy is closed, and it asks for its own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_connection_fd(connection: *mut mp_connection, fd: *mut i32) -> mp_status {
    guard(|| {
        // SAFETY: nobody frees the handle meanwhile, and `fd` is NULL or writable, as the header asks.
        let (connection, fd) = unsafe { (handle::get(connection, "connection")?, Out::new(fd, "fd")?) };
        fd.set(connection.descriptor()?);
        Ok(())
    })
}

/// Writes the token of this end into `*out`: by it, another process gets a handle of the same end. It may be sent through
/// a queue or a connection, or be an argument of a process.
///
/// *Returns* `MP_OK`; `MP_ERR_CLOSED` if this handle was closed; `MP_ERR_INVALID`; `MP_ERR_STATE` as for `mp_lock_new`.
///
/// *Ownership*: a token is plain bytes and keeps nothing alive by itself, see `mp_token_keep`; an end that is kept is
/// not gone, though no process has it. *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_connection_token(
    connection: *const mp_connection,
    out: *mut mp_token,
) -> mp_status {
    guard(|| {
        // SAFETY: nobody frees the handle meanwhile, and `out` is NULL or writable, as the header asks.
        let (connection, out) = unsafe { (handle::get(connection, "connection")?, Out::new(out, "out")?) };
        out.set(connection.token()?.into());
        Ok(())
    })
}

/// Makes a handle of the end of a pipe that a token names.
///
/// *Returns* `MP_OK`; `MP_ERR_STALE` if that end has gone; `MP_ERR_INVALID` if the token is NULL, not one of this family
/// of processes, or of another kind of object; `MP_ERR_NO_MEMORY`; `MP_ERR_STATE` as for `mp_lock_new`.
///
/// *Ownership*: free it with `mp_connection_free`. *Threads*: thread-safe. *Processes*: any process of the family.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_connection_from_token(
    token: *const mp_token,
    out: *mut *mut mp_connection,
) -> mp_status {
    // SAFETY: `token` is NULL or readable, `out` NULL or writable, as the header asks.
    unsafe { guard_new(out, || handle::create(Connection::from_token(&read_token(token)?)?)) }
}

/// Closes this process's handle and ends it; NULL is nothing.
///
/// *Threads*: thread-safe, but no other call may be using the handle: close it first, and wait for those who do.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_connection_free(connection: *mut mp_connection) {
    // SAFETY: the header asks that nobody uses the handle any more.
    unsafe { handle::free(connection, "connection") }
}
