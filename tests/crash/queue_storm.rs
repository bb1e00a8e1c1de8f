//! Producers and consumers are killed at random and started anew: no message comes twice or damaged, each consumer
//! sees each producer's in order, at most one is lost for each kill, and nobody hangs.

use crate::faults::{is_back_at, usage};
use crate::process::{fork, nap, wait_until, Child, Numbers};
use crate::Case;
use mp::arena::Arena;
use mp::channel::{Queue, QueueOptions};
use mp::error::Status;
use mp::sys::clock::Deadline;
use std::sync::atomic::{AtomicU32, AtomicU8, Ordering};
use std::time::{Duration, Instant};

const PRODUCERS: usize = 3;
const CONSUMERS: usize = 3;
const MOST: usize = 8 << 20;

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("storm: producers and consumers of an unbounded queue", || storm(0, 11)).within(60),
        Case::new("storm: producers and consumers of a queue for one", || storm(1, 12)).within(60),
        Case::new("storm: producers and consumers of a queue for fifty", || storm(50, 13)).within(60),
    ]
}

/// What the processes say of themselves, in memory that is shared without the library.
struct Record {
    stop: AtomicU32,
    /// How many processes have begun.
    begun: AtomicU32,
    /// The next number of each producer, raised before the put.
    next: [AtomicU32; PRODUCERS],
    seen: [[AtomicU8; MOST]; PRODUCERS],
}

fn record() -> &'static Record {
    // SAFETY: a new anonymous mapping, zeroed, aligned, never unmapped; atomics may be shared.
    unsafe {
        let (read_write, shared) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        let memory = libc::mmap(std::ptr::null_mut(), size_of::<Record>(), read_write, shared, -1, 0);
        assert_ne!(memory, libc::MAP_FAILED);
        &*memory.cast()
    }
}

/// Producer, number, and bytes that follow from both.
fn message(producer: usize, number: u32) -> Vec<u8> {
    let mut numbers = Numbers(u64::from(number) << 8 | producer as u64);
    let length = match numbers.below(100) {
        0 => 10_000 + numbers.below(100_000),
        1..=4 => 1000 + numbers.below(4000),
        _ => numbers.below(200),
    };
    let mut bytes = [producer as u32, number].map(u32::to_le_bytes).concat();
    while (bytes.len() as u64) < length {
        bytes.extend(numbers.next().to_le_bytes());
    }
    bytes
}

fn produce(queue: &Queue, record: &Record, me: usize) {
    while record.stop.load(Ordering::SeqCst) == 0 {
        let number = record.next[me].fetch_add(1, Ordering::SeqCst);
        assert!((number as usize) < MOST);
        // An unbounded queue is kept short, so that it comes to waiting on both sides.
        while queue.size().unwrap() > 500 {
            std::thread::yield_now();
        }
        queue.put(&message(me, number), Deadline::Never).unwrap();
    }
}

fn consume(queue: &Queue, record: &Record) {
    let mut last = [None; PRODUCERS];
    let mut bytes = vec![0; 120_000];
    for turn in 0.. {
        let got = if turn % 2 == 0 {
            queue.get(Deadline::Never).map(|buffer| {
                bytes[..buffer.len()].copy_from_slice(buffer.bytes());
                buffer.len()
            })
        } else {
            queue.get_into(&mut bytes, Deadline::Never).map(|(length, taken)| {
                taken.unwrap();
                length
            })
        };
        let length = match got {
            Err(error) => return assert_eq!(error.status(), Status::Closed),
            Ok(length) => length,
        };
        let word = |i: usize| u32::from_le_bytes(bytes[i..i + 4].try_into().unwrap());
        let (producer, number) = (word(0) as usize, word(4));
        assert!(bytes[..length] == message(producer, number), "a damaged message");
        assert_eq!(record.seen[producer][number as usize].swap(1, Ordering::SeqCst), 0, "came twice");
        assert!(last[producer] < Some(number), "out of order");
        last[producer] = Some(number);
    }
}

fn storm(maxsize: i64, seed: u64) {
    let start = usage();
    let queue = Queue::new(&QueueOptions { maxsize, ..Default::default() }).unwrap();
    let record = record();
    let begin = |who: usize| -> Child {
        let before = record.begun.load(Ordering::SeqCst);
        let child = fork(|| {
            record.begun.fetch_add(1, Ordering::SeqCst);
            if who < PRODUCERS {
                produce(&queue, record, who)
            } else {
                consume(&queue, record)
            }
        });
        // Killed before it had taken over its slot, it would keep its handle for ten seconds.
        wait_until("it has begun", || record.begun.load(Ordering::SeqCst) != before);
        child
    };
    let mut children: Vec<Child> = (0..PRODUCERS + CONSUMERS).map(begin).collect();
    let mut numbers = Numbers(seed);
    let mut kills = 0;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(8) {
        nap(numbers.below(12));
        let who = numbers.below(children.len() as u64) as usize;
        children[who].kill();
        kills += 1;
        if numbers.below(3) == 0 {
            Arena::get().unwrap().sweep();
        }
        children[who] = begin(who);
    }
    record.stop.store(1, Ordering::SeqCst);
    children[..PRODUCERS].iter().for_each(Child::succeeds);
    queue.close().unwrap();
    children[PRODUCERS..].iter().for_each(Child::succeeds);
    assert_eq!(queue.size().unwrap(), 0);
    let (put, seen) = count(record);
    println!("    {put} messages, {kills} kills, {} lost", put - seen);
    assert!(put - seen <= kills && put > 1000 && kills > 100);
    drop(queue);
    is_back_at(start);
}

fn count(record: &Record) -> (u32, u32) {
    let next = record.next.iter().map(|next| next.load(Ordering::SeqCst));
    let seen = |p: usize, n: u32| -> u32 {
        record.seen[p][..n as usize].iter().map(|seen| u32::from(seen.load(Ordering::SeqCst))).sum()
    };
    (next.clone().sum(), next.enumerate().map(|(p, n)| seen(p, n)).sum())
}
