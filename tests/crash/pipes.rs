//! A process is killed at every pass of every fault point of pipes, and of puts and gets on their connections: while it
//! makes one, sends, receives, waits, closes, takes an end or the pipe apart, or settles another that had the end. The
//! others go on: whoever has the other end receives what was sent before, whole and in order, and then the end; and after a
//! sweep the arena has as much in use as before.

use crate::faults::{is_back_at, points, try_one, usage, victim, was_killed};
use crate::kills::{Kills, Pace};
use crate::process::{fork, nap, state_of, wait_until, Child, Words};
use crate::woken::next_one_gets_it;
use crate::Case;
use mp::arena::Arena;
use mp::channel::Connection;
use mp::error::{Result, Status};
use mp::sys::clock::Deadline;

/// Whose points are tested here.
const PREFIXES: [&str; 6] =
    ["pipe.", "arena.link:", "queue.put:", "queue.get:", "queue.grow:", "queue.destroy:"];

const PACE: Pace = Pace { all_of: 12, tries: 3, least: 5 };

pub fn cases() -> Vec<Case> {
    let kills = Kills::new(&PREFIXES);
    let case = |name: &str, prefixes: &'static [&'static str], trial: fn(&str) -> bool| {
        Case::new(format!("pipe: killed {name}"), move || kills.at_passes_of(prefixes, PACE, trial))
            .within(300)
    };
    let end = &["pipe.end:", "pipe.close:", "arena.link:", "arena.refs:", "event."];
    let mut cases = vec![
        case("while it makes pipes", &["pipe.", "arena.link:", "arena.refs:"], making),
        case("while it sends", &["queue.put:", "queue.grow:"], sending),
        case("while it receives", &["queue.get:"], receiving),
        case("while it closes the last holder of an end", end, ending),
        case(
            "while it closes both ends",
            &["pipe.", "arena.link:", "arena.refs:", "queue.destroy:"],
            destroying,
        ),
        case("while it closes an end in which it waits", end, closing_inside),
        case("while it closes the end for which others wait", end, leaving),
        case(
            "while it settles one that had an end",
            &["pipe.", "arena.link:", "death.", "queue.destroy:"],
            settling,
        ),
        case("while it waits for a message", &["event.", "wait.park:"], waiting),
        case("while it waits for room", &["event.", "wait.park:", "queue.put:"], waiting_for_room),
        Case::new("pipe: killed while it closes both ends, and so is its settler", chains).within(300),
        Case::new("pipe: every point has killed", move || {
            // Those of puts and gets are reached by queues of all kinds.
            ["pipe.", "arena.link:", "queue.put:"].iter().for_each(|prefix| kills.all_points_reached(prefix));
        }),
        Case::new("pipe: 300 woken receivers are killed", woken_receivers).within(600),
    ];
    for (way, name) in WAYS.into_iter().enumerate() {
        cases.push(Case::new(format!("pipe: the other end is killed, {name}"), move || killed(way)));
    }
    cases
}

fn pipe() -> (Connection, Connection) {
    Connection::pair(true).unwrap()
}

/// Message `i`: every third one travels in a block, now and then one in a block of many pages.
pub fn message(i: u32) -> Vec<u8> {
    let length = match i % 12 {
        11 => 70_000,
        n if n % 3 == 2 => 1500 + i as usize % 1000,
        n => n as usize * 61 % 600,
    };
    let bytes = (0..length).map(|k| (k as u32).wrapping_mul(i + 7) as u8);
    i.to_le_bytes().into_iter().chain(bytes).collect()
}

pub fn number(bytes: &[u8]) -> u32 {
    let i = u32::from_le_bytes(bytes[..4].try_into().unwrap());
    assert!(bytes == message(i), "message {i} is damaged");
    i
}

fn send(connection: &Connection, i: u32) {
    connection.send(&message(i), Deadline::Never).unwrap();
}

/// The next message, received in one of the two ways.
fn recv(connection: &Connection, i: u32, deadline: Deadline) -> Result<u32> {
    if i % 2 == 0 {
        return connection.recv(deadline).map(|buffer| number(buffer.bytes()));
    }
    let mut bytes = vec![0; 80_000];
    let (length, received) = connection.recv_into(&mut bytes, deadline)?;
    received?;
    Ok(number(&bytes[..length]))
}

/// All that comes until the other end has gone.
fn to_the_end(connection: &Connection) -> Vec<u32> {
    let mut found = Vec::new();
    loop {
        match recv(connection, found.len() as u32, Deadline::Never) {
            Ok(number) => found.push(number),
            Err(error) => {
                assert_eq!(error.status(), Status::End, "{error:?}");
                assert!(connection.poll(Deadline::Now).unwrap());
                assert_eq!(connection.send(&[], Deadline::Never).unwrap_err().status(), Status::Closed);
                return found;
            }
        }
    }
}

/// As a reaper would do it, or not at all: then the others have only what they see themselves.
fn sweep_after(victim: &Child, spec: &str) {
    if !spec.ends_with("#1") {
        wait_until("the victim has ended, or waits", || matches!(state_of(victim.pid), Some('S' | 'Z')));
        Arena::get().unwrap().sweep();
    }
}

const MANY: u32 = 26;

fn making(spec: &str) -> bool {
    let start = usage();
    let work = || {
        let one = pipe();
        let other = Connection::pair(false).unwrap();
        send(&one.0, 2);
        send(&other.1, 3);
    };
    let killed = was_killed(&victim(spec, work));
    is_back_at(start);
    killed
}

fn sending(spec: &str) -> bool {
    let start = usage();
    let (a, b) = pipe();
    let done = Words::new();
    let work = || {
        for i in 0..MANY {
            send(&b, i);
            done.set(0, i + 1);
        }
    };
    let victim = victim(spec, work);
    drop(b);
    sweep_after(&victim, spec);
    let found = to_the_end(&a);
    let killed = was_killed(&victim);
    let sent = found.len() as u32;
    assert!(sent == done.get(0) || sent == done.get(0) + 1);
    assert!(found.into_iter().eq(0..sent));
    drop(a);
    is_back_at(start);
    killed
}

fn receiving(spec: &str) -> bool {
    let start = usage();
    let (a, b) = pipe();
    (0..MANY).for_each(|i| send(&a, i));
    let done = Words::new();
    let work = || {
        for i in 0..MANY - 2 {
            let too_small = b.recv_into(&mut [0; 3], Deadline::Now).unwrap();
            assert_eq!((too_small.0, too_small.1.is_err()), (message(i).len(), true));
            assert_eq!(recv(&b, i, Deadline::Never).unwrap(), i);
            done.set(0, i + 1);
        }
    };
    let killed = was_killed(&victim(spec, work));
    drop(a);
    let found = to_the_end(&b);
    let taken = MANY - found.len() as u32;
    assert!(taken == done.get(0) || taken == done.get(0) + 1);
    assert!(found.into_iter().eq(taken..MANY));
    drop(b);
    is_back_at(start);
    killed
}

fn ending(spec: &str) -> bool {
    let start = usage();
    let (a, b) = pipe();
    (0..6).for_each(|i| send(&a, i));
    (0..MANY).for_each(|i| send(&b, i));
    let go = Words::new();
    let victim = fork(|| {
        go.reaches(0, 1);
        mp::sys::fault::arm(spec);
        b.close().unwrap();
        mp::sys::fault::arm("");
    });
    drop(b);
    go.set(0, 1);
    sweep_after(&victim, spec);
    assert!(to_the_end(&a).into_iter().eq(0..MANY));
    let killed = was_killed(&victim);
    drop(a);
    is_back_at(start);
    killed
}

fn destroying(spec: &str) -> bool {
    let start = usage();
    let work = || {
        let (a, b) = pipe();
        for i in 0..MANY / 2 {
            send(&a, i);
            send(&b, i);
        }
        drop(a);
        drop(b);
    };
    let killed = was_killed(&victim(spec, work));
    is_back_at(start);
    killed
}

fn closing_inside(spec: &str) -> bool {
    let start = usage();
    let (a, b) = pipe();
    let victim = fork(|| {
        a.close().unwrap();
        std::thread::scope(|scope| {
            let inside = scope.spawn(|| b.recv(Deadline::Never).unwrap_err().status());
            nap(5);
            mp::sys::fault::arm(spec);
            b.close().unwrap();
            assert_eq!(inside.join().unwrap(), Status::Closed);
            mp::sys::fault::arm("");
        });
    });
    drop(b);
    assert_eq!(to_the_end(&a), []);
    let killed = was_killed(&victim);
    drop(a);
    is_back_at(start);
    killed
}

/// In each way of waiting somebody waits at the other end.
fn leaving(spec: &str) -> bool {
    let start = usage();
    let (a, b) = pipe();
    let go = Words::new();
    let victim = fork(|| {
        a.close().unwrap();
        go.reaches(0, 1);
        mp::sys::fault::arm(spec);
        b.close().unwrap();
        mp::sys::fault::arm("");
    });
    drop(b);
    a.send(&vec![0; 64 << 20], Deadline::Never).unwrap();
    let waiters = [
        fork(|| assert_eq!(a.recv(Deadline::Never).unwrap_err().status(), Status::End)),
        fork(|| assert!(a.poll(Deadline::Never).unwrap())),
        fork(|| assert_eq!(a.send(&[1], Deadline::Never).unwrap_err().status(), Status::Closed)),
    ];
    waiters.iter().for_each(Child::sleeps);
    go.set(0, 1);
    sweep_after(&victim, spec);
    waiters.iter().for_each(Child::succeeds);
    let killed = was_killed(&victim);
    drop(a);
    is_back_at(start);
    killed
}

/// One that had an end is killed; who settles it is killed, and then this process goes on.
fn settling(spec: &str) -> bool {
    let start = usage();
    let (a, b) = pipe();
    let (c, d) = pipe();
    (0..MANY).for_each(|i| send(&b, i));
    (0..6).for_each(|i| send(&a, i));
    (0..6).for_each(|i| send(&c, i));
    let holder = fork(|| {
        a.close().unwrap();
        nap(1_000_000);
    });
    drop((b, c, d));
    holder.sleeps();
    holder.kill();
    let settler = victim_of_sweep(spec);
    let killed = was_killed(&settler);
    assert!(to_the_end(&a).into_iter().eq(0..MANY));
    drop(a);
    is_back_at(start);
    killed
}

/// At each point together with each point.
fn chains() {
    let all = points(&["pipe.end:", "arena.link:", "arena.refs:", "queue.destroy:"]);
    let mut kills = 0;
    for first in &all {
        for second in &all {
            kills += u32::from(try_one(&format!("kill@{first}#2 kill@{second}#1"), chained));
        }
    }
    println!("    {kills} pairs");
    assert!(kills > 30);
}

fn chained(specs: &str) -> bool {
    let (first, second) = specs.split_once(' ').unwrap();
    let start = usage();
    let (a, b) = pipe();
    for i in 0..6 {
        send(&a, i);
        send(&b, i);
    }
    let go = Words::new();
    let victim = fork(|| {
        go.reaches(0, 1);
        mp::sys::fault::arm(first);
        a.close().unwrap();
        b.close().unwrap();
        mp::sys::fault::arm("");
    });
    drop((a, b));
    go.set(0, 1);
    let killed = was_killed(&victim);
    let settler = victim_of_sweep(second);
    let both = was_killed(&settler) && killed;
    is_back_at(start);
    both
}

fn victim_of_sweep(spec: &str) -> Child {
    victim(spec, || Arena::get().unwrap().sweep())
}

const TURNS: u32 = 3;

fn waiting(spec: &str) -> bool {
    let start = usage();
    let (a, b) = pipe();
    let done = Words::new();
    let work = |who: usize| {
        for i in 0..TURNS {
            assert!(who == 1 || b.poll(Deadline::Never).unwrap());
            let found = recv(&b, i, Deadline::Never).unwrap();
            assert_eq!(done.add(8 + found as usize, 1), 1, "message {found} came twice");
            done.add(who, 1);
        }
    };
    let victim = victim(spec, || work(0));
    wait_until("the victim sleeps or is dead", || matches!(state_of(victim.pid), Some('S' | 'Z')));
    let bystander = fork(|| work(1));
    bystander.sleeps();
    let all = 2 * TURNS + 2;
    for i in 0..all {
        // So that each is slept for.
        nap(1);
        send(&a, i);
    }
    sweep_after(&victim, spec);
    bystander.succeeds();
    let killed = was_killed(&victim);
    drop(a);
    let left = to_the_end(&b);
    assert!(left.iter().all(|i| done.add(8 + *i as usize, 1) == 1));
    let lost = all - left.len() as u32 - done.get(0) - done.get(1);
    assert!(lost <= u32::from(killed), "{lost} are lost");
    drop(b);
    is_back_at(start);
    killed
}

fn waiting_for_room(spec: &str) -> bool {
    let start = usage();
    let (a, b) = pipe();
    let done = Words::new();
    a.send(&vec![0; 64 << 20], Deadline::Never).unwrap();
    let work = |who: u32| {
        for i in 0..TURNS {
            send(&a, who * 12 + i);
            done.add(who as usize, 1);
        }
    };
    let victim = victim(spec, || work(1));
    wait_until("the victim sleeps or is dead", || matches!(state_of(victim.pid), Some('S' | 'Z')));
    let bystander = fork(|| work(2));
    bystander.sleeps();
    drop(a);
    assert_eq!(b.recv(Deadline::Never).unwrap().len(), 64 << 20);
    sweep_after(&victim, spec);
    let found = to_the_end(&b);
    bystander.succeeds();
    let killed = was_killed(&victim);
    let of = |who: u32| found.iter().copied().filter(move |i| i / 12 == who);
    assert!(of(2).eq(24..24 + TURNS));
    let victims = of(1).count() as u32;
    assert!(of(1).eq(12..12 + victims) && (victims == done.get(1) || victims == done.get(1) + 1));
    drop(b);
    is_back_at(start);
    killed
}

fn woken_receivers() {
    let start = usage();
    let (a, b) = pipe();
    let wait = || assert_eq!(recv(&b, 0, Deadline::Never).unwrap(), 3);
    next_one_gets_it("event.wait:woken", wait, || assert!(!b.poll(Deadline::Now).unwrap()), || send(&a, 3));
    assert!(!b.poll(Deadline::Now).unwrap());
    drop((a, b));
    is_back_at(start);
}

const WAYS: [&str; 6] = [
    "who receives is told",
    "who polls is told",
    "who waits for room is told",
    "who polls a descriptor is told",
    "who only tries is told",
    "who goes on sending is told",
];

/// The only process that has the other end is killed, and nobody reaps it or sweeps.
fn killed(way: usize) {
    let start = usage();
    let (a, b) = pipe();
    let holder = fork(|| {
        a.close().unwrap();
        nap(1_000_000);
    });
    drop(b);
    holder.sleeps();
    let waiter = fork(|| match way {
        0 => assert_eq!(a.recv(Deadline::Never).unwrap_err().status(), Status::End),
        1 => assert!(a.poll(Deadline::Never).unwrap()),
        2 => {
            a.send(&vec![0; 64 << 20], Deadline::Never).unwrap();
            assert_eq!(a.send(&[1], Deadline::Never).unwrap_err().status(), Status::Closed);
        }
        3 => is_readable(a.descriptor().unwrap()),
        4 => wait_until("a try tells", || a.poll(Deadline::Now).unwrap()),
        _ => wait_until("a send tells", || a.send(&[1], Deadline::Now).is_err()),
    });
    waiter.sleeps();
    holder.signal(libc::SIGKILL);
    waiter.succeeds();
    holder.was_killed();
    assert_eq!(to_the_end(&a), []);
    drop(a);
    is_back_at(start);
}

fn is_readable(fd: i32) {
    let mut entry = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: one entry, which lives through the call.
    while unsafe { libc::poll(&mut entry, 1, -1) } < 0 {}
    assert_eq!(entry.revents, libc::POLLIN);
}
