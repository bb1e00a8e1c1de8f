//! A pool in a storm of kills: every submission reaches exactly one outcome, and nothing is left behind.

use crate::pools::{
    board, call, children, end, entries, function, is_back_at, kill, new_pool, number, shared_board,
    warm_usage, zygote, Board,
};
use crate::process::{nap, wait_until, Numbers};
use crate::Case;
use mp::error::Status;
use mp::pool::{Callbacks, Items, JobResult, Pool};
use mp::sys::clock::Deadline;
use std::collections::HashSet;
use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub(crate) fn cases() -> Vec<Case> {
    vec![Case::new("pools: a storm of kills", storm).within(90)]
}

impl Board {
    fn enter(&self) -> &AtomicU32 {
        let me = std::process::id();
        let free = |w: &&AtomicU32| w.compare_exchange(0, me, Ordering::SeqCst, Ordering::SeqCst).is_ok();
        self.busy.iter().find(free).expect("no room on the board")
    }

    /// A process that has a task in hand, if it is one of these.
    fn busy_one(&self, of: &[i32], numbers: &mut Numbers) -> Option<i32> {
        let start = numbers.below(64) as usize;
        let word = |i: usize| &self.busy[(start + i) % 64];
        (0..64).find_map(|i| {
            let pid = word(i).load(Ordering::SeqCst) as i32;
            (pid != 0 && of.contains(&pid)).then_some(pid)
        })
    }

    fn is_busy(&self, pid: i32) -> bool {
        self.busy.iter().any(|w| w.load(Ordering::SeqCst) as i32 == pid)
    }

    /// A killed process has left the board.
    fn strike(&self, pid: i32) {
        for word in &self.busy {
            let _ = word.compare_exchange(pid as u32, 0, Ordering::SeqCst, Ordering::SeqCst);
        }
    }
}

fn mixed(number: u64) -> u64 {
    Numbers(number).next()
}

/// Works for a while and answers 8 or 800 bytes.
unsafe extern "C" fn mix(pointer: *mut c_void) -> i32 {
    let call = call(pointer);
    let (address, value) = (number(call, 0), number(call, 1));
    if address != 0 {
        let board = shared_board(call);
        let word = board.enter();
        std::thread::sleep(Duration::from_micros(value % 7 * 300));
        let long = mixed(value).to_ne_bytes().repeat(100);
        call.give(if value % 3 == 0 { &long } else { &long[..8] }).unwrap();
        word.store(0, Ordering::SeqCst);
    }
    0
}

/// What has become of the items, and of the callbacks.
#[derive(Default)]
pub(crate) struct Tally {
    submissions: AtomicU64,
    pub(crate) accepted: AtomicU64,
    pub(crate) finished: AtomicU64,
    pub(crate) dropped: AtomicU64,
    done: AtomicU64,
    died: AtomicU64,
    /// The pids that failed items name.
    named: Mutex<Vec<i32>>,
}

impl Tally {
    fn count(&self, result: &JobResult, values: &[u64]) {
        assert_eq!(result.count().unwrap(), values.len());
        for (i, value) in values.iter().enumerate() {
            match result.item(i) {
                Ok(bytes) => {
                    let times = if value % 3 == 0 { 100 } else { 1 };
                    assert_eq!(bytes, mixed(*value).to_ne_bytes().repeat(times), "item {i}");
                    self.done.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => {
                    assert_eq!(error.status(), Status::WorkerDied, "{error}");
                    let told = result.error_at(i).unwrap().unwrap();
                    assert_eq!((told.index, told.signal, told.code), (i, libc::SIGKILL, 0), "{error}");
                    assert!(told.elapsed < 60_000_000_000, "{}", told.elapsed);
                    self.named.lock().unwrap().push(told.pid);
                    self.died.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }
}

/// Callbacks of one submission.
pub(crate) struct Told {
    tally: Arc<Tally>,
    finished: bool,
    progress: usize,
}

impl Told {
    pub(crate) fn new(tally: &Arc<Tally>) -> Told {
        Told { tally: tally.clone(), finished: false, progress: 0 }
    }
}

impl Callbacks for Told {
    fn accepted(&mut self) {
        self.tally.accepted.fetch_add(1, Ordering::Relaxed);
    }

    fn wants_progress(&self) -> bool {
        true
    }

    fn progress(&mut self, done: usize, total: usize) {
        assert!(done > self.progress && done <= total && !self.finished);
        self.progress = done;
    }

    fn finished(&mut self, result: &JobResult) {
        assert!(!self.finished);
        assert_eq!(self.progress, result.count().unwrap());
        self.finished = true;
        self.tally.finished.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        assert!(self.finished);
        self.tally.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

const STORM: Duration = Duration::from_secs(10);

fn submit_in_a_storm(pool: &Pool, board: &'static Board, tally: &Arc<Tally>, kind: u64, over: &AtomicBool) {
    let mut numbers = Numbers(kind);
    let address = (std::ptr::from_ref(board) as u64).to_ne_bytes();
    while !over.load(Ordering::Relaxed) {
        // Now and then there is nothing to do.
        nap(numbers.below(3) * 10);
        let n = if kind == 0 { 1 } else { numbers.below(60) };
        let values: Vec<u64> = (0..n).map(|_| numbers.next() >> 8).collect();
        let bytes: Vec<[u8; 8]> = values.iter().map(|v| v.to_ne_bytes()).collect();
        let items: Vec<Vec<&[u8]>> = bytes.iter().map(|b| vec![&address[..], &b[..]]).collect();
        let chunk = numbers.below(12) as usize;
        let told = || Box::new(Told::new(tally));
        tally.submissions.fetch_add(1, Ordering::Relaxed);
        let result = if kind < 2 {
            pool.run(function(mix), Items::Many(&items), chunk).unwrap()
        } else {
            let result = pool.submit(function(mix), Items::Many(&items), chunk, Some(told())).unwrap();
            // One more whose handle goes at once.
            tally.submissions.fetch_add(1, Ordering::Relaxed);
            drop(pool.submit(function(mix), Items::Many(&items), chunk, Some(told())).unwrap());
            result.wait(Deadline::Never).unwrap();
            result
        };
        tally.count(&result, &values);
    }
}

/// How many were killed.
#[derive(Default)]
struct Kills {
    busy: u32,
    idle: u32,
    zygotes: u32,
    /// Those that were killed, and those that went with a zygote.
    pids: HashSet<i32>,
}

fn kill_for_a_while(board: &'static Board) -> Kills {
    let (mut kills, mut numbers, start) = (Kills::default(), Numbers(99), Instant::now());
    while start.elapsed() < STORM {
        nap(5 + numbers.below(15));
        let Some(zygote) = zygote() else { continue };
        let workers = children(zygote);
        if numbers.below(40) == 0 {
            kill(zygote);
            kills.zygotes += 1;
            kills.pids.extend(workers.iter().chain(&children(zygote)));
            wait_until("the zygote has gone", || crate::process::state_of(zygote).is_none());
            workers.iter().for_each(|w| board.strike(*w));
            continue;
        }
        let busy = board.busy_one(&workers, &mut numbers);
        let idle = workers.iter().copied().find(|w| !board.is_busy(*w));
        let (pid, count) = match (busy, idle) {
            (busy, Some(idle)) if busy.is_none() || numbers.below(3) == 0 => (idle, &mut kills.idle),
            (Some(busy), _) => (busy, &mut kills.busy),
            _ => continue,
        };
        kill(pid);
        *count += 1;
        kills.pids.insert(pid);
        wait_until("the worker has gone", || crate::process::state_of(pid).is_none());
        board.strike(pid);
    }
    kills
}

fn storm() {
    let board = board();
    let start = warm_usage();
    let (descriptors, shm) = (entries("/proc/self/fd"), entries("/dev/shm"));
    let (tally, over) = (Arc::new(Tally::default()), AtomicBool::new(false));
    let pool = new_pool(9);
    let kills = std::thread::scope(|scope| {
        for kind in [0, 1, 1, 2, 3] {
            let (pool, tally, over) = (&pool, &tally, &over);
            scope.spawn(move || submit_in_a_storm(pool, board, tally, kind, over));
        }
        let kills = kill_for_a_while(board);
        over.store(true, Ordering::Relaxed);
        kills
    });
    end(pool);
    let get = |word: &AtomicU64| word.load(Ordering::Relaxed);
    let (died, named) = (get(&tally.died), tally.named.lock().unwrap());
    println!(
        "    kills: {} busy, {} idle, {} zygotes; submissions: {}, items done: {}, failed: {died}",
        kills.busy,
        kills.idle,
        kills.zygotes,
        get(&tally.submissions),
        get(&tally.done),
    );
    assert_eq!(get(&tally.accepted), get(&tally.finished));
    assert_eq!(get(&tally.accepted), get(&tally.dropped));
    let strange: Vec<&i32> = named.iter().filter(|pid| !kills.pids.contains(pid)).collect();
    assert!(strange.is_empty(), "{strange:?} were not killed");
    assert!(kills.busy + kills.idle + kills.zygotes >= 300, "too few were killed");
    assert!(kills.busy >= 150 && kills.busy >= kills.idle && died >= 150, "too few were killed");
    assert!(kills.zygotes >= 5 && kills.idle >= 50, "too few were killed");
    assert!(get(&tally.done) > 1000);
    assert_eq!(children(std::process::id() as i32), []);
    is_back_at(start);
    assert_eq!((entries("/proc/self/fd"), entries("/dev/shm")), (descriptors, shm));
}
