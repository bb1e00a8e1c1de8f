//! Getting.

use super::account::Record;
use super::connection::closed_here;
use super::ends::Drained;
use super::port::{Port, WATCH};
use super::ring::{Found, Position, Ring};
use super::store::{self, Store, Stored};
use super::words::{rule, Turn, Words};
use crate::arena::held::kind;
use crate::arena::wait::{learn_gathering, may_glance, Waiter};
use crate::arena::{event, Arena, Block, BlockRef, Buffer};
use crate::error::{Error, Result, Status};
use crate::fault;
use crate::sys::clock::Deadline;
use crate::sys::prim::Ordering;

/// Where a message lies that is about to be taken.
#[derive(Clone, Copy)]
enum Place {
    /// In the ring, before this position.
    Ring(Position),
    Store(Store<'static>, Stored),
}

/// A message that is about to be taken, under the head's turn.
pub(super) struct Taking<'a> {
    port: &'a Port<'a>,
    found: Found,
    place: Place,
    record: Option<&'static Record>,
}

/// What became of a message that was to be copied.
enum Taken {
    /// It has been.
    Bytes,
    /// It is in a block, which is this process's now.
    Block(Block),
    /// It is too long and stays.
    Nothing,
}

#[cold]
pub(super) fn too_large(length: usize, room: usize) -> Error {
    Error::new(Status::TooLarge, format!("the message has {length} bytes, the buffer {room}"))
}

/// Whether messages are with others that have not acknowledged them.
fn may_come_back(arena: &Arena, words: &Words) -> bool {
    words.is(rule::REDELIVER) && store::are_with_others(arena, words)
}

/// Whether a get may succeed, or fail for good.
pub(super) fn is_readable(arena: &'static Arena, words: &'static Words) -> bool {
    words.mend_store(arena);
    !words.is_empty()
        || words.bereft.load(Ordering::Relaxed) != 0
        || words.is_closed() && !may_come_back(arena, words)
}

impl Taking<'_> {
    /// What an entry or a record says of where it lies.
    fn at(&self) -> u64 {
        match &self.place {
            Place::Ring(_) => self.port.words.head.position().0,
            Place::Store(_, stored) => stored.at(),
        }
    }

    /// Takes it out of the channel: its slot's state from then on, if it lies in a store.
    #[inline(always)]
    fn commit(&self) -> u64 {
        let redelivers = self.port.words.is(rule::REDELIVER);
        let record = self.record.filter(|_| !redelivers);
        if let Some(record) = record {
            record.begin(1, self.at());
        }
        fault!("queue.get:copied");
        let state = match &self.place {
            Place::Ring(next) => {
                let head = &self.port.words.head;
                if self.port.words.is(rule::BYTES) {
                    head.count_bytes(head.position(), self.found.len() as u64);
                }
                head.advance(*next);
                0
            }
            Place::Store(store, stored) => store.take(stored),
        };
        fault!("queue.get:committed");
        if let Some(record) = record {
            record.end();
            fault!("queue.get:counted");
        }
        state
    }

    /// Takes its block into the held table, and the message out of the channel.
    #[inline(never)]
    fn take_block(&self, block: BlockRef, as_kind: u32) -> Result<Block> {
        let arena = self.port.arena;
        let entry_index = self.port.name_block(block, self.at())?;
        fault!("queue.get:noted");
        self.commit();
        fault!("queue.get:taken");
        arena.my_entry(entry_index).become_kind(as_kind);
        Ok(Block::adopt(arena, block, entry_index))
    }

    /// Takes it as a buffer.
    #[inline(always)]
    pub(super) fn into_buffer(self) -> Result<Buffer> {
        if self.port.words.is(rule::REDELIVER) {
            return self.into_copy();
        }
        match self.found {
            Found::Bytes(offset, length) => {
                let buffer = Buffer::copy_small(self.port.arena, offset, length);
                self.commit();
                Ok(buffer)
            }
            Found::Block(block, length) => Buffer::around(self.take_block(block, kind::BLOCK)?, length),
        }
    }

    /// Takes it as a copy: what is in the queue must stay as it is, in case that this process dies. In a full arena too,
    /// for it is the acknowledgement that makes room there.
    fn into_copy(self) -> Result<Buffer> {
        let arena = self.port.arena;
        let (offset, length) = match self.found {
            Found::Bytes(offset, length) => (offset, length as u64),
            Found::Block(block, length) if length <= arena.room_of(block) => {
                (arena.data_offset(block), length)
            }
            Found::Block(..) => return Err(Error::internal("a message is longer than its block")),
        };
        let mut buffer = Buffer::copy_at_any_rate(arena, offset, length as usize)?;
        let state = self.commit();
        if let Place::Store(_, stored) = &self.place {
            buffer.set_origin((arena, self.port.mine.identity), u64::from(stored.slot), state);
        }
        Ok(buffer)
    }
}

impl Port<'_> {
    /// Takes the next message.
    #[inline(always)]
    pub(super) fn get(&self, deadline: Deadline) -> Result<Buffer> {
        self.with_next(deadline, |taking| taking.into_buffer())
    }

    /// Copies the next message into `into` and says how long it is. If it does not fit, it stays, and its length
    /// is in the first part of the answer.
    pub(super) fn get_into(&self, into: &mut [u8], deadline: Deadline) -> Result<(usize, Result<()>)> {
        if self.words.is(rule::REDELIVER) {
            return Err(Error::new(
                Status::Unsupported,
                "a queue that redelivers hands out buffers only: they are what mp_queue_ack acknowledges",
            ));
        }
        let mut length = 0;
        let taken = self.with_next(deadline, |taking| {
            length = taking.found.len();
            if length > into.len() {
                return Ok(Taken::Nothing);
            }
            match taking.found {
                Found::Bytes(offset, _) => {
                    taking.port.arena.copy_out(offset, &mut into[..length]);
                    taking.commit();
                    Ok(Taken::Bytes)
                }
                Found::Block(block, _) => taking.take_block(block, kind::PRIVATE).map(Taken::Block),
            }
        })?;
        match taken {
            Taken::Bytes => {}
            Taken::Block(block) => {
                block.arena().copy_out(block.arena().data_offset(block.reference()), &mut into[..length]);
            }
            Taken::Nothing => return Ok((length, Err(too_large(length, into.len())))),
        }
        Ok((length, Ok(())))
    }

    /// Waits for the next message and takes it under the head's turn.
    #[inline(always)]
    fn with_next<T>(&self, deadline: Deadline, mut take: impl FnMut(Taking<'_>) -> Result<T>) -> Result<T> {
        match self.try_get(deadline, &mut take)? {
            Some(taken) => Ok(taken),
            None => self.await_message(deadline, || self.try_get(deadline, &mut take)),
        }
    }

    /// Takes the next message; `None` if there is none yet.
    #[inline(always)]
    fn try_get<T>(
        &self,
        deadline: Deadline,
        take: &mut impl FnMut(Taking<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        if self.words.is(rule::REDELIVER) {
            self.glance_at_takers();
        }
        let turn = self.get_turn(deadline)?;
        let Some((found, place)) = self.next(&turn)? else { return Ok(None) };
        let record = self.record(&turn)?;
        let taken = take(Taking { port: self, found, place, record })?;
        let drained = self.words.may_be_drained();
        drop(turn);
        self.words.announce_get(self.arena, 1, drained);
        Ok(Some(taken))
    }

    /// The next message; `None` if there is none yet, an error if there never will be.
    #[inline(always)]
    fn next(&self, turn: &Turn<'static>) -> Result<Option<(Found, Place)>> {
        if self.words.is(rule::STORE) {
            return self.next_stored(turn);
        }
        let Some(head) = self.next_in_ring()? else { return Ok(None) };
        let (found, next) = self.ring()?.read(head)?;
        Ok(Some((found, Place::Ring(next))))
    }

    /// The head, if a message is there. The caller has its turn.
    #[inline(always)]
    pub(super) fn next_in_ring(&self) -> Result<Option<Position>> {
        self.words.next().map_err(|Drained| self.drained())
    }

    #[inline(always)]
    pub(super) fn ring(&self) -> Result<Ring<'static>> {
        self.words.ring(self.arena).ok_or_else(|| Error::internal("a queue has messages but no ring"))
    }

    #[inline(never)]
    fn next_stored(&self, turn: &Turn<'static>) -> Result<Option<(Found, Place)>> {
        let is_closed = self.words.is_closed();
        let store = Store::of(self.arena, self.words, Some(turn));
        if self.words.is(rule::REDELIVER) {
            // Also where nothing was ever put: who waits takes it for a reason to look, again and again.
            let bereft = self.words.bereft.swap(0, Ordering::AcqRel) != 0;
            if let Some(store) = store.filter(|store| bereft || store.full() == 0) {
                store.return_of_dead(|| _ = self.ledger(turn).fold_dead());
            }
        }
        let Some((store, stored)) = store.and_then(|store| Some((store, store.next()?))) else {
            return if is_closed && !may_come_back(self.arena, self.words) {
                Err(self.drained())
            } else {
                Ok(None)
            };
        };
        let found = match stored.block.is_none() {
            true => Found::Bytes(stored.bytes, stored.length as usize),
            false => Found::Block(stored.block, stored.length),
        };
        Ok(Some((found, Place::Store(store, stored))))
    }

    /// Now and then whoever gets, though it never waits, looks at those who have unacknowledged messages: what the dead
    /// had would else stay away as long as the queue does not run empty.
    #[inline(never)]
    fn glance_at_takers(&self) {
        if may_glance(&self.words.events.message.word) {
            self.look_after_takers();
        }
    }

    /// Waits for a message, again and again until `attempt` has taken one.
    #[cold]
    pub(super) fn await_message<T>(
        &self,
        deadline: Deadline,
        mut attempt: impl FnMut() -> Result<Option<T>>,
    ) -> Result<T> {
        let (arena, words) = (self.arena, self.words);
        let message = &words.events.message;
        let mut waiter = Waiter::new(arena, deadline).spinning_for_more(&message.spin, &words.events.flow[0]);
        if deadline == Deadline::Now {
            return Err(self.empty(waiter.try_ended()));
        }
        let mut look = Deadline::after(WATCH);
        let ready = || {
            if words.is(rule::STORE) && look.left() <= 0 {
                self.look_after_takers();
                self.look_after_turn();
                look = Deadline::after(WATCH);
            }
            look = self.look_after_peer(look);
            is_readable(arena, words) || self.is_left()
        };
        let attempt = || {
            if self.is_left() {
                return Err(closed_here());
            }
            let gathered = words.len();
            if gathered > 0 {
                learn_gathering(&words.events.flow[0], gathered > 1);
            }
            attempt()
        };
        let more = || is_readable(arena, words);
        message.attempt_when(&mut waiter, ready, attempt, more, |ended| self.empty(ended))
    }

    /// Those who have unacknowledged messages may have died. True if one has: whoever has the turn next looks after what
    /// it had, though it may have had no handle by whose end others would be told.
    pub(super) fn look_after_takers(&self) -> bool {
        let found = self.words.is(rule::REDELIVER) && store::investigate(self.arena, self.words);
        if found {
            self.words.bereft.store(1, Ordering::Release);
        }
        found
    }

    /// Acknowledges a message that this process took, as its buffer says.
    pub(super) fn acknowledge(&self, buffer: &Buffer) -> Result<()> {
        if !self.words.is(rule::REDELIVER) {
            let text = "only messages of a queue made with `redeliver` are acknowledged";
            return Err(Error::new(Status::Unsupported, text));
        }
        let Some((slot, state)) = buffer.origin_in((self.arena, self.mine.identity)) else {
            return Err(Error::invalid("the buffer was not got from this queue"));
        };
        let turn = self.get_turn(Deadline::Never)?;
        let store = Store::of(self.arena, self.words, Some(&turn));
        let Some((store, stored)) =
            store.and_then(|store| Some((store, store.unacknowledged(slot as u32, state)?)))
        else {
            return Err(Error::state(
                "the message was acknowledged before, or has gone back into the queue when its taker died",
            ));
        };
        let last = self.end_message(&turn, store, &stored)?;
        drop(turn);
        self.words.announce_get(self.arena, 1, false);
        // When there is nothing that could come back any more, those who wait at a closed queue are done.
        if self.words.is_closed() {
            self.words.events.message.announce_to_all(self.arena);
        }
        if last {
            event::notify(&self.words.events.done, u32::MAX);
        }
        Ok(())
    }

    /// Takes an acknowledged message out for good. True if it was the last unfinished one.
    fn end_message(&self, turn: &Turn<'_>, store: Store<'_>, stored: &Stored) -> Result<bool> {
        let ledger = self.ledger(turn);
        let record = ledger.mine(self.mine)?;
        let named = self.name_block_if_any(stored.block, stored.at())?;
        record.begin(1, stored.at());
        fault!("queue.ack:noted");
        store.end(stored);
        fault!("queue.ack:ended");
        let last = ledger.credit(record);
        self.discard_block(stored.block, named);
        Ok(last)
    }
}
