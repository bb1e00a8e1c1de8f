//! Queues of all kinds in the storm: what was put comes once, whole and in order, but for what a killed getter had in its
//! hands; where messages come back, none is lost.

use super::{wait_of_some_length, Act};
use crate::process::{wait_until, Numbers};
use crate::queue_kinds::Kind;
use crate::sync_storm::{me, CREW};
use mp::arena::Buffer;
use mp::channel::{Queue, QueueKind};
use mp::error::{Error, Status};
use mp::sys::clock::Deadline;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU8, Ordering::SeqCst};

const MOST: usize = 1 << 21;
/// The most that one call takes or puts.
const MANY: u32 = 6;

const BEGUN: u8 = 1;
const PUT: u8 = 2;
const TAKEN: u8 = 4;
const ACKING: u8 = 8;
const ACKED: u8 = 16;

/// What is known of one queue's messages, in memory that is shared without the library.
pub struct Tally {
    next: AtomicU32,
    states: [AtomicU8; MOST],
    /// How many each member of the crew takes by the call under way; the last place is the killer's.
    calls: [AtomicU32; CREW + 1],
    /// How many those who were killed may have had in their hands.
    forgiven: AtomicU32,
}

/// One queue, and the last number that this process has seen of each producer.
pub struct QueueAct {
    kind: Kind,
    queue: Queue,
    tally: &'static Tally,
    seen: RefCell<HashMap<u32, u32>>,
}

impl QueueAct {
    pub fn new(kind: Kind) -> QueueAct {
        QueueAct { kind, queue: kind.queue(), tally: crate::sync_storm::shared(), seen: RefCell::default() }
    }

    /// Number, producer, and bytes that follow from both.
    fn message(number: u32, producer: u32) -> Vec<u8> {
        let mut numbers = Numbers(u64::from(number) << 32 | u64::from(producer));
        let length = match numbers.below(100) {
            0 => 5000 + numbers.below(3500),
            1..=9 => 1000 + numbers.below(200),
            10..=29 => 30 + numbers.below(20),
            _ => numbers.below(200),
        };
        let mut bytes = [number, producer].map(u32::to_le_bytes).concat();
        while (bytes.len() as u64) < length {
            bytes.extend(numbers.next().to_le_bytes());
        }
        bytes
    }

    fn state(&self, number: u32) -> &AtomicU8 {
        &self.tally.states[number as usize]
    }

    fn begin(&self) -> (u32, Vec<u8>) {
        let number = self.tally.next.fetch_add(1, SeqCst);
        assert!((number as usize) < MOST);
        self.state(number).store(BEGUN, SeqCst);
        (number, Self::message(number, std::process::id()))
    }

    fn end(&self, number: u32, put: bool) {
        if put {
            self.state(number).fetch_or(PUT, SeqCst);
        } else {
            assert_eq!(self.state(number).swap(0, SeqCst), BEGUN, "it was not put, but taken");
        }
    }

    fn is_put(result: Result<(), Error>) -> bool {
        result.inspect_err(|error| assert_eq!(error.status(), Status::Full, "{error}")).is_ok()
    }

    fn put(&self, numbers: &mut Numbers, deadline: Deadline) {
        match numbers.below(5) {
            0 => self.put_many(numbers, deadline),
            1 => self.put_reserved(numbers, deadline),
            way => {
                let (number, bytes) = self.begin();
                let put = match self.kind.options.kind {
                    QueueKind::Priority => self.queue.put_priority(0, &bytes, deadline),
                    _ if way == 2 => {
                        let buffer = Buffer::copy_of(&bytes).unwrap();
                        self.queue.put_buffer(buffer, deadline).map_err(|(error, _)| error)
                    }
                    _ => self.queue.put(&bytes, deadline),
                };
                self.end(number, Self::is_put(put));
            }
        }
    }

    fn put_many(&self, numbers: &mut Numbers, deadline: Deadline) {
        let begun: Vec<_> = (0..1 + numbers.below(MANY.into())).map(|_| self.begin()).collect();
        let messages: Vec<&[u8]> = begun.iter().map(|(_, bytes)| bytes.as_slice()).collect();
        let (n, put) = self.queue.put_many(messages.len(), |i| messages[i], deadline);
        assert_eq!(Self::is_put(put), n == begun.len());
        begun.iter().enumerate().for_each(|(place, (number, _))| self.end(*number, place < n));
    }

    fn put_reserved(&self, numbers: &mut Numbers, deadline: Deadline) {
        let Ok(reserved) = self.queue.reserve(8600, deadline) else { return };
        (0..numbers.below(3000)).for_each(|_| std::hint::spin_loop());
        if numbers.below(4) == 0 {
            return;
        }
        let (number, bytes) = self.begin();
        // SAFETY: the memory is this process's alone, and longer than every message.
        unsafe { reserved.data().copy_from(bytes.as_ptr(), bytes.len()) };
        reserved.commit(Some(bytes.len())).unwrap();
        self.end(number, true);
    }

    /// This message came.
    fn saw(&self, bytes: &[u8]) -> u32 {
        let word = |i: usize| u32::from_le_bytes(bytes[i..i + 4].try_into().unwrap());
        let (number, producer) = (word(0), word(4));
        assert!(bytes == Self::message(number, producer), "a damaged message");
        let before = self.state(number).fetch_or(TAKEN, SeqCst);
        if self.kind.options.redeliver {
            assert!(before & BEGUN != 0 && before & ACKED == 0, "{number} came when it was {before}");
        } else {
            assert!(before & BEGUN != 0 && before & TAKEN == 0, "{number} came when it was {before}");
        }
        if self.kind.options.kind != QueueKind::Lifo && !self.kind.options.redeliver {
            let last = self.seen.borrow_mut().insert(producer, number);
            assert!(last < Some(number), "{number} of {producer} came after {last:?}");
        }
        number
    }

    fn take(&self, numbers: &mut Numbers, deadline: Deadline) {
        let call = &self.tally.calls[me()];
        let redelivers = self.kind.options.redeliver;
        let most = 1 + numbers.below(MANY.into()) as u32;
        let way = numbers.below(4);
        call.store(if way < 2 { 1 } else { most }, SeqCst);
        let mut places = Vec::new();
        let mut bytes = vec![0; 20_000];
        let taken = match way {
            1 if !redelivers => self.queue.get_into(&mut bytes, deadline).map(|(length, taken)| {
                taken.unwrap();
                places.push((0, length));
                Vec::new()
            }),
            3 if !redelivers => (self.queue)
                .get_many_into(&mut bytes, most as usize, deadline, |_, at, n| places.push((at, n)))
                .map(|_| Vec::new()),
            2 | 3 => self.queue.get_many(most as usize, deadline),
            _ => self.queue.get(deadline).map(|buffer| vec![buffer]),
        };
        let buffers = taken
            .inspect_err(|error| assert_eq!(error.status(), Status::Empty, "{error}"))
            .unwrap_or_default();
        places.iter().for_each(|(at, n)| drop(self.saw(&bytes[*at..at + n]).to_string()));
        let taken: Vec<u32> = buffers.iter().map(|buffer| self.saw(buffer.bytes())).collect();
        call.store(0, SeqCst);
        (0..numbers.below(2000)).for_each(|_| std::hint::spin_loop());
        for (buffer, number) in buffers.iter().zip(&taken).filter(|_| redelivers) {
            self.state(*number).fetch_or(ACKING, SeqCst);
            self.queue.acknowledge(buffer).unwrap();
            self.state(*number).fetch_or(ACKED, SeqCst);
        }
        (0..places.len() + buffers.len())
            .filter(|_| !redelivers)
            .for_each(|_| self.queue.task_done().unwrap());
    }

    /// This process has taken the place of one that was killed, perhaps with messages in its hands.
    fn forgive(&self) {
        let call = &self.tally.calls[me()];
        self.tally.forgiven.fetch_add(call.load(SeqCst), SeqCst);
        call.store(0, SeqCst);
    }
}

impl Act for QueueAct {
    fn name(&self) -> &'static str {
        self.kind.name
    }

    fn turn(&self, numbers: &mut Numbers) {
        self.forgive();
        let deadline = wait_of_some_length(numbers);
        match numbers.below(8) {
            0 => match self.queue.join(Deadline::after(3_000_000)) {
                Ok(()) => {}
                Err(error) => assert_eq!(error.status(), Status::Timeout, "{error}"),
            },
            1..=4 => self.put(numbers, deadline),
            _ => self.take(numbers, deadline),
        }
    }

    fn probe(&self, numbers: &mut Numbers) {
        self.put(numbers, Deadline::after(10_000_000));
        self.take(numbers, Deadline::after(10_000_000));
    }

    fn hush(&self) {
        let mut numbers = Numbers(1);
        (0..3).for_each(|_| self.take(&mut numbers, Deadline::Now));
        self.put(&mut numbers, Deadline::Now);
    }

    fn check(&self, _kills: u32) {
        let tally = self.tally;
        let mut numbers = Numbers(2);
        wait_until("all is taken and done, or comes back", || {
            self.take(&mut numbers, Deadline::Now);
            let joined = self.queue.join(Deadline::Now).is_ok();
            self.queue.size().unwrap() == 0 && joined
        });
        let called: u32 = tally.calls.iter().map(|call| call.load(SeqCst)).sum();
        let may = called + tally.forgiven.load(SeqCst);
        let all = tally.next.load(SeqCst);
        let gone = if self.kind.options.redeliver { ACKING } else { TAKEN };
        let is_lost = |number: &u32| self.state(*number).load(SeqCst) & (PUT | gone) == PUT;
        let lost = (0..all).filter(is_lost).count();
        println!("      {all} messages, {lost} lost of at most {may}");
        let most = if self.kind.options.redeliver { 0 } else { may as usize };
        assert!(self.kind.drops() || lost <= most);
        assert!(all > 100);
    }
}
