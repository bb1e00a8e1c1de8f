//! The queue: many producers, many consumers, messages of any length, no thread in between.
//!
//! Each end has a lock that knows its owner. A put writes the message behind the tail and then stores the new tail
//! position: that store commits it. A get copies the message, or notes its block in the held table, and then stores
//! the new head position: that store commits it. A third thing changes rarely, the ring itself, by one store under
//! both locks. So whoever inherits a lock finds every structure whole. Killed between any two stores:
//!
//! * put, before the tail's store: the message never was; its block goes back by the entry QUEUE_PUT.
//! * put, after it, before the wake-up: the message is there; a sleeping getter is woken by the settler if the
//!   park record was written, else looks again by itself within a second.
//! * get, before the head's store: the message stays. After it: it was taken, and its block goes back by the
//!   entry QUEUE_TAKE: at most the one message of that call is lost.
//! * growth: the entry QUEUE_RING says which of the two rings goes back.
//!
//! "Before" and "after" are told by the position in the entry, and that has its meaning as long as nobody moves on:
//! so who inherits an end's lock first waits until the dead are settled.
//!
//! The message is copied in under the lock rather than into a place reserved before: order is commit order, and
//! only the last step of a long message, the store of its block's name, happens under the lock.
//!
//! One producer and one consumer hardly meet: each end has a cache line of its own, and remembers where it saw the
//! other end last; the events are on a third line, which nobody writes while nobody waits. The remembered position is
//! never ahead, so a stale one only makes its user look again; after a death it is as good as before.
//!
//! Lifo and priority queues, and those that redeliver, keep their messages in a store of slots with one turn for all:
//! see `store.rs`. A pipe has two rings, one for each direction.
//!
//! `words.rs` has the words, `turn.rs` the turns, `ends.rs` what is done by who has one, `port.rs` a channel as one call
//! uses it, `put.rs`, `get.rs` and `many.rs` the operations, `ring.rs` and `store.rs` where the messages lie, `room.rs`
//! bounds, reservations and what is dropped for room, `account.rs` what is taken and not yet done, `settle.rs` what is
//! done after a death, `watch.rs` the two sides as watchers see them.

use super::account::{self, Ledger, Mine};
use super::get::is_readable;
use super::options::QueueOptions;
use super::port::{Face, Port, WATCH};
use super::put::Message;
use super::ring::Position;
use super::settle::{destroy_words, stir_words};
use super::words::{rule, Turn, Words};
use crate::arena::bridge::Descriptor;
use crate::arena::layout::shared;
use crate::arena::wait::Waiter;
use crate::arena::word::Ended;
use crate::arena::{event, object, Arena, Buffer, Holder, ObjectHead, ObjectKind, Token};
use crate::error::{Error, Result, Status};
use crate::fault;
use crate::sys::clock::Deadline;
use crate::sys::prim::Ordering;

/// A queue in the arena.
#[repr(C)]
#[derive(Debug)]
pub(super) struct QueueCell {
    head: ObjectHead,
    pub(super) words: Words,
}

shared!(QueueCell);
object!(QueueCell, head, ObjectKind::Queue);

/// A queue that processes share.
#[derive(Debug)]
pub struct Queue {
    // Before the cell, of which they tell.
    pub(super) messages: Descriptor,
    pub(super) room: Descriptor,
    pub(super) cell: Holder<QueueCell>,
    mine: Mine,
}

impl Queue {
    /// An empty queue.
    pub fn new(options: &QueueOptions) -> Result<Queue> {
        Queue::new_in(Arena::get()?, options)
    }

    /// An empty queue in this arena.
    pub fn new_in(arena: &'static Arena, options: &QueueOptions) -> Result<Queue> {
        Queue::begin_at(arena, options, Position::new(0, 0))
    }

    /// The queue of this name in an arena, made if there is none; without options it must be there.
    pub fn named(arena: &'static Arena, name: &[u8], options: Option<&QueueOptions>) -> Result<Queue> {
        let plan = options.map(QueueOptions::plan).transpose()?;
        let same = |cell: &QueueCell| plan.is_none_or(|plan| cell.words.plan() == plan);
        let make = options.map(|options| || Queue::new_in(arena, options).map(|queue| queue.cell));
        Ok(Queue::of(arena.named(name, same, make)?))
    }

    /// An empty queue whose ends are at this position.
    pub(super) fn begin_at(arena: &'static Arena, options: &QueueOptions, at: Position) -> Result<Queue> {
        let plan = options.plan()?;
        Ok(Queue::of(Holder::new(arena, |cell: &QueueCell| cell.words.begin(plan, at))?))
    }

    fn of(cell: Holder<QueueCell>) -> Queue {
        let mine = Mine::of(cell.reference());
        Queue { messages: Descriptor::default(), room: Descriptor::default(), cell, mine }
    }

    /// One more handle of the same queue.
    pub(super) fn again(&self) -> Result<Queue> {
        Ok(Queue::of(Holder::of(self.cell.live()?, self.cell.reference())?))
    }

    /// The arena and the queue's words, whether or not this process has a part in it.
    #[inline(always)]
    pub(super) fn parts(&self) -> (&'static Arena, &'static Words) {
        (self.cell.arena(), &self.cell.body().words)
    }

    /// This process's record, if it is known.
    #[inline(always)]
    pub(super) fn quick_record(&self, turn: &Turn<'static>) -> Option<&'static account::Record> {
        let (arena, words) = self.parts();
        Ledger::new(arena, words, turn).known(&self.mine)
    }

    /// The queue, for one call.
    #[inline(always)]
    pub(super) fn port(&self) -> Result<Port<'_>> {
        let arena = self.cell.live()?;
        Ok(Port { arena, words: &self.cell.body().words, mine: &self.mine, face: Face::Queue })
    }

    /// Puts a copy of `bytes`. When it returns the message is there for every getter, whatever becomes of this
    /// process.
    #[inline]
    pub fn put(&self, bytes: &[u8], deadline: Deadline) -> Result<()> {
        if self.put_quickly(bytes) {
            return Ok(());
        }
        self.put_the_long_way(bytes, deadline)
    }

    /// The same for who has tried the short way.
    pub fn put_the_long_way(&self, bytes: &[u8], deadline: Deadline) -> Result<()> {
        self.after_put(self.port()?.put(bytes, 0, deadline))
    }

    /// The same with a priority: lowest first. For priority queues.
    pub fn put_priority(&self, priority: i64, bytes: &[u8], deadline: Deadline) -> Result<()> {
        let port = self.port()?;
        if !port.words.is(rule::PRIORITY) {
            return Err(Error::new(Status::Unsupported, "only a priority queue has priorities"));
        }
        self.after_put(port.put(bytes, priority, deadline))
    }

    /// Hands the buffer's bytes on, without a copy where that can be. On failure the buffer comes back.
    pub fn put_buffer(&self, buffer: Buffer, deadline: Deadline) -> std::result::Result<(), (Error, Buffer)> {
        let port = match self.port() {
            Ok(port) => port,
            Err(error) => return Err((error, buffer)),
        };
        let block = if buffer.len() > port.most_inline() { buffer.sole_block(port.arena) } else { None };
        let put = match block {
            Some(block) => {
                let message = Message::of_block(block, buffer.len() as u64, 0);
                let checked = port.check_open(buffer.len() as u64);
                let put = self.after_put(checked.and_then(|()| port.put_message(message, deadline)));
                if put.is_err() {
                    block.make_shared();
                }
                put
            }
            None => {
                let put = self.after_put(port.put(buffer.bytes(), 0, deadline));
                return put.map_err(|error| (error, buffer));
            }
        };
        match put {
            Ok(()) => {
                if let Some(block) = buffer.into_block() {
                    block.surrender();
                }
                Ok(())
            }
            Err(error) => Err((error, buffer)),
        }
    }

    /// Puts copies of `n` messages, as many as there is room for in time: how many were put, and why not all.
    pub fn put_many<'m>(
        &self,
        n: usize,
        message: impl Fn(usize) -> &'m [u8],
        deadline: Deadline,
    ) -> (usize, Result<()>) {
        let (done, put) = match self.port() {
            Ok(port) => port.put_many(n, message, deadline),
            Err(error) => (0, Err(error)),
        };
        (done, self.after_put(put))
    }

    /// Takes the next message.
    #[inline]
    pub fn get(&self, deadline: Deadline) -> Result<Buffer> {
        self.after_get(self.port()?.get(deadline))
    }

    /// Copies the next message into `into` and says how long it is. If it does not fit, it stays, and its length
    /// is in the first part of the answer.
    #[inline]
    pub fn get_into(&self, into: &mut [u8], deadline: Deadline) -> Result<(usize, Result<()>)> {
        if let Some(length) = self.get_quickly(into) {
            return Ok((length, Ok(())));
        }
        self.get_into_the_long_way(into, deadline)
    }

    /// The same for who has tried the short way.
    pub fn get_into_the_long_way(&self, into: &mut [u8], deadline: Deadline) -> Result<(usize, Result<()>)> {
        self.after_get(self.port()?.get_into(into, deadline))
    }

    /// Waits for a message, then takes what is there, at most so many.
    pub fn get_many(&self, most: usize, deadline: Deadline) -> Result<Vec<Buffer>> {
        self.after_get(self.port()?.get_many(most, deadline))
    }

    /// Waits for a message, then copies what is there into `into`, one behind the other, as many as fit, at most `most`,
    /// and tells of each its number, place and length. How many; or the length of the first one if it does not fit.
    pub fn get_many_into(
        &self,
        into: &mut [u8],
        most: usize,
        deadline: Deadline,
        tell: impl FnMut(usize, usize, usize),
    ) -> Result<(usize, Option<usize>)> {
        self.after_get(self.port()?.get_many_into(into, most, deadline, tell))
    }

    /// How many messages are in the queue at this moment.
    pub fn size(&self) -> Result<usize> {
        Ok(self.port()?.size())
    }

    /// Tells that one of the messages that were taken is done. See [`Queue::join`].
    pub fn task_done(&self) -> Result<()> {
        let port = self.port()?;
        let turn = port.get_turn(Deadline::Never)?;
        let last = port.ledger(&turn).finish(port.mine)?;
        drop(turn);
        fault!("queue.done:told");
        if last {
            event::notify(&port.words.events.done, u32::MAX);
        }
        Ok(())
    }

    /// Acknowledges a message of a queue that redelivers: it is done, and does not come back.
    pub fn acknowledge(&self, buffer: &Buffer) -> Result<()> {
        self.port()?.acknowledge(buffer)
    }

    /// Waits until every message that was put is done. What the dead had taken counts as done, or comes back.
    pub fn join(&self, deadline: Deadline) -> Result<()> {
        let port = self.port()?;
        let words = port.words;
        // Where messages come back, one that the dead told to be done may not be.
        let settled = || !words.is(rule::REDELIVER) || !account::has_dead(port.arena, words);
        let is_done = || account::unfinished(words) == 0 && settled();
        let timed_out = |ended| crate::sync::ended(ended, "messages of the queue are not done yet");
        if is_done() || port.fold_dead(deadline).map_err(timed_out)? && is_done() {
            return Ok(());
        }
        let mut waiter = Waiter::new(port.arena, deadline);
        if deadline == Deadline::Now {
            port.look_after_the_unfinished();
            port.fold_dead(deadline).map_err(timed_out)?;
            return if is_done() { Ok(()) } else { Err(timed_out(waiter.try_ended())) };
        }
        let mut look = Deadline::after(WATCH);
        let ready = || {
            if !is_done() {
                if look.left() <= 0 {
                    port.look_after_the_unfinished();
                    look = Deadline::after(WATCH);
                }
                port.fold_dead(deadline).ok()?;
            }
            is_done().then_some(())
        };
        event::await_change(&words.events.done, &mut waiter, ready).map_err(timed_out)
    }

    /// Closes the queue for all processes: puts fail from now on, gets drain it and then fail.
    pub fn close(&self) -> Result<()> {
        self.port()?.close()
    }

    /// Enters this process among those whose bell rings when a get may succeed.
    pub fn watch_messages(&self) -> Result<()> {
        self.cell.words.events.message.watchers.enter(self.cell.live()?);
        Ok(())
    }

    /// Whether a get may succeed, or fail for good, at this moment.
    pub fn is_readable(&self) -> bool {
        self.port().is_ok_and(|port| is_readable(port.arena, port.words))
    }

    /// The queue's token.
    pub fn token(&self) -> Token {
        self.cell.token()
    }

    /// The queue that a token names.
    pub fn from_token(token: &Token) -> Result<Queue> {
        Ok(Queue::of(Holder::from_token(token)?))
    }
}

impl Port<'_> {
    /// Those for whom a join waits may have died.
    fn look_after_the_unfinished(&self) {
        account::investigate(self.arena, self.words);
        if self.look_after_takers() {
            self.words.events.message.announce_to_all(self.arena);
        }
        self.look_after_turn();
    }

    /// Counts what the dead had taken as done. True if there was any.
    fn fold_dead(&self, deadline: Deadline) -> std::result::Result<bool, Ended> {
        if !account::has_dead(self.arena, self.words) {
            return Ok(false);
        }
        let turn = self.words.turn(self.arena, &self.words.head, deadline)?;
        let folded = self.ledger(&turn).fold_dead();
        drop(turn);
        if folded && account::unfinished(self.words) == 0 {
            event::notify(&self.words.events.done, u32::MAX);
        }
        Ok(folded)
    }

    /// Closes the channel.
    pub(super) fn close(&self) -> Result<()> {
        let words = self.words;
        if words.is_closed() {
            return Ok(());
        }
        let turn = self.put_turn(Deadline::Never)?;
        words.closed.store(1, Ordering::Release);
        fault!("queue.close:closed");
        drop(turn);
        words.events.message.announce_to_all(self.arena);
        words.events.room.announce_to_all(self.arena);
        Ok(())
    }
}

/// Who held the queue at `offset` has died.
pub(crate) fn stir(arena: &Arena, offset: u64) {
    stir_words(arena, &arena.at::<QueueCell>(offset).words);
}

/// Takes apart the queue at `offset`.
pub(crate) fn destroy(arena: &Arena, offset: u64) {
    destroy_words(arena, &arena.at::<QueueCell>(offset).words);
}
