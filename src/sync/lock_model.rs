//! The recursive lock, the condition and its waiters against models of them.

use super::recursive::{Entered, RecursiveWords};
use super::waiters::{self, Node};
use super::{Condition, Lock, RLock, Who};
use crate::arena::{Arena, OpenOptions};
use crate::error::{Result, Status};
use crate::sys::clock::Deadline;
use crate::sys::shmfile::effective_uid;
use proptest::prelude::*;
use std::collections::HashSet;

/// One call on a recursive lock, by an owner with this name, or by this thread on the lock or a condition of it.
#[derive(Clone, Copy, Debug)]
enum Call {
    AcquireAs(u64),
    ReleaseAs(u64),
    Acquire(bool),
    Release(bool),
    Wait(i64),
    Notify(u32),
    NotifyAll,
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        3 => (0..3u64).prop_map(Call::AcquireAs),
        3 => (0..3u64).prop_map(Call::ReleaseAs),
        4 => any::<bool>().prop_map(Call::Acquire),
        4 => any::<bool>().prop_map(Call::Release),
        1 => (-1..1000i64).prop_map(Call::Wait),
        1 => (0..3u32).prop_map(Call::Notify),
        1 => Just(Call::NotifyAll),
    ]
}

/// Who has the lock (`None`: this thread), and how often.
#[derive(Default)]
struct Held(Option<(Option<u64>, u32)>);

impl Held {
    fn acquire(&mut self, who: Option<u64>) -> Status {
        match &mut self.0 {
            Some((holder, count)) if *holder == who => *count += 1,
            Some(_) => return Status::Timeout,
            free => *free = Some((who, 1)),
        }
        Status::Ok
    }

    fn release(&mut self, who: Option<u64>) -> Status {
        match &mut self.0 {
            Some((holder, count)) if *holder == who => {
                *count -= 1;
                if *count == 0 {
                    self.0 = None;
                }
                Status::Ok
            }
            _ => Status::NotOwner,
        }
    }

    /// What a call answers that needs the lock.
    fn with(&self, status: Status) -> Status {
        match self.0 {
            Some((None, _)) => status,
            _ => Status::NotOwner,
        }
    }
}

fn status_of<T>(result: Result<T>) -> Status {
    result.map_or_else(|error| error.status(), |_| Status::Ok)
}

fn run(calls: &[Call]) {
    let lock = RLock::new().unwrap();
    let condition = Condition::new(Some(&lock)).unwrap();
    let mut held = Held::default();
    let here = Who::this_thread();
    for (i, call) in calls.iter().enumerate() {
        let now = Deadline::Now;
        let (expected, found) = match *call {
            Call::AcquireAs(n) => (held.acquire(Some(n)), status_of(lock.acquire(Who::named(n), now))),
            Call::ReleaseAs(n) => (held.release(Some(n)), status_of(lock.release(Who::named(n)))),
            Call::Acquire(true) => (held.acquire(None), status_of(condition.acquire(now))),
            Call::Acquire(false) => (held.acquire(None), status_of(lock.acquire(here, now))),
            Call::Release(true) => (held.release(None), status_of(condition.release())),
            Call::Release(false) => (held.release(None), status_of(lock.release(here))),
            Call::Wait(time) => {
                (held.with(Status::Timeout), status_of(condition.wait(Deadline::after(time))))
            }
            Call::Notify(n) => (held.with(Status::Ok), status_of(condition.notify(n))),
            Call::NotifyAll => (held.with(Status::Ok), status_of(condition.notify_all())),
        };
        assert_eq!(found, expected, "call {i}");
    }
}

/// What happens to the waiters of a condition, by the numbers of processes and nodes.
#[derive(Clone, Copy, Debug)]
enum Event {
    Enter(u32),
    Notify(u32),
    NotifyAll,
    Dies(u32),
    Leave(usize),
    Mend,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (1..9u32).prop_map(Event::Enter),
        3 => (0..4u32).prop_map(Event::Notify),
        1 => Just(Event::NotifyAll),
        2 => (1..9u32).prop_map(Event::Dies),
        4 => (0..8usize).prop_map(Event::Leave),
        1 => Just(Event::Mend),
    ]
}

#[derive(Clone, Copy, Debug)]
struct Waiter {
    process: u32,
    ticket: u64,
    /// When notified: its notification is for who had an earlier ticket than this.
    notified: Option<u64>,
}

#[derive(Default)]
struct Line {
    places: [Option<Waiter>; 8],
    dead: HashSet<u32>,
    tickets: u64,
}

impl Line {
    /// Who waits, the first first.
    fn waiting(&mut self, bound: u64) -> Vec<&mut Waiter> {
        let dead = &self.dead;
        let waits = |w: &&mut Waiter| w.notified.is_none() && w.ticket < bound && !dead.contains(&w.process);
        let mut all: Vec<_> = self.places.iter_mut().flatten().filter(waits).collect();
        all.sort_by_key(|w| w.ticket);
        all
    }

    fn notify(&mut self, n: usize, bound: u64) {
        self.waiting(bound).into_iter().take(n).for_each(|w| w.notified = Some(bound));
    }

    fn mend(&mut self) {
        for place in 0..self.places.len() {
            let gone = self.places[place].filter(|w| self.dead.contains(&w.process));
            if let Some(gone) = gone {
                self.places[place] = None;
                gone.notified.into_iter().for_each(|bound| self.notify(1, bound));
            }
        }
    }
}

fn replay(events: &[Event]) {
    let nodes: Vec<Node> = (0..8).map(|_| Node::new()).collect();
    let mut line = Line::default();
    for event in events {
        let dead = line.dead.clone();
        let is_dead = |process| dead.contains(&process);
        match *event {
            Event::Enter(process) if !is_dead(process) => {
                waiters::mend(nodes.iter(), &is_dead);
                line.mend();
                let free = line.places.iter().position(Option::is_none);
                assert_eq!(nodes.iter().position(Node::is_free), free);
                if let Some(free) = free {
                    nodes[free].enter(process, line.tickets);
                    line.places[free] = Some(Waiter { process, ticket: line.tickets, notified: None });
                    line.tickets += 1;
                }
            }
            Event::Notify(n) => {
                waiters::notify(nodes.iter(), n, line.tickets, &is_dead);
                line.mend();
                line.notify(n as usize, line.tickets);
            }
            Event::NotifyAll => {
                waiters::notify_all(nodes.iter(), line.tickets, &is_dead);
                line.mend();
                line.notify(8, line.tickets);
            }
            Event::Dies(process) => drop(line.dead.insert(process)),
            Event::Leave(place) => {
                if let Some(waiter) = line.places[place].filter(|w| !is_dead(w.process)) {
                    line.places[place] = None;
                    assert_eq!(nodes[place].leave(), waiter.notified.is_some());
                }
            }
            Event::Mend => {
                waiters::mend(nodes.iter(), &is_dead);
                line.mend();
            }
            Event::Enter(_) => {}
        }
        check(&nodes, &line);
    }
}

fn check(nodes: &[Node], line: &Line) {
    for (node, place) in nodes.iter().zip(&line.places) {
        let notified = place.filter(|w| w.notified.is_some());
        assert_eq!(node.is_free(), place.is_none());
        assert_eq!(node.notified_owner(), notified.map(|w| w.process));
        for ticket in [0, line.tickets.saturating_sub(1), line.tickets] {
            let orphan = notified.is_some_and(|w| {
                line.dead.contains(&w.process) && w.notified.is_some_and(|bound| ticket < bound)
            });
            assert_eq!(node.is_orphan(ticket, |process| line.dead.contains(&process)), orphan);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_recursive_lock_and_its_condition_are_like_their_model(calls in prop::collection::vec(call(), 1..80)) {
        run(&calls);
    }

    #[test]
    fn waiters_are_like_their_model(events in prop::collection::vec(event(), 1..120)) {
        replay(&events);
    }
}

#[test]
fn a_count_does_not_overflow() {
    let words = RecursiveWords::new();
    let who = Who::named(1);
    assert_eq!(words.enter(5, who), Entered::Yes);
    words.set_count(u32::MAX - 1);
    assert_eq!(words.enter(5, who), Entered::Yes);
    assert_eq!(words.enter(5, who), Entered::Full);
    assert_eq!(words.enter(5, Who::named(2)), Entered::No);
    assert_eq!(words.enter(6, who), Entered::No);
    assert_eq!(words.exit(5, who), Some(false));
    words.set_count(0);
    assert_eq!(words.exit(6, who), None);
    assert_eq!(words.exit(5, who), Some(true));

    let lock = RLock::new().unwrap();
    lock.acquire(who, Deadline::Now).unwrap();
    lock.cell.words.set_count(u32::MAX);
    assert_eq!(lock.acquire(who, Deadline::Never).unwrap_err().status(), Status::Overflow);
    lock.release(who).unwrap();
    lock.acquire(who, Deadline::Now).unwrap();
}

#[test]
fn a_condition_knows_its_lock_by_its_token() {
    let (lock, plain) = (RLock::new().unwrap(), Lock::new().unwrap());
    let arena = crate::arena::Arena::get().unwrap();
    let here = Who::this_thread();
    for condition in [Condition::new(Some(&lock)).unwrap(), Condition::new_in(arena, Some(&lock)).unwrap()] {
        let same = Condition::from_token(&condition.token()).unwrap();
        lock.acquire(here, Deadline::Now).unwrap();
        same.notify_all().unwrap();
        same.release().unwrap();
        assert_eq!(lock.release(here).unwrap_err().status(), Status::NotOwner);
    }
    let condition = Condition::with_lock(&plain).unwrap();
    let same = Condition::from_token(&condition.token()).unwrap();
    same.acquire(Deadline::Now).unwrap();
    assert_eq!(plain.acquire(Deadline::Now).unwrap_err().status(), Status::Timeout);
    condition.release().unwrap();
    let own = Condition::new_in(arena, None).unwrap();
    let same = Condition::from_token(&own.token()).unwrap();
    own.acquire(Deadline::Now).unwrap();
    same.acquire(Deadline::Now).unwrap();
    own.release().unwrap();
    own.release().unwrap();
    assert_eq!(same.release().unwrap_err().status(), Status::NotOwner);
}

#[test]
fn a_named_condition_keeps_to_its_lock() {
    let arena = crate::arena::Arena::get().unwrap();
    let (lock, other) = (RLock::new().unwrap(), RLock::new().unwrap());
    let name = b"a_named_condition_keeps_to_its_lock";
    let first = Condition::named(arena, name, Some(&lock)).unwrap();
    let second = Condition::named(arena, name, Some(&lock)).unwrap();
    first.acquire(Deadline::Now).unwrap();
    second.notify_all().unwrap();
    second.release().unwrap();
    for wrong in [None, Some(&other)] {
        assert_eq!(Condition::named(arena, name, wrong).unwrap_err().status(), Status::Exists);
    }
}

#[test]
fn a_lock_of_another_arena_is_refused_even_where_it_looks_the_same() {
    let open = |name: &str| {
        let options =
            OpenOptions { capacity: 64 << 20, mode: 0o600, uid: effective_uid(), must_exist: false };
        let arena = Arena::open_named(name, &options).unwrap();
        Arena::unlink_named(name).unwrap();
        arena
    };
    let name = |which| format!("mp-test-condition-{}-{which}", std::process::id());
    let (one, two) = (open(&name(1)), open(&name(2)));
    let (here, there) = (RLock::new_in(one).unwrap(), RLock::new_in(two).unwrap());
    assert_eq!(here.cell.reference(), there.cell.reference(), "the test needs twins");
    let first = Condition::named(one, b"condition", Some(&here)).unwrap();
    let wrong = Condition::named(one, b"condition", Some(&there));
    assert_eq!(wrong.unwrap_err().status(), Status::Invalid);
    drop(first);
}
