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

use super::ring::{Body, Found, Position, Ring};
use crate::arena::doorbell::Watchers;
use crate::arena::held::kind;
use crate::arena::layout::shared;
use crate::arena::wait::{self, Waiter};
use crate::arena::word::{self, Acquired, Ended};
use crate::arena::{
    event, Arena, Block, BlockRef, Buffer, Holder, Object, ObjectHead, ObjectKind, Token, SMALL,
};
use crate::error::{Error, Result, Status};
use crate::fault;
use crate::sys::clock::Deadline;
use crate::sys::prim::{AtomicU32, AtomicU64, Futex, Ordering};

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

/// One end of a queue, on cache lines of its own.
#[repr(C, align(64))]
#[derive(Debug)]
pub(super) struct End {
    lock: Futex,
    watch: AtomicU32,
    spin: AtomicU32,
    /// Those who wait for this end's next turn: getters at the head, putters at the tail.
    event: Futex,
    pub(super) position: AtomicU64,
    event_spin: AtomicU32,
    watchers: Watchers,
}

/// A queue's words in the arena.
#[repr(C)]
#[derive(Debug)]
pub(super) struct QueueCell {
    head_of_object: ObjectHead,
    /// The largest number of messages, `u32::MAX` for no bound.
    bound: AtomicU32,
    closed: AtomicU32,
    pub(super) ring: AtomicU64,
    pub(super) tail: End,
    pub(super) head: End,
}

shared!(QueueCell);

// SAFETY: repr(C), begins with an ObjectHead, and is Shared.
unsafe impl Object for QueueCell {
    const KIND: ObjectKind = ObjectKind::Queue;
}

impl QueueCell {
    pub(super) fn tail_position(&self) -> Position {
        Position(self.tail.position.load(Ordering::Acquire))
    }

    pub(super) fn head_position(&self) -> Position {
        Position(self.head.position.load(Ordering::Acquire))
    }

    fn len(&self) -> u32 {
        // The head first: read in this order the difference is never negative.
        let head = self.head_position().ordinal();
        self.tail_position().ordinal().wrapping_sub(head)
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire) != 0
    }

    fn is_full(&self) -> bool {
        self.len() >= self.bound.load(Ordering::Relaxed)
    }
}

/// Holds the lock of one end.
struct Turn<'a> {
    arena: &'a Arena,
    end: &'a End,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        wait::release(self.arena, &self.end.lock);
    }
}

/// A queue that processes share.
#[derive(Debug)]
pub struct Queue {
    cell: Holder<QueueCell>,
}

/// A lock's holder works on a few lines or is dead: a try waits this long for it rather than say "full".
const SHORT: i64 = 1_000_000_000;

impl Queue {
    /// An empty queue.
    pub fn new(options: &QueueOptions) -> Result<Queue> {
        let bound = match options.maxsize {
            ..=0 => u32::MAX,
            size => u32::try_from(size).ok().filter(|n| *n < 1 << 31).ok_or_else(|| {
                Error::invalid(format!(
                    "maxsize is {size}; the largest bound of a queue is {}",
                    (1u32 << 31) - 1
                ))
            })?,
        };
        let cell = Holder::new(Arena::get()?, |cell: &QueueCell| cell.bound.store(bound, Ordering::Relaxed))?;
        Ok(Queue { cell })
    }

    #[inline]
    fn turn<'a>(
        &'a self,
        arena: &'a Arena,
        end: &'a End,
        deadline: Deadline,
    ) -> std::result::Result<Turn<'a>, Ended> {
        if word::try_acquire(&end.lock, arena.me().bits()) {
            return Ok(Turn { arena, end });
        }
        self.turn_slowly(arena, end, deadline)
    }

    #[cold]
    fn turn_slowly<'a>(
        &'a self,
        arena: &'a Arena,
        end: &'a End,
        deadline: Deadline,
    ) -> std::result::Result<Turn<'a>, Ended> {
        let least = Deadline::after(SHORT);
        let deadline = match (deadline, least) {
            (Deadline::Never, _) => deadline,
            (Deadline::At(t), Deadline::At(l)) if t > l => deadline,
            _ => least,
        };
        let acquired = wait::acquire(arena, &end.lock, &end.watch, &end.spin, deadline)?;
        let turn = Turn { arena, end };
        if acquired == Acquired::OwnerDead {
            arena.await_all_settled();
        }
        Ok(turn)
    }

    /// Puts a copy of `bytes`. When it returns the message is there for every getter, whatever becomes of this
    /// process.
    pub fn put(&self, bytes: &[u8], deadline: Deadline) -> Result<()> {
        let arena = Arena::get()?;
        if bytes.len() <= SMALL {
            return self.put_body(arena, Body::Bytes(bytes), None, deadline);
        }
        if self.cell.is_closed() {
            return Err(closed());
        }
        let block = arena.allocate(bytes.len() as u64, false)?;
        arena.write(arena.data_offset(block.reference()), bytes);
        let body = Body::Block(block.reference(), bytes.len() as u64);
        self.put_body(arena, body, Some(block), deadline)
    }

    fn put_body(
        &self,
        arena: &'static Arena,
        body: Body<'_>,
        block: Option<Block>,
        deadline: Deadline,
    ) -> Result<()> {
        let mut waiter = Waiter::new(arena, deadline).spinning(&self.cell.body().tail.event_spin);
        let put = self.put_when_room(arena, body, &mut waiter, block.as_ref(), deadline);
        event::pass_on(&self.cell.tail.event, &waiter, || !self.cell.is_full() || self.cell.is_closed());
        put?;
        if let Some(block) = block {
            block.surrender();
        }
        self.announce(arena, &self.cell.head, 1);
        Ok(())
    }

    fn put_when_room(
        &self,
        arena: &'static Arena,
        body: Body<'_>,
        waiter: &mut Waiter<'_>,
        block: Option<&Block>,
        deadline: Deadline,
    ) -> Result<()> {
        let cell = self.cell.body();
        loop {
            let turn = self.turn(arena, &cell.tail, deadline).map_err(full)?;
            if cell.is_closed() {
                return Err(closed());
            }
            if !cell.is_full() {
                let ring = self.room_for(arena, &turn, body)?;
                self.commit_put(ring, body, block);
                return Ok(());
            }
            drop(turn);
            let room = || (!cell.is_full() || cell.is_closed()).then_some(());
            event::await_change(&cell.tail.event, waiter, room).map_err(full)?;
        }
    }

    fn commit_put(&self, ring: Ring<'_>, body: Body<'_>, block: Option<&Block>) {
        let tail = self.cell.tail_position();
        let next = ring.write(tail, body);
        if let Some(block) = block {
            block.entry().turn(kind::QUEUE_PUT, self.cell.reference().bits(), tail.0);
        }
        fault!("queue.put:written");
        self.cell.tail.position.store(next.0, Ordering::Release);
        fault!("queue.put:committed");
        if let Some(block) = block {
            block.entry().become_kind(kind::FREE);
        }
    }

    /// The ring, grown if the message does not fit. The caller has the tail's turn.
    fn room_for<'a>(&'a self, arena: &'static Arena, _tail: &Turn<'_>, body: Body<'_>) -> Result<Ring<'a>> {
        let ring = Ring::of(arena, BlockRef::from_bits(self.cell.ring.load(Ordering::Acquire)));
        match ring {
            Some(ring) if ring.fits(self.cell.head_position(), self.cell.tail_position(), body) => Ok(ring),
            ring => self.grow(arena, ring, body),
        }
    }

    #[cold]
    fn grow<'a>(&'a self, arena: &'static Arena, old: Option<Ring<'_>>, body: Body<'_>) -> Result<Ring<'a>> {
        let units = Ring::units_for(old, self.cell.head_position(), self.cell.tail_position(), body)?;
        let block = arena.allocate(Ring::block_bytes(units), false)?;
        let ring = Ring::make(arena, block.reference(), units);
        let _head = self.turn(arena, &self.cell.head, Deadline::Never).map_err(full)?;
        if let Some(old) = old {
            old.copy_to(&ring, self.cell.head_position(), self.cell.tail_position());
        }
        let before = self.cell.ring.load(Ordering::Relaxed);
        let (new, entry_index) = block.into_parts();
        let entry = arena.my_entry(entry_index);
        entry.turn(kind::QUEUE_RING, self.cell.reference().bits(), before);
        fault!("queue.grow:prepared");
        self.cell.ring.store(new.bits(), Ordering::Release);
        fault!("queue.grow:exchanged");
        arena.give_back(BlockRef::from_bits(before), entry);
        arena.return_entry(entry_index);
        Ok(ring)
    }

    /// Wakes those who wait for a turn at the other end.
    #[inline]
    fn announce(&self, arena: &Arena, end: &End, n: u32) {
        wait::notify(arena, &end.event, n);
        end.watchers.ring(arena);
    }

    /// Takes the next message.
    pub fn get(&self, deadline: Deadline) -> Result<Buffer> {
        self.with_next(deadline, |arena, found, next| match found {
            Found::Bytes(offset, length) => {
                let buffer = Buffer::copy_small(arena, offset, length);
                self.commit_get(next);
                Ok(buffer)
            }
            Found::Block(block, length) => {
                Buffer::around(self.take_block(arena, block, next, kind::BLOCK)?, length)
            }
        })
    }

    /// Copies the next message into `into` and says how long it is. If it does not fit, it stays, and its length
    /// is in the first part of the answer.
    pub fn get_into(&self, into: &mut [u8], deadline: Deadline) -> Result<(usize, Result<()>)> {
        let taken = self.with_next(deadline, |arena, found, next| {
            let length = found.len();
            if length > into.len() {
                return Ok((length, None, false));
            }
            match found {
                Found::Bytes(offset, _) => {
                    arena.copy_out(offset, &mut into[..length]);
                    self.commit_get(next);
                    Ok((length, None, true))
                }
                Found::Block(block, _) => {
                    Ok((length, Some(self.take_block(arena, block, next, kind::PRIVATE)?), true))
                }
            }
        });
        let (length, block, taken) = taken?;
        if !taken {
            let text = format!("the message has {length} bytes, the buffer {}", into.len());
            return Ok((length, Err(Error::new(Status::TooLarge, text))));
        }
        if let Some(block) = block {
            block.arena().copy_out(block.arena().data_offset(block.reference()), &mut into[..length]);
        }
        Ok((length, Ok(())))
    }

    /// Waits for the next message and takes it under the head's turn.
    #[inline]
    fn with_next<T>(
        &self,
        deadline: Deadline,
        take: impl FnOnce(&'static Arena, Found, Position) -> Result<T>,
    ) -> Result<T> {
        let arena = Arena::get()?;
        let cell = self.cell.body();
        let mut waiter = Waiter::new(arena, deadline).spinning(&cell.head.event_spin);
        let taken = self
            .next_message(arena, &mut waiter, deadline)
            .and_then(|(_turn, found, next)| take(arena, found, next));
        event::pass_on(&cell.head.event, &waiter, || cell.len() > 0 || cell.is_closed());
        if taken.is_ok() && cell.bound.load(Ordering::Relaxed) != u32::MAX {
            self.announce(arena, &cell.tail, 1);
        }
        taken
    }

    fn commit_get(&self, next: Position) {
        fault!("queue.get:copied");
        self.cell.head.position.store(next.0, Ordering::Release);
        fault!("queue.get:committed");
    }

    /// Takes the message's block into the held table, and the message out of the queue.
    fn take_block(
        &self,
        arena: &'static Arena,
        block: BlockRef,
        next: Position,
        as_kind: u32,
    ) -> Result<Block> {
        let entry_index = arena.new_entry(block)?;
        let entry = arena.my_entry(entry_index);
        let head = self.cell.head_position();
        entry.turn(kind::QUEUE_TAKE, self.cell.reference().bits(), head.0);
        fault!("queue.get:noted");
        self.cell.head.position.store(next.0, Ordering::Release);
        fault!("queue.get:taken");
        entry.become_kind(as_kind);
        Ok(Block::adopt(arena, block, entry_index))
    }

    /// Waits for the next message and keeps the head's turn.
    fn next_message(
        &self,
        arena: &'static Arena,
        waiter: &mut Waiter<'_>,
        deadline: Deadline,
    ) -> Result<(Turn<'_>, Found, Position)> {
        let cell = self.cell.body();
        loop {
            let turn = self.turn(arena, &cell.head, deadline).map_err(empty)?;
            // Closed first: what was put before the close is then seen by the look at the tail.
            let is_closed = cell.is_closed();
            if cell.len() > 0 {
                let ring = Ring::of(arena, BlockRef::from_bits(cell.ring.load(Ordering::Acquire)))
                    .ok_or_else(|| Error::internal("a queue has messages but no ring"))?;
                let (found, next) = ring.read(cell.head_position())?;
                return Ok((turn, found, next));
            }
            drop(turn);
            if is_closed {
                return Err(closed());
            }
            let message = || (cell.len() > 0 || cell.is_closed()).then_some(());
            event::await_change(&cell.head.event, waiter, message).map_err(empty)?;
        }
    }

    /// How many messages are in the queue at this moment.
    pub fn size(&self) -> Result<usize> {
        Arena::get()?;
        Ok(self.cell.len() as usize)
    }

    /// Closes the queue for all processes: puts fail from now on, gets drain it and then fail.
    pub fn close(&self) -> Result<()> {
        let arena = Arena::get()?;
        if self.cell.is_closed() {
            return Ok(());
        }
        let turn = self.turn(arena, &self.cell.tail, Deadline::Never).map_err(full)?;
        self.cell.closed.store(1, Ordering::Release);
        fault!("queue.close:closed");
        drop(turn);
        self.announce(arena, &self.cell.head, u32::MAX);
        self.announce(arena, &self.cell.tail, u32::MAX);
        Ok(())
    }

    /// Enters this process among those whose bell rings when a get may succeed.
    pub fn watch_messages(&self) -> Result<()> {
        self.cell.head.watchers.enter(Arena::get()?);
        Ok(())
    }

    /// Whether a get may succeed, or fail for good, at this moment.
    pub fn is_readable(&self) -> bool {
        self.cell.len() > 0 || self.cell.is_closed()
    }

    /// The queue's token.
    pub fn token(&self) -> Token {
        self.cell.token()
    }

    /// The queue that a token names.
    pub fn from_token(token: &Token) -> Result<Queue> {
        Ok(Queue { cell: Holder::from_token(Arena::get()?, token)? })
    }
}

fn closed() -> Error {
    Error::new(Status::Closed, "the queue is closed")
}

fn full(ended: Ended) -> Error {
    match ended {
        Ended::TimedOut => Error::new(Status::Full, "the queue is full"),
        Ended::Cancelled => crate::sync::ended(ended, ""),
    }
}

fn empty(ended: Ended) -> Error {
    match ended {
        Ended::TimedOut => Error::new(Status::Empty, "the queue is empty"),
        Ended::Cancelled => crate::sync::ended(ended, ""),
    }
}
