//! Processes that wait for each other at queues: for a message, for room, for what is reserved, for what is done. One of
//! them is killed at every pass of every fault point; the others go on, and nobody too early.

use crate::faults::{is_back_at, usage, victim, was_killed};
use crate::kills::{Kills, Pace};
use crate::process::{fork, nap, state_of, wait_until, Child, Words};
use crate::queue_kinds::{drain, finish, is_joined, kinds, message, number, soon, Kind, BYTES};
use crate::Case;
use mp::arena::Arena;
use mp::channel::Queue;
use mp::error::Status;
use mp::sys::clock::Deadline;

const POINTS: [&str; 3] = ["queue.", "event.", "wait."];
const SOME: Pace = Pace { all_of: 3, tries: 1, least: 1 };
/// Where others settle as well, and the victim is seldom the first, if ever: that the others go on is seen each time.
const CONTESTED: Pace = Pace { tries: 6, least: 0, ..SOME };

fn kind(name: &str) -> Kind {
    kinds().into_iter().find(|kind| kind.name == name).unwrap()
}

pub fn cases(kills: Kills) -> Vec<Case> {
    let at = |pace: Pace, name: &str, what: &'static str, trial: fn(Kind, &str) -> bool| {
        Case::new(format!("queue: killed {name}, {what}"), move || {
            kills.at_passes_of(&POINTS, pace, |spec| trial(kind(what), spec))
        })
        .within(120)
    };
    let case = |name: &str, what: &'static str, trial: fn(Kind, &str) -> bool| at(SOME, name, what, trial);
    vec![
        case("while others join", "fifo", joined),
        case("while others join", "lifo", joined),
        case("while others join", "redelivering", joined),
        case("while it joins", "fifo", joining),
        case("while it joins", "redelivering", joining),
        case("while it waits for a message", "priority", waiting),
        case("while it waits for a message", "redelivering", waiting),
        case("while others wait for what it reserved", "bounded fifo", reserving),
        case("while others wait for what it reserved", "bounded lifo", reserving),
        case("while it waits for bytes", "fifo bounded by bytes", waiting_for_bytes),
        case("while it waits for bytes", "priority bounded by bytes", waiting_for_bytes),
        case("with messages that others wait for", "redelivering", taking),
        case("with messages that others wait for", "bounded redelivering", taking),
        case("after it closed, with messages that others wait for", "redelivering", taking_closed),
        at(CONTESTED, "when it settles a taker", "redelivering", settling),
        at(CONTESTED, "when it settles a taker", "fifo", settling),
    ]
}

fn ended(child: &Child) -> bool {
    matches!(state_of(child.pid), Some('Z'))
}

/// A reaper sweeps; after the first pass of each point there is none, and the others have only their capped sleeps.
fn end_of(victim: &Child, spec: &str) {
    wait_until("the victim has ended", || ended(victim));
    if !spec.ends_with("#1") {
        Arena::get().unwrap().sweep();
    }
}

fn put(kind: Kind, queue: &Queue, numbers: std::ops::Range<u32>) {
    numbers.for_each(|i| assert!(kind.put(queue, i, soon())));
}

/// Takes `n`, and tells so many of them to be done.
fn work(kind: Kind, queue: &Queue, n: u32, done: u32) {
    let buffers: Vec<_> = (0..n).map(|_| queue.get(soon()).unwrap()).collect();
    buffers.iter().take(done as usize).for_each(|buffer| finish(&kind, queue, buffer));
    std::mem::forget(buffers);
}

/// Two join; the victim takes some messages and tells some of them to be done.
fn joined(kind: Kind, spec: &str) -> bool {
    let start = usage();
    let (queue, words) = (kind.queue(), Words::new());
    put(kind, &queue, 0..6);
    let join = || {
        queue.join(soon()).unwrap();
        words.add(0, 1);
    };
    let joiners = [fork(join), fork(join)];
    joiners[1].sleeps();
    let victim = victim(spec, || work(kind, &queue, 4, 2));
    end_of(&victim, spec);
    let first = queue.get(soon()).unwrap();
    let mut rest = Vec::new();
    while let Ok(buffer) = queue.get(Deadline::Now) {
        rest.push(buffer);
    }
    rest.iter().for_each(|buffer| finish(&kind, &queue, buffer));
    nap(1);
    assert_eq!(words.get(0), 0, "joined too early");
    finish(&kind, &queue, &first);
    if kind.options.redeliver {
        // What is not yet known to have been the dead one's comes back while this process waits.
        while words.get(0) < 2 {
            if let Ok(buffer) = queue.get(Deadline::after(1_000_000)) {
                finish(&kind, &queue, &buffer);
            }
        }
    }
    joiners.iter().for_each(Child::succeeds);
    let killed = was_killed(&victim);
    Arena::get().unwrap().sweep();
    drain(&kind, &queue);
    is_joined(&kind, &queue);
    drop((first, rest, queue));
    is_back_at(start);
    killed
}

/// The victim is one of those who join, and finds that a taker has died.
fn joining(kind: Kind, spec: &str) -> bool {
    let start = usage();
    let queue = kind.queue();
    put(kind, &queue, 0..2);
    let taker = fork(|| {
        work(kind, &queue, 1, 0);
        nap(100_000);
    });
    wait_until("one is taken", || queue.size().unwrap() == 1);
    let join = || queue.join(soon()).unwrap();
    let victim = victim(spec, join);
    wait_until("the victim sleeps or is dead", || matches!(state_of(victim.pid), Some('S' | 'Z')));
    let bystander = fork(join);
    bystander.sleeps();
    taker.kill();
    drain(&kind, &queue);
    while !(ended(&bystander) && ended(&victim)) {
        drain(&kind, &queue);
        nap(1);
    }
    bystander.succeeds();
    let killed = was_killed(&victim);
    is_joined(&kind, &queue);
    drop(queue);
    is_back_at(start);
    killed
}

/// The victim and a bystander wait for messages.
fn waiting(kind: Kind, spec: &str) -> bool {
    const TURNS: u32 = 3;
    let start = usage();
    let (queue, words) = (kind.queue(), Words::new());
    let take = |who: usize| {
        for _ in 0..TURNS {
            let buffer = queue.get(soon()).unwrap();
            words.add(16 + number(buffer.bytes()) as usize, 1);
            finish(&kind, &queue, &buffer);
            words.add(who, 1);
        }
    };
    let victim = victim(spec, || take(0));
    wait_until("the victim sleeps or is dead", || matches!(state_of(victim.pid), Some('S' | 'Z')));
    let bystander = fork(|| take(1));
    bystander.sleeps();
    let all = 2 * TURNS + 2;
    put(kind, &queue, 0..all);
    end_of(&victim, spec);
    bystander.succeeds();
    let killed = was_killed(&victim);
    Arena::get().unwrap().sweep();
    drain(&kind, &queue).into_iter().for_each(|i| drop(words.add(16 + i as usize, 1).to_string()));
    let seen: Vec<u32> = (0..all).map(|i| words.get(16 + i as usize)).collect();
    let (lost, twice) = (seen.iter().filter(|n| **n == 0).count(), seen.iter().filter(|n| **n > 1).count());
    let once = usize::from(killed);
    assert!(if kind.options.redeliver { lost == 0 && twice <= once } else { twice == 0 && lost <= once });
    is_joined(&kind, &queue);
    drop(queue);
    is_back_at(start);
    killed
}

/// The victim reserves all there is, puts some of it, and a bystander waits to put.
fn reserving(kind: Kind, spec: &str) -> bool {
    // The held table of this process grows now rather than meanwhile.
    drop((0..30).map(|_| kind.queue()).collect::<Vec<_>>());
    let start = usage();
    let (queue, words) = (kind.queue(), Words::new());
    let reserve = || {
        let mut reserved = Vec::new();
        while let Ok(reservation) = queue.reserve(700, Deadline::Now) {
            reserved.push(reservation);
        }
        words.set(0, reserved.len() as u32);
        words.reaches(1, 1);
        drop(reserved.pop());
        let bytes = message(0);
        let reservation = reserved.pop().unwrap();
        // SAFETY: the memory is this process's alone, and longer.
        unsafe { reservation.data().copy_from(bytes.as_ptr(), bytes.len()) };
        reservation.commit(Some(bytes.len())).unwrap();
        // What is still reserved goes with this process.
        std::mem::forget(reserved);
    };
    let victim = victim(spec, reserve);
    wait_until("all is reserved", || words.get(0) == 6 || ended(&victim));
    let bystander = fork(|| put(kind, &queue, 5..8));
    wait_until("it sleeps or is through", || matches!(state_of(bystander.pid), Some('S' | 'Z')));
    words.set(1, 1);
    end_of(&victim, spec);
    bystander.succeeds();
    let killed = was_killed(&victim);
    assert!(killed || words.get(0) == 6);
    let mut found = drain(&kind, &queue);
    found.sort_unstable();
    assert!(found.ends_with(&[5, 6, 7]) && found[..found.len() - 3].iter().all(|i| *i == 0));
    let whole: Vec<_> = (0..6).map(|_| queue.reserve(700, Deadline::Now).unwrap()).collect();
    assert_eq!(queue.reserve(700, Deadline::Now).unwrap_err().status(), Status::Full);
    drop(whole);
    is_joined(&kind, &queue);
    drop(queue);
    is_back_at(start);
    killed
}

/// The victim and a bystander wait for so many bytes that only one of them has room.
fn waiting_for_bytes(kind: Kind, spec: &str) -> bool {
    let start = usage();
    let (queue, words) = (kind.queue(), Words::new());
    let long = vec![9; BYTES as usize - 100];
    let put = |who: usize| {
        for _ in 0..2 {
            queue.put(&long, soon()).unwrap();
            words.add(who, 1);
        }
    };
    queue.put(&long, Deadline::Now).unwrap();
    let victim = victim(spec, || put(0));
    wait_until("the victim sleeps or is dead", || matches!(state_of(victim.pid), Some('S' | 'Z')));
    let bystander = fork(|| put(1));
    bystander.sleeps();
    let mut found = 0;
    while !(ended(&victim) && ended(&bystander)) || queue.size().unwrap() > 0 {
        if queue.get(Deadline::after(1_000_000)).is_ok() {
            queue.task_done().unwrap();
            found += 1;
        }
    }
    bystander.succeeds();
    let killed = was_killed(&victim);
    Arena::get().unwrap().sweep();
    found += drain_bytes(&queue);
    let put = 1 + words.get(0) + words.get(1);
    assert!(found == put || killed && found == put + 1);
    is_joined(&kind, &queue);
    drop(queue);
    is_back_at(start);
    killed
}

fn drain_bytes(queue: &Queue) -> u32 {
    let mut found = 0;
    while queue.get(Deadline::Now).is_ok() {
        queue.task_done().unwrap();
        found += 1;
    }
    found
}

/// The victim takes both messages; a bystander, who waits, gets what it did not acknowledge.
fn taking(kind: Kind, spec: &str) -> bool {
    let start = usage();
    let (queue, words) = (kind.queue(), Words::new());
    let victim = victim(spec, || {
        let buffers = [queue.get(soon()).unwrap(), queue.get(soon()).unwrap()];
        queue.task_done().unwrap();
        words.set(0, 1);
        queue.acknowledge(&buffers[1]).unwrap();
        words.set(0, 2);
        words.reaches(1, 1);
        std::mem::forget(buffers);
    });
    put(kind, &queue, 2..4);
    wait_until("the victim has taken both, or is dead", || words.get(0) == 2 || ended(&victim));
    let bystander = fork(|| {
        words.set(1, 1);
        // Killed early, the victim has but one of them, and it comes back in its place or later.
        let mut found = 0;
        while found != 2 {
            let buffer = queue.get(soon()).unwrap();
            found = number(buffer.bytes());
            words.add(found as usize, 1);
            assert!(queue.join(Deadline::Now).is_err(), "joined too early");
            queue.acknowledge(&buffer).unwrap();
        }
    });
    end_of(&victim, spec);
    bystander.succeeds();
    let killed = was_killed(&victim);
    Arena::get().unwrap().sweep();
    let left = drain(&kind, &queue);
    assert!(left.is_empty() || left == [3] && words.get(0) < 2 && words.get(3) == 0);
    assert!(!left.is_empty() || words.get(0) > 0 || words.get(3) == 1, "one is lost");
    is_joined(&kind, &queue);
    drop(queue);
    is_back_at(start);
    killed
}

/// The same with a closed queue, at which a bystander waits until nothing can come back any more.
fn taking_closed(kind: Kind, spec: &str) -> bool {
    let start = usage();
    let (queue, words) = (kind.queue(), Words::new());
    put(kind, &queue, 0..3);
    let victim = victim(spec, || {
        let buffers = [queue.get(soon()).unwrap(), queue.get(soon()).unwrap()];
        queue.close().unwrap();
        words.set(0, 1);
        wait_until("a bystander waits", || words.get(1) == 1);
        queue.acknowledge(&buffers[0]).unwrap();
        std::mem::forget(buffers);
    });
    wait_until("it is closed", || words.get(0) == 1 || ended(&victim));
    queue.close().unwrap();
    let bystander = fork(|| loop {
        words.set(1, 1);
        match queue.get(soon()) {
            Ok(buffer) => {
                queue.acknowledge(&buffer).unwrap();
                words.add(2, 1);
            }
            Err(error) => return assert_eq!(error.status(), Status::Closed),
        }
    });
    end_of(&victim, spec);
    bystander.succeeds();
    let killed = was_killed(&victim);
    assert!(words.get(2) == 2 || killed && words.get(2) == 3, "{}", words.get(2));
    queue.join(soon()).unwrap();
    drop(queue);
    is_back_at(start);
    killed
}

/// The victim settles who took messages, and takes the turn over; a bystander waits for a message, one for the end.
fn settling(kind: Kind, spec: &str) -> bool {
    let start = usage();
    let queue = kind.queue();
    put(kind, &queue, 0..2);
    let taker = fork(|| {
        work(kind, &queue, 2, 0);
        nap(100_000);
    });
    wait_until("both are taken", || queue.size().unwrap() == 0);
    let getter = fork(|| {
        let buffer = queue.get(soon()).unwrap();
        nap(1);
        finish(&kind, &queue, &buffer);
    });
    let joiner = fork(|| queue.join(soon()).unwrap());
    joiner.sleeps();
    getter.sleeps();
    taker.kill();
    let victim = victim(spec, || {
        Arena::get().unwrap().sweep();
        while let Ok(buffer) = queue.get(Deadline::Now) {
            finish(&kind, &queue, &buffer);
        }
        let _ = queue.join(Deadline::Now);
    });
    end_of(&victim, spec);
    let killed = was_killed(&victim);
    while !ended(&getter) {
        put(kind, &queue, 4..5);
        wait_until("it is taken", || queue.size().unwrap() == 0 || ended(&getter));
    }
    drain(&kind, &queue);
    joiner.succeeds();
    getter.succeeds();
    Arena::get().unwrap().sweep();
    is_joined(&kind, &queue);
    drop(queue);
    is_back_at(start);
    killed
}
