//! Permits that come back from the dead.

use super::{check, join, Model, Twist};
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::sync::Arc;
use loom::thread;
use mp::arena::event;
use mp::arena::word::Ended;
use mp::sync::returning::{self, Permits};
use mp::sys::prim::Futex;

/// The count, as one exchange takes and gives it.
struct Count(AtomicU32);

impl Permits for Count {
    type Taken = ();

    fn take(&self) -> Option<()> {
        let one_less = |n: u32| n.checked_sub(1);
        self.0.fetch_update(Ordering::AcqRel, Ordering::Relaxed, one_less).ok().map(drop)
    }

    fn is_available(&self) -> bool {
        self.0.load(Ordering::Acquire) > 0
    }
}

struct Semaphore {
    count: Count,
    event: Futex,
    nobody: AtomicU32,
}

impl Semaphore {
    fn new(value: u32) -> Arc<Semaphore> {
        let (count, event, nobody) = (Count(AtomicU32::new(value)), Futex::new(0), AtomicU32::new(0));
        Arc::new(Semaphore { count, event, nobody })
    }

    fn acquire(&self, twist: Twist) -> Result<(), Ended> {
        let mut sleeper = Model { dead: &self.nobody, twist, slept: false };
        returning::acquire(&self.count, &self.event, &mut sleeper)
    }

    /// The exchange alone.
    fn give(&self) {
        self.count.0.fetch_add(1, Ordering::AcqRel);
    }

    /// What a releaser does, and the settler of a dead holder.
    fn release(&self) {
        self.give();
        event::notify(&self.event, 1);
    }

    fn value(&self) -> u32 {
        self.count.0.load(Ordering::SeqCst)
    }
}

fn spawn(semaphore: &Arc<Semaphore>, f: impl FnOnce(&Semaphore) + 'static) -> thread::JoinHandle<()> {
    let semaphore = semaphore.clone();
    thread::spawn(move || f(&semaphore))
}

/// A holder dies with its permit while two wait, each of whom gives it back. `settled`: somebody settles it.
fn holder_dies(twist: Twist, settled: bool) {
    check(2, move || {
        let semaphore = Semaphore::new(1);
        semaphore.acquire(Twist::None).unwrap();
        let takers = [(); 2].map(|()| {
            spawn(&semaphore, move |semaphore| {
                semaphore.acquire(twist).unwrap();
                semaphore.release();
            })
        });
        if settled {
            semaphore.release();
        } else {
            semaphore.give();
        }
        join(takers);
        assert_eq!(semaphore.value(), 1);
    });
}

#[test]
fn a_dead_holders_permit_goes_round() {
    holder_dies(Twist::None, true);
}

#[test]
#[ignore = "a mutant: it must fail"]
fn mutant_returning_without_announcement() {
    holder_dies(Twist::None, false);
}

#[test]
#[ignore = "a mutant: it must fail"]
fn mutant_returning_forgets_sleep() {
    check(2, || {
        let semaphore = Semaphore::new(0);
        let takers =
            [(); 2].map(|()| spawn(&semaphore, |semaphore| semaphore.acquire(Twist::ForgetsSleep).unwrap()));
        semaphore.release();
        semaphore.release();
        join(takers);
    });
}

/// The releaser, or a settler, dies between its exchange and its wake-ups; who settles it rouses all who wait.
fn releaser_dies(roused: bool) {
    check(2, move || {
        let semaphore = Semaphore::new(0);
        let takers = [(); 2].map(|()| {
            spawn(&semaphore, |semaphore| {
                semaphore.acquire(Twist::None).unwrap();
                semaphore.release();
            })
        });
        semaphore.give();
        if roused {
            event::rouse(&semaphore.event);
        } else {
            semaphore.event.wake(u32::MAX);
        }
        join(takers);
        assert_eq!(semaphore.value(), 1);
    });
}

#[test]
fn takers_survive_a_releaser() {
    releaser_dies(true);
}

/// A taker between its look and its sleep is not there to be woken.
#[test]
#[ignore = "a mutant: it must fail"]
fn mutant_returning_woken_without_a_change() {
    releaser_dies(false);
}

/// For a victim that is to be woken and to die: there is one only when the story is over.
struct TooFew<'a>(&'a Count);

impl Permits for TooFew<'_> {
    type Taken = ();

    fn take(&self) -> Option<()> {
        self.is_available().then_some(())
    }

    fn is_available(&self) -> bool {
        self.0 .0.load(Ordering::SeqCst) > 9
    }
}

/// The victim dies of its first wake-up; the permit is the other's.
fn woken_taker_dies(reaped: bool) {
    check(2, move || {
        let semaphore = Semaphore::new(0);
        let victim = spawn(&semaphore, move |semaphore| {
            let mut sleeper = Model { dead: &semaphore.nobody, twist: Twist::DiesWoken, slept: false };
            let few = TooFew(&semaphore.count);
            if returning::acquire(&few, &semaphore.event, &mut sleeper).is_err() && reaped {
                semaphore.event.wake(u32::MAX);
            }
        });
        let other = spawn(&semaphore, |semaphore| semaphore.acquire(Twist::None).unwrap());
        semaphore.release();
        other.join().unwrap();
        assert_eq!(semaphore.value(), 0);
        semaphore.count.0.store(10, Ordering::SeqCst);
        event::rouse(&semaphore.event);
        victim.join().unwrap();
    });
}

#[test]
fn takers_survive_a_woken_taker() {
    woken_taker_dies(true);
}

#[test]
#[ignore = "a mutant: it must fail"]
fn mutant_returning_taker_not_reaped() {
    woken_taker_dies(false);
}

#[test]
fn takers_survive_one_that_leaves() {
    check(2, || {
        let semaphore = Semaphore::new(0);
        let late = spawn(&semaphore, |semaphore| {
            let _ = semaphore.acquire(Twist::TimesOut);
        });
        let other = spawn(&semaphore, |semaphore| semaphore.acquire(Twist::None).unwrap());
        semaphore.release();
        semaphore.release();
        join([late, other]);
        assert!(semaphore.value() <= 1);
    });
}
