//! Pools.

use super::buffer::mp_buffer;
use super::call::{function, mp_fn};
use super::guard::{fail, guard, guard_new};
use super::handle::{self, Handle, Kind};
use super::options::{self, CStruct, Options};
use super::result::{c_callbacks, mp_result, mp_task_options};
use super::status::mp_status;
use super::types::{self, mp_args, mp_slice};
use crate::arena::Buffer;
use crate::error::{Error, Result, Status};
use crate::pool::{Items, JobResult, Pool, PoolOptions};
use crate::sys::clock::Deadline;

/// A pool of worker processes, or of threads. Each task reaches exactly one outcome: a worker that dies fails only the item in its
/// hands and is replaced. *Threads*: thread-safe. *Processes*: it belongs to the process that made it; in a forked
/// child `mp_pool_free` frees local memory, everything else is `MP_ERR_STATE`.
pub struct mp_pool {
    _private: [u8; 0],
}

impl Handle for mp_pool {
    type Core = Pool;
    const KIND: Kind = Kind::Pool;
}

/// How a pool is made. Set up by `mp_pool_options_init`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct mp_pool_options {
    /// Set by `mp_pool_options_init`.
    pub size: usize,
    /// How many workers; 0 (the default) is `mp_cpu_count()`.
    pub processes: u32,
    /// Called once in each worker before its first task. Not built yet: `MP_ERR_UNSUPPORTED`.
    pub initializer: mp_fn,
    /// The initializer's arguments.
    pub initializer_args: *const mp_slice,
    /// How many.
    pub initializer_nargs: usize,
    /// After so many items a worker is replaced, 0 (the default) is never. Not built yet: `MP_ERR_UNSUPPORTED`.
    pub max_tasks_per_child: u32,
    /// One of the start methods, `MP_START_FORK` and so on; `MP_START_DEFAULT` means the program's default.
    pub start_method: i32,
    /// The longest that a task may run, in nanoseconds, 0 (the default) is no limit. Not built yet:
    /// `MP_ERR_UNSUPPORTED`.
    pub task_timeout: i64,
    /// How often an item is tried again whose worker died. Not built yet: `MP_ERR_UNSUPPORTED`.
    pub task_retries: u32,
}

// SAFETY: repr(C), begins with its size, and has no field with invalid values.
unsafe impl CStruct for mp_pool_options {
    const NAME: &'static str = "mp_pool_options";
}

impl Options for mp_pool_options {
    fn defaults() -> Self {
        // SAFETY: zero is a value of every field.
        unsafe { std::mem::zeroed() }
    }
}

fn core_options(o: &mp_pool_options) -> Result<PoolOptions> {
    let unbuilt = [
        ("initializer", o.initializer.is_some()),
        ("initializer_args", !o.initializer_args.is_null()),
        ("initializer_nargs", o.initializer_nargs != 0),
        ("max_tasks_per_child", o.max_tasks_per_child != 0),
        ("task_timeout", o.task_timeout != 0),
        ("task_retries", o.task_retries != 0),
    ];
    match unbuilt.iter().find(|(_, set)| *set) {
        Some((field, _)) => Err(Error::new(
            Status::Unsupported,
            format!("mp_pool_options.{field}: only the default is built yet"),
        )),
        None => Ok(PoolOptions { processes: o.processes, start_method: o.start_method }),
    }
}

/// Writes the defaults into options of `size` bytes. Programs call `mp_pool_options_init`.
///
/// *Returns* `MP_OK`; `MP_ERR_INVALID` if options is NULL or the size impossible.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_pool_options_defaults(options: *mut mp_pool_options, size: usize) -> mp_status {
    // SAFETY: `options` is NULL or has `size` writable bytes, as the header asks.
    guard(|| unsafe { options::write_defaults(options, size) })
}

/// Makes a pool and starts its workers. NULL options mean the defaults. Forked workers have the memory of this
/// process as it is now, their replacements too; spawned ones run the program anew up to `mp_main_init`. Workers
/// ignore SIGINT, and die with this process, however it ends.
///
/// With `MP_START_THREAD` the workers are threads of this process, with the signal mask of the calling one. They can't
/// be killed: see `mp_pool_terminate`. A task that crashes or calls `exit` ends the program, and the end of the program
/// ends tasks. Inside a task its own pool can be submitted to, closed and terminated, but every wait for it is
/// `MP_ERR_STATE`: all workers could be waiting.
///
/// *Returns* `MP_OK`; `MP_ERR_INVALID`; `MP_ERR_UNSUPPORTED` for an option that is not built yet, naming it;
/// `MP_ERR_BOOTSTRAP` for spawn and forkserver without `mp_main_init`; `MP_ERR_NO_MEMORY`; `MP_ERR_SYSTEM`. *Ownership*: the
/// caller frees it with `mp_pool_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_pool_new(options: *const mp_pool_options, out: *mut *mut mp_pool) -> mp_status {
    // SAFETY: both are NULL or what the header asks.
    unsafe { guard_new(out, || handle::create(Pool::new(&core_options(&options::read(options)?)?)?)) }
}

/// Runs `fn` with these arguments in a worker and waits for its result, however long it takes.
///
/// *Returns* `MP_OK`; `MP_ERR_TASK_FAILED`, `MP_ERR_WORKER_DIED` or `MP_ERR_CANCELLED` with the text, the code, the
/// pid and the signal in `mp_last_error`; `MP_ERR_CLOSED`; `MP_ERR_BROKEN`; `MP_ERR_STATE` in a callback of the
/// same pool, or in a task on one of its threads; `MP_ERR_INVALID`; `MP_ERR_NO_MEMORY`. *Ownership*: the caller frees
/// the buffer with `mp_buffer_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_pool_apply(
    pool: *mut mp_pool,
    r#fn: mp_fn,
    args: *const mp_slice,
    nargs: usize,
    out: *mut *mut mp_buffer,
) -> mp_status {
    let body = || {
        // SAFETY: the handle is not freed meanwhile, and the arguments are what the header asks.
        let (pool, args) = unsafe { (handle::get(pool, "pool")?, types::slices(args, nargs, "args")?) };
        // SAFETY: the function stays loaded, as the header asks.
        let function = unsafe { function(r#fn, "fn") }?;
        let result = pool.run(function, Items::Many(&[args]), 1)?;
        if let Some(error) = result.error()? {
            let error = error.to_error();
            return Err(error);
        }
        handle::create(Buffer::copy_of(result.item(0)?)?)
    };
    // SAFETY: `out` is NULL or writable, as the header asks.
    unsafe { guard_new(out, body) }
}

/// A submission with or without callbacks and a handle.
///
/// # Safety
/// `options` and `out` are NULL or what the header asks.
unsafe fn submit(
    options: *const mp_task_options,
    out: *mut *mut mp_result,
    body: impl FnOnce(Option<Box<dyn crate::pool::Callbacks>>) -> Result<JobResult>,
) -> mp_status {
    if out.is_null() {
        return guard(|| {
            if options.is_null() {
                return Err(Error::invalid(
                    "out is NULL, and so are the options: nobody would see the result",
                ));
            }
            // SAFETY: the contract is the same.
            body(unsafe { c_callbacks(options) }?).map(drop)
        });
    }
    // SAFETY: the contract is the same.
    unsafe { guard_new(out, || handle::create(body(c_callbacks(options)?)?)) }
}

/// Submits one task: `fn` with these arguments. Does not wait.
///
/// *Returns* `MP_OK`; `MP_ERR_CLOSED`; `MP_ERR_BROKEN`; `MP_ERR_INVALID`; `MP_ERR_UNSUPPORTED`;
/// `MP_ERR_NO_MEMORY`. A refused submission has no callback. *Ownership*: the arguments are copied; the caller frees
/// the result with `mp_result_free`; `out` may be NULL when options are given.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_pool_apply_async(
    pool: *mut mp_pool,
    r#fn: mp_fn,
    args: *const mp_slice,
    nargs: usize,
    options: *const mp_task_options,
    out: *mut *mut mp_result,
) -> mp_status {
    let body = |callbacks| {
        // SAFETY: the handle is not freed meanwhile, and the arguments are what the header asks.
        let (pool, args) = unsafe { (handle::get(pool, "pool")?, types::slices(args, nargs, "args")?) };
        // SAFETY: the function stays loaded, as the header asks.
        let function = unsafe { function(r#fn, "fn") }?;
        pool.submit(function, Items::Many(&[args]), 1, callbacks)
    };
    // SAFETY: as above.
    unsafe { submit(options, out, body) }
}

/// Runs `fn` once for each of `n` items, its one argument, and waits until each has its outcome. A failed item
/// fails alone. `chunksize` items are handed to a worker at a time; 0 is automatic.
///
/// *Returns* `MP_OK`; the first failure by index, with `*out` set all the same: `MP_ERR_TASK_FAILED`,
/// `MP_ERR_WORKER_DIED`, `MP_ERR_CANCELLED`; on any other failure `*out` is NULL: `MP_ERR_CLOSED`,
/// `MP_ERR_BROKEN`, `MP_ERR_STATE` in a callback of the same pool or in a task on one of its threads,
/// `MP_ERR_INVALID`, `MP_ERR_NO_MEMORY`.
/// *Ownership*: the caller frees the result with `mp_result_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_pool_map(
    pool: *mut mp_pool,
    r#fn: mp_fn,
    items: *const mp_slice,
    n: usize,
    chunksize: usize,
    out: *mut *mut mp_result,
) -> mp_status {
    // SAFETY: the handle is not freed meanwhile, and the rest is what the header asks.
    unsafe {
        run(out, || {
            let (pool, items) = (handle::get(pool, "pool")?, types::slices(items, n, "items")?);
            pool.run(function(r#fn, "fn")?, Items::Single(&items), chunksize)
        })
    }
}

/// A submission that is waited for: its handle is given also when items failed.
///
/// # Safety
/// `out` is NULL or writable.
unsafe fn run(out: *mut *mut mp_result, body: impl FnOnce() -> Result<JobResult>) -> mp_status {
    let mut failure = None;
    let body = || {
        let result = body()?;
        failure = result.error()?.map(|error| error.to_error());
        handle::create(result)
    };
    // SAFETY: the contract is the same.
    let status = unsafe { guard_new(out, body) };
    match failure {
        Some(error) if status == 0 => fail(&error),
        _ => status,
    }
}

/// As `mp_pool_map`, but does not wait.
///
/// *Returns* and *Ownership* as `mp_pool_apply_async`. With `n` 0 the result is ready at once, callback included.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_pool_map_async(
    pool: *mut mp_pool,
    r#fn: mp_fn,
    items: *const mp_slice,
    n: usize,
    chunksize: usize,
    options: *const mp_task_options,
    out: *mut *mut mp_result,
) -> mp_status {
    let body = |callbacks| {
        // SAFETY: the handle is not freed meanwhile, and the items are what the header asks.
        let (pool, items) = unsafe { (handle::get(pool, "pool")?, types::slices(items, n, "items")?) };
        // SAFETY: the function stays loaded, as the header asks.
        pool.submit(unsafe { function(r#fn, "fn") }?, Items::Single(&items), chunksize, callbacks)
    };
    // SAFETY: as above.
    unsafe { submit(options, out, body) }
}

/// The arguments of each item of a starmap.
///
/// # Safety
/// `items` is NULL or points to `n` elements, each with as many slices as it says.
unsafe fn many<'a>(items: *const mp_args, n: usize) -> Result<Vec<Vec<&'a [u8]>>> {
    // SAFETY: the contract is the same.
    let items = unsafe { types::array(items, n, "items") }?;
    // SAFETY: as above.
    items.iter().map(|item| unsafe { types::slices(item.args, item.nargs, "items[].args") }).collect()
}

/// As `mp_pool_map`, with any number of arguments for each item.
///
/// *Returns* and *Ownership* as `mp_pool_map`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_pool_starmap(
    pool: *mut mp_pool,
    r#fn: mp_fn,
    items: *const mp_args,
    n: usize,
    chunksize: usize,
    out: *mut *mut mp_result,
) -> mp_status {
    // SAFETY: the handle is not freed meanwhile, and the rest is what the header asks.
    unsafe {
        run(out, || {
            let (pool, items) = (handle::get(pool, "pool")?, many(items, n)?);
            pool.run(function(r#fn, "fn")?, Items::Many(&items), chunksize)
        })
    }
}

/// As `mp_pool_starmap`, but does not wait.
///
/// *Returns* and *Ownership* as `mp_pool_apply_async`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_pool_starmap_async(
    pool: *mut mp_pool,
    r#fn: mp_fn,
    items: *const mp_args,
    n: usize,
    chunksize: usize,
    options: *const mp_task_options,
    out: *mut *mut mp_result,
) -> mp_status {
    let body = |callbacks| {
        // SAFETY: the handle is not freed meanwhile, and the items are what the header asks.
        let (pool, items) = unsafe { (handle::get(pool, "pool")?, many(items, n)?) };
        // SAFETY: the function stays loaded, as the header asks.
        pool.submit(unsafe { function(r#fn, "fn") }?, Items::Many(&items), chunksize, callbacks)
    };
    // SAFETY: as above.
    unsafe { submit(options, out, body) }
}

/// Closes the pool: submissions answer `MP_ERR_CLOSED` from now on; what was submitted is finished, then the
/// workers leave. Twice is fine.
///
/// *Returns* `MP_OK`; `MP_ERR_INVALID`; `MP_ERR_STATE` in a forked child.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_pool_close(pool: *mut mp_pool) -> mp_status {
    // SAFETY: the handle is not freed meanwhile.
    guard(|| unsafe { handle::get(pool, "pool") }?.close())
}

/// Ends the workers at once by SIGKILL. Every item without an outcome gets `MP_ERR_CANCELLED`, and every callback
/// that is due is called. Workers that are threads leave after the task in their hands, whose outcome no longer counts;
/// `mp_pool_join` waits for that. Twice is fine.
///
/// *Returns* `MP_OK`; `MP_ERR_INVALID`; `MP_ERR_STATE` in a forked child.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_pool_terminate(pool: *mut mp_pool) -> mp_status {
    // SAFETY: the handle is not freed meanwhile.
    guard(|| unsafe { handle::get(pool, "pool") }?.terminate())
}

/// Waits until all workers have gone and all callbacks have returned, for `timeout` nanoseconds at the longest.
///
/// *Returns* `MP_OK`; `MP_ERR_TIMEOUT`; `MP_ERR_STATE` before `mp_pool_close` or `mp_pool_terminate`, in a callback
/// of the same pool, in a task on one of its threads, and in a forked child; `MP_ERR_CANCELLED`; `MP_ERR_INVALID`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_pool_join(pool: *mut mp_pool, timeout: i64) -> mp_status {
    // SAFETY: the handle is not freed meanwhile.
    guard(|| unsafe { handle::get(pool, "pool") }?.join(Deadline::after(timeout)))
}

/// Terminates the pool and frees it. Results that were made by it stay usable until they are freed. With workers that
/// are threads it takes as long as the tasks that run, but for a call inside such a task or a callback of the same pool,
/// which does not wait. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_pool_free(pool: *mut mp_pool) {
    // SAFETY: the header asks that nobody uses the handle any more.
    unsafe { handle::free(pool, "pool") }
}
