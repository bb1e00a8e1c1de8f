//! Atomic operations on values. All are alike but for their types, and each is written out, since cbindgen does not
//! see what macros make: [`word`] checks, the entries name the operation.

use super::guard::guard_quick;
use super::handle;
use super::status::mp_status;
use super::types::Out;
use super::value::mp_value;
use crate::error::{Error, Result};
use crate::shared::Value;
use crate::sys::prim::Ordering::SeqCst;

/// The value behind a handle, as the core gives it: an atomic integer of its size.
///
/// # Safety
/// Nobody frees the handle while the answer is in use.
#[inline]
unsafe fn word<'a, T>(value: *const mp_value, of: fn(&'a Value) -> Result<&'a T>) -> Result<&'a T> {
    // SAFETY: by the contract.
    of(unsafe { handle::get(value, "value") }?)
}

/// Gives the caller what the value was before, if it wants to know.
///
/// # Safety
/// `previous` is NULL or writable.
#[inline]
unsafe fn tell<T>(previous: *mut T, was: T) {
    if !previous.is_null() {
        // SAFETY: not NULL, so writable by the contract.
        unsafe { previous.write(was) }
    }
}

/// What the caller expects.
///
/// # Safety
/// `expected` is NULL or readable.
unsafe fn read<T: Copy>(expected: *const T) -> Result<T> {
    if expected.is_null() {
        return Err(Error::invalid("expected is NULL"));
    }
    // SAFETY: not NULL, so readable by the contract.
    Ok(unsafe { expected.read() })
}

/// Tells the caller what came of a comparison.
///
/// # Safety
/// `expected` is writable.
unsafe fn conclude<T>(result: std::result::Result<T, T>, expected: *mut T, exchanged: Out<bool>) {
    exchanged.set(result.is_ok());
    if let Err(found) = result {
        // SAFETY: by the contract.
        unsafe { expected.write(found) }
    }
}

/// Reads the value into `*out`.
///
/// All `mp_value_..._i64`, `_u64`, `_i32` and `_u32` are sequentially consistent atomic operations, also between
/// processes: each happens at once and whole, whoever dies. They leave the value's lock alone, and mix with plain
/// access through a pointer only as C's memory model allows: plain reading or writing beside an atomic write is a
/// race unless something else, such as a lock, keeps them apart.
///
/// *Returns* `MP_OK`; `MP_ERR_INVALID` for a bad handle, a NULL where a result goes, or a value of another size
/// than the type; `MP_ERR_STATE` as for `mp_lock_new`. *Threads*: thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_value_load_i64(value: *const mp_value, out: *mut i64) -> mp_status {
    // SAFETY: nobody frees the handle meanwhile, and `out` is NULL or writable, as the header asks.
    guard_quick(|| unsafe {
        let (word, out) = (word(value, Value::word64)?, Out::new(out, "out")?);
        out.set(word.load(SeqCst) as i64);
        Ok(())
    })
}

/// Makes the value `n`.
///
/// *Returns* and *Threads* as `mp_value_load_i64`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_value_store_i64(value: *mut mp_value, n: i64) -> mp_status {
    // SAFETY: nobody frees the handle meanwhile, as the header asks.
    guard_quick(|| unsafe { word(value, Value::word64) }.map(|word| word.store(n as u64, SeqCst)))
}

/// Makes the value `n`. What it was before goes to `*previous`, unless that is NULL.
///
/// *Returns* and *Threads* as `mp_value_load_i64`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_value_exchange_i64(
    value: *mut mp_value,
    n: i64,
    previous: *mut i64,
) -> mp_status {
    // SAFETY: nobody frees the handle meanwhile, and `previous` is NULL or writable, as the header asks.
    guard_quick(|| unsafe {
        word(value, Value::word64).map(|word| tell(previous, word.swap(n as u64, SeqCst) as i64))
    })
}

/// Adds `n` to the value; what is beyond the type wraps around. What it was before goes to `*previous`,
/// unless that is NULL.
///
/// *Returns* and *Threads* as `mp_value_load_i64`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_value_fetch_add_i64(
    value: *mut mp_value,
    n: i64,
    previous: *mut i64,
) -> mp_status {
    // SAFETY: nobody frees the handle meanwhile, and `previous` is NULL or writable, as the header asks.
    guard_quick(|| unsafe {
        word(value, Value::word64).map(|word| tell(previous, word.fetch_add(n as u64, SeqCst) as i64))
    })
}

/// Subtracts `n` from the value; what is beyond the type wraps around. What it was before goes to
/// `*previous`, unless that is NULL.
///
/// *Returns* and *Threads* as `mp_value_load_i64`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_value_fetch_sub_i64(
    value: *mut mp_value,
    n: i64,
    previous: *mut i64,
) -> mp_status {
    // SAFETY: nobody frees the handle meanwhile, and `previous` is NULL or writable, as the header asks.
    guard_quick(|| unsafe {
        word(value, Value::word64).map(|word| tell(previous, word.fetch_sub(n as u64, SeqCst) as i64))
    })
}

/// Keeps only the bits of the value that `n` has too. What it was before goes to `*previous`, unless that is
/// NULL.
///
/// *Returns* and *Threads* as `mp_value_load_i64`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_value_fetch_and_i64(
    value: *mut mp_value,
    n: i64,
    previous: *mut i64,
) -> mp_status {
    // SAFETY: nobody frees the handle meanwhile, and `previous` is NULL or writable, as the header asks.
    guard_quick(|| unsafe {
        word(value, Value::word64).map(|word| tell(previous, word.fetch_and(n as u64, SeqCst) as i64))
    })
}

/// Adds the bits that `n` has. What it was before goes to `*previous`, unless that is NULL.
///
/// *Returns* and *Threads* as `mp_value_load_i64`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_value_fetch_or_i64(
    value: *mut mp_value,
    n: i64,
    previous: *mut i64,
) -> mp_status {
    // SAFETY: nobody frees the handle meanwhile, and `previous` is NULL or writable, as the header asks.
    guard_quick(|| unsafe {
        word(value, Value::word64).map(|word| tell(previous, word.fetch_or(n as u64, SeqCst) as i64))
    })
}

/// Makes the value `desired` if it is `*expected`, and `*exchanged` says whether; if it is not, what it is
/// goes to `*expected`.
///
/// *Returns* and *Threads* as `mp_value_load_i64`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_value_compare_exchange_i64(
    value: *mut mp_value,
    expected: *mut i64,
    desired: i64,
    exchanged: *mut bool,
) -> mp_status {
    // SAFETY: nobody frees the handle meanwhile, and the others are NULL or writable, as the header asks.
    guard_quick(|| unsafe {
        let (word, exchanged) = (word(value, Value::word64)?, Out::new(exchanged, "exchanged")?);
        let wanted = read(expected)?;
        let result = word.compare_exchange(wanted as u64, desired as u64, SeqCst, SeqCst);
        conclude(result.map(|was| was as i64).map_err(|was| was as i64), expected, exchanged);
        Ok(())
    })
}

/// As `mp_value_load_i64`, for `uint64_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_value_load_u64(value: *const mp_value, out: *mut u64) -> mp_status {
    // SAFETY: nobody frees the handle meanwhile, and `out` is NULL or writable, as the header asks.
    guard_quick(|| unsafe {
        let (word, out) = (word(value, Value::word64)?, Out::new(out, "out")?);
        out.set(word.load(SeqCst));
        Ok(())
    })
}

/// As `mp_value_store_i64`, for `uint64_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_value_store_u64(value: *mut mp_value, n: u64) -> mp_status {
    // SAFETY: nobody frees the handle meanwhile, as the header asks.
    guard_quick(|| unsafe { word(value, Value::word64) }.map(|word| word.store(n, SeqCst)))
}

/// As `mp_value_exchange_i64`, for `uint64_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_value_exchange_u64(
    value: *mut mp_value,
    n: u64,
    previous: *mut u64,
) -> mp_status {
    // SAFETY: nobody frees the handle meanwhile, and `previous` is NULL or writable, as the header asks.
    guard_quick(|| unsafe { word(value, Value::word64).map(|word| tell(previous, word.swap(n, SeqCst))) })
}

/// As `mp_value_fetch_add_i64`, for `uint64_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_value_fetch_add_u64(
    value: *mut mp_value,
    n: u64,
    previous: *mut u64,
) -> mp_status {
    // SAFETY: nobody frees the handle meanwhile, and `previous` is NULL or writable, as the header asks.
    guard_quick(|| unsafe {
        word(value, Value::word64).map(|word| tell(previous, word.fetch_add(n, SeqCst)))
    })
}

/// As `mp_value_fetch_sub_i64`, for `uint64_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_value_fetch_sub_u64(
    value: *mut mp_value,
    n: u64,
    previous: *mut u64,
) -> mp_status {
    // SAFETY: nobody frees the handle meanwhile, and `previous` is NULL or writable, as the header asks.
    guard_quick(|| unsafe {
        word(value, Value::word64).map(|word| tell(previous, word.fetch_sub(n, SeqCst)))
    })
}

/// As `mp_value_fetch_and_i64`, for `uint64_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_value_fetch_and_u64(
    value: *mut mp_value,
    n: u64,
    previous: *mut u64,
) -> mp_status {
    // SAFETY: nobody frees the handle meanwhile, and `previous` is NULL or writable, as the header asks.
    guard_quick(|| unsafe {
        word(value, Value::word64).map(|word| tell(previous, word.fetch_and(n, SeqCst)))
    })
}

/// As `mp_value_fetch_or_i64`, for `uint64_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_value_fetch_or_u64(
    value: *mut mp_value,
    n: u64,
    previous: *mut u64,
) -> mp_status {
    // SAFETY: nobody frees the handle meanwhile, and `previous` is NULL or writable, as the header asks.
    guard_quick(|| unsafe { word(value, Value::word64).map(|word| tell(previous, word.fetch_or(n, SeqCst))) })
}

/// As `mp_value_compare_exchange_i64`, for `uint64_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_value_compare_exchange_u64(
    value: *mut mp_value,
    expected: *mut u64,
    desired: u64,
    exchanged: *mut bool,
) -> mp_status {
    // SAFETY: nobody frees the handle meanwhile, and the others are NULL or writable, as the header asks.
    guard_quick(|| unsafe {
        let (word, exchanged) = (word(value, Value::word64)?, Out::new(exchanged, "exchanged")?);
        let wanted = read(expected)?;
        let result = word.compare_exchange(wanted, desired, SeqCst, SeqCst);
        conclude(result, expected, exchanged);
        Ok(())
    })
}

/// As `mp_value_load_i64`, for `int32_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_value_load_i32(value: *const mp_value, out: *mut i32) -> mp_status {
    // SAFETY: nobody frees the handle meanwhile, and `out` is NULL or writable, as the header asks.
    guard_quick(|| unsafe {
        let (word, out) = (word(value, Value::word32)?, Out::new(out, "out")?);
        out.set(word.load(SeqCst) as i32);
        Ok(())
    })
}

/// As `mp_value_store_i64`, for `int32_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_value_store_i32(value: *mut mp_value, n: i32) -> mp_status {
    // SAFETY: nobody frees the handle meanwhile, as the header asks.
    guard_quick(|| unsafe { word(value, Value::word32) }.map(|word| word.store(n as u32, SeqCst)))
}

/// As `mp_value_exchange_i64`, for `int32_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_value_exchange_i32(
    value: *mut mp_value,
    n: i32,
    previous: *mut i32,
) -> mp_status {
    // SAFETY: nobody frees the handle meanwhile, and `previous` is NULL or writable, as the header asks.
    guard_quick(|| unsafe {
        word(value, Value::word32).map(|word| tell(previous, word.swap(n as u32, SeqCst) as i32))
    })
}

/// As `mp_value_fetch_add_i64`, for `int32_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_value_fetch_add_i32(
    value: *mut mp_value,
    n: i32,
    previous: *mut i32,
) -> mp_status {
    // SAFETY: nobody frees the handle meanwhile, and `previous` is NULL or writable, as the header asks.
    guard_quick(|| unsafe {
        word(value, Value::word32).map(|word| tell(previous, word.fetch_add(n as u32, SeqCst) as i32))
    })
}

/// As `mp_value_fetch_sub_i64`, for `int32_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_value_fetch_sub_i32(
    value: *mut mp_value,
    n: i32,
    previous: *mut i32,
) -> mp_status {
    // SAFETY: nobody frees the handle meanwhile, and `previous` is NULL or writable, as the header asks.
    guard_quick(|| unsafe {
        word(value, Value::word32).map(|word| tell(previous, word.fetch_sub(n as u32, SeqCst) as i32))
    })
}

/// As `mp_value_fetch_and_i64`, for `int32_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_value_fetch_and_i32(
    value: *mut mp_value,
    n: i32,
    previous: *mut i32,
) -> mp_status {
    // SAFETY: nobody frees the handle meanwhile, and `previous` is NULL or writable, as the header asks.
    guard_quick(|| unsafe {
        word(value, Value::word32).map(|word| tell(previous, word.fetch_and(n as u32, SeqCst) as i32))
    })
}

/// As `mp_value_fetch_or_i64`, for `int32_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_value_fetch_or_i32(
    value: *mut mp_value,
    n: i32,
    previous: *mut i32,
) -> mp_status {
    // SAFETY: nobody frees the handle meanwhile, and `previous` is NULL or writable, as the header asks.
    guard_quick(|| unsafe {
        word(value, Value::word32).map(|word| tell(previous, word.fetch_or(n as u32, SeqCst) as i32))
    })
}

/// As `mp_value_compare_exchange_i64`, for `int32_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_value_compare_exchange_i32(
    value: *mut mp_value,
    expected: *mut i32,
    desired: i32,
    exchanged: *mut bool,
) -> mp_status {
    // SAFETY: nobody frees the handle meanwhile, and the others are NULL or writable, as the header asks.
    guard_quick(|| unsafe {
        let (word, exchanged) = (word(value, Value::word32)?, Out::new(exchanged, "exchanged")?);
        let wanted = read(expected)?;
        let result = word.compare_exchange(wanted as u32, desired as u32, SeqCst, SeqCst);
        conclude(result.map(|was| was as i32).map_err(|was| was as i32), expected, exchanged);
        Ok(())
    })
}

/// As `mp_value_load_i64`, for `uint32_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_value_load_u32(value: *const mp_value, out: *mut u32) -> mp_status {
    // SAFETY: nobody frees the handle meanwhile, and `out` is NULL or writable, as the header asks.
    guard_quick(|| unsafe {
        let (word, out) = (word(value, Value::word32)?, Out::new(out, "out")?);
        out.set(word.load(SeqCst));
        Ok(())
    })
}

/// As `mp_value_store_i64`, for `uint32_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_value_store_u32(value: *mut mp_value, n: u32) -> mp_status {
    // SAFETY: nobody frees the handle meanwhile, as the header asks.
    guard_quick(|| unsafe { word(value, Value::word32) }.map(|word| word.store(n, SeqCst)))
}

/// As `mp_value_exchange_i64`, for `uint32_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_value_exchange_u32(
    value: *mut mp_value,
    n: u32,
    previous: *mut u32,
) -> mp_status {
    // SAFETY: nobody frees the handle meanwhile, and `previous` is NULL or writable, as the header asks.
    guard_quick(|| unsafe { word(value, Value::word32).map(|word| tell(previous, word.swap(n, SeqCst))) })
}

/// As `mp_value_fetch_add_i64`, for `uint32_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_value_fetch_add_u32(
    value: *mut mp_value,
    n: u32,
    previous: *mut u32,
) -> mp_status {
    // SAFETY: nobody frees the handle meanwhile, and `previous` is NULL or writable, as the header asks.
    guard_quick(|| unsafe {
        word(value, Value::word32).map(|word| tell(previous, word.fetch_add(n, SeqCst)))
    })
}

/// As `mp_value_fetch_sub_i64`, for `uint32_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_value_fetch_sub_u32(
    value: *mut mp_value,
    n: u32,
    previous: *mut u32,
) -> mp_status {
    // SAFETY: nobody frees the handle meanwhile, and `previous` is NULL or writable, as the header asks.
    guard_quick(|| unsafe {
        word(value, Value::word32).map(|word| tell(previous, word.fetch_sub(n, SeqCst)))
    })
}

/// As `mp_value_fetch_and_i64`, for `uint32_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_value_fetch_and_u32(
    value: *mut mp_value,
    n: u32,
    previous: *mut u32,
) -> mp_status {
    // SAFETY: nobody frees the handle meanwhile, and `previous` is NULL or writable, as the header asks.
    guard_quick(|| unsafe {
        word(value, Value::word32).map(|word| tell(previous, word.fetch_and(n, SeqCst)))
    })
}

/// As `mp_value_fetch_or_i64`, for `uint32_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_value_fetch_or_u32(
    value: *mut mp_value,
    n: u32,
    previous: *mut u32,
) -> mp_status {
    // SAFETY: nobody frees the handle meanwhile, and `previous` is NULL or writable, as the header asks.
    guard_quick(|| unsafe { word(value, Value::word32).map(|word| tell(previous, word.fetch_or(n, SeqCst))) })
}

/// As `mp_value_compare_exchange_i64`, for `uint32_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mp_value_compare_exchange_u32(
    value: *mut mp_value,
    expected: *mut u32,
    desired: u32,
    exchanged: *mut bool,
) -> mp_status {
    // SAFETY: nobody frees the handle meanwhile, and the others are NULL or writable, as the header asks.
    guard_quick(|| unsafe {
        let (word, exchanged) = (word(value, Value::word32)?, Out::new(exchanged, "exchanged")?);
        let wanted = read(expected)?;
        let result = word.compare_exchange(wanted, desired, SeqCst, SeqCst);
        conclude(result, expected, exchanged);
        Ok(())
    })
}
