//! A channel as a process uses it: its words, and what the process knows of its own part.

use super::account::{Ledger, Mine, Record};
use super::connection::Side;
use super::words::{rule, Turn, Words};
use crate::arena::held::kind;
use crate::arena::word::Ended;
use crate::arena::{Arena, Block, BlockRef, EntryIndex};
use crate::error::{Error, Result, Status};
use crate::sys::clock::Deadline;

/// After so long a wait those are looked at whose death nobody else may notice: takers, reservers, the other end.
pub(super) const WATCH: i64 = 50_000_000;

/// What the channel is called in errors, what a wait for it that has run out is, and on whom it depends.
#[derive(Clone, Copy)]
pub(super) enum Face<'a> {
    Queue,
    Connection(&'a Side),
}

/// After the first short sleep, who waits looks so often whether anybody has the connection's other end.
const LOOK: i64 = 1_000_000_000;

/// A channel, for one call.
#[derive(Clone, Copy)]
pub(super) struct Port<'a> {
    pub(super) arena: &'static Arena,
    pub(super) words: &'static Words,
    pub(super) mine: &'a Mine,
    pub(super) face: Face<'a>,
}

impl Port<'_> {
    /// The turn of those who put.
    #[inline(always)]
    pub(super) fn put_turn(&self, deadline: Deadline) -> Result<Turn<'static>> {
        let turn = self.words.turn(self.arena, self.words.put_end(), deadline);
        turn.map_err(|ended| self.full(ended))
    }

    /// The turn of those who get.
    #[inline(always)]
    pub(super) fn get_turn(&self, deadline: Deadline) -> Result<Turn<'static>> {
        let turn = self.words.turn(self.arena, &self.words.head, deadline);
        turn.map_err(|ended| self.empty(ended))
    }

    /// Looks by a system call whether who has the head's turn has died, and mends what it was at.
    #[cold]
    pub(super) fn look_after_turn(&self) {
        self.words.mend_if(self.arena, |owner| owner != self.arena.me() && self.arena.investigate(owner));
    }

    /// How many messages there are.
    pub(super) fn size(&self) -> usize {
        self.words.mend_store(self.arena);
        self.words.len() as usize
    }

    /// The accounts, for who has the head's turn.
    #[inline(always)]
    pub(super) fn ledger<'t>(&self, turn: &'t Turn<'t>) -> Ledger<'t> {
        Ledger::new(self.arena, self.words, turn)
    }

    /// Where what this process takes is counted.
    #[inline(always)]
    pub(super) fn record(&self, turn: &Turn<'_>) -> Result<Option<&'static Record>> {
        if !self.words.is(rule::ACCOUNTS) {
            return Ok(None);
        }
        self.ledger(turn).mine(self.mine).map(Some)
    }

    /// Whether this process has closed its handle since the call began: the call is to end.
    #[inline]
    pub(super) fn is_left(&self) -> bool {
        matches!(self.face, Face::Connection(side) if side.is_left())
    }

    /// For who waits, while there is nothing: looks after those on whom a connection depends when it is time. When it is
    /// the next time.
    pub(super) fn look_after_peer(&self, look: Deadline) -> Deadline {
        match self.face {
            Face::Connection(side) if look.left() <= 0 => {
                side.look(self.arena);
                Deadline::after(LOOK)
            }
            _ => look,
        }
    }

    /// An entry that says that the block of the message at `at` is about to be taken.
    pub(super) fn name_block(&self, block: BlockRef, at: u64) -> Result<EntryIndex> {
        let index = self.arena.new_entry(block)?;
        self.arena.my_entry(index).turn(kind::QUEUE_TAKE, self.arena.offset_of(self.words), at);
        Ok(index)
    }

    /// The same for a message that nobody is to have, if it has a block: see [`Port::discard_block`].
    pub(super) fn name_block_if_any(&self, block: BlockRef, at: u64) -> Result<Option<EntryIndex>> {
        if block.is_none() {
            return Ok(None);
        }
        self.name_block(block, at).map(Some)
    }

    /// The message has been taken: its block goes back.
    pub(super) fn discard_block(&self, block: BlockRef, named: Option<EntryIndex>) {
        if let Some(index) = named {
            self.arena.my_entry(index).become_kind(kind::PRIVATE);
            drop(Block::adopt(self.arena, block, index));
        }
    }

    #[cold]
    pub(super) fn closed(&self) -> Error {
        match self.face {
            Face::Queue => Error::new(Status::Closed, "the queue is closed"),
            Face::Connection(_) => {
                Error::new(Status::Closed, "nobody has the connection's other end any more")
            }
        }
    }

    /// The error of a get when there will never be a message any more.
    #[cold]
    pub(super) fn drained(&self) -> Error {
        match self.face {
            Face::Queue => self.closed(),
            Face::Connection(_) => {
                Error::new(Status::End, "the connection's other end has gone, and all it sent is received")
            }
        }
    }

    #[cold]
    pub(super) fn full(&self, ended: Ended) -> Error {
        match (ended, self.face) {
            (Ended::Cancelled, _) => crate::sync::ended(ended, ""),
            (_, Face::Queue) => Error::new(Status::Full, "the queue is full"),
            (_, Face::Connection(_)) => {
                Error::new(Status::Timeout, "the other end does not receive, and the connection is full")
            }
        }
    }

    #[cold]
    pub(super) fn empty(&self, ended: Ended) -> Error {
        match (ended, self.face) {
            (Ended::Cancelled, _) => crate::sync::ended(ended, ""),
            (_, Face::Queue) => Error::new(Status::Empty, "the queue is empty"),
            (_, Face::Connection(_)) => Error::new(Status::Timeout, "no message has come"),
        }
    }
}
