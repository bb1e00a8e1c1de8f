//! A holder that can be ended while others still have a reference to it.
//!
//! Its process ends it once, whichever of its threads come to it. A forked child has a copy of the holder, counted, and
//! of the word that says whether it was ended. If that names the parent, the fork fell in between, and the child's
//! entry is either still its holder, or free and not yet given back: both the child ends as if nothing had been done.

use super::object::{Holder, Object};
use super::Arena;
use crate::error::Result;
use crate::sys::prim::{AtomicU32, Ordering};
use std::mem::ManuallyDrop;

/// What the word says when the holder has ended.
const ENDED: u32 = u32::MAX;

/// This process's holder of an object, until it is ended or dropped.
#[derive(Debug)]
pub struct Lease<T: Object> {
    holder: ManuallyDrop<Holder<T>>,
    /// Who is just ending it, as an owner word.
    ending: AtomicU32,
}

impl<T: Object> Lease<T> {
    /// Around a holder.
    pub fn new(holder: Holder<T>) -> Lease<T> {
        Lease { holder: ManuallyDrop::new(holder), ending: AtomicU32::new(0) }
    }

    /// The holder. The caller knows that it has not ended where it uses the object.
    pub fn holder(&self) -> &Holder<T> {
        &self.holder
    }

    /// The arena, if this process still has a part in it.
    #[inline]
    pub fn live(&self) -> Result<&'static Arena> {
        self.holder.live()
    }

    /// Ends the holder. Twice is fine.
    pub fn end(&self) {
        let arena = self.holder.arena;
        if arena.lost() {
            return;
        }
        let me = arena.me().bits();
        let mut seen = self.ending.load(Ordering::Acquire);
        loop {
            if seen == ENDED || seen == me {
                return;
            }
            match self.ending.compare_exchange(seen, me, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => break,
                Err(now) => seen = now,
            }
        }
        arena.drop_holder(arena.my_entry(self.holder.entry));
        // Before another may have the entry.
        self.ending.store(ENDED, Ordering::Release);
        arena.return_entry(self.holder.entry);
    }
}

impl<T: Object> Drop for Lease<T> {
    fn drop(&mut self) {
        self.end();
    }
}
