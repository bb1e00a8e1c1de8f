//! Structs that grow: they begin with their size, so that programs and libraries of different ages understand
//! each other, by the rules of Linux' openat2.

use crate::error::{Error, Result};

/// No struct of libmp is ever this large: a greater size was never set.
const LARGEST: usize = 4096;

/// A struct that a C program hands in or has filled, which begins with `size: usize`.
///
/// # Safety
/// The type is `repr(C)`, its first field is `size: usize`, and every bit pattern is a value of it: no `bool`
/// (use [`mp_bool`](super::types::mp_bool)), no enum, no reference, function pointers only as `Option`.
pub unsafe trait CStruct: Copy {
    /// The C name.
    const NAME: &'static str;
}

/// Options, which have defaults.
pub trait Options: CStruct {
    /// What NULL means, and what `mp_X_options_init` writes. The `size` in it is not used.
    fn defaults() -> Self;
}

/// What the caller's options say: the defaults for NULL. Fields that an older program does not know are zero;
/// those of a newer program, unknown here, must be zero.
///
/// # Safety
/// `options` is NULL or points to at least a `size_t` and, if that is not absurd, to that many bytes.
pub unsafe fn read<T: Options>(options: *const T) -> Result<T> {
    if options.is_null() {
        return Ok(T::defaults());
    }
    // SAFETY: not NULL, so it has a size.
    let size = unsafe { size_of_caller::<T>(options.cast()) }?;
    let known = size.min(size_of::<T>());
    // SAFETY: the caller's struct is `size` bytes long.
    let tail = unsafe { std::slice::from_raw_parts(options.cast::<u8>().add(known), size - known) };
    if let Some(at) = tail.iter().position(|&byte| byte != 0) {
        let (name, at) = (T::NAME, known + at);
        let text = format!("{name} has a field at byte {at} set that this version of libmp does not know");
        return Err(Error::invalid(text));
    }
    let mut value = std::mem::MaybeUninit::<T>::zeroed();
    // SAFETY: both are at least `known` bytes long; every bit pattern is a T.
    unsafe {
        value.as_mut_ptr().cast::<u8>().copy_from_nonoverlapping(options.cast(), known);
        Ok(value.assume_init())
    }
}

/// The body of `mp_X_options_defaults`: writes the defaults into a struct of `size` bytes, no further.
///
/// # Safety
/// `options` is NULL or points to `size` writable bytes.
pub unsafe fn write_defaults<T: Options>(options: *mut T, size: usize) -> Result<()> {
    if options.is_null() {
        return Err(Error::invalid("options is NULL"));
    }
    check_size::<T>(size)?;
    // SAFETY: the caller's struct is `size` bytes long.
    unsafe { write(options, size, &T::defaults()) };
    Ok(())
}

/// Fills a struct whose `size` the caller has set, no further than that, and leaves `size` as it was.
///
/// # Safety
/// `out` is NULL or points to at least a `size_t` and, if that is not absurd, to that many writable bytes.
pub unsafe fn fill<T: CStruct>(out: *mut T, name: &str, value: &T) -> Result<()> {
    if out.is_null() {
        return Err(Error::invalid(format!("{name} is NULL")));
    }
    // SAFETY: not NULL, so it has a size; the caller's struct is that long.
    unsafe {
        let size = size_of_caller::<T>(out.cast())?;
        write(out, size, value);
    }
    Ok(())
}

/// Copies as much of the value as the caller's struct has room for, zeroes its rest, and sets its size.
///
/// # Safety
/// `out` points to `size` writable bytes, at least a `size_t`.
unsafe fn write<T: CStruct>(out: *mut T, size: usize, value: &T) {
    let known = size.min(size_of::<T>());
    // SAFETY: `out` has `size` bytes, `value` at least `known`; both begin with their size.
    unsafe {
        out.cast::<u8>().copy_from_nonoverlapping(std::ptr::from_ref(value).cast(), known);
        out.cast::<u8>().add(known).write_bytes(0, size - known);
        out.cast::<usize>().write_unaligned(size);
    }
}

/// The size that the caller set.
///
/// # Safety
/// `from` points to a `size_t`.
unsafe fn size_of_caller<T: CStruct>(from: *const usize) -> Result<usize> {
    // SAFETY: by the contract.
    let size = unsafe { from.read_unaligned() };
    check_size::<T>(size)?;
    Ok(size)
}

fn check_size<T: CStruct>(size: usize) -> Result<()> {
    if (size_of::<usize>()..=LARGEST).contains(&size) {
        return Ok(());
    }
    Err(Error::invalid(format!("{}: its size is {size}; set it, or call the struct's _init", T::NAME)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Status;

    #[repr(C)]
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Example {
        size: usize,
        a: u64,
        b: i32,
        c: i32,
    }

    // SAFETY: repr(C), begins with its size, integers only.
    unsafe impl CStruct for Example {
        const NAME: &'static str = "mp_example_options";
    }
    impl Options for Example {
        fn defaults() -> Example {
            Example { size: 0, a: 1, b: -2, c: 3 }
        }
    }

    /// The struct of a program that is `extra` words newer.
    fn newer(last: u64) -> [u64; 5] {
        [40, 7, 8, 0, last]
    }

    fn refused(result: Result<Example>, part: &str) {
        let error = result.unwrap_err();
        assert_eq!(error.status(), Status::Invalid);
        assert!(error.message().contains(part), "{error}");
    }

    #[test]
    fn null_means_defaults() {
        // SAFETY: NULL is allowed.
        assert_eq!(unsafe { read::<Example>(std::ptr::null()) }.unwrap(), Example::defaults());
    }

    #[test]
    fn the_exact_size_is_read_whole() {
        let given = Example { size: 24, a: 7, b: 8, c: 9 };
        // SAFETY: a live struct with its true size.
        assert_eq!(unsafe { read(&given) }.unwrap(), given);
    }

    #[test]
    fn a_shorter_struct_is_extended_with_zeroes() {
        let given = [16u64, 7, u64::MAX];
        // SAFETY: 16 bytes are there.
        let value = unsafe { read::<Example>(given.as_ptr().cast()) }.unwrap();
        assert_eq!((value.a, value.b, value.c), (7, 0, 0));
    }

    #[test]
    fn a_longer_struct_must_have_a_tail_of_zeroes() {
        // SAFETY: 40 bytes are there.
        let read = |given: [u64; 5]| unsafe { read::<Example>(given.as_ptr().cast()) };
        assert_eq!(read(newer(0)).unwrap().a, 7);
        refused(read(newer(1 << 40)), "mp_example_options has a field at byte 37");
    }

    #[test]
    fn absurd_sizes_are_refused() {
        for size in [0, 7, 4097, usize::MAX] {
            let mut given = Example { size, a: 7, b: 8, c: 9 };
            // SAFETY: a live struct; of an absurd one only the size is read.
            unsafe {
                refused(read(&given), "size is");
                assert!(write_defaults(&mut given, size).is_err());
                assert!(fill(&mut given, "info", &Example::defaults()).is_err());
            }
            assert_eq!(given, Example { size, a: 7, b: 8, c: 9 });
        }
    }

    #[test]
    fn defaults_never_overrun_and_leave_no_garbage() {
        let mut given = [u64::MAX; 6];
        // SAFETY: at least as many bytes are there as each call says.
        unsafe {
            let out = given.as_mut_ptr().cast::<Example>();
            write_defaults(out, 16).unwrap();
            assert_eq!(given[..3], [16, 1, u64::MAX]);
            write_defaults(out, 40).unwrap();
            assert_eq!((given[0], given[1], given[3], given[4], given[5]), (40, 1, 0, 0, u64::MAX));
            assert_eq!(read(out).unwrap(), Example { size: 40, ..Example::defaults() });
            assert!(write_defaults::<Example>(std::ptr::null_mut(), 24).is_err());
        }
    }

    #[test]
    fn filling_respects_the_callers_size() {
        let mut given = [16, 0, 5u64];
        let value = Example { size: 24, a: 9, b: 9, c: 9 };
        // SAFETY: 16 bytes are there; NULL is allowed.
        unsafe {
            fill(given.as_mut_ptr().cast(), "info", &value).unwrap();
            assert_eq!(given, [16, 9, 5]);
            assert!(fill(std::ptr::null_mut(), "info", &value).is_err());
        }
    }
}
