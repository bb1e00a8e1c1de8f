//! Queues among strangers: nobody waits for those who die here and nobody sweeps, so whoever needs what they had must
//! look after them itself. And what once was wrong after a death.

use crate::faults::{is_back_at, usage, victim};
use crate::process::{fork, nap, state_of, wait_until, Child, Words};
use crate::queue_kinds::{drain, is_joined, kinds, message, number, soon, Kind, BOUND};
use crate::Case;
use mp::arena::Arena;
use mp::channel::{Overflow, Queue, QueueKind, QueueOptions};
use mp::error::Status;
use mp::sys::clock::Deadline;

pub fn cases() -> Vec<Case> {
    let case = |name: &str, body: fn()| Case::new(format!("queue: strangers: {name}"), body).within(120);
    vec![
        case("a join returns for takers that nobody reaps", takers),
        case("a join returns for who died while it told what it had done", tellers),
        case("messages come back to who waits", redelivered),
        case("messages come back to who only tries", redelivered_to_a_try),
        case("messages come back from a taker that had no handle any more", taker_without_handle),
        case("room comes back to who waits", room),
        case("room comes back to who only tries", room_for_a_try),
        case("who died when its put was committed has put", committed_put),
        case("who died when its get was committed has made room", committed_get),
        case("what was committed is seen by who does not take it", told),
        case("a holder of a queue that was never used", never_used),
        case("told to be done, and not acknowledged", done_too_early),
        case("a stopped taker, and a join that has no time", stopped),
    ]
}

fn of(name: &str) -> Kind {
    kinds().into_iter().find(|kind| kind.name == name).unwrap()
}

/// A process that does this and is then killed; it stays as it is, a zombie.
fn stranger(work: impl FnOnce()) -> Child {
    let words = Words::new();
    let child = fork(|| {
        work();
        words.set(0, 1);
        nap(100_000);
    });
    wait_until("it has done so", || words.get(0) == 1 || ended(&child));
    child.signal(libc::SIGKILL);
    wait_until("it is dead", || ended(&child));
    child
}

fn ended(child: &Child) -> bool {
    state_of(child.pid) == Some('Z')
}

/// Who sleeps on many things at once looks no more than this, and when it is told to.
fn told() {
    for point in ["queue.store:committed", "queue.store:entered"] {
        let (kind, start) = (of("lifo"), usage());
        let queue = kind.queue();
        let dead = fallen(point, || assert!(kind.put(&queue, 6, soon())));
        assert!(!queue.is_readable());
        Arena::get().unwrap().sweep();
        assert!(queue.is_readable());
        assert_eq!(queue.size().unwrap(), 1);
        over(kind, queue, &[dead], start);
    }
}

/// Dies at a fault point, and stays as it is.
fn fallen(point: &str, work: impl FnOnce()) -> Child {
    let child = victim(&format!("kill@{point}"), work);
    wait_until("it is dead", || ended(&child));
    child
}

/// All is as before when the dead have been reaped.
fn over(kind: Kind, queue: Queue, dead: &[Child], start: mp::arena::Usage) {
    dead.iter().for_each(Child::was_killed);
    Arena::get().unwrap().sweep();
    drain(&kind, &queue);
    is_joined(&kind, &queue);
    drop(queue);
    is_back_at(start);
}

fn takers() {
    for kind in kinds().into_iter().filter(|kind| !kind.options.redeliver) {
        let start = usage();
        let queue = kind.queue();
        (0..3).for_each(|i| assert!(kind.put(&queue, i, soon())));
        let first = stranger(|| drop(queue.get(soon()).unwrap()));
        let joiner = fork(|| queue.join(soon()).unwrap());
        joiner.sleeps();
        let second = stranger(|| drop(queue.get_many(2, soon()).unwrap()));
        joiner.succeeds();
        assert_eq!(queue.size().unwrap(), 0);
        over(kind, queue, &[first, second], start);
    }
}

fn tellers() {
    for point in [
        "queue.get:copied",
        "queue.get:committed",
        "queue.account:logging",
        "queue.account:logged",
        "queue.account:counted",
        "queue.account:done",
        "queue.account:voided",
    ] {
        for name in ["fifo", "lifo"] {
            let (kind, start) = (of(name), usage());
            let queue = kind.queue();
            (0..2).for_each(|i| assert!(kind.put(&queue, i, soon())));
            // Who tells another one's message to be done may have no record that says so.
            let dead = stranger(|| drop(queue.get(soon()).unwrap()));
            let teller = fallen(point, || {
                if point.ends_with(":voided") {
                    let _ = queue.join(Deadline::Now);
                } else {
                    drop(queue.get(soon()).unwrap());
                    queue.task_done().unwrap();
                }
            });
            if !point.ends_with(":voided") && point != "queue.get:copied" {
                // Nobody but the joiner comes to the queue.
                fork(|| queue.join(soon()).unwrap()).succeeds();
            }
            over(kind, queue, &[dead, teller], start);
        }
    }
}

fn redelivered() {
    for name in ["redelivering", "redelivering priority", "bounded redelivering"] {
        let (kind, start) = (of(name), usage());
        let queue = kind.queue();
        assert!(kind.put(&queue, 3, soon()) && kind.put(&queue, 6, soon()));
        let words = Words::new();
        let taker = fork(|| {
            std::mem::forget([queue.get(soon()), queue.get(soon())]);
            words.set(0, 1);
            nap(100_000);
        });
        words.reaches(0, 1);
        let getter = fork(|| {
            let buffers = [queue.get(soon()).unwrap(), queue.get(soon()).unwrap()];
            buffers.iter().for_each(|buffer| queue.acknowledge(buffer).unwrap());
        });
        getter.sleeps();
        taker.signal(libc::SIGKILL);
        queue.join(soon()).unwrap();
        getter.succeeds();
        over(kind, queue, &[taker], start);
    }
}

fn redelivered_to_a_try() {
    let (kind, start) = (of("redelivering"), usage());
    let queue = kind.queue();
    assert!(kind.put(&queue, 3, soon()));
    let dead = stranger(|| std::mem::forget(queue.get(soon())));
    wait_until("it comes back", || queue.get(Deadline::Now).is_ok_and(|b| queue.acknowledge(&b).is_ok()));
    over(kind, queue, &[dead], start);
}

fn taker_without_handle() {
    let (kind, start) = (of("redelivering"), usage());
    let queue = kind.queue();
    (0..2).for_each(|i| assert!(kind.put(&queue, i, soon())));
    let words = Words::new();
    let taker = fork(|| {
        // SAFETY: this process leaves without dropping the queue once more.
        let mine = unsafe { std::ptr::read(&raw const queue) };
        std::mem::forget(mine.get(soon()));
        drop(mine);
        words.set(0, 1);
        nap(100_000);
    });
    words.reaches(0, 1);
    let getter = fork(|| {
        for expected in [1, 0] {
            let buffer = queue.get(soon()).unwrap();
            assert_eq!(number(buffer.bytes()), expected);
            queue.acknowledge(&buffer).unwrap();
        }
    });
    getter.sleeps();
    taker.signal(libc::SIGKILL);
    getter.succeeds();
    over(kind, queue, &[taker], start);
}

fn reserve_all(queue: &Queue) {
    while let Ok(reservation) = queue.reserve(2900, Deadline::Now) {
        std::mem::forget(reservation);
    }
}

fn room() {
    for name in ["bounded fifo", "fifo bounded by bytes", "bounded lifo", "dropping fifo"] {
        let (kind, start) = (of(name), usage());
        let queue = kind.queue();
        let dead = stranger(|| reserve_all(&queue));
        assert!(kind.put(&queue, 3, soon()));
        assert_eq!(drain(&kind, &queue), [3]);
        over(kind, queue, &[dead], start);
    }
}

fn room_for_a_try() {
    for name in ["bounded fifo", "fifo bounded by bytes", "priority bounded by bytes"] {
        for overflow in [Overflow::Wait, Overflow::Fail] {
            let (kind, start) = (of(name), usage());
            let kind = Kind { options: QueueOptions { overflow, ..kind.options }, ..kind };
            let queue = kind.queue();
            let dead = stranger(|| reserve_all(&queue));
            // A long message is looked at before it is copied, a short one not.
            for i in [6, 1] {
                wait_until("there is room", || kind.put(&queue, i, Deadline::Now));
            }
            over(kind, queue, &[dead], start);
        }
    }
}

fn committed_put() {
    for point in ["queue.store:committed", "queue.store:entered", "queue.store:publishing#2"] {
        let (kind, start) = (of("priority"), usage());
        let queue = kind.queue();
        let getter = fork(|| assert_eq!(number(queue.get(soon()).unwrap().bytes()), 6));
        getter.sleeps();
        let dead = fallen(point, || drop(kind.put(&queue, 6, soon()).to_string()));
        getter.succeeds();
        over(kind, queue, &[dead], start);
    }
}

fn committed_get() {
    for point in ["queue.store:taken", "queue.store:forgotten", "queue.store:publishing"] {
        let start = usage();
        let options = QueueOptions { kind: QueueKind::Lifo, maxsize: 1, ..Default::default() };
        let kind = Kind { name: "lifo for one", options };
        let queue = kind.queue();
        assert!(kind.put(&queue, 6, soon()));
        let putter = fork(|| assert!(kind.put(&queue, 1, soon())));
        putter.sleeps();
        let dead = fallen(point, || drop(queue.get(soon())));
        putter.succeeds();
        assert_eq!(queue.size().unwrap(), 1);
        dead.was_killed();
        Arena::get().unwrap().sweep();
        assert_eq!(drain(&kind, &queue), [1]);
        queue.join(soon()).unwrap();
        drop(queue);
        is_back_at(start);
    }
}

fn never_used() {
    let (kind, start) = (of("redelivering"), usage());
    let queue = kind.queue();
    let dead = stranger(|| ());
    Arena::get().unwrap().sweep();
    assert_eq!(queue.get(Deadline::after(200_000_000)).unwrap_err().status(), Status::Empty);
    over(kind, queue, &[dead], start);
}

/// The dead one told its message to be done, which then comes back: it is done when it is acknowledged, and not twice.
fn done_too_early() {
    let (kind, start) = (of("redelivering"), usage());
    let queue = kind.queue();
    assert!(kind.put(&queue, 0, soon()));
    let dead = stranger(|| {
        std::mem::forget(queue.get(soon()).unwrap());
        queue.task_done().unwrap();
    });
    Arena::get().unwrap().sweep();
    assert_eq!(queue.join(Deadline::Now).unwrap_err().status(), Status::Timeout, "joined too early");
    over(kind, queue, &[dead], start);
    let queue = kind.queue();
    assert!(kind.put(&queue, 0, soon()));
    let dead = stranger(|| {
        std::mem::forget(queue.get(soon()).unwrap());
        queue.task_done().unwrap();
    });
    Arena::get().unwrap().sweep();
    queue.acknowledge(&queue.get(soon()).unwrap()).unwrap();
    // Nobody has joined since it died.
    over(kind, queue, &[dead], start);
}

/// The turn is a stopped process's, who is alive: a join that has no time does not wait for it.
fn stopped() {
    let (kind, start) = (of("fifo"), usage());
    let queue = kind.queue();
    (0..BOUND as u32).for_each(|i| assert!(kind.put(&queue, i, soon())));
    let dead = stranger(|| drop(queue.get(soon())));
    let getter =
        victim("stop@queue.get:committed", || assert_eq!(number(queue.get(soon()).unwrap().bytes()), 1));
    getter.is_stopped();
    Arena::get().unwrap().sweep();
    assert_eq!(queue.join(Deadline::Now).unwrap_err().status(), Status::Timeout);
    assert_eq!(queue.join(Deadline::after(20_000_000)).unwrap_err().status(), Status::Timeout);
    getter.signal(libc::SIGCONT);
    getter.succeeds();
    assert_eq!(message(2), queue.get(soon()).unwrap().bytes());
    queue.task_done().unwrap();
    over(kind, queue, &[dead], start);
}
