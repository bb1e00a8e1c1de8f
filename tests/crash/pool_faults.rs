//! A worker, the zygote or the host of a pool is killed at every pass of every fault point that it comes by. The rest
//! goes on, each item has one outcome, and in the end the arena has as much in use as before.

use crate::faults::{points, try_one, was_killed};
use crate::pools::{
    call, children, end, function, is_back_at, kill, new_pool, number, usage, warm_usage, zygote,
};
use crate::process::{fork, state_of, wait_until, Words};
use crate::Case;
use mp::arena::Usage;
use mp::error::Status;
use mp::pool::{Items, JobResult, Pool};
use mp::process::call::Call;
use mp::sys::clock::Deadline;
use mp::sys::fault::arm;
use std::ffi::c_void;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::OnceLock;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("pool faults: a worker", || {
            let prefixes = ["pool.claim", "pool.item", "pool.job", "arena.", "event.", "wait."];
            at_every_pass(&prefixes, 60, worker);
        })
        .within(200),
        Case::new("pool faults: the zygote", || {
            let prefixes = ["pool.zygote", "pool.mend", "process.fork", "fork.", "slot.", "death.", "arena."];
            at_every_pass(&prefixes, 40, first_zygote);
        })
        .within(200),
        Case::new("pool faults: the host", || {
            let prefixes = ["pool.link", "pool.unlink", "pool.free", "pool.destroy"];
            at_every_pass(&prefixes, 20, host);
        })
        .within(100),
    ]
}

/// Runs `trial` with the victim killed at the first, second, third... pass of each point, until it is not reached any
/// more. The pool's own points must all be reached, and at least so many kills happen.
fn at_every_pass(prefixes: &[&str], least_kills: u32, trial: fn(&str) -> bool) {
    let (mut reached, mut kills) = (0, 0);
    for point in points(prefixes) {
        let mut n = 1;
        while try_one(&format!("kill@{point}#{n}"), trial) {
            kills += 1;
            // Beyond a few the passes repeat themselves.
            n += 1 + n / 3;
        }
        reached += u32::from(n > 1);
        assert!(n > 1 || !point.starts_with("pool."), "{point} is not reached");
    }
    println!("    {kills} kills at {reached} points");
    assert!(kills >= least_kills);
}

/// Answers its number, long if it is odd; every seventh fails.
unsafe extern "C" fn echo(pointer: *mut c_void) -> i32 {
    let call = call(pointer);
    let value = number(call, 0);
    if value % 7 == 6 {
        call.fail(5, format!("item {value} fails, and says so at some length"));
    } else {
        call.give(&value.to_ne_bytes().repeat(if value % 2 == 0 { 1 } else { 200 })).unwrap();
    }
    0
}

/// Checks the outcomes of `echo`; how many items had a worker that died.
fn check_echo(result: &JobResult, n: u64) -> usize {
    let mut died = 0;
    for value in 0..n {
        match result.item(value as usize) {
            Ok(bytes) => {
                assert_eq!(bytes, value.to_ne_bytes().repeat(if value % 2 == 0 { 1 } else { 200 }));
                assert_ne!(value % 7, 6);
            }
            Err(error) if error.status() == Status::WorkerDied => {
                let told = result.error_at(value as usize).unwrap().unwrap();
                assert!(told.signal == libc::SIGKILL && told.pid > 0, "{error}");
                died += 1;
            }
            Err(error) => {
                assert_eq!((error.status(), value % 7), (Status::TaskFailed, 6), "{error}");
                assert!(error.message().contains(&format!("item {value} fails")));
            }
        }
    }
    died
}

fn submit(pool: &Pool, n: u64, chunk: usize) -> JobResult {
    let bytes: Vec<[u8; 8]> = (0..n).map(u64::to_ne_bytes).collect();
    let items: Vec<&[u8]> = bytes.iter().map(|b| &b[..]).collect();
    pool.submit(function(echo), Items::Single(&items), chunk, None).unwrap()
}

fn run(pool: &Pool, n: u64, chunk: usize) -> usize {
    let result = submit(pool, n, chunk);
    result.wait(Deadline::after(20_000_000_000)).unwrap();
    check_echo(&result, n)
}

/* -- a worker -- */

/// Arms the process that runs it, and says which one that is.
unsafe extern "C" fn arm_here(pointer: *mut c_void) -> i32 {
    let call: &mut Call<'_> = call(pointer);
    call.give(&std::process::id().to_ne_bytes()).unwrap();
    arm(std::str::from_utf8(call.arg(0).unwrap()).unwrap());
    0
}

/// The process of the first item: the item itself may be the one that its process is killed over.
fn arm_one(pool: &Pool, spec: &str) -> Option<i32> {
    let result = pool.run(function(arm_here), Items::Single(&[spec.as_bytes()]), 1).unwrap();
    match result.error_at(0).unwrap() {
        Some(error) => {
            assert_eq!((error.status, error.signal), (Status::WorkerDied, libc::SIGKILL));
            None
        }
        None => Some(i32::from_ne_bytes(result.item(0).unwrap().try_into().unwrap())),
    }
}

fn worker(spec: &str) -> bool {
    let start = warm_usage();
    let pool = new_pool(2);
    let zygote = zygote().unwrap();
    let armed = arm_one(&pool, spec);
    // Only of one that sleeps is it known that it lives on: while it runs, the point may still be before it.
    let lives = || {
        armed.is_some_and(|pid| loop {
            match state_of(pid) {
                Some('R') => std::thread::sleep(std::time::Duration::from_millis(1)),
                None | Some('Z') => break false,
                Some(_) => break children(zygote).contains(&pid),
            }
        })
    };
    let (mut died, mut rounds) = (0, 0);
    // It may be that the other one does all the work.
    while lives() && rounds < 10 {
        died += [(20, 1), (30, 30), (1, 1), (20, 5)]
            .iter()
            .map(|(n, chunk)| run(&pool, *n, *chunk))
            .sum::<usize>();
        rounds += 1;
    }
    assert!(died <= 1, "{died} items failed");
    let lives = lives();
    assert_eq!(children(std::process::id() as i32), [zygote]);
    pool.close().unwrap();
    pool.join(Deadline::after(20_000_000_000)).unwrap();
    drop(pool);
    is_back_at(start);
    !lives
}

/* -- the zygote -- */

/// How many forks lie between this process and the pool's host.
static DEPTH: AtomicU32 = AtomicU32::new(u32::MAX / 2);
/// What the first zygote is armed with, and who that was.
static FOR_ZYGOTE: OnceLock<(String, Words)> = OnceLock::new();

extern "C" fn forked() {
    let depth = DEPTH.fetch_add(1, Ordering::SeqCst) + 1;
    let Some((spec, words)) = FOR_ZYGOTE.get() else { return };
    if depth == 1 && words.add(0, 1) == 1 {
        words.set(1, std::process::id());
        arm(spec);
    } else if depth == 2 {
        arm("");
    }
}

unsafe extern "C" fn die(_: *mut c_void) -> i32 {
    kill(std::process::id() as i32);
    0
}

fn first_zygote(spec: &str) -> bool {
    let start = warm_usage();
    assert!(FOR_ZYGOTE.set((spec.to_owned(), Words::new())).is_ok());
    let words = FOR_ZYGOTE.get().unwrap().1;
    DEPTH.store(0, Ordering::SeqCst);
    extern "C" {
        fn pthread_atfork(
            prepare: Option<extern "C" fn()>,
            parent: Option<extern "C" fn()>,
            child: Option<extern "C" fn()>,
        ) -> i32;
    }
    // SAFETY: registers a function that lives as long as the process.
    assert_eq!(unsafe { pthread_atfork(None, None, Some(forked)) }, 0);
    let pool = new_pool(2);
    for _ in 0..3 {
        let died = run(&pool, 20, 3);
        assert!(died <= 2, "{died} items failed");
        let fatal = pool.run(function(die), Items::Single(&[b"", b""]), 1).unwrap();
        for i in 0..2 {
            assert_eq!(fatal.error_at(i).unwrap().unwrap().status, Status::WorkerDied);
        }
    }
    run(&pool, 20, 20);
    pool.close().unwrap();
    pool.join(Deadline::after(20_000_000_000)).unwrap();
    drop(pool);
    is_back_at(start);
    assert_eq!(children(std::process::id() as i32), []);
    words.get(0) > 1
}

/* -- the host -- */

fn host_a_pool(start: Usage) {
    let pool = new_pool(2);
    run(&pool, 30, 4);
    // More at once than the first table has room for.
    let mut results: Vec<JobResult> = (0..150).map(|i| submit(&pool, i % 3, 1)).collect();
    results.iter().for_each(|r| r.wait(Deadline::after(20_000_000_000)).unwrap());
    results.truncate(20);
    run(&pool, 30, 4);
    end(pool);
    drop(results);
    is_back_at(start);
}

fn host(spec: &str) -> bool {
    let start = warm_usage();
    assert_eq!(start, usage());
    let child = fork(|| {
        arm(spec);
        host_a_pool(start);
        arm("");
    });
    let killed = was_killed(&child);
    // Its processes follow it at once; until they have, they hold the pool.
    is_back_at(start);
    wait_until("nobody is left", || children(std::process::id() as i32).is_empty());
    killed
}
