//! The store of a queue that is no plain fifo: slots, and the order in which their messages leave.
//!
//! ```text
//! block:  capacity | full | used   (64)  slot 0 | slot 1 | ...  order: the slots' numbers
//! slot:   state (8) | priority (8) | length (8) | up to 40 bytes, or the block of a longer message
//! state:  63..32 sequence   31..2 owner that took it   1..0 tag: free, full, taken
//! order:  full ones as a heap, or as a stack | taken ones | free ones
//! ```
//!
//! Both puts and gets have the turn of the one end there is, the head's. The commit of each is the store of a slot's
//! state. All else is derived from the states: the order, how many are full, the positions, the sum of the bytes. Who
//! takes the turn over from one that died makes it anew ([`mend`]). Killed between any two stores:
//! * put: before the state's store the slot is free, and a block goes back by the entry QUEUE_PUT; after it, the message
//!   is there.
//! * get: before the state's store the message stays. After it, it was taken, and its block goes back by the entry
//!   QUEUE_TAKE; in a queue that redelivers the state says who took it, and who comes after the taker's death
//!   makes it full again, in its old place, for the order is by sequence.
//! * growth: the new block is filled before it takes the old one's place by one store (QUEUE_RING).

use super::ring::Position;
use super::settle::replace_part;
use super::words::{rule, Turn, Words};
use crate::arena::layout::shared;
use crate::arena::{Arena, BlockRef, Owner};
use crate::error::{Error, Result, Status};
use crate::fault;
use crate::sys::prim::{AtomicU32, AtomicU64, Ordering};

mod order;

const FIRST: u32 = 4;
const MOST: u32 = 1 << 26;
/// The most bytes that lie in the slot itself.
pub(super) const INLINE: usize = 40;

const FREE: u64 = 0;
const FULL: u64 = 1;
const TAKEN: u64 = 2;
const TAG: u64 = 3;

#[repr(C, align(16))]
#[derive(Debug)]
struct Head {
    capacity: AtomicU32,
    /// How many slots are full: the first ones of the order.
    full: AtomicU32,
    /// How many are full or taken.
    used: AtomicU32,
    pad: [AtomicU32; 13],
}

#[repr(C, align(16))]
#[derive(Debug)]
pub(super) struct Slot {
    state: AtomicU64,
    priority: AtomicU64,
    length: AtomicU64,
    payload: [AtomicU64; 5],
}

shared!(Head, Slot);

const SLOT: u64 = size_of::<Slot>() as u64;
const _: () = assert!(SLOT == 64 && size_of::<Head>() == 64);

fn full_state(sequence: u32) -> u64 {
    u64::from(sequence) << 32 | FULL
}

fn sequence(state: u64) -> u32 {
    (state >> 32) as u32
}

fn taker(state: u64) -> Owner {
    Owner::of_word((state >> 2) as u32 & ((1 << 30) - 1))
}

/// A message found in a store.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stored {
    pub(super) slot: u32,
    /// Its state when it was found.
    pub(super) state: u64,
    /// Where its bytes are, if they lie in the slot.
    pub(super) bytes: u64,
    /// Its block, if they do not.
    pub(super) block: BlockRef,
    pub(super) length: u64,
}

impl Stored {
    /// Names it in an entry or a record: which slot, and in which sequence.
    pub(super) fn at(&self) -> u64 {
        u64::from(self.slot) << 32 | u64::from(sequence(self.state))
    }
}

/// A queue's store, for who has its turn.
#[derive(Clone, Copy)]
pub(super) struct Store<'a> {
    arena: &'a Arena,
    words: &'a Words,
    head: &'a Head,
    slots: &'a [Slot],
    order: &'a [AtomicU32],
}

fn block_bytes(capacity: u32) -> u64 {
    size_of::<Head>() as u64 + u64::from(capacity) * (SLOT + 4)
}

/// What lies in this block, as far as its own number is right.
fn open<'a>(arena: &'a Arena, words: &'a Words, block: BlockRef) -> Option<Store<'a>> {
    if block.is_none() {
        return None;
    }
    let start = arena.data_offset(block);
    let head: &Head = arena.at(start);
    let capacity = head.capacity.load(Ordering::Relaxed);
    if capacity > MOST || block_bytes(capacity) > arena.room_of(block) {
        return None;
    }
    let slots = start + size_of::<Head>() as u64;
    Some(Store {
        arena,
        words,
        head,
        slots: arena.slice_at(slots, capacity as usize),
        order: arena.slice_at(slots + u64::from(capacity) * SLOT, capacity as usize),
    })
}

/// Whether the message at `at` is no longer in its slot: what an entry or a record is in doubt about.
pub(super) fn was_taken(arena: &Arena, words: &Words, at: u64) -> bool {
    let Some(store) = Store::of(arena, words, None) else { return true };
    store.slots.get((at >> 32) as usize).is_none_or(|slot| {
        let state = slot.state.load(Ordering::Acquire);
        state & TAG == FREE || sequence(state) != at as u32
    })
}

/// Whether the message of an entry QUEUE_PUT, which began at `at`, is there.
pub(super) fn was_put(arena: &Arena, words: &Words, at: u64) -> bool {
    let Some(store) = Store::of(arena, words, None) else { return false };
    store
        .slots
        .get((at >> 32) as usize)
        .is_some_and(|slot| slot.state.load(Ordering::Acquire) == full_state(at as u32))
}

/// Who had the turn has died: all that is derived is made anew.
pub(super) fn mend(arena: &Arena, words: &Words, turn: &Turn<'_>) {
    if let Some(store) = Store::of(arena, words, Some(turn)) {
        store.derive();
    }
}

/// Whether messages are with other processes that have not acknowledged them, and may come back.
pub(super) fn are_with_others(arena: &Arena, words: &Words) -> bool {
    let is_theirs = |state: u64| state & TAG == TAKEN && taker(state) != arena.me();
    Store::of(arena, words, None)
        .is_some_and(|store| store.slots.iter().any(|slot| is_theirs(slot.state.load(Ordering::Acquire))))
}

/// Looks by system calls at those who have unacknowledged messages. True if one of them has died.
pub(super) fn investigate(arena: &Arena, words: &Words) -> bool {
    let Some(store) = Store::of(arena, words, None) else { return false };
    let mut asked = Owner::of_word(0);
    let mut found = false;
    for slot in store.slots {
        let state = slot.state.load(Ordering::Acquire);
        if state & TAG == TAKEN && taker(state) != asked && taker(state) != arena.me() {
            asked = taker(state);
            found |= arena.investigate(asked);
        }
    }
    if found {
        arena.settle_pending();
    }
    found
}

impl Store<'static> {
    /// The store with a free slot.
    pub(super) fn with_room(
        arena: &'static Arena,
        words: &'static Words,
        turn: &Turn<'_>,
    ) -> Result<Store<'static>> {
        match Store::of(arena, words, Some(turn)) {
            Some(store) if store.used() < store.capacity() => Ok(store),
            old => Store::grow(arena, words, old),
        }
    }

    #[cold]
    fn grow(
        arena: &'static Arena,
        words: &'static Words,
        old: Option<Store<'static>>,
    ) -> Result<Store<'static>> {
        let capacity = old.map_or(FIRST, |old| old.capacity() * 2);
        if capacity > MOST {
            return Err(Error::new(Status::NoMemory, "the queue's store can't grow any more"));
        }
        let block = arena.allocate(block_bytes(capacity), false)?;
        let reference = block.reference();
        let start = arena.data_offset(reference);
        arena.zero(start, block_bytes(capacity));
        arena.at::<Head>(start).capacity.store(capacity, Ordering::Relaxed);
        let broken = || Error::internal("a store has no room for its slots");
        let new = open(arena, words, reference).ok_or_else(broken)?;
        if let Some((old, first)) = old.and_then(|old| Some((old, old.slots.first()?))) {
            let bytes = arena.read(arena.offset_of(first), size_of_val(old.slots) as u64);
            arena.write(start + size_of::<Head>() as u64, bytes);
        }
        new.derive();
        replace_part(arena, &words.ring, block);
        Ok(new)
    }
}

impl<'a> Store<'a> {
    /// The queue's store, if it has one by now. Without the turn only the slots' states may be looked at.
    pub(super) fn of(arena: &'a Arena, words: &'a Words, _turn: Option<&Turn<'_>>) -> Option<Store<'a>> {
        open(arena, words, BlockRef::from_bits(words.ring.load(Ordering::Acquire)))
    }

    fn capacity(&self) -> u32 {
        self.slots.len() as u32
    }

    fn used(&self) -> u32 {
        self.head.used.load(Ordering::Relaxed).min(self.capacity())
    }

    /// How many messages can be taken.
    pub(super) fn full(&self) -> u32 {
        self.head.full.load(Ordering::Relaxed).min(self.used())
    }

    fn is_stack(&self) -> bool {
        self.words.is(rule::LIFO)
    }

    fn slot(&self, place: u32) -> u32 {
        self.order[place as usize].load(Ordering::Relaxed).min(self.capacity() - 1)
    }

    fn set(&self, place: u32, slot: u32) {
        self.order[place as usize].store(slot, Ordering::Relaxed);
    }

    fn state(&self, slot: u32) -> u64 {
        self.slots[slot as usize].state.load(Ordering::Relaxed)
    }

    fn length(&self, slot: u32) -> u64 {
        self.slots[slot as usize].length.load(Ordering::Relaxed)
    }

    /// Tells how many were put and how many of them are there.
    fn publish(&self, puts: u32) {
        // First the one that makes the queue look emptier.
        let head = Position::new(puts.wrapping_sub(self.full()), 0);
        self.words.tail.advance(Position::new(puts, 0));
        fault!("queue.store:publishing");
        self.words.head.advance(head);
    }

    fn add_bytes(&self, length: i64) {
        let bytes = self.words.bytes().wrapping_add_signed(length);
        self.words.tail.set_bytes(bytes);
    }

    // ---- putting

    /// Where the next message goes, which has this priority: its bytes are written there, or its block named, before
    /// [`Store::commit`].
    pub(super) fn prepare(&self, priority: i64, length: u64) -> Stored {
        let slot = self.slot(self.used());
        let cell = &self.slots[slot as usize];
        cell.priority.store(priority as u64, Ordering::Relaxed);
        cell.length.store(length, Ordering::Relaxed);
        Stored {
            slot,
            state: full_state(self.words.tail.position().ordinal()),
            bytes: self.arena.offset_of(&cell.payload),
            block: BlockRef::NONE,
            length,
        }
    }

    /// The bytes of the message that is being prepared are in this block.
    pub(super) fn name_block(&self, stored: &Stored, block: BlockRef) {
        self.slots[stored.slot as usize].payload[0].store(block.bits(), Ordering::Relaxed);
    }

    /// The message is there.
    pub(super) fn commit(&self, stored: &Stored) {
        self.slots[stored.slot as usize].state.store(stored.state, Ordering::Release);
        fault!("queue.store:committed");
        let (full, used) = (self.full(), self.used());
        // The free slot was behind the taken ones: it changes places with the first of those.
        self.set(used, self.slot(full));
        self.set(full, stored.slot);
        self.head.used.store(used + 1, Ordering::Relaxed);
        self.head.full.store(full + 1, Ordering::Relaxed);
        fault!("queue.store:entered");
        self.rise(full);
        self.add_bytes(stored.length as i64);
        self.publish(sequence(stored.state).wrapping_add(1));
    }

    // ---- taking

    fn found(&self, slot: u32) -> Stored {
        let cell = &self.slots[slot as usize];
        let length = cell.length.load(Ordering::Relaxed);
        let inline = length <= INLINE as u64;
        let block = if inline { 0 } else { cell.payload[0].load(Ordering::Relaxed) };
        Stored {
            slot,
            state: cell.state.load(Ordering::Relaxed),
            bytes: self.arena.offset_of(&cell.payload),
            block: BlockRef::from_bits(block),
            length,
        }
    }

    /// The next message, if there is one.
    pub(super) fn next(&self) -> Option<Stored> {
        let full = self.full();
        (full > 0).then(|| self.found(self.slot(if self.is_stack() { full - 1 } else { 0 })))
    }

    /// The message that was put first.
    pub(super) fn oldest(&self) -> Option<Stored> {
        if self.is_stack() || !self.words.is(rule::PRIORITY) {
            return (self.full() > 0).then(|| self.found(self.slot(0)));
        }
        let puts = self.words.tail.position().ordinal();
        let age = |slot: &u32| puts.wrapping_sub(sequence(self.state(*slot)));
        (0..self.full()).map(|place| self.slot(place)).max_by_key(age).map(|slot| self.found(slot))
    }

    /// Takes a message out: by this process, which is to acknowledge it, if the queue redelivers.
    pub(super) fn take(&self, stored: &Stored) -> u64 {
        let taken = if self.words.is(rule::REDELIVER) {
            stored.state >> 32 << 32 | u64::from(self.arena.me().bits()) << 2 | TAKEN
        } else {
            FREE
        };
        self.slots[stored.slot as usize].state.store(taken, Ordering::Release);
        fault!("queue.store:taken");
        self.forget(stored, taken != FREE);
        taken
    }

    /// Takes a message out that nobody is to have.
    pub(super) fn drop_message(&self, stored: &Stored) {
        self.slots[stored.slot as usize].state.store(FREE, Ordering::Release);
        fault!("queue.store:taken");
        self.forget(stored, false);
    }

    // ---- redelivering

    /// The message in this slot, if it is still taken as `state` says.
    pub(super) fn unacknowledged(&self, slot: u32, state: u64) -> Option<Stored> {
        let now = self.slots.get(slot as usize)?.state.load(Ordering::Relaxed);
        (now == state && now & TAG == TAKEN).then(|| self.found(slot))
    }

    /// It has been acknowledged: its slot is free.
    pub(super) fn end(&self, stored: &Stored) {
        self.slots[stored.slot as usize].state.store(FREE, Ordering::Release);
        fault!("queue.store:ended");
        let places = self.full()..self.used();
        match places.into_iter().find(|place| self.slot(*place) == stored.slot) {
            Some(place) => self.free_place(place, self.used()),
            None => self.derive(),
        }
    }

    /// What the dead had taken is there again. `fold` is called before: what they told to be done must not count any
    /// more when another one acknowledges it.
    pub(super) fn return_of_dead(&self, fold: impl FnOnce()) {
        let is_theirs = |slot: &u32| {
            let state = self.state(*slot);
            state & TAG == TAKEN && self.arena.is_dead(taker(state))
        };
        // Of those only who are dead by now: `fold` knows them all.
        let theirs: Vec<u32> =
            (self.full()..self.used()).map(|place| self.slot(place)).filter(is_theirs).collect();
        if theirs.is_empty() {
            return;
        }
        fold();
        for slot in theirs {
            let state = full_state(sequence(self.state(slot)));
            self.slots[slot as usize].state.store(state, Ordering::Release);
            fault!("queue.store:returned");
        }
        self.derive();
    }

    /// Shows the block of each message that is in a slot.
    pub(super) fn each_block(&self, mut show: impl FnMut(BlockRef)) {
        for slot in 0..self.capacity() {
            let stored = self.found(slot);
            if stored.state & TAG != FREE {
                show(stored.block);
            }
        }
    }
}
