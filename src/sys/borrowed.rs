//! A child that borrows this process's memory, as one made by vfork does, but on a stack of its own. It costs nothing
//! however large the process is, and runs no fork handlers.

use super::os;
use super::signal::AllBlocked;
use std::ffi::{c_int, c_void};

const STACK: usize = 64 << 10;

/// Runs `child` with `argument` in such a child and answers its pid, when the child has left this memory: by exec, or
/// by its end, of which this process is told by `signal`, or not at all for 0. The errno if there is no child.
///
/// The child must keep to async-signal-safe calls that are no points of cancellation (it has this thread's own memory
/// too), must not unwind, and finds every signal blocked.
pub(super) fn run<T>(
    child: extern "C" fn(*mut c_void) -> c_int,
    argument: &T,
    signal: c_int,
) -> Result<i32, i32> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK;
    // SAFETY: a new mapping at an address that the kernel chooses touches nothing that exists.
    let stack = unsafe { libc::mmap(std::ptr::null_mut(), STACK, protection, flags, -1, 0) };
    if stack == libc::MAP_FAILED {
        return Err(os::errno());
    }
    // A handler of this process's must not run in the child.
    let blocked = AllBlocked::new();
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | signal;
    let argument = std::ptr::from_ref(argument).cast_mut().cast();
    // SAFETY: the child runs `child` on a stack that nobody else uses; this thread waits, and with it all that the
    // argument points at stays alive, until the child has left this memory.
    let pid = unsafe { libc::clone(child, stack.add(STACK), flags, argument) };
    let errno = os::errno();
    drop(blocked);
    // SAFETY: the child has left the stack.
    unsafe { libc::munmap(stack, STACK) };
    if pid < 0 {
        Err(errno)
    } else {
        Ok(pid)
    }
}

/// Reaps a child of [`run`]'s that has ended, or is about to: how it ended, as wait tells it; `None` if somebody else
/// has reaped it.
pub(super) fn reap(pid: i32) -> Option<c_int> {
    let mut status = 0;
    // SAFETY: `status` is a live int; the child was made here.
    let reaped = os::retry(|| unsafe { libc::waitpid(pid, &mut status, libc::__WALL) });
    (reaped == pid).then_some(status)
}
