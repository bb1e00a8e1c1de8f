//! Watching a queue: its two sides as those see them who wait for more than this queue.
//!
//! A side that becomes ready is rung by whoever announces the change to those who sleep on it. One that ceases to be
//! ready is rung here, by who took the last message, or put the last one that the bound allows: a descriptor is to be
//! readable no longer. That is decided under the end's turn by where it saw the other end last, which is never ahead:
//! so no change is missed, and the line that others write is left alone. A ring too many does no harm.

use super::get::is_readable;
use super::queue::Queue;
use super::room::is_writable;
use super::words::{rule, Words};
use crate::arena::bridge::Watched;
use crate::arena::multi::Waitable;
use crate::arena::Arena;
use crate::error::Result;
use crate::sys::prim::Ordering;
use std::os::fd::RawFd;

/// A get may succeed, or fail for good.
pub(super) struct Messages(pub(super) &'static Arena, pub(super) &'static Words);

impl Watched for Messages {
    fn enter(&self, arena: &Arena) {
        self.1.events.message.watchers.enter(arena);
    }

    fn is_ready(&self) -> bool {
        is_readable(self.0, self.1)
    }
}

/// A put may succeed, or fail for good.
struct Room(&'static Arena, &'static Words);

impl Watched for Room {
    fn enter(&self, arena: &Arena) {
        self.1.events.room.watchers.enter(arena);
    }

    fn is_ready(&self) -> bool {
        is_writable(self.0, self.1, 1)
    }
}

impl Words {
    /// Whether the get just made may have taken the last message. The caller has the head's turn.
    #[inline(always)]
    pub(super) fn may_be_drained(&self) -> bool {
        self.head.position() == self.head.seen() || self.is(rule::STORE)
    }

    /// Whether the put just made may have reached the bound. The caller has the turn of those who put.
    #[inline(always)]
    pub(super) fn may_be_filled(&self) -> bool {
        let more = self.is(rule::STORE | rule::BYTES) || self.reservations.load(Ordering::Relaxed) != 0;
        let length = self.tail.position().ordinal().wrapping_sub(self.tail.seen().ordinal());
        self.is(rule::BOUNDED) && (more || length >= self.bound.load(Ordering::Relaxed))
    }

    /// A put has been made, of so many, and the turn given back; whether the bound may have been reached.
    #[inline(always)]
    pub(super) fn announce_put(&self, arena: &Arena, n: u32, filled: bool) {
        self.events.message.announce(arena, n);
        if filled {
            self.events.room.watchers.ring_after_exchange(arena);
        }
    }

    /// A get has been made, of so many, and the turn given back; whether the last message may have gone.
    #[inline(always)]
    pub(super) fn announce_get(&self, arena: &Arena, n: u32, drained: bool) {
        if self.is(rule::BOUNDED) {
            // Who waits first may need more bytes than there are, and another one not.
            let n = if self.is(rule::BYTES) { u32::MAX } else { n };
            self.events.room.announce(arena, n);
        }
        if drained {
            self.events.message.watchers.ring_after_exchange(arena);
        }
    }
}

impl Queue {
    /// What a get has answered. If nothing was there, the descriptor says so at once: whoever asks poll next need not
    /// come again before the bridge has heard of it.
    #[inline]
    pub(super) fn after_get<T>(&self, got: Result<T>) -> Result<T> {
        if got.is_err() {
            self.messages.refresh();
        }
        got
    }

    /// The same for a put.
    #[inline]
    pub(super) fn after_put<T>(&self, put: Result<T>) -> Result<T> {
        if put.is_err() {
            self.room.refresh();
        }
        put
    }

    /// To be waited for among others: that a get may succeed, or fail for good.
    pub fn waitable(&self) -> Result<Waitable> {
        let (arena, words) = self.parts();
        Ok(Waitable::object(self.cell.live()?, Messages(arena, words)))
    }

    /// A descriptor of this process that is readable while a get may succeed, or fail for good. It lives as long as
    /// this.
    pub fn messages_descriptor(&self) -> Result<RawFd> {
        let (arena, words) = self.parts();
        self.messages.get(self.cell.live()?, || Box::new(Messages(arena, words)))
    }

    /// A descriptor of this process that is readable while a put may succeed, or fail for good. It lives as long as
    /// this.
    pub fn room_descriptor(&self) -> Result<RawFd> {
        let (arena, words) = self.parts();
        self.room.get(self.cell.live()?, || Box::new(Room(arena, words)))
    }
}
