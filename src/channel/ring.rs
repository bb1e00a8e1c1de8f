//! The ring of a queue: messages one after the other, in units of 16 bytes.
//!
//! ```text
//! block:    units (4) | unused (12) | unit 0 | unit 1 | ...
//! message:  kind and length (8) | bytes, if they are few; else block (8) | length (8)
//! ```
//!
//! A message never wraps: what is left before the end is a PAD, which has its length in units. Places are counted in units
//! modulo 2^32, and a ring has a power of two of them, so a place means the same before and after the ring has grown. The put side
//! writes only between its own position and the get side's; a position is one word with the count of messages, so
//! one store commits both.

use super::memory::Memory;
use crate::arena::{BlockRef, SMALL};
use crate::error::{Error, Result};

/// The bytes of a unit.
pub const UNIT: u64 = 16;
const HEAD: u64 = 8;
/// Rings from one size up to another are filled by half only, then they grow. What is written behind the readers is then
/// no longer in their nearest cache: twice as fast where both sides are busy, for at most so much memory.
const ROOMY_FROM: u32 = if cfg!(loom) { u32::MAX } else { 2048 };
const ROOMY_UNITS: u32 = 16384;
/// A ring of more units is given up for a smaller one when it is found empty.
const KEPT_UNITS: u32 = if cfg!(loom) { 2 } else { ROOMY_UNITS };
/// After so many units it is looked whether that is so.
const STRIDE: u32 = if cfg!(loom) { 1 } else { 1024 };
/// The units of the first ring. Those of a model are few, and soon too few, or too many.
const FIRST_UNITS: u32 = if cfg!(loom) { 2 } else { 32 };
const MOST_UNITS: u32 = 1 << 31;

const INLINE: u64 = 1 << 32;
const BLOCK: u64 = 2 << 32;
const PAD: u64 = 3 << 32;
const KIND: u64 = !0 << 32;

/// A position: how many messages came before it (modulo 2^32), and the unit at which it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Position(pub u64);

impl Position {
    /// The unit `unit`, and so many messages before it.
    #[inline(always)]
    pub fn new(ordinal: u32, unit: u32) -> Position {
        Position(u64::from(ordinal) << 32 | u64::from(unit))
    }

    /// How many messages came before it.
    #[inline(always)]
    pub fn ordinal(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// The unit at which it is.
    #[inline(always)]
    pub fn unit(self) -> u32 {
        self.0 as u32
    }

    /// How many messages lie between an earlier position and this one.
    #[inline(always)]
    pub fn since(self, earlier: Position) -> u32 {
        self.ordinal().wrapping_sub(earlier.ordinal())
    }
}

/// What a message is made of.
#[derive(Clone, Copy, Debug)]
pub enum Body<'a> {
    /// Bytes, copied into the ring.
    Bytes(&'a [u8]),
    /// A block and how many bytes are in it.
    Block(BlockRef, u64),
}

impl Body<'_> {
    /// How many bytes the message has.
    #[cfg(not(loom))]
    #[inline(always)]
    pub(super) fn len(self) -> usize {
        match self {
            Body::Bytes(bytes) => bytes.len(),
            Body::Block(_, length) => length as usize,
        }
    }

    #[inline(always)]
    fn units(self) -> u32 {
        let bytes = match self {
            Body::Bytes(bytes) => HEAD + bytes.len() as u64,
            Body::Block(..) => HEAD + 16,
        };
        bytes.div_ceil(UNIT) as u32
    }
}

/// A message found in a ring.
#[derive(Clone, Copy, Debug)]
pub enum Found {
    /// Bytes at an offset of the arena.
    Bytes(u64, usize),
    /// A block and the length of what is in it.
    Block(BlockRef, u64),
}

#[cfg(not(loom))]
impl Found {
    /// How many bytes the message has.
    #[inline(always)]
    pub(super) fn len(self) -> usize {
        match self {
            Found::Bytes(_, length) => length,
            Found::Block(_, length) => length as usize,
        }
    }
}

/// How many units of a ring lie between a place and the ring's end.
#[inline(always)]
fn left_before_end(ring: u32, unit: u32) -> u32 {
    ring - (unit & (ring - 1))
}

/// Where a message of these units goes in a ring: behind a pad of how many, and the unit after it.
#[inline(always)]
fn place(ring: u32, tail: u32, units: u32) -> (Option<u32>, u32) {
    let left = left_before_end(ring, tail);
    if units <= left {
        (None, tail.wrapping_add(units))
    } else {
        (Some(left), tail.wrapping_add(left).wrapping_add(units))
    }
}

#[inline(always)]
fn fits(ring: u32, room: u32, head: Position, tail: Position, body: Body<'_>) -> bool {
    let (_, end) = place(ring, tail.unit(), body.units());
    body.units() <= ring && end.wrapping_sub(head.unit()) <= room
}

/// How many units of a ring are filled before it grows.
#[inline(always)]
fn room(ring: u32) -> u32 {
    if (ROOMY_FROM..ROOMY_UNITS).contains(&ring) {
        ring / 2
    } else {
        ring
    }
}

#[cold]
fn damaged(message: u64) -> Error {
    Error::internal(format!("a queue's ring holds what is no message: {message:#x}"))
}

/// A ring in the arena.
#[cfg(not(loom))]
pub(super) type Ring<'a> = RingIn<&'a crate::arena::Arena>;

/// A ring in some memory.
#[derive(Clone, Copy, Debug)]
pub struct RingIn<M> {
    memory: M,
    data: u64,
    units: u32,
}

impl<M: Memory> RingIn<M> {
    /// The ring in this block; `None` if the queue has none yet.
    #[inline(always)]
    pub fn of(memory: M, block: BlockRef) -> Option<RingIn<M>> {
        if block.is_none() {
            return None;
        }
        let start = memory.start_of(block);
        Some(RingIn { memory, data: start + UNIT, units: memory.units(start) })
    }

    /// Bytes of a block for a ring of so many units.
    pub fn block_bytes(units: u32) -> u64 {
        UNIT + u64::from(units) * UNIT
    }

    /// A ring in a new block.
    pub fn make(memory: M, block: BlockRef, units: u32) -> RingIn<M> {
        let start = memory.start_of(block);
        memory.set_units(start, units);
        RingIn { memory, data: start + UNIT, units }
    }

    #[inline(always)]
    fn offset(&self, unit: u32) -> u64 {
        self.data + u64::from(unit & (self.units - 1)) * UNIT
    }

    #[inline(always)]
    fn left_before_end(&self, unit: u32) -> u32 {
        left_before_end(self.units, unit)
    }

    /// Whether the message fits between `tail` and `head`.
    #[inline(always)]
    pub fn fits(&self, head: Position, tail: Position, body: Body<'_>) -> bool {
        fits(self.units, room(self.units), head, tail, body)
    }

    /// The same where the ring can't grow: all of it is filled.
    pub fn fits_at_all(&self, head: Position, tail: Position, body: Body<'_>) -> bool {
        fits(self.units, self.units, head, tail, body)
    }

    /// How many units a ring must have in which the message fits, beside what lies between the positions.
    pub fn units_for(now: Option<RingIn<M>>, head: Position, tail: Position, body: Body<'_>) -> Result<u32> {
        let doubled = now.map_or(0, |ring| ring.units.saturating_mul(2));
        // With twice the units of the message, an empty ring holds it at whatever place.
        let least = body.units().saturating_mul(2).max(FIRST_UNITS).next_power_of_two();
        let mut units = least.max(doubled);
        // Twice the ring may be too little: the pad before its end takes room as well.
        while units <= MOST_UNITS && !fits(units, room(units), head, tail, body) {
            units = units.saturating_mul(2);
        }
        if units > MOST_UNITS {
            return Err(Error::new(crate::error::Status::NoMemory, "the queue's ring can't grow any more"));
        }
        Ok(units)
    }

    /// Half the units, if this ring is larger than what is kept.
    #[inline(always)]
    pub fn fewer_units(&self) -> Option<u32> {
        (self.units > KEPT_UNITS).then_some(self.units / 2)
    }

    /// Whether a message at `tail` should see whether such a ring has become too large.
    #[inline(always)]
    pub fn is_time_to_look(&self, tail: Position, body: Body<'_>) -> bool {
        self.units > KEPT_UNITS && tail.unit() / STRIDE != tail.unit().wrapping_add(body.units()) / STRIDE
    }

    #[inline(always)]
    fn head_of(&self, unit: u32) -> u64 {
        self.memory.load(self.offset(unit))
    }

    #[inline(always)]
    fn set_head(&self, unit: u32, head: u64) {
        self.memory.store(self.offset(unit), head);
    }

    /// Writes the message at `tail` and says where the position behind it is. Nobody sees it before that position
    /// is stored.
    #[inline(always)]
    pub fn write(&self, tail: Position, body: Body<'_>) -> Position {
        let (pad, end) = place(self.units, tail.unit(), body.units());
        let mut unit = tail.unit();
        if let Some(left) = pad {
            // How far the pad goes is part of it: in a ring that has grown since, the end is elsewhere.
            self.set_head(unit, PAD | u64::from(left));
            unit = unit.wrapping_add(left);
        }
        let payload = self.offset(unit) + HEAD;
        match body {
            Body::Bytes(bytes) => {
                self.set_head(unit, INLINE | bytes.len() as u64);
                self.memory.write(payload, bytes);
            }
            Body::Block(block, bytes) => {
                self.set_head(unit, BLOCK);
                self.memory.store(payload, block.bits());
                self.memory.store(payload + 8, bytes);
            }
        }
        Position::new(tail.ordinal().wrapping_add(1), end)
    }

    /// Writes short messages one behind the other, from `tail` on, as many of `n` as fit before `head`: how many, and where
    /// the position behind them is.
    #[inline(always)]
    pub fn write_run<'m>(
        &self,
        (head, tail): (Position, Position),
        n: usize,
        message: impl Fn(usize) -> &'m [u8],
    ) -> (usize, Position) {
        let mut free = room(self.units).saturating_sub(tail.unit().wrapping_sub(head.unit()));
        let (mut unit, mut done) = (tail.unit(), 0);
        while done < n {
            let bytes = message(done);
            let units = Body::Bytes(bytes).units();
            let left = self.left_before_end(unit);
            let pad = if units > left { left } else { 0 };
            if bytes.len() > SMALL || units + pad > free {
                break;
            }
            if pad > 0 {
                self.set_head(unit, PAD | u64::from(pad));
                unit = unit.wrapping_add(pad);
            }
            let at = self.offset(unit);
            self.memory.store(at, INLINE | bytes.len() as u64);
            self.memory.write(at + HEAD, bytes);
            unit = unit.wrapping_add(units);
            free -= units + pad;
            done += 1;
        }
        (done, Position::new(tail.ordinal().wrapping_add(done as u32), unit))
    }

    /// Shows the short messages from `head` on, at most `n` and not beyond `end`, until `take` refuses one, or there is
    /// one that is not short: how many it took, and where the position behind them is.
    #[inline(always)]
    pub fn read_run(
        &self,
        (head, end): (Position, Position),
        n: usize,
        mut take: impl FnMut(u64, usize) -> bool,
    ) -> Result<(usize, Position)> {
        let (mut unit, mut done) = (head.unit(), 0);
        let n = n.min(end.ordinal().wrapping_sub(head.ordinal()) as usize);
        while done < n {
            let mut message = self.head_of(unit);
            let mut at = unit;
            if message & KIND == PAD {
                at = unit.wrapping_add((message as u32).min(self.left_before_end(unit)));
                message = self.head_of(at);
            }
            if message & KIND != INLINE {
                if message & KIND == BLOCK {
                    break;
                }
                return Err(damaged(message));
            }
            let length = message as u32;
            let units = (HEAD as u32).wrapping_add(length).div_ceil(UNIT as u32);
            if length as usize > SMALL || units > self.left_before_end(at) {
                return Err(damaged(message));
            }
            if !take(self.offset(at) + HEAD, length as usize) {
                break;
            }
            unit = at.wrapping_add(units);
            done += 1;
        }
        Ok((done, Position::new(head.ordinal().wrapping_add(done as u32), unit)))
    }

    /// The message at `head`, where one is, and the position behind it. What is read is checked.
    #[inline(always)]
    pub fn read(&self, head: Position) -> Result<(Found, Position)> {
        let mut unit = head.unit();
        let mut message = self.head_of(unit);
        if message & KIND == PAD {
            unit = unit.wrapping_add((message as u32).min(self.left_before_end(unit)));
            message = self.head_of(unit);
        }
        let payload = self.offset(unit) + HEAD;
        let length = message as u32;
        let (found, units) = match message & KIND {
            INLINE if length as usize <= SMALL => {
                (Found::Bytes(payload, length as usize), (HEAD as u32 + length).div_ceil(UNIT as u32))
            }
            BLOCK => {
                let block = BlockRef::from_bits(self.memory.load(payload));
                let length = self.memory.load(payload + 8);
                (Found::Block(block, length), (HEAD as u32 + 16).div_ceil(UNIT as u32))
            }
            _ => return Err(damaged(message)),
        };
        if units > self.left_before_end(unit) {
            return Err(damaged(message));
        }
        Ok((found, Position::new(head.ordinal().wrapping_add(1), unit.wrapping_add(units))))
    }

    /// Copies what lies between the positions into a larger ring, in which every place means the same.
    pub fn copy_to(&self, larger: &RingIn<M>, head: Position, tail: Position) {
        let mut unit = head.unit();
        while unit != tail.unit() {
            let left = tail.unit().wrapping_sub(unit);
            let units = left.min(self.left_before_end(unit)).min(larger.left_before_end(unit));
            self.memory.copy(self.offset(unit), larger.offset(unit), u64::from(units) * UNIT);
            unit = unit.wrapping_add(units);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn messages_take_whole_units() {
        assert_eq!(Body::Bytes(&[]).units(), 1);
        assert_eq!(Body::Bytes(&[0; 8]).units(), 1);
        assert_eq!(Body::Bytes(&[0; 9]).units(), 2);
        assert_eq!(Body::Bytes(&[0; 64]).units(), 5);
        assert_eq!(Body::Block(BlockRef::NONE, 1 << 40).units(), 2);
    }

    #[test]
    fn rings_double_and_hold_the_longest_message() {
        let start = Position::new(0, 0);
        assert_eq!(Ring::units_for(None, start, start, Body::Bytes(&[])).unwrap(), FIRST_UNITS);
        let longest = Body::Bytes(&[0; SMALL]);
        assert!(Ring::units_for(None, start, start, longest).unwrap() >= 2 * longest.units());
        // 31 units from 17 to 48, and 20 more: in a ring of 64 they would begin at 64, behind a pad, and reach 84.
        let (head, tail) = (Position::new(0, 17), Position::new(3, 48));
        assert_eq!(Ring::units_for(None, head, tail, Body::Bytes(&[0; 310])).unwrap(), 128);
    }
}
