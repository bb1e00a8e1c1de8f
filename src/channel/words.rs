//! A channel's words in the arena: what a queue has, and each direction of a pipe. What is done with them by who has
//! the turn at an end is in `ends.rs`. They know nothing but each other, so that loom can own them.

use super::ring::Position;
#[cfg(not(loom))]
pub(super) use super::turn::Turn;
use crate::arena::watchers::Watchers;
use crate::sys::prim::{AtomicU32, AtomicU64, Futex, Ordering};

/// What `bound` says when there is none.
pub const UNBOUNDED: u32 = u32::MAX;

/// What kind of channel it is: bits of one word that never changes.
pub mod rule {
    /// Messages lie in a store of slots, not in a ring: see `store.rs`.
    pub const STORE: u32 = 1;
    /// Last in, first out.
    pub const LIFO: u32 = 2;
    /// Lowest priority first.
    pub const PRIORITY: u32 = 4;
    /// Messages whose taker died before it acknowledged them come back.
    pub const REDELIVER: u32 = 8;
    /// There is a largest number of messages, or of bytes.
    pub const BOUNDED: u32 = 16;
    /// There is a largest number of bytes.
    pub const BYTES: u32 = 32;
    /// A put into a full queue fails at once.
    pub const FAIL: u32 = 64;
    /// A put into a full queue drops its oldest message.
    pub const DROP: u32 = 128;
    /// A message of whatever length may be put if there is no other.
    pub const ONE_ANYWAY: u32 = 256;
    /// What is taken and not done is counted.
    pub const ACCOUNTS: u32 = 512;
}

/// One end, on a cache line of its own: only those who have its turn write it.
#[repr(C, align(64))]
#[cfg_attr(loom, derive(Default))]
#[derive(Debug)]
pub struct End {
    pub(super) lock: Futex,
    pub(super) watch: AtomicU32,
    pub(super) spin: AtomicU32,
    /// At the head: how many messages are done, or dropped, modulo 2^32.
    pub done: AtomicU32,
    position: AtomicU64,
    /// The other end's position when those with this end's turn looked last: as long as that will do, they keep
    /// away from the line that the others write. It is never ahead.
    seen: AtomicU64,
    /// How many bytes have passed this end: as of its position, in the one that the ordinal's last bit names. So the
    /// position's store commits them as well.
    bytes: [AtomicU64; 2],
    /// At the head: what is being changed in the accounts, see `account.rs`.
    pub log: [AtomicU64; 2],
}

/// Those who wait for an end's next turn.
#[repr(C)]
#[cfg_attr(loom, derive(Default))]
#[derive(Debug)]
pub struct Event {
    pub word: Futex,
    pub spin: AtomicU32,
    pub watchers: Watchers,
}

/// The events of a channel, on a cache line that nobody writes while nobody waits.
#[repr(C, align(64))]
#[cfg_attr(loom, derive(Default))]
#[derive(Debug)]
pub struct Events {
    /// There is a message, for getters.
    pub message: Event,
    /// There is room, for putters.
    pub room: Event,
    /// All that was taken is done, for those who join.
    pub done: Futex,
    /// Whether messages, and room, come as a stream: what those learn who wait.
    pub flow: [AtomicU32; 2],
}

/// A channel's words.
#[repr(C, align(64))]
#[cfg_attr(loom, derive(Default))]
#[derive(Debug)]
pub struct Words {
    /// Bits of [`rule`].
    rules: AtomicU32,
    pub closed: AtomicU32,
    /// The block of the ring or of the store.
    pub ring: AtomicU64,
    /// The largest number of messages.
    pub bound: AtomicU32,
    /// Somebody who held the channel has died: who has the head's turn next looks after what he had taken.
    pub bereft: AtomicU32,
    /// The largest number of bytes.
    pub most_bytes: AtomicU64,
    /// The block of the accounts.
    pub accounts: AtomicU64,
    /// The block of the reservations.
    pub reservations: AtomicU64,
    pub tail: End,
    pub events: Events,
    pub head: End,
}

#[cfg(not(loom))]
crate::arena::layout::shared!(Words);

#[cfg(not(loom))]
const _: () = assert!(size_of::<Words>() == 256);

/// How a channel is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    pub rules: u32,
    pub bound: u32,
    pub most_bytes: u64,
}

/// How much room some messages take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    pub messages: u32,
    pub bytes: u64,
}

impl End {
    #[inline]
    pub fn position(&self) -> Position {
        Position(self.position.load(Ordering::Acquire))
    }

    /// Commits what was done up to this position.
    #[inline]
    pub fn advance(&self, to: Position) {
        self.position.store(to.0, Ordering::Release);
    }

    /// Where the other end was when it was looked at last. The caller has the turn.
    #[inline]
    pub fn seen(&self) -> Position {
        Position(self.seen.load(Ordering::Relaxed))
    }

    /// Looks where the other end is. The caller has the turn.
    #[inline]
    pub fn look(&self, other: &End) -> Position {
        let position = other.position();
        self.seen.store(position.0, Ordering::Relaxed);
        position
    }

    /// Where the end of a new channel is, and where it sees the other.
    pub fn begin(&self, at: Position) {
        self.position.store(at.0, Ordering::Relaxed);
        self.seen.store(at.0, Ordering::Relaxed);
    }

    /// For mutants: the lock, the position and what was seen.
    #[cfg(loom)]
    pub fn words(&self) -> (&Futex, &AtomicU64, &AtomicU64) {
        (&self.lock, &self.position, &self.seen)
    }

    fn bytes_at(&self, position: Position) -> &AtomicU64 {
        &self.bytes[position.ordinal() as usize & 1]
    }

    /// How many bytes have passed this end, at one moment.
    pub fn bytes(&self) -> u64 {
        let mut position = self.position();
        loop {
            let bytes = self.bytes_at(position).load(Ordering::Acquire);
            let again = self.position();
            if again == position {
                return bytes;
            }
            position = again;
        }
    }

    /// One message of so many bytes is about to pass: from the position `now` to the next one.
    pub fn count_bytes(&self, now: Position, length: u64) {
        let bytes = self.bytes_at(now).load(Ordering::Relaxed).wrapping_add(length);
        self.bytes[(now.ordinal() as usize + 1) & 1].store(bytes, Ordering::Relaxed);
    }

    /// So many bytes have passed this end, whatever its position.
    pub fn set_bytes(&self, bytes: u64) {
        self.bytes.iter().for_each(|word| word.store(bytes, Ordering::Relaxed));
    }
}

impl Words {
    /// The words of a new channel whose ends are at this position. All others are zero.
    pub fn begin(&self, plan: Plan, at: Position) {
        self.rules.store(plan.rules, Ordering::Relaxed);
        self.bound.store(plan.bound, Ordering::Relaxed);
        self.most_bytes.store(plan.most_bytes, Ordering::Relaxed);
        self.tail.begin(at);
        self.head.begin(at);
        self.head.done.store(at.ordinal(), Ordering::Relaxed);
    }

    /// How it was made.
    pub fn plan(&self) -> Plan {
        Plan {
            rules: self.rules.load(Ordering::Relaxed),
            bound: self.bound.load(Ordering::Relaxed),
            most_bytes: self.most_bytes.load(Ordering::Relaxed),
        }
    }

    /// Whether it is made so.
    #[inline(always)]
    pub fn is(&self, rule: u32) -> bool {
        self.rules.load(Ordering::Relaxed) & rule != 0
    }

    /// Whether there is no message at one moment.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many messages there are at one moment.
    pub fn len(&self) -> u32 {
        let mut head = self.head.position();
        loop {
            let tail = self.tail.position();
            let again = self.head.position();
            if again == head {
                return tail.since(head);
            }
            head = again;
        }
    }

    /// How many bytes there are, more or less: exactly for who has the tail's turn and only sees some leave.
    pub fn bytes(&self) -> u64 {
        if self.is(rule::STORE) {
            return self.tail.bytes[0].load(Ordering::Relaxed);
        }
        let taken = self.head.bytes();
        self.tail.bytes().saturating_sub(taken)
    }

    #[inline]
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire) != 0
    }

    /// Where puts take their turn: at the tail; a store has one end only.
    #[inline(always)]
    pub fn put_end(&self) -> &End {
        if self.is(rule::STORE) {
            &self.head
        } else {
            &self.tail
        }
    }
}
