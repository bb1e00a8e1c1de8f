//! Descriptors on request: from an object's changes to a number that poll understands.
//!
//! A process that asks for an object's descriptor enters itself among the object's watchers and gets a descriptor of
//! its own; none is ever shared between processes. One thread per arena sleeps on the process's doorbell, and after
//! each ring makes every descriptor readable or not, as its object says at that moment; for what the dead may have, it
//! looks after them. The thread begins with the first descriptor.
//!
//! Nothing here lies in the arena, so that nothing needs mending: who dies between a change and its ring is mended by
//! its settler, who rings, and by the thread, which looks again after a second. A forked child closes its copies of
//! its parent's descriptors at once, begins with none, and starts a thread of its own when it asks for one.

use super::wait::Waiter;
use super::Arena;
use crate::error::Result;
use crate::sys::clock::Deadline;
use crate::sys::fork::{Handlers, LocalLock};
use crate::sys::level::Level;
use crate::sys::prim::{AtomicU64, Ordering};
use crate::sys::thread;
use std::os::fd::RawFd;

/// What a descriptor tells of, or a wait for many is for: one side of an object.
pub trait Watched: Send + Sync {
    /// Enters this process among those whose bells ring when `is_ready` may have changed, in either direction.
    fn enter(&self, arena: &Arena);
    /// Whether the descriptor is to be readable. No system call, no lock.
    fn is_ready(&self) -> bool;
    /// What the dead have, and would make it ready, comes back. In how many nanoseconds it is to be asked again, if the
    /// bell does not ring before.
    fn look_after(&self, _arena: &Arena) -> Option<i64> {
        None
    }
    /// The same for who does not wait, and so may come again and again: done now and then only. Whether something may
    /// have come back.
    fn glance(&self, _arena: &Arena) -> bool {
        false
    }
}

impl<T: Watched> Watched for &'static T {
    fn enter(&self, arena: &Arena) {
        T::enter(self, arena);
    }

    fn is_ready(&self) -> bool {
        T::is_ready(self)
    }

    fn look_after(&self, arena: &Arena) -> Option<i64> {
        T::look_after(self, arena)
    }

    fn glance(&self, arena: &Arena) -> bool {
        T::glance(self, arena)
    }
}

struct Entry {
    id: u64,
    arena: &'static Arena,
    watched: Box<dyn Watched>,
    level: Level,
}

impl Entry {
    /// Whether it has changed.
    fn update(&mut self) -> bool {
        self.level.set(self.watched.is_ready())
    }
}

/// The descriptors of this process, and in which arenas a thread looks after them.
struct State {
    /// The process that this state speaks of: a forked child finds its parent's, and begins anew.
    home: u32,
    entries: Vec<Entry>,
    threads: Vec<&'static Arena>,
    /// How many of the threads have begun.
    begun: usize,
    last: u64,
}

impl State {
    const fn of(home: u32, last: u64) -> State {
        State { home, entries: Vec::new(), threads: Vec::new(), begun: 0, last }
    }

    fn disown(&mut self) {
        self.entries.iter_mut().for_each(|entry| entry.level.disown());
    }
}

static STATE: LocalLock<State> = LocalLock::new(State::of(0, 0));

static HANDLERS: Handlers = Handlers::new();

extern "C" fn hold() {
    HANDLERS.begin(|| STATE.hold_over_fork());
}

extern "C" fn release() {
    if HANDLERS.end_in_parent() {
        STATE.release_after_fork();
    }
}

extern "C" fn disown() {
    if !HANDLERS.end_in_child() {
        return;
    }
    // SAFETY: the prepare handler took the lock, and this handler alone runs until it is released.
    unsafe { STATE.held() }.disown();
    STATE.release_after_fork();
}

/// Runs `f` with this process's state.
fn with_state<R>(f: impl FnOnce(&mut State) -> R) -> R {
    let mut state = STATE.lock();
    let mut inherited = None;
    if state.home != std::process::id() {
        // Numbers go on, so that a handle of the parent's finds nothing.
        let new = State::of(std::process::id(), state.last);
        inherited = Some(std::mem::replace(&mut *state, new));
    }
    let result = f(&mut state);
    drop(state);
    if let Some(mut inherited) = inherited {
        // Again, for a process that was made past the fork handlers.
        inherited.disown();
    }
    result
}

/// The descriptor of a handle, made at the first request. It goes with the handle.
#[derive(Debug, Default)]
pub struct Descriptor {
    /// The entry's number, 0 if nobody has asked yet.
    id: AtomicU64,
}

impl Descriptor {
    /// The number of the descriptor. It tells of what `watched` answers, which must stay valid until this is dropped;
    /// at this moment it is right.
    pub fn get(&self, arena: &'static Arena, watched: impl FnOnce() -> Box<dyn Watched>) -> Result<RawFd> {
        HANDLERS.register(hold, release, disown);
        with_state(|state| {
            let id = self.id.load(Ordering::Relaxed);
            if let Some(place) = state.entries.iter().position(|entry| entry.id == id) {
                if state.entries[place].level.is_whole() {
                    state.entries[place].update();
                    return Ok(state.entries[place].level.fd());
                }
                // The host has closed it.
                state.entries.swap_remove(place);
            }
            start_thread(state, arena)?;
            let mut entry = Entry { id: state.last + 1, arena, watched: watched(), level: Level::new()? };
            entry.watched.enter(arena);
            entry.update();
            state.last = entry.id;
            self.id.store(entry.id, Ordering::Relaxed);
            let fd = entry.level.fd();
            if entry.watched.look_after(arena).is_some() {
                // The thread may be asleep, and does not know yet that it is to look after something.
                arena.ring_own_bell();
            }
            state.entries.push(entry);
            Ok(fd)
        })
    }
}

impl Descriptor {
    /// Makes it right at this moment, if anybody has asked for it: for who has found that there is nothing, and may ask
    /// poll next.
    #[cold]
    pub fn refresh(&self) {
        let id = self.id.load(Ordering::Relaxed);
        if id != 0 {
            with_state(|state| {
                state.entries.iter_mut().filter(|entry| entry.id == id).for_each(|entry| {
                    entry.update();
                })
            });
        }
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        let id = *self.id.get_mut();
        if id != 0 {
            with_state(|state| state.entries.retain(|entry| entry.id != id));
        }
    }
}

fn start_thread(state: &mut State, arena: &'static Arena) -> Result<()> {
    if !state.threads.iter().any(|known| std::ptr::eq(*known, arena)) {
        // The thread finds its arena itself: what it carried would be lost in forked children.
        thread::start_detached(c"mp-bridge", thread::SMALL_STACK, run)?;
        state.threads.push(arena);
    }
    Ok(())
}

fn run() {
    let arena = with_state(|state| {
        state.begun += 1;
        state.threads[state.begun - 1]
    });
    // Of this arena's entries; the number of the last one of all.
    let each = |f: &mut dyn FnMut(&mut Entry)| {
        let here = |entry: &&mut Entry| std::ptr::eq(entry.arena, arena);
        with_state(|state| {
            state.entries.iter_mut().filter(here).for_each(f);
            state.last
        })
    };
    loop {
        let mut next = None;
        let last = each(&mut |entry| {
            let again = entry.watched.look_after(arena);
            next = next.into_iter().chain(again).min();
        });
        let waiter = Waiter::new(arena, next.map_or(Deadline::Never, Deadline::after)).uncancelled();
        let mut news = false;
        let _ = arena.await_bell(waiter, || {
            news |= each(&mut |entry| news |= entry.update()) != last;
            news.then_some(())
        });
    }
}
