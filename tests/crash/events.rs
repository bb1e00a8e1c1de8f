//! Events: their setters and waiters are killed at every point, and all others go on.

use crate::faults::{is_back_at, usage, victim, was_killed, THOROUGH};
use crate::kills::Kills;
use crate::process::{fork, nap, state_of, wait_until, Child, Words};
use crate::woken::next_one_gets_it;
use crate::Case;
use mp::arena::Arena;
use mp::error::Status;
use mp::sync::Event;
use mp::sys::clock::{Deadline, FOREVER};
use mp::sys::fault::arm;

const PREFIXES: [&str; 2] = ["flag.", "wait."];

pub fn cases() -> Vec<Case> {
    let kills = Kills::new(&PREFIXES);
    vec![
        Case::new("event: killed while it sets", move || kills.at_passes_of(&PREFIXES, THOROUGH, setting))
            .within(120),
        Case::new("event: killed while it waits", move || kills.at_passes_of(&PREFIXES, THOROUGH, waiting))
            .within(120),
        Case::new("event: every point has killed", move || kills.all_points_reached("")),
        Case::new("event: a set that is cleared at once reaches all who sleep", set_and_cleared),
        Case::new("event: a setter dies unseen between set and wake-up", unseen_setter),
        Case::new("event: a descriptor follows a setter that dies before its ring", unseen_ring),
        Case::new("event: 300 waiters are killed between wake-up and return", woken).within(600),
    ]
}

fn wait(event: &Event) {
    event.wait(Deadline::after(FOREVER)).unwrap();
}

fn sleeper(event: &Event) -> Child {
    let child = fork(|| wait(event));
    child.sleeps();
    child
}

/// The victim sets it while two sleep; it is settled at once, or had set it.
fn setting(spec: &str) -> bool {
    let start = usage();
    let event = Event::new().unwrap();
    let sleepers = [sleeper(&event), sleeper(&event)];
    let killed = was_killed(&victim(spec, || {
        event.set().unwrap();
        wait(&event);
        event.clear().unwrap();
        let _ = event.wait(Deadline::after(1_000_000));
        event.set().unwrap();
    }));
    Arena::get().unwrap().sweep();
    if !event.is_set().unwrap() {
        event.set().unwrap();
    }
    sleepers.iter().for_each(Child::succeeds);
    event.clear().unwrap();
    assert_eq!(event.wait(Deadline::Now).unwrap_err().status(), Status::Timeout);
    drop(event);
    is_back_at(start);
    killed
}

/// The victim and another wait, again and again, while it is set for a moment now and then.
fn waiting(spec: &str) -> bool {
    let start = usage();
    let event = Event::new().unwrap();
    let thrice = || (0..3).for_each(|_| wait(&event));
    let victim = victim(spec, thrice);
    let other = fork(thrice);
    wait_until("both have ended", || {
        event.set().unwrap();
        event.clear().unwrap();
        [&victim, &other].iter().all(|child| state_of(child.pid) == Some('Z'))
    });
    other.succeeds();
    let killed = was_killed(&victim);
    drop(event);
    is_back_at(start);
    killed
}

fn set_and_cleared() {
    let event = Event::new().unwrap();
    for _ in 0..20 {
        let sleepers: Vec<Child> = (0..5).map(|_| sleeper(&event)).collect();
        let setter = fork(|| {
            event.set().unwrap();
            event.clear().unwrap();
        });
        setter.succeeds();
        sleepers.iter().for_each(Child::succeeds);
        assert!(!event.is_set().unwrap());
    }
}

/// Nobody settles the setter: the sleepers look again by themselves.
fn unseen_setter() {
    let event = Event::new().unwrap();
    let sleepers = [sleeper(&event), sleeper(&event)];
    let setter = fork(|| {
        arm("kill@flag.set:raised");
        event.set().unwrap();
    });
    setter.was_killed();
    sleepers.iter().for_each(Child::succeeds);
}

fn is_readable(fd: i32) -> bool {
    let mut entry = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: one live entry.
    unsafe { libc::poll(&mut entry, 1, 0) == 1 }
}

fn unseen_ring() {
    let event = Event::new().unwrap();
    let words = Words::new();
    // The setter runs before anybody asks for a descriptor, in another process.
    let setter = fork(|| {
        words.reaches(0, 1);
        arm("kill@flag.set:raised");
        event.set().unwrap();
    });
    let watcher = fork(|| {
        let fd = event.descriptor().unwrap();
        assert!(!is_readable(fd));
        words.set(0, 1);
        wait_until("the descriptor is readable", || is_readable(fd));
        nap(20);
        assert!(is_readable(fd));
        event.clear().unwrap();
        wait_until("the descriptor is not readable", || !is_readable(fd));
    });
    setter.was_killed();
    watcher.succeeds();
}

fn woken() {
    let start = usage();
    let event = Event::new().unwrap();
    let clear = || event.clear().unwrap();
    next_one_gets_it("flag.wait:woken", || wait(&event), clear, || event.set().unwrap());
    drop(event);
    is_back_at(start);
}
