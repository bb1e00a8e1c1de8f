//! What a process leaves to its maker: it, its maker or who settles one of them is killed at every pass of every fault
//! point on the way. The maker has all of it or nothing, and in the end the arena has as much in use as before.

use crate::faults::{usage, victim, was_killed};
use crate::kills::{Kills, Pace};
use crate::pools::{call, function, number};
use crate::process::{exit_now, fork, state_of, wait_until, Child, Words};
use crate::Case;
use mp::arena::{Arena, Usage};
use mp::error::Status;
use mp::process::{Options, Process};
use mp::sys::clock::Deadline;
use mp::sys::fault::arm;
use std::ffi::c_void;

const PREFIXES: [&str; 3] = ["outcome.", "arena.", "death."];
const PACE: Pace = Pace { all_of: 12, tries: 1, least: 5 };

pub(crate) fn cases() -> Vec<Case> {
    let kills = Kills::new(&PREFIXES);
    let case =
        |name: &str, body: fn(Kills)| Case::new(format!("outcomes: {name}"), move || body(kills)).within(200);
    vec![
        case("the process that leaves it", |k| k.at_passes_of(&["outcome.", "arena."], PACE, leaving)),
        case("the maker that takes it", |k| k.at_passes_of(&["outcome.", "death."], PACE, taking)),
        case("who settles the process first", |k| k.at_passes_of(&PREFIXES, PACE, settling)),
        case("who settles the maker", |k| k.at_passes_of(&PREFIXES, PACE, bereaving)),
        case("every point has killed", |k| k.all_points_reached("outcome.")),
    ]
}

/// So many bytes, few and many.
const LENGTHS: [u64; 4] = [0, 40, 3000, 100_000];

fn bytes(length: u64) -> Vec<u8> {
    (0..length).map(|i| (i * 7) as u8).collect()
}

/// Returns so many bytes; with a second argument it arms that before.
unsafe extern "C" fn give(pointer: *mut c_void) -> i32 {
    let call = call(pointer);
    let spec = call.arg(1).map(|spec| std::str::from_utf8(spec).unwrap()).unwrap_or_default();
    arm(spec);
    call.give(&bytes(number(call, 0))).unwrap();
    0
}

/// The same, as soon as the words allow it.
unsafe extern "C" fn give_later(pointer: *mut c_void) -> i32 {
    arm("");
    let call = call(pointer);
    words().reaches(1, 1);
    call.give(&bytes(number(call, 0))).unwrap();
    0
}

/// Shared by all processes of a case.
fn words() -> Words {
    static WORDS: std::sync::OnceLock<Words> = std::sync::OnceLock::new();
    *WORDS.get_or_init(Words::new)
}

fn start(f: unsafe extern "C" fn(*mut c_void) -> i32, length: u64, spec: Option<&str>) -> Process {
    let length = length.to_ne_bytes();
    let args: Vec<&[u8]> = [&length[..]].into_iter().chain(spec.map(str::as_bytes)).collect();
    let process = Process::new(function(f), &args, Options::default()).unwrap();
    process.start().unwrap();
    process
}

/// Its result is whole, or it has none since it was killed. Whether it was.
fn check_end(process: &Process, length: u64) -> bool {
    process.join(Deadline::Never).unwrap();
    let killed = match process.exit_code().unwrap() {
        0 => false,
        code => {
            assert_eq!(code, -libc::SIGKILL);
            true
        }
    };
    match process.result() {
        Ok(buffer) => assert_eq!(buffer.bytes(), bytes(length)),
        Err(error) => {
            assert!(killed, "{error}");
            assert_eq!(error.status(), Status::WorkerDied, "{error}");
        }
    }
    killed
}

#[track_caller]
fn comes_back_to(before: Usage) {
    wait_until("the arena is as it was", || {
        Arena::get().unwrap().sweep();
        usage() == before
    });
}

fn leaving(spec: &str) -> bool {
    let before = usage();
    let mut killed = false;
    for length in LENGTHS {
        killed |= check_end(&start(give, length, Some(spec)), length);
        comes_back_to(before);
    }
    killed
}

/// A host that starts a process and takes its result.
fn host(spec: &str, length: u64) -> Child {
    victim(spec, || {
        let process = start(give, length, None);
        assert!(!check_end(&process, length));
        drop(process);
        // The handle's end of the outcome is settled by the reaper's thread too.
        arm("");
    })
}

fn taking(spec: &str) -> bool {
    let before = usage();
    let mut killed = false;
    for length in LENGTHS {
        killed |= was_killed(&host(spec, length));
        comes_back_to(before);
    }
    killed
}

/// A host whose process has left its outcome and ended, and which is stopped since before that.
fn stopped_host(length: u64) -> Child {
    words().set(0, 0);
    words().set(1, 0);
    let host = fork(|| {
        let process = start(give_later, length, None);
        words().set(0, process.pid().unwrap() as u32);
        // SAFETY: stops this process.
        unsafe { libc::raise(libc::SIGSTOP) };
        exit_now(i32::from(check_end(&process, length)));
    });
    host.is_stopped();
    words().set(1, 1);
    wait_until("the process has ended", || state_of(words().get(0) as i32) == Some('Z'));
    host
}

fn settling(spec: &str) -> bool {
    let before = usage();
    let arena = Arena::get().unwrap();
    words();
    let mut killed = false;
    for length in LENGTHS {
        for goes_on in [true, false] {
            let host = stopped_host(length);
            killed |= was_killed(&victim(spec, || arena.sweep()));
            arena.sweep();
            if goes_on {
                host.signal(libc::SIGCONT);
                host.succeeds();
            } else {
                host.kill();
                killed |= was_killed(&victim(spec, || arena.sweep()));
            }
            comes_back_to(before);
        }
    }
    killed
}

fn bereaving(spec: &str) -> bool {
    let before = usage();
    let arena = Arena::get().unwrap();
    let mut killed = false;
    for point in ["outcome.take:noted", "outcome.take:unlinked", "outcome.take:taken"] {
        host(&format!("kill@{point}"), 3000).was_killed();
        killed |= was_killed(&victim(spec, || arena.sweep()));
        comes_back_to(before);
    }
    killed
}
