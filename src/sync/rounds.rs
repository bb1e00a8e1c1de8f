//! The rounds of a barrier.
//!
//! ```text
//! word    31    3 2        1    0
//!         round   sleepers look broken
//! halves  [round even, odd][parties]   who has arrived, as owner words; the other half has who took part before
//! ```
//!
//! | word               | meaning                                                                     |
//! |--------------------|-----------------------------------------------------------------------------|
//! | round n            | it gathers: its half has so many leading arrivals, whose processes wait      |
//! | round n, look      | a process that held the barrier has died: who comes by looks who is left     |
//! | round n, broken    | it has ended without success, and nothing begins before a reset              |
//! | round n + 1        | round n has ended: completed, unless the log of broken rounds has it         |
//!
//! Arriving, completing and resetting are done under a lock that knows its owner; breaking and looking are exchanges
//! of the word alone, so that a waiter whose time is up needs no lock. Every end of a round is one exchange of the
//! word, and each names the round that it means, so an end that comes late changes nothing. Killed between any two
//! stores:
//!
//! * arriving, before the owner is entered: nothing happened. After it: a waiter has died, the round breaks. `count` is
//!   only remembered; who inherits the lock counts again.
//! * completing, before the exchange: likewise, for the last one has arrived too. The half that was cleared for the
//!   next round is not missed in a broken one.
//! * after an exchange, before the wake-ups: whoever settles the dead one stirs all barriers that it held.
//! * resetting, before the exchange: a barrier that had waiters is broken since the first step, and stays so. The
//!   entry in the log is true already.
//!
//! A waiter that wakes up late, in whatever round, asks the log: the first round that broke after its arrival was its
//! own, or its own completed. Only after as many resets of waiting or broken rounds as the log is long, while it did
//! not get to run, is it lost there; then it says broken.

use crate::arena::word::{Ended, Sleeper};
use crate::fault;
use crate::sys::prim::{AtomicU32, Futex, Ordering};

const BROKEN: u32 = 1;
const LOOK: u32 = 2;
const SLEEPERS: u32 = 4;
const STEP: u32 = 8;
/// How many broken rounds the log keeps.
pub const LOG: usize = 32;

/// A barrier's words.
#[derive(Clone, Copy, Debug)]
pub struct Rounds<'a> {
    /// The round and its state: what waiters sleep on.
    pub word: &'a Futex,
    /// How many have arrived in this round.
    pub count: &'a AtomicU32,
    /// Not zero if a process that held the barrier has died since the last completed round or reset.
    pub died: &'a AtomicU32,
    /// How many rounds the log has had.
    pub breaks: &'a AtomicU32,
    /// The last broken rounds.
    pub log: &'a [AtomicU32],
    /// Who has arrived, for even rounds and for odd ones.
    pub halves: [&'a [AtomicU32]; 2],
}

/// One wait, from its arrival on.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// The round.
    pub round: u32,
    /// How many were there before.
    pub index: u32,
    breaks: u32,
}

/// Why a wait failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The round was broken.
    Broken,
    /// This waiter has broken it, for this reason.
    Ended(Ended),
}

/// The round that a word names.
pub fn round(word: u32) -> u32 {
    word / STEP
}

/// Whether the word's round is broken.
pub fn is_broken(word: u32) -> bool {
    word & BROKEN != 0
}

fn next(round: u32) -> u32 {
    round.wrapping_add(1).wrapping_mul(STEP)
}

/// A process that held the barrier has died, perhaps in the middle of something. Takes no lock and never waits.
pub fn stir(word: &Futex, died: &AtomicU32) {
    died.store(1, Ordering::SeqCst);
    fault!("barrier.stir:noted");
    word.fetch_or(LOOK, Ordering::SeqCst);
    fault!("barrier.stir:announced");
    word.wake(u32::MAX);
}

impl<'a> Rounds<'a> {
    /// The round and its state at this moment.
    pub fn now(&self) -> u32 {
        self.word.load(Ordering::SeqCst)
    }

    fn half(&self, round: u32) -> &'a [AtomicU32] {
        self.halves[round as usize % 2]
    }

    /// Those who have arrived in this round.
    pub fn waiting(&self, round: u32) -> impl Iterator<Item = u32> + 'a {
        self.half(round).iter().map(|owner| owner.load(Ordering::Acquire)).take_while(|owner| *owner != 0)
    }

    /// Those who took part in the round before.
    pub fn before(&self, round: u32) -> impl Iterator<Item = u32> + 'a {
        self.half(round.wrapping_add(1)).iter().map(|o| o.load(Ordering::Acquire)).filter(|owner| *owner != 0)
    }

    /// Whether one of those who wait, or who took part in the round before, is dead.
    pub fn has_dead(&self, round: u32, is_dead: impl Fn(u32) -> bool) -> bool {
        let mut last = 0;
        // Threads of one process often come together, and it may cost a system call to ask.
        self.waiting(round)
            .chain(self.before(round))
            .any(|owner| owner != std::mem::replace(&mut last, owner) && is_dead(owner))
    }

    /// What the heir of a dead lock's owner begins with. The caller has the lock.
    pub fn repair(&self, is_dead: impl Fn(u32) -> bool) {
        let round = round(self.now());
        let count = self.waiting(round).count();
        self.count.store(count as u32, Ordering::Relaxed);
        if self.has_dead(round, is_dead) {
            self.break_round(round);
        }
    }

    /// Enters `me` in this round, if it is not broken. The caller has the lock, and must complete the round if it was
    /// the last one to come.
    pub fn arrive(&self, me: u32) -> Option<Arrival> {
        let word = self.now();
        let index = self.count.load(Ordering::Relaxed);
        let place = self.half(round(word)).get(index as usize).filter(|_| !is_broken(word))?;
        let breaks = self.breaks.load(Ordering::Relaxed);
        place.store(me, Ordering::Release);
        fault!("barrier.arrive:entered");
        self.count.store(index + 1, Ordering::Relaxed);
        fault!("barrier.arrive:counted");
        Some(Arrival { round: round(word), index, breaks })
    }

    /// Whether all have come with this one.
    pub fn is_last(&self, arrival: &Arrival) -> bool {
        arrival.index as usize + 1 == self.halves[0].len()
    }

    /// Ends a round for which all have come; if one of them is dead, it breaks. Answers whether there may be sleepers
    /// to wake, `None` if the round is broken. The caller has the lock.
    pub fn complete(&self, round: u32, is_dead: impl Fn(u32) -> bool) -> Option<bool> {
        loop {
            let word = self.now();
            if is_broken(word) {
                return None;
            }
            if self.has_dead(round, &is_dead) {
                self.break_round(round);
                return None;
            }
            self.begin_half(round.wrapping_add(1));
            fault!("barrier.complete:cleared");
            // A death that was announced since the word was read makes this fail.
            let exchanged =
                self.word.compare_exchange(word, next(round), Ordering::SeqCst, Ordering::SeqCst).is_ok();
            if exchanged {
                fault!("barrier.complete:completed");
                return Some(word & SLEEPERS != 0);
            }
        }
    }

    /// Nobody has arrived in the round that is about to begin, and nobody is missed in it.
    fn begin_half(&self, round: u32) {
        self.half(round).iter().for_each(|owner| owner.store(0, Ordering::Release));
        self.count.store(0, Ordering::Relaxed);
        self.died.store(0, Ordering::Relaxed);
    }

    /// Breaks this round if it has not ended, and wakes all who sleep. False if it had ended.
    pub fn break_round(&self, of: u32) -> bool {
        let mut seen = self.now();
        while round(seen) == of && !is_broken(seen) {
            let broken = (seen | BROKEN) & !LOOK;
            match self.word.compare_exchange(seen, broken, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => {
                    fault!("barrier.break:broken");
                    if seen & SLEEPERS != 0 {
                        self.word.wake(u32::MAX);
                    }
                    return true;
                }
                Err(now) => seen = now,
            }
        }
        false
    }

    /// Breaks the round for those who wait in it, and begins a new one as if the barrier were new. The caller has the
    /// lock.
    pub fn reset(&self) {
        let round = round(self.now());
        if self.waiting(round).next().is_some() {
            self.break_round(round);
        }
        if is_broken(self.now()) {
            let breaks = self.breaks.load(Ordering::Relaxed);
            self.log[breaks as usize % self.log.len()].store(round, Ordering::Release);
            fault!("barrier.reset:noted");
            self.breaks.store(breaks.wrapping_add(1), Ordering::Release);
            fault!("barrier.reset:logged");
        }
        self.begin_half(round);
        self.begin_half(round.wrapping_add(1));
        fault!("barrier.reset:cleared");
        self.word.store(next(round), Ordering::SeqCst);
        fault!("barrier.reset:begun");
        self.word.wake(u32::MAX);
    }

    /// Whether a death was announced that this caller is to look after.
    pub fn takes_look(&self) -> bool {
        let seen = self.now();
        seen & LOOK != 0
            && self.word.compare_exchange(seen, seen & !LOOK, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// It could not be told yet: the next one who comes by looks.
    pub fn look_again(&self) {
        self.word.fetch_or(LOOK, Ordering::SeqCst);
    }

    /// Waits until the round has ended. `look` is to break it if somebody has died on whom it depends.
    pub fn await_end(
        &self,
        arrival: &Arrival,
        sleeper: &mut impl Sleeper,
        mut look: impl FnMut(),
    ) -> Result<(), Failure> {
        loop {
            let seen = self.now();
            if let Some(end) = self.end_of(arrival, seen) {
                return end;
            }
            if seen & LOOK != 0 {
                // Cleared first: a death that comes meanwhile is announced anew.
                if self.takes_look() {
                    fault!("barrier.look:taken");
                    look();
                }
                continue;
            }
            if sleeper.spin() {
                continue;
            }
            let announced = seen | SLEEPERS;
            if seen != announced
                && self.word.compare_exchange(seen, announced, Ordering::SeqCst, Ordering::SeqCst).is_err()
            {
                continue;
            }
            fault!("barrier.wait:announced");
            if let Some(ended) = sleeper.sleep(self.word, announced) {
                return self.leave(arrival, ended);
            }
            fault!("barrier.wait:woken");
        }
    }

    /// A waiter whose time is up breaks the round, unless it has ended already.
    fn leave(&self, arrival: &Arrival, ended: Ended) -> Result<(), Failure> {
        if self.break_round(arrival.round) {
            return Err(Failure::Ended(ended));
        }
        self.end_of(arrival, self.now()).unwrap_or(Err(Failure::Broken))
    }

    /// How the round of this arrival has ended, if it has.
    fn end_of(&self, arrival: &Arrival, seen: u32) -> Option<Result<(), Failure>> {
        if round(seen) == arrival.round {
            return is_broken(seen).then_some(Err(Failure::Broken));
        }
        Some(if self.logged(arrival) { Err(Failure::Broken) } else { Ok(()) })
    }

    /// Whether the round of this arrival, which is over, was a broken one.
    fn logged(&self, arrival: &Arrival) -> bool {
        let since = || self.breaks.load(Ordering::Acquire).wrapping_sub(arrival.breaks) as usize;
        if since() == 0 {
            return false;
        }
        // The entry is there; and it is still the one, unless the log has come round meanwhile.
        let first = self.log[arrival.breaks as usize % self.log.len()].load(Ordering::Acquire);
        since() >= self.log.len() || first == arrival.round
    }
}
