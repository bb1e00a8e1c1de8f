//! The short way of the commonest calls: a short message into a ring, or out of it, when the turn is free, there is room or
//! a message, and nothing else is to be done. Whatever is not so is left to the long way, which tells what is wrong.
//!
//! What is written is the same, in the same order, as in `put.rs` and `get.rs`. Cache lines ahead are asked for early: the
//! exchange that gives a turn back waits until all that was written has its line from the other processor.

use super::queue::Queue;
use super::ring::{Body, Found, Ring};
use super::words::{rule, Turn, Words};
use crate::arena::{Arena, BlockRef, SMALL};
use crate::fault;
use crate::sys::prim::Ordering;

impl Queue {
    /// Whether the message has been put.
    #[inline(always)]
    pub fn put_quickly(&self, bytes: &[u8]) -> bool {
        let (arena, words) = self.parts();
        if bytes.len() > SMALL || words.is(rule::STORE | rule::BYTES) {
            return false;
        }
        let Some(turn) = words.free_turn(arena, &words.tail) else { return false };
        if !write(arena, words, bytes) {
            return false;
        }
        let filled = words.may_be_filled();
        drop(turn);
        words.announce_put(arena, 1, filled);
        true
    }

    /// The length of a message that has been copied into `into`.
    #[inline(always)]
    pub fn get_quickly(&self, into: &mut [u8]) -> Option<usize> {
        let (arena, words) = self.parts();
        if words.is(rule::STORE | rule::BYTES) {
            return None;
        }
        let turn = words.free_turn(arena, &words.head)?;
        let length = self.read(arena, words, &turn, into)?;
        let drained = words.may_be_drained();
        drop(turn);
        words.announce_get(arena, 1, drained);
        Some(length)
    }

    #[inline(always)]
    fn read(
        &self,
        arena: &'static Arena,
        words: &'static Words,
        turn: &Turn<'static>,
        into: &mut [u8],
    ) -> Option<usize> {
        let head = words.head.position();
        let mut end = words.head.seen();
        if head == end {
            end = words.head.look(&words.tail);
            if head == end {
                return None;
            }
        }
        let ring = Ring::of(arena, BlockRef::from_bits(words.ring.load(Ordering::Acquire)))?;
        let (Found::Bytes(offset, length), next) = ring.read(head).ok()? else { return None };
        let record = self.quick_record(turn)?;
        ring.expect_reads(next, end);
        arena.copy_out(offset, into.get_mut(..length)?);
        record.begin(1, head.0);
        fault!("queue.get:copied");
        words.head.advance(next);
        fault!("queue.get:committed");
        record.end();
        fault!("queue.get:counted");
        Some(length)
    }
}

/// Puts the message behind the tail, whose turn the caller has.
#[inline(always)]
fn write(arena: &'static Arena, words: &'static Words, bytes: &[u8]) -> bool {
    let tail = words.tail.position();
    let has_place = |head: super::ring::Position| {
        tail.ordinal().wrapping_sub(head.ordinal()) < words.bound.load(Ordering::Relaxed)
    };
    let Some(ring) = Ring::of(arena, BlockRef::from_bits(words.ring.load(Ordering::Acquire))) else {
        return false;
    };
    let body = Body::Bytes(bytes);
    let fits = |head| has_place(head) && ring.fits(head, tail, body);
    if ring.is_time_to_look(tail, body) && words.tail.look(&words.head) == tail {
        return false;
    }
    let reserved = words.reservations.load(Ordering::Relaxed) != 0;
    if words.is_closed() || reserved || !(fits(words.tail.seen()) || fits(words.tail.look(&words.head))) {
        return false;
    }
    let next = ring.write(tail, body);
    ring.expect_writes(next);
    fault!("queue.put:written");
    words.tail.advance(next);
    fault!("queue.put:committed");
    true
}
