//! Spinning: a short look at the word again and again before a thread goes to sleep, and the habit that each
//! object has of it.
//!
//! Between two cores a spin saves the sleep and the wake-up, which on a virtual machine cost a hundred times the
//! hand-off; but whoever spins on the core that the other side needs only keeps it from going on. Neither can be
//! seen from here, so each object learns it, in one word beside its own:
//!
//! ```text
//! 31       4 3     0
//! passes     level
//! ```
//!
//! A trial spins as long as a sleep and a wake-up take; so even where it fails, it at most doubles the cost of the
//! wait. Level counts the trials that failed of late. From a level on, each failure lets four times as many waits
//! pass without a spin before the next trial: where spinning never pays, what the trials cost is a hundredth. A
//! trial that succeeds takes the level down by more than a failure raises it: as soon as spinning pays, all spin.
//!
//! The word is a hint that threads change without care for each other.

use crate::sys::clock;
use crate::sys::prim::{AtomicU32, Ordering};

/// How long a trial is, in nanoseconds: as long as it takes to wake a sleeper on another core of a virtual machine.
const TRIAL: u32 = 50_000;
/// The same for streams: so long it takes to write a large message, and who sleeps through it stands still for longer.
const STREAM_TRIAL: u32 = 120_000;
/// What is between two looks, in nanoseconds: each look takes the cache line from who is about to write to it, and so
/// delays what it waits for. This is for a single change that is taken up at once.
pub(super) const PACE: u32 = 70;
/// For locks, whose owner may have many a turn meanwhile.
pub(super) const LOCK_PACE: u32 = 270;
/// For streams: the more gathers between two looks, the faster it flows; but of what comes one by one, as answers do,
/// each is waited for. So a stream has levels, each of twice the pace of the one before.
const STREAM_LEVELS: u32 = 5;

/// A wait for something of the stream is over: from now on its level is another one, if more had gathered than one.
pub fn learn_gathering(level: &AtomicU32, more: bool) {
    let now = level.load(Ordering::Relaxed).min(STREAM_LEVELS);
    let next = if more { now + 1 } else { now.saturating_sub(1) };
    if next.min(STREAM_LEVELS) != now {
        level.store(next.min(STREAM_LEVELS), Ordering::Relaxed);
    }
}

const LEVEL: u32 = 15;
const PASS: u32 = LEVEL + 1;
/// So many failures are no habit yet: an owner was preempted, a producer had nothing.
const PATIENCE: u32 = 2;
const HIGHEST: u32 = 7;
const RELIEF: u32 = 2;
/// The most waits between two trials.
const MOST_PASSES: u32 = 2000;

/// The spin of one wait.
#[derive(Debug)]
pub(super) struct Spin<'a> {
    habit: Option<&'a AtomicU32>,
    /// What is between two looks: in nanoseconds until it begins, then in pauses.
    pace: u32,
    /// How long a trial is, in nanoseconds.
    trial: u32,
    /// Pauses so far.
    spun: u32,
    /// The most pauses of this wait.
    limit: u32,
    begun: bool,
}

impl<'a> Spin<'a> {
    /// For a wait on a word that has no habit.
    pub(super) fn new() -> Spin<'a> {
        Spin { habit: None, pace: PACE, trial: TRIAL, spun: 0, limit: 0, begun: false }
    }

    /// For a wait on an object with this habit.
    pub(super) fn by(&mut self, habit: &'a AtomicU32) {
        self.habit = Some(habit);
    }

    /// Looks so seldom, in nanoseconds.
    pub(super) fn at(&mut self, pace: u32) {
        self.pace = pace;
    }

    /// Looks at a stream of this level.
    pub(super) fn at_stream(&mut self, level: u32) {
        self.pace = PACE << level.min(STREAM_LEVELS);
        self.trial = STREAM_TRIAL;
    }

    /// One moment between two looks; false when it is time to sleep. `time`: how long the wait may take, in
    /// nanoseconds.
    #[inline]
    pub(super) fn go_on(&mut self, time: impl FnOnce() -> i64) -> bool {
        if self.spun >= self.limit && (self.begun || !self.begin(time)) {
            return false;
        }
        for _ in 0..self.pace {
            std::hint::spin_loop();
        }
        self.spun += self.pace;
        true
    }

    /// Decides how long to spin.
    #[cold]
    fn begin(&mut self, time: impl FnOnce() -> i64) -> bool {
        self.begun = true;
        let Some(habit) = self.habit else { return false };
        let known = habit.load(Ordering::Relaxed);
        if known >= PASS {
            habit.store(known - PASS, Ordering::Relaxed);
            return false;
        }
        self.pace = clock::pauses(self.pace).max(1);
        self.limit = clock::pauses(time().clamp(0, i64::from(self.trial)) as u32);
        self.limit > 0
    }

    /// The wait is over.
    #[inline]
    pub(super) fn learn(&self, slept: bool) {
        if let (Some(habit), true) = (self.habit, self.spun > 0) {
            let level = habit.load(Ordering::Relaxed) & LEVEL;
            if slept {
                habit.store(after_failure(level), Ordering::Relaxed);
            } else if level > 0 {
                habit.store(level.saturating_sub(RELIEF), Ordering::Relaxed);
            }
        }
    }
}

fn after_failure(level: u32) -> u32 {
    let level = (level + 1).min(HIGHEST);
    let passes = if level > PATIENCE { 4 << (2 * (level - PATIENCE)) } else { 0 };
    level + passes.min(MOST_PASSES) * PASS
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waits `n` times; the spin succeeds or not. How many spun.
    fn waits(habit: &AtomicU32, n: u32, succeeds: bool) -> u32 {
        let wait = |_| {
            let mut spin = Spin::new();
            spin.by(habit);
            let spins = spin.go_on(|| i64::MAX);
            spin.learn(!(spins && succeeds));
            u32::from(spins)
        };
        (0..n).map(wait).sum()
    }

    #[test]
    fn who_fails_stops_and_who_succeeds_goes_on() {
        let habit = AtomicU32::new(0);
        assert_eq!(waits(&habit, 100, true), 100);
        assert!(waits(&habit, 100, false) < 10);
        assert!(waits(&habit, 100_000, false) < 60);
        // The first trial that succeeds is soon followed by others.
        assert!(waits(&habit, 5_000, true) > 2_000);
        assert_eq!(waits(&habit, 100, true), 100);
    }

    #[test]
    fn one_failure_is_no_habit() {
        let habit = AtomicU32::new(0);
        for _ in 0..100 {
            assert_eq!(waits(&habit, 1, false), 1);
            assert_eq!(waits(&habit, 9, true), 9);
        }
    }

    #[test]
    fn a_spin_ends() {
        let habit = AtomicU32::new(0);
        for (pace, time) in [(PACE, i64::MAX), (LOCK_PACE, i64::MAX), (PACE, 100), (LOCK_PACE, 0), (PACE, -1)]
        {
            let mut spin = Spin::new();
            spin.by(&habit);
            spin.at(pace);
            while spin.go_on(|| time) {}
            assert!(spin.spun <= 50_000_000 && (time > 0 || spin.spun == 0));
        }
        assert!(!Spin::new().go_on(|| i64::MAX));
    }
}
