//! The turns at the two ends of a channel, as processes take them: who inherits one from a dead owner first mends what is
//! to be mended.

use super::account::Ledger;
use super::ends::{self, World};
use super::words::{rule, End, Words};
use crate::arena::wait::{self, Waiter};
use crate::arena::word::{self, Acquired, Ended};
use crate::arena::{Arena, Owner};
use crate::sys::clock::Deadline;
use crate::sys::prim::{fence_after_exchange, Futex, Ordering};

/// The turn at one end of a channel in an arena.
pub(super) type Turn<'a> = ends::Turn<'a, Arena>;

/// Who has a turn works on a few lines, or is dead, or was stopped. For so long all wait for it, a try as well, rather
/// than say that the queue is full, and whoever is cancelled but need not wait for the queue itself.
const SHORT: i64 = 1_000_000_000;

impl World for Arena {
    #[inline(always)]
    fn give_back(&self, lock: &Futex) {
        wait::release(self, lock);
    }

    #[inline(always)]
    fn fence(&self) {
        fence_after_exchange();
    }

    fn notify(&self, word: &Futex, n: u32) {
        wait::notify(self, word, n);
    }
}

impl End {
    /// Whether who had the turn last died having it, as far as `is_dead` knows.
    pub(super) fn is_bereaved(&self, is_dead: impl FnOnce(Owner) -> bool) -> bool {
        let seen = self.lock.load(Ordering::Relaxed);
        let owner = Owner::of_word(word::owner(seen));
        seen & word::OWNER_DIED != 0 || !owner.is_none() && is_dead(owner)
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
        if me == 0 {
            return None;
        }
        Turn::try_take(arena, end, me)
    }

    /// The turn at one end.
    #[inline]
    pub(super) fn turn(
        &'static self,
        arena: &'static Arena,
        end: &'static End,
        deadline: Deadline,
    ) -> Result<Turn<'static>, Ended> {
        match Turn::try_take(arena, end, arena.me().bits()) {
            Some(turn) => Ok(turn),
            None => self.turn_slowly(arena, end, deadline),
        }
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
    ) -> Result<Turn<'static>, Ended> {
        let me = arena.me().bits();
        let waiter = |until| Waiter::new(arena, until).watching(&end.watch).spinning(&end.spin);
        let (turn, acquired) = Turn::take(arena, end, me, &mut waiter(Deadline::after(SHORT)).uncancelled())
            .or_else(|_| Turn::take(arena, end, me, &mut waiter(deadline)))?;
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
