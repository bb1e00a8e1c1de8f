//! The pool's processes as the host sees them: one zygote, or spawned workers; and what follows when one ends.

use super::host::{Member, Shared};
use super::layout::{PoolCell, CLOSED, OPEN, TERMINATED};
use super::{worker, zygote};
use crate::arena::{Arena, Holder, Obituary, Owner, Token};
use crate::error::{Error, Result};
use crate::process::conditions::Conditions;
use crate::process::end::{Ended, Exit};
use crate::process::identity::{ChildOptions, Identity};
use crate::process::reaper::{self, Child};
use crate::process::start::StartMethod;
use crate::process::{fork, forkserver, spawn};
use crate::sys::objects::Snapshot;
use crate::sys::prim::{fence, Ordering};
use crate::sys::{clock, log, signal, thread};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Arc;

/// The kind of bootstrap by which `crate::wiring` finds [`run_spawned`].
pub(crate) const WORKER_BOOTSTRAP: u32 = 2;
/// The kind of bootstrap by which `crate::wiring` finds [`run_zygote`].
pub(crate) const ZYGOTE_BOOTSTRAP: u32 = 4;

/// A worker that could not be replaced is tried to be no more often than this, in nanoseconds.
const REFILL_PAUSE: i64 = 100_000_000;

/// Makes the zygote of a pool whose workers are forked: a copy of this process, or of its fork server.
pub(super) fn make_zygote(shared: &Arc<Shared>) -> Result<()> {
    let (arena, cell, name) = (shared.arena(), shared.words(), shared.name.clone());
    let identity = Identity::worker(&shared.name, 0);
    let options = ChildOptions { identity, die_with_parent: true };
    let child = if shared.method == StartMethod::ForkServer {
        let mut payload = shared.cell.token().to_bytes().to_vec();
        payload.extend_from_slice(name.as_bytes());
        forkserver::fork(ZYGOTE_BOOTSTRAP, &payload, &options, &Conditions::default())?
    } else {
        fork::fork(options, move || zygote::run(arena, cell, name))?
    };
    enter(shared, 0, &child);
    let (host, owner) = (shared.clone(), child.owner);
    reaper::watch(child, Box::new(move |_| follow_zygote(host, owner)));
    Ok(())
}

/// The life of a zygote that the fork server has made: its pool is named by a token in the payload, behind which
/// stands the pool's name. Answers its exit code.
pub(crate) fn run_zygote(payload: &[u8]) -> i32 {
    let Some((token, name)) = payload.split_first_chunk::<32>() else { return crate::process::EXIT_FAILED };
    match Holder::<PoolCell>::from_token(&Token::from_bytes(token)) {
        Ok(pool) => zygote::run(pool.arena(), pool.body(), String::from_utf8_lossy(name).into_owned()),
        // The pool has gone while this process was on its way.
        Err(_) => 0,
    }
}

/// Notes a child, so that the pool can end it. One that comes too late is ended at once.
fn enter(shared: &Arc<Shared>, index: usize, child: &Child) {
    let mut host = shared.host.lock();
    host.children[index] = child.pidfd.clone().map(Member::Process);
    if shared.cell.state() >= TERMINATED {
        if let Some(pidfd) = &child.pidfd {
            let _ = pidfd.send_signal(libc::SIGKILL);
        }
    }
}

/// On the reaper's thread: the zygote has ended. A fork server that is to make the next one may have to be started and
/// warmed up first, which is not for this thread to wait for.
fn follow_zygote(shared: Arc<Shared>, zygote: Owner) {
    if shared.method == StartMethod::ForkServer {
        let host = shared.clone();
        let follow = move || {
            if catch_unwind(AssertUnwindSafe(|| after_zygote(&host, zygote))).is_err() {
                log::say(log::ERROR, "a defect in libmp: what follows a zygote's end has failed");
            }
        };
        if thread::start_detached(c"mp-pool-zygote", thread::SMALL_STACK, follow).is_ok() {
            return;
        }
    }
    after_zygote(&shared, zygote);
}

/// The zygote has ended: in order, after the pool was closed or terminated, or by a signal. Its workers have gone
/// with it.
fn after_zygote(shared: &Arc<Shared>, zygote: Owner) {
    let (arena, cell) = (shared.arena(), shared.words());
    arena.abandon_children_of(zygote);
    zygote::await_orphans(arena, cell);
    shared.mend(|owner| zygote::fate(arena, cell, owner));
    let began = cell.record(arena, cell.workers()).owner.load(Ordering::Acquire) == zygote.bits();
    let hopeless = shared.is_hopeless(began);
    let state = cell.state();
    if state >= TERMINATED {
        // A zygote that has broken the pool could not refuse what was just being submitted.
        shared.end_all();
    } else if state == OPEN || shared.has_unfinished() {
        // The new one has the host's memory as of now.
        *shared.loaded.lock() = Arc::new(Snapshot::take());
        let forked = if hopeless { Err(stillborn()) } else { make_zygote(shared) };
        match forked {
            Ok(()) => return,
            Err(error) => {
                shared.break_up(&format!("its workers have ended and it can't make new ones: {error}"));
            }
        }
    }
    shared.forget_child(0);
}

fn stillborn() -> Error {
    Error::state("they end as soon as they begin")
}

/// Kills the workers of a fork pool, which are not this process's children. The zygote collects them.
pub(super) fn kill_forked(arena: &Arena, cell: &PoolCell) {
    // Either a worker sees that the pool was terminated, or its owner word is seen here.
    fence(Ordering::SeqCst);
    for record in (0..cell.workers()).map(|index| cell.record(arena, index)) {
        zygote::kill(arena, Owner::of_word(record.owner.load(Ordering::Acquire)));
    }
}

/// Spawns a worker of a spawn pool.
pub(super) fn spawn(shared: &Arc<Shared>, index: u32) -> Result<()> {
    let mut payload = shared.cell.token().to_bytes().to_vec();
    payload.extend_from_slice(&index.to_ne_bytes());
    shared.cell.record(shared.arena(), index).owner.store(0, Ordering::Release);
    let options = ChildOptions {
        identity: Identity::worker(&shared.name, u64::from(index) + 1),
        die_with_parent: true,
    };
    let child = spawn::spawn(WORKER_BOOTSTRAP, &payload, &options, &Conditions::default())?;
    enter(shared, index as usize, &child);
    let (host, owner, pid) = (shared.clone(), child.owner, child.pid);
    reaper::watch(child, Box::new(move |ended| after_worker(&host, index, owner, pid, ended)));
    Ok(())
}

/// A spawned worker has ended.
fn after_worker(shared: &Arc<Shared>, index: u32, owner: Owner, pid: i32, ended: Ended) {
    let (code, signal) = match ended.exit {
        Exit::Code(code) => (code, 0),
        Exit::Signal(signal) => (0, signal),
        Exit::Unknown => (ended.exit.number(), 0),
    };
    let cell = shared.words();
    let began = cell.record(shared.arena(), index).owner.load(Ordering::Acquire) == owner.bits();
    let queued = shared.mend(|dead| (dead == owner).then_some(Obituary { pid, code, signal }));
    // One that never began and was killed for it has taken its time already.
    let hopeless = shared.is_hopeless(began) || (ended.unbegun.is_some() && signal != 0);
    let state = cell.state();
    let in_order = code == 0 && signal == 0 && state >= CLOSED;
    let mut is_missing = false;
    if state < TERMINATED && (queued || !in_order) {
        let stillborn = || ended.unbegun.unwrap_or_else(stillborn);
        match if hopeless { Err(stillborn()) } else { spawn(shared, index) } {
            Ok(()) => return,
            Err(error) if shared.is_last_child(index as usize) => {
                shared.break_up(&format!("its last worker has ended and it can't make new ones: {error}"));
            }
            Err(error) => {
                let text = format!("{}: a worker has ended and can't be replaced: {error}", shared.name);
                log::say(log::WARNING, &text);
                is_missing = !hopeless;
            }
        }
    }
    // Before it may be replaced: what is forgotten then would be the new one.
    shared.forget_child(index as usize);
    if is_missing {
        shared.host.lock().missing.push(index);
    }
    refill(shared);
}

/// Tries again to replace spawned workers that could not be replaced, if there are any and a while has passed.
pub(super) fn refill(shared: &Arc<Shared>) {
    let missing = {
        let mut host = shared.host.lock();
        let now = clock::now();
        if host.missing.is_empty() || now < host.again_at || shared.cell.state() != OPEN {
            return;
        }
        host.again_at = now + REFILL_PAUSE;
        std::mem::take(&mut host.missing)
    };
    let still = missing.into_iter().filter(|index| spawn(shared, *index).is_err()).collect::<Vec<_>>();
    shared.host.lock().missing.extend(still);
}

/// The life of a spawned worker: its pool is named by a token in the payload. Answers its exit code.
pub(crate) fn run_spawned(payload: &[u8]) -> i32 {
    signal::ignore_interrupt();
    let parts = payload.split_first_chunk::<32>().and_then(|(token, rest)| {
        Some((Token::from_bytes(token), u32::from_ne_bytes(rest.try_into().ok()?)))
    });
    let Some((token, index)) = parts else { return crate::process::EXIT_FAILED };
    let joined = Holder::<PoolCell>::from_token(&token);
    match joined {
        Ok(pool) => worker::work(pool.arena(), pool.body(), index),
        // The pool has gone while this process was on its way.
        Err(_) => 0,
    }
}
