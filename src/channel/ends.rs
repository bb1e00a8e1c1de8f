//! What those do who have the turn at an end of a channel whose messages lie in a ring.
//!
//! | step             | by whom         | what it needs                                                              |
//! |------------------|-----------------|----------------------------------------------------------------------------|
//! | take the turn    |                 | an exchange that acquires: what the one before wrote is seen               |
//! | look             | with the turn   | the other end's position, acquired; or what was seen of it, never ahead    |
//! | write, or read   | with the turn   | only between the two positions                                             |
//! | commit           | with the turn   | one store of the end's position, which releases                            |
//! | give it back     |                 | an exchange: the fence between the commit and the look at who waits        |
//! | announce         | without         | wakes as many as something has come for                                    |
//! | grow             | with both turns | a copy of what lies between the positions, and one store of the ring's word |
//!
//! Who waits announces that, looks once more, and sleeps; it takes the turn again when it is woken, and passes the
//! wake-up on if it leaves something behind. Whether the channel is closed is read before the look at the tail: what
//! was put before the close is then got.
//!
//! The algorithm asks its [`World`] and its [`Memory`] for all else, so that loom can own them.

use super::memory::Memory;
use super::ring::{Body, Found, Position, RingIn};
use super::words::{End, Event, Words};
use crate::arena::watchers::Bells;
use crate::arena::word::{self, Acquired, Ended, Sleeper};
use crate::arena::{event, BlockRef};
use crate::error::{Error, Result};
use crate::fault;
use crate::sys::prim::{Futex, Ordering};

/// What the ends need of the world.
pub trait World: Bells {
    /// Gives a turn back, by an exchange, and wakes who waits for it.
    fn give_back(&self, lock: &Futex);
    /// A full fence, given the exchange by which this thread has given its turn back.
    fn fence(&self);
    /// Wakes at most `n` of those who sleep on an event.
    fn notify(&self, word: &Futex, n: u32);
}

/// The turn at one end of a channel: nobody else moves it meanwhile.
#[derive(Debug)]
pub struct Turn<'a, W: World> {
    world: &'a W,
    end: &'a End,
}

impl<W: World> Drop for Turn<'_, W> {
    #[inline]
    fn drop(&mut self) {
        self.world.give_back(&self.end.lock);
    }
}

impl<'a, W: World> Turn<'a, W> {
    /// The turn, if it is free.
    #[inline(always)]
    pub fn try_take(world: &'a W, end: &'a End, me: u32) -> Option<Turn<'a, W>> {
        // Made only if it is taken: what is made is given back.
        word::try_acquire(&end.lock, me).then(|| Turn { world, end })
    }

    /// Waits for the turn.
    pub fn take(
        world: &'a W,
        end: &'a End,
        me: u32,
        sleeper: &mut impl Sleeper,
    ) -> std::result::Result<(Turn<'a, W>, Acquired), Ended> {
        word::acquire(&end.lock, me, sleeper).map(|acquired| (Turn { world, end }, acquired))
    }
}

impl Event {
    /// Something has changed, enough for `n`. The caller has given its turn back since: that was an exchange.
    #[inline]
    pub fn announce(&self, world: &impl World, n: u32) {
        world.fence();
        if event::has_waiters(&self.word) {
            world.notify(&self.word, n);
        }
        self.watchers.ring(world);
    }

    /// Something has changed, and concerns everybody.
    pub fn announce_to_all(&self, world: &impl World) {
        world.notify(&self.word, u32::MAX);
        self.watchers.ring(world);
    }

    /// Waits until `ready`, again and again until `attempt` has made something of it. `more` tells whether another one
    /// could as well; `given_up` is the error when the wait has ended.
    pub fn attempt_when<T>(
        &self,
        sleeper: &mut impl Sleeper,
        mut ready: impl FnMut() -> bool,
        mut attempt: impl FnMut() -> Result<Option<T>>,
        more: impl FnMut() -> bool,
        given_up: impl FnOnce(Ended) -> Error,
    ) -> Result<T> {
        let made = loop {
            if let Err(ended) = event::await_change(&self.word, sleeper, || ready().then_some(())) {
                break Err(given_up(ended));
            }
            match attempt() {
                Ok(None) => {}
                Ok(Some(made)) => break Ok(made),
                Err(error) => break Err(error),
            }
        };
        event::pass_on(&self.word, sleeper, more);
        made
    }
}

impl End {
    /// Where the other end is, or was, if that is enough. The caller has the turn.
    #[inline(always)]
    pub fn see(&self, other: &End, enough: impl Fn(Position) -> bool) -> Option<Position> {
        let seen = self.seen();
        if enough(seen) {
            return Some(seen);
        }
        let now = self.look(other);
        enough(now).then_some(now)
    }
}

/// A short message in a ring.
#[derive(Clone, Copy, Debug)]
pub struct Short {
    /// Where it is.
    pub head: Position,
    /// The position behind it.
    pub next: Position,
    /// Where its bytes are in the memory.
    pub offset: u64,
    /// How many there are.
    pub length: usize,
}

/// There will never be a message any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained;

impl Words {
    /// The head, if a message is there. The caller has its turn.
    #[inline(always)]
    pub fn next(&self) -> std::result::Result<Option<Position>, Drained> {
        let head = self.head.position();
        if head == self.head.seen() {
            // Closed first: what was put before the close is then seen by the look at the tail.
            let is_closed = self.is_closed();
            if head == self.head.look(&self.tail) {
                return if is_closed { Err(Drained) } else { Ok(None) };
            }
        }
        Ok(Some(head))
    }

    /// Whether a message may be put at `tail`, of so many at most. The caller has the tail's turn.
    #[inline(always)]
    pub fn has_place(&self, tail: Position, bound: u32) -> bool {
        self.tail.see(&self.head, |head| tail.since(head) < bound).is_some()
    }

    /// The ring, if there is one yet. The caller has a turn.
    #[inline(always)]
    pub fn ring<M: Memory>(&self, memory: M) -> Option<RingIn<M>> {
        RingIn::of(memory, BlockRef::from_bits(self.ring.load(Ordering::Acquire)))
    }

    /// The ring, if the message fits at `tail`. The caller has the tail's turn.
    #[inline(always)]
    pub fn fitting<M: Memory>(&self, ring: &RingIn<M>, tail: Position, body: Body<'_>) -> bool {
        self.tail.see(&self.head, |head| ring.fits(head, tail, body)).is_some()
    }

    /// Whether the ring, which a burst has left large, is to make room for a smaller one now: it is empty. The caller has
    /// the tail's turn.
    #[inline(always)]
    pub fn is_too_large<M: Memory>(&self, ring: &RingIn<M>, tail: Position, body: Body<'_>) -> bool {
        ring.is_time_to_look(tail, body) && self.tail.look(&self.head) == tail
    }

    /// The first message, if it is a short one. The caller has the head's turn, and takes it by moving the head.
    #[inline(always)]
    pub fn first_short<M: Memory>(&self, memory: M) -> Option<Short> {
        let head = self.head.position();
        self.head.see(&self.tail, |end| end != head)?;
        let ring = self.ring(memory)?;
        let (Found::Bytes(offset, length), next) = ring.read(head).ok()? else { return None };
        Some(Short { head, next, offset, length })
    }

    /// Puts a short message behind the tail, whose turn the caller has, if nothing is in its way.
    #[inline(always)]
    pub fn put_short<M: Memory>(&self, memory: M, bytes: &[u8]) -> bool {
        let tail = self.tail.position();
        let bound = self.bound.load(Ordering::Relaxed);
        let Some(ring) = self.ring(memory) else { return false };
        let body = Body::Bytes(bytes);
        let fits = |head: Position| tail.since(head) < bound && ring.fits(head, tail, body);
        if self.is_too_large(&ring, tail, body) {
            return false;
        }
        let reserved = self.reservations.load(Ordering::Relaxed) != 0;
        if self.is_closed() || reserved || self.tail.see(&self.head, fits).is_none() {
            return false;
        }
        let next = ring.write(tail, body);
        fault!("queue.put:written");
        self.tail.advance(next);
        fault!("queue.put:committed");
        true
    }
    /// Puts as many of `n` short messages as fit behind the tail, whose turn the caller has, by one commit: how many.
    /// `places` says how many may be put between a tail and a head.
    #[inline(always)]
    pub fn put_run<'m, M: Memory>(
        &self,
        ring: RingIn<M>,
        n: usize,
        places: impl Fn(Position, Position) -> usize,
        message: impl Fn(usize) -> &'m [u8],
    ) -> usize {
        // Who sees the other end as it was keeps away from its cache line; but as many as there is room for are put.
        let mut head = self.tail.seen();
        let (mut put, mut next) = (0, self.tail.position());
        for _ in 0..2 {
            let places = places(next, head).min(n - put);
            let (more, at) = ring.write_run((head, next), places, |i| message(put + i));
            (put, next) = (put + more, at);
            if put == n {
                break;
            }
            head = self.tail.look(&self.head);
        }
        if put > 0 {
            fault!("queue.put:written");
            self.tail.advance(next);
            fault!("queue.put:committed");
        }
        put
    }
}
