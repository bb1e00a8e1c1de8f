//! Values, arrays and shared memory whose makers, owners and waiters die.

use crate::faults::{is_back_at, points, try_one, usage, victim, was_killed};
use crate::process::{fork, nap, state_of, wait_until, Words};
use crate::woken::next_one_gets_it;
use crate::Case;
use mp::arena::Arena;
use mp::error::Status;
use mp::shared::{Array, ArrayOptions, LockKind, SharedMemory, Value};
use mp::sync::Who;
use mp::sys::clock::{Deadline, FOREVER};
use std::sync::atomic::Ordering;

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("shared: a value's lock, recursive: killed at every pass", || locks(LockKind::Recursive))
            .within(300),
        Case::new("shared: a value's lock, plain: killed at every pass", || locks(LockKind::Plain))
            .within(300),
        Case::new("shared: the owner of a value's and of an array's lock is killed", owners_die),
        Case::new("shared: counters lose nothing when counters die", counters_die).within(60),
        Case::new("shared: writers of an array die under its lock", writers_die).within(60),
        Case::new("shared: memory of the dead is reused as zeroes", reused),
        Case::new("woken: 300 waiters for a value's lock are killed between wake-up and taking", woken_value)
            .within(600),
        Case::new(
            "woken: 300 waiters for an array's lock are killed between wake-up and taking",
            woken_array,
        )
        .within(600),
    ]
}

fn array(count: usize) -> Array {
    Array::new(8, count, None, &ArrayOptions { lock: LockKind::Plain, huge_pages: false }).unwrap()
}

fn here() -> Who {
    Who::this_thread()
}

/// Makes, opens and drops one of each, under names that begin with `name`.
fn use_all(name: &str) {
    let small = Value::new(8, Some(&[7; 8]), LockKind::Recursive).unwrap();
    let large = Value::new(1000, None, LockKind::Plain).unwrap();
    let array = array(5000);
    let huge = Array::new(1, 5 << 20, None, &ArrayOptions { huge_pages: true, ..Default::default() });
    let unnamed = SharedMemory::create(None, 300).unwrap();
    let named = SharedMemory::create(Some(name), 70_001).unwrap();
    let opened = SharedMemory::open(name).unwrap();
    assert_eq!(opened.size(), 70_001);
    let again = (
        Value::from_token(&large.token()).unwrap(),
        Array::from_token(&array.token()).unwrap(),
        SharedMemory::from_token(&unnamed.token()).unwrap(),
        SharedMemory::from_token(&named.token()).unwrap(),
    );
    drop((small, large, array, huge.unwrap(), unnamed, named, opened));
    drop(again);
    SharedMemory::unlink(name).unwrap();
}

/// For `faults.rs`: whoever is killed while it makes and drops shared state leaves nothing of it in the arena, and a
/// name only for something whole.
pub fn sharing(spec: &str) -> bool {
    let name = format!("libmp-test-faults-{}", std::process::id());
    use_all(&name);
    let start = usage();
    let killed = was_killed(&victim(spec, || use_all(&name)));
    match SharedMemory::open(&name) {
        Ok(left) => {
            assert_eq!(left.size(), 70_001);
            SharedMemory::unlink(&name).unwrap();
        }
        Err(error) => assert_eq!(error.status(), Status::NotFound, "{error}"),
    }
    use_all(&name);
    is_back_at(start);
    killed
}

/// The victim and a bystander wait for a value's lock that this process holds; all go on when it is released.
fn locking(spec: &str, lock: LockKind) -> bool {
    let start = usage();
    let value = Value::new(8, None, lock).unwrap();
    let dead = Words::new();
    let twice = lock == LockKind::Recursive;
    let work = |rounds| {
        for _ in 0..rounds {
            let status = value.acquire(here(), Deadline::after(FOREVER)).unwrap();
            dead.add(0, u32::from(status == Status::OwnerDead));
            if twice {
                assert_eq!(value.acquire(here(), Deadline::Now).unwrap(), Status::Ok);
                value.release(here()).unwrap();
            }
            // So that the other one sleeps, and the release has somebody to wake.
            nap(10);
            value.release(here()).unwrap();
            nap(2);
        }
    };
    assert_eq!(value.acquire(here(), Deadline::Now).unwrap(), Status::Ok);
    let victim = victim(spec, || work(3));
    wait_until("the victim sleeps or is dead", || matches!(state_of(victim.pid), Some('S' | 'Z')));
    let bystander = fork(|| work(3));
    bystander.sleeps();
    value.release(here()).unwrap();
    let killed = was_killed(&victim);
    bystander.succeeds();
    work(1);
    assert!(dead.get(0) <= u32::from(killed), "told of {} deaths", dead.get(0));
    drop(value);
    is_back_at(start);
    killed
}

fn locks(lock: LockKind) {
    let trial = match lock {
        LockKind::Recursive => |spec: &str| locking(spec, LockKind::Recursive),
        _ => |spec: &str| locking(spec, LockKind::Plain),
    };
    let (mut kills, mut names) = (0, Vec::new());
    for point in points(&["lock.acquire:", "lock.release:", "rlock.acquire:", "rlock.release:", "wait."]) {
        let mut n = 1;
        while (0..3).any(|_| try_one(&format!("kill@{point}#{n}"), trial)) {
            kills += 1;
            n += 1;
            names.push(point.clone());
        }
    }
    names.dedup();
    println!("    {kills} kills at {names:?}");
    assert!(kills >= 5 && names.iter().any(|n| n == "lock.acquire:owned"));
    assert_eq!(names.iter().any(|n| n.starts_with("rlock.")), lock == LockKind::Recursive);
}

fn owners_die() {
    let start = usage();
    let value = Value::new(1000, None, LockKind::Recursive).unwrap();
    let array = array(10);
    let words = Words::new();
    let owner = fork(|| {
        for _ in 0..3 {
            value.acquire(here(), Deadline::Now).unwrap();
        }
        array.acquire(here(), Deadline::Now).unwrap();
        words.set(0, 1);
        nap(100_000);
    });
    words.reaches(0, 1);
    let refused = |error: mp::error::Error| assert_eq!(error.status(), Status::Timeout);
    refused(value.acquire(here(), Deadline::after(1_000_000)).unwrap_err());
    refused(array.acquire(here(), Deadline::after(1_000_000)).unwrap_err());
    let heirs: Vec<_> = (0..2)
        .map(|i| {
            fork(|| {
                let status = match i {
                    0 => value.acquire(here(), Deadline::after(FOREVER)),
                    _ => array.acquire(here(), Deadline::after(FOREVER)),
                };
                assert_eq!(status.unwrap(), Status::OwnerDead);
                // An heir's count is one.
                let released = if i == 0 { value.release(here()) } else { array.release(here()) };
                released.unwrap();
            })
        })
        .collect();
    heirs.iter().for_each(|heir| heir.sleeps());
    owner.kill();
    heirs.iter().for_each(|heir| heir.succeeds());
    assert_eq!(value.acquire(here(), Deadline::Now).unwrap(), Status::Ok);
    assert_eq!(array.acquire(here(), Deadline::Now).unwrap(), Status::Ok);
    drop((value, array));
    is_back_at(start);
}

/// Each process notes in words outside the arena how often it has counted; so at most one count of each dead process is
/// in the counter without being noted, and never the other way round.
fn counters_die() {
    const PROCESSES: usize = 4;
    let value = Value::new(8, None, LockKind::None).unwrap();
    let noted = Words::new();
    let mut deaths = 0;
    for _ in 0..10 {
        let children: Vec<_> = (0..PROCESSES)
            .map(|i| {
                fork(|| loop {
                    value.word64().unwrap().fetch_add(1, Ordering::SeqCst);
                    noted.add(i, 1);
                })
            })
            .collect();
        nap(30);
        children.iter().for_each(|child| child.kill());
        deaths += PROCESSES as u64;
    }
    let counted = value.word64().unwrap().load(Ordering::SeqCst);
    let known: u64 = (0..PROCESSES).map(|i| u64::from(noted.get(i))).sum();
    println!("    {counted} counted, {known} noted, {deaths} deaths");
    assert!(known > 1000 && known <= counted && counted <= known + deaths);
}

/// Under the lock all elements are equal, or their writer was killed, of which the next one is told.
fn writers_die() {
    let array = array(200);
    let read = |k: usize| {
        let mut bytes = [0; 8];
        array.read(k, &mut bytes).unwrap();
        u64::from_ne_bytes(bytes)
    };
    let told = Words::new();
    let work = || loop {
        let status = array.acquire(here(), Deadline::after(FOREVER)).unwrap();
        if status == Status::OwnerDead {
            told.add(0, 1);
            (0..200).for_each(|k| array.write(k, &read(0).to_ne_bytes()).unwrap());
        }
        let before = read(0);
        (0..200).for_each(|k| assert_eq!(read(k), before));
        (0..200).for_each(|k| array.write(k, &(before + 1).to_ne_bytes()).unwrap());
        array.release(here()).unwrap();
    };
    let mut children: Vec<_> = (0..4).map(|_| fork(work)).collect();
    for _ in 0..60 {
        nap(5);
        let victim = children.remove(0);
        victim.kill();
        // As a reaper would.
        Arena::get().unwrap().sweep();
        children.push(fork(work));
    }
    children.iter().for_each(|child| child.kill());
    assert!(array.acquire(here(), Deadline::after(FOREVER)).is_ok());
    println!("    {} written, {} times half", read(0), told.get(0));
    assert!(read(0) > 20 && told.get(0) > 0);
}

fn reused() {
    let start = usage();
    for _ in 0..20 {
        let child = fork(|| {
            let value = Value::new(3000, Some(&[0xa5; 3000]), LockKind::None).unwrap();
            let array = Array::new(1, 100_000, Some(&[0xa5; 100_000]), &ArrayOptions::default()).unwrap();
            let memory = SharedMemory::create(None, 5000).unwrap();
            // They are there to the end.
            std::mem::forget((value, array, memory));
            // SAFETY: kills this process.
            unsafe { libc::raise(libc::SIGKILL) };
        });
        child.was_killed();
        Arena::get().unwrap().sweep();
        let value = Value::new(3000, None, LockKind::None).unwrap();
        let mut bytes = vec![1; 3000];
        value.read(&mut bytes).unwrap();
        assert!(bytes.iter().all(|b| *b == 0));
        let array = Array::new(100_000, 1, None, &ArrayOptions::default()).unwrap();
        let mut bytes = vec![1; 100_000];
        array.read(0, &mut bytes).unwrap();
        assert!(bytes.iter().all(|b| *b == 0));
    }
    is_back_at(start);
}

fn woken_value() {
    let value = Value::new(8, None, LockKind::Recursive).unwrap();
    let acquire = || {
        assert_eq!(value.acquire(here(), Deadline::after(FOREVER)).unwrap(), Status::Ok);
        value.release(here()).unwrap();
    };
    let prepare = || assert_eq!(value.acquire(here(), Deadline::Now).unwrap(), Status::Ok);
    next_one_gets_it("lock.acquire:woken", acquire, prepare, || value.release(here()).unwrap());
}

fn woken_array() {
    let array = array(1);
    let acquire = || {
        assert_eq!(array.acquire(here(), Deadline::after(FOREVER)).unwrap(), Status::Ok);
        array.release(here()).unwrap();
    };
    let prepare = || assert_eq!(array.acquire(here(), Deadline::Now).unwrap(), Status::Ok);
    next_one_gets_it("lock.acquire:woken", acquire, prepare, || array.release(here()).unwrap());
}
