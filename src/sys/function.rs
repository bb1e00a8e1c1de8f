//! A function of the user's, as a value.

use super::call::{self, UserFn};
use std::ffi::c_void;

/// The address of a C function of the user's that takes one pointer, to what the library calls it with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Function(usize);

impl Function {
    /// The function at `address`.
    ///
    /// # Safety
    /// At `address` is a function of type `UserFn` that accepts a pointer to a `process::call::Call`, and stays
    /// there as long as the process may call it.
    pub unsafe fn new(address: usize) -> Function {
        Function(address)
    }

    /// A function that this process found where another process of the same program had it: at the same address
    /// after a fork, or in an object of the same identity. So it is of the same type. (Whoever can forge what it
    /// was found by can write this process's arena, and is trusted.)
    pub(crate) fn found(address: usize) -> Function {
        Function(address)
    }

    /// Where it is.
    pub fn address(self) -> usize {
        self.0
    }

    /// Calls it; what unwinds out of it ends the process.
    pub(crate) fn call(self, arg: *mut c_void) -> i32 {
        // SAFETY: the address is that of a function of this type, by the contract of `new`.
        let f: UserFn = unsafe { std::mem::transmute(self.0) };
        // SAFETY: as above; the only caller, `Call::run`, passes the call that the function expects.
        unsafe { call::call_user(f, arg) }
    }
}
