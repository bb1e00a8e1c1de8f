//! What is left of a process that died in a queue, and of a queue whose last holder has gone.

use super::cell::QueueCell;
use super::ring::{Found, Position, Ring};
use crate::arena::held::kind;
use crate::arena::{Arena, BlockRef, Entry};
use crate::sys::prim::Ordering;

fn cell_of<'a>(arena: &'a Arena, entry: &Entry) -> (&'a QueueCell, u64) {
    let (_, queue, detail) = entry.words();
    (arena.cell_at(BlockRef::from_bits(queue)), detail)
}

/// A put in doubt: committed if the tail has passed its position; then the message is the queue's.
pub(crate) fn settle_put(arena: &Arena, entry: &Entry) {
    let (cell, position) = cell_of(arena, entry);
    let committed = cell.tail.position().ordinal() != Position(position).ordinal();
    entry.become_kind(if committed { kind::FREE } else { kind::PRIVATE });
}

/// A get in doubt: committed if the head has passed its position; then the message was the dead process's.
pub(crate) fn settle_take(arena: &Arena, entry: &Entry) {
    let (cell, position) = cell_of(arena, entry);
    let committed = cell.head.position().ordinal() != Position(position).ordinal();
    entry.become_kind(if committed { kind::PRIVATE } else { kind::FREE });
}

/// A growth in doubt: one of the two rings goes back.
pub(crate) fn settle_ring(arena: &Arena, entry: &Entry) {
    let (cell, old) = cell_of(arena, entry);
    let (new, _, _) = entry.words();
    if cell.ring.load(Ordering::Acquire) == new {
        arena.give_back(BlockRef::from_bits(old), entry);
    } else {
        entry.become_kind(kind::PRIVATE);
    }
}

/// Wakes whoever waits for either end of the queue at `offset`: each looks again whether it is its turn.
pub(crate) fn stir(arena: &Arena, offset: u64) {
    let events = &arena.at::<QueueCell>(offset).events;
    for event in [&events.message, &events.room] {
        event.announce_to_all(arena);
        event.watchers.rouse(arena);
    }
}

/// Takes apart the queue at `offset`: its messages, then its ring. Each step may be done twice.
pub(crate) fn destroy(arena: &Arena, offset: u64) {
    let cell = arena.at::<QueueCell>(offset);
    let block = BlockRef::from_bits(cell.ring.load(Ordering::Acquire));
    let Some(ring) = Ring::of(arena, block) else { return };
    while cell.head.position() != cell.tail.position() {
        let Ok((found, next)) = ring.read(cell.head.position()) else { break };
        if let Found::Block(message, _) = found {
            arena.release_block(message);
        }
        crate::fault!("queue.destroy:message");
        cell.head.advance(next);
    }
    arena.release_block(block);
    crate::fault!("queue.destroy:ring");
    cell.ring.store(0, Ordering::Release);
}
