//! The plain queue against a model of it, a `VecDeque`; also where ordinals and units wrap. `model/kinds.rs` has all kinds of
//! queues and all operations.

mod kinds;
mod pair;
mod reference;

use super::ring::Position;
use super::{Queue, QueueOptions};
use crate::error::Status;
use crate::sys::clock::Deadline;
use proptest::prelude::*;
use std::collections::VecDeque;

#[derive(Clone, Copy, Debug)]
enum Step {
    Put(usize),
    Get,
    GetInto(usize),
}

fn step() -> impl Strategy<Value = Step> {
    // Short ones, those about the limits of units and of blocks, and long ones.
    let length = prop_oneof![4 => 0usize..200, 2 => 1000usize..1040, 1 => 0usize..3000];
    prop_oneof![
        5 => length.prop_map(Step::Put),
        2 => Just(Step::Get),
        2 => (0usize..3000).prop_map(Step::GetInto),
    ]
}

fn message(number: usize, length: usize) -> Vec<u8> {
    (0..length).map(|i| (number * 31 + i) as u8).collect()
}

fn run(maxsize: usize, start: Position, steps: &[Step]) {
    let options = QueueOptions { maxsize: maxsize as i64, ..Default::default() };
    let queue = Queue::begin_at(crate::arena::Arena::get().unwrap(), &options, start).unwrap();
    let mut model = VecDeque::new();
    for (number, step) in steps.iter().enumerate() {
        match *step {
            Step::Put(length) => {
                let result = queue.put(&message(number, length), Deadline::Now);
                if maxsize != 0 && model.len() == maxsize {
                    assert_eq!(result.unwrap_err().status(), Status::Full);
                } else {
                    result.unwrap();
                    model.push_back(message(number, length));
                }
            }
            Step::Get => match model.pop_front() {
                Some(expected) => assert!(queue.get(Deadline::Now).unwrap().bytes() == expected),
                None => assert_eq!(queue.get(Deadline::Now).unwrap_err().status(), Status::Empty),
            },
            Step::GetInto(cap) => get_into(&queue, &mut model, cap),
        }
        assert_eq!(queue.size().unwrap(), model.len());
        assert_eq!(queue.is_readable(), !model.is_empty());
    }
    queue.close().unwrap();
    for expected in model {
        assert!(queue.get(Deadline::Now).unwrap().bytes() == expected);
    }
    assert_eq!(queue.get(Deadline::Never).unwrap_err().status(), Status::Closed);
}

fn get_into(queue: &Queue, model: &mut VecDeque<Vec<u8>>, cap: usize) {
    let mut into = vec![0; cap];
    let Some(expected) = model.front() else {
        assert_eq!(queue.get_into(&mut into, Deadline::Now).unwrap_err().status(), Status::Empty);
        return;
    };
    let (length, taken) = queue.get_into(&mut into, Deadline::Now).unwrap();
    assert_eq!(length, expected.len());
    if length > cap {
        assert_eq!(taken.unwrap_err().status(), Status::TooLarge);
        return;
    }
    taken.unwrap();
    assert!(into[..length] == expected[..]);
    model.pop_front();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_queue_is_like_its_model(
        maxsize in prop::sample::select(vec![0usize, 1, 3, 17]),
        before_wrap in (0u32..40, 0u32..400),
        wraps: bool,
        steps in prop::collection::vec(step(), 1..300),
    ) {
        let start = match wraps {
            true => Position::new(before_wrap.0.wrapping_neg(), before_wrap.1.wrapping_neg()),
            false => Position::new(0, 0),
        };
        run(maxsize, start, &steps);
    }
}

#[test]
fn a_long_queue_passes_the_wrap() {
    let start = Position::new(1000u32.wrapping_neg(), 5000u32.wrapping_neg());
    let steps: Vec<Step> = (0..20_000)
        .map(|i| if i % 3 == 2 && i > 6000 { Step::Get } else { Step::Put(i * 7 % 150) })
        .collect();
    run(0, start, &steps);
}

#[test]
fn two_threads_pass_the_wrap() {
    let start = Position::new(50_000u32.wrapping_neg(), 200_000u32.wrapping_neg());
    for maxsize in [0, 1, 100] {
        let queue = Queue::begin_at(
            crate::arena::Arena::get().unwrap(),
            &QueueOptions { maxsize, ..Default::default() },
            start,
        )
        .unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                (0..100_000).for_each(|i| queue.put(&message(i, 4 + i % 90), Deadline::Never).unwrap());
            });
            let mut into = [0; 100];
            for i in 0..100_000 {
                let (length, taken) = queue.get_into(&mut into, Deadline::Never).unwrap();
                taken.unwrap();
                assert!(into[..length] == message(i, 4 + i % 90));
            }
        });
        assert_eq!(queue.size().unwrap(), 0);
    }
}

#[test]
fn a_ring_that_a_burst_has_left_is_given_up() {
    let arena = crate::arena::Arena::get().unwrap();
    let queue = Queue::begin_at(arena, &QueueOptions::default(), Position::new(0, 0)).unwrap();
    let units = || queue.port().unwrap().ring().unwrap().fewer_units();
    (0..100_000).for_each(|i| queue.put(&message(i, 64), Deadline::Now).unwrap());
    assert!(units() >= Some(1 << 18));
    (0..100_000).for_each(|_| drop(queue.get(Deadline::Now).unwrap()));
    for i in 0..20_000 {
        queue.put(&message(i, 64), Deadline::Now).unwrap();
        assert!(queue.get(Deadline::Now).unwrap().bytes() == message(i, 64));
    }
    assert_eq!(units(), None);
}
