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
//! `cell.rs` has the words and the turns, `put.rs` and `get.rs` the two operations, `ring.rs` the form of the
//! messages, `settle.rs` what is done after a death, `watch.rs` the two sides as watchers see them.

use super::cell::{QueueCell, UNBOUNDED};
use super::ring::Position;
use crate::arena::bridge::Descriptor;
use crate::arena::word::Ended;
use crate::arena::{Arena, Holder, Token};
use crate::error::{Error, Result, Status};
use crate::fault;
use crate::sys::clock::Deadline;
use crate::sys::prim::Ordering;

/// In which order messages leave a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum QueueKind {
    /// First in, first out.
    #[default]
    Fifo,
}

/// What a put into a full queue does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Overflow {
    /// It waits.
    #[default]
    Wait,
}

/// How a queue is made.
#[derive(Clone, Copy, Debug, Default)]
pub struct QueueOptions {
    /// The order.
    pub kind: QueueKind,
    /// The largest number of messages; 0 and less is unbounded.
    pub maxsize: i64,
    /// What a put into a full queue does.
    pub overflow: Overflow,
}

/// A queue that processes share.
#[derive(Debug)]
pub struct Queue {
    // Before the cell, of which they tell.
    pub(super) messages: Descriptor,
    pub(super) room: Descriptor,
    pub(super) cell: Holder<QueueCell>,
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
        let bound = options.map(bound_of).transpose()?;
        let same = |cell: &QueueCell| bound.is_none_or(|b| cell.bound.load(Ordering::Relaxed) == b);
        let make = options.map(|options| || Queue::new_in(arena, options).map(|queue| queue.cell));
        Ok(Queue::of(arena.named(name, same, make)?))
    }

    /// An empty queue whose ends are at this position.
    pub(super) fn begin_at(arena: &'static Arena, options: &QueueOptions, at: Position) -> Result<Queue> {
        let bound = bound_of(options)?;
        let cell = Holder::new(arena, |cell: &QueueCell| {
            cell.bound.store(bound, Ordering::Relaxed);
            cell.tail.begin(at);
            cell.head.begin(at);
        })?;
        Ok(Queue::of(cell))
    }

    fn of(cell: Holder<QueueCell>) -> Queue {
        Queue { messages: Descriptor::default(), room: Descriptor::default(), cell }
    }

    /// How many messages are in the queue at this moment.
    pub fn size(&self) -> Result<usize> {
        self.cell.live()?;
        Ok(self.cell.len() as usize)
    }

    /// Closes the queue for all processes: puts fail from now on, gets drain it and then fail.
    pub fn close(&self) -> Result<()> {
        let arena = self.cell.live()?;
        if self.cell.is_closed() {
            return Ok(());
        }
        let cell = self.cell.body();
        let turn = cell.turn(arena, &cell.tail, Deadline::Never).map_err(full)?;
        cell.closed.store(1, Ordering::Release);
        fault!("queue.close:closed");
        drop(turn);
        cell.events.message.announce_to_all(arena);
        cell.events.room.announce_to_all(arena);
        Ok(())
    }

    /// Enters this process among those whose bell rings when a get may succeed.
    pub fn watch_messages(&self) -> Result<()> {
        self.cell.events.message.watchers.enter(self.cell.live()?);
        Ok(())
    }

    /// Whether a get may succeed, or fail for good, at this moment.
    pub fn is_readable(&self) -> bool {
        self.cell.is_readable()
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

/// The bound's word.
fn bound_of(options: &QueueOptions) -> Result<u32> {
    let largest = (1u32 << 31) - 1;
    match options.maxsize {
        ..=0 => Ok(UNBOUNDED),
        size => u32::try_from(size).ok().filter(|n| *n <= largest).ok_or_else(|| {
            Error::invalid(format!("maxsize is {size}; the largest bound of a queue is {largest}"))
        }),
    }
}

pub(super) fn closed() -> Error {
    Error::new(Status::Closed, "the queue is closed")
}

pub(super) fn full(ended: Ended) -> Error {
    match ended {
        Ended::TimedOut => Error::new(Status::Full, "the queue is full"),
        Ended::Cancelled => crate::sync::ended(ended, ""),
    }
}

pub(super) fn empty(ended: Ended) -> Error {
    match ended {
        Ended::TimedOut => Error::new(Status::Empty, "the queue is empty"),
        Ended::Cancelled => crate::sync::ended(ended, ""),
    }
}
