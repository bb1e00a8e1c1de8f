//! A channel in a model, and the world as each of its threads has it.

use super::cells::Cells;
use loom::sync::atomic::{fence, Ordering};
use loom::sync::Arc;
use loom::thread;
use mp::arena::event;
use mp::arena::watchers::Bells;
use mp::arena::word::{self, Ended, Sleeper};
use mp::channel::ends::World;
use mp::channel::ring::Position;
use mp::channel::words::{rule, Plan, Words, UNBOUNDED};
use mp::sys::prim::Futex;
use std::cell::Cell;

/// What a mutant leaves out, or does too early.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Twist {
    None,
    /// The tail's, or the head's, position is stored without a release.
    RelaxedTail,
    RelaxedHead,
    /// A get looks at the tail first, and then whether the channel is closed.
    ClosedLate,
    /// The putter, or the getter, takes the other end to be further than it is.
    SeenAhead,
    MoreSeen,
    /// The announcement comes before the turn is given back.
    AnnouncesEarly,
    /// The turn is given back before the commit.
    ReleasesEarly,
    /// A turn that is not had is given back.
    GivesBackAnyway,
    /// Many messages, or much room, are announced as one.
    AnnouncesOne,
    /// Who has slept passes nothing on.
    ForgetsSleep,
    /// Both.
    AnnouncesOneOnly,
    /// The ring grows without the head's turn.
    GrowsAlone,
    /// What was in the ring is left there when it grows.
    GrowsEmpty,
    /// Who has announced that it waits sleeps without a look.
    NoSecondLook,
}

pub(crate) struct House {
    pub(crate) words: Words,
    pub(crate) cells: Cells,
    bell: Futex,
    pub(crate) twist: Twist,
}

/// The house as one thread has it.
pub(crate) struct Seat<'a> {
    pub(crate) house: &'a House,
    pub(crate) me: u32,
    /// It has given a turn back, and has not fenced since.
    pub(crate) gave: Cell<bool>,
}

pub(crate) struct Model {
    pub(crate) slept: bool,
    pub(crate) forgets: bool,
}

impl Sleeper for Model {
    fn is_dead(&self, _: u32) -> bool {
        false
    }

    fn spin(&mut self) -> bool {
        false
    }

    fn sleep(&mut self, word: &Futex, seen: u32) -> Option<Ended> {
        word.model_wait(seen);
        self.slept = true;
        None
    }

    fn slept(&self) -> bool {
        self.slept && !self.forgets
    }
}

impl Bells for Seat<'_> {
    fn caller(&self) -> u32 {
        self.me
    }

    fn is_gone(&self, _: u32) -> bool {
        false
    }

    fn bell_of(&self, _: u32) -> &Futex {
        &self.house.bell
    }

    fn all_bells(&self) -> impl Iterator<Item = &Futex> {
        std::iter::once(&self.house.bell)
    }
}

impl World for Seat<'_> {
    fn give_back(&self, lock: &Futex) {
        if !word::release_unwaited(lock, self.me) {
            word::release(lock, 0);
        }
        self.gave.set(true);
    }

    /// A fence only where there was an exchange: that is all it is on x86-64.
    fn fence(&self) {
        if self.gave.take() {
            fence(Ordering::SeqCst);
        }
    }

    fn notify(&self, word: &Futex, n: u32) {
        event::notify(word, n);
    }
}

impl House {
    pub(crate) fn new(bound: u32, twist: Twist) -> Arc<House> {
        let house = House { words: Words::default(), cells: Cells::new(), bell: Futex::new(0), twist };
        let bounded = if bound == UNBOUNDED { 0 } else { rule::BOUNDED };
        // Both the count of messages and the units wrap in the model.
        let at = Position::new(u32::MAX, u32::MAX);
        house.words.begin(Plan { rules: bounded, bound, most_bytes: 0 }, at);
        Arc::new(house)
    }

    /// With a ring of one unit, in which every message lies where the one before lay.
    pub(crate) fn with_one_unit(twist: Twist) -> Arc<House> {
        let house = House::new(1, twist);
        house.seat(1).make_ring(1, |_| {});
        house
    }

    pub(crate) fn seat(&self, me: u32) -> Seat<'_> {
        Seat { house: self, me, gave: Cell::new(false) }
    }
}

/// A thread with a seat of its own.
pub(crate) fn spawn<T: 'static>(
    house: &Arc<House>,
    me: u32,
    f: impl FnOnce(&Seat<'_>) -> T + 'static,
) -> thread::JoinHandle<T> {
    let house = house.clone();
    thread::spawn(move || f(&house.seat(me)))
}
