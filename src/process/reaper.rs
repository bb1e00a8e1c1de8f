//! The reaper: one thread that sees this process's children die, at once, and mends what they leave.
//!
//! It waits only for the children that it was told of, by pidfd, and blocks all signals. For each that has ended it
//! collects the status, buries the slot (which wakes whoever waited for the dead one) and then calls back.
//!
//! A host may reap our children (`waitpid(-1)`), ignore SIGCHLD, or close the pidfds. Then the kernel has no end to
//! tell, and the slot's record decides: a child writes its exit code there before it leaves.

use super::beginning::Beginning;
use super::bootstrap::Bootstrap;
use super::end::{Ended, Exit};
use crate::arena::{self, Arena, Owner};
use crate::error::Result;
use crate::fault;
use crate::sys::clock::{self, Deadline};
use crate::sys::fork::LocalLock;
use crate::sys::log;
use crate::sys::pidfd::{self, PidFd};
use crate::sys::prim::{Futex, Ordering};
use crate::sys::watch::Watcher;
use crate::sys::{child, futex, thread};
use std::os::fd::RawFd;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Arc;

/// While there are children, the reaper looks after everything this often, in nanoseconds.
const ROUND: i64 = 1_000_000_000;
/// Children without a descriptor are looked after this often.
const NAP: i64 = 10_000_000;
/// After a start the reaper looks for further ones by itself, this often and so many times, in nanoseconds: programs start
/// children by the dozen, and to wake this thread for each would cost as much as a tenth of a start.
const TICK: i64 = 1_000_000;
const TICKS: u32 = 8;
/// A child is mended in less, in nanoseconds.
const SLICE: u64 = 100_000;
const NONE: RawFd = -1;

/// A child that was just made.
#[derive(Debug)]
pub struct Child {
    /// Its number.
    pub pid: i32,
    /// Its slot.
    pub owner: Owner,
    /// `None` if it has gone already: somebody has reaped it.
    pub(crate) pidfd: Option<Arc<PidFd>>,
    /// Whether this process waits for its end before it exits.
    pub awaited_at_exit: bool,
    /// Whether [`active`] tells of it.
    pub listed: bool,
    /// What it reads when it begins, kept until it has ended.
    #[allow(dead_code)]
    pub(super) letter: Option<Bootstrap>,
    /// For one that runs a program.
    pub(super) beginning: Option<Beginning>,
}

impl Child {
    /// Takes hold of a child that this process has just made.
    pub(super) fn hold(pid: i32, owner: Owner) -> Result<Child> {
        let pidfd = PidFd::open(pid)?;
        // Where the host reaps everything, the number may mean another process by now: not a child.
        let gone = pidfd.peek() == pidfd::Exit::Stolen;
        Ok(Child {
            pid,
            owner,
            pidfd: (!gone).then(|| Arc::new(pidfd)),
            awaited_at_exit: false,
            listed: false,
            letter: None,
            beginning: None,
        })
    }
}

type OnExit = Box<dyn FnOnce(Ended) + Send>;

struct Watched {
    child: Child,
    /// The descriptor to poll; -1 if there is none, or the host has put something else in its place.
    fd: RawFd,
    on_exit: OnExit,
}

/// The process's children and the thread that watches them.
pub(super) struct State {
    /// The process that this state speaks of: a forked child finds its parent's, and begins anew.
    home: u32,
    watcher: Option<Arc<Watcher>>,
    children: Vec<Watched>,
    /// How many children have come, ever.
    came: u64,
    /// Whether the reaper looks for further ones by itself.
    ticking: bool,
}

impl State {
    const fn new(home: u32) -> State {
        State { home, watcher: None, children: Vec::new(), came: 0, ticking: false }
    }
}

#[link_section = "mp_fork_data"]
pub(super) static STATE: LocalLock<State> = LocalLock::new(State::new(0));
/// Rises when a child has been buried and its callback has returned.
#[link_section = "mp_fork_data"]
static BURIED: Futex = Futex::new(0);

/// Rises when a child comes and there was none. The reaper sleeps on it while there is none.
#[link_section = "mp_fork_data"]
static FIRST: Futex = Futex::new(0);

/// Runs `f` with this process's state.
fn with_state<R>(f: impl FnOnce(&mut State) -> R) -> R {
    let mut state = STATE.lock();
    let mut inherited = None;
    if state.home != std::process::id() {
        inherited = Some(std::mem::replace(&mut *state, State::new(std::process::id())));
    }
    let result = f(&mut state);
    drop(state);
    // What the parent watched is not ours; its copies go, outside the lock: they may hold blocks of the arena.
    drop(inherited);
    result
}

/// In a forked child: lets go of what its parent watched.
#[link_section = "mp_fork"]
pub(super) fn forget_parent() {
    // Without a child there is nothing to let go of that is worth a page.
    if !STATE.lock().children.is_empty() {
        with_state(|_| ());
    }
}

/// In a forked child whose function has returned: whether it had children of its own. Looks, and lets nothing go.
fn is_inherited() -> bool {
    STATE.lock().home != child::pid() as u32
}

/// Starts the thread if it does not run. Before a child is made: so one that could not be watched is not made.
pub fn ensure() -> Result<()> {
    Arena::get()?;
    super::register_fork_handlers();
    with_state(|state| {
        if state.watcher.is_none() {
            let watcher = Arc::new(Watcher::new()?);
            state.watcher = Some(watcher);
            if let Err(error) = thread::start_detached(c"mp-reaper", thread::SMALL_STACK, run) {
                state.watcher = None;
                return Err(error);
            }
        }
        Ok(())
    })
}

/// From now on the reaper watches this child. When it has ended, its slot has been settled by the time `on_exit`
/// is called, on the reaper's thread; it must not block for long.
pub fn watch(child: Child, on_exit: OnExit) {
    let fd = child.pidfd.as_ref().and_then(|pidfd| pidfd.raw()).unwrap_or(NONE);
    let watcher = with_state(|state| {
        state.children.push(Watched { child, fd, on_exit });
        state.came += 1;
        if state.ticking {
            None
        } else {
            state.watcher.clone().map(|watcher| (watcher, state.children.len() == 1))
        }
    });
    if let Some((watcher, first)) = watcher {
        if first {
            FIRST.fetch_add(1, Ordering::Release);
            FIRST.wake(1);
        }
        watcher.wake();
    }
}

/// Sends a signal to a child that is watched; nothing if it has ended.
pub fn signal(owner: Owner, signal: i32) -> Result<()> {
    match find(owner).and_then(|(pidfd, _)| pidfd) {
        Some(pidfd) => pidfd.send_signal(signal).map(|_| ()),
        None => Ok(()),
    }
}

/// Whether a child that is watched runs: then its number is its own.
pub(super) fn is_running(owner: Owner) -> bool {
    find(owner).and_then(|(pidfd, _)| pidfd).is_some_and(|pidfd| pidfd.peek() == pidfd::Exit::Running)
}

fn find(owner: Owner) -> Option<(Option<Arc<PidFd>>, RawFd)> {
    with_state(|state| {
        let watched = state.children.iter().find(|w| w.child.owner == owner)?;
        Some((watched.child.pidfd.clone(), watched.fd))
    })
}

/// Waits for the end of a child on this thread, which then sees to it: without a detour over the reaper's. Answers
/// false when the deadline passes first.
pub(super) fn await_end(owner: Owner, deadline: Deadline) -> bool {
    loop {
        // One without a pidfd had gone before it was watched: the reaper is about to see to it.
        let Some((Some(pidfd), _)) = find(owner) else { return true };
        if pidfd.wait(deadline) {
            look_at(owner);
            return true;
        }
        if deadline.passed() {
            return false;
        }
    }
}

/// The process ids of the children that run and are to be told of.
pub fn active() -> Vec<i32> {
    super::register_fork_handlers();
    with_state(|state| state.children.iter().filter(|w| w.child.listed).map(|w| w.child.pid).collect())
}

/// Waits for the end of all children that are to be awaited.
#[link_section = "mp_fork"]
pub(super) fn await_children() {
    if is_inherited() {
        return;
    }
    loop {
        let seen = BURIED.load(Ordering::Acquire);
        if !with_state(|state| state.children.iter().any(|w| w.child.awaited_at_exit)) {
            return;
        }
        futex::wait(&BURIED, seen, Deadline::after(ROUND));
    }
}

fn run() {
    // Somebody may wait for what a dead child held: it is to be settled at once.
    thread::ask_for_short_slices(SLICE);
    let mut round = clock::now() + ROUND;
    let mut pace = Pace::default();
    while let Some(watcher) = whole_watcher() {
        let came = FIRST.load(Ordering::Acquire);
        let ticking = pace.is_ticking();
        let (owners, fds) = watched();
        if fds.is_empty() && !ticking {
            // By a word rather than by the pipe, which the host may close without a sound.
            futex::wait(&FIRST, came, Deadline::Never);
            round = clock::now() + ROUND;
            continue;
        }
        let deadline = if ticking {
            Deadline::after(TICK)
        } else if fds.contains(&NONE) {
            Deadline::after(NAP)
        } else {
            Deadline::At(round)
        };
        for i in watcher.wait(&fds, deadline) {
            look_at(owners[i]);
        }
        if fds.contains(&NONE) {
            owners.iter().zip(&fds).filter(|(_, fd)| **fd == NONE).for_each(|(owner, _)| look_at(*owner));
        }
        let begun = clock::now();
        if begun >= round {
            owners.into_iter().for_each(look_at);
            arena::each_arena().filter(|arena| !arena.lost()).for_each(|arena| {
                // Whoever waits for a child of ours must not wait for the rest of the round.
                arena.sweep_with(|| see_to_ended(&watcher));
                arena.trim_old();
            });
            // Among a thousand processes a round takes a while: no more than a fiftieth of the time.
            round = clock::now() + ROUND.max((clock::now() - begun) * 50);
        }
    }
}

/// How long the reaper goes on to look for new children.
#[derive(Default)]
struct Pace {
    came: u64,
    quiet: u32,
}

impl Pace {
    /// Whether it looks again soon. To be asked before the children are looked up: one that comes after a "no" wakes it.
    fn is_ticking(&mut self) -> bool {
        with_state(|state| {
            self.quiet = if state.came == self.came { self.quiet + 1 } else { 0 };
            self.came = state.came;
            state.ticking = self.quiet < TICKS;
            state.ticking
        })
    }
}

/// The children, and the descriptor of each.
fn watched() -> (Vec<Owner>, Vec<RawFd>) {
    with_state(|state| state.children.iter().map(|w| (w.child.owner, w.fd)).unzip())
}

/// Sees to the children that have ended by now.
fn see_to_ended(watcher: &Watcher) {
    let (owners, fds) = watched();
    for i in watcher.wait(&fds, Deadline::Now) {
        look_at(owners[i]);
    }
}

/// The pipe by which this thread is woken, made anew if the host has closed it.
fn whole_watcher() -> Option<Arc<Watcher>> {
    let watcher = with_state(|state| state.watcher.clone())?;
    if watcher.is_whole() {
        return Some(watcher);
    }
    let Ok(new) = Watcher::new() else { return Some(watcher) };
    let new = Arc::new(new);
    with_state(|state| state.watcher = Some(new.clone()));
    Some(new)
}

/// Looks at one child and, if it has ended, sees to it.
fn look_at(owner: Owner) {
    let Some((pidfd, fd)) = find(owner) else { return };
    let running = pidfd.as_ref().is_some_and(|pidfd| pidfd.peek() == pidfd::Exit::Running);
    if !running {
        return bury(owner, pidfd);
    }
    check_beginning(owner);
    if pidfd.and_then(|pidfd| pidfd.raw()).unwrap_or(NONE) != fd {
        with_state(|state| {
            state.children.iter_mut().filter(|w| w.child.owner == owner).for_each(|w| w.fd = NONE);
        });
    }
}

/// Looks whether a child that runs a program is late to begin, and what follows then.
pub(super) fn check_beginning(owner: Owner) {
    let Some(arena) = Arena::if_made() else { return };
    let late = with_state(|state| {
        let watched = state.children.iter_mut().find(|w| w.child.owner == owner)?;
        watched.child.beginning.as_mut()?.look(arena, owner, watched.child.pid)
    });
    let Some(late) = late else { return };
    log::say(log::ERROR, &late.text);
    if late.to_be_killed {
        let _ = signal(owner, libc::SIGKILL);
    }
}

/// Collects a child that has ended.
fn bury(owner: Owner, pidfd: Option<Arc<PidFd>>) {
    let taken = with_state(|state| {
        let place = state.children.iter().position(|w| w.child.owner == owner)?;
        Some(state.children.swap_remove(place))
    });
    let Some(Watched { child, on_exit, .. }) = taken else { return };
    let arena = Arena::if_made();
    let recorded = || arena.and_then(|arena| arena.recorded_exit(owner));
    fault!("reaper.bury:taken");
    let (exit, usage) = pidfd.map_or((pidfd::Exit::Stolen, None), |pidfd| pidfd.reap());
    let exit = match exit {
        pidfd::Exit::Exited(code) => Exit::Code(code),
        pidfd::Exit::Signaled(signal) => Exit::Signal(signal),
        _ => recorded().map_or(Exit::Unknown, |code| Exit::Code(code & 0xff)),
    };
    fault!("reaper.bury:reaped");
    let unbegun =
        arena.zip(child.beginning.as_ref()).and_then(|(a, beginning)| beginning.failure(a, owner, exit));
    if let Some(arena) = arena {
        arena.bury(owner, exit.obituary(child.pid));
    }
    // Before anybody hears of it, so that whoever has joined the child finds nothing of it left.
    drop(child);
    if catch_unwind(AssertUnwindSafe(|| on_exit(Ended { exit, usage, unbegun }))).is_err() {
        log::say(log::ERROR, "a defect in libmp: what follows a child's end has failed");
    }
    BURIED.fetch_add(1, Ordering::Release);
    BURIED.wake(u32::MAX);
}
