//! Getting.

use super::queue::{closed, empty, Queue};
use super::ring::{Found, Position, Ring};
use crate::arena::held::kind;
use crate::arena::wait::Waiter;
use crate::arena::{event, Arena, Block, BlockRef, Buffer};
use crate::error::{Error, Result, Status};
use crate::fault;
use crate::sys::clock::Deadline;
use crate::sys::prim::Ordering;

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
fn too_large(length: usize, room: usize) -> Error {
    Error::new(Status::TooLarge, format!("the message has {length} bytes, the buffer {room}"))
}

impl Queue {
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
        let mut length = 0;
        let taken = self.with_next(deadline, |arena, found, next| {
            length = found.len();
            if length > into.len() {
                return Ok(Taken::Nothing);
            }
            match found {
                Found::Bytes(offset, _) => {
                    arena.copy_out(offset, &mut into[..length]);
                    self.commit_get(next);
                    Ok(Taken::Bytes)
                }
                Found::Block(block, _) => {
                    self.take_block(arena, block, next, kind::PRIVATE).map(Taken::Block)
                }
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
    fn with_next<T>(
        &self,
        deadline: Deadline,
        mut take: impl FnMut(&'static Arena, Found, Position) -> Result<T>,
    ) -> Result<T> {
        let arena = self.cell.live()?;
        match self.try_get(arena, deadline, &mut take)? {
            Some(taken) => Ok(taken),
            None => self.get_when_readable(arena, deadline, take),
        }
    }

    /// Takes the next message; `None` if there is none yet.
    #[inline(always)]
    fn try_get<T>(
        &self,
        arena: &'static Arena,
        deadline: Deadline,
        take: &mut impl FnMut(&'static Arena, Found, Position) -> Result<T>,
    ) -> Result<Option<T>> {
        let cell = self.cell.body();
        let turn = cell.turn(arena, &cell.head, deadline).map_err(empty)?;
        let head = cell.head.position();
        if head == cell.head.seen() {
            // Closed first: what was put before the close is then seen by the look at the tail.
            let is_closed = cell.is_closed();
            if head == cell.head.look(&cell.tail) {
                return if is_closed { Err(closed()) } else { Ok(None) };
            }
        }
        let ring = Ring::of(arena, BlockRef::from_bits(cell.ring.load(Ordering::Acquire)))
            .ok_or_else(|| Error::internal("a queue has messages but no ring"))?;
        let (found, next) = ring.read(head)?;
        let taken = take(arena, found, next)?;
        let drained = cell.may_be_drained();
        drop(turn);
        if cell.is_bounded() {
            cell.events.room.announce(arena);
        }
        if drained {
            cell.events.message.watchers.ring_after_exchange(arena);
        }
        Ok(Some(taken))
    }

    #[cold]
    fn get_when_readable<T>(
        &self,
        arena: &'static Arena,
        deadline: Deadline,
        mut take: impl FnMut(&'static Arena, Found, Position) -> Result<T>,
    ) -> Result<T> {
        let cell = self.cell.body();
        let message = &cell.events.message;
        let mut waiter = Waiter::new(arena, deadline).spinning_for_more(&message.spin);
        if deadline == Deadline::Now {
            return Err(empty(waiter.try_ended()));
        }
        let taken = loop {
            let ready = || cell.is_readable().then_some(());
            if let Err(ended) = event::await_change(&message.word, &mut waiter, ready) {
                break Err(empty(ended));
            }
            match self.try_get(arena, deadline, &mut take) {
                Ok(None) => {}
                Ok(Some(taken)) => break Ok(taken),
                Err(error) => break Err(error),
            }
        };
        event::pass_on(&message.word, &waiter, || cell.is_readable());
        taken
    }

    #[inline]
    fn commit_get(&self, next: Position) {
        fault!("queue.get:copied");
        self.cell.head.advance(next);
        fault!("queue.get:committed");
    }

    /// Takes the message's block into the held table, and the message out of the queue.
    #[inline(never)]
    fn take_block(
        &self,
        arena: &'static Arena,
        block: BlockRef,
        next: Position,
        as_kind: u32,
    ) -> Result<Block> {
        let entry_index = arena.new_entry(block)?;
        let entry = arena.my_entry(entry_index);
        let head = self.cell.head.position();
        entry.turn(kind::QUEUE_TAKE, self.cell.reference().bits(), head.0);
        fault!("queue.get:noted");
        self.cell.head.advance(next);
        fault!("queue.get:taken");
        entry.become_kind(as_kind);
        Ok(Block::adopt(arena, block, entry_index))
    }
}
