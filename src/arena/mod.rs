//! The arena: memory that a family of processes shares, and who they are.
//!
//! One sparse memfd holds every shared object of a program and its children; `layout.rs` has its map. Nothing in
//! it is a pointer. Bytes are reached through atomics and raw pointers, and what is read is checked before it
//! becomes an offset, a length or a kind.

pub mod word;

#[cfg(not(loom))]
mod backing;
#[cfg(not(loom))]
mod block;
#[cfg(not(loom))]
pub mod bridge;
#[cfg(not(loom))]
mod buffer;
#[cfg(not(loom))]
mod census;
#[cfg(not(loom))]
mod death;
#[cfg(not(loom))]
pub mod doorbell;
pub mod event;
#[cfg(not(loom))]
mod family;
#[cfg(not(loom))]
pub mod held;
#[cfg(not(loom))]
mod journal;
#[cfg(not(loom))]
pub(crate) mod layout;
#[cfg(not(loom))]
mod lease;
#[cfg(not(loom))]
mod link;
#[cfg(not(loom))]
mod map;
#[cfg(not(loom))]
pub mod multi;
#[cfg(not(loom))]
mod named;
#[cfg(not(loom))]
mod names;
#[cfg(not(loom))]
mod object;
#[cfg(not(loom))]
pub mod outcome;
#[cfg(not(loom))]
mod park;
#[cfg(not(loom))]
mod participant;
#[cfg(not(loom))]
pub mod permit;
#[cfg_attr(loom, allow(dead_code))]
mod refs;
#[cfg(not(loom))]
mod runs;
#[cfg(not(loom))]
mod sector;
#[cfg(not(loom))]
mod settle;
#[cfg(not(loom))]
mod slab;
#[cfg(not(loom))]
mod slot;
#[cfg(not(loom))]
mod spin;
#[cfg(not(loom))]
mod token;
#[cfg(not(loom))]
mod trim;
#[cfg(not(loom))]
pub mod wait;
pub mod watchers;
pub mod watchman;

/// Up to this length bytes are copied rather than handed over.
pub const SMALL: usize = 1024;

pub use self::refs::BlockRef;
#[cfg(not(loom))]
pub use self::{
    block::{Block, EntryIndex},
    buffer::Buffer,
    census::Census,
    death::Obituary,
    family::Relative,
    held::Entry,
    lease::Lease,
    map::{Arena, Usage},
    named::{each_arena, OpenOptions},
    object::{Holder, Near, Object, ObjectHead, ObjectKind},
    participant::{forked_child, PLACES},
    slot::Owner,
    token::Token,
};

#[cfg(not(loom))]
pub(crate) use self::object::object;

#[cfg(not(loom))]
pub(crate) use self::map::{existing, Tables, CREATE};
