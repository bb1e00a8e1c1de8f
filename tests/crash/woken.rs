//! A woken waiter is killed before it takes what it was woken for, 300 times: 300 times the next one gets it.

use crate::process::{fork, state_of, wait_until, Child};
use crate::Case;
use mp::arena::Arena;
use mp::error::Status;
use mp::sync::{Lock, Semaphore};
use mp::sys::clock::{Deadline, FOREVER};
use mp::sys::fault::arm;

const ROUNDS: u32 = 300;

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("woken: 300 waiters for a lock are killed between wake-up and taking", lock).within(600),
        Case::new("woken: 300 waiters for a permit are killed between wake-up and taking", semaphore)
            .within(600),
    ]
}

/// In each round a victim, which dies at `point`, and then the next one begin to wait; `wake` wakes one of them: the
/// victim, and the next one must come through. This process reaps the victim and sweeps, as a reaper would. A round
/// in which the sleeps' cap got in between, so that nobody was woken to die, is not counted.
pub fn next_one_gets_it(
    point: &str,
    mut wait: impl FnMut(),
    mut prepare: impl FnMut(),
    mut wake: impl FnMut(),
) {
    let (mut killed, mut got) = (0, 0);
    while killed < ROUNDS {
        prepare();
        let victim = fork(|| {
            arm(&format!("kill@{point}"));
            wait();
        });
        // It may have looked after the owner already, and died.
        wait_until("the victim sleeps or has died", || matches!(state_of(victim.pid), Some('S' | 'Z')));
        let next = fork(&mut wait);
        next.sleeps();
        let awake_too_early = ended(&victim);
        wake();
        wait_until("one of them has been woken", || ended(&victim) || ended(&next));
        let next_was_first = !ended(&victim);
        if next_was_first {
            victim.signal(libc::SIGKILL);
        }
        victim.was_killed();
        Arena::get().unwrap().sweep();
        next.succeeds();
        if !awake_too_early && !next_was_first {
            killed += 1;
            got += 1;
        }
    }
    println!("    {killed} woken waiters killed, {got} times the next one got it");
    assert_eq!((killed, got), (ROUNDS, ROUNDS));
}

fn ended(child: &Child) -> bool {
    state_of(child.pid) == Some('Z')
}

fn lock() {
    let start = Arena::get().unwrap().usage();
    let lock = Lock::new().unwrap();
    let acquire = || {
        assert_eq!(lock.acquire(Deadline::after(FOREVER)).unwrap(), Status::Ok);
        lock.release().unwrap();
    };
    let prepare = || assert_eq!(lock.acquire(Deadline::Now).unwrap(), Status::Ok);
    next_one_gets_it("lock.acquire:woken", acquire, prepare, || lock.release().unwrap());
    drop(lock);
    Arena::get().unwrap().sweep();
    assert_eq!(Arena::get().unwrap().usage(), start);
}

fn semaphore() {
    let start = Arena::get().unwrap().usage();
    let semaphore = Semaphore::new(0, 0).unwrap();
    let acquire = || semaphore.acquire(Deadline::after(FOREVER)).unwrap();
    next_one_gets_it("semaphore.acquire:woken", acquire, || {}, || semaphore.release(1).unwrap());
    assert_eq!(semaphore.value().unwrap(), 0);
    drop(semaphore);
    Arena::get().unwrap().sweep();
    assert_eq!(Arena::get().unwrap().usage(), start);
}
