//! Memory against a model, in two processes at once, and when it is used up.

use crate::process::{fork, Child, Exit};
use crate::Case;
use mp::arena::{Arena, Block, Usage};
use mp::error::Status;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("memory: any sequence of allocations agrees with a model", || model(1)).within(300),
        Case::new("memory: so it does beside another process that does the same", || model(2)).within(300),
        Case::new("memory: a full arena is an error and recovers", exhaustion).within(60),
    ]
}

/// One step: allocate so much, or free or check the block of that number.
#[derive(Clone, Copy, Debug)]
enum Step {
    Allocate(u64),
    Free(usize),
    Check(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let sizes = prop_oneof![
        8 => 0..600u64,
        6 => 600..9000u64,
        3 => 9000..200_000u64,
        1 => 200_000..(5u64 << 20),
    ];
    let step = prop_oneof![
        5 => sizes.prop_map(Step::Allocate),
        4 => any::<usize>().prop_map(Step::Free),
        2 => any::<usize>().prop_map(Step::Check),
    ];
    prop::collection::vec(step, 1..120)
}

/// A block as the model knows it.
pub struct Known {
    block: Block,
    length: u64,
    pattern: u8,
}

impl Known {
    pub fn new(length: u64, pattern: u8) -> Known {
        let arena = Arena::get().unwrap();
        let block = arena.allocate(length, pattern % 2 == 0).unwrap();
        let data = arena.data_offset(block.reference());
        assert!(arena.room_of(block.reference()) >= length);
        assert_eq!(data % if length >= 4096 { 64 } else { 16 }, 0);
        arena.write(data, &vec![pattern; length as usize]);
        Known { block, length, pattern }
    }

    pub fn check(&self) {
        let arena = Arena::get().unwrap();
        let bytes = arena.read(arena.data_offset(self.block.reference()), self.length);
        assert!(
            bytes.iter().all(|b| *b == self.pattern),
            "somebody else wrote into a block of {}",
            self.length
        );
    }

    /// What the block counts for in the arena's usage.
    fn cost(&self) -> u64 {
        let room = Arena::get().unwrap().room_of(self.block.reference());
        if room + 16 <= 8256 {
            room + 16
        } else {
            (self.length + 64).next_multiple_of(16 << 10)
        }
    }
}

fn play(steps: &[Step], seed: u8) -> Vec<Known> {
    let mut known: Vec<Known> = Vec::new();
    for (i, step) in steps.iter().enumerate() {
        match *step {
            Step::Allocate(length) => known.push(Known::new(length, seed.wrapping_add(i as u8))),
            Step::Free(n) if !known.is_empty() => {
                let gone = known.swap_remove(n % known.len());
                gone.check();
            }
            Step::Check(n) if !known.is_empty() => known[n % known.len()].check(),
            _ => {}
        }
    }
    known.iter().for_each(Known::check);
    known
}

fn model(processes: usize) {
    let arena = Arena::get().unwrap();
    // The held table of this process grows now rather than in a case.
    drop((0..200).map(|i| Known::new(i, 0)).collect::<Vec<_>>());
    let start = arena.usage();
    let config = Config { cases: 150, failure_persistence: None, ..Config::default() };
    let every = prop::collection::vec(steps(), processes);
    let outcome = TestRunner::new(config).run(&every, |lists| {
        let others: Vec<Child> = lists[1..].iter().map(|list| fork(|| drop(play(list, 101)))).collect();
        let known = play(&lists[0], 1);
        for other in others {
            if other.wait() != Exit::Code(0) {
                return Err(TestCaseError::fail("the other process failed"));
            }
        }
        arena.sweep();
        let expected = Usage {
            bytes: start.bytes + known.iter().map(Known::cost).sum::<u64>(),
            blocks: start.blocks + known.len() as u64,
            objects: start.objects,
        };
        prop_assert_eq!(arena.usage(), expected);
        drop(known);
        prop_assert_eq!(arena.usage(), start);
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

/// Allocates until there is no more, and says how the refusal read.
fn fill(size: u64, blocks: &mut Vec<Block>) -> String {
    loop {
        match Arena::get().unwrap().allocate(size, false) {
            Ok(block) => blocks.push(block),
            Err(error) => {
                assert_eq!(error.status(), Status::NoMemory, "{error}");
                return error.message().to_owned();
            }
        }
    }
}

/// Each size in a process with an arena of its own.
fn exhaustion() {
    std::env::set_var("MP_ARENA_BYTES", (64 << 20).to_string());
    for size in [100, 8000, 50_000, 5 << 20] {
        let filler = fork(|| {
            let arena = Arena::get().unwrap();
            let holder = fork(|| {
                let mut blocks = Vec::new();
                let text = fill(size, &mut blocks);
                assert!(text.contains("MP_ARENA_BYTES"), "{text}");
                std::mem::forget(blocks);
            });
            holder.succeeds();
            // What a process had that has died unseen serves again, and so does what was freed.
            let mut blocks = vec![arena.allocate(size, false).unwrap()];
            fill(size, &mut blocks);
            let all = blocks.len();
            blocks.pop();
            fill(size, &mut blocks);
            assert_eq!(blocks.len(), all);
            drop(blocks);
            drop(Known::new(size, 3));
            for absurd in [u64::MAX, 1 << 62, 1 << 40] {
                assert_eq!(arena.allocate(absurd, false).unwrap_err().status(), Status::NoMemory);
            }
        });
        filler.succeeds();
    }
}
