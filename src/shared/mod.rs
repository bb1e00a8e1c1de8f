//! Shared state: values, arrays, and shared memory under a name.

mod array;
mod guard;
mod memory;
#[cfg(test)]
mod model;
mod named;
mod value;

pub use self::array::{Array, ArrayOptions};
pub use self::guard::LockKind;
pub use self::named::SharedMemory;
pub use self::value::Value;
pub(crate) use self::{
    array::destroy as destroy_array, named::destroy as destroy_memory, value::destroy as destroy_value,
};
