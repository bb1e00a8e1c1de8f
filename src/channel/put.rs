//! Putting.

use super::connection::closed_here;
use super::port::{Port, WATCH};
use super::ring::{Body, Position, Ring};
use super::room::is_writable;
use super::settle::replace_part;
use super::store::{self, Store};
use super::words::{rule, Turn};
use crate::arena::held::kind;
use crate::arena::wait::{learn_gathering, Waiter};
use crate::arena::{Block, BlockRef, SMALL};
use crate::error::Result;
use crate::fault;
use crate::sys::clock::Deadline;
use crate::sys::prim::Ordering;

/// A message that is to be put.
#[derive(Clone, Copy)]
pub(super) struct Message<'a> {
    pub(super) body: Body<'a>,
    /// The block, if that is what it is.
    pub(super) block: Option<&'a Block>,
    pub(super) priority: i64,
    /// Its room was reserved, in the record of this number.
    pub(super) reserved: Option<u32>,
}

impl<'a> Message<'a> {
    pub(super) fn of_bytes(bytes: &'a [u8], priority: i64) -> Message<'a> {
        Message { body: Body::Bytes(bytes), block: None, priority, reserved: None }
    }

    /// A message of which only the length is known yet.
    pub(super) fn of_length(length: usize) -> Message<'a> {
        let body = Body::Block(BlockRef::NONE, length as u64);
        Message { body, block: None, priority: 0, reserved: None }
    }

    pub(super) fn of_block(block: &'a Block, length: u64, priority: i64) -> Message<'a> {
        Message { body: Body::Block(block.reference(), length), block: Some(block), priority, reserved: None }
    }
}

impl Port<'_> {
    /// Up to this length messages are copied into the ring or the slot, rather than handed over in blocks.
    #[inline(always)]
    pub(super) fn most_inline(&self) -> usize {
        if self.words.is(rule::STORE) {
            store::INLINE
        } else {
            SMALL
        }
    }

    /// Puts a copy of `bytes`. When it returns the message is there for every getter, whatever becomes of this
    /// process.
    #[inline(always)]
    pub(super) fn put(&self, bytes: &[u8], priority: i64, deadline: Deadline) -> Result<()> {
        if bytes.len() <= self.most_inline() {
            return self.put_message(Message::of_bytes(bytes, priority), deadline);
        }
        self.put_long(bytes, priority, deadline)
    }

    #[inline(never)]
    fn put_long(&self, bytes: &[u8], priority: i64, deadline: Deadline) -> Result<()> {
        let length = bytes.len() as u64;
        // Before the copy is made.
        self.check_open(length)?;
        let at_once = deadline == Deadline::Now || self.words.is(rule::FAIL);
        let writable = || is_writable(self.arena, self.words, length);
        if at_once && !writable() && !(self.glance_at_reservers() && writable()) {
            return Err(self.full(Waiter::new(self.arena, Deadline::Now).try_ended()));
        }
        let block = self.arena.allocate(length, false)?;
        self.arena.write(self.arena.data_offset(block.reference()), bytes);
        self.put_message(Message::of_block(&block, length, priority), deadline)?;
        block.surrender();
        Ok(())
    }

    /// Puts the message. A block that was put is the channel's, and its entry is free.
    #[inline(always)]
    pub(super) fn put_message(&self, message: Message<'_>, deadline: Deadline) -> Result<()> {
        if self.try_put(message, deadline)? {
            return Ok(());
        }
        self.await_room(message.body.len() as u64, deadline, || {
            Ok(self.try_put(message, deadline)?.then_some(()))
        })
    }

    /// Puts, unless there is no room: then it answers false.
    #[inline(always)]
    fn try_put(&self, message: Message<'_>, deadline: Deadline) -> Result<bool> {
        let turn = self.put_turn(deadline)?;
        if !self.may_put(&turn, message, deadline)? {
            return Ok(false);
        }
        if self.words.is(rule::STORE) {
            self.put_in_store(&turn, message)?;
        } else {
            let tail = self.words.tail.position();
            let ring = self.room_in_ring(tail, message.body, deadline)?;
            self.put_in_ring(ring, tail, message);
        }
        let length = message.body.len() as u64;
        let is_room = message.reserved.is_some_and(|number| self.end_reservation(&turn, number, length));
        let filled = self.words.may_be_filled();
        drop(turn);
        self.words.announce_put(self.arena, 1, filled);
        if is_room {
            self.words.announce_get(self.arena, 1, false);
        }
        Ok(true)
    }

    /// Whether the message may be put: false if there is no room, an error if it never may.
    #[inline(always)]
    pub(super) fn may_put(&self, turn: &Turn<'_>, message: Message<'_>, deadline: Deadline) -> Result<bool> {
        if self.words.is_closed() {
            return Err(self.closed());
        }
        let length = message.body.len() as u64;
        if message.reserved.is_some() || self.has_room(length) {
            return Ok(true);
        }
        self.check_length(length)?;
        if self.words.is(rule::DROP) {
            return self.drop_until_room(turn, length, deadline);
        }
        Ok(false)
    }

    /// Waits for room for a message of this length, again and again until `attempt` has made something of it.
    #[cold]
    pub(super) fn await_room<T>(
        &self,
        length: u64,
        deadline: Deadline,
        mut attempt: impl FnMut() -> Result<Option<T>>,
    ) -> Result<T> {
        let (arena, words) = (self.arena, self.words);
        let room = &words.events.room;
        let deadline = if words.is(rule::FAIL) { Deadline::Now } else { deadline };
        let mut waiter = Waiter::new(arena, deadline).spinning_for_more(&room.spin, &words.events.flow[1]);
        if deadline == Deadline::Now {
            let made = if self.glance_at_reservers() { attempt()? } else { None };
            return made.ok_or_else(|| self.full(waiter.try_ended()));
        }
        let mut look = Deadline::after(WATCH);
        let ready = || {
            let may_be_freed = words.is(rule::STORE) || words.reservations.load(Ordering::Relaxed) != 0;
            if may_be_freed && look.left() <= 0 {
                self.look_after_reservers();
                self.look_after_turn();
                look = Deadline::after(WATCH);
            }
            look = self.look_after_peer(look);
            is_writable(arena, words, length) || self.is_left()
        };
        let attempt = || {
            if self.is_left() {
                return Err(closed_here());
            }
            let places = words.bound.load(Ordering::Relaxed).saturating_sub(words.len());
            if places > 0 {
                learn_gathering(&words.events.flow[1], places > 1);
            }
            attempt()
        };
        let more = || is_writable(arena, words, 0);
        room.attempt_when(&mut waiter, ready, attempt, more, |ended| self.full(ended))
    }

    #[inline(always)]
    fn put_in_ring(&self, ring: Ring<'_>, tail: Position, message: Message<'_>) {
        let next = ring.write(tail, message.body);
        if let Some(block) = message.block {
            block.entry().turn(kind::QUEUE_PUT, self.arena.offset_of(self.words), tail.0);
        }
        if self.words.is(rule::BYTES) {
            self.words.tail.count_bytes(tail, message.body.len() as u64);
        }
        fault!("queue.put:written");
        self.words.tail.advance(next);
        fault!("queue.put:committed");
        if let Some(block) = message.block {
            block.entry().become_kind(kind::FREE);
        }
    }

    #[inline(never)]
    fn put_in_store(&self, turn: &Turn<'_>, message: Message<'_>) -> Result<()> {
        self.ledger(turn).prepare()?;
        let store = Store::with_room(self.arena, self.words, turn)?;
        let stored = store.prepare(message.priority, message.body.len() as u64);
        match message.body {
            Body::Bytes(bytes) => self.arena.write(stored.bytes, bytes),
            Body::Block(block, _) => store.name_block(&stored, block),
        }
        if let Some(block) = message.block {
            block.entry().turn(kind::QUEUE_PUT, self.arena.offset_of(self.words), stored.at());
        }
        fault!("queue.store:written");
        store.commit(&stored);
        if let Some(block) = message.block {
            block.entry().become_kind(kind::FREE);
        }
        Ok(())
    }

    /// The ring, grown if the message does not fit. The caller has the tail's turn.
    #[inline(always)]
    pub(super) fn room_in_ring(
        &self,
        tail: Position,
        body: Body<'_>,
        deadline: Deadline,
    ) -> Result<Ring<'static>> {
        let words = self.words;
        let ring = match words.ring(self.arena) {
            Some(ring) if words.is_too_large(&ring, tail, body) => Some(self.shrink(ring, tail)),
            ring => ring,
        };
        match ring {
            Some(ring) if words.fitting(&ring, tail, body) => Ok(ring),
            ring => self.grow(ring, tail, body, deadline),
        }
    }

    /// A ring that a burst has left too large makes room for one of half its size, when it is empty: then no message
    /// lies where the smaller one ends. The caller has the tail's turn; if the head's is not free, another time will do.
    #[cold]
    fn shrink(&self, ring: Ring<'static>, tail: Position) -> Ring<'static> {
        let words = self.words;
        let Some(units) = ring.fewer_units() else { return ring };
        let Ok(block) = self.arena.allocate(Ring::block_bytes(units), false) else { return ring };
        match words.free_turn(self.arena, &words.head) {
            Some(_turn) if words.head.position() == tail => {
                let smaller = Ring::make(self.arena, block.reference(), units);
                replace_part(self.arena, &words.ring, block);
                smaller
            }
            _ => ring,
        }
    }

    #[cold]
    fn grow(
        &self,
        old: Option<Ring<'static>>,
        tail: Position,
        body: Body<'_>,
        deadline: Deadline,
    ) -> Result<Ring<'static>> {
        let words = self.words;
        let units = Ring::units_for(old, words.head.position(), tail, body)?;
        let block = match self.arena.allocate(Ring::block_bytes(units), false) {
            Ok(block) => block,
            Err(error) => {
                let holds = |ring: &Ring<'_>| ring.fits_at_all(words.head.position(), tail, body);
                return old.filter(holds).ok_or(error);
            }
        };
        let ring = Ring::make(self.arena, block.reference(), units);
        let turn = words.turn(self.arena, &words.head, deadline);
        let head = turn.map_err(|ended| self.full(ended))?;
        self.ledger(&head).prepare()?;
        if let Some(old) = old {
            old.copy_to(&ring, words.head.position(), tail);
        }
        replace_part(self.arena, &words.ring, block);
        Ok(ring)
    }
}
