//! What the library has to say when nobody asked: to the host's callback, else to stderr.

use std::ffi::{c_char, c_void, CString};
use std::sync::atomic::{AtomicPtr, Ordering};

/// Something went wrong that no call can answer for.
pub const ERROR: i32 = 1;
/// Something is likely to go wrong.
pub const WARNING: i32 = 2;

/// The host's callback.
pub type LogFn = unsafe extern "C" fn(user: *mut c_void, level: i32, text: *const c_char);

struct Sink {
    callback: LogFn,
    user: *mut c_void,
    level: i32,
}

/// Leaked at each change, so that it can be used without a lock: also in a child forked at any instant.
static SINK: AtomicPtr<Sink> = AtomicPtr::new(std::ptr::null_mut());

/// From now on `callback` gets what is at least as important as `level`; without one, stderr gets the errors and
/// warnings.
///
/// # Safety
/// `callback` may be called from any thread with `user`, until the process ends.
pub unsafe fn set(callback: Option<LogFn>, user: *mut c_void, level: i32) {
    let sink = callback
        .map_or(std::ptr::null_mut(), |callback| Box::into_raw(Box::new(Sink { callback, user, level })));
    SINK.store(sink, Ordering::Release);
}

/// Says it.
pub fn say(level: i32, text: &str) {
    // SAFETY: the pointer is null or was made by Box::into_raw and is never freed.
    match unsafe { SINK.load(Ordering::Acquire).as_ref() } {
        Some(sink) if level <= sink.level => {
            let text = CString::new(text.replace('\0', " ")).unwrap_or_default();
            // SAFETY: by the contract of `set`.
            unsafe { (sink.callback)(sink.user, level, text.as_ptr()) };
        }
        Some(_) => {}
        None if level <= WARNING => print(text),
        None => {}
    }
}

/// One line on stderr by one write, past the C library's buffers and locks.
fn print(text: &str) {
    let line = format!("libmp: {text}\n");
    super::signal::without_sigpipe(|| {
        // SAFETY: the bytes are readable; a closed stderr only gives an error.
        unsafe { libc::write(libc::STDERR_FILENO, line.as_ptr().cast(), line.len()) };
    });
}
