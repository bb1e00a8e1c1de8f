//! Objects of a named arena, each found by its name.

use super::arena::{mp_arena, read_name};
use super::array::mp_array;
use super::barrier::mp_barrier;
use super::condition::mp_condition;
use super::event::mp_event;
use super::guard::guard_new;
use super::handle;
use super::lock::mp_lock;
use super::options;
use super::queue::{core_options, mp_queue, mp_queue_options};
use super::rlock::mp_rlock;
use super::semaphore::{mp_semaphore, mp_semaphore_options};
use super::status::mp_status;
use super::value::{beginning, lock_kind, mp_value};
use crate::channel::Queue;
use crate::shared::{Array, ArrayOptions, Value};
use crate::sync::{Barrier, Condition, Event, Lock, RLock};
use std::ffi::{c_char, c_void};

/// The queue of this name in the arena, made with these options if there is none. With NULL options it must be there.
///
/// *Returns* `MP_OK`; `MP_ERR_NOT_FOUND`; `MP_ERR_EXISTS` if the name is another kind of object's, or a queue's with
/// other options; otherwise as `mp_queue_new`.
///
/// *Ownership*: free the handle with `mp_queue_free`; the queue stays until `mp_arena_remove`. Names are up to 255 bytes
/// of UTF-8. *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_arena_queue(
    arena: *mut mp_arena,
    name: *const c_char,
    options: *const mp_queue_options,
    out: *mut *mut mp_queue,
) -> mp_status {
    // SAFETY: nobody frees the handle meanwhile; `name` is NULL or ends in NUL; `options` is NULL or as long as its
    // size says; `out` is NULL or writable.
    unsafe {
        guard_new(out, || {
            let (arena, name) = (*handle::get(arena, "arena")?, read_name(name)?);
            let given = if options.is_null() { None } else { Some(core_options(&options::read(options)?)?) };
            handle::create(Queue::named(arena, &name, given.as_ref())?)
        })
    }
}

/// The lock of this name in the arena, made if there is none.
///
/// *Returns* `MP_OK`; `MP_ERR_EXISTS` if the name is another kind of object's; otherwise as `mp_lock_new`.
/// *Ownership*: free the handle with `mp_lock_free`; the lock stays until `mp_arena_remove`. *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_arena_lock(
    arena: *mut mp_arena,
    name: *const c_char,
    out: *mut *mut mp_lock,
) -> mp_status {
    // SAFETY: nobody frees the handle meanwhile; `name` is NULL or ends in NUL; `out` is NULL or writable.
    unsafe {
        guard_new(out, || {
            let arena = *handle::get(arena, "arena")?;
            handle::create(Lock::named(arena, &read_name(name)?)?)
        })
    }
}

/// The recursive lock of this name in the arena, made if there is none.
///
/// *Returns* `MP_OK`; `MP_ERR_EXISTS` if the name is another kind of object's; otherwise as `mp_rlock_new`.
/// *Ownership*: free the handle with `mp_rlock_free`; the lock stays until `mp_arena_remove`. *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_arena_rlock(
    arena: *mut mp_arena,
    name: *const c_char,
    out: *mut *mut mp_rlock,
) -> mp_status {
    // SAFETY: nobody frees the handle meanwhile; `name` is NULL or ends in NUL; `out` is NULL or writable.
    unsafe {
        guard_new(out, || {
            let arena = *handle::get(arena, "arena")?;
            handle::create(RLock::named(arena, &read_name(name)?)?)
        })
    }
}

/// The semaphore of this name in the arena, made with `value` permits if there is none.
///
/// *Returns* `MP_OK`; `MP_ERR_EXISTS` if the name is another kind of object's, or a semaphore's that was made with
/// another value or other options; otherwise as `mp_semaphore_new`. *Ownership*: free the handle with
/// `mp_semaphore_free`; the semaphore stays until `mp_arena_remove`. *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_arena_semaphore(
    arena: *mut mp_arena,
    name: *const c_char,
    value: u32,
    options: *const mp_semaphore_options,
    out: *mut *mut mp_semaphore,
) -> mp_status {
    // SAFETY: nobody frees the handle meanwhile; `name` is NULL or ends in NUL; `options` is NULL or as long as its
    // size says; `out` is NULL or writable.
    unsafe {
        guard_new(out, || {
            let (arena, options) = (*handle::get(arena, "arena")?, options::read(options)?);
            handle::create(super::semaphore::named(arena, &read_name(name)?, value, &options)?)
        })
    }
}

/// The event of this name in the arena, made if there is none.
///
/// *Returns* `MP_OK`; `MP_ERR_EXISTS` if the name is another kind of object's; otherwise as `mp_event_new`.
/// *Ownership*: free the handle with `mp_event_free`; the event stays until `mp_arena_remove`. *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_arena_event(
    arena: *mut mp_arena,
    name: *const c_char,
    out: *mut *mut mp_event,
) -> mp_status {
    // SAFETY: nobody frees the handle meanwhile; `name` is NULL or ends in NUL; `out` is NULL or writable.
    unsafe {
        guard_new(out, || {
            let arena = *handle::get(arena, "arena")?;
            handle::create(Event::named(arena, &read_name(name)?)?)
        })
    }
}

/// The condition of this name in the arena, made, with this recursive lock or, for NULL, with one of its own, if there is none.
///
/// *Returns* `MP_OK`; `MP_ERR_EXISTS` if the name is another kind of object's, or a condition's with another lock; otherwise
/// as `mp_condition_new`. `MP_ERR_INVALID` if the lock is not in this arena. *Ownership*: free the handle with `mp_condition_free`; the condition stays until
/// `mp_arena_remove`. *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_arena_condition(
    arena: *mut mp_arena,
    name: *const c_char,
    rlock: *mut mp_rlock,
    out: *mut *mut mp_condition,
) -> mp_status {
    // SAFETY: nobody frees the handle meanwhile; `name` is NULL or ends in NUL; nobody frees `rlock` meanwhile; `out` is NULL or writable.
    unsafe {
        guard_new(out, || {
            let arena = *handle::get(arena, "arena")?;
            let lock = if rlock.is_null() { None } else { Some(handle::get(rlock, "rlock")?) };
            handle::create(Condition::named(arena, &read_name(name)?, lock)?)
        })
    }
}

/// The condition of this name in the arena, made, with this lock, if there is none.
///
/// *Returns* `MP_OK`; `MP_ERR_EXISTS` if the name is another kind of object's, or a condition's with another lock; otherwise
/// as `mp_condition_new_with_lock`. `MP_ERR_INVALID` if the lock is not in this arena. *Ownership*: free the handle with `mp_condition_free`; the condition stays until
/// `mp_arena_remove`. *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_arena_condition_with_lock(
    arena: *mut mp_arena,
    name: *const c_char,
    lock: *mut mp_lock,
    out: *mut *mut mp_condition,
) -> mp_status {
    // SAFETY: nobody frees the handle meanwhile; `name` is NULL or ends in NUL; nobody frees `lock` meanwhile; `out` is NULL or writable.
    unsafe {
        guard_new(out, || {
            let arena = *handle::get(arena, "arena")?;
            let lock = handle::get(lock, "lock")?;
            handle::create(Condition::named_with_lock(arena, &read_name(name)?, lock)?)
        })
    }
}

/// The barrier of this name in the arena, made for so many parties if there is none.
///
/// *Returns* `MP_OK`; `MP_ERR_EXISTS` if the name is another kind of object's, or a barrier's for another number of parties; otherwise
/// as `mp_barrier_new`. *Ownership*: free the handle with `mp_barrier_free`; the barrier stays until
/// `mp_arena_remove`. *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_arena_barrier(
    arena: *mut mp_arena,
    name: *const c_char,
    parties: u32,
    out: *mut *mut mp_barrier,
) -> mp_status {
    // SAFETY: nobody frees the handle meanwhile; `name` is NULL or ends in NUL; `out` is NULL or writable.
    unsafe {
        guard_new(out, || {
            let arena = *handle::get(arena, "arena")?;
            handle::create(Barrier::named(arena, &read_name(name)?, parties)?)
        })
    }
}

/// The value of this name in the arena, made with these bytes if there is none.
///
/// *Returns* `MP_OK`; `MP_ERR_EXISTS` if the name is another kind of object's, or a value's of another size or with another lock; otherwise
/// as `mp_value_new`. `init` is of no meaning for a value that is there. *Ownership*: free the handle with `mp_value_free`; the value stays until
/// `mp_arena_remove`. *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_arena_value(
    arena: *mut mp_arena,
    name: *const c_char,
    size: usize,
    init: *const c_void,
    lock: i32,
    out: *mut *mut mp_value,
) -> mp_status {
    // SAFETY: nobody frees the handle meanwhile; `name` is NULL or ends in NUL; `init` is NULL or has `size` bytes; `out` is NULL or writable.
    unsafe {
        guard_new(out, || {
            let arena = *handle::get(arena, "arena")?;
            let (init, lock) = (beginning(init, size)?, lock_kind(lock)?);
            handle::create(Value::named(arena, &read_name(name)?, size, init, lock)?)
        })
    }
}

/// The array of this name in the arena, made with these elements if there is none.
///
/// *Returns* `MP_OK`; `MP_ERR_EXISTS` if the name is another kind of object's, or an array's of another form or with another lock; otherwise
/// as `mp_array_new`. `init` is of no meaning for an array that is there. *Ownership*: free the handle with `mp_array_free`; the array stays until
/// `mp_arena_remove`. *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_arena_array(
    arena: *mut mp_arena,
    name: *const c_char,
    elem_size: usize,
    count: usize,
    init: *const c_void,
    lock: i32,
    out: *mut *mut mp_array,
) -> mp_status {
    // SAFETY: nobody frees the handle meanwhile; `name` is NULL or ends in NUL; `init` is NULL or has all the bytes; `out` is NULL or writable.
    unsafe {
        guard_new(out, || {
            let arena = *handle::get(arena, "arena")?;
            let options = ArrayOptions { lock: lock_kind(lock)?, huge_pages: false };
            let init = beginning(init, Array::bytes(elem_size, count)?)?;
            handle::create(Array::named(arena, &read_name(name)?, elem_size, count, init, &options)?)
        })
    }
}
