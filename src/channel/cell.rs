//! A queue's words in the arena, and the turns at its two ends.

use super::ring::Position;
use crate::arena::doorbell::Watchers;
use crate::arena::layout::shared;
use crate::arena::wait::{self, Waiter};
use crate::arena::word::{self, Acquired, Ended};
use crate::arena::{event, object, Arena, ObjectHead, ObjectKind};
use crate::sys::clock::Deadline;
use crate::sys::prim::{fence_after_exchange, AtomicU32, AtomicU64, Futex, Ordering};

/// What `bound` says when there is none.
pub(super) const UNBOUNDED: u32 = u32::MAX;

/// One end of a queue, on a cache line of its own: only those who have its turn write it.
#[repr(C, align(64))]
#[derive(Debug)]
pub(super) struct End {
    lock: Futex,
    watch: AtomicU32,
    spin: AtomicU32,
    unused: AtomicU32,
    position: AtomicU64,
    /// The other end's position when those with this end's turn looked last: as long as that will do, they keep
    /// away from the line that the others write. It is never ahead.
    seen: AtomicU64,
}

/// Those who wait for an end's next turn.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Event {
    pub(super) word: Futex,
    pub(super) spin: AtomicU32,
    pub(super) watchers: Watchers,
}

/// The events of a queue, on a cache line that nobody writes while nobody waits.
#[repr(C, align(64))]
#[derive(Debug)]
pub(super) struct Events {
    /// There is a message, for getters.
    pub(super) message: Event,
    /// There is room, for putters.
    pub(super) room: Event,
}

/// A queue's words.
#[repr(C)]
#[derive(Debug)]
pub(super) struct QueueCell {
    head_of_object: ObjectHead,
    /// The largest number of messages.
    pub(super) bound: AtomicU32,
    pub(super) closed: AtomicU32,
    pub(super) ring: AtomicU64,
    pub(super) tail: End,
    pub(super) events: Events,
    pub(super) head: End,
}

shared!(QueueCell);
object!(QueueCell, head_of_object, ObjectKind::Queue);

impl End {
    #[inline]
    pub(super) fn position(&self) -> Position {
        Position(self.position.load(Ordering::Acquire))
    }

    /// Commits what was done up to this position.
    #[inline]
    pub(super) fn advance(&self, to: Position) {
        self.position.store(to.0, Ordering::Release);
    }

    /// Where the other end was when it was looked at last. The caller has the turn.
    #[inline]
    pub(super) fn seen(&self) -> Position {
        Position(self.seen.load(Ordering::Relaxed))
    }

    /// Looks where the other end is. The caller has the turn.
    #[inline]
    pub(super) fn look(&self, other: &End) -> Position {
        let position = other.position();
        self.seen.store(position.0, Ordering::Relaxed);
        position
    }

    /// Where the end of a new queue is, and where it sees the other.
    pub(super) fn begin(&self, at: Position) {
        self.position.store(at.0, Ordering::Relaxed);
        self.seen.store(at.0, Ordering::Relaxed);
    }
}

impl QueueCell {
    /// How many messages there are at one moment.
    pub(super) fn len(&self) -> u32 {
        let mut head = self.head.position();
        loop {
            let tail = self.tail.position();
            let again = self.head.position();
            if again == head {
                return tail.ordinal().wrapping_sub(head.ordinal());
            }
            head = again;
        }
    }

    /// Whether a get may succeed, or fail for good.
    pub(super) fn is_readable(&self) -> bool {
        self.head.position() != self.tail.position() || self.is_closed()
    }

    /// Whether a put may succeed, or fail for good.
    pub(super) fn is_writable(&self) -> bool {
        self.len() < self.bound.load(Ordering::Relaxed) || self.is_closed()
    }

    #[inline]
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire) != 0
    }

    #[inline]
    pub(super) fn is_bounded(&self) -> bool {
        self.bound.load(Ordering::Relaxed) != UNBOUNDED
    }

    /// Whether the bound is reached. The caller has the tail's turn.
    #[inline]
    pub(super) fn is_full(&self, tail: Position) -> bool {
        let reached = |head: Position| {
            tail.ordinal().wrapping_sub(head.ordinal()) >= self.bound.load(Ordering::Relaxed)
        };
        self.is_bounded() && reached(self.tail.seen()) && reached(self.tail.look(&self.head))
    }

    /// The turn at one end.
    #[inline]
    pub(super) fn turn<'a>(
        &'a self,
        arena: &'a Arena,
        end: &'a End,
        deadline: Deadline,
    ) -> Result<Turn<'a>, Ended> {
        if word::try_acquire(&end.lock, arena.me().bits()) {
            return Ok(Turn { arena, end });
        }
        turn_slowly(arena, end, deadline)
    }
}

/// The turn at one end of a queue: nobody else moves it meanwhile.
pub(super) struct Turn<'a> {
    arena: &'a Arena,
    end: &'a End,
}

impl Drop for Turn<'_> {
    #[inline]
    fn drop(&mut self) {
        wait::release(self.arena, &self.end.lock);
    }
}

/// Who has a turn works on a few lines, or is dead, or was stopped. For so long all wait for it, a try as well, rather
/// than say that the queue is full, and whoever is cancelled but need not wait for the queue itself.
const SHORT: i64 = 1_000_000_000;

#[cold]
fn turn_slowly<'a>(arena: &'a Arena, end: &'a End, deadline: Deadline) -> Result<Turn<'a>, Ended> {
    let me = arena.me().bits();
    let waiter = |until| Waiter::new(arena, until).watching(&end.watch).spinning(&end.spin);
    let acquired = word::acquire(&end.lock, me, &mut waiter(Deadline::after(SHORT)).uncancelled())
        .or_else(|_| word::acquire(&end.lock, me, &mut waiter(deadline)))?;
    let turn = Turn { arena, end };
    if acquired == Acquired::OwnerDead {
        arena.await_all_settled();
    }
    Ok(turn)
}

impl Event {
    /// Something has changed, enough for one. The caller has given its turn back since: that was an exchange.
    #[inline]
    pub(super) fn announce(&self, arena: &Arena) {
        fence_after_exchange();
        if event::has_waiters(&self.word) {
            wait::notify(arena, &self.word, 1);
        }
        self.watchers.ring(arena);
    }

    /// Something has changed, and concerns everybody.
    pub(super) fn announce_to_all(&self, arena: &Arena) {
        wait::notify(arena, &self.word, u32::MAX);
        self.watchers.ring(arena);
    }
}

const _: () = assert!(size_of::<QueueCell>() == 256);
