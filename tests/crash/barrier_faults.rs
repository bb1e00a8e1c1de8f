//! A kill at every pass of every fault point of a barrier: the rest comes through or is told that the barrier is broken,
//! and a reset makes it as new.

use crate::barriers::{sweep, wait, waiter, works};
use crate::faults::{is_back_at, usage, victim, was_killed};
use crate::kills::Kills;
use crate::process::{fork, state_of, wait_until, Child, Words};
use crate::woken::next_one_gets_it;
use crate::Case;
use mp::error::Status;
use mp::sync::Barrier;

/// Whose points are tested here.
const PREFIX: [&str; 1] = ["barrier."];
const ROUNDS: u32 = 3;

pub fn cases() -> Vec<Case> {
    let kills = Kills::new(&PREFIX);
    let case = |name: &str, trial: fn(&str) -> bool| {
        Case::new(format!("barrier: {name} is killed at every pass of every point"), move || {
            kills.at_every_pass(trial)
        })
        .within(300)
    };
    vec![
        case("a party", meeting),
        case("who resets", |spec| ending(spec, |barrier| barrier.reset().unwrap())),
        case("who aborts", |spec| ending(spec, |barrier| barrier.abort().unwrap())),
        case("the settler of a waiter", settling),
        case("who looks after a death", looking),
        case("the last holder", destroying),
        Case::new("barrier: every point has killed", move || kills.all_points_reached("")),
        Case::new("woken: 300 waiters in a barrier are killed between wake-up and return", woken).within(600),
    ]
}

fn ended(child: &Child) -> bool {
    state_of(child.pid) == Some('Z')
}

/// The victim and a bystander are the parties of a few rounds.
fn meeting(spec: &str) -> bool {
    let start = usage();
    let (barrier, words) = (Barrier::new(2).unwrap(), Words::new());
    let work = |who: usize| {
        for _ in 0..ROUNDS {
            match wait(&barrier) {
                Ok(_) => words.add(who, 1),
                Err(status) => return assert_eq!(status, Status::Broken),
            };
        }
    };
    let bystander = fork(|| work(0));
    bystander.sleeps();
    let victim = victim(spec, || work(1));
    // Who is through frees its handle by its end, and breaks nothing that is over.
    wait_until("the victim has ended", || ended(&victim));
    sweep();
    bystander.succeeds();
    let killed = was_killed(&victim);
    let (through, victims) = (words.get(0), words.get(1));
    assert!(if killed { victims <= through && through <= victims + 1 } else { through == victims });
    assert!(killed || through == ROUNDS);
    works(&barrier);
    drop(barrier);
    is_back_at(start);
    killed
}

/// The victim ends the round of one who waits.
fn ending(spec: &str, end: fn(&Barrier)) -> bool {
    let start = usage();
    let barrier = Barrier::new(2).unwrap();
    let bystander = waiter(&barrier, Err(Status::Broken));
    let victim = victim(spec, || {
        end(&barrier);
        end(&barrier);
    });
    wait_until("the victim has ended", || ended(&victim));
    sweep();
    bystander.succeeds();
    let killed = was_killed(&victim);
    works(&barrier);
    drop(barrier);
    is_back_at(start);
    killed
}

/// The victim settles a waiter that was killed.
fn settling(spec: &str) -> bool {
    let start = usage();
    let barrier = Barrier::new(3).unwrap();
    let dead = waiter(&barrier, Ok(9));
    let bystander = waiter(&barrier, Err(Status::Broken));
    dead.kill();
    let victim = victim(spec, sweep);
    wait_until("the victim has ended", || ended(&victim));
    sweep();
    bystander.succeeds();
    let killed = was_killed(&victim);
    drop(barrier);
    is_back_at(start);
    killed
}

/// The victim is the one waiter that is told of a death.
fn looking(spec: &str) -> bool {
    let start = usage();
    let barrier = Barrier::new(3).unwrap();
    let dead = waiter(&barrier, Ok(9));
    let victim = victim(spec, || assert!(wait(&barrier).is_err()));
    wait_until("it waits, or is dead", || barrier.waiting().unwrap() != 1 || ended(&victim));
    dead.kill();
    sweep();
    wait_until("the victim has ended", || ended(&victim));
    sweep();
    assert_eq!(wait(&barrier), Err(Status::Broken));
    let killed = was_killed(&victim);
    drop(barrier);
    is_back_at(start);
    killed
}

/// The victim makes a barrier, and lets it go.
fn destroying(spec: &str) -> bool {
    let start = usage();
    let victim = victim(spec, || (1..4).for_each(|parties| drop(Barrier::new(parties * 1000).unwrap())));
    let killed = was_killed(&victim);
    is_back_at(start);
    killed
}

/// If nobody wakes the victim before its sleep was cut, it dies waiting: then the round is broken for all.
fn woken() {
    let start = usage();
    let barrier = Barrier::new(3).unwrap();
    let words = Words::new();
    let (mine, others) = (0, 1);
    let come = |place| {
        let came = wait(&barrier);
        assert!(came.is_ok() || came == Err(Status::Broken), "{came:?}");
        words.set(place, u32::from(came.is_ok()));
        words.add(if came.is_ok() { 2 } else { 3 }, 1);
    };
    let the_same =
        || assert_eq!(words.get(mine), words.get(others), "one is told that all came, one that not");
    let prepare = || {
        the_same();
        barrier.reset().unwrap();
    };
    next_one_gets_it("barrier.wait:woken", || come(others), prepare, || come(mine));
    the_same();
    assert!(words.get(2) > words.get(3), "most rounds are broken");
    drop(barrier);
    is_back_at(start);
}
