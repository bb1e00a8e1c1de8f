//! Conditions whose waiters, notifiers and holders are killed at every pass of every point, or at random. Nobody waits
//! for the dead, each notification reaches somebody who lives, and in the end the arena has as much in use as before.

use crate::condition_parts as parts;
use crate::faults::{is_back_at, usage, victim, was_killed};
use crate::kills::Kills;
use crate::process::{fork, nap, state_of, wait_until, Child, Numbers, Words};
use crate::woken::next_one_gets_it;
use crate::Case;
use mp::arena::Arena;
use mp::error::Status;
use mp::sync::{Condition, Lock, RLock};
use mp::sys::clock::{Deadline, FOREVER};
use std::time::{Duration, Instant};

/// Words of a trial.
const ITEMS: usize = 0;
pub const WAITING: usize = 1;
pub const GO: usize = 2;

pub fn cases() -> Vec<Case> {
    let kills = Kills::new(&["condition.", "rlock.", "lock.", "wait."]);
    let case = |name: &str, trial: fn(&str) -> bool| {
        Case::new(format!("condition: killed {name}"), move || kills.at_every_pass(trial)).within(300)
    };
    vec![
        case("while it waits", waiting),
        case("while it waits with a plain lock", waiting_plainly),
        case("while it notifies", notifying),
        case("while it notifies all", notifying_all),
        case("while it passes on what a dead one was notified of", mending),
        case("while it waits as the thirteenth", parts::growing),
        case("while it takes a condition apart", parts::destroying),
        Case::new("condition: every point has killed", move || kills.all_points_reached("condition.")),
        Case::new("condition: a notified process dies unseen, and the next finds out by itself", found_out),
        Case::new("condition: the lock's holder dies, and one who waits is told", || holder_dies(true)),
        Case::new("condition: the same, unseen", || holder_dies(false)),
        Case::new("condition: a stopped waiter is alive, and others don't wait for it", stopped),
        Case::new("condition: storm", storm).within(120),
        Case::new("woken: 300 notified waiters are killed before they have the lock", || woken(false))
            .within(600),
        Case::new("woken: 300 notified waiters are killed with the lock", || woken(true)).within(600),
    ]
}

pub fn forever() -> Deadline {
    Deadline::after(FOREVER)
}

pub fn acquire(condition: &Condition) -> Status {
    condition.acquire(forever()).unwrap()
}

/// Waits for an item and takes it, as a program does.
fn consume(condition: &Condition, words: Words) {
    acquire(condition);
    words.add(WAITING, 1);
    while words.get(ITEMS) == 0 {
        condition.wait(forever()).unwrap();
    }
    words.set(ITEMS, words.get(ITEMS) - 1);
    condition.release().unwrap();
}

fn produce(condition: &Condition, words: Words) {
    acquire(condition);
    words.add(ITEMS, 1);
    condition.notify(1).unwrap();
    condition.release().unwrap();
}

fn sleeps_or_is_dead(child: &Child) {
    wait_until("the child sleeps or is dead", || matches!(state_of(child.pid), Some('S' | 'Z')));
}

fn waiting(spec: &str) -> bool {
    consuming(spec, || Condition::new(None).unwrap())
}

fn waiting_plainly(spec: &str) -> bool {
    consuming(spec, || Condition::with_lock(&Lock::new().unwrap()).unwrap())
}

/// The victim and a bystander take three items each, of six.
fn consuming(spec: &str, new: fn() -> Condition) -> bool {
    let start = usage();
    let condition = new();
    let words = Words::new();
    let work = || (0..3).for_each(|_| consume(&condition, words));
    let victim = victim(spec, work);
    sleeps_or_is_dead(&victim);
    let bystander = fork(work);
    bystander.sleeps();
    (0..6).for_each(|_| produce(&condition, words));
    bystander.succeeds();
    let killed = was_killed(&victim);
    assert!(killed || words.get(ITEMS) == 0);
    drop(condition);
    is_back_at(start);
    killed
}

fn notifying(spec: &str) -> bool {
    two_waiters(spec, |condition, words| {
        (0..2).for_each(|_| produce(condition, words));
    })
}

fn notifying_all(spec: &str) -> bool {
    two_waiters(spec, |condition, words| {
        acquire(condition);
        words.add(ITEMS, 2);
        condition.notify_all().unwrap();
        condition.release().unwrap();
    })
}

/// The victim serves two waiters; this process goes on where it was killed.
fn two_waiters(spec: &str, serve: fn(&Condition, Words)) -> bool {
    let start = usage();
    let condition = Condition::new(Some(&RLock::new().unwrap())).unwrap();
    let words = Words::new();
    let waiters = [(); 2].map(|()| fork(|| consume(&condition, words)));
    words.reaches(WAITING, 2);
    waiters.iter().for_each(|waiter| waiter.sleeps());
    let killed = was_killed(&victim(spec, || serve(&condition, words)));
    // Those who were notified of an item that was there are served without this.
    acquire(&condition);
    words.set(ITEMS, 2);
    condition.notify(2).unwrap();
    condition.release().unwrap();
    waiters.iter().for_each(|waiter| waiter.succeeds());
    drop(condition);
    is_back_at(start);
    killed
}

/// Two of four waiters are notified and die before they can have the lock; the victim, which has it, passes that on.
fn mending(spec: &str) -> bool {
    let start = usage();
    let condition = Condition::new(None).unwrap();
    let words = Words::new();
    let waiters: Vec<Child> = (0..4)
        .map(|i| {
            let waiter = fork(|| {
                acquire(&condition);
                words.add(WAITING, 1);
                condition.wait(forever()).unwrap();
                condition.release().unwrap();
            });
            words.reaches(WAITING, i + 1);
            waiter.sleeps();
            waiter
        })
        .collect();
    let killed = was_killed(&victim(spec, || {
        acquire(&condition);
        condition.notify(2).unwrap();
        waiters[..2].iter().for_each(|waiter| waiter.signal(libc::SIGKILL));
        wait_until("they are dead", || waiters[..2].iter().all(|w| state_of(w.pid) == Some('Z')));
        Arena::get().unwrap().sweep();
        condition.notify(0).unwrap();
        condition.release().unwrap();
    }));
    // Once the first two are dead, what they were notified of serves the others, without anybody's help.
    if killed && !spec.contains("condition.mend") {
        waiters[..2].iter().for_each(|waiter| waiter.signal(libc::SIGKILL));
        acquire(&condition);
        condition.notify_all().unwrap();
        condition.release().unwrap();
    }
    for dead in &waiters[..2] {
        dead.wait();
    }
    waiters[2..].iter().for_each(Child::succeeds);
    drop(condition);
    is_back_at(start);
    killed
}

/// Nobody sweeps, and the dead are nobody's to reap but a zombie's parent: the next waiter looks by itself.
fn found_out() {
    let condition = Condition::new(None).unwrap();
    let words = Words::new();
    let waiters = [(); 2].map(|()| {
        let waiter = fork(|| {
            acquire(&condition);
            words.add(WAITING, 1);
            assert_eq!(condition.wait(forever()).unwrap(), Status::Ok);
            condition.release().unwrap();
        });
        waiter.sleeps();
        waiter
    });
    words.reaches(WAITING, 2);
    acquire(&condition);
    condition.notify(1).unwrap();
    waiters[0].signal(libc::SIGKILL);
    wait_until("it is dead", || state_of(waiters[0].pid) == Some('Z'));
    condition.release().unwrap();
    waiters[1].succeeds();
    waiters[0].was_killed();
}

/// Who died with the lock has notified nobody: one of those who wait is told all the same, and the others wait on.
fn holder_dies(swept: bool) {
    const TOLD: usize = 3;
    let condition = Condition::new(None).unwrap();
    let words = Words::new();
    let wait = || {
        acquire(&condition);
        words.add(WAITING, 1);
        while words.get(ITEMS) == 0 {
            if condition.wait(forever()).unwrap() == Status::OwnerDead {
                words.add(TOLD, 1);
            }
        }
        condition.release().unwrap();
    };
    let waiters = [(); 3].map(|()| fork(wait));
    words.reaches(WAITING, 3);
    waiters.iter().for_each(|waiter| waiter.sleeps());
    let holder = fork(|| {
        acquire(&condition);
        words.set(GO, 1);
        nap(100_000);
    });
    words.reaches(GO, 1);
    holder.kill();
    if swept {
        Arena::get().unwrap().sweep();
    }
    words.reaches(TOLD, 1);
    assert_eq!(acquire(&condition), Status::Ok);
    words.set(ITEMS, 3);
    condition.notify_all().unwrap();
    condition.release().unwrap();
    waiters.iter().for_each(Child::succeeds);
    assert_eq!(words.get(TOLD), 1);
}

fn stopped() {
    let condition = Condition::new(None).unwrap();
    let words = Words::new();
    let waiter = fork(|| consume(&condition, words));
    words.reaches(WAITING, 1);
    waiter.sleeps();
    waiter.signal(libc::SIGSTOP);
    waiter.is_stopped();
    let other = fork(|| consume(&condition, words));
    words.reaches(WAITING, 2);
    other.sleeps();
    Arena::get().unwrap().sweep();
    acquire(&condition);
    words.set(ITEMS, 2);
    condition.notify_all().unwrap();
    condition.release().unwrap();
    other.succeeds();
    waiter.signal(libc::SIGCONT);
    waiter.succeeds();
}

/// Waiters and notifiers are killed at random; two who are not see every tick.
fn storm() {
    const TICK: usize = 3;
    const SEEN: usize = 4;
    let start = usage();
    let arena = Arena::get().unwrap();
    let lock = RLock::new().unwrap();
    let condition = Condition::new(Some(&lock)).unwrap();
    let words = Words::new();
    let rage = |seed: u64| {
        fork(|| {
            let mut numbers = Numbers(seed);
            loop {
                let mine = Condition::new(Some(&lock)).unwrap();
                for _ in 0..=numbers.below(2) {
                    acquire(&condition);
                }
                match numbers.below(6) {
                    0 => condition.notify(1).unwrap(),
                    1 => condition.notify_all().unwrap(),
                    2 => mine.notify_all().unwrap(),
                    n => {
                        let time = Deadline::after(numbers.below(1 << (8 * (n - 2))) as i64);
                        let _ = condition.wait(time);
                    }
                }
                while condition.release().is_ok() {}
            }
        })
    };
    let steady: Vec<Child> = (0..2)
        .map(|i| {
            fork(|| loop {
                acquire(&condition);
                while words.get(SEEN + i) == words.get(TICK) {
                    condition.wait(forever()).unwrap();
                }
                let tick = words.get(TICK);
                words.set(SEEN + i, tick);
                condition.release().unwrap();
                if tick == u32::MAX {
                    return;
                }
            })
        })
        .collect();
    let mut numbers = Numbers(u64::from(std::process::id()));
    println!("    seed {}", numbers.0);
    let mut processes: Vec<Child> = (0..4).map(|_| rage(numbers.next())).collect();
    let (mut kills, mut ticks, begun) = (0, 0, Instant::now());
    while begun.elapsed() < Duration::from_secs(6) {
        nap(1 + numbers.below(8));
        let victim = numbers.below(4) as usize;
        processes[victim].kill();
        kills += 1;
        processes[victim] = rage(numbers.next());
        if kills % 16 == 0 {
            arena.sweep();
        }
        ticks += 1;
        acquire(&condition);
        words.set(TICK, ticks);
        condition.notify_all().unwrap();
        condition.release().unwrap();
        if numbers.below(4) == 0 {
            (0..2).for_each(|i| words.reaches(SEEN + i, ticks));
        }
    }
    processes.iter().for_each(Child::kill);
    acquire(&condition);
    words.set(TICK, u32::MAX);
    condition.notify_all().unwrap();
    condition.release().unwrap();
    steady.iter().for_each(Child::succeeds);
    println!("    {kills} kills, {ticks} ticks");
    assert!(kills > 50);
    drop((condition, lock));
    // One that was killed before it took its slot over keeps that for ten seconds.
    wait_until("all is back", || {
        arena.sweep();
        usage() == start
    });
}

/// See `woken.rs`. Who dies with the lock leaves that to be told.
fn woken(with_the_lock: bool) {
    let start = usage();
    let condition = Condition::new(None).unwrap();
    let wait = || {
        acquire(&condition);
        let status = condition.wait(forever()).unwrap();
        assert_eq!(status, if with_the_lock { Status::OwnerDead } else { Status::Ok });
        condition.release().unwrap();
    };
    let wake = || {
        acquire(&condition);
        condition.notify(1).unwrap();
        condition.release().unwrap();
    };
    let point = if with_the_lock { "condition.wait:leaving" } else { "condition.wait:woken" };
    next_one_gets_it(point, wait, || {}, wake);
    drop(condition);
    is_back_at(start);
}
