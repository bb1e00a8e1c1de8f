//! What is left of a process that died in a channel, and of a channel whose last holder has gone.

use super::ring::{Found, Position, Ring};
use super::store::{self, Store};
use super::words::{rule, Words};
use crate::arena::held::kind;
use crate::arena::{event, Arena, Block, BlockRef, Entry};
use crate::sys::prim::{AtomicU64, Ordering};

fn words_of<'a>(arena: &'a Arena, entry: &Entry) -> (&'a Words, u64) {
    let (_, words, detail) = entry.words();
    (arena.at(words), detail)
}

/// A put in doubt: committed if the tail has passed its position; then the message is the channel's.
pub(crate) fn settle_put(arena: &Arena, entry: &Entry) {
    let (words, at) = words_of(arena, entry);
    let committed = if words.is(rule::STORE) {
        store::was_put(arena, words, at)
    } else {
        words.tail.position().ordinal() != Position(at).ordinal()
    };
    entry.become_kind(if committed { kind::FREE } else { kind::PRIVATE });
}

/// A get in doubt: committed if the head has passed its position; then the message was the dead process's.
pub(crate) fn settle_take(arena: &Arena, entry: &Entry) {
    let (words, at) = words_of(arena, entry);
    let committed = if words.is(rule::STORE) {
        store::was_taken(arena, words, at)
    } else {
        words.head.position().ordinal() != Position(at).ordinal()
    };
    entry.become_kind(if committed { kind::PRIVATE } else { kind::FREE });
}

/// A growth in doubt: one of the two blocks goes back.
pub(crate) fn settle_ring(arena: &Arena, entry: &Entry) {
    let (new, word, old) = entry.words();
    if arena.at::<AtomicU64>(word).load(Ordering::Acquire) == new {
        arena.give_back(BlockRef::from_bits(old), entry);
    } else {
        entry.become_kind(kind::PRIVATE);
    }
}

/// Makes a block the part of a channel that `word` names, in place of the one before, by one store. The caller has the
/// turns of all who look at it.
pub(super) fn replace_part(arena: &'static Arena, word: &AtomicU64, block: Block) {
    let before = word.load(Ordering::Relaxed);
    let (new, entry_index) = block.into_parts();
    let entry = arena.my_entry(entry_index);
    entry.turn(kind::QUEUE_RING, arena.offset_of(word), before);
    crate::fault!("queue.grow:prepared");
    word.store(new.bits(), Ordering::Release);
    crate::fault!("queue.grow:exchanged");
    arena.give_back(BlockRef::from_bits(before), entry);
    arena.return_entry(entry_index);
}

/// Who held the channel has died. Those who wait for either end look again whether it is their turn, and whoever has
/// the head's turn next whether the dead one had taken something.
pub(super) fn stir_words(arena: &Arena, words: &Words) {
    if words.is(rule::REDELIVER) {
        words.bereft.store(1, Ordering::Release);
        crate::fault!("queue.stir:bereft");
    }
    announce_after_death(arena, words);
    event::rouse(&words.events.done);
}

/// Those who wait for either end look again, whether or not others have told them before, or half.
pub(super) fn announce_after_death(arena: &Arena, words: &Words) {
    for event in [&words.events.message, &words.events.room] {
        event.announce_to_all(arena);
        event.watchers.rouse(arena);
    }
}

/// Takes apart the channel: its messages, then its parts. Each step may be done twice.
pub(super) fn destroy_words(arena: &Arena, words: &Words) {
    let block = BlockRef::from_bits(words.ring.load(Ordering::Acquire));
    // Who was killed here may have given the block back already.
    let whole = arena.is_held(block);
    if whole && words.is(rule::STORE) {
        if let Some(store) = Store::of(arena, words, None) {
            store.each_block(|block| {
                arena.release_block(block);
                crate::fault!("queue.destroy:stored");
            });
        }
    } else if let Some(ring) = Ring::of(arena, block).filter(|_| whole) {
        while words.head.position() != words.tail.position() {
            let Ok((found, next)) = ring.read(words.head.position()) else { break };
            if let Found::Block(message, _) = found {
                arena.release_block(message);
            }
            crate::fault!("queue.destroy:message");
            words.head.advance(next);
        }
    }
    for word in [&words.ring, &words.accounts, &words.reservations] {
        let block = BlockRef::from_bits(word.load(Ordering::Acquire));
        if !block.is_none() {
            arena.release_block(block);
            crate::fault!("queue.destroy:ring");
            word.store(0, Ordering::Release);
        }
    }
}
