//! Mending a pool after a death: what the dead worker had in its hands fails, what it had only claimed to look at
//! goes to others.
//!
//! One process at a time mends: the zygote for its workers; the host for spawned ones, and after the zygote's own
//! end. The dead no longer write, so the fields of an item are written first and its state exchanged last; whoever
//! mends again after a mender's death finds the same items.

use super::item::{Item, Job, Reason, State, RAN};
use super::layout::{First, PoolCell, WorkerRecord, BROKEN, TERMINATED};
use super::worker::announce_if_complete;
use crate::arena::{wait, Arena, Obituary, Owner};
use crate::fault;
use crate::sys::clock;
use crate::sys::prim::Ordering;

/// Gives every item an outcome that a process for which `fate` answers something had in its hands, and sets the
/// hints back. `record` is the mender's. True if items are queued.
pub(super) fn mend(
    arena: &Arena,
    cell: &PoolCell,
    record: &WorkerRecord,
    fate: impl Fn(Owner) -> Option<Obituary>,
) -> bool {
    let terminated = cell.state() >= TERMINATED;
    let mut queued = false;
    // By position, not by place: the host may put a larger table in place meanwhile.
    for position in cell.positions() {
        if let Some(job) = cell.use_job(arena, position, record) {
            queued |= mend_job(arena, cell, &job, terminated, &fate);
        }
    }
    record.hazard.store(0, Ordering::Release);
    let low = cell.low.load(Ordering::Acquire);
    let back = |first| Some(First(first).set_back(low).0);
    let _ = cell.first.fetch_update(Ordering::AcqRel, Ordering::Acquire, back);
    fault!("pool.mend:set back");
    wait::notify(arena, &cell.work, u32::MAX);
    queued
}

/// True if items are queued.
fn mend_job(
    arena: &Arena,
    cell: &PoolCell,
    job: &Job<'_>,
    terminated: bool,
    fate: &impl Fn(Owner) -> Option<Obituary>,
) -> bool {
    let mut queued = None;
    for index in job.head.low.load(Ordering::Acquire)..job.count() {
        let item = job.item(index);
        match item.state() {
            State::Queued => queued = queued.or(Some(index)),
            State::Claimed(owner) => {
                if let Some(obituary) = fate(owner) {
                    fail(item, owner, obituary, terminated);
                }
            }
            State::Done | State::Failed(_) => {}
        }
    }
    if let Some(queued) = queued {
        job.head.cursor.fetch_min(queued, Ordering::AcqRel);
    }
    if announce_if_complete(arena, cell, job) {
        // The dead worker may have been the one that rang.
        job.head.watchers.rouse(arena);
    }
    queued.is_some()
}

/// The item fails with the process that had it.
pub(super) fn fail(item: &Item, owner: Owner, obituary: Obituary, terminated: bool) {
    if terminated {
        item.exchange(State::Claimed(owner), State::Failed(Reason::Cancelled));
        return;
    }
    let elapsed = match item.time.load(Ordering::Relaxed) {
        // It died before it had written the time.
        0 => 0,
        ran if ran & RAN != 0 => ran & !RAN,
        since => (clock::now() as u64).saturating_sub(since),
    };
    item.result.store(0, Ordering::Relaxed);
    item.length.store(0, Ordering::Relaxed);
    item.code.store(obituary.code as u32, Ordering::Relaxed);
    item.inline[0].store(obituary.pid as u32 as u64, Ordering::Relaxed);
    item.inline[1].store(obituary.signal as u32 as u64, Ordering::Relaxed);
    // `time` stays as it is, for whoever mends again.
    item.inline[2].store(elapsed, Ordering::Relaxed);
    fault!("pool.mend:written");
    item.exchange(State::Claimed(owner), State::Failed(Reason::Died));
    fault!("pool.mend:failed");
}

/// The pool is terminated or broken: every item without an outcome gets one. Workers that still run find that
/// their items are no longer theirs.
pub(super) fn end_all(arena: &Arena, cell: &PoolCell, record: &WorkerRecord) {
    let reason = if cell.state() == BROKEN { Reason::Broken } else { Reason::Cancelled };
    for position in cell.positions() {
        let Some(job) = cell.use_job(arena, position, record) else { continue };
        for number in job.head.low.load(Ordering::Acquire)..job.count() {
            let item = job.item(number);
            let mut seen = item.state();
            while !seen.is_final() && !item.exchange(seen, State::Failed(reason)) {
                seen = item.state();
            }
        }
        announce_if_complete(arena, cell, &job);
    }
    record.hazard.store(0, Ordering::Release);
    wait::notify(arena, &cell.work, u32::MAX);
}
