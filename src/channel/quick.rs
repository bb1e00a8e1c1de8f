//! The short way of the commonest calls: a short message into a ring, or out of it, when the turn is free, there is room or
//! a message, and nothing else is to be done. Whatever is not so is left to the long way, which tells what is wrong.
//!
//! What is written is the same, in the same order, as in `put.rs` and `get.rs`; the steps are in `ends.rs`.

use super::queue::Queue;
use super::words::{rule, Turn, Words};
use crate::arena::{Arena, SMALL};

impl Queue {
    /// Whether the message has been put.
    #[inline(always)]
    pub fn put_quickly(&self, bytes: &[u8]) -> bool {
        let (arena, words) = self.parts();
        if bytes.len() > SMALL || words.is(rule::STORE | rule::BYTES) {
            return false;
        }
        let Some(turn) = words.free_turn(arena, &words.tail) else { return false };
        if !words.put_short(arena, bytes) {
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
        let short = words.first_short(arena)?;
        let record = self.quick_record(turn)?;
        arena.copy_out(short.offset, into.get_mut(..short.length)?);
        words.take_run(Some(record), 1, short.head, short.next);
        Some(short.length)
    }
}
