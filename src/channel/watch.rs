//! Watching a queue: its two sides as those see them who wait for more than this queue.
//!
//! A side that becomes ready is rung by whoever announces the change to those who sleep on it. One that ceases to be
//! ready is rung here, by who took the last message, or put the last one that the bound allows: a descriptor is to be
//! readable no longer. That is decided under the end's turn by where it saw the other end last, which is never ahead:
//! so no change is missed, and the line that others write is left alone. A ring too many does no harm.

use super::cell::QueueCell;
use super::queue::Queue;
use crate::arena::bridge::Watched;
use crate::arena::multi::Waitable;
use crate::arena::Arena;
use crate::error::Result;
use crate::sys::prim::Ordering;
use std::os::fd::RawFd;

/// A get may succeed, or fail for good.
struct Messages(&'static QueueCell);

impl Watched for Messages {
    fn enter(&self, arena: &Arena) {
        self.0.events.message.watchers.enter(arena);
    }

    fn is_ready(&self) -> bool {
        self.0.is_readable()
    }
}

/// A put may succeed, or fail for good.
struct Room(&'static QueueCell);

impl Watched for Room {
    fn enter(&self, arena: &Arena) {
        self.0.events.room.watchers.enter(arena);
    }

    fn is_ready(&self) -> bool {
        self.0.is_writable()
    }
}

impl QueueCell {
    /// Whether the get just made may have taken the last message. The caller has the head's turn.
    #[inline]
    pub(super) fn may_be_drained(&self) -> bool {
        self.head.position() == self.head.seen()
    }

    /// Whether the put just made may have reached the bound. The caller has the tail's turn.
    #[inline]
    pub(super) fn may_be_filled(&self) -> bool {
        let length = self.tail.position().ordinal().wrapping_sub(self.tail.seen().ordinal());
        length >= self.bound.load(Ordering::Relaxed)
    }
}

impl Queue {
    /// To be waited for among others: that a get may succeed, or fail for good.
    pub fn waitable(&self) -> Result<Waitable> {
        Ok(Waitable::object(self.cell.live()?, Messages(self.cell.body())))
    }

    /// A descriptor of this process that is readable while a get may succeed, or fail for good. It lives as long as
    /// this.
    pub fn messages_descriptor(&self) -> Result<RawFd> {
        self.messages.get(self.cell.live()?, || Box::new(Messages(self.cell.body())))
    }

    /// A descriptor of this process that is readable while a put may succeed, or fail for good. It lives as long as
    /// this.
    pub fn room_descriptor(&self) -> Result<RawFd> {
        self.room.get(self.cell.live()?, || Box::new(Room(self.cell.body())))
    }
}
