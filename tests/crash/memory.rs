//! Memory against a model, in two processes at once; when it is used up; and how it goes back to the kernel.

use crate::faults::{given_by_the_kernel, is_counted};
use crate::process::{fork, nap, wait_until, Child, Exit, Numbers};
use crate::Case;
use mp::arena::{Arena, Block, Token, Usage};
use mp::error::Status;
use mp::sync::Semaphore;
use mp::sys::clock::Deadline;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use std::time::Instant;

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("memory: any sequence of allocations agrees with a model", || model(1)).within(300),
        Case::new("memory: so it does beside another process that does the same", || model(2)).within(300),
        Case::new("memory: a full arena is an error and recovers", exhaustion).within(60),
        Case::new("memory: many large blocks, and the holes between them", || holes(20_000)).within(60),
        Case::new("memory: what is idle beyond measure goes back at once", surplus),
        Case::new("memory: what lies idle for long goes back", || {
            outlived(|| {
                drop(Arena::get().unwrap().allocate(100_000, false));
            })
        }),
        Case::new("memory: what lies idle for long is seen by who sleeps", slept_over).within(60),
    ]
}

/// One step: allocate so much, free or check the block of that number, or do something with an object.
#[derive(Clone, Copy, Debug)]
enum Step {
    Allocate(u64),
    Free(usize),
    Check(usize),
    Trim,
    Make,
    Share(usize),
    Drop(usize),
    Keep(usize),
    Unkeep(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let sizes = prop_oneof![
        8 => 0..600u64,
        6 => 600..9000u64,
        3 => 9000..200_000u64,
        // Powers of two, and one more or less, up to tens of MiB.
        3 => (0..26u32, 0..3u64).prop_map(|(n, more)| ((1 << n) + more).saturating_sub(1)),
        1 => 200_000..(5u64 << 20),
    ];
    let numbered = |step: fn(usize) -> Step| any::<usize>().prop_map(step);
    let step = prop_oneof![
        10 => sizes.prop_map(Step::Allocate),
        8 => numbered(Step::Free),
        4 => numbered(Step::Check),
        1 => Just(Step::Trim),
        2 => Just(Step::Make),
        2 => numbered(Step::Share),
        4 => numbered(Step::Drop),
        1 => numbered(Step::Keep),
        1 => numbered(Step::Unkeep),
    ];
    prop::collection::vec(step, 1..160)
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
        // Each byte is as the one before: one comparison, which is fast in every build.
        let whole = bytes.is_empty() || bytes[0] == self.pattern && bytes[1..] == bytes[..bytes.len() - 1];
        assert!(whole, "somebody else wrote into a block of {}", self.length);
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

/// An object as the model knows it: which value it has, the handles to it, and how often its token is kept.
struct Thing {
    token: Token,
    value: u32,
    handles: Vec<Semaphore>,
    kept: u32,
}

impl Thing {
    fn new(value: u32) -> Thing {
        let semaphore = Semaphore::new(value, 0).unwrap();
        Thing { token: semaphore.token(), value, handles: vec![semaphore], kept: 0 }
    }

    fn lives(&self) -> bool {
        self.kept > 0 || !self.handles.is_empty()
    }

    fn step(&mut self, step: Step) {
        let (arena, lived, kept) = (Arena::get().unwrap(), self.lives(), self.kept);
        let found = match step {
            Step::Share(_) => Semaphore::from_token(&self.token).map(|handle| {
                assert_eq!(handle.value().unwrap(), self.value);
                self.handles.push(handle);
            }),
            Step::Keep(_) => arena.keep(&self.token).map(|()| self.kept += 1),
            Step::Unkeep(_) => arena.unkeep(&self.token).map(|()| self.kept -= 1),
            _ => return drop(self.handles.pop()),
        };
        let expected = match step {
            _ if !lived => Status::Stale,
            Step::Unkeep(_) if kept == 0 => Status::Overflow,
            _ => Status::Ok,
        };
        assert_eq!(found.err().map_or(Status::Ok, |e| e.status()), expected);
    }
}

impl Drop for Thing {
    fn drop(&mut self) {
        (0..self.kept).for_each(|_| Arena::get().unwrap().unkeep(&self.token).unwrap());
    }
}

/// What one process has at the end of its steps.
#[derive(Default)]
struct World {
    blocks: Vec<Known>,
    things: Vec<Thing>,
}

fn play(steps: &[Step], seed: u8) -> World {
    let mut world = World::default();
    let World { blocks, things } = &mut world;
    for (i, step) in steps.iter().enumerate() {
        let pattern = seed.wrapping_add(i as u8);
        match *step {
            Step::Allocate(length) => blocks.push(Known::new(length, pattern)),
            Step::Free(n) if !blocks.is_empty() => {
                let gone = blocks.swap_remove(n % blocks.len());
                gone.check();
            }
            Step::Check(n) if !blocks.is_empty() => blocks[n % blocks.len()].check(),
            Step::Trim => drop(Arena::get().unwrap().trim_all()),
            Step::Make => things.push(Thing::new(u32::from(pattern))),
            Step::Share(n) | Step::Drop(n) | Step::Keep(n) | Step::Unkeep(n) if !things.is_empty() => {
                let number = n % things.len();
                things[number].step(*step);
            }
            _ => {}
        }
    }
    blocks.iter().for_each(Known::check);
    world
}

fn model(processes: usize) {
    let arena = Arena::get().unwrap();
    // The held table of this process grows now rather than in a case.
    drop((0..300).map(|i| Known::new(i, 0)).collect::<Vec<_>>());
    let start = arena.usage();
    let config = Config { cases: 150, failure_persistence: None, ..Config::default() };
    let every = prop::collection::vec(steps(), processes);
    let outcome = TestRunner::new(config).run(&every, |lists| {
        let others: Vec<Child> = lists[1..].iter().map(|list| fork(|| drop(play(list, 101)))).collect();
        let world = play(&lists[0], 1);
        for other in others {
            if other.wait() != Exit::Code(0) {
                return Err(TestCaseError::fail("the other process failed"));
            }
        }
        arena.sweep();
        let expected = Usage {
            bytes: start.bytes
                + world.blocks.iter().map(Known::cost).sum::<u64>()
                + 64 * world.things.iter().filter(|thing| thing.lives()).count() as u64,
            blocks: start.blocks + world.blocks.len() as u64,
            objects: start.objects + world.things.iter().filter(|thing| thing.lives()).count() as u64,
        };
        prop_assert_eq!(arena.usage(), expected);
        drop(world);
        prop_assert_eq!(arena.usage(), start);
        arena.trim_all();
        is_counted();
        // Slabs stay, one or two for each size.
        prop_assert!(given_by_the_kernel() < 24 << 20);
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

/// So many blocks of one granule; then holes of one, which serve again before the arena grows, and holes of many.
fn holes(count: usize) {
    let arena = Arena::get().unwrap();
    let timed = |what: &str, begun: Instant| println!("    {what}: {:.0?}", begun.elapsed());
    let small = || arena.allocate(10_000, false).unwrap();
    let begun = Instant::now();
    let mut blocks: Vec<Block> = (0..count).map(|_| small()).collect();
    timed("made", begun);
    let (backed, _) = arena.backed_and_idle();
    let begun = Instant::now();
    let mut numbers = Numbers(5);
    for _ in 0..count {
        let one = numbers.below(count as u64) as usize;
        drop(blocks.swap_remove(one));
        blocks.push(small());
    }
    timed("each freed and made", begun);
    assert_eq!(arena.backed_and_idle().0, backed, "the holes were not used");
    let begun = Instant::now();
    let mut kept = blocks.split_off(count / 2);
    for (n, block) in blocks.drain(..).enumerate() {
        if n % 2 == 0 {
            kept.push(block);
        }
    }
    // No hole is long enough for these, and then there are some.
    let longer: Vec<Block> = (0..200).map(|_| arena.allocate(1 << 20, false).unwrap()).collect();
    timed("beside holes", begun);
    let begun = Instant::now();
    drop((kept, longer));
    timed("freed", begun);
    let begun = Instant::now();
    arena.trim_all();
    timed("given back", begun);
    is_counted();
    assert!(given_by_the_kernel() < 64 << 20);
}

/// So many blocks of 10 MiB.
fn make_large(count: usize) -> Vec<Block> {
    (0..count).map(|_| Arena::get().unwrap().allocate(10 << 20, false).unwrap()).collect()
}

fn surplus() {
    drop(make_large(30));
    assert!(given_by_the_kernel() < 80 << 20);
    // Beside blocks that are in use.
    let all = make_large(40);
    let (kept, gone): (Vec<_>, Vec<_>) = all.into_iter().enumerate().partition(|(n, _)| n % 4 == 0);
    drop(gone);
    assert!(given_by_the_kernel() < 180 << 20);
    drop(kept);
    assert!(given_by_the_kernel() < 80 << 20);
    is_counted();
}

/// Little is idle, and goes back in the end while this process does `little`.
fn outlived(little: impl Fn()) {
    let start = given_by_the_kernel().max(8 << 20);
    for _ in 0..5 {
        drop(make_large(3));
    }
    wait_until("the idle memory has gone back", || {
        little();
        nap(20);
        given_by_the_kernel() <= start + (2 << 20)
    });
    is_counted();
}

/// All others do nothing, or sleep.
fn slept_over() {
    let semaphore = Semaphore::new(0, 0).unwrap();
    let sleeper = fork(|| semaphore.acquire(Deadline::Never).unwrap());
    outlived(|| {});
    semaphore.release(1).unwrap();
    sleeper.succeeds();
}
