//! Room: whether a message may be put into a bounded channel, what is reserved of it, and what is dropped for it.
//!
//! A reservation in a bounded queue is a record in a table beside the queue: owner word and length. The store of the
//! owner makes it, that of 0 ends it; a dead owner's counts no more. So killed between any two stores, there is either
//! a reservation or none, and nobody needs to settle it. The table is written under the turn of those who put.

use super::account::unfinished;
use super::port::Port;
use super::ring::{Found, Position};
use super::settle::replace_part;
use super::store::Store;
use super::words::{rule, Load, Turn, Words, UNBOUNDED};
use crate::arena::layout::shared;
use crate::arena::wait::may_glance;
use crate::arena::{event, Arena, BlockRef, Owner};
use crate::error::{Error, Result, Status};
use crate::fault;
use crate::sys::clock::Deadline;
use crate::sys::prim::{AtomicU32, AtomicU64, Ordering};

const FIRST: u64 = 7;

#[repr(C)]
#[derive(Debug)]
struct Reserved {
    owner: AtomicU32,
    pad: AtomicU32,
    length: AtomicU64,
}

shared!(Reserved);

fn table(arena: &'static Arena, words: &Words) -> &'static [Reserved] {
    let block = BlockRef::from_bits(words.reservations.load(Ordering::Acquire));
    if block.is_none() {
        return &[];
    }
    arena.slice_at(arena.data_offset(block), arena.room_of(block) as usize / size_of::<Reserved>())
}

/// What the living have reserved.
fn reserved(arena: &'static Arena, words: &Words) -> Load {
    let mut load = Load::default();
    for record in table(arena, words) {
        let owner = record.owner.load(Ordering::Acquire);
        if owner != 0 && !arena.is_dead(Owner::of_word(owner)) {
            load.messages += 1;
            load.bytes = load.bytes.saturating_add(record.length.load(Ordering::Relaxed));
        }
    }
    load
}

/// Looks by system calls at those who have reserved something. True if one of them has died.
fn investigate(arena: &'static Arena, words: &Words) -> bool {
    let owners = table(arena, words).iter().map(|record| record.owner.load(Ordering::Acquire));
    let others = owners.filter(|owner| *owner != 0 && *owner != arena.me().bits());
    // All of them: who is not looked at keeps its room.
    others.filter(|owner| arena.investigate(Owner::of_word(*owner))).count() > 0
}

/// Whether a message of this length may be put, or fail for good, as far as can be told without a turn. Where messages
/// are dropped for it, only what is reserved stands in its way.
pub(super) fn is_writable(arena: &'static Arena, words: &'static Words, length: u64) -> bool {
    words.mend_store(arena);
    if words.is_closed() || !words.is(rule::BOUNDED) {
        return true;
    }
    let load = match words.is(rule::DROP) {
        true => Load::default(),
        false => Load { messages: words.len(), bytes: words.bytes() },
    };
    fits(words, load, reserved(arena, words), length)
}

fn fits(words: &Words, load: Load, reserved: Load, length: u64) -> bool {
    let plan = words.plan();
    let count = load.messages.saturating_add(reserved.messages);
    let bytes = load.bytes.saturating_add(reserved.bytes).saturating_add(length);
    let alone = count == 0 && words.is(rule::ONE_ANYWAY);
    (plan.bound == UNBOUNDED || count < plan.bound)
        && (!words.is(rule::BYTES) || bytes <= plan.most_bytes || alone)
}

impl Port<'_> {
    /// What can never be put is refused before anything is made of it.
    pub(super) fn check_open(&self, length: u64) -> Result<()> {
        if self.words.is_closed() {
            return Err(self.closed());
        }
        self.check_length(length)
    }

    /// A message that can never be put is refused at once.
    pub(super) fn check_length(&self, length: u64) -> Result<()> {
        let most = self.words.plan().most_bytes;
        if self.words.is(rule::BYTES) && !self.words.is(rule::ONE_ANYWAY) && length > most {
            let text = format!("the message has {length} bytes, and the queue holds {most} at most");
            return Err(Error::new(Status::TooLarge, text));
        }
        Ok(())
    }

    /// Whether a message of this length may be put. The caller has the turn of those who put.
    #[inline(always)]
    pub(super) fn has_room(&self, length: u64) -> bool {
        !self.words.is(rule::BOUNDED) || self.has_room_bounded(length)
    }

    #[inline(never)]
    fn has_room_bounded(&self, length: u64) -> bool {
        let words = self.words;
        if !words.is(rule::BYTES | rule::STORE) {
            return self.has_place_at(words.tail.position());
        }
        let load = Load { messages: words.len(), bytes: words.bytes() };
        fits(words, load, reserved(self.arena, words), length)
    }

    /// How many places of a bounded ring are reserved.
    pub(super) fn reserved_places(&self) -> u32 {
        match self.words.reservations.load(Ordering::Relaxed) {
            0 => 0,
            _ => reserved(self.arena, self.words).messages,
        }
    }

    /// Whether a bounded ring has a place for a message at `tail`.
    fn has_place_at(&self, tail: Position) -> bool {
        let words = self.words;
        let bound = words.bound.load(Ordering::Relaxed).saturating_sub(self.reserved_places());
        words.has_place(tail, bound)
    }

    /// After a while of waiting for room: those who have reserved some may have died.
    /// True if one has.
    pub(super) fn look_after_reservers(&self) -> bool {
        let found = investigate(self.arena, self.words);
        if found {
            self.arena.settle_pending();
        }
        found
    }

    /// The same for who does not wait, but may try again and again: not at every try.
    #[cold]
    pub(super) fn glance_at_reservers(&self) -> bool {
        self.words.reservations.load(Ordering::Relaxed) != 0
            && may_glance(&self.words.events.room.word)
            && self.look_after_reservers()
    }

    /// Reserves room for a message of this length, which the caller has found to be there: the number of the record.
    pub(super) fn note_reservation(&self, _turn: &Turn<'_>, length: u64) -> Result<u32> {
        let vacant = || {
            let gone = |owner: u32| owner == 0 || self.arena.is_dead(Owner::of_word(owner));
            table(self.arena, self.words).iter().position(|r| gone(r.owner.load(Ordering::Acquire)))
        };
        let number = match vacant() {
            Some(number) => number,
            None => {
                self.grow_reservations()?;
                vacant().ok_or_else(|| Error::internal("a table of reservations has no room"))?
            }
        };
        let record = &table(self.arena, self.words)[number];
        record.owner.store(0, Ordering::Relaxed);
        record.length.store(length, Ordering::Relaxed);
        fault!("queue.reserve:noting");
        record.owner.store(self.arena.me().bits(), Ordering::Release);
        fault!("queue.reserve:noted");
        Ok(number as u32)
    }

    fn grow_reservations(&self) -> Result<()> {
        let old = table(self.arena, self.words);
        let bytes = (2 * old.len() as u64).max(FIRST) * size_of::<Reserved>() as u64;
        let block = self.arena.allocate(bytes, false)?;
        let start = self.arena.data_offset(block.reference());
        self.arena.zero(start, self.arena.room_of(block.reference()));
        for (number, record) in old.iter().enumerate() {
            let new: &Reserved = self.arena.at(start + (number * size_of::<Reserved>()) as u64);
            new.length.store(record.length.load(Ordering::Relaxed), Ordering::Relaxed);
            new.owner.store(record.owner.load(Ordering::Acquire), Ordering::Relaxed);
        }
        replace_part(self.arena, &self.words.reservations, block);
        Ok(())
    }

    /// Ends a reservation of this process, of which a message of `used` bytes was made. True if others may find room
    /// now: it was longer, or the message may be dropped, which a reservation is not. The caller has the turn of those
    /// who put.
    pub(super) fn end_reservation(&self, _turn: &Turn<'_>, number: u32, used: u64) -> bool {
        let record = table(self.arena, self.words).get(number as usize);
        let me = self.arena.me().bits();
        let Some(record) = record.filter(|record| record.owner.load(Ordering::Relaxed) == me) else {
            return false;
        };
        let longer = record.length.load(Ordering::Relaxed) > used && self.words.is(rule::BYTES);
        record.owner.store(0, Ordering::Release);
        fault!("queue.reserve:ended");
        longer || self.words.is(rule::DROP)
    }

    /// Drops the oldest messages until one of this length may be put. False, and nothing is dropped, if that would not
    /// do, since others have reserved the room. The caller has the turn of those who put.
    #[cold]
    pub(super) fn drop_until_room(&self, turn: &Turn<'_>, length: u64, deadline: Deadline) -> Result<bool> {
        if !fits(self.words, Load::default(), reserved(self.arena, self.words), length) {
            return Ok(false);
        }
        while !self.has_room(length) {
            let dropped = if self.words.is(rule::STORE) {
                self.drop_stored(turn)?
            } else {
                let turn = self.words.turn(self.arena, &self.words.head, deadline);
                self.drop_in_ring(&turn.map_err(|ended| self.full(ended))?)?
            };
            if !dropped {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Drops the first message of a ring. The caller has the head's turn as well.
    fn drop_in_ring(&self, turn: &Turn<'_>) -> Result<bool> {
        let words = self.words;
        let head = words.head.position();
        if head == words.head.look(&words.tail) {
            return Ok(false);
        }
        let (found, next) = self.ring()?.read(head)?;
        let block = match found {
            Found::Bytes(..) => BlockRef::NONE,
            Found::Block(block, _) => block,
        };
        self.drop_message(turn, block, head.0, || {
            if words.is(rule::BYTES) {
                words.head.count_bytes(head, found.len() as u64);
            }
            words.head.advance(next);
        })?;
        Ok(true)
    }

    fn drop_stored(&self, turn: &Turn<'_>) -> Result<bool> {
        let Some(store) = Store::of(self.arena, self.words, Some(turn)) else { return Ok(false) };
        let Some(oldest) = store.oldest() else { return Ok(false) };
        self.drop_message(turn, oldest.block, oldest.at(), || store.drop_message(&oldest))?;
        Ok(true)
    }

    /// Takes a message, by `commit`, and tells it to be done, so that nobody joins for it.
    fn drop_message(&self, turn: &Turn<'_>, block: BlockRef, at: u64, commit: impl FnOnce()) -> Result<()> {
        let record = self.record(turn)?;
        let named = self.name_block_if_any(block, at)?;
        if let Some(record) = record {
            record.begin(1, at);
        }
        fault!("queue.drop:noted");
        commit();
        fault!("queue.drop:dropped");
        if let Some(record) = record {
            self.ledger(turn).end_drop(record);
            fault!("queue.drop:done");
        }
        self.discard_block(block, named);
        if unfinished(self.words) == 0 {
            event::notify(&self.words.events.done, u32::MAX);
        }
        Ok(())
    }
}
