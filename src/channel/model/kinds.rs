//! Queues of every kind against the reference, in an arena of their own, in which nothing may be left.

use super::super::ring::Position;
use super::super::{Overflow, Queue, QueueKind, QueueOptions};
use super::pair::Pair;
use crate::arena::{Arena, OpenOptions};
use crate::sys::clock::Deadline;
use proptest::prelude::*;

#[derive(Clone, Debug)]
pub(super) enum Step {
    Put(usize),
    PutPriority(i64, usize),
    PutMany(Vec<usize>),
    /// A new buffer.
    PutBuffer(usize),
    /// One that was got, if there is one.
    PutKept(usize),
    Reserve(usize),
    Commit(usize),
    /// So many thousandths of it, or one byte too many.
    CommitPart(usize, usize),
    Abandon(usize),
    Get,
    GetInto(usize),
    GetMany(usize),
    GetManyInto(usize, usize),
    TaskDone,
    Acknowledge(usize),
    Free(usize),
    Join,
    Close,
}

fn length() -> impl Strategy<Value = usize> {
    // Round the limits of slots, units and small buffers, and some that are long.
    prop_oneof![
        2 => Just(0usize),
        6 => 1usize..100,
        2 => 38usize..43,
        2 => 1020usize..1030,
        1 => 4000usize..4200,
        1 => Just(100 << 10),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let room = || prop_oneof![0usize..200, 1000usize..6000, Just(300usize << 10)];
    prop_oneof![
        8 => length().prop_map(Step::Put),
        8 => (-2i64..3, length()).prop_map(|(priority, length)| Step::PutPriority(priority, length)),
        1 => prop::sample::select(vec![i64::MIN, i64::MAX]).prop_map(|p| Step::PutPriority(p, 1)),
        3 => prop::collection::vec(length(), 0..8).prop_map(Step::PutMany),
        2 => length().prop_map(Step::PutBuffer),
        2 => (0usize..8).prop_map(Step::PutKept),
        3 => length().prop_map(Step::Reserve),
        2 => (0usize..8).prop_map(Step::Commit),
        2 => (0usize..8, 0usize..1002).prop_map(|(which, part)| Step::CommitPart(which, part)),
        1 => (0usize..8).prop_map(Step::Abandon),
        8 => Just(Step::Get),
        4 => room().prop_map(Step::GetInto),
        2 => (1usize..6).prop_map(Step::GetMany),
        3 => (room(), 1usize..6).prop_map(|(room, most)| Step::GetManyInto(room, most)),
        4 => Just(Step::TaskDone),
        6 => (0usize..8).prop_map(Step::Acknowledge),
        4 => (0usize..8).prop_map(Step::Free),
        2 => Just(Step::Join),
    ]
}

fn options() -> impl Strategy<Value = QueueOptions> {
    let kinds = vec![QueueKind::Fifo, QueueKind::Lifo, QueueKind::Priority];
    let overflows = vec![Overflow::Wait, Overflow::Fail, Overflow::DropOldest];
    (
        prop::sample::select(kinds),
        prop::sample::select(vec![0i64, 0, 1, 3, 17]),
        prop::sample::select(vec![0u64, 0, 1, 100, 3000, 150_000]),
        prop::sample::select(overflows),
        any::<bool>(),
    )
        .prop_map(|(kind, maxsize, max_bytes, overflow, redeliver)| QueueOptions {
            kind,
            maxsize,
            max_bytes,
            overflow,
            redeliver,
        })
}

/// An arena that no other test has.
fn own_arena(test: &str) -> &'static Arena {
    let name = format!("{test}-{}", std::process::id());
    let uid = crate::sys::shmfile::effective_uid();
    let options = OpenOptions { capacity: 256 << 20, mode: 0o600, uid, must_exist: false };
    let arena = Arena::open_named(&name, &options).unwrap();
    Arena::unlink_named(&name).unwrap();
    // The held table grows with what is held at once, and stays.
    drop((0..4000).map(|_| arena.allocate(16, false).unwrap()).collect::<Vec<_>>());
    arena
}

fn run(arena: &'static Arena, options: &QueueOptions, start: Position, steps: &[Step], close: usize) {
    let mut pair = Pair::new(Queue::begin_at(arena, options, start).unwrap(), options);
    for (number, step) in steps.iter().enumerate() {
        if number == close {
            pair.step(&Step::Close);
        }
        pair.step(step);
        pair.check();
    }
    pair.end();
}

fn check_nothing_is_left(arena: &Arena, before: crate::arena::Usage) {
    // Children that other tests fork have copies for a moment.
    let end = Deadline::after(20_000_000_000);
    while arena.usage() != before {
        assert!(end.left() > 0, "{before:?}, {:?}", arena.usage());
        // They die unnoticed.
        arena.sweep();
    }
}

fn check_against_model(test: &str, kind: impl Fn(QueueOptions) -> Option<QueueOptions>) {
    let arena = own_arena(test);
    let before = arena.usage();
    let strategy = (
        options().prop_filter_map("not of this test", kind),
        any::<bool>(),
        (0u32..40, 0u32..400),
        prop::collection::vec(step(), 1..120),
        prop::sample::select(vec![usize::MAX, usize::MAX, 20, 60]),
    );
    let config = ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() };
    proptest!(config, |((options, wraps, ahead, steps, close) in strategy)| {
        let start = match wraps {
            true => Position::new(ahead.0.wrapping_neg(), ahead.1.wrapping_neg()),
            false => Position::new(0, 0),
        };
        run(arena, &options, start, &steps, close);
        check_nothing_is_left(arena, before);
    });
}

#[test]
fn fifos_are_like_the_reference() {
    check_against_model("model-fifo", |options| {
        Some(QueueOptions { kind: QueueKind::Fifo, redeliver: false, ..options })
    });
}

#[test]
fn stores_are_like_the_reference() {
    check_against_model("model-store", |options| {
        let is_store = options.kind != QueueKind::Fifo;
        is_store.then_some(QueueOptions { redeliver: false, ..options })
    });
}

#[test]
fn queues_that_redeliver_are_like_the_reference() {
    check_against_model("model-redeliver", |options| Some(QueueOptions { redeliver: true, ..options }));
}
