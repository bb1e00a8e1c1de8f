//! Putting.

use super::cell::QueueCell;
use super::queue::{closed, full, Queue};
use super::ring::{Body, Position, Ring};
use crate::arena::held::kind;
use crate::arena::wait::Waiter;
use crate::arena::{event, Arena, Block, BlockRef, SMALL};
use crate::error::Result;
use crate::fault;
use crate::sys::clock::Deadline;
use crate::sys::prim::Ordering;

impl Queue {
    /// Puts a copy of `bytes`. When it returns the message is there for every getter, whatever becomes of this
    /// process.
    pub fn put(&self, bytes: &[u8], deadline: Deadline) -> Result<()> {
        let arena = self.cell.live()?;
        if bytes.len() <= SMALL {
            return self.put_body(arena, Body::Bytes(bytes), None, deadline);
        }
        self.put_long(arena, bytes, deadline)
    }

    #[inline(never)]
    fn put_long(&self, arena: &'static Arena, bytes: &[u8], deadline: Deadline) -> Result<()> {
        let cell = self.cell.body();
        // Before the copy is made.
        if cell.is_closed() {
            return Err(closed());
        }
        if deadline == Deadline::Now && !cell.is_writable() {
            return Err(full(Waiter::new(arena, deadline).try_ended()));
        }
        let block = arena.allocate(bytes.len() as u64, false)?;
        arena.write(arena.data_offset(block.reference()), bytes);
        let body = Body::Block(block.reference(), bytes.len() as u64);
        self.put_body(arena, body, Some(&block), deadline)?;
        block.surrender();
        Ok(())
    }

    #[inline(always)]
    fn put_body(
        &self,
        arena: &'static Arena,
        body: Body<'_>,
        block: Option<&Block>,
        deadline: Deadline,
    ) -> Result<()> {
        if self.try_put(arena, body, block, deadline)? {
            return Ok(());
        }
        self.put_when_room(arena, body, block, deadline)
    }

    /// Puts, unless the queue is full: then it answers false.
    #[inline(always)]
    fn try_put(
        &self,
        arena: &'static Arena,
        body: Body<'_>,
        block: Option<&Block>,
        deadline: Deadline,
    ) -> Result<bool> {
        let cell = self.cell.body();
        let turn = cell.turn(arena, &cell.tail, deadline).map_err(full)?;
        if cell.is_closed() {
            return Err(closed());
        }
        let tail = cell.tail.position();
        if cell.is_full(tail) {
            return Ok(false);
        }
        let ring = self.room_for(arena, tail, body, deadline)?;
        self.commit_put(ring, tail, body, block);
        let filled = cell.may_be_filled();
        drop(turn);
        cell.events.message.announce(arena);
        if filled {
            cell.events.room.watchers.ring_after_exchange(arena);
        }
        Ok(true)
    }

    #[cold]
    fn put_when_room(
        &self,
        arena: &'static Arena,
        body: Body<'_>,
        block: Option<&Block>,
        deadline: Deadline,
    ) -> Result<()> {
        let cell = self.cell.body();
        let room = &cell.events.room;
        let mut waiter = Waiter::new(arena, deadline).spinning_for_more(&room.spin);
        if deadline == Deadline::Now {
            return Err(full(waiter.try_ended()));
        }
        let put = loop {
            let ready = || cell.is_writable().then_some(());
            if let Err(ended) = event::await_change(&room.word, &mut waiter, ready) {
                break Err(full(ended));
            }
            match self.try_put(arena, body, block, deadline) {
                Ok(false) => {}
                result => break result.map(drop),
            }
        };
        event::pass_on(&room.word, &waiter, || cell.is_writable());
        put
    }

    #[inline]
    fn commit_put(&self, ring: Ring<'_>, tail: Position, body: Body<'_>, block: Option<&Block>) {
        let next = ring.write(tail, body);
        if let Some(block) = block {
            block.entry().turn(kind::QUEUE_PUT, self.cell.reference().bits(), tail.0);
        }
        fault!("queue.put:written");
        self.cell.tail.advance(next);
        fault!("queue.put:committed");
        if let Some(block) = block {
            block.entry().become_kind(kind::FREE);
        }
    }

    /// The ring, grown if the message does not fit. The caller has the tail's turn.
    #[inline]
    fn room_for<'a>(
        &'a self,
        arena: &'static Arena,
        tail: Position,
        body: Body<'_>,
        deadline: Deadline,
    ) -> Result<Ring<'a>> {
        let cell: &QueueCell = self.cell.body();
        let ring = Ring::of(arena, BlockRef::from_bits(cell.ring.load(Ordering::Acquire)));
        match ring {
            Some(ring)
                if ring.fits(cell.tail.seen(), tail, body)
                    || ring.fits(cell.tail.look(&cell.head), tail, body) =>
            {
                Ok(ring)
            }
            ring => self.grow(arena, ring, tail, body, deadline),
        }
    }

    #[cold]
    fn grow<'a>(
        &'a self,
        arena: &'static Arena,
        old: Option<Ring<'_>>,
        tail: Position,
        body: Body<'_>,
        deadline: Deadline,
    ) -> Result<Ring<'a>> {
        let cell = self.cell.body();
        let units = Ring::units_for(old, cell.head.position(), tail, body)?;
        let block = arena.allocate(Ring::block_bytes(units), false)?;
        let ring = Ring::make(arena, block.reference(), units);
        let _head = cell.turn(arena, &cell.head, deadline).map_err(full)?;
        if let Some(old) = old {
            old.copy_to(&ring, cell.head.position(), tail);
        }
        let before = cell.ring.load(Ordering::Relaxed);
        let (new, entry_index) = block.into_parts();
        let entry = arena.my_entry(entry_index);
        entry.turn(kind::QUEUE_RING, self.cell.reference().bits(), before);
        fault!("queue.grow:prepared");
        cell.ring.store(new.bits(), Ordering::Release);
        fault!("queue.grow:exchanged");
        arena.give_back(BlockRef::from_bits(before), entry);
        arena.return_entry(entry_index);
        Ok(ring)
    }
}
