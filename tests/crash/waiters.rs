//! Trials for `faults.rs`: a waiter, a releaser, or who settles an owner is killed, and all others go on.

use crate::faults::{is_back_at, usage, victim, was_killed};
use crate::process::{fork, nap, state_of, wait_until, Words};
use mp::arena::Arena;
use mp::error::Status;
use mp::sync::{Lock, Semaphore};
use mp::sys::clock::{Deadline, FOREVER};

/// Two sleep on a lock; one of them and the owner die; the settler, who would hand it on to the other, dies too.
pub fn bereaving(spec: &str) -> bool {
    let start = usage();
    let words = Words::new();
    let lock = Lock::new().unwrap();
    let owner = fork(|| {
        assert_eq!(lock.acquire(Deadline::Now).unwrap(), Status::Ok);
        words.set(0, 1);
        nap(100_000);
    });
    words.reaches(0, 1);
    let heir = fork(|| {
        assert_eq!(lock.acquire(Deadline::after(FOREVER)).unwrap(), Status::OwnerDead);
        lock.release().unwrap();
    });
    heir.sleeps();
    let other = fork(|| {
        let _ = lock.acquire(Deadline::after(FOREVER));
    });
    other.sleeps();
    other.kill();
    owner.kill();
    let killed = was_killed(&victim(spec, || Arena::get().unwrap().sweep()));
    heir.succeeds();
    assert_eq!(lock.acquire(Deadline::Now).unwrap(), Status::Ok);
    drop(lock);
    is_back_at(start);
    killed
}

fn take(lock: &Lock, dead: Words) {
    if lock.acquire(Deadline::after(FOREVER)).unwrap() == Status::OwnerDead {
        dead.add(0, 1);
    }
}

/// The victim and a bystander wait for a lock that this process holds; all go on when it is released.
pub fn locking(spec: &str) -> bool {
    let start = usage();
    let lock = Lock::new().unwrap();
    let dead = Words::new();
    take(&lock, dead);
    let work = || {
        for _ in 0..3 {
            take(&lock, dead);
            // Time for who has been called to say that it sleeps again; and for who is woken to take its turn.
            nap(10);
            lock.release().unwrap();
            nap(2);
        }
    };
    let victim = victim(spec, work);
    wait_until("the victim sleeps or is dead", || matches!(state_of(victim.pid), Some('S' | 'Z')));
    let bystander = fork(work);
    bystander.sleeps();
    lock.release().unwrap();
    work();
    bystander.succeeds();
    let killed = was_killed(&victim);
    assert!(dead.get(0) <= u32::from(killed), "one death is told once");
    drop(lock);
    is_back_at(start);
    killed
}

/// The same with a permit, and one more for the permit that the victim may take with it.
pub fn counting(spec: &str) -> bool {
    let start = usage();
    let semaphore = Semaphore::new(0, 0).unwrap();
    let work = || {
        for _ in 0..3 {
            semaphore.acquire(Deadline::after(FOREVER)).unwrap();
            semaphore.release(1).unwrap();
        }
    };
    let victim = victim(spec, work);
    wait_until("the victim sleeps or is dead", || matches!(state_of(victim.pid), Some('S' | 'Z')));
    let bystander = fork(work);
    bystander.sleeps();
    semaphore.release(2).unwrap();
    work();
    bystander.succeeds();
    let killed = was_killed(&victim);
    assert_eq!(semaphore.value().unwrap(), if spec.contains("acquire:taken") && killed { 1 } else { 2 });
    drop(semaphore);
    is_back_at(start);
    killed
}
