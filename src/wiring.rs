//! What the arena must know of the floors above: how each kind of object is taken apart, and how the held entries
//! of each kind are settled when their process has died.

use crate::arena::held::kind;
use crate::arena::{Arena, Entry, ObjectKind};
use crate::{channel, pool, process, shared, sync};

/// Takes apart the object at `offset`, whose last holder has gone. Idempotent: it may be done again from the
/// start when the process that did it died.
pub(crate) fn destroy(arena: &Arena, offset: u64) {
    match arena.kind_of(offset) {
        Some(ObjectKind::Queue) => channel::destroy(arena, offset),
        Some(ObjectKind::Pipe) => channel::pipe::destroy(arena, offset),
        Some(ObjectKind::Connection) => channel::pipe::end(arena, offset),
        Some(ObjectKind::Pool) => pool::destroy(arena, offset),
        Some(ObjectKind::Barrier) => sync::barrier::destroy(arena, offset),
        Some(ObjectKind::Condition) => sync::condition::destroy(arena, offset),
        Some(ObjectKind::Value) => shared::destroy_value(arena, offset),
        Some(ObjectKind::Array) => shared::destroy_array(arena, offset),
        Some(ObjectKind::SharedMemory) => shared::destroy_memory(arena, offset),
        // Nothing but their cells.
        Some(
            ObjectKind::Lock
            | ObjectKind::Semaphore
            | ObjectKind::RLock
            | ObjectKind::Event
            | ObjectKind::RobustSemaphore,
        ) => {}
        _ => {}
    }
}

/// A process that held the object at `offset` has died, perhaps between a change and the wake-ups that it owed.
pub(crate) fn stir(arena: &Arena, offset: u64) {
    match arena.kind_of(offset) {
        Some(ObjectKind::Queue) => channel::stir(arena, offset),
        Some(ObjectKind::Connection) => channel::pipe::stir(arena, offset),
        Some(ObjectKind::Barrier) => sync::barrier::stir(arena, offset),
        Some(ObjectKind::Condition) => sync::condition::stir(arena, offset),
        Some(ObjectKind::Event) => sync::event::stir(arena, offset),
        Some(ObjectKind::Semaphore) => sync::semaphore::stir(arena, offset),
        Some(ObjectKind::RobustSemaphore) => sync::robust::stir(arena, offset),
        _ => {}
    }
}

/// Settles an entry of a kind that belongs to a floor above. The entry must end as one that the arena knows.
pub(crate) fn settle(arena: &Arena, entry_kind: u32, entry: &Entry) {
    match entry_kind {
        kind::QUEUE_PUT => channel::settle_put(arena, entry),
        kind::QUEUE_TAKE => channel::settle_take(arena, entry),
        kind::QUEUE_RING => channel::settle_ring(arena, entry),
        kind::POOL_RESULT => pool::settle_result(arena, entry),
        kind::POOL_JOB => pool::settle_job(arena, entry),
        kind::OBJECT_PART => arena.settle_part(entry),
        kind::NAME => arena.settle_name(entry),
        kind::LINK => arena.settle_link(entry),
        kind::PERMIT => sync::robust::settle_permit(arena, entry),
        // A kind of a later version: what it names can't be given back by this one.
        _ => entry.become_kind(kind::FREE),
    }
}

/// In a spawned child: runs what it was spawned for; its exit code.
pub(crate) fn run_child(kind: u32, payload: &[u8]) -> i32 {
    match kind {
        process::spawn::PROCESS => process::run_spawned(payload),
        process::forkserver::SERVER => process::server::serve(payload),
        pool::WORKER_BOOTSTRAP => pool::run_spawned(payload),
        pool::ZYGOTE_BOOTSTRAP => pool::run_zygote(payload),
        _ => process::EXIT_FAILED,
    }
}
