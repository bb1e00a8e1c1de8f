//! Many messages in one call: under one turn, by one commit, with one wake-up.

use super::port::Port;
use super::ring::{Found, Position};
use super::words::rule;
use crate::arena::held::kind;
use crate::arena::{Block, BlockRef, Buffer, EntryIndex};
use crate::error::Result;
use crate::sys::clock::Deadline;
use crate::sys::prim::Ordering;

/// Blocks that are being taken: each with its entry and the length of what is in it, and whose buffer it becomes.
type Blocks = Vec<(usize, BlockRef, EntryIndex, u64)>;

/// What [`Port::copy_run`] has copied.
#[derive(Default)]
struct Run {
    copied: usize,
    bytes: usize,
    /// There are more, which fit.
    more: bool,
}

impl Port<'_> {
    /// Puts copies of `n` messages, in this order, as many as there is room for in time: how many were put, and why not
    /// all.
    #[inline(never)]
    pub(super) fn put_many<'m>(
        &self,
        n: usize,
        message: impl Fn(usize) -> &'m [u8],
        deadline: Deadline,
    ) -> (usize, Result<()>) {
        // Where what there is is counted in bytes, or something may have to be dropped, one by one.
        let in_runs = !self.words.is(rule::STORE | rule::BYTES | rule::DROP);
        let mut done = 0;
        while done < n {
            let run = || match in_runs {
                true => self.put_run(n - done, |i| message(done + i), deadline),
                false => Ok(Some(0)),
            };
            let put = run().and_then(|put| match put {
                Some(put) => Ok(put),
                None => self.await_room(message(done).len() as u64, deadline, run),
            });
            let put = match put {
                // The next one is long, or needs a larger ring.
                Ok(0) => self.put(message(done), 0, deadline).map(|()| 1),
                put => put,
            };
            match put {
                Ok(more) => done += more,
                Err(error) => return (done, Err(error)),
            }
        }
        (done, Ok(()))
    }

    /// Puts as many of the first ones as are short and there is room for at this moment, by one commit; `None` if there
    /// is no room.
    #[inline(always)]
    fn put_run<'m>(
        &self,
        n: usize,
        message: impl Fn(usize) -> &'m [u8],
        deadline: Deadline,
    ) -> Result<Option<usize>> {
        let words = self.words;
        let turn = self.put_turn(deadline)?;
        if words.is_closed() {
            return Err(self.closed());
        }
        let Ok(ring) = self.ring() else { return Ok(Some(0)) };
        let put = words.put_run(ring, n, |tail, head| self.places_at(tail, head), message);
        if put == 0 {
            return Ok(self.has_room(0).then_some(0));
        }
        let filled = words.may_be_filled();
        drop(turn);
        words.announce_put(self.arena, put as u32, filled);
        Ok(Some(put))
    }

    /// Waits for a message, then takes what is there: at most `most` buffers.
    pub(super) fn get_many(&self, most: usize, deadline: Deadline) -> Result<Vec<Buffer>> {
        if self.words.is(rule::STORE | rule::BYTES) {
            let mut taken = vec![self.get(deadline)?];
            while taken.len() < most {
                let Ok(buffer) = self.get(Deadline::Now) else { break };
                taken.push(buffer);
            }
            return Ok(taken);
        }
        let attempt = || self.try_get_many(most, deadline);
        match attempt()? {
            Some(taken) => Ok(taken),
            None => self.await_message(deadline, attempt),
        }
    }

    fn try_get_many(&self, most: usize, deadline: Deadline) -> Result<Option<Vec<Buffer>>> {
        let turn = self.get_turn(deadline)?;
        let Some(start) = self.next_in_ring()? else { return Ok(None) };
        // What may fail comes before any block is named as about to be taken.
        let (ring, record) = (self.ring()?, self.record(&turn)?);
        let end = self.words.head.look(&self.words.tail);
        let (mut head, mut buffers, mut blocks) = (start, Vec::new(), Blocks::new());
        while head != end && buffers.len() < most {
            let (found, next) = match ring.read(head) {
                Err(error) if head == start => return Err(error),
                Err(_) => break,
                Ok(read) => read,
            };
            match found {
                Found::Bytes(offset, length) => {
                    buffers.push(Some(Buffer::copy_small(self.arena, offset, length)));
                }
                Found::Block(block, length) => match self.name_block(block, start.0) {
                    Err(error) if head == start => return Err(error),
                    Err(_) => break,
                    Ok(entry) => {
                        blocks.push((buffers.len(), block, entry, length));
                        buffers.push(None);
                    }
                },
            }
            head = next;
        }
        self.words.take_run(record, buffers.len() as u32, start, head);
        let drained = self.words.may_be_drained();
        drop(turn);
        for (number, block, entry, length) in blocks {
            self.arena.my_entry(entry).become_kind(kind::BLOCK);
            buffers[number] = Some(Buffer::around(Block::adopt(self.arena, block, entry), length)?);
        }
        self.words.announce_get(self.arena, buffers.len() as u32, drained);
        Ok(Some(buffers.into_iter().flatten().collect()))
    }

    /// Waits for a message, then copies what is there into `into`, one behind the other, and tells each one's number,
    /// place and length: at most `most`, and as many as fit. How many; or the length of the first one, which stays, if
    /// it does not fit.
    #[inline(never)]
    pub(super) fn get_many_into(
        &self,
        into: &mut [u8],
        most: usize,
        deadline: Deadline,
        mut tell: impl FnMut(usize, usize, usize),
    ) -> Result<(usize, Option<usize>)> {
        let in_runs = !self.words.is(rule::STORE | rule::BYTES);
        let (mut used, mut n) = (0, 0);
        while n < most {
            let mut attempt = || {
                self.copy_run(&mut into[used..], most - n, deadline, |number, place, length| {
                    tell(n + number, used + place, length);
                })
            };
            let run = match in_runs {
                true => match attempt() {
                    Ok(Some(run)) => Ok(run),
                    Ok(None) if n == 0 => self.await_message(deadline, attempt),
                    Ok(None) => break,
                    Err(error) => Err(error),
                },
                false => Ok(Run::default()),
            };
            match run {
                // It is long, or does not fit.
                Ok(Run { copied: 0, .. }) => {
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
                Ok(Run { copied, bytes, more }) => {
                    (used, n) = (used + bytes, n + copied);
                    if !more {
                        break;
                    }
                }
                Err(error) if n == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok((n, None))
    }

    /// Copies the short messages that are there, as far as they fit, by one commit; `None` if there is none at all.
    #[inline(always)]
    fn copy_run(
        &self,
        into: &mut [u8],
        most: usize,
        deadline: Deadline,
        mut tell: impl FnMut(usize, usize, usize),
    ) -> Result<Option<Run>> {
        let turn = self.get_turn(deadline)?;
        let Some(head) = self.next_in_ring()? else { return Ok(None) };
        let end = self.words.head.look(&self.words.tail);
        let record = self.record(&turn)?;
        let (mut used, mut number, mut full) = (0, 0, false);
        let (n, next) = self.ring()?.read_run((head, end), most, |offset, length| {
            let Some(place) = into.get_mut(used..used + length) else {
                full = true;
                return false;
            };
            self.arena.copy_out(offset, place);
            tell(number, used, length);
            (used, number) = (used + length, number + 1);
            true
        })?;
        if n > 0 {
            self.words.take_run(record, n as u32, head, next);
            let drained = self.words.may_be_drained();
            drop(turn);
            self.words.announce_get(self.arena, n as u32, drained);
        }
        Ok(Some(Run { copied: n, bytes: used, more: !full && next != end }))
    }

    /// How many messages may be put at `tail` into a ring whose head is seen at `head`, as far as they are counted.
    fn places_at(&self, tail: Position, head: Position) -> usize {
        if !self.words.is(rule::BOUNDED) {
            return usize::MAX;
        }
        let taken = tail.since(head);
        let bound = self.words.bound.load(Ordering::Relaxed);
        (bound.saturating_sub(self.reserved_places()).saturating_sub(taken)) as usize
    }
}
