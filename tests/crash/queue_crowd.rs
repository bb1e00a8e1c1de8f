//! The tables beside a queue, of what is taken and of what is reserved, grow and are used again while others have entries in
//! them: whoever is killed at that, the entries of the living stay and those of the dead go.

use crate::faults::{is_back_at, usage, victim, was_killed};
use crate::kills::{Kills, Pace};
use crate::process::{fork, Words};
use crate::queue_kinds::{is_whole, message, number, soon, Book, Kind, BEGUN, BYTES, PUT};
use crate::Case;
use mp::arena::Arena;
use mp::channel::{Queue, QueueKind, QueueOptions};
use mp::sys::clock::Deadline;

const SOME: Pace = Pace { all_of: 4, tries: 1, least: 40 };

pub fn cases(kills: Kills) -> Vec<Case> {
    let case = |name: &'static str, kind: QueueKind| {
        let options = QueueOptions { kind, max_bytes: BYTES, ..Default::default() };
        Case::new(format!("queue: killed in a crowd at a {name} one"), move || {
            kills.at_passes_of(&["queue."], SOME, |spec| crowd(Kind { name, options }, spec))
        })
        .within(120)
    };
    vec![case("fifo", QueueKind::Fifo), case("lifo", QueueKind::Lifo)]
}

/// The messages here have the numbers of the shortest ones.
fn short(n: u32) -> u32 {
    8 * n
}

fn take(queue: &Queue, book: Book) {
    book.call(1);
    book.took(number(queue.get(soon()).unwrap().bytes()));
    book.call(0);
}

fn reserve(queue: &Queue, n: u32) -> Vec<mp::channel::Reservation> {
    (0..n).map(|_| queue.reserve(20, Deadline::Now).unwrap()).collect()
}

fn commit(reserved: mp::channel::Reservation, book: Book, i: u32) {
    let bytes = message(i);
    book.set(i, BEGUN);
    // SAFETY: the memory is this process's alone, and longer.
    unsafe { reserved.data().copy_from(bytes.as_ptr(), bytes.len()) };
    reserved.commit(Some(bytes.len())).unwrap();
    book.set(i, BEGUN | PUT);
}

/// More reservations than the table holds at first, and then at next; a record of its own among those who take.
fn use_much(queue: &Queue, book: Book) {
    let mut reserved = reserve(queue, 20);
    (10..18).for_each(|n| commit(reserved.pop().unwrap(), book, short(n)));
    drop(reserved.split_off(6));
    std::mem::forget(reserved);
    (0..2).for_each(|_| take(queue, book));
    queue.task_done().unwrap();
}

fn crowd(kind: Kind, spec: &str) -> bool {
    // The held table of this process grows now rather than meanwhile.
    drop((0..30).map(|_| kind.queue()).collect::<Vec<_>>());
    let start = usage();
    let (queue, book, words) = (kind.queue(), Book::new(), Words::new());
    for i in (0..6).map(short) {
        assert!(kind.put(&queue, i, soon()));
        book.set(i, BEGUN | PUT);
    }
    // One has taken a message and died, two live; one of these has reserved as well.
    fork(|| take(&queue, book)).succeeds();
    let reserver = fork(|| {
        take(&queue, book);
        let reserved = reserve(&queue, 3);
        words.set(0, 1);
        words.reaches(2, 1);
        reserved.into_iter().zip(20..).for_each(|(reserved, n)| commit(reserved, book, short(n)));
        queue.task_done().unwrap();
    });
    words.reaches(0, 1);
    let taker = fork(|| {
        take(&queue, book);
        words.set(1, 1);
        words.reaches(2, 1);
    });
    words.reaches(1, 1);
    let killed = was_killed(&victim(spec, || use_much(&queue, book)));
    Arena::get().unwrap().sweep();
    let call = book.called();
    // The next one has as much room for reservations.
    drop(reserve(&queue, 20));
    assert!(queue.join(Deadline::Now).is_err(), "joined too early: the living have not told what they took");
    words.set(2, 1);
    reserver.succeeds();
    taker.succeeds();
    Arena::get().unwrap().sweep();
    book.call(call);
    is_whole(&kind, &queue, book);
    drop(queue);
    is_back_at(start);
    killed
}
