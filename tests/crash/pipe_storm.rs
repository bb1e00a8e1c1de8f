//! Two processes talk over a duplex pipe, are killed at random, and others take their places by the token of the end: no
//! message comes twice or damaged, each sees the other's in order, at most one is lost for each kill, nobody hangs, and
//! nothing is left in the arena. And senders that nobody replaces: what they sent comes, and then the end.

use crate::faults::{is_back_at, usage};
use crate::pipes::{message, number};
use crate::process::{fork, nap, wait_until, Child, Numbers};
use crate::Case;
use mp::arena::Arena;
use mp::channel::Connection;
use mp::error::Status;
use mp::sys::clock::Deadline;
use std::sync::atomic::{AtomicU32, AtomicU8, Ordering};
use std::time::{Duration, Instant};

const MOST: usize = 4 << 20;
const TIME: Duration = Duration::from_secs(6);

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("pipe storm: both ends are killed and replaced", replaced).within(90),
        Case::new("pipe storm: senders are killed at work", senders).within(90),
    ]
}

/// What the processes say of themselves, in memory that is shared without the library.
struct Record {
    stop: AtomicU32,
    begun: AtomicU32,
    /// The next number of each side, raised before the send.
    next: [AtomicU32; 2],
    seen: [[AtomicU8; MOST]; 2],
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

impl Record {
    /// What `side` received.
    fn receive(&self, side: usize, bytes: &[u8], last: &mut Option<u32>) {
        let number = number(bytes);
        assert_eq!(self.seen[side][number as usize].swap(1, Ordering::SeqCst), 0, "came twice");
        assert!(*last < Some(number), "out of order");
        *last = Some(number);
    }

    /// One side's life.
    fn talk(&self, connection: &Connection, side: usize) {
        let mut last = None;
        while self.stop.load(Ordering::SeqCst) == 0 {
            let number = self.next[side].fetch_add(1, Ordering::SeqCst);
            assert!((number as usize) < MOST);
            while let Err(error) = connection.send(&message(number), Deadline::after(1_000_000)) {
                assert_eq!(error.status(), Status::Timeout);
            }
            // So that it comes to waiting.
            let patience = if number % 8 == 0 { Deadline::after(2_000_000) } else { Deadline::Now };
            for deadline in [patience, Deadline::Now] {
                match connection.recv(deadline) {
                    Ok(buffer) => self.receive(side, buffer.bytes(), &mut last),
                    Err(error) => assert_eq!(error.status(), Status::Timeout),
                }
            }
        }
    }
}

fn replaced() {
    let start = usage();
    let ends: [Connection; 2] = Connection::pair(true).unwrap().into();
    let record = record();
    let begin = |side: usize| -> Child {
        let before = record.begun.load(Ordering::SeqCst);
        let token = ends[side].token().unwrap();
        let child = fork(|| {
            let connection = Connection::from_token(&token).unwrap();
            ends.iter().for_each(|end| end.close().unwrap());
            record.begun.fetch_add(1, Ordering::SeqCst);
            record.talk(&connection, side);
        });
        // Killed before it had taken over its slot, it would keep its handle for ten seconds.
        wait_until("it has begun", || record.begun.load(Ordering::SeqCst) != before);
        child
    };
    let mut children = [begin(0), begin(1)];
    let (mut numbers, mut kills) = (Numbers(21), 0);
    let begun = Instant::now();
    while begun.elapsed() < TIME {
        nap(numbers.below(12));
        let side = numbers.below(2) as usize;
        children[side].kill();
        kills += 1;
        if numbers.below(3) == 0 {
            Arena::get().unwrap().sweep();
        }
        children[side] = begin(side);
    }
    record.stop.store(1, Ordering::SeqCst);
    children.iter().for_each(Child::succeeds);
    for (side, end) in ends.iter().enumerate() {
        let mut last = None;
        while let Ok(buffer) = end.recv(Deadline::Now) {
            record.receive(side, buffer.bytes(), &mut last);
        }
    }
    let (mut sent, mut lost) = (0, 0);
    for side in 0..2 {
        let next = record.next[1 - side].load(Ordering::SeqCst);
        let seen = &record.seen[side][..next as usize];
        sent += next;
        lost += seen.iter().filter(|seen| seen.load(Ordering::SeqCst) == 0).count();
    }
    println!("    {sent} messages, {kills} kills, {lost} lost");
    assert!(lost <= kills && sent > 1000 && kills > 100);
    drop(ends);
    is_back_at(start);
}

fn senders() {
    let start = usage();
    let record = record();
    let (mut numbers, mut kills) = (Numbers(22), 0);
    let begun = Instant::now();
    while begun.elapsed() < TIME {
        let (a, b) = Connection::pair(numbers.below(2) == 0).unwrap();
        record.next[0].store(0, Ordering::SeqCst);
        let before = record.begun.load(Ordering::SeqCst);
        let child = fork(|| {
            a.close().unwrap();
            record.begun.fetch_add(1, Ordering::SeqCst);
            for i in 0.. {
                b.send(&message(i), Deadline::Never).unwrap();
                record.next[0].store(i + 1, Ordering::SeqCst);
            }
        });
        drop(b);
        wait_until("it has begun", || record.begun.load(Ordering::SeqCst) != before);
        nap(numbers.below(6));
        child.signal(libc::SIGKILL);
        // Reaped and swept at once, or noticed by the receiver.
        let swept = numbers.below(4) > 0;
        if swept {
            child.was_killed();
            Arena::get().unwrap().sweep();
        }
        let mut found = 0;
        let error = loop {
            match a.recv(Deadline::Never) {
                Ok(buffer) => assert_eq!(number(buffer.bytes()), found),
                Err(error) => break error,
            }
            found += 1;
        };
        assert_eq!(error.status(), Status::End);
        let sent = record.next[0].load(Ordering::SeqCst);
        assert!(found == sent || found == sent + 1, "{sent} sent, {found} received");
        if !swept {
            child.was_killed();
        }
        kills += 1;
    }
    println!("    {kills} senders");
    assert!(kills > 20);
    is_back_at(start);
}
