//! Rust's own Mutex and Condvar, measured as the C programs measure libmp: std lock|handoff [PERCENT]. They serve the
//! threads of one process only.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

extern "C" {
    fn sched_getaffinity(pid: i32, size: usize, mask: *mut u64) -> i32;
    fn sched_setaffinity(pid: i32, size: usize, mask: *const u64) -> i32;
}

const WORDS: usize = 16;

/// The processors that the program was given.
fn given() -> Vec<usize> {
    let mut mask = [0u64; WORDS];
    // SAFETY: the mask is writable for its size.
    unsafe { sched_getaffinity(0, size_of_val(&mask), mask.as_mut_ptr()) };
    (0..WORDS * 64).filter(|cpu| mask[cpu / 64] >> (cpu % 64) & 1 == 1).collect()
}

fn pin(given: &[usize], which: usize) {
    let Some(cpu) = given.get(which % given.len().max(1)) else { return };
    let mut mask = [0u64; WORDS];
    mask[cpu / 64] = 1 << (cpu % 64);
    // SAFETY: the mask is readable for its size.
    unsafe { sched_setaffinity(0, size_of_val(&mask), mask.as_ptr()) };
}

fn tell(case: &str, peer: &str, values: &[f64]) {
    let values: Vec<String> = values.iter().map(|v| format!("{v:.6}")).collect();
    println!("{{\"case\": \"{case}\", \"peer\": \"{peer}\", \"values\": [{}]}}", values.join(", "));
}

const MUTEX: &str = "Rust Mutex (threads)";
const CONDVAR: &str = "Rust Condvar (threads)";

fn uncontended(percent: usize) {
    const PAIRS: u32 = 10_000;
    let mutex = Mutex::new(0u64);
    let block = |_| {
        let start = Instant::now();
        for _ in 0..PAIRS {
            *std::hint::black_box(&mutex).lock().unwrap() += 1;
        }
        start.elapsed().as_nanos() as f64 / f64::from(PAIRS)
    };
    block(0);
    tell("lock", MUTEX, &(0..4 + percent).map(block).collect::<Vec<_>>());
}

fn toil(time: Duration) {
    if !time.is_zero() {
        let start = Instant::now();
        while start.elapsed() < time {}
    }
}

/// Turns of two threads, in thousands a second.
fn slice(given: &[usize], work: Duration) -> f64 {
    let (counter, ready, stop) = (Mutex::new(0u64), AtomicUsize::new(0), AtomicBool::new(false));
    let side = |which| {
        pin(given, which);
        ready.fetch_add(1, Ordering::SeqCst);
        while ready.load(Ordering::SeqCst) < 2 {}
        let (start, mut turns) = (Instant::now(), 0);
        while !stop.load(Ordering::Relaxed) {
            let mut count = counter.lock().unwrap();
            *count += 1;
            toil(work);
            drop(count);
            toil(work);
            turns += 1;
            if (!work.is_zero() || turns % 64 == 0) && start.elapsed() > Duration::from_millis(3) {
                stop.store(true, Ordering::Relaxed);
            }
        }
        start.elapsed()
    };
    let took = std::thread::scope(|scope| {
        let other = scope.spawn(|| side(1));
        side(0).max(other.join().unwrap())
    });
    let turns = *counter.lock().unwrap();
    turns as f64 / 1e3 / took.as_secs_f64()
}

/// A flag that one thread sets and another awaits.
#[derive(Default)]
struct Flag {
    set: Mutex<bool>,
    condition: Condvar,
}

impl Flag {
    fn post(&self) {
        *self.set.lock().unwrap() = true;
        self.condition.notify_one();
    }

    fn wait(&self) {
        let mut set = self.condition.wait_while(self.set.lock().unwrap(), |set| !*set).unwrap();
        *set = false;
    }
}

/// Round trips between two threads, in nanoseconds each.
fn round_trips(given: &[usize], place: usize, percent: usize) -> Vec<f64> {
    const TRIPS: usize = 40;
    let ways = [Flag::default(), Flag::default()];
    let blocks = 10 + percent;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            pin(given, place);
            for _ in 0..blocks * TRIPS {
                ways[0].wait();
                ways[1].post();
            }
        });
        pin(given, 0);
        let block = |_| {
            let start = Instant::now();
            for _ in 0..TRIPS {
                ways[0].post();
                ways[1].wait();
            }
            start.elapsed().as_nanos() as f64 / TRIPS as f64
        };
        (0..blocks).map(block).collect()
    })
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let group = arguments.next().unwrap_or_default();
    let percent = arguments.next().and_then(|p| p.parse().ok()).unwrap_or(100);
    let given = given();
    pin(&given, 0);
    if group == "lock" {
        uncontended(percent);
        for (case, work) in [("contended", 0), ("contended, 1 us", 1)] {
            let blocks = 0..2 + percent / 8;
            tell(
                case,
                MUTEX,
                &blocks.map(|_| slice(&given, Duration::from_micros(work))).collect::<Vec<_>>(),
            );
        }
    } else {
        tell("condition", CONDVAR, &round_trips(&given, 1, percent));
        tell("condition, one core", CONDVAR, &round_trips(&given, 0, percent));
    }
}
