//! Many messages in one call: under one turn, by one commit, with one wake-up.

use super::port::Port;
use super::put::Message;
use super::ring::{Found, Position};
use super::words::{rule, Turn};
use crate::arena::held::kind;
use crate::arena::{Block, BlockRef, Buffer, EntryIndex};
use crate::error::Result;
use crate::fault;
use crate::sys::clock::Deadline;

/// Blocks that are being taken: each with its entry and the length of what is in it, and whose buffer it becomes.
type Blocks = Vec<(usize, BlockRef, EntryIndex, u64)>;

/// What becomes of a message in [`Port::take_run`].
enum Verdict {
    /// It has been copied.
    Copied,
    /// It is to be taken as a block, for the buffer of this number.
    Block(usize),
    /// It stays, and so do those behind it.
    Enough,
}

impl Port<'_> {
    /// Puts copies of these messages, in this order, as many as there is room for in time: how many were put, and why
    /// not all.
    pub(super) fn put_many(&self, messages: &[&[u8]], deadline: Deadline) -> (usize, Result<()>) {
        let mut done = 0;
        while done < messages.len() {
            let rest = &messages[done..];
            let put = match self.is_run(rest[0]) {
                true => self.put_run(rest, deadline),
                false => self.put(rest[0], 0, deadline).map(|()| 1),
            };
            match put {
                // Of those that the room was for.
                Ok(0) => {
                    if let Err(error) = self.put(rest[0], 0, deadline) {
                        return (done, Err(error));
                    }
                    done += 1;
                }
                Ok(n) => done += n,
                Err(error) => return (done, Err(error)),
            }
        }
        (done, Ok(()))
    }

    /// Whether such a message may be put beside others by one commit: what bytes there are is counted one by one.
    fn is_run(&self, message: &[u8]) -> bool {
        !self.words.is(rule::STORE | rule::BYTES | rule::DROP) && message.len() <= self.most_inline()
    }

    /// Puts as many of the first ones as there is room for at this moment.
    fn put_run(&self, messages: &[&[u8]], deadline: Deadline) -> Result<usize> {
        let turn = self.put_turn(deadline)?;
        let words = self.words;
        let mut tail = words.tail.position();
        let mut n = 0;
        for bytes in messages.iter().take_while(|bytes| self.is_run(bytes)) {
            let message = Message::of_bytes(bytes, 0);
            if n == 0 {
                if !self.may_put(&turn, message, deadline)? {
                    return Ok(0);
                }
            } else if words.is(rule::BOUNDED) && !self.has_place_at(tail) {
                break;
            }
            let ring = match self.ring() {
                Ok(ring) if ring.fits(words.tail.seen(), tail, message.body) => ring,
                _ => {
                    // What is before it must be there before the ring may grow.
                    self.commit_run(&mut n, tail);
                    match self.room_in_ring(tail, message.body, deadline) {
                        Ok(ring) => ring,
                        Err(_) if n > 0 => break,
                        Err(error) => return Err(error),
                    }
                }
            };
            tail = ring.write(tail, message.body);
            n += 1;
        }
        self.commit_run(&mut n, tail);
        drop(turn);
        words.events.message.announce(self.arena, n as u32);
        Ok(n)
    }

    #[inline]
    fn commit_run(&self, n: &mut usize, tail: Position) {
        if *n > 0 {
            fault!("queue.put:written");
            self.words.tail.advance(tail);
            fault!("queue.put:committed");
        }
    }

    /// Waits for a message, then takes what is there: at most `most` buffers.
    pub(super) fn get_many(&self, most: usize, deadline: Deadline) -> Result<Vec<Buffer>> {
        let one = |turn: Turn<'static>| -> Result<Vec<Buffer>> {
            drop(turn);
            Ok(vec![self.get(deadline)?])
        };
        let attempt = || {
            let turn = self.get_turn(deadline)?;
            if self.words.is(rule::STORE | rule::BYTES) {
                return one(turn).map(Some);
            }
            let mut buffers: Vec<Option<Buffer>> = Vec::new();
            let taken = self.take_run(&turn, most, |found| {
                Ok(match found {
                    Found::Bytes(offset, length) => {
                        buffers.push(Some(Buffer::copy_small(self.arena, offset, length)));
                        Verdict::Copied
                    }
                    Found::Block(..) => {
                        buffers.push(None);
                        Verdict::Block(buffers.len() - 1)
                    }
                })
            })?;
            let Some((n, blocks)) = taken else { return Ok(None) };
            drop(turn);
            buffers.truncate(n);
            for (number, block, entry, length) in blocks {
                self.arena.my_entry(entry).become_kind(kind::BLOCK);
                buffers[number] = Some(Buffer::around(Block::adopt(self.arena, block, entry), length)?);
            }
            if self.words.is(rule::BOUNDED) {
                self.announce_room(n as u32);
            }
            Ok(Some(buffers.into_iter().flatten().collect()))
        };
        let mut taken = match attempt()? {
            Some(taken) => taken,
            None => self.await_message(deadline, attempt)?,
        };
        if self.words.is(rule::STORE | rule::BYTES) {
            while taken.len() < most {
                match self.get(Deadline::Now) {
                    Ok(buffer) => taken.push(buffer),
                    Err(_) => break,
                }
            }
        }
        Ok(taken)
    }

    /// Waits for a message, then copies what is there into `into`, one behind the other, and tells each one's place
    /// and length: at most `most`, and as many as fit. If not even the first fits, it stays, and its length is in the
    /// error's place.
    pub(super) fn get_many_into(
        &self,
        into: &mut [u8],
        most: usize,
        deadline: Deadline,
        mut tell: impl FnMut(usize, usize, usize),
    ) -> Result<(usize, Option<usize>)> {
        if self.words.is(rule::STORE | rule::BYTES) {
            return self.get_each_into(into, most, deadline, tell);
        }
        let mut attempt = || {
            let turn = self.get_turn(deadline)?;
            let (mut used, mut n, mut long, mut too_long) = (0, 0, false, None);
            let taken = self.take_run(&turn, most, |found| {
                let length = found.len();
                let fits = length <= into.len() - used;
                Ok(match found {
                    Found::Bytes(offset, _) if fits => {
                        self.arena.copy_out(offset, &mut into[used..used + length]);
                        tell(n, used, length);
                        (used, n) = (used + length, n + 1);
                        Verdict::Copied
                    }
                    _ => {
                        long = n == 0 && fits;
                        too_long = (n == 0 && !fits).then_some(length);
                        Verdict::Enough
                    }
                })
            })?;
            drop(turn);
            if taken.is_none() {
                return Ok(None);
            }
            if n > 0 && self.words.is(rule::BOUNDED) {
                self.announce_room(n as u32);
            }
            Ok(Some((n, long, too_long)))
        };
        let (n, long, too_long) = match attempt()? {
            Some(taken) => taken,
            None => self.await_message(deadline, attempt)?,
        };
        if long {
            return self.get_each_into(into, 1, deadline, tell);
        }
        Ok((n, too_long))
    }

    /// The same, message by message.
    fn get_each_into(
        &self,
        into: &mut [u8],
        most: usize,
        deadline: Deadline,
        mut tell: impl FnMut(usize, usize, usize),
    ) -> Result<(usize, Option<usize>)> {
        let (mut used, mut n) = (0, 0);
        while n < most {
            let until = if n == 0 { deadline } else { Deadline::Now };
            match self.get_into(&mut into[used..], until) {
                Ok((length, Ok(()))) => {
                    tell(n, used, length);
                    (used, n) = (used + length, n + 1);
                }
                Ok((length, Err(_))) if n == 0 => return Ok((0, Some(length))),
                Err(error) if n == 0 => return Err(error),
                _ => break,
            }
        }
        Ok((n, None))
    }

    /// Takes messages from the ring by one commit, at most `most`, as `each` says of each: how many, and the blocks
    /// among them; `None` if there was no message. The caller has the head's turn.
    #[inline(always)]
    fn take_run(
        &self,
        turn: &Turn<'static>,
        most: usize,
        mut each: impl FnMut(Found) -> Result<Verdict>,
    ) -> Result<Option<(usize, Blocks)>> {
        let Some(start) = self.next_in_ring()? else { return Ok(None) };
        let words = self.words;
        let record = self.record(turn)?;
        let ring = self.ring()?;
        let mut end = words.head.look(&words.tail);
        if end == start {
            end = words.head.seen();
        }
        let (mut head, mut n, mut blocks) = (start, 0, Blocks::new());
        while head != end && n < most {
            let step = ring.read(head).and_then(|(found, next)| Ok((each(found)?, found, next)));
            match step {
                Ok((Verdict::Copied, _, next)) => head = next,
                Ok((Verdict::Block(number), Found::Block(block, length), next)) => {
                    match self.name_block(block, start) {
                        Ok(entry) => blocks.push((number, block, entry, length)),
                        Err(error) if n == 0 => return Err(error),
                        Err(_) => break,
                    }
                    head = next;
                }
                Ok(_) => break,
                Err(error) if n == 0 => return Err(error),
                Err(_) => break,
            }
            n += 1;
        }
        if n > 0 {
            if let Some(record) = record {
                record.begin(n as u32, start.0);
            }
            fault!("queue.get:copied");
            words.head.advance(head);
            fault!("queue.get:committed");
            if let Some(record) = record {
                record.end();
                fault!("queue.get:counted");
            }
        }
        Ok(Some((n, blocks)))
    }

    /// An entry for a block that is about to be taken, with others, from the head as it is.
    fn name_block(&self, block: BlockRef, start: Position) -> Result<EntryIndex> {
        let index = self.arena.new_entry(block)?;
        self.arena.my_entry(index).turn(kind::QUEUE_TAKE, self.arena.offset_of(self.words), start.0);
        Ok(index)
    }
}
