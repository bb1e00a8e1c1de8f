//! The permits word.

use super::{check, join, Model, Twist};
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::sync::Arc;
use loom::thread;
use mp::arena::word::Ended;
use mp::sync::permits;
use mp::sys::prim::Futex;

struct Permits {
    word: Futex,
    nobody: AtomicU32,
}

impl Permits {
    fn new(value: u32) -> Arc<Permits> {
        Arc::new(Permits { word: Futex::new(value), nobody: AtomicU32::new(0) })
    }

    fn acquire(&self, twist: Twist) -> Result<(), Ended> {
        if permits::take(&self.word).is_some() {
            return Ok(());
        }
        permits::acquire(&self.word, &mut Model { dead: &self.nobody, twist, slept: false })
    }

    fn release(&self, n: u32) {
        let given = permits::release_unwaited(&self.word, n, permits::MAX)
            .or_else(|| permits::release(&self.word, n, permits::MAX));
        assert!(given.is_some());
    }

    fn count(&self) -> u32 {
        permits::count(self.word.load(Ordering::SeqCst))
    }
}

fn permit_takers(permits: &Arc<Permits>, twists: [Twist; 2], reaped: bool) -> [thread::JoinHandle<()>; 2] {
    twists.map(|twist| {
        let permits = permits.clone();
        thread::spawn(move || {
            if permits.acquire(twist).is_err() && twist == Twist::DiesWoken && reaped {
                permits.word.wake(u32::MAX);
            }
        })
    })
}

fn permits_one_by_one(twist: Twist) {
    check(2, move || {
        let permits = Permits::new(0);
        let takers = permit_takers(&permits, [twist; 2], true);
        permits.release(1);
        permits.release(1);
        join(takers);
        assert_eq!(permits.count(), 0);
    });
}

#[test]
fn permits_given_one_by_one_reach_both() {
    permits_one_by_one(Twist::None);
}

#[test]
#[ignore = "a mutant: it must fail"]
fn mutant_permits_forget_sleep() {
    permits_one_by_one(Twist::ForgetsSleep);
}

#[test]
fn permits_given_at_once_reach_both() {
    check(2, || {
        let permits = Permits::new(0);
        let takers = permit_takers(&permits, [Twist::None; 2], true);
        permits.release(2);
        join(takers);
        assert_eq!(permits.count(), 0);
    });
}

fn permits_woken_taker_dies(reaped: bool) {
    check(2, move || {
        let permits = Permits::new(0);
        let takers = permit_takers(&permits, [Twist::DiesWoken, Twist::None], reaped);
        permits.release(1);
        permits.release(1);
        join(takers);
        assert!(permits.count() <= 1);
    });
}

/// One permit; if the victim was woken for it, the other gets it.
fn permits_woken_for_one(reaped: bool) {
    check(2, move || {
        let permits = Permits::new(0);
        let victim = {
            let permits = permits.clone();
            thread::spawn(move || match permits.acquire(Twist::DiesWoken) {
                // It came before it had to sleep, so it lives and gives it back.
                Ok(()) => permits.release(1),
                Err(_) if reaped => drop(permits.word.wake(u32::MAX)),
                Err(_) => {}
            })
        };
        let other = {
            let permits = permits.clone();
            thread::spawn(move || permits.acquire(Twist::None).unwrap())
        };
        permits.release(1);
        other.join().unwrap();
        // If the other was first, the victim is woken now.
        permits.release(1);
        victim.join().unwrap();
        assert_eq!(permits.count(), 1);
    });
}

#[test]
fn permits_survive_a_woken_taker() {
    permits_woken_taker_dies(true);
    permits_woken_for_one(true);
}

#[test]
#[ignore = "a mutant: it must fail"]
fn mutant_permits_taker_not_reaped() {
    permits_woken_for_one(false);
}

#[test]
fn permits_survive_a_taker_that_leaves() {
    check(2, || {
        let permits = Permits::new(0);
        let takers = permit_takers(&permits, [Twist::TimesOut, Twist::None], true);
        permits.release(1);
        permits.release(1);
        join(takers);
        assert!(permits.count() <= 1);
    });
}
