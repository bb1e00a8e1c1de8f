//! A process is killed at every pass of every fault point of the queue, while it puts, gets, grows the ring, closes,
//! waits, wakes others and takes a queue apart. The others go on; no message comes twice, at most the one of the
//! killed call is lost, the counters are right, and after a sweep the arena has as much in use as before.

use crate::faults::{is_back_at, usage, victim, was_killed};
use crate::kills::{Kills, Pace};
use crate::process::{fork, state_of, wait_until, Child, Words};
use crate::woken::next_one_gets_it;
use crate::{queue_crowd, queue_strangers, queue_use, queue_waits, queue_woken, Case};
use mp::arena::Arena;
use mp::channel::{Queue, QueueOptions};
use mp::error::Status;
use mp::sync::Cancel;
use mp::sys::clock::{Deadline, FOREVER};

const PREFIXES: [&str; 3] = ["queue.", "event.", "wait."];
const ONCE: Pace = Pace { all_of: 12, tries: 1, least: 1 };

pub fn cases() -> Vec<Case> {
    let kills = Kills::new(&PREFIXES);
    let case = |name: &str, trial: fn(&str) -> bool| {
        Case::new(format!("queue: killed {name}"), move || kills.at_passes_of(&PREFIXES, ONCE, trial))
            .within(300)
    };
    let mut cases = vec![
        case("while it puts", putting),
        case("while it gets", getting),
        case("while it closes", closing),
        case("while it takes a queue apart", destroying),
        case("while it waits for a message", waiting_getters),
        case("while it waits for room", waiting_putters),
        case("while it wakes a getter", waking),
        Case::new("queue: a stopped putter is alive, and others don't wait for ever", stopped_putter),
        Case::new("queue: a stopped getter is alive, and others don't wait for ever", stopped_getter),
        Case::new("queue: 300 woken getters are killed", woken_getters).within(600),
        Case::new("queue: 300 woken putters are killed", woken_putters).within(600),
    ];
    cases.extend(queue_use::cases(kills));
    cases.extend(queue_waits::cases(kills));
    cases.extend(queue_crowd::cases(kills));
    cases.extend(queue_strangers::cases());
    cases.extend(queue_woken::cases());
    cases.push(Case::new("queue: every point has killed", move || kills.all_points_reached("")));
    cases
}

fn queue(maxsize: i64) -> Queue {
    Queue::new(&QueueOptions { maxsize, ..Default::default() }).unwrap()
}

/// Message `i`: every fourth one travels in a block, now and then one in a block of many pages.
fn message(i: u32) -> Vec<u8> {
    let length = match i % 16 {
        15 => 70_000,
        n if n % 4 == 3 => 1500 + i as usize,
        n => (n as usize * 61) % 600,
    };
    let bytes = (0..length).map(|k| (k as u32).wrapping_mul(i + 7) as u8);
    i.to_le_bytes().into_iter().chain(bytes).collect()
}

fn number(bytes: &[u8]) -> u32 {
    let i = u32::from_le_bytes(bytes[..4].try_into().unwrap());
    assert!(bytes == message(i), "message {i} is damaged");
    i
}

fn put(queue: &Queue, i: u32) {
    queue.put(&message(i), Deadline::after(FOREVER)).unwrap();
}

/// Takes the next message, in one of the two ways.
fn get(queue: &Queue, i: u32) -> u32 {
    if i % 2 == 0 {
        return number(queue.get(Deadline::after(FOREVER)).unwrap().bytes());
    }
    let mut bytes = vec![0; 80_000];
    let (length, taken) = queue.get_into(&mut bytes, Deadline::after(FOREVER)).unwrap();
    taken.unwrap();
    number(&bytes[..length])
}

/// All that is in the queue, which says beforehand how much that is.
fn drain(queue: &Queue) -> Vec<u32> {
    let size = queue.size().unwrap();
    let mut found = Vec::new();
    loop {
        match queue.get(Deadline::Now) {
            Ok(buffer) => found.push(number(buffer.bytes())),
            Err(error) => {
                assert!(matches!(error.status(), Status::Empty | Status::Closed), "{error:?}");
                assert_eq!((found.len(), queue.size().unwrap()), (size, 0));
                return found;
            }
        }
    }
}

const MANY: u32 = 40;

fn putting(spec: &str) -> bool {
    let start = usage();
    let queue = queue(0);
    let done = Words::new();
    let work = || {
        for i in 0..MANY {
            put(&queue, i);
            done.set(0, i + 1);
        }
    };
    let killed = was_killed(&victim(spec, work));
    // The first to come after it is a putter.
    put(&queue, 1000);
    let found = drain(&queue);
    let of_the_dead = found.len() as u32 - 1;
    assert!(of_the_dead == done.get(0) || of_the_dead == done.get(0) + 1);
    assert!(found.into_iter().eq((0..of_the_dead).chain([1000])));
    drop(queue);
    is_back_at(start);
    killed
}

fn getting(spec: &str) -> bool {
    let start = usage();
    let queue = queue(MANY.into());
    (0..MANY).for_each(|i| put(&queue, i));
    let done = Words::new();
    let work = || {
        for i in 0..MANY - 2 {
            let too_small = queue.get_into(&mut [0; 3], Deadline::Now).unwrap();
            assert_eq!((too_small.0, too_small.1.is_err()), (message(i).len(), true));
            assert_eq!(get(&queue, i), i);
            done.set(0, i + 1);
        }
    };
    let killed = was_killed(&victim(spec, work));
    let found = drain(&queue);
    let taken = MANY - found.len() as u32;
    assert!(taken == done.get(0) || taken == done.get(0) + 1);
    assert!(found.into_iter().eq(taken..MANY));
    drop(queue);
    is_back_at(start);
    killed
}

fn closing(spec: &str) -> bool {
    let start = usage();
    let (queue, full) = (queue(0), queue(1));
    put(&full, 5);
    let getter = fork(|| assert_eq!(queue.get(Deadline::Never).unwrap_err().status(), Status::Closed));
    let putter = fork(|| assert_eq!(full.put(&[], Deadline::Never).unwrap_err().status(), Status::Closed));
    getter.sleeps();
    putter.sleeps();
    let work = || {
        queue.close().unwrap();
        full.close().unwrap();
    };
    let killed = was_killed(&victim(spec, work));
    work();
    getter.succeeds();
    putter.succeeds();
    assert_eq!(queue.put(&[], Deadline::Never).unwrap_err().status(), Status::Closed);
    assert_eq!(drain(&full), [5]);
    drop((queue, full));
    is_back_at(start);
    killed
}

fn destroying(spec: &str) -> bool {
    let start = usage();
    let work = || {
        let queue = queue(0);
        (0..MANY / 2).for_each(|i| put(&queue, i));
        drop(queue);
    };
    let killed = was_killed(&victim(spec, work));
    is_back_at(start);
    killed
}

/// As a reaper would do it, or not at all: then the others have only their capped sleeps.
fn sweep_after(victim: &Child, spec: &str) {
    if !spec.ends_with("#1") {
        wait_until("the victim has ended, or waits", || matches!(state_of(victim.pid), Some('S' | 'Z')));
        Arena::get().unwrap().sweep();
    }
}

const TURNS: u32 = 3;

fn waiting_getters(spec: &str) -> bool {
    let start = usage();
    let queue = queue(0);
    let done = Words::new();
    let work = |who: usize| {
        for i in 0..TURNS {
            let found = get(&queue, i);
            assert_eq!(done.add(8 + found as usize, 1), 1, "message {found} came twice");
            done.add(who, 1);
        }
    };
    let victim = victim(spec, || work(0));
    wait_until("the victim sleeps or is dead", || matches!(state_of(victim.pid), Some('S' | 'Z')));
    let bystander = fork(|| work(1));
    bystander.sleeps();
    let all = 2 * TURNS + 2;
    (0..all).for_each(|i| put(&queue, i));
    sweep_after(&victim, spec);
    bystander.succeeds();
    let killed = was_killed(&victim);
    let left = drain(&queue);
    assert!(left.iter().all(|i| done.add(8 + *i as usize, 1) == 1));
    let lost = all - left.len() as u32 - done.get(0) - done.get(1);
    assert!(lost <= u32::from(killed), "{lost} are lost");
    drop(queue);
    is_back_at(start);
    killed
}

fn waiting_putters(spec: &str) -> bool {
    let start = usage();
    let queue = queue(1);
    let done = Words::new();
    put(&queue, 0);
    let work = |who: u32| {
        for i in 0..TURNS {
            // A long one, in a block, is the second.
            put(&queue, who * 16 + 2 + i);
            done.add(who as usize, 1);
        }
    };
    let victim = victim(spec, || work(1));
    wait_until("the victim sleeps or is dead", || matches!(state_of(victim.pid), Some('S' | 'Z')));
    let bystander = fork(|| work(2));
    bystander.sleeps();
    let mut found = vec![get(&queue, 0)];
    sweep_after(&victim, spec);
    let ended = |child: &Child| state_of(child.pid) == Some('Z');
    while !(ended(&victim) && ended(&bystander)) || queue.size().unwrap() > 0 {
        if let Ok(buffer) = queue.get(Deadline::after(1_000_000)) {
            found.push(number(buffer.bytes()));
        }
    }
    bystander.succeeds();
    let killed = was_killed(&victim);
    let of = |who: u32| found.iter().copied().filter(move |i| i / 16 == who && *i != 0);
    assert!(of(2).eq(34..34 + TURNS));
    let victims = of(1).count() as u32;
    assert!(of(1).eq(18..18 + victims) && (victims == done.get(1) || victims == done.get(1) + 1));
    drop(queue);
    is_back_at(start);
    killed
}

/// The victim wakes a getter, which needs all of its messages, or those that this process puts in their place.
fn waking(spec: &str) -> bool {
    let start = usage();
    let queue = queue(1);
    let done = Words::new();
    let getter = fork(|| {
        for i in 0..TURNS {
            done.set(1, get(&queue, i) + 1);
        }
    });
    let work = || {
        for i in 0..TURNS {
            getter.sleeps();
            put(&queue, i);
            done.reaches(1, i + 1);
        }
    };
    let victim = victim(spec, work);
    wait_until("the victim has ended", || state_of(victim.pid) == Some('Z'));
    sweep_after(&victim, spec);
    wait_until("the getter has all, or there is nothing for it", || {
        matches!(state_of(getter.pid), Some('Z')) || queue.size().unwrap() == 0
    });
    while state_of(getter.pid) != Some('Z') {
        let _ = queue.put(&message(done.get(1)), Deadline::after(1_000_000));
    }
    getter.succeeds();
    drain(&queue);
    drop(queue);
    is_back_at(start);
    was_killed(&victim)
}

fn refused<T: std::fmt::Debug>(result: mp::error::Result<T>, status: Status) {
    assert_eq!(result.unwrap_err().status(), status);
}

const MS: i64 = 1_000_000;

fn stopped_putter() {
    let queue = queue(0);
    put(&queue, 0);
    let putter = victim("stop@queue.put:written#2", || (1..4).for_each(|i| put(&queue, i)));
    putter.is_stopped();
    refused(queue.put(&message(9), Deadline::Now), Status::Full);
    refused(queue.put(&message(9), Deadline::after(20 * MS)), Status::Full);
    let cancel = Cancel::new();
    cancel.use_here();
    cancel.fire();
    refused(queue.put(&message(9), Deadline::Never), Status::Cancelled);
    Cancel::use_none();
    // The other end goes on.
    assert_eq!((get(&queue, 0), get(&queue, 1)), (0, 1));
    refused(queue.get(Deadline::Now), Status::Empty);
    putter.signal(libc::SIGCONT);
    putter.succeeds();
    assert_eq!(drain(&queue), [2, 3]);
}

fn stopped_getter() {
    let queue = queue(2);
    put(&queue, 3);
    let getter = victim("stop@queue.get:noted", || assert_eq!(get(&queue, 0), 3));
    getter.is_stopped();
    refused(queue.get(Deadline::Now), Status::Empty);
    refused(queue.get(Deadline::after(20 * MS)), Status::Empty);
    put(&queue, 4);
    refused(queue.put(&message(9), Deadline::Now), Status::Full);
    assert_eq!(queue.size().unwrap(), 2);
    getter.signal(libc::SIGCONT);
    getter.succeeds();
    assert_eq!(drain(&queue), [4]);
}

fn woken_getters() {
    let start = usage();
    let queue = queue(0);
    let wait = || assert_eq!(get(&queue, 0), 3);
    next_one_gets_it("event.wait:woken", wait, || assert_eq!(queue.size().unwrap(), 0), || put(&queue, 3));
    assert_eq!(queue.size().unwrap(), 0);
    drop(queue);
    is_back_at(start);
}

fn woken_putters() {
    let start = usage();
    let queue = queue(1);
    let fill = || {
        drain(&queue);
        put(&queue, 3);
    };
    next_one_gets_it("event.wait:woken", || put(&queue, 7), fill, || assert_eq!(get(&queue, 0), 3));
    assert_eq!(drain(&queue), [7]);
    drop(queue);
    is_back_at(start);
}
