//! A process sleeps on its doorbell over several queues.

use crate::faults::{is_back_at, usage};
use crate::process::{fork, nap, Child, Exit, Words};
use crate::Case;
use mp::arena::wait::Waiter;
use mp::arena::Arena;
use mp::channel::{Queue, QueueOptions};
use mp::error::Status;
use mp::sys::clock::{Deadline, FOREVER};
use mp::sys::fault::arm;

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("doorbell: over two queues, each rung by another process", two_queues).within(60),
        Case::new("doorbell: a ringer dies between its change and its ring", dead_ringers).within(60),
        Case::new("doorbell: more watchers than entries", || crowded(8)),
        Case::new("doorbell: dead watchers make room", dead_watchers),
        Case::new("doorbell: a closed queue rings, a deadline ends", closed_and_late),
    ]
}

fn queue() -> Queue {
    Queue::new(&QueueOptions::default()).unwrap()
}

fn put(queue: &Queue, number: u32) {
    queue.put(&number.to_le_bytes(), Deadline::after(FOREVER)).unwrap();
}

fn get(queue: &Queue) -> u32 {
    u32::from_le_bytes(queue.get(Deadline::Now).unwrap().bytes().try_into().unwrap())
}

/// Sleeps until one of the queues, all of which this process watches, has something; which one.
fn await_one_of(queues: &[&Queue]) -> usize {
    let arena = Arena::get().unwrap();
    let waiter = Waiter::new(arena, Deadline::Never);
    arena.await_bell(waiter, || queues.iter().position(|queue| queue.is_readable())).unwrap()
}

/// How often this process has gone to sleep, and its processor time in nanoseconds.
fn rest() -> (u64, i64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches")).unwrap();
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes to a live struct.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    (line.split_whitespace().nth(1).unwrap().parse().unwrap(), time.tv_sec * 1_000_000_000 + time.tv_nsec)
}

const ROUNDS: u32 = 200;

fn two_queues() {
    let start = usage();
    let (left, right) = (queue(), queue());
    let words = Words::new();
    let sleeper = fork(|| {
        left.watch_messages().unwrap();
        right.watch_messages().unwrap();
        let queues = [&left, &right];
        let mut next = [0, 0];
        let before = rest();
        while next != [ROUNDS; 2] {
            let which = await_one_of(&queues);
            assert_eq!(get(queues[which]), next[which]);
            next[which] += 1;
            words.add(0, 1);
        }
        let after = rest();
        words.set(1, (after.0 - before.0) as u32);
        words.set(2, ((after.1 - before.1) / 1_000_000) as u32);
    });
    // Each ringer finds it asleep, and then rings the other's turn.
    let ringer = |which: u32, queue: &Queue| {
        for round in 0..ROUNDS {
            words.reaches(0, 2 * round + which);
            sleeper.sleeps();
            // Were it awake all the time, it would use this time.
            nap(u64::from(round % 4) * 5);
            put(queue, round);
        }
    };
    let ringers = [fork(|| ringer(0, &left)), fork(|| ringer(1, &right))];
    ringers.iter().for_each(Child::succeeds);
    sleeper.succeeds();
    println!("    {} sleeps, {} ms of processor time", words.get(1), words.get(2));
    assert!(words.get(1) >= 2 * ROUNDS);
    // It was left asleep for 3 s.
    assert!(words.get(2) < 1500);
    drop((left, right));
    is_back_at(start);
}

fn dead_ringers() {
    let start = usage();
    let (left, right) = (queue(), queue());
    let words = Words::new();
    let sleeper = fork(|| {
        let queues = [&left, &right];
        queues.iter().for_each(|queue| queue.watch_messages().unwrap());
        for round in 0..6 {
            words.set(0, round);
            assert_eq!(get(queues[await_one_of(&queues)]), round);
        }
    });
    // In the middle of the ring; or, so that the next one settles it, with the tail's lock in its hands.
    let points = ["doorbell.ring:counted", "doorbell.ring:cleared", "queue.put:committed"];
    for round in 0..6 {
        words.reaches(0, round);
        sleeper.sleeps();
        let ringer = fork(|| {
            arm(&format!("kill@{}", points[(round as usize).min(2)]));
            put([&left, &right][round as usize % 2], round);
        });
        assert_eq!(ringer.wait(), Exit::Signal(libc::SIGKILL));
    }
    sleeper.succeeds();
    drop((left, right));
    is_back_at(start);
}

/// Watchers of one queue, each of which takes one message.
fn crowded(watchers: u32) {
    let start = usage();
    let queue = queue();
    let children: Vec<Child> = (0..watchers)
        .map(|_| {
            fork(|| {
                queue.watch_messages().unwrap();
                while await_one_of(&[&queue]) == 0 && queue.get(Deadline::Now).is_err() {}
            })
        })
        .collect();
    children.iter().for_each(Child::sleeps);
    (0..watchers).for_each(|i| put(&queue, i));
    children.iter().for_each(Child::succeeds);
    drop(queue);
    is_back_at(start);
}

fn dead_watchers() {
    let start = usage();
    let queue = queue();
    for _ in 0..5 {
        let watcher = fork(|| {
            queue.watch_messages().unwrap();
            await_one_of(&[&queue]);
        });
        watcher.sleeps();
        watcher.kill();
        Arena::get().unwrap().sweep();
    }
    // This process takes a dead one's place, twice.
    queue.watch_messages().unwrap();
    queue.watch_messages().unwrap();
    let me = Child { pid: std::process::id() as i32 };
    let ringer = fork(|| {
        me.sleeps();
        put(&queue, 9);
    });
    assert_eq!(await_one_of(&[&queue]), 0);
    assert_eq!(get(&queue), 9);
    ringer.succeeds();
    drop(queue);
    is_back_at(start);
}

fn closed_and_late() {
    let arena = Arena::get().unwrap();
    let queue = queue();
    queue.watch_messages().unwrap();
    let late = arena
        .await_bell(Waiter::new(arena, Deadline::after(20_000_000)), || queue.is_readable().then_some(()));
    assert_eq!(late, Err(mp::arena::word::Ended::TimedOut));
    let me = Child { pid: std::process::id() as i32 };
    let closer = fork(|| {
        me.sleeps();
        queue.close().unwrap();
    });
    assert_eq!(await_one_of(&[&queue]), 0);
    assert_eq!(queue.get(Deadline::Now).unwrap_err().status(), Status::Closed);
    closer.succeeds();
}
