//! Waiting for many things at once: objects of one arena or of several, ends of processes, results, descriptors.
//!
//! First everything is looked at; only if nothing is ready does the waiter enter itself among the watchers of all
//! objects. Then it sleeps in one of two ways:
//!
//! * For objects of one arena, on this process's doorbell in it.
//! * With descriptors or a second arena among them, in poll. What each arena's objects are is then one descriptor more,
//!   which the bridge keeps readable while any of them is ready. If it can't be had, the waiter looks every few
//!   milliseconds.
//!
//! After each sleep all is read anew, at the latest after a second: so whoever dies between a change and its ring keeps
//! nobody waiting. Nothing here lies in the arena. A cancel object is no descriptor: who sleeps in poll and uses one
//! looks at it every few milliseconds.

use super::bridge::{Descriptor, Watched};
use super::wait::{self, Waiter};
use super::word::Ended;
use super::Arena;
use crate::error::{Error, Result};
use crate::sys::clock::Deadline;
use crate::sys::poll::Poll;
use std::os::fd::RawFd;
use std::sync::Arc;

/// How long a sleep in poll is, in nanoseconds, if all is well; and where something must be looked at that is no
/// descriptor.
const STRETCH: i64 = 1_000_000_000;
const SLICE: i64 = 10_000_000;

/// One thing to wait for.
pub enum Waitable {
    /// A descriptor: bytes to read, its end, or an error.
    File(RawFd),
    /// One side of an object.
    Object(&'static Arena, Box<dyn Watched>),
}

impl Waitable {
    /// One side of an object of this arena.
    pub fn object(arena: &'static Arena, watched: impl Watched + 'static) -> Waitable {
        Waitable::Object(arena, Box::new(watched))
    }
}

impl std::fmt::Debug for Waitable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Waitable::File(fd) => write!(f, "File({fd})"),
            Waitable::Object(..) => f.write_str("Object"),
        }
    }
}

/// How a wait for many ended: which of them are ready, at least one; or why none is.
pub type Outcome = std::result::Result<Vec<bool>, Ended>;

/// Waits until at least one of the items is ready.
pub fn wait(items: Vec<Waitable>, deadline: Deadline) -> Result<Outcome> {
    if items.is_empty() && deadline == Deadline::Never {
        return Err(Error::invalid("there is nothing to wait for, and no time after which the wait ends"));
    }
    let mut many = Many::of(items);
    if many.look_at_all()? {
        return Ok(Ok(many.ready));
    }
    if deadline == Deadline::Now {
        let returned = many.glance();
        return Ok(if returned && many.look() { Ok(many.ready) } else { Err(ended(Ended::TimedOut)) });
    }
    let slept = many.sleep(deadline)?;
    Ok(slept.map(|()| many.ready))
}

/// How a wait ends whose time is up.
fn ended(otherwise: Ended) -> Ended {
    if wait::cancelled() == Some(true) {
        Ended::Cancelled
    } else {
        otherwise
    }
}

/// The items of one wait, and what is known of them.
struct Many {
    items: Arc<Vec<Waitable>>,
    ready: Vec<bool>,
    files: Poll,
}

impl Many {
    fn of(items: Vec<Waitable>) -> Many {
        let mut files = Poll::default();
        for item in &items {
            if let Waitable::File(fd) = item {
                files.push(*fd);
            }
        }
        Many { ready: vec![false; items.len()], items: Arc::new(items), files }
    }

    fn objects(&self) -> impl Iterator<Item = (&'static Arena, &dyn Watched)> {
        objects(&self.items)
    }

    /// Whether anything is ready, as far as is known of the descriptors.
    fn look(&mut self) -> bool {
        let mut files = self.files.ready();
        let mut any = false;
        for (item, ready) in self.items.iter().zip(&mut self.ready) {
            *ready = match item {
                Waitable::File(_) => files.next().unwrap_or(false),
                Waitable::Object(_, watched) => watched.is_ready(),
            };
            any |= *ready;
        }
        any
    }

    /// Looks at the descriptors too, without a sleep.
    fn look_at_all(&mut self) -> Result<bool> {
        if !self.files.is_empty() {
            self.files.wait(Deadline::Now)?;
            self.check_files(self.files.len())?;
        }
        Ok(self.look())
    }

    /// The first `n` descriptors are the caller's, and must be open.
    fn check_files(&self, n: usize) -> Result<()> {
        let Some(place) = self.files.bad(n) else { return Ok(()) };
        let is_file = |item: &(usize, &Waitable)| matches!(item.1, Waitable::File(_));
        match self.items.iter().enumerate().filter(is_file).nth(place) {
            Some((index, Waitable::File(fd))) => {
                Err(Error::invalid(format!("items[{index}]: {fd} is no open descriptor")))
            }
            _ => Err(Error::internal("a descriptor that is no item's")),
        }
    }

    /// What the dead have comes back, now and then. Whether something may have.
    fn glance(&self) -> bool {
        self.objects().fold(false, |returned, (arena, watched)| returned | watched.glance(arena))
    }

    /// What the dead have comes back. When to do so again.
    fn look_after(&self) -> Deadline {
        let next = self.objects().filter_map(|(arena, watched)| watched.look_after(arena)).min();
        next.map_or(Deadline::Never, Deadline::after)
    }

    /// The arenas of the objects, each once.
    fn arenas(&self) -> Vec<&'static Arena> {
        let mut arenas: Vec<&'static Arena> = Vec::new();
        for (arena, _) in self.objects() {
            if !arenas.iter().any(|known| std::ptr::eq(*known, arena)) {
                arenas.push(arena);
            }
        }
        arenas
    }

    fn sleep(&mut self, deadline: Deadline) -> Result<std::result::Result<(), Ended>> {
        let arenas = self.arenas();
        match arenas[..] {
            [arena] if self.files.is_empty() => {
                self.objects().for_each(|(_, watched)| watched.enter(arena));
                Ok(self.sleep_on_bell(arena, deadline))
            }
            _ => self.sleep_in_poll(&arenas, deadline),
        }
    }

    fn sleep_on_bell(&mut self, arena: &Arena, deadline: Deadline) -> std::result::Result<(), Ended> {
        loop {
            let until = earlier(deadline, self.look_after());
            match arena.await_bell(Waiter::new(arena, until), || self.look().then_some(())) {
                Err(Ended::TimedOut) if !deadline.passed() => {}
                ended => return ended,
            }
        }
    }

    fn sleep_in_poll(
        &mut self,
        arenas: &[&'static Arena],
        deadline: Deadline,
    ) -> Result<std::result::Result<(), Ended>> {
        let n = self.files.len();
        // Dropped before the items of which they tell.
        let bells: Vec<Descriptor> = arenas.iter().map(|_| Descriptor::default()).collect();
        loop {
            let mut until = earlier(deadline, self.look_after());
            self.files.truncate(n);
            for (arena, bell) in arenas.iter().copied().zip(&bells) {
                // Asked for anew each time: the host may have closed it, and it may tell of an earlier state.
                match bell.get(arena, || Box::new(AnyOf { arena, items: self.items.clone() })) {
                    Ok(fd) => self.files.push(fd),
                    Err(_) => until = until.capped(SLICE),
                }
            }
            match wait::cancelled() {
                Some(true) => return Ok(self.last_look(n)?.then_some(()).ok_or(Ended::Cancelled)),
                Some(false) => until = until.capped(SLICE),
                None if arenas.is_empty() => {}
                None => until = until.capped(STRETCH),
            }
            self.files.wait(until)?;
            self.check_files(n)?;
            if self.look() {
                return Ok(Ok(()));
            }
            if deadline.passed() {
                return Ok(Err(ended(Ended::TimedOut)));
            }
        }
    }

    /// For who is cancelled: what is ready all the same counts.
    fn last_look(&mut self, n: usize) -> Result<bool> {
        self.files.truncate(n);
        self.look_at_all()
    }
}

fn earlier(one: Deadline, other: Deadline) -> Deadline {
    match other {
        Deadline::Never => one,
        Deadline::Now => other,
        Deadline::At(time) => one.earlier(time),
    }
}

fn objects(items: &[Waitable]) -> impl Iterator<Item = (&'static Arena, &dyn Watched)> {
    items.iter().filter_map(|item| match item {
        Waitable::File(_) => None,
        Waitable::Object(arena, watched) => Some((*arena, &**watched)),
    })
}

/// All objects of one arena as one: ready when any of them is. Who waits looks after the dead.
struct AnyOf {
    arena: &'static Arena,
    items: Arc<Vec<Waitable>>,
}

impl AnyOf {
    fn here(&self) -> impl Iterator<Item = &dyn Watched> {
        let here = objects(&self.items).filter(|(arena, _)| std::ptr::eq(*arena, self.arena));
        here.map(|(_, watched)| watched)
    }
}

impl Watched for AnyOf {
    fn enter(&self, arena: &Arena) {
        self.here().for_each(|watched| watched.enter(arena));
    }

    fn is_ready(&self) -> bool {
        self.here().any(|watched| watched.is_ready())
    }
}
