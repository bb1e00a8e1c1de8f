//! Robust semaphores: whoever dies, at whatever point, the permits are back to the full count.

use crate::faults::{is_back_at, usage, victim, was_killed, THOROUGH};
use crate::kills::Kills;
use crate::process::{exit_now, fork, nap, state_of, wait_until, Child, Numbers, Words};
use crate::woken::next_one_gets_it;
use crate::Case;
use mp::arena::Arena;
use mp::error::Status;
use mp::sync::{Cancel, Semaphore};
use mp::sys::clock::{Deadline, FOREVER};
use std::time::{Duration, Instant};

const PREFIXES: [&str; 4] = ["permit.", "event.", "wait.", "arena.journal"];
const OF_SETTLERS: [&str; 4] = ["permit.", "event.notify", "death.settle", "arena.journal"];
const MS: i64 = 1_000_000;

pub fn cases() -> Vec<Case> {
    let kills = Kills::new(&PREFIXES);
    let trial = |name: &str, prefixes: &'static [&str], trial: fn(&str) -> bool| {
        Case::new(format!("robust: killed {name}"), move || kills.at_passes_of(prefixes, THOROUGH, trial))
            .within(300)
    };
    vec![
        trial("while it takes and gives back", &PREFIXES, borrowing),
        trial("while it frees a handle with permits in hand", &PREFIXES, parting),
        trial("while it settles one that had permits", &OF_SETTLERS, settling),
        Case::new("robust: every point has killed", move || kills.all_points_reached("")),
        Case::new("robust: permits of one that exits, is killed, or runs another program", ends).within(60),
        Case::new("robust: among strangers, the watchman dies with a permit's holder", watchman_dies),
        Case::new("robust: one dead among more holders than one look asks about", crowd).within(60),
        Case::new("robust: tries and short waits alone find the holder dead", tries_find_out),
        Case::new("robust: a stopped holder is alive", stopped_holder),
        Case::new("robust: forked children have none of their parent's permits", forked),
        Case::new("robust: a wait is cancelled", cancelled),
        Case::new("robust: 300 waiters are killed between wake-up and taking", woken).within(600),
        Case::new("robust: a storm of takers, killed at random", storm).within(120),
    ]
}

fn take(semaphore: &Semaphore) {
    semaphore.acquire(Deadline::after(FOREVER)).unwrap();
}

fn refused<T: std::fmt::Debug>(result: mp::error::Result<T>, status: Status) {
    assert_eq!(result.unwrap_err().status(), status);
}

/// All permits are there, and can be taken.
#[track_caller]
fn is_full(semaphore: &Semaphore, value: u32) {
    Arena::get().unwrap().sweep();
    assert_eq!(semaphore.value().unwrap(), value);
    (0..value).for_each(|_| semaphore.acquire(Deadline::Now).unwrap());
    refused(semaphore.acquire(Deadline::Now), Status::Timeout);
    semaphore.release(value).unwrap();
    refused(semaphore.release(1), Status::NotOwner);
}

/// The victim, a bystander and this process take two of four permits, again and again. Nobody sweeps meanwhile.
fn borrowing(spec: &str) -> bool {
    let start = usage();
    let semaphore = Semaphore::robust(4, 0).unwrap();
    (0..4).for_each(|_| take(&semaphore));
    let work = || {
        for round in 0..3 {
            take(&semaphore);
            take(&semaphore);
            if round == 1 {
                semaphore.release(1).unwrap();
                semaphore.release(1).unwrap();
            } else {
                semaphore.release(2).unwrap();
            }
        }
    };
    let victim = victim(spec, work);
    wait_until("the victim sleeps or is dead", || matches!(state_of(victim.pid), Some('S' | 'Z')));
    let bystander = fork(work);
    bystander.sleeps();
    semaphore.release(4).unwrap();
    work();
    bystander.succeeds();
    let killed = was_killed(&victim);
    is_full(&semaphore, 4);
    drop(semaphore);
    is_back_at(start);
    killed
}

fn parting(spec: &str) -> bool {
    let start = usage();
    let semaphore = Semaphore::robust(3, 0).unwrap();
    let token = semaphore.token();
    let killed = was_killed(&victim(spec, || {
        let other = Semaphore::from_token(&token).unwrap();
        take(&other);
        take(&semaphore);
        drop(other);
        let again = Semaphore::from_token(&token).unwrap();
        again.release(1).unwrap();
        let last = Semaphore::robust(2, 0).unwrap();
        let token = last.token();
        take(&last);
        drop(last);
        let last = Semaphore::from_token(&token).unwrap();
        last.release(1).unwrap();
        drop(last);
        refused(Semaphore::from_token(&token), Status::Stale);
    }));
    is_full(&semaphore, 3);
    drop(semaphore);
    is_back_at(start);
    killed
}

/// Somebody sleeps for the permits of a process that dies; its settler dies too.
fn settling(spec: &str) -> bool {
    let start = usage();
    let semaphore = Semaphore::robust(4, 0).unwrap();
    let words = Words::new();
    let holder = fork(|| {
        (0..3).for_each(|_| take(&semaphore));
        words.set(0, 1);
        nap(100_000);
    });
    words.reaches(0, 1);
    let waiter = fork(|| {
        (0..3).for_each(|_| take(&semaphore));
        semaphore.release(3).unwrap();
    });
    waiter.sleeps();
    holder.kill();
    let killed = was_killed(&victim(spec, || Arena::get().unwrap().sweep()));
    waiter.succeeds();
    is_full(&semaphore, 4);
    drop(semaphore);
    is_back_at(start);
    killed
}

/// A child that takes two permits and then does `then`.
fn holder(semaphore: &Semaphore, then: impl FnOnce()) -> Child {
    let words = Words::new();
    let child = fork(|| {
        take(semaphore);
        take(semaphore);
        words.set(0, 1);
        then();
    });
    words.reaches(0, 1);
    child
}

fn run_sleep() {
    // SAFETY: strings that end in NUL, and a list that ends in NULL.
    unsafe {
        libc::execl(c"/bin/sleep".as_ptr(), c"sleep".as_ptr(), c"100".as_ptr(), std::ptr::null::<i8>())
    };
}

fn ends() {
    let start = usage();
    let semaphore = Semaphore::robust(2, 2).unwrap();
    let both = || {
        take(&semaphore);
        take(&semaphore);
        semaphore.release(2).unwrap();
    };
    for then in [|| exit_now(3), || {}, run_sleep as fn()] {
        let child = holder(&semaphore, then);
        both();
        child.signal(libc::SIGKILL);
        child.wait();
        is_full(&semaphore, 2);
    }
    let child = holder(&semaphore, || nap(100_000));
    child.signal(libc::SIGKILL);
    // Nobody has waited for it.
    both();
    child.was_killed();
    drop(semaphore);
    is_back_at(start);
}

fn watchman_dies() {
    let semaphore = Semaphore::robust(2, 0).unwrap();
    let child = holder(&semaphore, || nap(100_000));
    let watchman = fork(|| take(&semaphore));
    watchman.sleeps();
    nap(120);
    let heirs: Vec<Child> = (0..3)
        .map(|_| {
            fork(|| {
                take(&semaphore);
                semaphore.release(1).unwrap();
            })
        })
        .collect();
    heirs.iter().for_each(Child::sleeps);
    watchman.signal(libc::SIGKILL);
    child.signal(libc::SIGKILL);
    heirs.iter().for_each(Child::succeeds);
    watchman.was_killed();
    child.was_killed();
    is_full(&semaphore, 2);
}

fn crowd() {
    let semaphore = Semaphore::robust(80, 0).unwrap();
    let holders: Vec<Child> = (0..40).map(|_| holder(&semaphore, || nap(100_000))).collect();
    for victim in [39, 3, 20] {
        holders[victim].signal(libc::SIGKILL);
        take(&semaphore);
        take(&semaphore);
        holders[victim].was_killed();
    }
    holders.iter().enumerate().filter(|(i, _)| ![39, 3, 20].contains(i)).for_each(|(_, child)| child.kill());
    semaphore.release(6).unwrap();
    is_full(&semaphore, 80);
}

fn tries_find_out() {
    let semaphore = Semaphore::robust(2, 0).unwrap();
    for timeout in [0, MS] {
        holder(&semaphore, || nap(100_000)).kill();
        wait_until("a try succeeds", || semaphore.acquire(Deadline::after(timeout)).is_ok());
        semaphore.release(1).unwrap();
        is_full(&semaphore, 2);
    }
}

fn stopped_holder() {
    let semaphore = Semaphore::robust(2, 0).unwrap();
    let words = Words::new();
    let child = holder(&semaphore, || {
        words.reaches(0, 1);
        semaphore.release(2).unwrap();
    });
    child.signal(libc::SIGSTOP);
    child.is_stopped();
    refused(semaphore.acquire(Deadline::after(1200 * MS)), Status::Timeout);
    Arena::get().unwrap().sweep();
    refused(semaphore.acquire(Deadline::Now), Status::Timeout);
    child.signal(libc::SIGCONT);
    words.set(0, 1);
    take(&semaphore);
    child.succeeds();
    semaphore.release(1).unwrap();
    is_full(&semaphore, 2);
}

fn forked() {
    let start = usage();
    let semaphore = Semaphore::robust(3, 0).unwrap();
    let token = semaphore.token();
    take(&semaphore);
    take(&semaphore);
    let child = fork(|| {
        refused(semaphore.release(1), Status::NotOwner);
        take(&semaphore);
        refused(semaphore.release(2), Status::NotOwner);
        let grandchild = fork(|| refused(semaphore.release(1), Status::NotOwner));
        grandchild.succeeds();
        semaphore.release(1).unwrap();
        take(&semaphore);
    });
    child.succeeds();
    Arena::get().unwrap().sweep();
    assert_eq!(semaphore.value().unwrap(), 1);
    // The last handle goes before the permits, and a child is forked in between.
    drop(semaphore);
    let child = fork(|| {
        let semaphore = Semaphore::from_token(&token).unwrap();
        refused(semaphore.release(1), Status::NotOwner);
        take(&semaphore);
    });
    child.succeeds();
    let semaphore = Semaphore::from_token(&token).unwrap();
    semaphore.release(2).unwrap();
    is_full(&semaphore, 3);
    drop(semaphore);
    is_back_at(start);
    refused(Semaphore::from_token(&token), Status::Stale);
}

fn cancelled() {
    let semaphore = Semaphore::robust(0, 0).unwrap();
    let cancel = Cancel::new();
    cancel.use_here();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            nap(20);
            cancel.fire();
        });
        refused(semaphore.acquire(Deadline::Never), Status::Cancelled);
    });
    refused(semaphore.acquire(Deadline::Now), Status::Cancelled);
    Cancel::use_none();
    refused(semaphore.acquire(Deadline::after(MS)), Status::Timeout);
}

fn woken() {
    let start = usage();
    let semaphore = Semaphore::robust(1, 0).unwrap();
    let pass = || {
        take(&semaphore);
        semaphore.release(1).unwrap();
    };
    next_one_gets_it("event.wait:woken", pass, || take(&semaphore), || semaphore.release(1).unwrap());
    is_full(&semaphore, 1);
    drop(semaphore);
    is_back_at(start);
}

const PERMITS: u32 = 5;

fn rage(semaphore: &Semaphore, seed: u64) {
    let mut numbers = Numbers(seed);
    let mut have = 0;
    loop {
        match numbers.below(8) {
            0..=2 => {
                let timeout = [0, 2 * MS, 20 * MS][numbers.below(3) as usize];
                have += u32::from(semaphore.acquire(Deadline::after(timeout)).is_ok());
            }
            3..=5 if have > 0 => {
                let n = 1 + numbers.below(u64::from(have)) as u32;
                semaphore.release(n).unwrap();
                have -= n;
            }
            6 if have == 0 => refused(semaphore.release(1), Status::NotOwner),
            7 if numbers.below(20) == 0 => {
                let child = fork(|| {
                    let _ = semaphore.acquire(Deadline::after(MS));
                });
                child.succeeds();
            }
            _ => (0..numbers.below(1000)).for_each(|_| std::hint::spin_loop()),
        }
        assert!(semaphore.value().unwrap() + have <= PERMITS);
    }
}

/// Waits for the end of all descendants: orphans have become this process's children.
fn all_have_ended() {
    let mut status = 0;
    // SAFETY: reaps any child into a live integer.
    while unsafe { libc::waitpid(-1, &mut status, 0) } > 0 {}
}

fn storm() {
    // SAFETY: prctl with a number.
    unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) };
    let start = usage();
    let semaphore = Semaphore::robust(PERMITS, PERMITS).unwrap();
    let mut numbers = Numbers(u64::from(std::process::id()));
    println!("    seed {}", numbers.0);
    let mut rage = || {
        let seed = numbers.next();
        fork(|| rage(&semaphore, seed))
    };
    let mut processes: Vec<Child> = (0..5).map(|_| rage()).collect();
    let mut at_random = Numbers(11);
    let (mut kills, begun) = (0, Instant::now());
    while begun.elapsed() < Duration::from_secs(6) {
        nap(1 + at_random.below(8));
        let victim = at_random.below(5) as usize;
        processes[victim].kill();
        kills += 1;
        processes[victim] = rage();
        if kills % 3 == 0 {
            take(&semaphore);
            semaphore.release(1).unwrap();
        }
        if kills % 16 == 0 {
            Arena::get().unwrap().sweep();
        }
    }
    processes.iter().for_each(Child::kill);
    println!("    {kills} kills");
    assert!(kills > 100);
    // The children of the killed ones may still have been at work.
    all_have_ended();
    wait_until("all permits are back", || {
        Arena::get().unwrap().sweep();
        semaphore.value().unwrap() == PERMITS
    });
    is_full(&semaphore, PERMITS);
    drop(semaphore);
    wait_until("all is back", || {
        Arena::get().unwrap().sweep();
        usage() == start
    });
}
