//! The doorbell: processes that sleep on one bell for several changes.

use super::{check, join, Model, Twist};
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::sync::Arc;
use loom::thread;
use mp::arena::watchers::{self, Bells, Watchers};
use mp::sys::prim::Futex;

/// An object of two changes, watched by the processes 1 and 2. Who rings is process 9.
struct House<const ENTRIES: usize> {
    changes: [AtomicU32; 2],
    watchers: Watchers<ENTRIES>,
    bells: [Futex; 2],
    dead: AtomicU32,
}

/// The house as one process has it.
struct Seen<'a, const ENTRIES: usize>(&'a House<ENTRIES>, u32);

impl<const ENTRIES: usize> Bells for Seen<'_, ENTRIES> {
    fn caller(&self) -> u32 {
        self.1
    }

    fn is_gone(&self, owner: u32) -> bool {
        self.0.dead.load(Ordering::Acquire) == owner
    }

    fn bell_of(&self, owner: u32) -> &Futex {
        &self.0.bells[owner as usize - 1]
    }

    fn all_bells(&self) -> impl Iterator<Item = &Futex> {
        self.0.bells.iter()
    }
}

/// Where a ringer dies.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Dies {
    Changed,
    Counted,
    Cleared,
}

impl<const ENTRIES: usize> House<ENTRIES> {
    fn new() -> Arc<House<ENTRIES>> {
        Arc::new(House {
            changes: [AtomicU32::new(0), AtomicU32::new(0)],
            watchers: Watchers::new(),
            bells: [Futex::new(0), Futex::new(0)],
            dead: AtomicU32::new(0),
        })
    }

    fn has(&self, change: usize) -> bool {
        self.changes[change].load(Ordering::Relaxed) != 0
    }

    /// Watches, and sleeps until all these changes have been made.
    fn await_changes(&self, me: u32, changes: &[usize]) {
        self.watchers.enter(&Seen(self, me));
        self.sleep(me, changes);
    }

    fn sleep(&self, me: u32, changes: &[usize]) {
        let mut sleeper = Model { dead: &self.dead, twist: Twist::None, slept: false };
        let ready = || changes.iter().all(|change| self.has(*change)).then_some(());
        watchers::await_ring(&self.bells[me as usize - 1], &mut sleeper, ready).unwrap();
    }

    fn change(&self, change: usize) {
        self.changes[change].swap(1, Ordering::Relaxed);
    }

    fn change_and_ring(&self, change: usize) {
        self.change(change);
        self.watchers.ring_after_exchange(&Seen(self, 9));
    }

    /// Changes, and dies while it rings the bell of process 1.
    fn change_and_die(&self, change: usize, dies: Dies) {
        self.change(change);
        match dies {
            Dies::Changed => {}
            Dies::Counted => drop(self.bells[0].fetch_add(2, Ordering::SeqCst)),
            Dies::Cleared => drop(watchers::strike(&self.bells[0])),
        }
    }
}

fn spawn<const ENTRIES: usize>(
    house: &Arc<House<ENTRIES>>,
    f: impl FnOnce(&House<ENTRIES>) + 'static,
) -> thread::JoinHandle<()> {
    let house = house.clone();
    thread::spawn(move || f(&house))
}

/// One waits for both changes, each made by another.
#[test]
fn a_bell_rung_by_two() {
    check(3, || {
        let house = House::<2>::new();
        let threads = [
            spawn(&house, |house| house.await_changes(1, &[0, 1])),
            spawn(&house, |house| house.change_and_ring(0)),
        ];
        house.change_and_ring(1);
        join(threads);
    });
}

/// Two threads of a process sleep on its bell, each for another change.
#[test]
fn two_threads_share_a_bell() {
    check(3, || {
        let house = House::<2>::new();
        let threads = [0, 1].map(|change| spawn(&house, move |house| house.await_changes(1, &[change])));
        house.change_and_ring(0);
        house.change_and_ring(1);
        join(threads);
    });
}

/// Two processes and one entry: it says "everybody", or is that of the one that came alone.
#[test]
fn more_watchers_than_entries() {
    check(3, || {
        let house = House::<1>::new();
        let threads = [1, 2].map(|me| spawn(&house, move |house| house.await_changes(me, &[0])));
        house.change_and_ring(0);
        join(threads);
    });
}

/// Two come into the place of a dead watcher, while a ring drops that one.
#[test]
fn a_dead_watcher_makes_room() {
    check(3, || {
        let house = House::<1>::new();
        house.watchers.enter(&Seen(&house, 8));
        house.dead.store(8, Ordering::SeqCst);
        let threads = [1, 2].map(|me| spawn(&house, move |house| house.await_changes(me, &[0])));
        house.change_and_ring(0);
        join(threads);
    });
}

/// A ringer dies; who settles it stirs what it held. Another ringer comes meanwhile.
fn ringer_dies(dies: Dies, stir: impl Fn(&House<1>) + Copy + Send + Sync + 'static) {
    check(3, move || {
        let house = House::<1>::new();
        house.watchers.enter(&Seen(&house, 1));
        let threads =
            [spawn(&house, |house| house.sleep(1, &[0, 1])), spawn(&house, |house| house.change_and_ring(1))];
        house.change_and_die(0, dies);
        stir(&house);
        join(threads);
    });
}

#[test]
fn sleepers_survive_a_ringer() {
    for dies in [Dies::Changed, Dies::Counted, Dies::Cleared] {
        ringer_dies(dies, |house| house.watchers.rouse(&Seen(house, 9)));
    }
}

/// The sleeper comes while the dead ringer is being settled.
#[test]
fn a_watcher_comes_as_a_ringer_is_settled() {
    check(3, || {
        let house = House::<1>::new();
        let sleeper = spawn(&house, |house| house.await_changes(1, &[0]));
        house.change_and_die(0, Dies::Changed);
        house.watchers.rouse(&Seen(&house, 9));
        join([sleeper]);
    });
}

#[test]
#[ignore = "a mutant: it must fail"]
fn mutant_doorbell_ringer_not_settled() {
    ringer_dies(Dies::Changed, |_| {});
}

/// Who settles a ringer that died between the bit and the wake-up must not go by the bit.
#[test]
#[ignore = "a mutant: it must fail"]
fn mutant_doorbell_settler_only_rings() {
    ringer_dies(Dies::Cleared, |house| house.watchers.ring_after_exchange(&Seen(house, 9)));
}

/// One change, made and rung as a mutant does it.
fn one_change(make: impl Fn(&House<1>) + Copy + Send + Sync + 'static) {
    check(3, move || {
        let house = House::<1>::new();
        let sleeper = spawn(&house, |house| house.await_changes(1, &[0]));
        make(&house);
        join([sleeper]);
    });
}

#[test]
#[ignore = "a mutant: it must fail"]
fn mutant_doorbell_rung_without_a_fence() {
    one_change(|house| {
        house.change(0);
        house.watchers.ring(&Seen(house, 9));
    });
}

#[test]
#[ignore = "a mutant: it must fail"]
fn mutant_doorbell_rung_before_the_change() {
    one_change(|house| {
        house.watchers.ring_after_exchange(&Seen(house, 9));
        house.change(0);
    });
}
