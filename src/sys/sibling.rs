//! A child of one's own parent: made by a server for the process that it serves, to which it is a child like any other.
//!
//! libc's fork can't do it, so this one goes past libc, and does what libc does for a process with one thread: the new
//! thread's number goes where libc keeps it, and its list of robust mutexes is registered. (What libc guards by locks
//! is free: nobody else could hold it. Handlers of other libraries do not run.)

use super::child::Fork;
use super::{fork, os};
use crate::error::{Error, Result, Status};
use std::sync::atomic::AtomicU32;

/// What libc has told the kernel of its thread.
struct Thread {
    /// Where it keeps the thread's number.
    number: *mut libc::c_int,
    robust_list: [usize; 2],
}

impl Thread {
    fn this() -> Result<Thread> {
        const PR_GET_TID_ADDRESS: libc::c_int = 40;
        let mut number = std::ptr::null_mut::<libc::c_int>();
        // SAFETY: the kernel stores one pointer.
        if unsafe { libc::prctl(PR_GET_TID_ADDRESS, &raw mut number) } < 0 || number.is_null() {
            let text = "a fork server needs a kernel that tells where a thread's number is kept (CONFIG_CHECKPOINT_RESTORE)";
            return Err(Error::new(Status::Unsupported, text));
        }
        let mut robust_list = [0usize; 2];
        let [head, length] = &mut robust_list;
        // SAFETY: room for a pointer and a length. Without an answer there is no list to register.
        unsafe {
            libc::syscall(libc::SYS_get_robust_list, 0, std::ptr::from_mut(head), std::ptr::from_mut(length))
        };
        Ok(Thread { number, robust_list })
    }
}

/// Forks a child of this process's parent, with the library's own handlers around. The kernel stores its number in `pid`,
/// for both sides to see, in the same call: even if this process is killed at any moment, `pid` is zero if and only if
/// there is no child. `prepared` runs before the call, when the handlers have prepared the child's place.
///
/// # Safety
/// This process has one thread.
#[link_section = "mp_fork"]
pub unsafe fn fork(pid: &AtomicU32, prepared: impl FnOnce() -> Result<()>) -> Result<Fork> {
    let thread = Thread::this()?;
    fork::around(|| {
        prepared()?;
        // SAFETY: the caller has one thread; `pid` and the thread's number are live words.
        match unsafe { clone(pid, thread.number) } {
            0 => {
                let [head, length] = thread.robust_list;
                if head != 0 {
                    // SAFETY: libc's own list, of the thread that goes on in this process.
                    unsafe { libc::syscall(libc::SYS_set_robust_list, head, length) };
                }
                Ok(Fork::Child)
            }
            made if made > 0 => Ok(Fork::Parent(made as i32)),
            _ => Err(Error::from_errno("clone", os::errno())),
        }
    })
}

/// # Safety
/// This process has one thread.
#[link_section = "mp_fork"]
unsafe fn clone(pid: &AtomicU32, number: *mut libc::c_int) -> libc::c_long {
    let flags = libc::CLONE_PARENT
        | libc::CLONE_PARENT_SETTID
        | libc::CLONE_CHILD_SETTID
        | libc::CLONE_CHILD_CLEARTID
        | libc::SIGCHLD;
    let none = std::ptr::null_mut::<libc::c_void>();
    // The last two change places between the architectures: the thread's own memory, which stays, and its number.
    #[cfg(target_arch = "x86_64")]
    let (fourth, fifth) = (number.cast::<libc::c_void>(), none);
    #[cfg(not(target_arch = "x86_64"))]
    let (fourth, fifth) = (none, number.cast::<libc::c_void>());
    // SAFETY: without CLONE_VM the child has a copy of everything, its stack too, and goes on from here.
    unsafe { libc::syscall(libc::SYS_clone, libc::c_long::from(flags), none, pid.as_ptr(), fourth, fifth) }
}
