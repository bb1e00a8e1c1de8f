//! The C boundary: one file per kind of handle. It checks arguments, converts errors, stops panics and calls
//! one method of the core; it contains no logic. `include/mp.h` is generated from these files by
//! `tests/header.rs`, so their doc comments are written for C programmers.

#![allow(non_camel_case_types)]
// The entries are documented for C programmers: what the pointers must be stands in the words of C.
#![allow(clippy::missing_safety_doc)]

pub mod guard;
pub mod handle;
pub mod options;
mod region;

pub mod arena;
pub mod array;
pub mod atomic;
pub mod barrier;
pub mod buffer;
pub mod call;
pub mod cancel;
pub mod condition;
pub mod connection;
pub mod current;
pub mod event;
pub mod forkserver;
pub mod lock;
pub mod many;
pub mod memory;
pub mod named;
pub mod outcome;
pub mod pool;
pub mod process;
pub mod process_options;
pub mod queue;
pub mod result;
pub mod rlock;
pub mod runtime;
pub mod semaphore;
pub mod status;
pub mod token;
pub mod types;
pub mod value;
pub mod wait;
