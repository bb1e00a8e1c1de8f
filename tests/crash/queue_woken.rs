//! Whoever waits at a queue with a store, or for what is done, is killed right after its wake-up, 300 times: 300 times the
//! next one gets it.

use crate::faults::{is_back_at, usage};
use crate::queue_kinds::{kinds, number, soon, Kind, BYTES};
use crate::woken::next_one_gets_it;
use crate::Case;
use mp::channel::Queue;
use mp::sys::clock::Deadline;

pub fn cases() -> Vec<Case> {
    let case =
        |name: &str, body: fn()| Case::new(format!("queue: 300 woken {name} are killed"), body).within(600);
    vec![
        case("getters of a priority queue", || getters("priority")),
        case("getters of a redelivering queue", || getters("redelivering")),
        case("putters who wait for bytes", putters),
        case("joiners", joiners),
        case("takers of what then comes back", takers),
    ]
}

fn of(name: &str) -> Kind {
    kinds().into_iter().find(|kind| kind.name == name).unwrap()
}

fn get_and_finish(kind: &Kind, queue: &Queue) {
    let buffer = queue.get(soon()).unwrap();
    assert_eq!(number(buffer.bytes()), 3);
    crate::queue_kinds::finish(kind, queue, &buffer);
}

fn getters(name: &str) {
    let (kind, start) = (of(name), usage());
    let queue = kind.queue();
    let empty = || assert_eq!(queue.size().unwrap(), 0);
    let put = || assert!(kind.put(&queue, 3, soon()));
    next_one_gets_it("event.wait:woken", || get_and_finish(&kind, &queue), empty, put);
    empty();
    queue.join(soon()).unwrap();
    drop(queue);
    is_back_at(start);
}

fn putters() {
    let (kind, start) = (of("fifo bounded by bytes"), usage());
    let queue = kind.queue();
    let long = vec![1; BYTES as usize - 10];
    let take = || drop(queue.get(soon()).unwrap());
    let fill = || {
        let _ = queue.get(Deadline::Now);
        queue.put(&long, soon()).unwrap();
    };
    next_one_gets_it("event.wait:woken", || queue.put(&long, soon()).unwrap(), fill, take);
    assert_eq!(queue.size().unwrap(), 1);
    drop(queue);
    is_back_at(start);
}

fn joiners() {
    let (kind, start) = (of("fifo"), usage());
    let queue = kind.queue();
    let put = || assert!(kind.put(&queue, 3, soon()));
    next_one_gets_it(
        "event.wait:woken",
        || queue.join(soon()).unwrap(),
        put,
        || get_and_finish(&kind, &queue),
    );
    queue.join(soon()).unwrap();
    drop(queue);
    is_back_at(start);
}

/// The victim has taken the message; the next one waits for it to come back.
fn takers() {
    let (kind, start) = (of("redelivering"), usage());
    let queue = kind.queue();
    let empty = || queue.join(soon()).unwrap();
    let put = || assert!(kind.put(&queue, 3, soon()));
    next_one_gets_it("queue.get:committed", || get_and_finish(&kind, &queue), empty, put);
    empty();
    drop(queue);
    is_back_at(start);
}
