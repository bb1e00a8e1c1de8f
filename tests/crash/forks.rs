//! What a child has after fork, daemon, exec and clone, and what becomes of it.

use crate::process::{exit_now, fork, nap, raw_clone, wait_until, Words};
use crate::Case;
use mp::arena::{Arena, Usage};
use mp::error::Status;
use mp::sync::{Lock, Semaphore};
use mp::sys::clock::{Deadline, FOREVER};
use std::sync::atomic::{AtomicBool, Ordering};

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("fork: a child sees the objects and the last of both frees them", child_sees),
        Case::new("fork: a parent that frees during the fork takes nothing from the child", parent_frees),
        Case::new("fork: the child of a child", grandchild),
        Case::new("fork: hundreds of objects", many_objects),
        Case::new("fork: more children over time than there are slots", more_children_than_slots).within(120),
        Case::new("fork: beside threads that allocate and free", beside_threads).within(60),
        Case::new("fork: beside a thread that makes the arena", beside_making),
        Case::new("fork: daemon(3) after objects were made", daemonised),
        Case::new("fork: an exec'ed child holds nothing", exec_holds_nothing),
        Case::new("fork: a raw clone has no part", raw_clones),
        Case::new("fork: one that failed", failed_fork).within(60),
    ]
}

fn usage() -> Usage {
    Arena::get().unwrap().usage()
}

fn swept() -> Usage {
    Arena::get().unwrap().sweep();
    usage()
}

fn child_sees() {
    let start = usage();
    let mut held = Some((Lock::new().unwrap(), Semaphore::new(0, 0).unwrap()));
    assert_eq!(usage().objects, start.objects + 2);
    let me = std::process::id() as i32;
    held.as_ref().unwrap().0.acquire(Deadline::Now).unwrap();
    let child = fork(|| {
        let (lock, semaphore) = held.as_ref().unwrap();
        assert_eq!(lock.owner().unwrap(), me);
        assert_eq!(lock.acquire(Deadline::Now).unwrap_err().status(), Status::Timeout);
        semaphore.acquire(Deadline::after(FOREVER)).unwrap();
        assert_eq!(lock.acquire(Deadline::after(FOREVER)).unwrap(), Status::Ok);
        assert_eq!(lock.owner().unwrap(), std::process::id() as i32);
        lock.release().unwrap();
        semaphore.acquire(Deadline::after(FOREVER)).unwrap();
        assert_eq!(usage().objects, start.objects + 2, "this process holds them still");
        drop(held.take());
        // The parent may hold the semaphore for a moment more, by its last handle.
        wait_until("nobody holds them", || usage() == start);
    });
    let (lock, semaphore) = held.as_ref().unwrap();
    semaphore.release(1).unwrap();
    child.sleeps();
    lock.release().unwrap();
    wait_until("the child has had the lock", || {
        semaphore.value().unwrap() == 0 && lock.owner().unwrap() == 0
    });
    let child_alone = Semaphore::from_token(&semaphore.token()).unwrap();
    drop(held.take());
    child_alone.release(1).unwrap();
    drop(child_alone);
    child.succeeds();
    assert_eq!(usage(), start);
}

/// The closure and all that it holds is dropped in the parent as soon as fork has returned.
fn parent_frees() {
    let start = usage();
    let words = Words::new();
    for round in 1..=300 {
        let objects = (Lock::new().unwrap(), Semaphore::new(3, 0).unwrap());
        let child = fork(move || {
            words.reaches(0, round);
            let (lock, semaphore) = objects;
            assert_eq!(usage().objects, start.objects + 2);
            assert_eq!(lock.acquire(Deadline::Now).unwrap(), Status::Ok);
            semaphore.acquire(Deadline::Now).unwrap();
            assert_eq!(semaphore.value().unwrap(), 2);
            if round % 2 == 0 {
                // Otherwise the sweep does it.
                drop((lock, semaphore));
                assert_eq!(usage(), start);
            } else {
                std::mem::forget((lock, semaphore));
            }
        });
        words.set(0, round);
        child.succeeds();
        assert_eq!(swept(), start);
    }
}

fn grandchild() {
    let start = usage();
    let lock = Lock::new().unwrap();
    let words = Words::new();
    let child = fork(move || {
        let grandchild = fork(move || {
            words.set(0, std::process::id());
            words.reaches(1, 1);
            assert_eq!(usage().objects, start.objects + 1);
            assert_eq!(lock.acquire(Deadline::Now).unwrap(), Status::Ok);
            drop(lock);
            words.set(1, 2);
        });
        assert_ne!(grandchild.pid, 0);
        exit_now(0);
    });
    child.succeeds();
    wait_until("the grandchild runs", || words.get(0) != 0);
    assert_eq!(swept().objects, start.objects + 1);
    words.set(1, 1);
    words.reaches(1, 2);
    assert_eq!(usage(), start);
}

fn many_objects() {
    // Many handles need a longer held table, which stays until the process ends.
    drop((0..3000).map(|_| Lock::new().unwrap()).collect::<Vec<_>>());
    let start = usage();
    let locks: Vec<Lock> = (0..3000).map(|_| Lock::new().unwrap()).collect();
    let tokens: Vec<_> = locks.iter().map(Lock::token).collect();
    let child = fork(move || {
        assert_eq!(usage().objects, start.objects + 3000);
        for (lock, token) in locks.iter().zip(&tokens) {
            assert_eq!(lock.acquire(Deadline::Now).unwrap(), Status::Ok);
            assert_eq!(Lock::from_token(token).unwrap().owner().unwrap(), std::process::id() as i32);
        }
        drop(locks);
        assert_eq!(usage().objects, start.objects);
    });
    child.succeeds();
    assert_eq!(swept(), start);
}

fn more_children_than_slots() {
    let start = usage();
    let lock = Lock::new().unwrap();
    for _ in 0..9000 {
        let child = fork(|| {
            if lock.acquire(Deadline::Now).is_err() || lock.release().is_err() {
                exit_now(1);
            }
            exit_now(0);
        });
        child.succeeds();
    }
    drop(lock);
    assert_eq!(swept(), start);
}

fn beside_threads() {
    let arena = Arena::get().unwrap();
    let kept = Lock::new().unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for seed in 0..3 {
            let stop = &stop;
            scope.spawn(move || {
                let mut n = seed;
                while !stop.load(Ordering::Relaxed) {
                    n = (n * 7 + 13) % 100_000;
                    let block = arena.allocate(n, n % 2 == 0).unwrap();
                    let lock = Lock::new().unwrap();
                    lock.acquire(Deadline::Now).unwrap();
                    drop((block, lock));
                }
            });
        }
        for _ in 0..300 {
            let child = fork(|| {
                let mine = Lock::new().unwrap();
                assert_eq!(mine.acquire(Deadline::Now).unwrap(), Status::Ok);
                assert_eq!(kept.owner().unwrap(), 0);
                drop(arena.allocate(50_000, false).unwrap());
            });
            child.succeeds();
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(swept().objects, 1);
}

fn beside_making() {
    let maker = std::thread::spawn(|| Arena::get().unwrap().usage());
    let children: Vec<_> = (0..20)
        .map(|_| {
            fork(|| {
                let lock = Lock::new().unwrap();
                assert_eq!(lock.acquire(Deadline::Now).unwrap(), Status::Ok);
            })
        })
        .collect();
    maker.join().unwrap();
    children.iter().for_each(|child| child.succeeds());
}

fn daemonised() {
    let words = Words::new();
    // daemon(3) ends the process that calls it, so it is called in a child.
    let start = usage();
    let watched = Lock::new().unwrap();
    let lock = Lock::new().unwrap();
    let child = fork(|| {
        assert_eq!(lock.acquire(Deadline::Now).unwrap(), Status::Ok);
        // SAFETY: forks and ends this process.
        assert_eq!(unsafe { libc::daemon(0, 0) }, 0);
        words.set(0, std::process::id());
        // The lock belonged to the process that has left.
        assert_eq!(lock.acquire(Deadline::after(FOREVER)).unwrap(), Status::OwnerDead);
        lock.release().unwrap();
        assert_eq!(watched.acquire(Deadline::Now).unwrap(), Status::Ok);
        words.set(1, 1);
        words.reaches(1, 2);
        words.set(2, 1);
    });
    child.succeeds();
    words.reaches(1, 1);
    assert_eq!(watched.owner().unwrap(), words.get(0) as i32);
    drop((lock, watched));
    assert_eq!(swept().objects, start.objects + 2, "the daemon holds them");
    words.set(1, 2);
    words.reaches(2, 1);
    wait_until("the daemon has ended", || {
        crate::process::state_of(words.get(0) as i32).is_none_or(|s| s == 'Z')
    });
    assert_eq!(swept(), start);
}

fn exec_holds_nothing() {
    let start = usage();
    let (lock, kept) = (Lock::new().unwrap(), Lock::new().unwrap());
    let child = fork(|| {
        kept.acquire(Deadline::Now).unwrap();
        // SAFETY: NUL-terminated literals, ended by NULL.
        unsafe {
            libc::execlp(c"sleep".as_ptr(), c"sleep".as_ptr(), c"1000".as_ptr(), std::ptr::null::<u8>())
        };
    });
    let comm = format!("/proc/{}/comm", child.pid);
    wait_until("sleep runs", || std::fs::read_to_string(&comm).is_ok_and(|c| c == "sleep\n"));
    assert_eq!(kept.acquire(Deadline::after(FOREVER)).unwrap(), Status::OwnerDead);
    drop((lock, kept));
    assert_eq!(swept(), start);
    child.kill();
}

fn raw_clones() {
    let start = usage();
    let (lock, semaphore) = (Lock::new().unwrap(), Semaphore::new(5, 0).unwrap());
    let token = lock.token();
    lock.acquire(Deadline::Now).unwrap();
    let child = raw_clone(|| {
        let refused =
            |result: Result<(), mp::error::Error>| assert_eq!(result.unwrap_err().status(), Status::State);
        refused(lock.acquire(Deadline::Now).map(drop));
        refused(lock.release());
        refused(lock.owner().map(drop));
        refused(semaphore.acquire(Deadline::Now));
        refused(semaphore.release(1));
        refused(semaphore.value().map(drop));
        refused(Lock::new().map(drop));
        refused(Semaphore::new(0, 0).map(drop));
        refused(Lock::from_token(&token).map(drop));
        refused(Arena::get().map(drop));
        let (_lock, _semaphore) = (lock, semaphore);
    });
    child.succeeds();
    // The closure was dropped here, the clone's drop took nothing.
    assert_eq!(usage(), start);
}

fn failed_fork() {
    let start = usage();
    let lock = Lock::new().unwrap();
    let raised = fork(move || {
        // SAFETY: numbers and a live struct only. Root is not bound by the limit, so leave it.
        unsafe {
            libc::setgid(65534);
            libc::setuid(65534);
            let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            assert_eq!(libc::setrlimit(libc::RLIMIT_NPROC, &none), 0);
            assert_eq!(libc::fork(), -1);
        }
        // Only the process itself may tell, since it is alive; so it waits out the ten seconds.
        drop(lock);
        assert_eq!(usage().objects, start.objects + 1, "the child that never was has its share");
        nap(10_500);
        assert_eq!(swept(), start);
    });
    raised.succeeds();
    assert_eq!(swept(), start);
}
