//! What signal handlers may call allocates nothing and keeps errno, on its error paths too.

#![cfg(not(loom))]

use mp::ffi::event::{mp_event, mp_event_free, mp_event_new, mp_event_set};
use mp::ffi::status::mp_last_error;
use std::alloc::{GlobalAlloc, Layout, System};
use std::ffi::CStr;
use std::sync::atomic::{AtomicU64, Ordering};

struct Counting;

static CALLS: AtomicU64 = AtomicU64::new(0);

// SAFETY: the system's allocator, and a count.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.fetch_add(1, Ordering::SeqCst);
        // SAFETY: the contract is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        CALLS.fetch_add(1, Ordering::SeqCst);
        // SAFETY: the contract is the same.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn errno() -> &'static mut i32 {
    // SAFETY: this thread's errno is always readable and writable, and used by this thread alone.
    unsafe { &mut *libc::__errno_location() }
}

/// The status of a set, which must leave memory and errno alone.
fn set(event: *mut mp_event) -> i32 {
    *errno() = libc::ENOTTY;
    let before = CALLS.load(Ordering::SeqCst);
    // SAFETY: NULL, foreign and freed handles are allowed.
    let status = unsafe { mp_event_set(event) };
    let after = CALLS.load(Ordering::SeqCst);
    assert_eq!((after - before, *errno()), (0, libc::ENOTTY), "status {status}");
    status
}

/// One test alone, so that no other thread allocates.
#[test]
fn setting_an_event() {
    let mut event = std::ptr::null_mut();
    let local = 0u64;
    // SAFETY: live pointers; the raw clone runs a few lines and leaves.
    unsafe {
        assert_eq!(mp_event_new(&mut event), 0);
        assert_eq!((set(event), set(event)), (0, 0));
        assert_eq!(set(std::ptr::null_mut()), -1);
        assert_eq!(set(std::ptr::from_ref(&local).cast_mut().cast()), -1);
        assert!(CStr::from_ptr(mp_last_error()).to_str().unwrap().contains("not a live mp_event handle"));
        // Past the fork handlers: a process without a part in the arena.
        let child = libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) as i32;
        if child == 0 {
            let good = std::panic::catch_unwind(|| assert_eq!(set(event), -2)).is_ok();
            libc::_exit(i32::from(!good));
        }
        let mut status = -1;
        libc::waitpid(child, &mut status, 0);
        assert_eq!(status, 0);
        mp_event_free(event);
        assert_eq!(set(event), -1);
    }
}
