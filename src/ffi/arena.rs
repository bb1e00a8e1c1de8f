//! Named arenas.

use super::guard::{guard, guard_new};
use super::handle::{self, Handle, Kind};
use super::options::{self, CStruct, Options};
use super::status::mp_status;
use super::types::{self, mp_bool};
use crate::arena::{Arena, OpenOptions};
use crate::error::Result;
use std::ffi::c_char;

/// Memory that unrelated programs share: each opens the arena by its name and finds the same objects in it, again by
/// name. It is the file `mp.NAME` in `/dev/shm` (the environment variable `MP_ARENA_DIR` names another directory) that
/// appears whole: a creator that dies half-way leaves nothing. The arena stays until `mp_arena_unlink`, its named
/// objects until `mp_arena_remove`, whoever lives or dies meanwhile; what dead programs have held is given back by the
/// next program that opens it.
///
/// All who may write the file trust each other. They must be in one pid namespace and one time namespace.
pub struct mp_arena {
    _private: [u8; 0],
}

impl Handle for mp_arena {
    type Core = &'static Arena;
    const KIND: Kind = Kind::Arena;
}

/// How a named arena is opened. Set up by `mp_arena_options_init`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct mp_arena_options {
    /// Set by `mp_arena_options_init`.
    pub size: usize,
    /// How large a new arena may grow, in bytes, at least 64 MiB (less is taken for that); memory is used only as it
    /// is needed. 0 (the default): the smaller of the machine's memory and 64 GiB, as far as the limits allow. Of no
    /// meaning for an arena that is there.
    pub capacity: u64,
    /// The permissions of a new arena's file, whatever the umask; 0600 is the default. The owner must be able to
    /// read and write it.
    pub mode: u32,
    /// The user to whom the file must belong, by default this process's effective one. A new arena is made only for
    /// that.
    pub uid: u32,
    /// Whether the arena must be there already. Default false.
    pub must_exist: mp_bool,
}

// SAFETY: repr(C), begins with its size, and has no field with invalid values.
unsafe impl CStruct for mp_arena_options {
    const NAME: &'static str = "mp_arena_options";
}

impl Options for mp_arena_options {
    fn defaults() -> mp_arena_options {
        // SAFETY: geteuid cannot fail.
        let uid = unsafe { libc::geteuid() };
        mp_arena_options { size: 0, capacity: 0, mode: 0o600, uid, must_exist: false.into() }
    }
}

/// The name that a caller gives.
///
/// # Safety
/// `name` is NULL or ends in NUL.
pub(super) unsafe fn read_name(name: *const c_char) -> Result<Vec<u8>> {
    // SAFETY: the contract is the same.
    Ok(unsafe { types::string(name, "name") }?.into_bytes())
}

/// Writes the defaults into options of `size` bytes. Programs call `mp_arena_options_init`.
///
/// *Returns* `MP_OK`; `MP_ERR_INVALID` if options is NULL or the size impossible.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_arena_options_defaults(options: *mut mp_arena_options, size: usize) -> mp_status {
    // SAFETY: `options` is NULL or has `size` writable bytes, as the header asks.
    guard(|| unsafe { options::write_defaults(options, size) })
}

/// Opens the arena of this name, and makes it if there is none. NULL options mean the defaults. Opening it again gives
/// another handle of the same arena. A name has 1 to 252 bytes of UTF-8 without '/'.
///
/// *Returns* `MP_OK`; `MP_ERR_NOT_FOUND` if it is not there and must be, or is to belong to another user, or the
/// directory is missing; `MP_ERR_ACCESS` if the file's mode refuses this process, or the file belongs to a user whom
/// the options do not name; `MP_ERR_UNSUPPORTED` if it was made in another pid or time
/// namespace or by a version of libmp with another layout; `MP_ERR_INVALID`, also for a symbolic link or a file that is no arena;
/// `MP_ERR_NO_MEMORY`; `MP_ERR_TOO_LARGE` for a capacity of more than 64 GiB; `MP_ERR_SYSTEM`; `MP_ERR_STATE` as for
/// `mp_lock_new`.
///
/// *Ownership*: free the handle with `mp_arena_free`; the name is copied. *Threads*: thread-safe. *Processes*: a forked
/// child has the handle too; a spawned one opens the arena itself.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_arena_open(
    name: *const c_char,
    options: *const mp_arena_options,
    out: *mut *mut mp_arena,
) -> mp_status {
    // SAFETY: `name` is NULL or ends in NUL, `options` is NULL or as long as its size says, `out` is NULL or writable.
    unsafe {
        guard_new(out, || {
            let o = options::read(options)?;
            let (capacity, mode, uid, must_exist) = (o.capacity, o.mode, o.uid, o.must_exist.get());
            let core = OpenOptions { capacity, mode, uid, must_exist };
            handle::create(Arena::open_named(&types::string(name, "name")?, &core)?)
        })
    }
}

/// Takes the name away from its object, which goes with its last handle. The name is free again at once.
///
/// *Returns* `MP_OK`; `MP_ERR_NOT_FOUND`; `MP_ERR_INVALID`; `MP_ERR_STATE` as for `mp_lock_new`. *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_arena_remove(arena: *mut mp_arena, name: *const c_char) -> mp_status {
    // SAFETY: nobody frees the handle meanwhile; `name` is NULL or ends in NUL, as the header asks.
    guard(|| unsafe { (*handle::get(arena, "arena")?).remove_name(&read_name(name)?) })
}

/// Takes the arena's name away, and gives back what dead programs have left in it, if this process has it open. Programs
/// that have it open go on with it; who opens the name from now on makes a new arena. Its memory goes with the last
/// process that uses it.
///
/// *Returns* `MP_OK`; `MP_ERR_NOT_FOUND`; `MP_ERR_ACCESS`; `MP_ERR_INVALID`; `MP_ERR_SYSTEM`. *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_arena_unlink(name: *const c_char) -> mp_status {
    // SAFETY: `name` is NULL or ends in NUL, as the header asks.
    guard(|| Arena::unlink_named(&unsafe { types::string(name, "name") }?))
}

/// Drops this handle; NULL is nothing. Objects that were found in the arena go on, with handles of their own; the arena
/// stays mapped as long as the process lives.
///
/// *Threads*: thread-safe, but no other call may be using the handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_arena_free(arena: *mut mp_arena) {
    // SAFETY: the header asks that nobody uses the handle any more.
    unsafe { handle::free(arena, "arena") }
}
