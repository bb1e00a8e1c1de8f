//! Reservations: a message that is written in place, in the memory in which its getter will read it.

use super::put::Message;
use super::queue::Queue;
use super::words::rule;
use crate::arena::{Block, SMALL};
use crate::error::{Error, Result};
use crate::sys::clock::Deadline;

/// Memory for a message, and room for it in its queue. Dropping it gives both back.
///
/// It belongs to the process that made it: to a forked child it is nothing.
#[derive(Debug)]
pub struct Reservation {
    queue: Queue,
    block: Option<Block>,
    length: usize,
    /// Its record, in a bounded queue.
    number: Option<u32>,
    home: u32,
}

impl Queue {
    /// Reserves room for a message of `length` bytes and the memory for it, whose bytes are whatever they are.
    pub fn reserve(&self, length: usize, deadline: Deadline) -> Result<Reservation> {
        let port = self.port()?;
        port.check_open(length as u64)?;
        let queue = self.again()?;
        let block = port.arena.allocate((length as u64).max(1), false)?;
        let home = port.arena.me().bits();
        let reservation = |number| Reservation { queue, block: Some(block), length, number, home };
        if !port.words.is(rule::BOUNDED) {
            return Ok(reservation(None));
        }
        let attempt = || {
            let turn = port.put_turn(deadline)?;
            if !port.may_put(&turn, Message::of_length(length), deadline)? {
                return Ok(None);
            }
            port.note_reservation(&turn, length as u64).map(Some)
        };
        let number = match attempt()? {
            Some(number) => number,
            None => self.after_put(port.await_room(length as u64, deadline, attempt))?,
        };
        // It may have been the last room there was.
        port.words.events.room.watchers.ring_after_exchange(port.arena);
        Ok(reservation(Some(number)))
    }
}

impl Reservation {
    /// Where the message is to be written.
    pub fn data(&self) -> *mut u8 {
        self.block.as_ref().map_or(std::ptr::null_mut(), Block::data)
    }

    /// Puts the first `length` bytes as a message; without a length, all.
    pub fn commit(mut self, length: Option<usize>) -> Result<()> {
        self.check_home()?;
        let length = length.unwrap_or(self.length);
        if length > self.length {
            let text = format!("{length} bytes are to be put, of {} that were reserved", self.length);
            return Err(Error::invalid(text));
        }
        let Some(block) = self.block.take() else {
            return Err(Error::internal("a reservation without memory"));
        };
        let port = self.queue.port()?;
        let number = self.number;
        if length <= port.most_inline().min(SMALL) {
            let bytes = port.arena.read(port.arena.data_offset(block.reference()), length as u64);
            port.put_message(Message { reserved: number, ..Message::of_bytes(bytes, 0) }, Deadline::Never)?;
        } else {
            let message = Message::of_block(&block, length as u64, 0);
            port.put_message(Message { reserved: number, ..message }, Deadline::Never)?;
            block.surrender();
        }
        self.number = None;
        Ok(())
    }

    fn check_home(&self) -> Result<()> {
        if self.queue.port()?.arena.me().bits() == self.home {
            return Ok(());
        }
        Err(Error::state("the reservation belongs to the process that made it"))
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let (Some(number), Ok(port)) = (self.number, self.queue.port()) else { return };
        if port.arena.me().bits() != self.home {
            return;
        }
        // Whoever is cancelled may not keep it: as long as this process lives, nobody else would have the room.
        let turn = loop {
            if let Ok(turn) = port.put_turn(Deadline::Never) {
                break turn;
            }
        };
        port.end_reservation(&turn, number, 0);
        drop(turn);
        port.words.announce_get(port.arena, 1, false);
    }
}
