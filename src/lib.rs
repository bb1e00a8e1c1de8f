//! libmp: processes, pools, queues and locks for native programs, in which nobody waits for the dead.
//!
//! The floors, each importing only those below it: `ffi`, `pool`, `process`, `channel`, `shared`, `sync`, `arena`, `sys`.
//! `docs/architecture.md` says what lives where and why.

pub mod arena;
pub mod channel;
pub mod sync;
pub mod sys;

pub mod error;
#[cfg(not(loom))]
pub mod ffi;
#[cfg(not(loom))]
pub mod pool;
#[cfg(not(loom))]
pub mod process;
#[cfg(not(loom))]
pub mod shared;
#[cfg(not(loom))]
mod wiring;
