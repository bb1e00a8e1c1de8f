//! The jump into the user's code.

use std::ffi::c_void;

/// A function of the user's: takes one pointer, answers a code.
pub type UserFn = unsafe extern "C" fn(*mut c_void) -> i32;

/// Calls a function of the user's. An exception, a panic or `pthread_exit` must not leave it: whatever unwinds
/// out of it ends the process by abort, for the frames below are not made to be unwound. (The wrappers for other
/// languages catch on their own side and report by code and message.)
///
/// # Safety
/// `f` is a function of this process that accepts `arg`, which points at what it expects.
pub unsafe fn call_user(f: UserFn, arg: *mut c_void) -> i32 {
    // SAFETY: the two ABIs pass arguments alike; "C-unwind" only says that unwinding is possible, so that it
    // arrives at the `extern "C"` frame below, which aborts, instead of being undefined.
    let f: unsafe extern "C-unwind" fn(*mut c_void) -> i32 = unsafe { std::mem::transmute(f) };
    // SAFETY: by the contract of this function.
    unsafe { barrier(f, arg) }
}

#[link_section = "mp_fork"]
#[inline(never)]
unsafe extern "C" fn barrier(f: unsafe extern "C-unwind" fn(*mut c_void) -> i32, arg: *mut c_void) -> i32 {
    // SAFETY: by the contract of `call_user`.
    unsafe { f(arg) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::testing::alone;
    use std::os::unix::process::ExitStatusExt;

    unsafe extern "C" fn double(arg: *mut c_void) -> i32 {
        // SAFETY: the test passes a live i32.
        unsafe { *arg.cast::<i32>() * 2 }
    }

    unsafe extern "C-unwind" fn unwind(_: *mut c_void) -> i32 {
        std::panic::resume_unwind(Box::new(()))
    }

    #[test]
    fn the_code_comes_back() {
        let mut number = 21;
        // SAFETY: `double` expects an i32.
        assert_eq!(unsafe { call_user(double, (&raw mut number).cast()) }, 42);
    }

    #[test]
    fn unwinding_ends_the_process() {
        let ended = alone("sys::call::tests::unwinding_ends_the_process", || {
            // SAFETY: the process is to end by abort: silently, and without a core file.
            unsafe {
                libc::close(2);
                libc::setrlimit(libc::RLIMIT_CORE, &libc::rlimit { rlim_cur: 0, rlim_max: 0 });
                let f: UserFn =
                    std::mem::transmute(unwind as unsafe extern "C-unwind" fn(*mut c_void) -> i32);
                call_user(f, std::ptr::null_mut());
            }
        });
        assert_eq!(ended.signal(), Some(libc::SIGABRT));
    }
}
