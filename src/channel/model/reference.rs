//! What a queue is meant to be: plain collections, and the contract's rules.

use super::super::{Overflow, QueueKind, QueueOptions};
use crate::error::Status;

/// A message, and where its memory is if its getter is to find it there.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) priority: i64,
    pub(super) bytes: Vec<u8>,
    pub(super) address: Option<usize>,
}

/// A queue as it should be.
#[derive(Debug)]
pub(super) struct Reference {
    options: QueueOptions,
    /// What is in it, in the order of the puts.
    pub(super) here: Vec<Message>,
    /// The lengths that are reserved.
    pub(super) reserved: Vec<usize>,
    pub(super) unfinished: usize,
    pub(super) closed: bool,
    /// Of a queue that redelivers: acknowledgements for which `task_done` may be called as well, or, if negative, the
    /// other way round.
    credit: i64,
}

impl Reference {
    pub(super) fn new(options: &QueueOptions) -> Reference {
        Reference {
            options: *options,
            here: Vec::new(),
            reserved: Vec::new(),
            unfinished: 0,
            closed: false,
            credit: 0,
        }
    }

    fn fits(&self, here: &[Message], length: usize) -> bool {
        let bytes = here.iter().map(|message| message.bytes.len()).sum::<usize>()
            + self.reserved.iter().sum::<usize>()
            + length;
        (self.options.maxsize <= 0 || here.len() + self.reserved.len() < self.options.maxsize as usize)
            && (self.options.max_bytes == 0 || bytes as u64 <= self.options.max_bytes)
    }

    /// Whether a message of no length could be put.
    pub(super) fn is_writable(&self) -> bool {
        let here = if self.options.overflow == Overflow::DropOldest { &[] } else { &self.here[..] };
        self.closed || self.fits(here, 0)
    }

    /// Makes room for a message: what a put or a reservation answers.
    pub(super) fn make_room(&mut self, length: usize) -> Result<(), Status> {
        if self.closed {
            return Err(Status::Closed);
        }
        if self.options.max_bytes != 0 && length as u64 > self.options.max_bytes {
            return Err(Status::TooLarge);
        }
        if self.options.overflow == Overflow::DropOldest && self.fits(&[], length) {
            while !self.fits(&self.here, length) {
                self.here.remove(0);
                self.unfinished = self.unfinished.saturating_sub(1);
            }
        }
        if self.fits(&self.here, length) {
            Ok(())
        } else {
            Err(Status::Full)
        }
    }

    /// The message is there, for which there was room.
    pub(super) fn push(&mut self, message: Message) {
        self.here.push(message);
        self.unfinished += 1;
    }

    pub(super) fn put(&mut self, message: Message) -> Result<(), Status> {
        self.make_room(message.bytes.len())?;
        self.push(message);
        Ok(())
    }

    /// Which message leaves next, or what a get answers.
    pub(super) fn next(&self) -> Result<usize, Status> {
        let places = 0..self.here.len();
        let next = match self.options.kind {
            QueueKind::Fifo => places.min(),
            QueueKind::Lifo => places.max(),
            QueueKind::Priority => places.min_by_key(|place| (self.here[*place].priority, *place)),
        };
        next.ok_or(if self.closed { Status::Closed } else { Status::Empty })
    }

    pub(super) fn get(&mut self) -> Result<Message, Status> {
        self.next().map(|place| self.here.remove(place))
    }

    pub(super) fn task_done(&mut self) -> Result<(), Status> {
        if self.options.redeliver && self.credit > 0 {
            self.credit -= 1;
            return Ok(());
        }
        self.unfinished = self.unfinished.checked_sub(1).ok_or(Status::Overflow)?;
        self.credit -= 1;
        Ok(())
    }

    pub(super) fn acknowledge(&mut self) {
        self.credit += 1;
        if self.credit > 0 {
            self.unfinished = self.unfinished.saturating_sub(1);
        }
    }

    pub(super) fn join(&self) -> Result<(), Status> {
        if self.unfinished == 0 {
            Ok(())
        } else {
            Err(Status::Timeout)
        }
    }
}
