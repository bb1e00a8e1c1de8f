//! Recursive locks whose owners and waiters die, fork, and go on in threads; and a process killed at every pass of every
//! point.

use crate::faults::{is_back_at, usage, victim, was_killed};
use crate::kills::Kills;
use crate::process::{fork, nap, state_of, wait_until, Words};
use crate::woken::next_one_gets_it;
use crate::Case;
use mp::arena::Arena;
use mp::error::Status;
use mp::sync::{RLock, Who};
use mp::sys::clock::{Deadline, FOREVER};

pub fn cases() -> Vec<Case> {
    let kills = Kills::new(&["rlock.", "lock.", "wait."]);
    vec![
        Case::new("rlock: its owner is killed, and the heir's count is one", owner_killed),
        Case::new("rlock: the owner's name is used by its heir too", same_name),
        Case::new("rlock: a heap of threads and processes takes turns", turns),
        Case::new("rlock: killed while it acquires and releases", move || kills.at_every_pass(recursing))
            .within(300),
        Case::new("rlock: every point has killed", move || kills.all_points_reached("rlock.")),
        Case::new("woken: 300 waiters for a recursive lock are killed between wake-up and taking", woken)
            .within(600),
    ]
}

fn here() -> Who {
    Who::this_thread()
}

fn owner_killed() {
    let start = usage();
    let lock = RLock::new().unwrap();
    let words = Words::new();
    let owner = fork(|| {
        for _ in 0..4 {
            assert_eq!(lock.acquire(here(), Deadline::Now).unwrap(), Status::Ok);
        }
        words.set(0, 1);
        nap(100_000);
    });
    words.reaches(0, 1);
    owner.signal(libc::SIGKILL);
    // A zombie is dead: nobody has waited for it yet.
    assert_eq!(lock.acquire(here(), Deadline::after(FOREVER)).unwrap(), Status::OwnerDead);
    owner.was_killed();
    assert_eq!(lock.acquire(here(), Deadline::Now).unwrap(), Status::Ok);
    lock.release(here()).unwrap();
    lock.release(here()).unwrap();
    assert_eq!(lock.release(here()).unwrap_err().status(), Status::NotOwner);
    let next = fork(|| assert_eq!(lock.acquire(here(), Deadline::Now).unwrap(), Status::Ok));
    next.succeeds();
    drop(lock);
    is_back_at(start);
}

/// What a dead owner left in the lock is not taken for another's of the same name: two threads of the heir's process
/// want the lock, one of them by the dead one's name.
fn same_name() {
    let lock = RLock::new().unwrap();
    let words = Words::new();
    for round in 1..=100 {
        let owner = fork(|| {
            for _ in 0..2 {
                lock.acquire(Who::named(7), Deadline::after(FOREVER)).unwrap();
            }
        });
        owner.succeeds();
        std::thread::scope(|scope| {
            for name in [7, 8] {
                let lock = &lock;
                scope.spawn(move || {
                    let who = Who::named(name);
                    let status = lock.acquire(who, Deadline::after(FOREVER)).unwrap();
                    words.add(0, u32::from(status == Status::OwnerDead));
                    assert_eq!(words.add(1, 1), 1, "two are inside");
                    words.set(1, 0);
                    lock.release(who).unwrap();
                    assert_eq!(lock.release(who).unwrap_err().status(), Status::NotOwner);
                });
            }
        });
        assert_eq!(words.get(0), round, "one death is told once");
    }
}

fn take_turns(lock: &RLock, words: Words, rounds: u32) {
    for round in 0..rounds {
        let depth = 1 + round % 3;
        for _ in 0..depth {
            assert_eq!(lock.acquire(here(), Deadline::after(FOREVER)).unwrap(), Status::Ok);
        }
        assert_eq!(words.add(1, 1), 1, "two are inside");
        words.set(0, words.get(0) + 1);
        words.set(1, 0);
        (0..depth).for_each(|_| lock.release(here()).unwrap());
    }
}

fn turns() {
    let lock = RLock::new().unwrap();
    let words = Words::new();
    let work = || {
        std::thread::scope(|scope| {
            for _ in 0..10 {
                scope.spawn(|| take_turns(&lock, words, 600));
            }
        });
    };
    let children = [fork(work), fork(work)];
    work();
    children.iter().for_each(|child| child.succeeds());
    assert_eq!(words.get(0), 18_000);
}

/// The victim and a bystander wait for a lock that this process holds; all go on when it is released.
fn recursing(spec: &str) -> bool {
    let start = usage();
    let lock = RLock::new().unwrap();
    let dead = Words::new();
    let take = || {
        if lock.acquire(here(), Deadline::after(FOREVER)).unwrap() == Status::OwnerDead {
            dead.add(0, 1);
        }
    };
    let work = || {
        for _ in 0..3 {
            (0..3).for_each(|_| take());
            (0..3).for_each(|_| lock.release(here()).unwrap());
            assert_eq!(lock.release(here()).unwrap_err().status(), Status::NotOwner);
        }
    };
    take();
    let victim = victim(spec, work);
    wait_until("the victim sleeps or is dead", || matches!(state_of(victim.pid), Some('S' | 'Z')));
    let bystander = fork(work);
    bystander.sleeps();
    lock.release(here()).unwrap();
    work();
    bystander.succeeds();
    let killed = was_killed(&victim);
    assert!(dead.get(0) <= u32::from(killed), "one death is told once");
    drop(lock);
    is_back_at(start);
    killed
}

fn woken() {
    let start = usage();
    let lock = RLock::new().unwrap();
    let acquire = || {
        assert_eq!(lock.acquire(here(), Deadline::after(FOREVER)).unwrap(), Status::Ok);
        lock.release(here()).unwrap();
    };
    let prepare = || assert_eq!(lock.acquire(here(), Deadline::Now).unwrap(), Status::Ok);
    next_one_gets_it("lock.acquire:woken", acquire, prepare, || lock.release(here()).unwrap());
    drop(lock);
    Arena::get().unwrap().sweep();
    assert_eq!(usage(), start);
}
