//! What every entry passes through: panics stop here, errors become a number and a text.

use super::status::{mp_status, MP_OK};
use crate::error::{Error, Result, Status};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::ffi::{c_char, CStr};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};

thread_local! {
    /// The text of this thread's last failure, ending in NUL; empty before the first.
    static LAST_ERROR: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    /// The text in its place, if the last failure was in an entry for signal handlers. It needs no memory.
    static FIXED_ERROR: Cell<Option<&'static CStr>> = const { Cell::new(None) };
    /// How many entries this thread is inside of: callbacks may call in again.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    /// Where the panic that is under way began.
    static PANICKED_AT: Cell<Option<(&'static str, u32)>> = const { Cell::new(None) };
}

/// What a body may answer on success.
pub trait Outcome {
    /// The number that the C caller sees.
    fn number(self) -> mp_status;
}

impl Outcome for () {
    fn number(self) -> mp_status {
        MP_OK
    }
}

impl Outcome for Status {
    fn number(self) -> mp_status {
        self as mp_status
    }
}

/// Runs the body of an entry that answers a status.
#[inline]
pub fn guard<T: Outcome>(body: impl FnOnce() -> Result<T>) -> mp_status {
    match run(body) {
        Ok(outcome) => outcome.number(),
        Err(error) => fail(&error),
    }
}

/// Like [`guard`], for the few entries that take some nanoseconds, a lock's: their bodies keep errno themselves,
/// and a defect in them also shows on stderr.
#[inline]
pub fn guard_quick<T: Outcome>(body: impl FnOnce() -> Result<T>) -> mp_status {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(outcome)) => outcome.number(),
        Ok(Err(error)) => fail(&error),
        Err(panic) => fail(&panicked(&*panic)),
    }
}

/// Whether the short way of an entry has done it all. A defect in it is left to the long way, which tells of it.
#[inline(always)]
pub fn quickly(body: impl FnOnce() -> bool) -> bool {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(false)
}

/// Runs the body of an entry for signal handlers, which fails with a text that needs no memory: it keeps errno always,
/// and the text that `mp_last_error` answered before stays where it is.
#[inline]
pub fn guard_signal_safe(
    body: impl FnOnce() -> std::result::Result<(), (Status, &'static CStr)>,
) -> mp_status {
    // SAFETY: it answers an address that is this thread's for as long as it lives.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: this thread's errno is always readable.
    let before = unsafe { *errno };
    let result = catch_unwind(AssertUnwindSafe(body))
        .unwrap_or(Err((Status::Internal, c"a defect in libmp, in an entry for signal handlers")));
    // SAFETY: and writable.
    unsafe { *errno = before };
    match result {
        Ok(()) => MP_OK,
        Err((status, text)) => {
            let _ = FIXED_ERROR.try_with(|fixed| fixed.set(Some(text)));
            status as mp_status
        }
    }
}

/// Runs the body of an entry that answers a plain value: `fallback` on failure, with the text recorded.
#[inline]
pub fn guard_value<T>(fallback: T, body: impl FnOnce() -> Result<T>) -> T {
    match run(body) {
        Ok(value) => value,
        Err(error) => {
            fail(&error);
            fallback
        }
    }
}

/// Runs the body of an entry that gives a new handle through `out`, which is NULL after a failure.
///
/// # Safety
/// `out` is NULL or points to a writable pointer.
#[inline]
pub unsafe fn guard_new<H>(out: *mut *mut H, body: impl FnOnce() -> Result<*mut H>) -> mp_status {
    // Before the first handle there is.
    quiet_panics();
    guard(|| {
        if out.is_null() {
            return Err(Error::invalid("out is NULL"));
        }
        // SAFETY: not NULL, so writable by the contract.
        unsafe { out.write(std::ptr::null_mut()) };
        let handle = body()?;
        // SAFETY: as above.
        unsafe { out.write(handle) };
        Ok(())
    })
}

/// Records a failure for `mp_last_error` and answers its number.
#[cold]
pub fn fail(error: &Error) -> mp_status {
    record(error.message());
    error.status() as mp_status
}

/// `mp_last_error`.
pub(super) fn last_error() -> *const c_char {
    if let Some(text) = FIXED_ERROR.try_with(Cell::get).ok().flatten() {
        return text.as_ptr();
    }
    // A thread that is being torn down has no text any more.
    LAST_ERROR
        .try_with(|text| text.try_borrow().map_or(c"".as_ptr(), |t| text_pointer(&t)))
        .unwrap_or(c"".as_ptr())
}

fn text_pointer(text: &[u8]) -> *const c_char {
    if text.is_empty() {
        c"".as_ptr()
    } else {
        text.as_ptr().cast()
    }
}

fn record(message: &str) {
    let _ = LAST_ERROR.try_with(|text| {
        if let Ok(mut text) = text.try_borrow_mut() {
            text.clear();
            // A NUL inside would cut the sentence short.
            text.extend(message.bytes().map(|b| if b == 0 { b' ' } else { b }));
            text.push(0);
        }
    });
    let _ = FIXED_ERROR.try_with(|fixed| fixed.set(None));
}

#[inline]
fn run<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    // SAFETY: it answers an address that is this thread's for as long as it lives.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: this thread's errno is always readable.
    let before = unsafe { *errno };
    enter();
    let result = catch_unwind(AssertUnwindSafe(body));
    leave();
    let result = result.unwrap_or_else(|panic| Err(panicked(&*panic)));
    if result.is_ok() {
        // SAFETY: and writable.
        unsafe { *errno = before };
    }
    result
}

#[inline]
fn enter() {
    let _ = DEPTH.try_with(|depth| depth.set(depth.get() + 1));
}

#[inline]
fn leave() {
    let _ = DEPTH.try_with(|depth| depth.set(depth.get() - 1));
}

#[cold]
fn panicked(payload: &(dyn Any + Send)) -> Error {
    let what = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a text");
    let place = PANICKED_AT.try_with(Cell::take).ok().flatten();
    Error::internal(match place {
        Some((file, line)) => format!("defect in libmp: {what} ({file}:{line})"),
        None => format!("defect in libmp: {what}"),
    })
}

/// Keeps panics inside an entry off stderr: they become MP_ERR_INTERNAL, and their place goes into the text.
/// Panics elsewhere, a Rust host's for instance, still reach the hook that was there before.
pub fn quiet_panics() {
    static DONE: AtomicBool = AtomicBool::new(false);
    if DONE.load(Ordering::Relaxed) || DONE.swap(true, Ordering::Relaxed) {
        return;
    }
    let previous = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if DEPTH.try_with(Cell::get).unwrap_or(0) == 0 {
            return previous(info);
        }
        // file() borrows from the info although it is static, so it is leaked: once per panic, a defect.
        let place = info.location().map(|l| (&*l.file().to_owned().leak(), l.line()));
        let _ = PANICKED_AT.try_with(|at| at.set(place));
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CStr;

    fn text() -> String {
        // SAFETY: last_error answers a NUL-terminated string, valid until the next failure.
        unsafe { CStr::from_ptr(last_error()) }.to_str().unwrap().to_owned()
    }

    #[test]
    fn results_become_numbers() {
        assert_eq!(guard(|| Ok(())), 0);
        assert_eq!(guard(|| Ok(Status::OwnerDead)), 1);
        assert_eq!(guard::<()>(|| Err(Error::state("too early"))), -2);
        assert_eq!(guard_quick(|| Ok(Status::OwnerDead)), 1);
        assert_eq!(guard_quick::<()>(|| Err(Error::state("too early"))), -2);
        assert_eq!(guard_quick::<()>(|| panic!("a test of guard_quick")), -25);
        assert_eq!(guard_value(7, || Ok(8)), 8);
        assert_eq!(guard_value(7, || Err(Error::state("too early"))), 7);
    }

    #[test]
    fn the_text_stays_until_the_next_failure_of_this_thread() {
        std::thread::spawn(|| {
            assert_eq!(text(), "");
            guard::<()>(|| Err(Error::invalid("first\0one")));
            assert_eq!(guard(|| Ok(())), 0);
            std::thread::spawn(|| guard::<()>(|| Err(Error::invalid("elsewhere")))).join().unwrap();
            assert_eq!(text(), "first one");
            guard::<()>(|| Err(Error::invalid("second")));
            assert_eq!(text(), "second");
        })
        .join()
        .unwrap();
    }

    #[test]
    fn panics_become_internal_errors_with_text_and_place() {
        quiet_panics();
        assert_eq!(guard::<()>(|| panic!("value {}", 42)), Status::Internal as i32);
        assert!(text().contains("value 42") && text().contains("guard.rs:"), "{}", text());
        assert_eq!(guard::<()>(|| std::panic::panic_any(5)), Status::Internal as i32);
        assert!(text().contains("without a text"), "{}", text());
    }

    #[test]
    fn success_preserves_errno() {
        // SAFETY: this thread's errno is always readable and writable.
        let errno = || unsafe { &mut *libc::__errno_location() };
        *errno() = libc::ENOTTY;
        guard(|| {
            *errno() = libc::EIO;
            Ok(())
        });
        assert_eq!(*errno(), libc::ENOTTY);
    }

    #[test]
    fn a_signal_handlers_failure_keeps_errno_and_the_older_text_in_its_place() {
        // SAFETY: this thread's errno is always readable and writable.
        let errno = || unsafe { &mut *libc::__errno_location() };
        guard::<()>(|| Err(Error::invalid("first")));
        let first = last_error();
        *errno() = libc::ENOTTY;
        let failing = || {
            *errno() = libc::EIO;
            Err((Status::State, c"fixed"))
        };
        assert_eq!(guard_signal_safe(failing), Status::State as mp_status);
        assert_eq!((*errno(), text().as_str()), (libc::ENOTTY, "fixed"));
        // SAFETY: the text of a thread stays until its next failure that needs memory.
        assert_eq!(unsafe { CStr::from_ptr(first) }, c"first");
        assert_eq!(guard_signal_safe(|| Ok(())), MP_OK);
        guard::<()>(|| Err(Error::invalid("second")));
        assert_eq!(text(), "second");
    }

    #[test]
    fn handle_outputs_are_null_after_a_failure() {
        let mut out: *mut u8 = std::ptr::dangling_mut();
        // SAFETY: out is a live pointer variable.
        let status = unsafe { guard_new(&mut out, || Err(Error::state("no"))) };
        assert_eq!((status, out.is_null()), (-2, true));
        // SAFETY: NULL is allowed.
        let status = unsafe { guard_new::<u8>(std::ptr::null_mut(), || unreachable!()) };
        assert_eq!(status, -1);
    }
}
