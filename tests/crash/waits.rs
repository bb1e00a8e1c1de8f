//! Waits for many things at once, and descriptors of queues, while those die who should ring.

use crate::faults::{is_back_at, usage};
use crate::pools::{call, end, function, new_pool};
use crate::process::{fork, nap, wait_until, Words};
use crate::Case;
use mp::arena::multi::{self, Waitable};
use mp::channel::{Queue, QueueOptions};
use mp::pool::Items;
use mp::sync::{Event, Semaphore};
use mp::sys::clock::{Deadline, FOREVER};
use mp::sys::fault::arm;
use mp::sys::level::Level;
use std::ffi::c_void;

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("waits: who changes an object dies before its ring", || each_change(false)).within(60),
        Case::new("waits: the same, with a descriptor beside", || each_change(true)).within(60),
        Case::new("waits: a worker dies between its outcome and its ring", || outcomes(false)).within(60),
        Case::new("waits: the same, with a descriptor beside", || outcomes(true)).within(60),
        Case::new("waits: a queue's descriptors follow who dies before its ring", descriptors).within(60),
    ]
}

fn queue(maxsize: i64) -> Queue {
    Queue::new(&QueueOptions { maxsize, ..QueueOptions::default() }).unwrap()
}

fn put(queue: &Queue) {
    queue.put(b"message", Deadline::after(FOREVER)).unwrap();
}

/// Waits, in the way of objects alone or in that of descriptors; which are ready.
fn await_any(mut items: Vec<Waitable>, silent: Option<&Level>) -> Vec<bool> {
    items.extend(silent.map(|level| Waitable::File(level.fd())));
    multi::wait(items, Deadline::Never).unwrap().unwrap()
}

struct Scene {
    queue: Queue,
    event: Event,
    semaphore: Semaphore,
    robust: Semaphore,
}

impl Scene {
    fn items(&self) -> Vec<Waitable> {
        let items =
            [self.queue.waitable(), self.event.waitable(), self.semaphore.waitable(), self.robust.waitable()];
        items.into_iter().map(Result::unwrap).collect()
    }
}

type Act = fn(&Scene);

const ACTS: [(&str, usize, Act); 7] = [
    ("queue.put:committed", 0, |scene| put(&scene.queue)),
    ("doorbell.ring:counted", 0, |scene| put(&scene.queue)),
    ("doorbell.ring:cleared", 0, |scene| put(&scene.queue)),
    ("queue.close:closed", 0, |scene| scene.queue.close().unwrap()),
    ("flag.set:raised", 1, |scene| scene.event.set().unwrap()),
    ("semaphore.release:given", 2, |scene| scene.semaphore.release(1).unwrap()),
    ("permit.release:given", 3, |scene| scene.robust.release(1).unwrap()),
];

/// Nobody settles the dead: who waits comes back by itself.
fn each_change(mixed: bool) {
    let start = usage();
    for (point, which, act) in ACTS {
        let scene = Scene {
            queue: queue(0),
            event: Event::new().unwrap(),
            semaphore: Semaphore::new(0, 0).unwrap(),
            robust: Semaphore::robust(u32::from(which == 3), 1).unwrap(),
        };
        let words = Words::new();
        let victim = fork(|| {
            if which == 3 {
                scene.robust.acquire(Deadline::Now).unwrap();
            }
            words.set(0, 1);
            words.reaches(0, 2);
            nap(50);
            arm(&format!("kill@{point}"));
            act(&scene);
        });
        words.reaches(0, 1);
        let sleeper = fork(|| {
            let silent = mixed.then(|| Level::new().unwrap());
            let ready = await_any(scene.items(), silent.as_ref());
            assert!(ready[which], "{point}");
            assert_eq!(ready.iter().filter(|ready| **ready).count(), 1, "{point}");
        });
        sleeper.sleeps();
        words.set(0, 2);
        victim.was_killed();
        sleeper.succeeds();
        drop(scene);
    }
    is_back_at(start);
}

/// Arms its worker, when the host has had time to fall asleep.
unsafe extern "C" fn arm_late(pointer: *mut c_void) -> i32 {
    let call = call(pointer);
    nap(100);
    call.give(&std::process::id().to_ne_bytes()).unwrap();
    arm(std::str::from_utf8(call.arg(0).unwrap()).unwrap());
    0
}

unsafe extern "C" fn who(pointer: *mut c_void) -> i32 {
    call(pointer).give(&std::process::id().to_ne_bytes()).unwrap();
    0
}

fn outcomes(mixed: bool) {
    let silent = mixed.then(|| Level::new().unwrap());
    let pool = new_pool(1);
    let points =
        ["pool.item:committed", "pool.job:complete", "doorbell.ring:counted", "doorbell.ring:cleared"];
    for point in points {
        let spec = format!("kill@{point}");
        let result = pool.submit(function(arm_late), Items::Single(&[spec.as_bytes()]), 1, None).unwrap();
        let ready = await_any(vec![result.waitable().unwrap()], silent.as_ref());
        assert!(ready[0]);
        // It was committed before its worker died.
        let victim = result.item(0).unwrap().to_vec();
        let next = pool.run(function(who), Items::Single(&[b""]), 1).unwrap();
        assert_ne!(next.item(0).unwrap(), victim, "{point}: nobody was killed");
    }
    end(pool);
}

fn is_readable(fd: i32) -> bool {
    let mut entry = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: one live entry.
    unsafe { libc::poll(&mut entry, 1, 0) == 1 }
}

/// Both sides of a queue with room for one message, which another process fills and drains, and dies each time.
fn descriptors() {
    let start = usage();
    let queue = queue(1);
    let words = Words::new();
    let watcher = fork(|| {
        let (messages, room) = (queue.messages_descriptor().unwrap(), queue.room_descriptor().unwrap());
        for round in 0..6 {
            let full = round % 2 == 1;
            wait_until("the descriptors are right", || {
                is_readable(messages) == full && is_readable(room) != full
            });
            words.set(0, round + 1);
        }
    });
    for round in 0..5 {
        words.reaches(0, round + 1);
        nap(50);
        let victim = fork(|| {
            if round % 2 == 0 {
                arm("kill@queue.put:committed");
                put(&queue);
            } else {
                arm("kill@queue.get:committed");
                let _ = queue.get(Deadline::after(FOREVER));
            }
        });
        victim.was_killed();
    }
    watcher.succeeds();
    drop(queue);
    is_back_at(start);
}
