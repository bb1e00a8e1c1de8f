//! A call, for the function that is called.

use super::guard::{guard, guard_value};
use super::status::mp_status;
use super::types::{self, mp_slice};
use crate::error::{Error, Result};
use crate::process::call::Call;
use crate::sys::function::Function;
use std::ffi::{c_char, c_void, CStr};

/// One call of a function in another process: its arguments, and where its result goes. *Lifetime*: until the
/// function returns. *Threads*: thread-compatible, one at a time.
pub struct mp_call {
    _private: [u8; 0],
}

/// A function that runs in another process. It answers 0 if all is well; another number is the exit code of a
/// process, or the error code of a task. No exception and no `longjmp` may leave it: that ends the process by
/// abort.
pub type mp_fn = Option<unsafe extern "C" fn(call: *mut mp_call) -> i32>;

/// The function, as a value of the core.
///
/// # Safety
/// `function` is NULL or stays callable until the process ends.
pub(super) unsafe fn function(function: mp_fn, name: &str) -> Result<Function> {
    let function = function.ok_or_else(|| Error::invalid(format!("{name} is NULL")))?;
    // SAFETY: an mp_fn takes a pointer to an mp_call, which is a Call; the rest is the contract.
    Ok(unsafe { Function::new(function as usize) })
}

/// The core's call behind the pointer.
///
/// # Safety
/// `call` is NULL or what the function was called with, and the function has not returned.
unsafe fn core<'a>(call: *const mp_call) -> Result<&'a Call<'a>> {
    // SAFETY: by the contract it is NULL or a live Call.
    unsafe { call.cast::<Call<'a>>().as_ref() }.ok_or_else(|| Error::invalid("call is NULL"))
}

/// As [`core`], for a change.
///
/// # Safety
/// As for [`core`]; one thread at a time.
unsafe fn core_mut<'a>(call: *mut mp_call) -> Result<&'a mut Call<'a>> {
    // SAFETY: by the contract it is NULL or a live Call that nobody else uses.
    unsafe { call.cast::<Call<'a>>().as_mut() }.ok_or_else(|| Error::invalid("call is NULL"))
}

/// A copy of a message.
///
/// # Safety
/// `text` is NULL or ends in NUL.
unsafe fn text(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: not NULL, so it ends in NUL.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// How many arguments the call has.
///
/// *Returns* the number; 0 if `call` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_call_argc(call: *const mp_call) -> usize {
    // SAFETY: the header asks for the function's own call.
    guard_value(0, || Ok(unsafe { core(call) }?.argc()))
}

/// An argument of the call: its bytes as they were when the call was made.
///
/// *Returns* the argument; an empty slice with NULL if there is no argument `i`, which `mp_last_error` then says.
/// *Lifetime*: until the function returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_call_arg(call: *const mp_call, i: usize) -> mp_slice {
    let none = mp_slice { data: std::ptr::null(), len: 0 };
    guard_value(none, || {
        // SAFETY: the header asks for the function's own call.
        let call = unsafe { core(call) }?;
        let arg = call.arg(i).ok_or_else(|| {
            Error::invalid(format!("there is no argument {i}: the call has {}", call.argc()))
        })?;
        Ok(mp_slice { data: arg.as_ptr().cast(), len: arg.len() })
    })
}

/// Returns a copy of `len` bytes at `data`. What was returned before is forgotten.
///
/// *Returns* `MP_OK`; `MP_ERR_INVALID` for a NULL `call`, or NULL `data` with a `len`; `MP_ERR_NO_MEMORY`.
/// *Ownership*: `data` stays the caller's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_call_return(call: *mut mp_call, data: *const c_void, len: usize) -> mp_status {
    guard(|| {
        // SAFETY: the header asks for the function's own call, and for `len` readable bytes.
        let (call, data) = unsafe { (core_mut(call)?, types::bytes(data, len, "data")?) };
        call.give(data)
    })
}

/// Room for a result of `len` bytes, to be written in place: nothing is copied. What was returned before is
/// forgotten. The content is undefined until it is written.
///
/// *Returns* the room, aligned to 16 bytes; NULL on failure, which `mp_last_error` explains. *Lifetime*: until the
/// next `mp_call_return` or `mp_call_return_buffer`, or until the function returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_call_return_buffer(call: *mut mp_call, len: usize) -> *mut c_void {
    // SAFETY: the header asks for the function's own call.
    guard_value(std::ptr::null_mut(), || Ok(unsafe { core_mut(call) }?.room(len)?.cast()))
}

/// Says that the call has failed, and why. A task's submitter gets code and message; a process writes the message to
/// the log, its maker gets both by `mp_process_result`, and the code becomes its exit code. The function still has to
/// return; what it returns counts only if `code` is 0. A failure whose code, or whose exit code, would be 0 has the
/// code 1.
///
/// *Returns* `MP_OK`; `MP_ERR_INVALID` for a NULL `call`. *Ownership*: `message` is copied; NULL means no text, and
/// what is not UTF-8 in it is replaced.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_call_fail(call: *mut mp_call, code: i32, message: *const c_char) -> mp_status {
    guard(|| {
        // SAFETY: the header asks for the function's own call, and for a string or NULL.
        let (call, message) = unsafe { (core_mut(call)?, text(message)) };
        call.fail(code, message);
        Ok(())
    })
}
