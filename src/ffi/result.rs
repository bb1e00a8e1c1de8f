//! Results of a pool's submissions.

use super::guard::{guard, guard_value};
use super::handle::{self, Handle, Kind};
use super::options::{self, CStruct, Options};
use super::status::mp_status;
use super::types::{mp_slice, Out};
use crate::error::{Error, Result, Status};
use crate::pool::{Callbacks, JobResult, TaskError};
use crate::sys::clock::Deadline;
use std::ffi::{c_char, c_void};

/// The result of one submission: one item, or as many as were mapped. *Threads*: thread-safe. *Processes*: it
/// belongs to the process that made the pool; in a forked child `mp_result_free` frees local memory, everything
/// else is `MP_ERR_STATE`. It may outlive the handle of its pool.
pub struct mp_result {
    _private: [u8; 0],
}

impl Handle for mp_result {
    type Core = JobResult;
    const KIND: Kind = Kind::Result;
}

/// Why an item failed. The caller sets `size` to `sizeof(mp_task_error)`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct mp_task_error {
    /// The size of the struct, set by the caller.
    pub size: usize,
    /// Which item.
    pub index: usize,
    /// `MP_ERR_TASK_FAILED`, `MP_ERR_WORKER_DIED`, `MP_ERR_CANCELLED` or `MP_ERR_BROKEN`.
    pub status: mp_status,
    /// The task's code, or the exit code of the process that died.
    pub code: i32,
    /// The process that died, else 0.
    pub pid: i32,
    /// The signal that killed it, else 0: `_exit(3)` is code 3, signal 0.
    pub signal: i32,
    /// How long the item was in a worker's hands, in nanoseconds.
    pub elapsed: i64,
    /// A sentence. *Lifetime*: until `mp_result_free`; in a callback until it returns.
    pub message: *const c_char,
}

// SAFETY: repr(C), begins with its size, and has no field with invalid values.
unsafe impl CStruct for mp_task_error {
    const NAME: &'static str = "mp_task_error";
}

/// Called when all items of a submission are done. *Lifetime*: `result` until the callback returns.
pub type mp_result_fn = Option<unsafe extern "C" fn(user: *mut c_void, result: *const mp_result)>;
/// Called when all items of a submission have their outcome and some failed, with the first failure by index.
pub type mp_error_fn = Option<unsafe extern "C" fn(user: *mut c_void, error: *const mp_task_error)>;
/// Called now and then while items get their outcomes.
pub type mp_progress_fn = Option<unsafe extern "C" fn(user: *mut c_void, done: usize, total: usize)>;
/// Called last: `user` is no longer needed.
pub type mp_release_fn = Option<unsafe extern "C" fn(user: *mut c_void)>;

/// How a task is run, and who is told. Set up by `mp_task_options_init`.
///
/// The callbacks run on the pool's service thread, one at a time; exactly one of `on_result` and `on_error` is
/// called for each accepted submission, also after the pool was terminated, then `release`; for a refused one none of
/// them is. The result becomes ready when its callback has returned. Waiting for the same pool inside one is
/// `MP_ERR_STATE`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct mp_task_options {
    /// Set by `mp_task_options_init`.
    pub size: usize,
    /// See `mp_result_fn`; may be NULL.
    pub on_result: mp_result_fn,
    /// See `mp_error_fn`; may be NULL.
    pub on_error: mp_error_fn,
    /// See `mp_progress_fn`; may be NULL.
    pub on_progress: mp_progress_fn,
    /// Handed to the callbacks. It may be used from the service thread as soon as the task is submitted.
    pub user: *mut c_void,
    /// See `mp_release_fn`; may be NULL.
    pub release: mp_release_fn,
    /// The longest that the task may run, in nanoseconds: 0 is the pool's, -1 none. Another is not built yet:
    /// `MP_ERR_UNSUPPORTED`.
    pub timeout: i64,
    /// How often an item is tried again whose worker died: 0 is the pool's, -1 none. Another is not built yet:
    /// `MP_ERR_UNSUPPORTED`.
    pub retries: i32,
}

// SAFETY: repr(C), begins with its size, and has no field with invalid values.
unsafe impl CStruct for mp_task_options {
    const NAME: &'static str = "mp_task_options";
}

impl Options for mp_task_options {
    fn defaults() -> Self {
        // SAFETY: zero is a value of every field.
        unsafe { std::mem::zeroed() }
    }
}

/// Writes the defaults into options of `size` bytes. Programs call `mp_task_options_init`.
///
/// *Returns* `MP_OK`; `MP_ERR_INVALID` if options is NULL or the size impossible.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_task_options_defaults(options: *mut mp_task_options, size: usize) -> mp_status {
    // SAFETY: `options` is NULL or has `size` writable bytes, as the header asks.
    guard(|| unsafe { options::write_defaults(options, size) })
}

/// A C program's callbacks. Dropping them after an accepted submission calls `release`.
struct CCallbacks {
    options: mp_task_options,
    accepted: bool,
}

// SAFETY: the header says that the callbacks run on another thread and that `user` is handed to them there.
unsafe impl Send for CCallbacks {}

/// The callbacks in a caller's options, if there are any.
///
/// # Safety
/// `options` is NULL or what the header asks.
pub(super) unsafe fn c_callbacks(options: *const mp_task_options) -> Result<Option<Box<dyn Callbacks>>> {
    // SAFETY: the contract is the same.
    let options = unsafe { options::read(options) }?;
    for (field, unbuilt) in [("timeout", options.timeout > 0), ("retries", options.retries > 0)] {
        if unbuilt {
            let text = format!("mp_task_options.{field}: only the default is built yet");
            return Err(Error::new(Status::Unsupported, text));
        }
    }
    let any = options.on_result.is_some()
        || options.on_error.is_some()
        || options.on_progress.is_some()
        || options.release.is_some();
    Ok(any.then(|| Box::new(CCallbacks { options, accepted: false }) as Box<dyn Callbacks>))
}

impl Callbacks for CCallbacks {
    fn accepted(&mut self) {
        self.accepted = true;
    }

    fn wants_progress(&self) -> bool {
        self.options.on_progress.is_some()
    }

    fn progress(&mut self, done: usize, total: usize) {
        if let Some(call) = self.options.on_progress {
            // SAFETY: the program's own function with the program's own pointer.
            unsafe { call(self.options.user, done, total) };
        }
    }

    fn finished(&mut self, result: &JobResult) {
        let error = result.error().ok().flatten();
        match (error, self.options.on_error, self.options.on_result) {
            (Some(error), Some(call), _) => {
                // SAFETY: as in `progress`; the struct lives for the call.
                unsafe { call(self.options.user, &c_error(error)) };
            }
            (None, _, Some(call)) => {
                if let Ok(handle) = handle::create::<mp_result>(result.clone()) {
                    // SAFETY: as in `progress`; the handle lives for the call and is freed here alone.
                    unsafe {
                        call(self.options.user, handle);
                        handle::free(handle, "result");
                    }
                }
            }
            _ => {}
        }
    }
}

impl Drop for CCallbacks {
    fn drop(&mut self) {
        if let Some(release) = self.options.release.filter(|_| self.accepted) {
            // SAFETY: as in `progress`.
            unsafe { release(self.options.user) };
        }
    }
}

fn c_error(error: &TaskError) -> mp_task_error {
    mp_task_error {
        size: size_of::<mp_task_error>(),
        index: error.index,
        status: error.status as mp_status,
        code: error.code,
        pid: error.pid,
        signal: error.signal,
        elapsed: error.elapsed,
        message: error.message.as_ptr(),
    }
}

/// Waits until the result is ready, for `timeout` nanoseconds at the longest.
///
/// *Returns* `MP_OK`, also if items failed; `MP_ERR_TIMEOUT`; `MP_ERR_CANCELLED`; `MP_ERR_STATE` in a callback of
/// the same pool or in a task on one of its threads, if it is not ready, and in a forked child; `MP_ERR_INVALID`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_result_wait(result: *const mp_result, timeout: i64) -> mp_status {
    // SAFETY: the handle is not freed meanwhile.
    guard(|| unsafe { handle::get(result, "result") }?.wait(Deadline::after(timeout)))
}

/// Whether the result is ready: every item has its outcome, and its callback has returned.
///
/// *Returns* `MP_OK`; `MP_ERR_STATE` in a forked child; `MP_ERR_INVALID`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_result_ready(result: *const mp_result, ready: *mut bool) -> mp_status {
    guard(|| {
        // SAFETY: the handle is not freed meanwhile; `ready` is NULL or writable.
        let (result, out) = unsafe { (handle::get(result, "result")?, Out::new(ready, "ready")?) };
        out.set(result.ready()?);
        Ok(())
    })
}

/// Whether all items are done.
///
/// *Returns* `MP_OK`; `MP_ERR_STATE` while the result is not ready; `MP_ERR_INVALID`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_result_successful(result: *const mp_result, successful: *mut bool) -> mp_status {
    guard(|| {
        // SAFETY: the handle is not freed meanwhile; `successful` is NULL or writable.
        let (result, out) = unsafe { (handle::get(result, "result")?, Out::new(successful, "successful")?) };
        out.set(result.successful()?);
        Ok(())
    })
}

/// Waits until the result is ready and answers how it went.
///
/// *Returns* `MP_OK` if all items are done; `MP_ERR_TIMEOUT`; `MP_ERR_CANCELLED`; else the first failure by index.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_result_get(result: *const mp_result, timeout: i64) -> mp_status {
    // SAFETY: the handle is not freed meanwhile.
    guard(|| unsafe { handle::get(result, "result") }?.get(Deadline::after(timeout)))
}

/// How many items the result has: 1 after apply.
///
/// *Returns* 0 for a bad handle, with `mp_last_error`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_result_count(result: *const mp_result) -> usize {
    // SAFETY: the handle is not freed meanwhile.
    guard_value(0, || unsafe { handle::get(result, "result") }?.count())
}

/// What item `i` gave back. *Lifetime*: the slice until `mp_result_free`.
///
/// *Returns* `MP_OK`; the item's own failure: `MP_ERR_TASK_FAILED`, `MP_ERR_WORKER_DIED`, `MP_ERR_CANCELLED`,
/// `MP_ERR_BROKEN`; `MP_ERR_STATE` while it has no outcome; `MP_ERR_INVALID` if there is no such item.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_result_item(
    result: *const mp_result,
    i: usize,
    item: *mut mp_slice,
) -> mp_status {
    guard(|| {
        // SAFETY: the handle is not freed meanwhile; `item` is NULL or writable.
        let (result, out) = unsafe { (handle::get(result, "result")?, Out::new(item, "item")?) };
        let bytes = result.item(i)?;
        out.set(mp_slice { data: bytes.as_ptr().cast(), len: bytes.len() });
        Ok(())
    })
}

fn fill_error(found: Option<&TaskError>, error: *mut mp_task_error, what: &str) -> Result<()> {
    let found = found.ok_or_else(|| Error::new(Status::NotFound, format!("{what} did not fail")))?;
    // SAFETY: `error` is NULL or as long as its size says, as the header asks.
    unsafe { options::fill(error, "error", &c_error(found)) }
}

/// Fills `*error`, whose `size` the caller has set, with the first failure by index.
///
/// *Returns* `MP_OK`; `MP_ERR_NOT_FOUND` if no item failed; `MP_ERR_STATE` while the result is not ready;
/// `MP_ERR_INVALID`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_result_error(result: *const mp_result, error: *mut mp_task_error) -> mp_status {
    // SAFETY: the handle is not freed meanwhile.
    guard(|| fill_error(unsafe { handle::get(result, "result") }?.error()?, error, "no item"))
}

/// Fills `*error`, whose `size` the caller has set, with the failure of item `i`.
///
/// *Returns* `MP_OK`; `MP_ERR_NOT_FOUND` if the item has not failed; `MP_ERR_INVALID` if there is no such item.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_result_error_at(
    result: *const mp_result,
    i: usize,
    error: *mut mp_task_error,
) -> mp_status {
    // SAFETY: the handle is not freed meanwhile.
    guard(|| fill_error(unsafe { handle::get(result, "result") }?.error_at(i)?, error, "the item"))
}

/// How many items have their outcome, of how many. Either pointer may be NULL.
///
/// *Returns* `MP_OK`; `MP_ERR_STATE` in a forked child; `MP_ERR_INVALID`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_result_progress(
    result: *const mp_result,
    done: *mut usize,
    total: *mut usize,
) -> mp_status {
    guard(|| {
        // SAFETY: the handle is not freed meanwhile.
        let progress = unsafe { handle::get(result, "result") }?.progress()?;
        for (out, value) in [(done, progress.0), (total, progress.1)] {
            if !out.is_null() {
                // SAFETY: not NULL, so writable, as the header asks.
                unsafe { out.write(value) };
            }
        }
        Ok(())
    })
}

/// Frees a result. Its task goes on, and its callbacks come all the same. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_result_free(result: *mut mp_result) {
    // SAFETY: the header asks that nobody uses the handle any more.
    unsafe { handle::free(result, "result") }
}
