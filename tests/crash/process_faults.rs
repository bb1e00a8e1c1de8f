//! A process is killed at every pass of every fault point of starting, reaping and ending processes: as the parent,
//! whose daemons and workers then go, or as the child, whose end the parent then hears of. What they held of the arena
//! is given back. Under every start method.

use crate::faults::{try_one, was_killed};
use crate::kills::{Kills, Pace};
use crate::pools::{children, function, is_back_at, usage};
use crate::process::{fork, wait_until};
use crate::Case;
use mp::arena::Usage;
use mp::pool::{Items, Pool, PoolOptions};
use mp::process::{forkserver, Options, Process};
use mp::sync::{Lock, Semaphore};
use mp::sys::clock::Deadline;
use mp::sys::fault::arm;
use std::ffi::c_void;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::OnceLock;

const FORK: i32 = mp::process::start::FORK;
const SPAWN: i32 = mp::process::start::SPAWN;
const FORKSERVER: i32 = mp::process::start::FORKSERVER;
const METHODS: [i32; 2] = [FORK, SPAWN];
/// Those that a server passes are in `tests/c/fault_forkserver.c`, and those of threads in `fault_thread.c`.
const POINTS: [&str; 6] = [
    "process.fork:",
    "process.spawn:",
    "process.served:asking",
    "process.served:started",
    "process.served:begun",
    "reaper.",
];
/// What a child of the fork server passes, and the server does not.
const SERVED: [&str; 2] = ["process.served:begun", "process.fork:ended"];
const BENEATH: [&str; 5] = ["fork.", "slot.", "death.", "arena.alloc", "arena.free"];
const PACE: Pace = Pace { all_of: 4, tries: 1, least: 5 };
const PATIENCE: i64 = 20_000_000_000;

pub(crate) fn cases() -> Vec<Case> {
    let kills = Kills::new(&POINTS);
    let trial = |name: &str, prefixes: &'static [&str], trial: fn(&str) -> bool| {
        Case::new(format!("process faults: {name}"), move || kills.at_passes_of(prefixes, PACE, trial))
            .within(300)
    };
    vec![
        trial("the parent of forked ones", &POINTS, |spec| parent(FORK, spec)),
        trial("the parent of spawned ones", &POINTS, |spec| parent(SPAWN, spec)),
        trial("the parent of served ones", &POINTS, |spec| parent(FORKSERVER, spec)),
        trial("the parent of forked ones, beneath", &BENEATH, |spec| parent(FORK, spec)),
        trial("the parent of spawned ones, beneath", &BENEATH, |spec| parent(SPAWN, spec)),
        trial("a forked child", &POINTS, forked_child),
        trial("a spawned child", &POINTS, spawned_child),
        Case::new("process faults: a served child", move || {
            kills.at_passes_of(&SERVED, Pace { least: 2, ..PACE }, served_child)
        })
        .within(300),
        trial("a forked child, beneath", &BENEATH, forked_child),
        trial("a spawned child, beneath", &BENEATH, spawned_child),
        Case::new("process faults: every point has killed", move || kills.all_points_reached("")),
        Case::new("process faults: a daemon's family is killed with it", family_of_a_daemon),
    ]
}

unsafe extern "C" fn seven(_: *mut c_void) -> i32 {
    7
}

unsafe extern "C" fn die(_: *mut c_void) -> i32 {
    mp::sys::signal::kill_self()
}

unsafe extern "C" fn sleep(_: *mut c_void) -> i32 {
    std::thread::sleep(std::time::Duration::from_secs(100));
    1
}

fn start(method: i32, daemon: bool, f: unsafe extern "C" fn(*mut c_void) -> i32) -> Process {
    let options = Options { daemon, start_method: method, ..Options::default() };
    let process = Process::new(function(f), &[b"an argument"], options).unwrap();
    process.start().unwrap();
    process
}

fn joined(process: &Process) -> i32 {
    process.join(Deadline::after(PATIENCE)).unwrap();
    process.exit_code().unwrap()
}

/// The arena's use after processes have come and gone.
fn warm() -> Usage {
    for method in METHODS {
        assert_eq!(joined(&start(method, true, seven)), 7);
    }
    is_back_at(Usage::default());
    usage()
}

/* -- the parent -- */

/// What a parent does. Its forked children inherit what is armed, and may be killed as well.
fn be_a_parent(method: i32) {
    let sleeper = start(method, true, sleep);
    // Once its only worker has worked, the zygote forks no more: a fork that is cut off keeps its slot for ten seconds.
    let pool = Pool::new(&PoolOptions { processes: 1, start_method: method }).unwrap();
    pool.run(function(seven), Items::Single(&[b"", b""]), 1).unwrap();
    for daemon in [false, true] {
        joined(&start(method, daemon, seven));
        // It dies after it has taken its slot over, which else is kept for it for ten seconds if its parent dies too.
        assert_eq!(joined(&start(method, true, die)), -libc::SIGKILL);
    }
    drop(pool);
    sleeper.signal(libc::SIGKILL).unwrap();
    joined(&sleeper);
    forkserver::stop().unwrap();
}

/// A pipe: what reads, and what the family has for its stdout.
fn pipe() -> [OwnedFd; 2] {
    let mut ends = [0; 2];
    // SAFETY: room for two descriptors, which then belong to the caller.
    unsafe {
        assert_eq!(libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC), 0);
        ends.map(|fd| OwnedFd::from_raw_fd(fd))
    }
}

/// In the parent of a family: its stdout is the pipe.
fn hold(write: &OwnedFd) {
    // SAFETY: both descriptors are open.
    assert_eq!(unsafe { libc::dup2(write.as_raw_fd(), 1) }, 1);
}

/// Waits until nobody of the family is left, who all hold the pipe as their stdout.
#[track_caller]
fn nobody_is_left(read: &OwnedFd) {
    wait_until("nobody of the family is left", || {
        let mut entry = libc::pollfd { fd: read.as_raw_fd(), events: 0, revents: 0 };
        // SAFETY: one live entry.
        unsafe { libc::poll(&mut entry, 1, 10) == 1 }
    });
}

fn parent(method: i32, spec: &str) -> bool {
    let start = warm();
    let [read, write] = pipe();
    let child = fork(|| {
        hold(&write);
        arm(spec);
        be_a_parent(method);
        arm("");
    });
    drop(write);
    let killed = was_killed(&child);
    nobody_is_left(&read);
    is_back_at(start);
    // The survivor can go on as before.
    for method in METHODS {
        assert_eq!(joined(&self::start(method, true, seven)), 7);
    }
    is_back_at(start);
    killed
}

/* -- the child -- */

/// What the first child is armed with, and whether it is the next to be forked.
static FOR_CHILD: OnceLock<String> = OnceLock::new();
static FIRST: AtomicBool = AtomicBool::new(false);
/// How many forks lie between this process and the one that watches.
static DEPTH: AtomicU32 = AtomicU32::new(0);

extern "C" fn forked() {
    let depth = DEPTH.fetch_add(1, Ordering::SeqCst) + 1;
    let Some(spec) = FOR_CHILD.get() else { return };
    match depth {
        // Nothing is armed before, so that no thread of the parent can be in the midst of looking.
        1 if FIRST.load(Ordering::SeqCst) => arm(spec),
        2 => arm(""),
        _ => {}
    }
}

/// Registered before the handlers of the arena, so that a child is armed before it takes its slot over.
fn arm_first_child() {
    extern "C" {
        fn pthread_atfork(
            prepare: Option<extern "C" fn()>,
            parent: Option<extern "C" fn()>,
            child: Option<extern "C" fn()>,
        ) -> i32;
    }
    // SAFETY: registers a function that lives as long as the process.
    assert_eq!(unsafe { pthread_atfork(None, None, Some(forked)) }, 0);
}

/// Takes and gives back, starts a child of its own, and leaves it for the end to wait for.
unsafe extern "C" fn be_a_child(_: *mut c_void) -> i32 {
    let lock = Lock::new().unwrap();
    lock.acquire(Deadline::Now).unwrap();
    let semaphores: Vec<Semaphore> = (0..20).map(|_| Semaphore::new(1, 0).unwrap()).collect();
    drop(start(FORK, false, seven));
    drop(start(FORK, true, sleep));
    lock.release().unwrap();
    drop(semaphores);
    9
}

/// Starts a child that may be killed, and another; whether the first was.
fn end_of_first(method: i32, start: Usage, begin: impl FnOnce(), end: impl FnOnce()) -> bool {
    let [read, write] = pipe();
    // SAFETY: the numbers of open descriptors; the copy is this process's.
    let old = unsafe { OwnedFd::from_raw_fd(libc::fcntl(1, libc::F_DUPFD_CLOEXEC, 10)) };
    hold(&write);
    drop(write);
    begin();
    let first = self::start(method, true, be_a_child);
    end();
    let second = self::start(method, false, be_a_child);
    let code = joined(&first);
    assert!(code == 9 || code == -libc::SIGKILL, "the first ended with {code}");
    assert_eq!(joined(&second), 9);
    forkserver::stop().unwrap();
    assert_eq!(children(std::process::id() as i32), []);
    hold(&old);
    nobody_is_left(&read);
    drop((first, second));
    is_back_at(start);
    code != 9
}

fn forked_child(spec: &str) -> bool {
    arm_first_child();
    arm("");
    let start = warm();
    assert!(FOR_CHILD.set(spec.to_owned()).is_ok());
    let is_next = |next| FIRST.store(next, Ordering::SeqCst);
    end_of_first(FORK, start, || is_next(true), || is_next(false))
}

fn spawned_child(spec: &str) -> bool {
    // This process has read the variable before it is set.
    arm("");
    let start = warm();
    let set = || std::env::set_var("MP_FAULT", spec);
    end_of_first(SPAWN, start, set, || std::env::remove_var("MP_FAULT"))
}

/// The server has the variable from its start, and its first child is armed with it.
fn served_child(spec: &str) -> bool {
    arm("");
    let start = warm();
    let set = || std::env::set_var("MP_FAULT", spec);
    let stop = || {
        std::env::remove_var("MP_FAULT");
        forkserver::stop().unwrap();
    };
    let killed = end_of_first(FORKSERVER, start, set, stop);
    is_back_at(start);
    killed
}

/* -- below a daemon -- */

unsafe extern "C" fn start_and_sleep(_: *mut c_void) -> i32 {
    for method in METHODS {
        drop(start(method, false, sleep));
    }
    println!("begun");
    // SAFETY: the function asks for nothing.
    unsafe { sleep(std::ptr::null_mut()) }
}

fn family_of_a_daemon() {
    let start = warm();
    for method in METHODS {
        let [read, write] = pipe();
        let child = fork(|| {
            hold(&write);
            drop(self::start(method, true, start_and_sleep));
            loop {
                // SAFETY: waits for SIGKILL.
                unsafe { libc::pause() };
            }
        });
        drop(write);
        let mut text = [0u8; 16];
        // SAFETY: the buffer has room for so many bytes.
        let n = unsafe { libc::read(read.as_raw_fd(), text.as_mut_ptr().cast(), text.len()) };
        assert_eq!(&text[..n as usize], b"begun\n");
        child.kill();
        nobody_is_left(&read);
        is_back_at(start);
    }
    assert!(!try_one("kill@process.no such point", |spec| parent(FORK, spec)));
}
