//! The kinds of queues that the trials of `queue_*.rs` go through, a book of what was put, taken and acknowledged in memory
//! that is shared without the library, and what must be true of a queue whose user was killed.

use crate::process::Words;
use mp::arena::Buffer;
use mp::channel::{Overflow, Queue, QueueKind, QueueOptions};
use mp::error::Status;
use mp::sys::clock::Deadline;

/// A call that waits longer than this hangs.
pub const PATIENCE: i64 = 15_000_000_000;

pub fn soon() -> Deadline {
    Deadline::after(PATIENCE)
}

/// A kind of queue.
#[derive(Clone, Copy)]
pub struct Kind {
    pub name: &'static str,
    pub options: QueueOptions,
}

/// The largest numbers of messages and of bytes of the bounded kinds. The longest message must fit.
pub const BOUND: i64 = 6;
pub const BYTES: u64 = 9000;

/// All kinds: the bounds in the second half of the list are tight, so that the overflow policies act.
pub fn kinds() -> Vec<Kind> {
    let plain = QueueOptions::default();
    let of = |kind| QueueOptions { kind, ..plain };
    let redeliver = QueueOptions { redeliver: true, ..plain };
    let bounded = |options| QueueOptions { maxsize: BOUND, ..options };
    let bytes = |options| QueueOptions { max_bytes: BYTES, ..options };
    let dropping = |options| QueueOptions { overflow: Overflow::DropOldest, ..options };
    let (lifo, priority) = (of(QueueKind::Lifo), of(QueueKind::Priority));
    [
        ("fifo", plain),
        ("lifo", lifo),
        ("priority", priority),
        ("redelivering", redeliver),
        ("redelivering priority", QueueOptions { redeliver: true, ..priority }),
        ("bounded fifo", bounded(plain)),
        ("fifo bounded by bytes", bytes(plain)),
        ("bounded lifo", bytes(bounded(lifo))),
        ("priority bounded by bytes", bytes(priority)),
        ("bounded redelivering", bytes(bounded(redeliver))),
        ("dropping fifo", dropping(bounded(plain))),
        ("fifo dropping bytes", dropping(bytes(plain))),
        ("dropping lifo", dropping(bounded(lifo))),
        ("dropping priority", dropping(bytes(priority))),
        ("dropping redelivering", dropping(bounded(redeliver))),
    ]
    .map(|(name, options)| Kind { name, options })
    .to_vec()
}

impl Kind {
    pub fn queue(&self) -> Queue {
        Queue::new(&self.options).unwrap()
    }

    pub fn drops(&self) -> bool {
        self.options.overflow == Overflow::DropOldest
    }

    pub fn is_bounded(&self) -> bool {
        self.options.maxsize > 0 || self.options.max_bytes > 0
    }

    /// By which messages leave: lowest first.
    fn key(&self, i: u32) -> (i64, i64) {
        match self.options.kind {
            QueueKind::Fifo => (0, i.into()),
            QueueKind::Lifo => (0, -i64::from(i)),
            QueueKind::Priority => (priority(i), i.into()),
        }
    }

    /// Puts message `i`; false if the queue is full.
    pub fn put(&self, queue: &Queue, i: u32, deadline: Deadline) -> bool {
        let put = match self.options.kind {
            QueueKind::Priority => queue.put_priority(priority(i), &message(i), deadline),
            _ => queue.put(&message(i), deadline),
        };
        is_put(put)
    }
}

pub fn is_put(put: mp::error::Result<()>) -> bool {
    put.inspect_err(|error| assert_eq!(error.status(), Status::Full, "{error}")).is_ok()
}

fn priority(i: u32) -> i64 {
    if has_priority(i) {
        i64::from(i * 7 % 3) - 1
    } else {
        0
    }
}

/// Those that are put by calls without one have none.
pub fn has_priority(i: u32) -> bool {
    !(10..20).contains(&i) && i != FILLER
}

/// Message `i`: some fit into a slot, some into a ring only, some travel in blocks.
pub fn message(i: u32) -> Vec<u8> {
    let length = [0, 20, 200, 1100, 40, 36, 2500, 800][i as usize % 8];
    i.to_le_bytes().into_iter().chain((0..length).map(|k| (k * 5 + i * 11) as u8)).collect()
}

pub fn number(bytes: &[u8]) -> u32 {
    let i = u32::from_le_bytes(bytes[..4].try_into().unwrap());
    assert!(bytes == message(i), "message {i} is damaged");
    i
}

pub const BEGUN: u32 = 1;
pub const PUT: u32 = 2;
pub const TAKEN: u32 = 4;
pub const ACKING: u32 = 8;
pub const ACKED: u32 = 16;

const FIRST: usize = 16;

/// What is known of each message, and of the call under way.
#[derive(Clone, Copy)]
pub struct Book {
    words: Words,
}

impl Book {
    pub fn new() -> Book {
        Book { words: Words::new() }
    }

    pub fn set(self, i: u32, state: u32) {
        self.words.set(FIRST + i as usize, state);
    }

    pub fn get(self, i: u32) -> u32 {
        self.words.get(FIRST + i as usize)
    }

    pub fn add(self, i: u32, state: u32) {
        self.set(i, self.get(i) | state);
    }

    fn all(self) -> impl Iterator<Item = (u32, u32)> {
        (0..(1024 - FIRST) as u32).map(move |i| (i, self.get(i))).filter(|(_, state)| *state != 0)
    }

    /// The call that begins takes so many messages at most; 0: it has ended.
    pub fn call(self, most: u32) {
        self.words.set(0, most);
    }

    /// How many the call under way takes, or did when it was killed.
    pub fn called(self) -> u32 {
        self.words.get(0)
    }

    /// Message `i` was taken: once, whatever died.
    pub fn took(self, i: u32) {
        let state = self.get(i);
        assert!(state & BEGUN != 0 && state & TAKEN == 0, "message {i} came though it is {state}");
        self.add(i, TAKEN);
    }
}

/// Takes all that is there, tells it to be done, and answers the numbers in this order.
pub fn drain(kind: &Kind, queue: &Queue) -> Vec<u32> {
    let size = queue.size().unwrap();
    let mut found = Vec::new();
    loop {
        match queue.get(Deadline::Now) {
            Ok(buffer) => {
                found.push(number(buffer.bytes()));
                finish(kind, queue, &buffer);
            }
            Err(error) => {
                assert!(matches!(error.status(), Status::Empty | Status::Closed), "{error:?}");
                break;
            }
        }
    }
    // What the dead had taken may come back only now.
    assert!(if kind.options.redeliver { found.len() >= size } else { found.len() == size });
    assert_eq!(queue.size().unwrap(), 0);
    found
}

pub fn finish(kind: &Kind, queue: &Queue, buffer: &Buffer) {
    if kind.options.redeliver {
        queue.acknowledge(buffer).unwrap();
    } else {
        queue.task_done().unwrap();
    }
}

/// After a user of the queue was killed and settled: every message is there exactly once, less what it may have taken
/// with it, in order; then the queue is as a new one.
pub fn is_whole(kind: &Kind, queue: &Queue, book: Book) {
    let size = queue.size().unwrap();
    if size > 0 {
        assert_eq!(queue.join(Deadline::Now).unwrap_err().status(), Status::Timeout, "joined too early");
    }
    takes_what_it_may(kind, queue, size);
    let found = drain(kind, queue);
    let found: Vec<u32> = found.into_iter().filter(|i| *i != FILLER).collect();
    for pair in found.windows(2) {
        // What came back while others were taken is in its place only among those that were still there.
        assert!(kind.key(pair[0]) < kind.key(pair[1]), "out of order: {found:?}");
    }
    for i in &found {
        let state = book.get(*i);
        assert!(state & BEGUN != 0, "message {i} was never put");
        let gone = if kind.options.redeliver { ACKED } else { TAKEN };
        assert!(state & gone == 0, "message {i} comes though it is {state}");
    }
    are_all(kind, book, &found);
    is_joined(kind, queue);
    takes_what_it_may(kind, queue, 0);
    drain(kind, queue);
    is_joined(kind, queue);
}

/// Whatever was put and not taken has been found, but for what a killed call had.
fn are_all(kind: &Kind, book: Book, found: &[u32]) {
    let missing = |(i, state): (u32, u32)| {
        let gone = if kind.options.redeliver { ACKING } else { TAKEN };
        (state & PUT != 0 && state & gone == 0 && !found.contains(&i)).then_some(i)
    };
    let mut missing: Vec<u32> = book.all().filter_map(missing).collect();
    if kind.drops() {
        // The oldest ones are dropped; a lifo's killed getter may have had the youngest one.
        let stayed = found.iter().copied().filter(|i| book.get(*i) & TAKEN == 0);
        let oldest = stayed.min().unwrap_or(u32::MAX);
        missing.retain(|i| *i >= oldest);
    }
    let lost = if kind.options.redeliver { 0 } else { book.called() };
    assert!(missing.len() <= lost as usize, "lost: {missing:?}; {lost} may be");
}

/// A message that no book knows.
pub const FILLER: u32 = 1003;

/// A bounded queue in which there are `size` messages takes as many as it ever did. The policies that drop are not tried
/// on what is there, for it is looked at later.
fn takes_what_it_may(kind: &Kind, queue: &Queue, size: usize) {
    if !kind.is_bounded() || kind.drops() && size > 0 {
        return;
    }
    let filler = message(FILLER);
    let more = || is_put(queue.put(&filler, Deadline::Now));
    let limit = if kind.drops() { 2 * BYTES as usize / filler.len() } else { usize::MAX };
    let n = (0..limit).take_while(|_| more()).count();
    if size == 0 || kind.options.max_bytes == 0 {
        let by_number = if kind.options.maxsize > 0 { BOUND as usize } else { usize::MAX };
        let by_bytes = if kind.options.max_bytes > 0 { BYTES as usize / filler.len() } else { usize::MAX };
        let most = by_number.min(by_bytes);
        assert_eq!(if kind.drops() { queue.size().unwrap() } else { size + n }, most, "{size} were there");
    }
}

/// Nothing is unfinished, and the next message is again.
pub fn is_joined(kind: &Kind, queue: &Queue) {
    queue.join(soon()).unwrap();
    assert!(is_put(queue.put(&message(FILLER), Deadline::Now)));
    assert_eq!(queue.join(Deadline::Now).unwrap_err().status(), Status::Timeout, "joined too early");
    assert_eq!(drain(kind, queue), [FILLER]);
    queue.join(soon()).unwrap();
}
