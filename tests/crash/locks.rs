//! Locks and semaphores whose owners and waiters die, stop, are cancelled or run out of time.

use crate::process::{exit_now, fork, nap, wait_until, Words};
use crate::Case;
use mp::arena::Arena;
use mp::error::Status;
use mp::sync::{Cancel, Lock, Semaphore};
use mp::sys::clock::{Deadline, FOREVER};
use std::sync::atomic::{AtomicPtr, Ordering};

const MS: i64 = 1_000_000;

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("lock: its owner is killed", || {
            owner_ends(
                || loop {
                    nap(1000)
                },
                true,
            )
        }),
        Case::new("lock: its owner exits", || owner_ends(|| exit_now(0), false)),
        Case::new("lock: its owner returns from its last function", || owner_ends(|| {}, false)),
        Case::new("lock: the dead owner's successor is told, its own successor is not", told_once),
        Case::new("lock: tries alone find the owner dead", tries_find_out),
        Case::new("lock: tries of one lock after the other find the owner dead", tries_in_turn_find_out),
        Case::new("lock: short waits find the owner dead", short_waits_find_out),
        Case::new("lock: a waiter under a fast timer finds the owner dead", found_under_timer),
        Case::new("lock: released by another after its owner's death", released_for_the_dead),
        Case::new("lock: a stopped owner is alive", stopped_owner),
        Case::new("lock: released too often", over_released),
        Case::new("lock: timeouts", timeouts),
        Case::new("lock: a heap of processes takes turns", turns),
        Case::new("lock: threads of two processes take turns", thread_turns),
        Case::new("lock: the watchman dies, then the owner", watchman_dies),
        Case::new("semaphore: permits, bounds and timeouts", permits),
        Case::new("semaphore: hands over between processes", hand_over),
        Case::new("cancel: from another thread", cancelled_by_thread),
        Case::new("cancel: from a signal handler", cancelled_by_signal),
        Case::new("cancel: beside a dead owner", cancel_in_use_and_owner_dies),
        Case::new("cancel: fired, reset, freed", cancel_states),
    ]
}

fn refused<T: std::fmt::Debug>(result: mp::error::Result<T>, status: Status) {
    assert_eq!(result.unwrap_err().status(), status);
}

/// A child acquires the lock and then does `then`; killed if it does not end by itself.
fn owner_ends(then: impl FnOnce(), kill: bool) {
    let start = Arena::get().unwrap().usage();
    let lock = Lock::new().unwrap();
    let words = Words::new();
    let child = fork(|| {
        lock.acquire(Deadline::Now).unwrap();
        words.set(0, 1);
        then();
    });
    words.reaches(0, 1);
    if kill {
        assert_eq!(lock.owner().unwrap(), child.pid);
        refused(lock.acquire(Deadline::after(150 * MS)), Status::Timeout);
        child.signal(libc::SIGKILL);
    }
    // A zombie is dead: nobody has waited for it yet.
    assert_eq!(lock.acquire(Deadline::after(FOREVER)).unwrap(), Status::OwnerDead);
    assert_eq!(lock.owner().unwrap(), std::process::id() as i32);
    child.wait();
    lock.release().unwrap();
    assert_eq!(lock.owner().unwrap(), 0);
    drop(lock);
    Arena::get().unwrap().sweep();
    assert_eq!(Arena::get().unwrap().usage(), start);
}

/// A lock whose owner, a child, has been killed and reaped.
fn orphaned() -> Lock {
    let lock = Lock::new().unwrap();
    let words = Words::new();
    let child = fork(|| {
        lock.acquire(Deadline::Now).unwrap();
        words.set(0, 1);
        nap(100_000);
    });
    words.reaches(0, 1);
    child.kill();
    lock
}

fn told_once() {
    let lock = orphaned();
    assert_eq!(lock.acquire(Deadline::after(FOREVER)).unwrap(), Status::OwnerDead);
    lock.release().unwrap();
    assert_eq!(lock.acquire(Deadline::Now).unwrap(), Status::Ok);
    lock.release().unwrap();
}

fn tries_find_out() {
    let lock = orphaned();
    wait_until("a try succeeds", || match lock.acquire(Deadline::Now) {
        Ok(status) => {
            assert_eq!(status, Status::OwnerDead);
            true
        }
        Err(error) => {
            assert_eq!(error.status(), Status::Timeout);
            false
        }
    });
}

/// A look after the first one's owner, who lives, must not be all that the tries do.
fn tries_in_turn_find_out() {
    let busy = Lock::new().unwrap();
    let words = Words::new();
    let child = fork(|| {
        busy.acquire(Deadline::Now).unwrap();
        words.set(0, 1);
        nap(100_000);
    });
    words.reaches(0, 1);
    let lock = orphaned();
    let found = (0..20).any(|_| {
        nap(60);
        refused(busy.acquire(Deadline::Now), Status::Timeout);
        lock.acquire(Deadline::Now).is_ok_and(|status| status == Status::OwnerDead)
    });
    child.kill();
    assert!(found, "20 tries of the second lock all looked at nothing");
}

fn short_waits_find_out() {
    let lock = orphaned();
    wait_until("a wait of 1 ms succeeds", || {
        lock.acquire(Deadline::after(MS)).is_ok_and(|s| s == Status::OwnerDead)
    });
}

extern "C" fn nothing(_: i32) {}

/// A signal handler that does nothing, for its interruptions.
fn interrupt_every(microseconds: i64) {
    let every = libc::timeval { tv_sec: 0, tv_usec: microseconds };
    let timer = libc::itimerval { it_interval: every, it_value: every };
    // SAFETY: a handler that does nothing, and live structs.
    unsafe {
        libc::signal(libc::SIGALRM, nothing as extern "C" fn(i32) as usize);
        libc::setitimer(libc::ITIMER_REAL, &timer, std::ptr::null_mut());
    }
}

fn found_under_timer() {
    let lock = Lock::new().unwrap();
    let words = Words::new();
    let child = fork(|| {
        lock.acquire(Deadline::Now).unwrap();
        words.set(0, 1);
        nap(100_000);
    });
    words.reaches(0, 1);
    let waiter = fork(|| {
        interrupt_every(5000);
        words.set(1, 1);
        assert_eq!(lock.acquire(Deadline::after(FOREVER)).unwrap(), Status::OwnerDead);
    });
    words.reaches(1, 1);
    nap(20);
    child.kill();
    waiter.succeeds();
}

fn released_for_the_dead() {
    let lock = orphaned();
    lock.release().unwrap();
    refused(lock.release(), Status::Overflow);
    assert_eq!(lock.acquire(Deadline::Now).unwrap(), Status::OwnerDead);
    lock.release().unwrap();
    assert_eq!(lock.acquire(Deadline::Now).unwrap(), Status::Ok);
}

fn stopped_owner() {
    let lock = Lock::new().unwrap();
    let words = Words::new();
    let child = fork(|| {
        lock.acquire(Deadline::Now).unwrap();
        words.set(0, 1);
        words.reaches(1, 1);
        lock.release().unwrap();
    });
    words.reaches(0, 1);
    child.signal(libc::SIGSTOP);
    child.is_stopped();
    refused(lock.acquire(Deadline::after(1500 * MS)), Status::Timeout);
    Arena::get().unwrap().sweep();
    refused(lock.acquire(Deadline::Now), Status::Timeout);
    child.signal(libc::SIGCONT);
    words.set(1, 1);
    assert_eq!(lock.acquire(Deadline::after(FOREVER)).unwrap(), Status::Ok);
    child.succeeds();
}

fn over_released() {
    let lock = Lock::new().unwrap();
    refused(lock.release(), Status::Overflow);
    lock.acquire(Deadline::Now).unwrap();
    lock.release().unwrap();
    refused(lock.release(), Status::Overflow);
    assert_eq!(lock.acquire(Deadline::Now).unwrap(), Status::Ok);
    let child = fork(|| lock.release().unwrap());
    child.succeeds();
    refused(lock.release(), Status::Overflow);
}

fn timeouts() {
    let lock = Lock::new().unwrap();
    lock.acquire(Deadline::Now).unwrap();
    for timeout in [i64::MIN, -1, 0, 1, 30 * MS] {
        let begun = std::time::Instant::now();
        refused(lock.acquire(Deadline::after(timeout)), Status::Timeout);
        assert!(begun.elapsed().as_nanos() as i64 >= timeout);
    }
    lock.release().unwrap();
    assert_eq!(lock.acquire(Deadline::after(i64::MIN)).unwrap(), Status::Ok);
}

fn take_turns(lock: &Lock, words: Words, rounds: u32) {
    for _ in 0..rounds {
        assert_eq!(lock.acquire(Deadline::after(FOREVER)).unwrap(), Status::Ok);
        assert_eq!(words.add(1, 1), 1, "two are inside");
        words.set(0, words.get(0) + 1);
        words.set(1, 0);
        lock.release().unwrap();
    }
}

fn turns() {
    let lock = Lock::new().unwrap();
    let words = Words::new();
    let children: Vec<_> = (0..8).map(|_| fork(|| take_turns(&lock, words, 5000))).collect();
    children.iter().for_each(|child| child.succeeds());
    assert_eq!(words.get(0), 40_000);
    assert_eq!(lock.owner().unwrap(), 0);
}

fn thread_turns() {
    let lock = Lock::new().unwrap();
    let words = Words::new();
    let work = || {
        std::thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| take_turns(&lock, words, 300));
            }
        });
    };
    let child = fork(work);
    work();
    child.succeeds();
    assert_eq!(words.get(0), 12_000);
}

fn watchman_dies() {
    let lock = Lock::new().unwrap();
    let words = Words::new();
    let owner = fork(|| {
        lock.acquire(Deadline::Now).unwrap();
        words.set(0, 1);
        nap(100_000);
    });
    words.reaches(0, 1);
    let watchman = fork(|| drop(lock.acquire(Deadline::after(FOREVER))));
    watchman.sleeps();
    let heirs: Vec<_> = (0..3)
        .map(|_| {
            fork(|| {
                let status = lock.acquire(Deadline::after(FOREVER)).unwrap();
                words.add(1, u32::from(status == Status::OwnerDead));
                lock.release().unwrap();
            })
        })
        .collect();
    heirs.iter().for_each(|heir| heir.sleeps());
    watchman.kill();
    nap(100);
    owner.kill();
    heirs.iter().for_each(|heir| heir.succeeds());
    assert_eq!(words.get(1), 1, "one is told");
}

fn permits() {
    let start = Arena::get().unwrap().usage();
    refused(Semaphore::new(3, 2), Status::Invalid);
    refused(Semaphore::new(1 << 31, 0), Status::Invalid);
    let semaphore = Semaphore::new(2, 3).unwrap();
    semaphore.acquire(Deadline::Now).unwrap();
    semaphore.acquire(Deadline::after(FOREVER)).unwrap();
    refused(semaphore.acquire(Deadline::Now), Status::Timeout);
    refused(semaphore.acquire(Deadline::after(20 * MS)), Status::Timeout);
    refused(semaphore.release(4), Status::Overflow);
    refused(semaphore.release(u32::MAX), Status::Overflow);
    assert_eq!(semaphore.value().unwrap(), 0);
    semaphore.release(3).unwrap();
    refused(semaphore.release(1), Status::Overflow);
    semaphore.release(0).unwrap();
    assert_eq!(semaphore.value().unwrap(), 3);
    let wide = Semaphore::new((1 << 31) - 1, 0).unwrap();
    refused(wide.release(1), Status::Overflow);
    wide.acquire(Deadline::Now).unwrap();
    wide.release(1).unwrap();
    drop((semaphore, wide));
    assert_eq!(Arena::get().unwrap().usage(), start);
}

fn hand_over() {
    let (there, back) = (Semaphore::new(0, 0).unwrap(), Semaphore::new(0, 0).unwrap());
    let words = Words::new();
    let children: Vec<_> = (0..4)
        .map(|_| {
            fork(|| {
                for _ in 0..3000 {
                    there.acquire(Deadline::after(FOREVER)).unwrap();
                    words.add(0, 1);
                    back.release(1).unwrap();
                }
            })
        })
        .collect();
    for round in 0..1500 {
        there.release(8).unwrap();
        for _ in 0..8 {
            back.acquire(Deadline::after(FOREVER)).unwrap();
        }
        assert_eq!(words.get(0), 8 * (round + 1));
    }
    children.iter().for_each(|child| child.succeeds());
    assert_eq!((there.value().unwrap(), back.value().unwrap()), (0, 0));
}

fn cancelled_by_thread() {
    let (lock, semaphore) = (Lock::new().unwrap(), Semaphore::new(0, 0).unwrap());
    lock.acquire(Deadline::Now).unwrap();
    let cancel = Cancel::new();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                cancel.use_here();
                refused(lock.acquire(Deadline::after(FOREVER)), Status::Cancelled);
                refused(semaphore.acquire(Deadline::after(FOREVER)), Status::Cancelled);
                // What need not wait is not cancelled. A semaphore of its own: no other thread may find the permit.
                let free = Semaphore::new(1, 0).unwrap();
                free.acquire(Deadline::after(FOREVER)).unwrap();
            });
        }
        nap(50);
        cancel.fire();
    });
    // This thread uses none.
    refused(lock.acquire(Deadline::after(MS)), Status::Timeout);
    lock.release().unwrap();
    assert_eq!(lock.acquire(Deadline::Now).unwrap(), Status::Ok);
}

static TO_FIRE: AtomicPtr<Cancel> = AtomicPtr::new(std::ptr::null_mut());

extern "C" fn fire(_: i32) {
    // SAFETY: the case stores a cancel object that it keeps.
    if let Some(cancel) = unsafe { TO_FIRE.load(Ordering::SeqCst).as_ref() } {
        cancel.fire();
    }
}

fn cancelled_by_signal() {
    let semaphore = Semaphore::new(0, 0).unwrap();
    let words = Words::new();
    let child = fork(|| {
        TO_FIRE.store(Box::leak(Box::new(Cancel::new())), Ordering::SeqCst);
        // SAFETY: the handler fires the object, which is async-signal-safe.
        unsafe { libc::signal(libc::SIGUSR1, fire as extern "C" fn(i32) as usize) };
        // SAFETY: just stored.
        unsafe { &*TO_FIRE.load(Ordering::SeqCst) }.use_here();
        words.set(0, 1);
        refused(semaphore.acquire(Deadline::after(FOREVER)), Status::Cancelled);
    });
    words.reaches(0, 1);
    child.sleeps();
    child.signal(libc::SIGUSR1);
    child.succeeds();
}

fn cancel_in_use_and_owner_dies() {
    let cancel = Cancel::new();
    cancel.use_here();
    let lock = orphaned();
    assert_eq!(lock.acquire(Deadline::after(FOREVER)).unwrap(), Status::OwnerDead);
}

fn cancel_states() {
    let lock = Lock::new().unwrap();
    let cancel = Cancel::new();
    cancel.use_here();
    cancel.fire();
    // What need not wait is not cancelled.
    assert_eq!(lock.acquire(Deadline::after(FOREVER)).unwrap(), Status::Ok);
    refused(lock.acquire(Deadline::after(FOREVER)), Status::Cancelled);
    cancel.reset();
    refused(lock.acquire(Deadline::after(MS)), Status::Timeout);
    cancel.fire();
    drop(cancel);
    refused(lock.acquire(Deadline::after(MS)), Status::Timeout);
    for _ in 0..1000 {
        let cancel = Cancel::new();
        cancel.use_here();
        refused(lock.acquire(Deadline::after(1)), Status::Timeout);
    }
    Cancel::use_none();
}
