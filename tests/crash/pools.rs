//! Pools: what a death costs, what a replacement sees, and that nothing is left behind.

use crate::pool_storm::{Tally, Told};
use crate::process::{nap, wait_until, Numbers};
use crate::Case;
use mp::arena::{Arena, Usage};
use mp::error::Status;
use mp::pool::{Items, JobResult, Pool, PoolOptions};
use mp::process::call::Call;
use mp::sys::clock::Deadline;
use mp::sys::function::Function;
use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::Arc;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("pools: a killed worker fails one item of chunk 1", single_items).within(60),
        Case::new("pools: a killed worker fails one item of a large chunk", large_chunks).within(60),
        Case::new("pools: replacements see the memory as it was", old_memory).within(90),
        Case::new("pools: made, closed, joined, freed", cycles).within(90),
        Case::new("pools: terminated with results pending", terminations).within(90),
        Case::new("pools: one processor", one_processor).within(90),
    ]
}

/// What tasks and killers share.
pub(crate) struct Board {
    /// The processes that have a task in hand.
    pub(crate) busy: [AtomicU32; 64],
    /// How often each item was begun.
    pub(crate) begun: [AtomicU32; 4096],
    /// Free for each case.
    pub(crate) words: [AtomicU32; 64],
}

/// Memory that all later children share.
pub(crate) fn board() -> &'static Board {
    // SAFETY: a new anonymous shared mapping, zeroed, never unmapped; atomics may be shared.
    unsafe {
        let (size, prot) = (size_of::<Board>(), libc::PROT_READ | libc::PROT_WRITE);
        let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
        let page = libc::mmap(std::ptr::null_mut(), size, prot, flags, -1, 0);
        assert_ne!(page, libc::MAP_FAILED);
        &*page.cast()
    }
}

/// A task's function as a value.
pub(crate) fn function(f: unsafe extern "C" fn(*mut c_void) -> i32) -> Function {
    // SAFETY: the function takes a Call and stays where it is.
    unsafe { Function::new(f as usize) }
}

/// The call behind a task's pointer.
pub(crate) fn call<'a>(pointer: *mut c_void) -> &'a mut Call<'a> {
    // SAFETY: the pool calls tasks with a live Call, which nobody else uses.
    unsafe { &mut *pointer.cast() }
}

/// An argument that is a number.
pub(crate) fn number(call: &Call<'_>, i: usize) -> u64 {
    u64::from_ne_bytes(call.arg(i).unwrap().try_into().unwrap())
}

/// Arguments 0: the board's address, 1: a number.
pub(crate) fn shared_board(call: &Call<'_>) -> &'static Board {
    // SAFETY: the board lies at the same address in every forked child.
    unsafe { &*(number(call, 0) as *const Board) }
}

pub(crate) fn new_pool(processes: u32) -> Pool {
    Pool::new(&PoolOptions { processes, start_method: 1 }).unwrap()
}

/// Closes, joins and frees a pool.
pub(crate) fn end(pool: Pool) {
    pool.close().unwrap();
    pool.join(Deadline::after(30_000_000_000)).unwrap();
}

pub(crate) fn usage() -> Usage {
    Arena::get().unwrap().usage()
}

/// Waits until as much of the arena is in use as at the start.
pub(crate) fn is_back_at(start: Usage) {
    Arena::get().unwrap().sweep();
    wait_until(&format!("{:?} in use as at the start, {start:?}", usage()), || {
        Arena::get().unwrap().sweep();
        usage() == start
    });
}

/// The arena's use after a first pool has come and gone.
pub(crate) fn warm_usage() -> Usage {
    let pool = new_pool(2);
    pool.run(function(tell_global), Items::Many(&[vec![]]), 1).ok();
    end(pool);
    is_back_at(Usage::default());
    usage()
}

/// The children of a process, whichever thread has made them.
pub(crate) fn children(pid: i32) -> Vec<i32> {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let lists = tasks.flatten().filter_map(|t| std::fs::read_to_string(t.path().join("children")).ok());
    lists.flat_map(|l| l.split_whitespace().filter_map(|p| p.parse().ok()).collect::<Vec<i32>>()).collect()
}

/// The pool's zygote: this process has no other child.
pub(crate) fn zygote() -> Option<i32> {
    children(std::process::id() as i32).first().copied()
}

pub(crate) fn kill(pid: i32) {
    // SAFETY: a number that was just seen among the pool's processes.
    unsafe { libc::kill(pid, libc::SIGKILL) };
}

pub(crate) fn entries(path: &str) -> usize {
    std::fs::read_dir(path).unwrap().count()
}

/* -- one item in hand, one failure -- */

/// Counts that its item was begun; kills its process if it is told to.
unsafe extern "C" fn begin_or_die(pointer: *mut c_void) -> i32 {
    let call = call(pointer);
    let (board, item) = (shared_board(call), number(call, 1) as usize);
    board.begun[item].fetch_add(1, Ordering::SeqCst);
    if board.words[0].load(Ordering::SeqCst) as usize == item + 1 {
        board.words[1].fetch_add(1, Ordering::SeqCst);
        kill(std::process::id() as i32);
    }
    call.give(&(item as u64).to_ne_bytes()).unwrap();
    0
}

fn one_failure(pool: &Pool, board: &'static Board, n: usize, victim: usize, chunk: usize) {
    let address = (std::ptr::from_ref(board) as u64).to_ne_bytes();
    let bytes: Vec<[u8; 8]> = (0..n as u64).map(u64::to_ne_bytes).collect();
    let items: Vec<Vec<&[u8]>> = bytes.iter().map(|b| vec![&address[..], &b[..]]).collect();
    board.begun.iter().for_each(|w| w.store(0, Ordering::SeqCst));
    board.words[0].store(victim as u32 + 1, Ordering::SeqCst);
    let result = pool.run(function(begin_or_die), Items::Many(&items), chunk).unwrap();
    for (i, expected) in bytes.iter().enumerate() {
        assert_eq!(board.begun[i].load(Ordering::SeqCst), 1, "item {i} of {n}, victim {victim}");
        let failed = result.error_at(i).unwrap().map(|e| (e.status, e.signal));
        assert_eq!(failed, (i == victim).then_some((Status::WorkerDied, libc::SIGKILL)), "item {i}");
        if i != victim {
            assert_eq!(result.item(i).unwrap(), expected);
        }
    }
}

fn single_items() {
    let (board, start) = (board(), warm_usage());
    let pool = new_pool(3);
    for round in 0..100 {
        one_failure(&pool, board, 60, round % 60, 1);
    }
    assert_eq!(board.words[1].load(Ordering::SeqCst), 100);
    end(pool);
    is_back_at(start);
}

fn large_chunks() {
    let (board, start) = (board(), warm_usage());
    for processes in [1, 3] {
        let pool = new_pool(processes);
        for round in 0..60 {
            let n = 200 + round;
            one_failure(&pool, board, n, round * 37 % n, [n, n / 2, 50, 0][round % 4]);
        }
        end(pool);
    }
    assert_eq!(board.words[1].load(Ordering::SeqCst), 120);
    is_back_at(start);
}

/* -- memory as of the pool's making -- */

static GLOBAL: AtomicU32 = AtomicU32::new(1);

unsafe extern "C" fn tell_global(pointer: *mut c_void) -> i32 {
    // The heap works too.
    let bytes = vec![GLOBAL.load(Ordering::SeqCst) as u8; 5000];
    call(pointer).give(&bytes[4999..]).unwrap();
    0
}

/// Replacements have the memory as of the pool's making, whatever the host's threads are doing meanwhile.
fn old_memory() {
    let start = warm_usage();
    GLOBAL.store(7, Ordering::SeqCst);
    let pool = new_pool(2);
    GLOBAL.store(8, Ordering::SeqCst);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for seed in 0..8 {
            let over = &over;
            scope.spawn(move || churn(seed, over));
        }
        let zygote = zygote().unwrap();
        for _ in 0..200 {
            let worker = loop {
                if let Some(worker) = children(zygote).first() {
                    break *worker;
                }
            };
            kill(worker);
            wait_until("the worker has gone", || crate::process::state_of(worker).is_none());
            let result = pool.run(function(tell_global), Items::Many(&vec![vec![]; 8]), 1).unwrap();
            (0..8).for_each(|i| assert_eq!(result.item(i).unwrap(), [7]));
        }
        assert_eq!(children(std::process::id() as i32), [zygote], "the zygote is the same");
        over.store(true, Ordering::Relaxed);
    });
    end(pool);
    is_back_at(start);
}

/// Takes and gives back memory of all sizes.
fn churn(seed: u64, over: &AtomicBool) {
    let mut numbers = Numbers(seed);
    let mut held: Vec<Vec<u8>> = Vec::new();
    while !over.load(Ordering::Relaxed) {
        held.push(vec![1; numbers.below(3000) as usize]);
        if held.len() > 50 {
            held.swap_remove(numbers.below(50) as usize);
        }
    }
}

/* -- beginnings and ends -- */

fn cycles() {
    let start = warm_usage();
    let descriptors = entries("/proc/self/fd");
    for round in 0..300 {
        let pool = new_pool(1 + round % 3);
        let result = (round % 2 == 0)
            .then(|| pool.submit(function(tell_global), Items::Many(&vec![vec![]; 5]), 1, None).unwrap());
        match round % 5 {
            0 => drop(pool),
            1 => {
                pool.terminate().unwrap();
                pool.join(Deadline::after(30_000_000_000)).unwrap();
            }
            _ => end(pool),
        }
        assert_eq!(children(std::process::id() as i32), []);
        if let Some(result) = result {
            result.wait(Deadline::Now).unwrap();
        }
    }
    is_back_at(start);
    assert_eq!(entries("/proc/self/fd"), descriptors);
}

unsafe extern "C" fn sleep_long(_: *mut c_void) -> i32 {
    nap(60_000);
    0
}

fn terminations() {
    let start = warm_usage();
    for round in 0..200 {
        let tally = Arc::new(Tally::default());
        let pool = new_pool(2);
        let told = || Box::new(Told::new(&tally));
        let sleepers: Vec<JobResult> = (0..5)
            .map(|_| {
                pool.submit(function(sleep_long), Items::Many(&vec![vec![]; 3]), 1, Some(told())).unwrap()
            })
            .collect();
        let quick = pool.submit(function(tell_global), Items::Many(&vec![vec![]; 50]), 7, None).unwrap();
        nap(round % 4);
        let waiters: Vec<_> = (0..3)
            .map(|i| {
                let result = sleepers[i].clone();
                std::thread::spawn(move || result.get(Deadline::Never).unwrap_err().status())
            })
            .collect();
        if round % 2 == 0 {
            pool.terminate().unwrap();
            pool.join(Deadline::after(30_000_000_000)).unwrap();
        }
        drop(pool);
        assert_eq!(children(std::process::id() as i32), []);
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap(), Status::Cancelled);
        }
        quick.wait(Deadline::Now).unwrap();
        assert_eq!(tally.accepted.load(Ordering::Relaxed), 5);
        assert_eq!(tally.finished.load(Ordering::Relaxed), 5);
        assert_eq!(tally.dropped.load(Ordering::Relaxed), 5);
    }
    is_back_at(start);
}

/// The same with a single processor, where every hand-over is a switch.
fn one_processor() {
    // SAFETY: a zeroed set is an empty one; the call reads it.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::sched_getaffinity(0, size_of_val(&set), &mut set);
        let first = (0..1024).find(|i| libc::CPU_ISSET(*i, &set)).unwrap();
        set = std::mem::zeroed();
        libc::CPU_SET(first, &mut set);
        assert_eq!(libc::sched_setaffinity(0, size_of_val(&set), &set), 0);
    }
    cycles();
    terminations();
}
