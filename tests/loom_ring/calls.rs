//! The calls of a channel in a model: they put together what `ends.rs`, `words.rs` and `ring.rs` have, as `quick.rs`, `put.rs`,
//! `get.rs` and `many.rs` do, unless a twist is told.

use super::cells::Cells;
use super::house::{Model, Seat, Twist};
use loom::sync::atomic::Ordering;
use mp::arena::BlockRef;
use mp::channel::ends::{Drained, Turn, World};
use mp::channel::ring::{Body, Found, Position, RingIn};
use mp::channel::words::{rule, End, Event};
use mp::error::{Error, Result, Status};

fn closed() -> Error {
    Error::new(Status::Closed, "closed")
}

impl<'a> Seat<'a> {
    fn is(&self, twist: Twist) -> bool {
        self.house.twist == twist
    }

    fn sleeper(&self) -> Model {
        let forgets = self.is(Twist::ForgetsSleep) || self.is(Twist::AnnouncesOneOnly);
        Model { slept: false, forgets }
    }

    fn try_turn<'s>(&'s self, end: &'a End) -> Option<Turn<'s, Seat<'a>>> {
        let turn = Turn::try_take(self, end, self.me);
        if turn.is_none() && self.is(Twist::GivesBackAnyway) {
            self.give_back(end.words().0);
        }
        self.gave.set(false);
        turn
    }

    fn turn<'s>(&'s self, end: &'a End) -> Turn<'s, Seat<'a>> {
        self.try_turn(end).unwrap_or_else(|| {
            let mut sleeper = Model { slept: false, forgets: false };
            Turn::take(self, end, self.me, &mut sleeper).unwrap().0
        })
    }

    fn second_looks(&self, ready: impl Fn() -> bool) -> impl FnMut() -> bool {
        let blind = self.is(Twist::NoSecondLook);
        let mut looks = 0;
        move || {
            looks += 1;
            (!blind || looks % 2 == 1) && ready()
        }
    }

    fn commit(&self, end: &End, next: Position, relaxed: Twist) {
        if self.is(relaxed) {
            end.words().1.store(next.0, Ordering::Relaxed);
        } else {
            end.advance(next);
        }
    }

    /// Gives the turn back and announces, in one order or the other.
    fn announce(&self, turn: Turn<'_, Seat<'_>>, event: &Event, n: u32) {
        let one = self.is(Twist::AnnouncesOne) || self.is(Twist::AnnouncesOneOnly);
        let n = if one { 1 } else { n };
        if self.is(Twist::AnnouncesEarly) {
            event.announce(self, n);
            drop(turn);
        } else {
            drop(turn);
            event.announce(self, n);
        }
    }

    /// Puts as `quick.rs` does, if it can.
    fn put_quickly(&self, message: &[u8]) -> bool {
        let words = &self.house.words;
        let Some(turn) = self.try_turn(&words.tail) else { return false };
        if !words.put_short(&self.house.cells, message) {
            return false;
        }
        self.announce(turn, &words.events.message, 1);
        true
    }

    /// Puts as `put.rs` does, if there is room.
    fn try_put(&self, message: &[u8]) -> Result<Option<()>> {
        let (words, cells) = (&self.house.words, &self.house.cells);
        let turn = self.turn(&words.tail);
        if words.is_closed() {
            return Err(closed());
        }
        let tail = words.tail.position();
        if self.is(Twist::SeenAhead) {
            let head = words.head.position();
            let ahead = Position::new(head.ordinal().wrapping_add(1), head.unit().wrapping_add(1));
            words.tail.words().2.store(ahead.0, Ordering::Relaxed);
        }
        if !words.has_place(tail, words.plan().bound) {
            return Ok(None);
        }
        let body = Body::Bytes(message);
        let ring = match words.ring(cells) {
            Some(ring) if words.is_too_large(&ring, tail, body) => Some(self.shrink(ring, tail)),
            ring => ring,
        };
        let ring = match ring {
            Some(ring) if words.fitting(&ring, tail, body) => ring,
            ring => self.grow(ring, tail, body),
        };
        let next = ring.write(tail, body);
        if self.is(Twist::ReleasesEarly) {
            drop(turn);
            words.tail.advance(next);
            words.events.message.announce(self, 1);
        } else {
            self.commit(&words.tail, next, Twist::RelaxedTail);
            self.announce(turn, &words.events.message, 1);
        }
        Ok(Some(()))
    }

    fn replace(&self, block: BlockRef) {
        let before = BlockRef::from_bits(self.house.words.ring.load(Ordering::Relaxed));
        self.house.words.ring.store(block.bits(), Ordering::Release);
        if !before.is_none() {
            self.house.cells.give_back(before);
        }
    }

    fn shrink<'c>(&self, ring: RingIn<&'c Cells>, tail: Position) -> RingIn<&'c Cells>
    where
        'a: 'c,
    {
        let Some(units) = ring.fewer_units() else { return ring };
        let head = &self.house.words.head;
        match self.try_turn(head) {
            Some(_turn) if head.position() == tail => self.make_ring(units, |_| {}),
            _ => ring,
        }
    }

    pub(crate) fn make_ring<'c>(&self, units: u32, fill: impl FnOnce(&RingIn<&'c Cells>)) -> RingIn<&'c Cells>
    where
        'a: 'c,
    {
        let house = self.house;
        let block = house.cells.allocate(RingIn::<&Cells>::block_bytes(units));
        let ring = RingIn::make(&house.cells, block, units);
        fill(&ring);
        self.replace(block);
        ring
    }

    fn grow<'c>(&self, old: Option<RingIn<&'c Cells>>, tail: Position, body: Body<'_>) -> RingIn<&'c Cells>
    where
        'a: 'c,
    {
        let head = &self.house.words.head;
        let units = RingIn::units_for(old, head.position(), tail, body).unwrap();
        let _head = (!self.is(Twist::GrowsAlone)).then(|| self.turn(head));
        self.make_ring(units, |ring| {
            if let Some(old) = old.filter(|_| !self.is(Twist::GrowsEmpty)) {
                old.copy_to(ring, head.position(), tail);
            }
        })
    }

    /// Puts, and waits until there is room.
    pub(crate) fn put(&self, message: &[u8]) -> Result<()> {
        if self.put_quickly(message) || self.try_put(message)?.is_some() {
            return Ok(());
        }
        self.put_slowly(message)
    }

    /// The same without the short way.
    pub(crate) fn put_long(&self, message: &[u8]) -> Result<()> {
        match self.try_put(message)? {
            Some(()) => Ok(()),
            None => self.put_slowly(message),
        }
    }

    fn put_slowly(&self, message: &[u8]) -> Result<()> {
        let words = &self.house.words;
        let writable = || words.is_closed() || words.len() < words.plan().bound;
        let (mut sleeper, attempt) = (self.sleeper(), || self.try_put(message));
        let ready = self.second_looks(writable);
        words.events.room.attempt_when(&mut sleeper, ready, attempt, writable, |_| closed())
    }

    /// Puts as many of these as there is room for at once: how many.
    pub(crate) fn put_run(&self, messages: &[[u8; 8]]) -> usize {
        let words = &self.house.words;
        let turn = self.turn(&words.tail);
        let Some(ring) = words.ring(&self.house.cells) else { return 0 };
        let bound = words.plan().bound;
        let places = |tail: Position, head| bound.saturating_sub(tail.since(head)) as usize;
        let put = words.put_run(ring, messages.len(), places, |i| &messages[i]);
        if put > 0 {
            self.announce(turn, &words.events.message, put as u32);
        }
        put
    }

    fn next(&self) -> std::result::Result<Option<Position>, Drained> {
        let words = &self.house.words;
        if self.is(Twist::MoreSeen) {
            let tail = words.tail.position();
            let ahead = Position::new(tail.ordinal().wrapping_add(1), tail.unit().wrapping_add(1));
            words.head.words().2.store(ahead.0, Ordering::Relaxed);
        }
        if !self.is(Twist::ClosedLate) {
            return words.next();
        }
        let head = words.head.position();
        match head == words.head.look(&words.tail) {
            true if words.is_closed() => Err(Drained),
            true => Ok(None),
            false => Ok(Some(head)),
        }
    }

    fn announce_room(&self, turn: Turn<'_, Seat<'_>>, n: u32) {
        match self.house.words.is(rule::BOUNDED) {
            true => self.announce(turn, &self.house.words.events.room, n),
            false => drop(turn),
        }
    }

    /// Gets as `quick.rs` does, if it can.
    fn get_quickly(&self) -> Option<Vec<u8>> {
        let (words, cells) = (&self.house.words, &self.house.cells);
        let turn = self.try_turn(&words.head)?;
        let short = words.first_short(cells)?;
        let bytes = cells.read(short.offset, short.length);
        self.commit(&words.head, short.next, Twist::RelaxedHead);
        self.announce_room(turn, 1);
        Some(bytes)
    }

    /// Gets as `get.rs` does, if there is a message; an error if there never will be.
    fn try_get(&self) -> Result<Option<Vec<u8>>> {
        let (words, cells) = (&self.house.words, &self.house.cells);
        let turn = self.turn(&words.head);
        let Some(head) = self.next().map_err(|Drained| closed())? else { return Ok(None) };
        let (found, next) = words.ring(cells).expect("a ring").read(head)?;
        let Found::Bytes(offset, length) = found else { panic!("a block") };
        let bytes = cells.read(offset, length);
        self.commit(&words.head, next, Twist::RelaxedHead);
        self.announce_room(turn, 1);
        Ok(Some(bytes))
    }

    fn await_message<T>(&self, attempt: impl FnMut() -> Result<Option<T>>) -> Result<T> {
        let words = &self.house.words;
        let readable = || !words.is_empty() || words.is_closed();
        let ready = self.second_looks(readable);
        words.events.message.attempt_when(&mut self.sleeper(), ready, attempt, readable, |_| closed())
    }

    /// Gets, and waits until there is a message.
    pub(crate) fn get(&self) -> Result<Vec<u8>> {
        match self.get_quickly() {
            Some(message) => Ok(message),
            None => self.get_long(),
        }
    }

    /// The same without the short way.
    pub(crate) fn get_long(&self) -> Result<Vec<u8>> {
        match self.try_get()? {
            Some(message) => Ok(message),
            None => self.await_message(|| self.try_get()),
        }
    }

    /// Gets what is there at once, at most so many.
    pub(crate) fn get_run(&self, most: usize) -> Result<Vec<Vec<u8>>> {
        let (words, cells) = (&self.house.words, &self.house.cells);
        let turn = self.turn(&words.head);
        let mut taken = Vec::new();
        let Some(head) = self.next().map_err(|Drained| closed())? else { return Ok(taken) };
        let end = words.head.look(&words.tail);
        let (n, next) =
            words.ring(cells).expect("a ring").read_run((head, end), most, |offset, length| {
                taken.push(cells.read(offset, length));
                true
            })?;
        self.commit(&words.head, next, Twist::RelaxedHead);
        self.announce_room(turn, n as u32);
        Ok(taken)
    }

    pub(crate) fn close(&self) {
        let words = &self.house.words;
        let turn = self.turn(&words.tail);
        words.closed.store(1, Ordering::Release);
        drop(turn);
        words.events.message.announce_to_all(self);
        words.events.room.announce_to_all(self);
    }
}
