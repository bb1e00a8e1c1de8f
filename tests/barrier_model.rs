//! The barrier against a model of it. Waits are threads; the steps come one after another, so the model says who of them
//! returns when, and with what.
//!
//! In a process of its own: a child that another test forked, and that ended, would be a holder of the barrier that
//! died.

#![cfg(not(loom))]

use mp::error::Status;
use mp::sync::{Barrier, Cancel};
use mp::sys::clock::Deadline;
use proptest::prelude::*;
use std::sync::mpsc::{channel, Receiver};
use std::sync::Arc;
use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Another thread waits.
    Wait,
    /// A wait that can't last.
    Try,
    /// The oldest waiting thread is cancelled.
    Cancel,
    Reset,
    Abort,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => Just(Step::Wait),
        1 => Just(Step::Try),
        1 => Just(Step::Cancel),
        2 => Just(Step::Reset),
        1 => Just(Step::Abort),
    ]
}

/// What a wait answered: its index, or its failure.
type Answer = std::result::Result<u32, Status>;

fn answer(barrier: &Barrier, deadline: Deadline) -> Answer {
    barrier.wait(deadline).map_err(|error| error.status())
}

/// What is known of a thread that waits.
struct Waiting {
    answers: Receiver<Answer>,
    cancel: Arc<Cancel>,
}

fn wait_in_thread(token: &mp::arena::Token) -> Waiting {
    let (send, answers) = channel();
    let cancel = Arc::new(Cancel::new());
    let (barrier, used) = (Barrier::from_token(token).unwrap(), cancel.clone());
    std::thread::spawn(move || {
        used.use_here();
        let _ = send.send(answer(&barrier, Deadline::Never));
    });
    Waiting { answers, cancel }
}

struct Model {
    barrier: Barrier,
    parties: usize,
    broken: bool,
    waiting: Vec<Waiting>,
}

impl Model {
    /// All who wait get these answers, in the order in which they came.
    fn all_get(&mut self, expected: impl Fn(usize) -> Answer) {
        for (i, waiting) in self.waiting.drain(..).enumerate() {
            assert_eq!(waiting.answers.recv_timeout(Duration::from_secs(20)), Ok(expected(i)));
        }
    }

    /// A wait that the model says does not last.
    fn short(&mut self, deadline: Deadline) {
        let found = answer(&self.barrier, deadline);
        if self.broken {
            assert_eq!(found, Err(Status::Broken));
        } else if self.waiting.len() + 1 == self.parties {
            assert_eq!(found, Ok(self.parties as u32 - 1));
            self.all_get(|i| Ok(i as u32));
        } else {
            assert_eq!(found, Err(Status::Timeout));
            self.breaks();
        }
    }

    fn breaks(&mut self) {
        self.broken = true;
        self.all_get(|_| Err(Status::Broken));
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Wait if self.broken || self.waiting.len() + 1 == self.parties => {
                self.short(Deadline::Never)
            }
            Step::Wait => {
                self.waiting.push(wait_in_thread(&self.barrier.token()));
                let begun = Instant::now();
                while self.barrier.waiting().unwrap() as usize != self.waiting.len() {
                    assert!(begun.elapsed() < Duration::from_secs(20), "it does not come");
                    std::thread::yield_now();
                }
            }
            Step::Try => self.short(Deadline::Now),
            Step::Cancel if self.waiting.is_empty() => {}
            Step::Cancel => {
                let first = self.waiting.remove(0);
                first.cancel.fire();
                let found = first.answers.recv_timeout(Duration::from_secs(20));
                assert_eq!(found, Ok(Err(Status::Cancelled)));
                self.breaks();
            }
            Step::Reset => {
                self.barrier.reset().unwrap();
                self.broken = false;
                self.all_get(|_| Err(Status::Broken));
            }
            Step::Abort => {
                self.barrier.abort().unwrap();
                self.breaks();
            }
        }
        assert_eq!(self.barrier.waiting().unwrap() as usize, self.waiting.len());
        assert_eq!(self.barrier.broken().unwrap(), self.broken);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_barrier_is_like_its_model(parties in 1usize..5, steps in prop::collection::vec(step(), 1..60)) {
        let barrier = Barrier::new(parties as u32).unwrap();
        let mut model = Model { barrier, parties, broken: false, waiting: Vec::new() };
        steps.iter().for_each(|step| model.take(*step));
        model.take(Step::Abort);
    }
}

#[test]
fn bad_arguments_are_refused() {
    assert_eq!(Barrier::new(0).unwrap_err().status(), Status::Invalid);
    assert_eq!(Barrier::new(u32::MAX).unwrap_err().status(), Status::NoMemory);
    assert_eq!(Barrier::new(3).unwrap().parties().unwrap(), 3);
}
