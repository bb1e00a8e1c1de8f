//! Barriers whose parties die, stop, or run out of time.

use crate::faults::{is_back_at, usage};
use crate::process::{fork, nap, wait_until, Child, Words};
use crate::Case;
use mp::arena::{Arena, Token};
use mp::error::Status;
use mp::sync::{Barrier, Cancel};
use mp::sys::clock::{Deadline, FOREVER};
use mp::sys::fault::arm;

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("barrier: processes go many rounds together", together),
        Case::new("barrier: a waiter is killed", waiter_is_killed),
        Case::new("barrier: who took part before is killed", former_is_killed),
        Case::new("barrier: a handle that was freed does not save who took part", freed_and_gone),
        Case::new("barrier: the only other holder is killed", other_holder_is_killed),
        Case::new("barrier: the only other holder had died before", other_holder_had_died),
        Case::new("barrier: by a kept token somebody may still come", kept_token),
        Case::new("barrier: threads that have come before may come again", threads_may_come),
        Case::new("barrier: threads come though a holder had died before", threads_come_after_a_death),
        Case::new("barrier: a holder that lives may still come", live_holder_may_come),
        Case::new("barrier: late sleepers learn how their own round ended", late_sleepers),
        Case::new("barrier: a stopped waiter is alive", stopped_waiter),
        Case::new("barrier: a process that is stopped in it keeps nobody beyond his time", stopped_inside),
    ]
}

pub fn wait(barrier: &Barrier) -> Result<u32, Status> {
    barrier.wait(Deadline::after(FOREVER)).map_err(|error| error.status())
}

/// A child that waits and must be told this.
pub fn waiter(barrier: &Barrier, expected: Result<u32, Status>) -> Child {
    let before = barrier.waiting().unwrap();
    let child = fork(|| assert_eq!(wait(barrier), expected));
    wait_until("it has come", || barrier.waiting().unwrap() != before);
    child.sleeps();
    child
}

/// A child that has handles, and does nothing. Killed before it had taken over its slot, it would keep them for ten
/// seconds.
fn holder() -> Child {
    let words = Words::new();
    let child = fork(|| {
        words.set(0, 1);
        nap(100_000);
    });
    words.reaches(0, 1);
    child
}

pub fn sweep() {
    Arena::get().unwrap().sweep();
}

/// The barrier, for two, works.
#[track_caller]
pub fn works(barrier: &Barrier) {
    barrier.reset().unwrap();
    assert!(!barrier.broken().unwrap());
    for _ in 0..2 {
        let other = waiter(barrier, Ok(0));
        assert_eq!(wait(barrier), Ok(1));
        other.succeeds();
        barrier.reset().unwrap();
    }
}

fn together() {
    let start = usage();
    let (barrier, words) = (Barrier::new(4).unwrap(), Words::new());
    let go = || {
        for round in 0..2000 {
            words.add(0, 1);
            let index = wait(&barrier).unwrap();
            assert!(words.get(0) >= (round + 1) * 4, "one went ahead");
            words.add(1 + index as usize, 1);
        }
    };
    let others = [(); 3].map(|()| fork(go));
    go();
    others.iter().for_each(Child::succeeds);
    assert!((1..5).all(|i| words.get(i) == 2000), "an index came twice");
    drop(barrier);
    is_back_at(start);
}

fn waiter_is_killed() {
    let start = usage();
    let barrier = Barrier::new(4).unwrap();
    let killed = waiter(&barrier, Ok(9));
    let others = [(); 2].map(|()| waiter(&barrier, Err(Status::Broken)));
    assert_eq!((barrier.waiting().unwrap(), barrier.broken().unwrap()), (3, false));
    killed.signal(libc::SIGKILL);
    // Nobody tells them: they look by themselves, and a zombie is dead.
    others.iter().for_each(Child::succeeds);
    killed.was_killed();
    assert_eq!((barrier.waiting().unwrap(), barrier.broken().unwrap()), (0, true));
    assert_eq!(wait(&barrier), Err(Status::Broken));
    // Nobody has noticed this one before the last one comes.
    drop(barrier);
    let barrier = Barrier::new(2).unwrap();
    waiter(&barrier, Ok(9)).kill();
    assert_eq!(wait(&barrier), Err(Status::Broken));
    works(&barrier);
    drop(barrier);
    is_back_at(start);
}

/// A child that has been through a round with this process, and lives on.
fn partner(barrier: &Barrier) -> Child {
    let child = fork(|| {
        wait(barrier).unwrap();
        nap(100_000);
    });
    wait(barrier).unwrap();
    child
}

fn former_is_killed() {
    let barrier = Barrier::new(2).unwrap();
    let former = partner(&barrier);
    let other = waiter(&barrier, Err(Status::Broken));
    former.signal(libc::SIGKILL);
    other.succeeds();
    former.was_killed();
    works(&barrier);
    partner(&barrier).kill();
    assert!(barrier.broken().unwrap());
    works(&barrier);
    partner(&barrier).kill();
    assert_eq!(wait(&barrier), Err(Status::Broken));
    // Who took part in an earlier round only does not matter.
    barrier.reset().unwrap();
    let former = partner(&barrier);
    let other = partner(&barrier);
    former.kill();
    let third = waiter(&barrier, Ok(0));
    assert_eq!(wait(&barrier), Ok(1));
    third.succeeds();
    other.kill();
}

fn freed_and_gone() {
    let barrier = Barrier::new(2).unwrap();
    let token = barrier.token();
    let former = fork(|| {
        let mine = Barrier::from_token(&token).unwrap();
        wait(&mine).unwrap();
        drop(mine);
    });
    wait(&barrier).unwrap();
    former.succeeds();
    assert_eq!(wait(&barrier), Err(Status::Broken));
}

/// A process that made a barrier for two, and its child, which waits in it; then `then` happens.
fn parent_and_waiter(expected: Result<u32, Status>, then: impl FnOnce(&Barrier, Token)) {
    let barrier = Barrier::new(2).unwrap();
    let token = barrier.token();
    let child = fork(|| assert_eq!(wait(&barrier), expected));
    wait_until("it waits", || barrier.waiting().unwrap() == 1);
    child.sleeps();
    then(&barrier, token);
    drop(barrier);
    child.succeeds();
}

fn other_holder_is_killed() {
    // The waiter and its sibling, which holds a handle; this process frees its own.
    parent_and_waiter(Err(Status::Broken), |barrier, _| {
        let holder = holder();
        drop(Barrier::from_token(&barrier.token()).unwrap());
        // It is killed after this process has freed its handle.
        let _killer = fork(|| {
            nap(300);
            holder.signal(libc::SIGKILL);
        });
    });
}

fn other_holder_had_died() {
    let barrier = Barrier::new(2).unwrap();
    let words = Words::new();
    let holder = holder();
    let child = fork(|| {
        words.reaches(0, 1);
        assert_eq!(wait(&barrier), Err(Status::Broken));
    });
    holder.kill();
    sweep();
    drop(barrier);
    words.set(0, 1);
    child.succeeds();
}

fn kept_token() {
    let start = usage();
    let arena = Arena::get().unwrap();
    let barrier = Barrier::new(2).unwrap();
    let token = barrier.token();
    arena.keep(&token).unwrap();
    let child = fork(|| assert_eq!(wait(&barrier), Ok(0)));
    let holder = holder();
    wait_until("it waits", || barrier.waiting().unwrap() == 1);
    drop(barrier);
    holder.kill();
    sweep();
    nap(1500);
    let barrier = Barrier::from_token(&token).unwrap();
    assert!(!barrier.broken().unwrap());
    assert_eq!(wait(&barrier), Ok(1));
    child.succeeds();
    arena.unkeep(&token).unwrap();
    drop(barrier);
    is_back_at(start);
}

/// In a process alone with the barrier, whose threads have been through a round, a child ends while one of them waits.
fn threads_may_come() {
    let barrier = Barrier::new(3).unwrap();
    std::thread::scope(|scope| {
        (0..2).for_each(|_| {
            scope.spawn(|| wait(&barrier).unwrap());
        });
        wait(&barrier).unwrap();
    });
    std::thread::scope(|scope| {
        scope.spawn(|| wait(&barrier).unwrap());
        wait_until("it waits", || barrier.waiting().unwrap() == 1);
        let child = fork(|| {});
        child.succeeds();
        sweep();
        nap(1500);
        assert!(!barrier.broken().unwrap());
        scope.spawn(|| wait(&barrier).unwrap());
        wait(&barrier).unwrap();
    });
}

fn threads_come_after_a_death() {
    let barrier = Barrier::new(3).unwrap();
    fork(|| {}).succeeds();
    sweep();
    std::thread::scope(|scope| {
        for i in 0..2 {
            scope.spawn(|| wait(&barrier).unwrap());
            wait_until("it waits", || barrier.waiting().unwrap() == i + 1);
            nap(700);
        }
        wait(&barrier).unwrap();
    });
}

fn live_holder_may_come() {
    let barrier = Barrier::new(2).unwrap();
    let child = waiter(&barrier, Ok(0));
    let holder = holder();
    holder.kill();
    sweep();
    nap(1500);
    assert_eq!(wait(&barrier), Ok(1));
    child.succeeds();
}

/// Two waiters are stopped, one in a round that completes, one in a round that is reset; then much happens.
fn late_sleepers() {
    let barrier = Barrier::new(2).unwrap();
    let pairs = |n: u32| {
        for _ in 0..n {
            let other = fork(|| assert!(wait(&barrier).is_ok()));
            wait(&barrier).unwrap();
            other.succeeds();
            // Its end is not to break the next round.
            barrier.reset().unwrap();
        }
    };
    let completed = waiter(&barrier, Ok(0));
    completed.signal(libc::SIGSTOP);
    completed.is_stopped();
    assert_eq!(wait(&barrier), Ok(1));
    let reset = waiter(&barrier, Err(Status::Broken));
    reset.signal(libc::SIGSTOP);
    reset.is_stopped();
    barrier.reset().unwrap();
    std::thread::scope(|scope| {
        let many = || (0..500).for_each(|_| assert!(wait(&barrier).is_ok()));
        scope.spawn(many);
        many();
    });
    pairs(3);
    for _ in 0..10 {
        barrier.abort().unwrap();
        barrier.reset().unwrap();
    }
    barrier.abort().unwrap();
    for child in [completed, reset] {
        child.signal(libc::SIGCONT);
        child.succeeds();
    }
}

fn stopped_waiter() {
    let barrier = Barrier::new(3).unwrap();
    let stopped = waiter(&barrier, Ok(0));
    stopped.signal(libc::SIGSTOP);
    stopped.is_stopped();
    let other = waiter(&barrier, Ok(1));
    nap(1500);
    assert!(!barrier.broken().unwrap());
    assert_eq!(wait(&barrier), Ok(2));
    other.succeeds();
    stopped.signal(libc::SIGCONT);
    stopped.succeeds();
}

fn stopped_inside() {
    let barrier = Barrier::new(2).unwrap();
    for cancelled in [false, true] {
        let stopped = fork(|| {
            arm("stop@barrier.arrive:entered");
            assert_eq!(wait(&barrier), Err(Status::Broken));
        });
        stopped.is_stopped();
        let cancel = Cancel::new();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                cancel.use_here();
                let (time, expected) = match cancelled {
                    true => (FOREVER, Status::Cancelled),
                    false => (1_000_000, Status::Timeout),
                };
                let found = barrier.wait(Deadline::after(time)).unwrap_err().status();
                assert_eq!(found, expected);
                Cancel::use_none();
            });
            nap(20);
            if cancelled {
                cancel.fire();
            }
        });
        assert!(barrier.broken().unwrap());
        assert_eq!(barrier.waiting().unwrap(), 0);
        stopped.signal(libc::SIGCONT);
        stopped.succeeds();
        works(&barrier);
    }
}
