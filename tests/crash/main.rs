//! Deaths and forks: each case runs in a process of its own, with an arena of its own, under a watchdog that kills
//! all that the case has started and fails the run. The runner has one thread, so that forking is safe. It shares the
//! cases out among as many copies of itself as there are CPUs: most cases wait for most of their time.
//!
//! `cargo test --features fault --test crash -- [PART OF A NAME]...` runs the cases whose names have that part, one
//! after another.

// The modules' items are for each other.
#![allow(unreachable_pub)]

mod acts;
mod barrier_faults;
mod barriers;
mod condition_parts;
mod conditions;
mod doorbell;
mod events;
mod faults;
mod forks;
mod kills;
mod locks;
mod memory;
mod named;
mod named_access;
mod outcomes;
mod pipe_storm;
mod pipes;
mod pool_faults;
mod pool_storm;
mod pools;
mod process;
mod process_faults;
mod queue_crowd;
mod queue_kinds;
mod queue_storm;
mod queue_strangers;
mod queue_use;
mod queue_waits;
mod queue_woken;
mod queues;
mod rlocks;
mod robust;
mod shared;
mod sync_storm;
mod tokens;
mod waiters;
mod waits;
mod woken;

use process::{run_and_exit, Child, Exit, Words};
use std::time::{Duration, Instant};

/// A test: its name, what it does, and after how many seconds it is killed.
pub struct Case {
    name: String,
    limit: u64,
    body: Box<dyn FnOnce()>,
}

impl Case {
    pub fn new(name: impl Into<String>, body: impl FnOnce() + 'static) -> Case {
        Case { name: name.into(), limit: 30, body: Box::new(body) }
    }

    /// Needs more time than 30 s.
    pub fn within(self, seconds: u64) -> Case {
        Case { limit: seconds, ..self }
    }

    /// Whether it tells what the other cases together have reached, and so comes after them.
    fn looks_at_others(&self) -> bool {
        self.name.ends_with(": every point has killed")
    }
}

fn main() {
    // Spawned children are this program again, and get no further.
    mp::process::spawn::main_init().unwrap();
    let parts: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let mut cases = Vec::new();
    let parts_of_the_run = [
        forks::cases,
        locks::cases,
        rlocks::cases,
        conditions::cases,
        tokens::cases,
        faults::cases,
        woken::cases,
        barriers::cases,
        barrier_faults::cases,
        pools::cases,
        pool_storm::cases,
        pool_faults::cases,
        process_faults::cases,
        outcomes::cases,
        memory::cases,
        sync_storm::cases,
        queues::cases,
        shared::cases,
        queue_storm::cases,
        pipes::cases,
        pipe_storm::cases,
        doorbell::cases,
        waits::cases,
        named::cases,
        named_access::cases,
        events::cases,
        robust::cases,
    ];
    for more in parts_of_the_run {
        cases.extend(more());
    }
    let all = cases.len();
    let wanted = |c: &Case| parts.is_empty() || parts.iter().any(|p| c.name.contains(p));
    let cases: Vec<Case> = cases.into_iter().filter(wanted).collect();
    println!("running {} of {all} cases", cases.len());
    let runners =
        if parts.is_empty() { std::thread::available_parallelism().map_or(1, |n| n.get()) } else { 1 };
    let failed = if runners == 1 { run_all(cases) } else { share_out(cases, runners) };
    println!("{failed} failed");
    std::process::exit(i32::from(failed > 0));
}

/// Runs the cases and answers how many of them failed.
fn run_all(cases: impl IntoIterator<Item = Case>) -> usize {
    adopt_orphans();
    let failed: Vec<String> = cases.into_iter().filter_map(run).collect();
    failed.iter().for_each(|name| println!("failed: {name}"));
    failed.len()
}

/// The same by several copies of this process: each takes the next case that no other has taken. Then follow those that
/// look at what the others have done.
fn share_out(cases: Vec<Case>, runners: usize) -> usize {
    let (last, cases): (Vec<Case>, Vec<Case>) = cases.into_iter().partition(Case::looks_at_others);
    let limits = runners as u64;
    let mut cases: Vec<_> =
        cases.into_iter().map(|case| Some(Case { limit: case.limit * limits, ..case })).collect();
    let taken = Words::new();
    let mut copy = || {
        process::fork(|| {
            // SAFETY: the copy dies with the runner.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
            let next = || cases.get_mut(taken.add(0, 1) as usize - 1).and_then(Option::take);
            process::exit_now(run_all(std::iter::from_fn(next)).min(100) as i32)
        })
    };
    let copies: Vec<Child> = (0..runners).map(|_| copy()).collect();
    let failed: usize = copies.iter().map(failed_in).sum();
    failed + run_all(last)
}

/// Waits for a copy: how many cases failed in it.
fn failed_in(copy: &Child) -> usize {
    match copy.wait() {
        Exit::Code(failed) => failed as usize,
        Exit::Signal(_) => 1,
    }
}

/// Orphans of the cases become the runner's children, so that it can end them.
fn adopt_orphans() {
    // SAFETY: prctl with a number.
    unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) };
}

/// Runs one case and answers its name if it failed.
fn run(case: Case) -> Option<String> {
    let Case { name, limit, body } = case;
    let start = Instant::now();
    // SAFETY: the runner has one thread.
    let pid = match unsafe { libc::fork() } {
        0 => {
            // SAFETY: the case dies with the runner.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
            run_and_exit(body)
        }
        pid => pid,
    };
    assert!(pid > 0);
    let verdict = match wait_within(pid, Duration::from_secs(limit)) {
        Some(Exit::Code(0)) => "ok".to_owned(),
        Some(exit) => format!("FAILED: {exit:?}"),
        None => format!("FAILED: hangs, killed after {limit} s"),
    };
    let left = end_all_children();
    let verdict =
        if verdict == "ok" && left > 0 { format!("FAILED: left {left} processes") } else { verdict };
    println!("{name} ... {verdict} ({:.1} s)", start.elapsed().as_secs_f32());
    (verdict != "ok").then_some(name)
}

fn wait_within(pid: i32, limit: Duration) -> Option<Exit> {
    let start = Instant::now();
    while start.elapsed() < limit {
        let mut status = 0;
        // SAFETY: waits for one child into a live integer.
        if unsafe { libc::waitpid(pid, &mut status, libc::WNOHANG) } == pid {
            return Some(if libc::WIFSIGNALED(status) {
                Exit::Signal(libc::WTERMSIG(status))
            } else {
                Exit::Code(libc::WEXITSTATUS(status))
            });
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    None
}

/// Kills and reaps what a case has left behind, and says how many of them were still running after a while.
fn end_all_children() -> usize {
    let mut running = 0;
    let start = Instant::now();
    loop {
        let mut status = 0;
        // SAFETY: reaps any child into a live integer.
        match unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG) } {
            0 => {}
            pid if pid > 0 => continue,
            _ => return running,
        }
        for pid in children().into_iter().filter(|_| start.elapsed() > Duration::from_secs(2)) {
            if !matches!(process::state_of(pid), Some('Z') | None) {
                running += 1;
                // SAFETY: a child of this process that has not been reaped.
                unsafe { libc::kill(pid, libc::SIGKILL) };
            }
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn children() -> Vec<i32> {
    let list = std::fs::read_to_string("/proc/thread-self/children").unwrap_or_default();
    list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}
