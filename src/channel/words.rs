//! A channel's words in the arena: what a queue has, and each direction of a pipe; and the turns at its two ends.

use super::account::Ledger;
use super::ring::Position;
use crate::arena::doorbell::Watchers;
use crate::arena::layout::shared;
use crate::arena::wait::{self, Waiter};
use crate::arena::word::{self, Acquired, Ended};
use crate::arena::{event, Arena, Owner};
use crate::sys::clock::Deadline;
use crate::sys::prim::{fence_after_exchange, AtomicU32, AtomicU64, Futex, Ordering};

/// What `bound` says when there is none.
pub(super) const UNBOUNDED: u32 = u32::MAX;

/// What kind of channel it is: bits of one word that never changes.
pub(super) mod rule {
    /// Messages lie in a store of slots, not in a ring: see `store.rs`.
    pub(crate) const STORE: u32 = 1;
    /// Last in, first out.
    pub(crate) const LIFO: u32 = 2;
    /// Lowest priority first.
    pub(crate) const PRIORITY: u32 = 4;
    /// Messages whose taker died before it acknowledged them come back.
    pub(crate) const REDELIVER: u32 = 8;
    /// There is a largest number of messages, or of bytes.
    pub(crate) const BOUNDED: u32 = 16;
    /// There is a largest number of bytes.
    pub(crate) const BYTES: u32 = 32;
    /// A put into a full queue fails at once.
    pub(crate) const FAIL: u32 = 64;
    /// A put into a full queue drops its oldest message.
    pub(crate) const DROP: u32 = 128;
    /// A message of whatever length may be put if there is no other.
    pub(crate) const ONE_ANYWAY: u32 = 256;
    /// What is taken and not done is counted.
    pub(crate) const ACCOUNTS: u32 = 512;
}

/// One end, on a cache line of its own: only those who have its turn write it.
#[repr(C, align(64))]
#[derive(Debug)]
pub(super) struct End {
    lock: Futex,
    watch: AtomicU32,
    spin: AtomicU32,
    /// At the head: how many messages are done, or dropped, modulo 2^32.
    pub(super) done: AtomicU32,
    position: AtomicU64,
    /// The other end's position when those with this end's turn looked last: as long as that will do, they keep
    /// away from the line that the others write. It is never ahead.
    seen: AtomicU64,
    /// How many bytes have passed this end: as of its position, in the one that the ordinal's last bit names. So the
    /// position's store commits them as well.
    bytes: [AtomicU64; 2],
    /// At the head: what is being changed in the accounts, see `account.rs`.
    pub(super) log: [AtomicU64; 2],
}

/// Those who wait for an end's next turn.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Event {
    pub(super) word: Futex,
    pub(super) spin: AtomicU32,
    pub(super) watchers: Watchers,
}

/// The events of a channel, on a cache line that nobody writes while nobody waits.
#[repr(C, align(64))]
#[derive(Debug)]
pub(super) struct Events {
    /// There is a message, for getters.
    pub(super) message: Event,
    /// There is room, for putters.
    pub(super) room: Event,
    /// All that was taken is done, for those who join.
    pub(super) done: Futex,
    /// Whether messages, and room, come as a stream: what those learn who wait.
    pub(super) flow: [AtomicU32; 2],
}

/// A channel's words.
#[repr(C, align(64))]
#[derive(Debug)]
pub(super) struct Words {
    /// Bits of [`rule`].
    rules: AtomicU32,
    pub(super) closed: AtomicU32,
    /// The block of the ring or of the store.
    pub(super) ring: AtomicU64,
    /// The largest number of messages.
    pub(super) bound: AtomicU32,
    /// Somebody who held the channel has died: who has the head's turn next looks after what he had taken.
    pub(super) bereft: AtomicU32,
    /// The largest number of bytes.
    pub(super) most_bytes: AtomicU64,
    /// The block of the accounts.
    pub(super) accounts: AtomicU64,
    /// The block of the reservations.
    pub(super) reservations: AtomicU64,
    pub(super) tail: End,
    pub(super) events: Events,
    pub(super) head: End,
}

shared!(Words);

const _: () = assert!(size_of::<Words>() == 256);

/// How a channel is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) rules: u32,
    pub(super) bound: u32,
    pub(super) most_bytes: u64,
}

/// How much room some messages take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) messages: u32,
    pub(super) bytes: u64,
}

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

    /// Where the end of a new channel is, and where it sees the other.
    pub(super) fn begin(&self, at: Position) {
        self.position.store(at.0, Ordering::Relaxed);
        self.seen.store(at.0, Ordering::Relaxed);
    }

    /// Whether who had the turn last died having it, as far as `is_dead` knows.
    pub(super) fn is_bereaved(&self, is_dead: impl FnOnce(Owner) -> bool) -> bool {
        let seen = self.lock.load(Ordering::Relaxed);
        let owner = Owner::of_word(word::owner(seen));
        seen & word::OWNER_DIED != 0 || !owner.is_none() && is_dead(owner)
    }

    fn bytes_at(&self, position: Position) -> &AtomicU64 {
        &self.bytes[position.ordinal() as usize & 1]
    }

    /// How many bytes have passed this end, at one moment.
    pub(super) fn bytes(&self) -> u64 {
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
    pub(super) fn count_bytes(&self, now: Position, length: u64) {
        let bytes = self.bytes_at(now).load(Ordering::Relaxed).wrapping_add(length);
        self.bytes[(now.ordinal() as usize + 1) & 1].store(bytes, Ordering::Relaxed);
    }

    /// So many bytes have passed this end, whatever its position.
    pub(super) fn set_bytes(&self, bytes: u64) {
        self.bytes.iter().for_each(|word| word.store(bytes, Ordering::Relaxed));
    }
}

impl Words {
    /// The words of a new channel whose ends are at this position. All others are zero.
    pub(super) fn begin(&self, plan: Plan, at: Position) {
        self.rules.store(plan.rules, Ordering::Relaxed);
        self.bound.store(plan.bound, Ordering::Relaxed);
        self.most_bytes.store(plan.most_bytes, Ordering::Relaxed);
        self.tail.begin(at);
        self.head.begin(at);
        self.head.done.store(at.ordinal(), Ordering::Relaxed);
    }

    /// How it was made.
    pub(super) fn plan(&self) -> Plan {
        Plan {
            rules: self.rules.load(Ordering::Relaxed),
            bound: self.bound.load(Ordering::Relaxed),
            most_bytes: self.most_bytes.load(Ordering::Relaxed),
        }
    }

    /// Whether it is made so.
    #[inline(always)]
    pub(super) fn is(&self, rule: u32) -> bool {
        self.rules.load(Ordering::Relaxed) & rule != 0
    }

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

    /// How many bytes there are, more or less: exactly for who has the tail's turn and only sees some leave.
    pub(super) fn bytes(&self) -> u64 {
        if self.is(rule::STORE) {
            return self.tail.bytes[0].load(Ordering::Relaxed);
        }
        let taken = self.head.bytes();
        self.tail.bytes().saturating_sub(taken)
    }

    #[inline]
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire) != 0
    }

    /// Where puts take their turn: at the tail; a store has one end only.
    #[inline(always)]
    pub(super) fn put_end(&self) -> &End {
        if self.is(rule::STORE) {
            &self.head
        } else {
            &self.tail
        }
    }
}

/// The turn at one end of a channel: nobody else moves it meanwhile.
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

impl Words {
    /// The turn at one end, if it is free.
    #[inline(always)]
    pub(super) fn free_turn(
        &'static self,
        arena: &'static Arena,
        end: &'static End,
    ) -> Option<Turn<'static>> {
        let me = arena.me().bits();
        // Not `then_some`: a turn that is made and dropped is given back, whoever has it.
        (me != 0 && word::try_acquire(&end.lock, me)).then(|| Turn { arena, end })
    }

    /// The turn at one end.
    #[inline]
    pub(super) fn turn(
        &'static self,
        arena: &'static Arena,
        end: &'static End,
        deadline: Deadline,
    ) -> std::result::Result<Turn<'static>, Ended> {
        if word::try_acquire(&end.lock, arena.me().bits()) {
            return Ok(Turn { arena, end });
        }
        self.turn_slowly(arena, end, deadline)
    }

    /// Who died having the head's turn may have left something half told that nobody sees without the turn, though it is
    /// committed: whoever looks takes the turn, and so mends it.
    pub(super) fn mend_if(&'static self, arena: &'static Arena, is_dead: impl FnOnce(Owner) -> bool) {
        if self.head.is_bereaved(is_dead) {
            drop(self.turn(arena, &self.head, Deadline::Now));
        }
    }

    /// The same in a store, by what is known. In a ring nothing is told but by the commit itself.
    #[inline]
    pub(super) fn mend_store(&'static self, arena: &'static Arena) {
        if self.is(rule::STORE) {
            self.mend_if(arena, |owner| arena.is_dead(owner));
        }
    }

    #[cold]
    fn turn_slowly(
        &'static self,
        arena: &'static Arena,
        end: &'static End,
        deadline: Deadline,
    ) -> std::result::Result<Turn<'static>, Ended> {
        let me = arena.me().bits();
        let waiter = |until| Waiter::new(arena, until).watching(&end.watch).spinning(&end.spin);
        let acquired = word::acquire(&end.lock, me, &mut waiter(Deadline::after(SHORT)).uncancelled())
            .or_else(|_| word::acquire(&end.lock, me, &mut waiter(deadline)))?;
        let turn = Turn { arena, end };
        if acquired == Acquired::OwnerDead {
            arena.await_all_settled();
            if std::ptr::eq(end, &self.head) {
                Ledger::new(arena, self, &turn).mend();
                crate::fault!("queue.mend:accounts");
                if self.is(rule::STORE) {
                    super::store::mend(arena, self, &turn);
                }
            }
        }
        Ok(turn)
    }
}

/// Who has a turn works on a few lines, or is dead, or was stopped. For so long all wait for it, a try as well, rather
/// than say that the queue is full, and whoever is cancelled but need not wait for the queue itself.
const SHORT: i64 = 1_000_000_000;

impl Event {
    /// Something has changed, enough for `n`. The caller has given its turn back since: that was an exchange.
    #[inline]
    pub(super) fn announce(&self, arena: &Arena, n: u32) {
        fence_after_exchange();
        if event::has_waiters(&self.word) {
            wait::notify(arena, &self.word, n);
        }
        self.watchers.ring(arena);
    }

    /// Something has changed, and concerns everybody.
    pub(super) fn announce_to_all(&self, arena: &Arena) {
        wait::notify(arena, &self.word, u32::MAX);
        self.watchers.ring(arena);
    }
}

#[cfg(test)]
mod tests {
    use crate::channel::{Queue, QueueOptions};

    #[test]
    fn who_does_not_get_the_turn_leaves_it_to_who_has_it() {
        let queue = Queue::new(&QueueOptions::default()).unwrap();
        let (arena, words) = queue.parts();
        let turn = words.free_turn(arena, &words.head);
        assert!(turn.is_some());
        for _ in 0..2 {
            assert!(words.free_turn(arena, &words.head).is_none());
        }
        drop(turn);
        assert!(words.free_turn(arena, &words.head).is_some());
    }
}
