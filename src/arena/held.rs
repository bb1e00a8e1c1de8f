//! The held table: what a process holds, in the arena, where others find it when the process has died.
//!
//! An entry's `kind` is its commit: the other words are written before it. Entries of a living process are
//! written by that process alone (by its parent while the slot is PENDING); those of a dead one by its settler.

use super::layout::shared;
use crate::sys::prim::{AtomicU32, AtomicU64, Ordering};

/// What an entry says.
pub mod kind {
    /// Nothing.
    pub const FREE: u32 = 0;
    /// A holder of the object at `a`.
    pub const HANDLE: u32 = 1;
    /// A holder of the block `a`, which a forked child shares.
    pub const BLOCK: u32 = 2;
    /// The last holder of the object at `a` has gone; it is to be taken apart.
    pub const DESTROY: u32 = 3;
    /// A holder of the block `a`, which a forked child does not share.
    pub const PRIVATE: u32 = 4;
    /// A new object at `a`, not yet complete: nothing is to be taken apart.
    pub const NEWBORN: u32 = 5;
    /// From here on kinds belong to the floors above, see `crate::wiring`.
    pub const FIRST_OF_FLOORS: u32 = 8;
    /// The block `a` is being put into the channel whose words are at `b`, at position `c`.
    pub const QUEUE_PUT: u32 = 8;
    /// The block `a` is being taken from the channel whose words are at `b`, at position `c`.
    pub const QUEUE_TAKE: u32 = 9;
    /// The block `a` is to become a part of a channel, named by the word at `b`, in place of the block `c`.
    pub const QUEUE_RING: u32 = 10;
    /// The block `a` is to become the result of the task item at `b`.
    pub const POOL_RESULT: u32 = 11;
    /// The job `a` is being entered in a pool's table, or taken out: the table's word is at `c`.
    pub const POOL_JOB: u32 = 12;
    /// The block `a` is to become a part of an object, named by the word at `c`.
    pub const OBJECT_PART: u32 = 13;
    /// This process has a permit of the robust semaphore `a`, of which another of its entries is a holder.
    pub const PERMIT: u32 = 14;
    /// The object `a`, of which this is a holder, is being entered in the directory of names, or taken out: the
    /// directory's word is at `c`.
    pub const NAME: u32 = 15;
    /// The object `a`, of which this is a holder, is being linked to another object: that object's word is at `c`.
    pub const LINK: u32 = 16;
}

/// An entry of a held table.
#[repr(C)]
#[derive(Debug)]
pub struct Entry {
    pub(crate) kind: AtomicU32,
    pub(crate) aux: AtomicU32,
    pub(crate) a: AtomicU64,
    pub(crate) b: AtomicU64,
    pub(crate) c: AtomicU64,
}

shared!(Entry);

impl Entry {
    /// The kind, and with it the words that were written before it.
    pub fn kind(&self) -> u32 {
        self.kind.load(Ordering::Acquire)
    }

    /// The words.
    pub fn words(&self) -> (u64, u64, u64) {
        (self.a.load(Ordering::Relaxed), self.b.load(Ordering::Relaxed), self.c.load(Ordering::Relaxed))
    }

    /// Makes an entry that keeps its `a` say more of it: the words first, then the kind. A process that dies in
    /// between leaves the old kind, to which `b` and `c` mean nothing.
    pub fn turn(&self, kind: u32, b: u64, c: u64) {
        self.b.store(b, Ordering::Relaxed);
        self.c.store(c, Ordering::Relaxed);
        self.kind.store(kind, Ordering::Release);
    }

    /// Changes the kind alone.
    pub fn become_kind(&self, kind: u32) {
        self.kind.store(kind, Ordering::Release);
    }
}
