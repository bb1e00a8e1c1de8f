//! Peers that are crates, measured as the C programs measure libmp: peers message|trip [PERCENT]

mod control;
mod iceoryx;
mod ipc;

use control::{helper, pin, reap, tell, Page, Seen, LARGE};
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

/// One end of a channel.
pub trait Sender {
    fn send(&mut self, number: u64);
}

pub trait Receiver {
    fn receive(&mut self, seen: &mut Seen);
}

const TESTS: [(&str, usize, f64); 5] = [
    ("8 B", 8, 2.0),
    ("64 B", 64, 2.0),
    ("1 KiB", 1024, 2.0),
    ("64 KiB", LARGE, 3.0),
    ("1 MiB", 1 << 20, 5.0),
];

/// As many messages as libmp's queues have room for.
pub fn room_for(size: usize) -> usize {
    match size {
        _ if size < LARGE => 1024,
        LARGE => 16,
        _ => 4,
    }
}

/// Messages from this process to a child, block by block. Both open their ends after the fork.
pub fn measure<S: Sender, R: Receiver>(
    peer: &str,
    (case, size, milliseconds): (&str, usize, f64),
    percent: usize,
    sender: impl FnOnce() -> S,
    receiver: impl FnOnce() -> R,
) {
    const TRIALS: u32 = 6;
    const FEWEST: u32 = 4;
    let page = Page::shared();
    let consumer = helper(|| {
        let (mut receiver, mut seen) = (receiver(), Seen::default());
        page.done.store(u32::MAX, SeqCst);
        pin(1);
        for block in 1.. {
            Page::until(&page.block, block);
            let messages = page.messages.load(SeqCst);
            if messages == 0 {
                break;
            }
            for _ in 0..messages {
                receiver.receive(&mut seen);
            }
            page.sum.store(seen.sum, SeqCst);
            page.done.store(block, SeqCst);
        }
    });
    let mut sender = sender();
    Page::until(&page.done, u32::MAX);
    pin(0);
    let (mut number, mut best, mut values, begun) = (0, 0.0f64, vec![], Instant::now());
    for block in 1..=TRIALS + FEWEST + 40 * percent as u32 / 100 {
        // A busy machine gets fewer blocks.
        if block > TRIALS + FEWEST && begun.elapsed() > Duration::from_secs(1) {
            break;
        }
        let messages = if block == 1 && size < LARGE { 100 } else { (best * milliseconds) as u32 + FEWEST };
        page.messages.store(messages, SeqCst);
        let start = Instant::now();
        page.block.store(block, SeqCst);
        for _ in 0..messages {
            number += 1;
            sender.send(number);
        }
        Page::until(&page.done, block);
        let rate = f64::from(messages) / start.elapsed().as_secs_f64() / 1e3;
        assert_eq!(page.sum.load(SeqCst), number * (number + 1) / 2, "messages are lost");
        if block > TRIALS {
            values.push(if size < LARGE { rate } else { rate * size as f64 / 1e3 });
        } else {
            best = best.max(rate);
        }
    }
    page.messages.store(0, SeqCst);
    page.block.fetch_add(1, SeqCst);
    reap(consumer);
    tell(case, peer, &values);
}

/// Round trips of eight bytes to a child and back, block by block, in nanoseconds each.
pub fn round_trips<S: Sender, R: Receiver>(
    peer: &str,
    place: usize,
    percent: usize,
    mine: impl FnOnce() -> (S, R),
    theirs: impl FnOnce() -> (S, R),
) {
    const TRIPS: usize = 40;
    let page = Page::shared();
    let blocks = 10 + percent;
    let other = helper(|| {
        let ((mut sender, mut receiver), mut seen) = (theirs(), Seen::default());
        page.done.store(1, SeqCst);
        pin(place);
        for number in 1..=(blocks * TRIPS) as u64 {
            receiver.receive(&mut seen);
            sender.send(number);
        }
        // What is still on its way needs its sender.
        Page::until(&page.done, 2);
    });
    let ((mut sender, mut receiver), mut seen) = (mine(), Seen::default());
    Page::until(&page.done, 1);
    pin(0);
    let mut values = vec![];
    for block in 0..blocks {
        let start = Instant::now();
        for trip in 1..=TRIPS {
            sender.send((block * TRIPS + trip) as u64);
            receiver.receive(&mut seen);
        }
        values.push(start.elapsed().as_nanos() as f64 / TRIPS as f64);
    }
    page.done.store(2, SeqCst);
    reap(other);
    // The first block brings both to the point.
    tell(if place == 1 { "trip" } else { "trip, one core" }, peer, &values[1..]);
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let group = arguments.next().unwrap_or_default();
    let percent = arguments.next().and_then(|p| p.parse().ok()).unwrap_or(100);
    pin(0);
    if group == "message" {
        for test in TESTS {
            iceoryx::measure(test, percent);
            ipc::measure(test, percent);
        }
    } else {
        for place in [1, 0] {
            iceoryx::round_trips(place, percent);
            ipc::round_trips(place, percent);
        }
    }
    iceoryx::clean_up();
}
