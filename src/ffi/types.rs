//! Plain structs, and how arguments of plain types are read.

use crate::error::{Error, Result};
use std::ffi::{c_char, c_void, CStr};

/// Borrowed memory: `len` bytes at `data`, which may be NULL if `len` is 0.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct mp_slice {
    /// The first byte.
    pub data: *const c_void,
    /// How many bytes.
    pub len: usize,
}

/// The arguments of one call of a function: borrowed, like the slices in it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct mp_args {
    /// The first argument.
    pub args: *const mp_slice,
    /// How many arguments.
    pub nargs: usize,
}

/// A name for a shared object: 32 plain bytes, which may be copied anywhere, into a struct, a message or a
/// task's argument, and give a handle in any process of the family. The token of a destroyed object is refused.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct mp_token {
    /// Nobody's business.
    pub bytes: [u8; 32],
}

/// C's `bool` in a struct that a program fills: any byte, since nothing stops it from being another than 0 or
/// 1. The header says `bool`.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct mp_bool(u8);

impl mp_bool {
    /// Whether it is true.
    pub const fn get(self) -> bool {
        self.0 != 0
    }
}

impl From<bool> for mp_bool {
    fn from(value: bool) -> mp_bool {
        mp_bool(value.into())
    }
}

/// The `len` bytes at `data`.
///
/// # Safety
/// `data` is NULL or points to `len` readable bytes for as long as the answer is used.
pub unsafe fn bytes<'a>(data: *const c_void, len: usize, name: &str) -> Result<&'a [u8]> {
    // SAFETY: the contract is the same; a byte has no alignment.
    unsafe { array(data.cast(), len, name) }
}

/// The bytes at `data`, as many of `len` as memory can have: for a short way, which takes no long ones.
///
/// # Safety
/// `data` points to `len` readable bytes for as long as the answer is used.
#[inline(always)]
pub unsafe fn some_bytes<'a>(data: *const c_void, len: usize) -> &'a [u8] {
    // SAFETY: by the contract, of a possible length.
    unsafe { std::slice::from_raw_parts(data.cast(), len.min(isize::MAX as usize)) }
}

/// The same to be written.
///
/// # Safety
/// `data` points to `len` writable bytes that nobody else uses for as long as the answer is used.
#[inline(always)]
pub unsafe fn some_bytes_mut<'a>(data: *mut c_void, len: usize) -> &'a mut [u8] {
    // SAFETY: by the contract, of a possible length.
    unsafe { std::slice::from_raw_parts_mut(data.cast(), len.min(isize::MAX as usize)) }
}

/// The `len` writable bytes at `data`.
///
/// # Safety
/// `data` is NULL or points to `len` writable bytes that nobody else uses for as long as the answer is used.
pub unsafe fn bytes_mut<'a>(data: *mut c_void, len: usize, name: &str) -> Result<&'a mut [u8]> {
    if len == 0 {
        return Ok(&mut []);
    }
    if data.is_null() {
        return Err(Error::invalid(format!("{name} is NULL, but is said to have room for {len} bytes")));
    }
    if len > isize::MAX as usize {
        return Err(Error::invalid(format!(
            "{name} cannot have room for {len} bytes: that is more than all memory"
        )));
    }
    // SAFETY: not NULL and of a possible length; the rest is the contract.
    Ok(unsafe { std::slice::from_raw_parts_mut(data.cast(), len) })
}

/// The `n` elements at `first`.
///
/// # Safety
/// `first` is NULL or points to `n` readable elements for as long as the answer is used.
pub unsafe fn array<'a, T>(first: *const T, n: usize, name: &str) -> Result<&'a [T]> {
    if n == 0 {
        return Ok(&[]);
    }
    if first.is_null() {
        return Err(Error::invalid(format!("{name} is NULL, but is said to have {n} {}", unit::<T>())));
    }
    if n > isize::MAX as usize / size_of::<T>().max(1) {
        return Err(Error::invalid(format!(
            "{name} cannot have {n} {}: that is more than all memory",
            unit::<T>()
        )));
    }
    // SAFETY: not NULL and of a possible length; the rest is the contract.
    Ok(unsafe { std::slice::from_raw_parts(first, n) })
}

/// The `n` elements at `first`, to be written.
///
/// # Safety
/// `first` is NULL or points to `n` writable elements that nobody else uses for as long as the answer is used.
pub unsafe fn array_mut<'a, T>(first: *mut T, n: usize, name: &str) -> Result<&'a mut [T]> {
    // SAFETY: the contract covers reading; nothing is read.
    unsafe { array(first.cast_const().cast::<std::mem::MaybeUninit<T>>(), n, name) }?;
    if n == 0 {
        return Ok(&mut []);
    }
    // SAFETY: not NULL and of a possible length, as was checked; the rest is the contract.
    Ok(unsafe { std::slice::from_raw_parts_mut(first, n) })
}

/// What an array of this type is counted in.
fn unit<T>() -> &'static str {
    if size_of::<T>() == 1 {
        "bytes"
    } else {
        "elements"
    }
}

/// The bytes of `n` slices, each checked.
///
/// # Safety
/// As for [`array`], and likewise for each slice in it.
pub unsafe fn slices<'a>(first: *const mp_slice, n: usize, name: &str) -> Result<Vec<&'a [u8]>> {
    // SAFETY: the contract is the same, and covers each slice.
    unsafe { Ok(checked(first, n, name)?.iter().map(|slice| bytes_of(slice)).collect()) }
}

/// The `n` slices, each checked.
///
/// # Safety
/// As for [`slices`].
pub unsafe fn checked<'a>(first: *const mp_slice, n: usize, name: &str) -> Result<&'a [mp_slice]> {
    // SAFETY: the contract is the same.
    let slices: &[mp_slice] = unsafe { array(first, n, name) }?;
    let wrong = |slice: &mp_slice| slice.data.is_null() && slice.len > 0 || slice.len > isize::MAX as usize;
    match slices.iter().position(wrong) {
        None => Ok(slices),
        Some(i) if slices[i].data.is_null() => {
            let len = slices[i].len;
            Err(Error::invalid(format!("{name}[{i}].data is NULL, but its len is {len}")))
        }
        Some(i) => {
            let len = slices[i].len;
            Err(Error::invalid(format!("{name}[{i}] cannot have {len} bytes: that is more than all memory")))
        }
    }
}

/// The bytes of a checked slice.
///
/// # Safety
/// As for [`slices`].
#[inline(always)]
pub unsafe fn bytes_of<'a>(slice: &mp_slice) -> &'a [u8] {
    let data = if slice.data.is_null() {
        std::ptr::NonNull::<u8>::dangling().as_ptr()
    } else {
        slice.data.cast_mut().cast()
    };
    // SAFETY: not NULL, of a possible length, and readable by the contract.
    unsafe { std::slice::from_raw_parts(data.cast_const(), slice.len) }
}

/// A copy of a C string, which must be UTF-8. None for NULL.
///
/// # Safety
/// `text` is NULL or ends in NUL.
pub unsafe fn optional_string(text: *const c_char, name: &str) -> Result<Option<String>> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: not NULL, so it ends in NUL.
    let text = unsafe { CStr::from_ptr(text) };
    match text.to_str() {
        Ok(text) => Ok(Some(text.to_owned())),
        Err(_) => Err(Error::invalid(format!("{name} is not UTF-8: {}", text.to_string_lossy()))),
    }
}

/// A copy of a C string, which must be there and be UTF-8.
///
/// # Safety
/// As for [`optional_string`].
pub unsafe fn string(text: *const c_char, name: &str) -> Result<String> {
    // SAFETY: the contract is the same.
    unsafe { optional_string(text, name) }?.ok_or_else(|| Error::invalid(format!("{name} is NULL")))
}

/// Where an entry writes a value: checked before the work, written after it.
#[derive(Debug)]
pub struct Out<T>(*mut T);

impl<T> Out<T> {
    /// Checks the pointer. `name` is the parameter's.
    ///
    /// # Safety
    /// `out` is NULL or writable until the answer has been used.
    pub unsafe fn new(out: *mut T, name: &str) -> Result<Out<T>> {
        if out.is_null() {
            return Err(Error::invalid(format!("{name} is NULL")));
        }
        Ok(Out(out))
    }

    /// Writes the value.
    pub fn set(self, value: T) {
        // SAFETY: writable, by the contract of `new`.
        unsafe { self.0.write(value) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ptr::null;

    #[test]
    fn memory_of_no_length_needs_no_address() {
        // SAFETY: NULL is allowed, and the others are live.
        unsafe {
            assert_eq!(bytes(null(), 0, "data").unwrap(), b"");
            assert_eq!(bytes(b"abc".as_ptr().cast(), 3, "data").unwrap(), b"abc");
            let error = bytes(null(), 3, "data").unwrap_err();
            assert!(error.message().contains("data is NULL"), "{error}");
            assert!(bytes(b"abc".as_ptr().cast(), usize::MAX, "data").is_err());
            assert!(array(b"abcdefgh".as_ptr().cast::<u64>(), usize::MAX / 8, "data").is_err());
        }
    }

    #[test]
    fn each_slice_is_checked() {
        let good = mp_slice { data: b"abc".as_ptr().cast(), len: 3 };
        let empty = mp_slice { data: null(), len: 0 };
        let bad = mp_slice { data: null(), len: 1 };
        // SAFETY: the slices are live, or NULL.
        unsafe {
            let read = slices([good, empty].as_ptr(), 2, "items").unwrap();
            assert_eq!(read, [&b"abc"[..], b""]);
            let error = slices([good, bad].as_ptr(), 2, "items").unwrap_err();
            assert!(error.message().contains("items[1].data is NULL"), "{error}");
            assert!(slices(null(), 2, "items").is_err());
        }
    }

    #[test]
    fn strings_are_utf8_or_refused() {
        // SAFETY: NULL or literals that end in NUL.
        unsafe {
            assert_eq!(string(c"grüße".as_ptr(), "name").unwrap(), "grüße");
            assert!(string(null(), "name").unwrap_err().message().contains("name is NULL"));
            assert_eq!(optional_string(null(), "name").unwrap(), None);
            let error = optional_string(c"\xff".as_ptr(), "name").unwrap_err();
            assert!(error.message().contains("not UTF-8"), "{error}");
        }
    }

    #[test]
    fn an_out_pointer_is_checked_first() {
        let mut value = 1;
        // SAFETY: NULL, or a live variable.
        unsafe {
            assert!(Out::<i32>::new(std::ptr::null_mut(), "value").is_err());
            Out::new(&mut value, "value").unwrap().set(2);
        }
        assert_eq!(value, 2);
    }
}
