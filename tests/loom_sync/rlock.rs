//! The words of a recursive lock, between threads of one process and of another.

use super::{check, join, Model, Twist};
use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::sync::Arc;
use loom::thread;
use mp::arena::word::{self, Acquired, Ended};
use mp::sync::recursive::{Entered, RecursiveWords, Who};

struct RLock {
    words: RecursiveWords,
    dead: AtomicU32,
    data: UnsafeCell<u32>,
    told: AtomicU32,
    /// Mutant: an heir goes on counting where the dead one was.
    keeps_count: bool,
}

impl RLock {
    fn new() -> Arc<RLock> {
        RLock::mutant(false)
    }

    fn mutant(keeps_count: bool) -> Arc<RLock> {
        Arc::new(RLock {
            words: RecursiveWords::new(),
            dead: AtomicU32::new(0),
            data: UnsafeCell::new(0),
            told: AtomicU32::new(0),
            keeps_count,
        })
    }

    fn acquire(&self, me: u32, who: Who, twist: Twist) -> Result<(), Ended> {
        match self.words.enter(me, who) {
            Entered::Yes => return Ok(()),
            Entered::No => {}
            Entered::Full => unreachable!(),
        }
        let mut sleeper = Model { dead: &self.dead, twist, slept: false };
        let acquired = word::acquire(&self.words.word, me, &mut sleeper)?;
        self.words.own(me, who);
        if acquired == Acquired::OwnerDead {
            self.told.fetch_add(1, Ordering::Relaxed);
            if self.keeps_count {
                self.words.set_count(1);
            }
        }
        Ok(())
    }

    fn touch(&self) {
        // SAFETY: the lock is held, which is what the model checks.
        self.data.with_mut(|data| unsafe { *data += 1 });
    }

    fn release(&self, me: u32, who: Who) {
        if self.words.exit_unwaited(me, who) {
            return;
        }
        match self.words.exit(me, who) {
            Some(true) => self.release_word(me),
            Some(false) => {}
            None => panic!("not held"),
        }
    }

    fn release_word(&self, me: u32) {
        if !word::release_unwaited(&self.words.word, me) {
            assert!(word::release(&self.words.word, 0));
        }
    }

    /// In and in, out and out.
    fn turn(&self, me: u32, who: Who) {
        assert!(!self.words.is_held_by(me, who));
        self.acquire(me, who, Twist::None).unwrap();
        self.touch();
        self.acquire(me, who, Twist::None).unwrap();
        self.release(me, who);
        self.touch();
        self.release(me, who);
    }

    fn reap(&self, me: u32) {
        self.dead.store(me, Ordering::SeqCst);
        word::bereave(&self.words.word, me);
        self.words.word.wake(u32::MAX);
    }

    fn data(&self) -> u32 {
        // SAFETY: all threads have been joined.
        self.data.with(|data| unsafe { *data })
    }
}

fn spawn(lock: &Arc<RLock>, f: impl FnOnce(&RLock) + 'static) -> thread::JoinHandle<()> {
    let lock = lock.clone();
    thread::spawn(move || f(&lock))
}

#[test]
fn rlock_excludes_threads_of_one_process_and_another() {
    check(2, || {
        let lock = RLock::new();
        let threads =
            [(1, 11), (2, 10)].map(|(me, name)| spawn(&lock, move |lock| lock.turn(me, Who::named(name))));
        lock.turn(1, Who::named(10));
        join(threads);
        assert_eq!((lock.data(), lock.told.load(Ordering::Relaxed)), (6, 0));
    });
}

/// The owner dies in the middle of its second turn; the heir has the lock once, under the same name as the dead one,
/// while another thread of the heir's process uses that name too.
fn owner_dies(lock: fn() -> Arc<RLock>) {
    check(2, move || {
        let lock = lock();
        let who = Who::named(7);
        lock.acquire(1, who, Twist::None).unwrap();
        lock.acquire(1, who, Twist::None).unwrap();
        let threads = [7, 8].map(|name| spawn(&lock, move |lock| lock.turn(2, Who::named(name))));
        lock.reap(1);
        join(threads);
        assert_eq!((lock.data(), lock.told.load(Ordering::Relaxed)), (4, 1));
    });
}

#[test]
fn rlock_passes_from_a_dead_owner() {
    owner_dies(RLock::new);
}

#[test]
#[ignore = "a mutant: it must fail"]
fn mutant_rlock_heir_keeps_the_count() {
    owner_dies(|| RLock::mutant(true));
}

/// A condition's wait: out altogether, and in again as often.
#[test]
fn rlock_is_left_altogether() {
    check(2, || {
        let lock = RLock::new();
        let who = Who::named(7);
        lock.acquire(1, who, Twist::None).unwrap();
        lock.acquire(1, who, Twist::None).unwrap();
        let other = spawn(&lock, |lock| lock.turn(1, Who::named(8)));
        let count = lock.words.exit_fully();
        lock.release_word(1);
        assert_eq!(count, 1);
        lock.acquire(1, who, Twist::None).unwrap();
        lock.words.set_count(count);
        lock.touch();
        lock.release(1, who);
        assert!(lock.words.is_held_by(1, who));
        lock.release(1, who);
        join([other]);
        assert_eq!(lock.data(), 3);
    });
}

/// A waiter dies between its wake-up and its taking; the next one must come through.
fn waiter_dies(reaped: bool) {
    check(2, move || {
        let lock = RLock::new();
        let who = Who::named(7);
        lock.acquire(1, who, Twist::None).unwrap();
        let victim = spawn(&lock, move |lock| match lock.acquire(2, Who::named(7), Twist::DiesWoken) {
            Ok(()) => lock.release(2, Who::named(7)),
            Err(_) if reaped => lock.reap(2),
            Err(_) => {}
        });
        let next = spawn(&lock, |lock| lock.turn(3, Who::named(7)));
        lock.release(1, who);
        join([victim, next]);
        assert_eq!(lock.told.load(Ordering::Relaxed), 0);
    });
}

#[test]
fn rlock_survives_a_woken_waiter() {
    waiter_dies(true);
}

#[test]
#[ignore = "a mutant: it must fail"]
fn mutant_rlock_waiter_not_reaped() {
    waiter_dies(false);
}
