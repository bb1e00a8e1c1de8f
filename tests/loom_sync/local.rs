//! The lock among the threads of one process, and over a fork.

use super::{check, join};
use loom::cell::UnsafeCell;
use loom::sync::atomic::Ordering;
use loom::sync::Arc;
use loom::thread;
use mp::sys::local;
use mp::sys::prim::Futex;

struct Local {
    word: Futex,
    data: UnsafeCell<u32>,
}

/// What a mutant leaves out.
#[derive(Clone, Copy, PartialEq)]
enum Omits {
    Nothing,
    /// Who has slept takes the lock as if nobody else did.
    OtherSleepers,
    /// The release wakes one.
    WakeUp,
}

impl Local {
    fn new(word: u32) -> Arc<Local> {
        Arc::new(Local { word: Futex::new(word), data: UnsafeCell::new(0) })
    }

    fn acquire(&self, omits: Omits) {
        let mut slept = false;
        local::acquire(&self.word, |word, seen| {
            word.model_wait(seen);
            slept = true;
        });
        if slept && omits == Omits::OtherSleepers {
            self.word.store(1, Ordering::Relaxed);
        }
        // SAFETY: the lock is held, which is what the model checks.
        self.data.with_mut(|data| unsafe { *data += 1 });
    }

    fn release(&self, omits: Omits) {
        if omits == Omits::WakeUp {
            self.word.store(0, Ordering::Release);
        } else {
            local::release(&self.word);
        }
    }

    fn turn(&self, omits: Omits) {
        self.acquire(omits);
        self.release(omits);
    }

    fn data(&self) -> u32 {
        // SAFETY: all threads have been joined.
        self.data.with(|data| unsafe { *data })
    }
}

fn spawn(lock: &Arc<Local>, f: impl FnOnce(&Local) + 'static) -> thread::JoinHandle<()> {
    let lock = lock.clone();
    thread::spawn(move || f(&lock))
}

fn turns(omits: Omits) {
    check(2, move || {
        let lock = Local::new(0);
        let threads = [(); 2].map(|()| spawn(&lock, move |lock| lock.turn(omits)));
        lock.turn(omits);
        join(threads);
        assert_eq!((lock.data(), lock.word.load(Ordering::Relaxed)), (3, 0));
    });
}

#[test]
fn local_excludes_and_wakes() {
    turns(Omits::Nothing);
}

#[test]
fn two_threads_take_two_local_turns() {
    check(3, || {
        let lock = Local::new(0);
        let other = spawn(&lock, |lock| (0..2).for_each(|_| lock.turn(Omits::Nothing)));
        (0..2).for_each(|_| lock.turn(Omits::Nothing));
        join([other]);
        assert_eq!(lock.data(), 4);
    });
}

#[test]
#[ignore = "a mutant: it must fail"]
fn mutant_local_forgets_other_sleepers() {
    turns(Omits::OtherSleepers);
}

#[test]
#[ignore = "a mutant: it must fail"]
fn mutant_local_released_silently() {
    turns(Omits::WakeUp);
}

/// A thread forks with the lock in its hands while others wait for it: both processes release their own word, and
/// the child's threads, which it starts then, come through as the parent's do.
fn fork(parent: Omits, child_releases: bool) {
    check(2, move || {
        let lock = Local::new(0);
        let threads = [(); 2].map(|()| spawn(&lock, |lock| lock.turn(Omits::Nothing)));
        lock.acquire(Omits::Nothing);
        // The others may be anywhere, but in the child there are none of them.
        let child = Local::new(lock.word.load(Ordering::SeqCst));
        lock.release(parent);
        join(threads);
        assert_eq!(lock.data(), 3);
        assert_ne!(child.word.load(Ordering::Relaxed), 0);
        if child_releases {
            child.release(Omits::Nothing);
        }
        child.turn(Omits::Nothing);
    });
}

/// The child's own threads, with the word as it came over the fork in either state.
#[test]
fn a_child_starts_threads_of_its_own() {
    for word in [1, 2] {
        check(2, move || {
            let child = Local::new(word);
            child.release(Omits::Nothing);
            let threads = [(); 2].map(|()| spawn(&child, |lock| lock.turn(Omits::Nothing)));
            child.turn(Omits::Nothing);
            join(threads);
            assert_eq!((child.data(), child.word.load(Ordering::Relaxed)), (3, 0));
        });
    }
}

#[test]
fn local_is_held_over_a_fork() {
    fork(Omits::Nothing, true);
}

#[test]
#[ignore = "a mutant: it must fail"]
fn mutant_local_child_keeps_it() {
    fork(Omits::Nothing, false);
}

/// The parent counts on the child's release.
#[test]
#[ignore = "a mutant: it must fail"]
fn mutant_local_parent_wakes_nobody() {
    fork(Omits::WakeUp, true);
}
