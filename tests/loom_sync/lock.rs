//! The lock word.

use super::{check, join, Model, Twist};
use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::sync::Arc;
use loom::thread;
use mp::arena::word::{self, Acquired, Ended};
use mp::sys::prim::Futex;

struct Lock {
    word: Futex,
    dead: AtomicU32,
    data: UnsafeCell<u32>,
    told: AtomicU32,
}

impl Lock {
    fn new() -> Arc<Lock> {
        Arc::new(Lock {
            word: Futex::new(0),
            dead: AtomicU32::new(0),
            data: UnsafeCell::new(0),
            told: AtomicU32::new(0),
        })
    }

    fn acquire(&self, me: u32, twist: Twist) -> Result<(), Ended> {
        if !word::try_acquire(&self.word, me) {
            let mut sleeper = Model { dead: &self.dead, twist, slept: false };
            if word::acquire(&self.word, me, &mut sleeper)? == Acquired::OwnerDead {
                self.told.fetch_add(1, Ordering::Relaxed);
            }
        }
        // SAFETY: the lock is held, which is what the model checks.
        self.data.with_mut(|data| unsafe { *data += 1 });
        Ok(())
    }

    fn release(&self, me: u32) {
        if !word::release_unwaited(&self.word, me) {
            assert!(word::release(&self.word, 0));
        }
    }

    fn turn(&self, me: u32, twist: Twist) {
        self.acquire(me, twist).unwrap();
        self.release(me);
    }

    /// What is done about a process that has died.
    fn reap(&self, me: u32) {
        self.dead.store(me, Ordering::SeqCst);
        word::bereave(&self.word, me);
        self.word.wake(u32::MAX);
    }

    fn data(&self) -> u32 {
        // SAFETY: all threads have been joined.
        self.data.with(|data| unsafe { *data })
    }
}

fn spawn(lock: &Arc<Lock>, f: impl FnOnce(&Lock) + 'static) -> thread::JoinHandle<()> {
    let lock = lock.clone();
    thread::spawn(move || f(&lock))
}

fn lock_turns(twist: Twist) {
    check(2, move || {
        let lock = Lock::new();
        let threads = [2, 3].map(|me| spawn(&lock, move |lock| lock.turn(me, twist)));
        lock.turn(1, twist);
        join(threads);
        assert_eq!((lock.data(), lock.told.load(Ordering::Relaxed)), (3, 0));
    });
}

#[test]
fn lock_excludes_and_wakes() {
    lock_turns(Twist::None);
}

#[test]
fn two_threads_take_two_turns_each() {
    check(3, || {
        let lock = Lock::new();
        let other = spawn(&lock, |lock| (0..2).for_each(|_| lock.turn(2, Twist::None)));
        (0..2).for_each(|_| lock.turn(1, Twist::None));
        join([other]);
        assert_eq!(lock.data(), 4);
    });
}

#[test]
#[ignore = "a mutant: it must fail"]
fn mutant_lock_forgets_sleep() {
    lock_turns(Twist::ForgetsSleep);
}

#[test]
#[ignore = "a mutant: it must fail"]
fn mutant_lock_released_silently() {
    loom::model(|| {
        let lock = Lock::new();
        let other = spawn(&lock, |lock| lock.turn(2, Twist::None));
        lock.acquire(1, Twist::None).unwrap();
        lock.word.store(0, Ordering::Release);
        join([other]);
    });
}

/// The owner dies; of those who wait exactly one is told.
fn owner_dies(reaped: bool) {
    check(2, move || {
        let lock = Lock::new();
        lock.acquire(1, Twist::None).unwrap();
        let threads = [2, 3].map(|me| spawn(&lock, move |lock| lock.turn(me, Twist::None)));
        if reaped {
            lock.reap(1);
        }
        join(threads);
        assert_eq!((lock.data(), lock.told.load(Ordering::Relaxed)), (3, 1));
    });
}

#[test]
fn lock_passes_from_a_dead_owner_and_tells_one() {
    owner_dies(true);
}

#[test]
#[ignore = "a mutant: it must fail"]
fn mutant_lock_owner_not_reaped() {
    owner_dies(false);
}

/// Released by another for the dead owner: the next one is still told.
#[test]
fn lock_released_for_a_dead_owner() {
    check(2, || {
        let lock = Lock::new();
        lock.acquire(1, Twist::None).unwrap();
        let other = spawn(&lock, |lock| lock.turn(2, Twist::None));
        assert!(word::release(&lock.word, word::OWNER_DIED));
        join([other]);
        assert_eq!(lock.told.load(Ordering::Relaxed), 1);
    });
}

/// A waiter dies between its wake-up and its taking; the next one must come through.
fn waiter_dies(reaped: bool) {
    check(2, move || {
        let lock = Lock::new();
        lock.acquire(1, Twist::None).unwrap();
        let victim = spawn(&lock, move |lock| match lock.acquire(2, Twist::DiesWoken) {
            Ok(()) => lock.release(2),
            Err(_) if reaped => lock.reap(2),
            Err(_) => {}
        });
        let next = spawn(&lock, |lock| lock.turn(3, Twist::None));
        lock.release(1);
        join([victim, next]);
        assert_eq!(lock.told.load(Ordering::Relaxed), 0);
    });
}

#[test]
fn lock_survives_a_woken_waiter() {
    waiter_dies(true);
}

#[test]
#[ignore = "a mutant: it must fail"]
fn mutant_lock_waiter_not_reaped() {
    waiter_dies(false);
}

#[test]
fn lock_survives_a_waiter_that_leaves() {
    check(2, || {
        let lock = Lock::new();
        lock.acquire(1, Twist::None).unwrap();
        let leaver = spawn(&lock, |lock| {
            if lock.acquire(2, Twist::TimesOut).is_ok() {
                lock.release(2);
            }
        });
        let next = spawn(&lock, |lock| lock.turn(3, Twist::None));
        lock.release(1);
        join([leaver, next]);
    });
}
