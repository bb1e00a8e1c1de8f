//! The rounds of a barrier. Its own lock is the lock word; who holds it may die.

use super::{check, join};
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::sync::Arc;
use loom::thread;
use mp::arena::word::{self, Acquired, Ended, Sleeper};
use mp::sync::rounds::{self, Failure, Rounds};
use mp::sys::prim::Futex;

/// Where a party dies, or runs out of time.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Lives,
    /// It has entered itself, and has the lock.
    Entered,
    /// It waits.
    Waiting,
    /// It has completed the round, has the lock, and has woken nobody.
    Completed,
    /// Its time is up when it would sleep.
    TimesOut,
}

struct Barrier {
    lock: Futex,
    word: Futex,
    count: AtomicU32,
    died: AtomicU32,
    breaks: AtomicU32,
    log: [AtomicU32; 2],
    halves: [Vec<AtomicU32>; 2],
    dead: AtomicU32,
    reaped: bool,
}

struct Model<'a> {
    dead: &'a AtomicU32,
    times_out: bool,
    slept: bool,
}

impl Sleeper for Model<'_> {
    fn is_dead(&self, owner: u32) -> bool {
        self.dead.load(Ordering::Acquire) == owner
    }

    fn spin(&mut self) -> bool {
        false
    }

    fn sleep(&mut self, word: &Futex, seen: u32) -> Option<Ended> {
        if self.times_out {
            return Some(Ended::TimedOut);
        }
        word.model_wait(seen);
        self.slept = true;
        None
    }

    fn slept(&self) -> bool {
        self.slept
    }
}

impl Barrier {
    fn new(parties: usize) -> Arc<Barrier> {
        Barrier::with(parties, true)
    }

    fn with(parties: usize, reaped: bool) -> Arc<Barrier> {
        let half = || (0..parties).map(|_| AtomicU32::new(0)).collect();
        Arc::new(Barrier {
            lock: Futex::new(0),
            word: Futex::new(0),
            count: AtomicU32::new(0),
            died: AtomicU32::new(0),
            breaks: AtomicU32::new(0),
            log: [AtomicU32::new(0), AtomicU32::new(0)],
            halves: [half(), half()],
            dead: AtomicU32::new(0),
            reaped,
        })
    }

    fn rounds(&self) -> Rounds<'_> {
        Rounds {
            word: &self.word,
            count: &self.count,
            died: &self.died,
            breaks: &self.breaks,
            log: &self.log,
            halves: [&self.halves[0], &self.halves[1]],
        }
    }

    fn sleeper(&self, fate: Fate) -> Model<'_> {
        Model { dead: &self.dead, times_out: fate == Fate::TimesOut, slept: false }
    }

    fn is_dead(&self, owner: u32) -> bool {
        self.dead.load(Ordering::Acquire) == owner
    }

    fn lock(&self, me: u32) {
        if !word::try_acquire(&self.lock, me)
            && word::acquire(&self.lock, me, &mut self.sleeper(Fate::Lives)) == Ok(Acquired::OwnerDead)
        {
            self.rounds().repair(|owner| self.is_dead(owner));
        }
    }

    fn unlock(&self, me: u32) {
        if !word::release_unwaited(&self.lock, me) {
            assert!(word::release(&self.lock, 0));
        }
    }

    /// `None`: it has died.
    fn wait(&self, me: u32, fate: Fate) -> Option<Result<u32, Failure>> {
        let rounds = self.rounds();
        self.lock(me);
        let Some(arrival) = rounds.arrive(me) else {
            self.unlock(me);
            return Some(Err(Failure::Broken));
        };
        if fate == Fate::Entered {
            return self.die(me);
        }
        if rounds.is_last(&arrival) {
            let sleepers = rounds.complete(arrival.round, |owner| self.is_dead(owner));
            if fate == Fate::Completed && sleepers.is_some() {
                return self.die(me);
            }
            self.unlock(me);
            if sleepers == Some(true) {
                self.word.wake(u32::MAX);
            }
            return Some(sleepers.map(|_| arrival.index).ok_or(Failure::Broken));
        }
        self.unlock(me);
        if fate == Fate::Waiting {
            return self.die(me);
        }
        let look = || {
            if rounds.has_dead(arrival.round, |owner| self.is_dead(owner)) {
                rounds.break_round(arrival.round);
            }
        };
        let ended = rounds.await_end(&arrival, &mut self.sleeper(fate), look);
        Some(ended.map(|()| arrival.index))
    }

    /// What is done about a process that has died.
    fn die<T>(&self, me: u32) -> Option<T> {
        self.dead.store(me, Ordering::SeqCst);
        word::bereave(&self.lock, me);
        if self.reaped {
            rounds::stir(&self.word, &self.died);
        } else {
            // A mutant: they are woken, but not told.
            self.word.wake(u32::MAX);
        }
        None
    }

    fn reset(&self, me: u32) {
        self.lock(me);
        self.rounds().reset();
        self.unlock(me);
    }

    fn abort(&self) {
        let rounds = self.rounds();
        while !rounds::is_broken(rounds.now()) {
            rounds.break_round(rounds::round(rounds.now()));
        }
    }
}

fn spawn<T: 'static>(
    barrier: &Arc<Barrier>,
    f: impl FnOnce(&Barrier) -> T + 'static,
) -> thread::JoinHandle<T> {
    let barrier = barrier.clone();
    thread::spawn(move || f(&barrier))
}

#[test]
fn three_come_together() {
    check(2, || {
        let barrier = Barrier::new(3);
        let others = [2, 3].map(|me| spawn(&barrier, move |b| b.wait(me, Fate::Lives).unwrap().unwrap()));
        let mut indices = vec![barrier.wait(1, Fate::Lives).unwrap().unwrap()];
        indices.extend(others.map(|other| other.join().unwrap()));
        indices.sort_unstable();
        assert_eq!(indices, [0, 1, 2]);
    });
}

#[test]
fn two_go_three_rounds() {
    check(3, || {
        let barrier = Barrier::new(2);
        let rounds = |me: u32| {
            move |b: &Barrier| (0..3).map(|_| b.wait(me, Fate::Lives).unwrap().unwrap()).collect::<Vec<_>>()
        };
        let other = spawn(&barrier, rounds(2));
        let mine = rounds(1)(&barrier);
        let pairs: Vec<_> = mine.into_iter().zip(other.join().unwrap()).collect();
        assert!(pairs.iter().all(|(a, b)| a + b == 1), "{pairs:?}");
    });
}

/// Of three parties two come, and one of them dies; the other one is told.
fn a_party_dies(fate: Fate, reaped: bool) {
    check(3, move || {
        let barrier = Barrier::with(3, reaped);
        let victim = spawn(&barrier, move |b| assert_eq!(b.wait(2, fate), None));
        assert_eq!(barrier.wait(1, Fate::Lives), Some(Err(Failure::Broken)));
        join([victim]);
    });
}

#[test]
fn a_waiter_dies() {
    a_party_dies(Fate::Waiting, true);
}

#[test]
fn one_dies_as_it_comes() {
    a_party_dies(Fate::Entered, true);
}

#[test]
#[ignore = "a mutant: it must fail"]
fn mutant_rounds_woken_but_not_told() {
    a_party_dies(Fate::Waiting, false);
}

/// The last one to come dies before it has completed the round. Who comes then, as its heir, is told as well.
#[test]
fn the_last_one_dies_as_it_comes() {
    check(3, || {
        let barrier = Barrier::new(2);
        let victim = spawn(&barrier, |b| assert_eq!(b.wait(2, Fate::Entered), None));
        assert_eq!(barrier.wait(1, Fate::Lives), Some(Err(Failure::Broken)));
        join([victim]);
        assert_eq!(barrier.wait(3, Fate::Lives), Some(Err(Failure::Broken)));
    });
}

/// The last one to come dies after it has completed the round; the other one has come through all the same.
#[test]
fn the_last_one_dies_before_it_wakes() {
    check(3, || {
        let barrier = Barrier::new(2);
        let victim = spawn(&barrier, |b| b.wait(2, Fate::Completed));
        assert!(barrier.wait(1, Fate::Lives).unwrap().is_ok());
        victim.join().unwrap();
    });
}

/// Nobody wakes the sleepers after the end of a round.
#[test]
#[ignore = "a mutant: it must fail"]
fn mutant_rounds_completed_silently() {
    check(2, || {
        let barrier = Barrier::new(2);
        let other = spawn(&barrier, |b| b.wait(2, Fate::Lives));
        barrier.lock(1);
        let arrival = barrier.rounds().arrive(1).unwrap();
        if barrier.rounds().is_last(&arrival) {
            barrier.rounds().complete(arrival.round, |_| false);
        }
        barrier.unlock(1);
        if !barrier.rounds().is_last(&arrival) {
            barrier.rounds().await_end(&arrival, &mut barrier.sleeper(Fate::Lives), || {}).unwrap();
        }
        assert!(other.join().unwrap().unwrap().is_ok());
    });
}

/// Who takes the notice of a death does nothing about it.
#[test]
#[ignore = "a mutant: it must fail"]
fn mutant_rounds_notice_ignored() {
    check(2, || {
        let barrier = Barrier::new(3);
        let victim = spawn(&barrier, |b| assert_eq!(b.wait(2, Fate::Waiting), None));
        let rounds = barrier.rounds();
        barrier.lock(1);
        let arrival = rounds.arrive(1);
        barrier.unlock(1);
        if let Some(arrival) = arrival {
            let _ = rounds.await_end(&arrival, &mut barrier.sleeper(Fate::Lives), || {});
        }
        join([victim]);
    });
}

/// One runs out of time: either both come through, or it breaks the round for both.
#[test]
fn one_runs_out_of_time() {
    check(3, || {
        let barrier = Barrier::new(2);
        let hasty = spawn(&barrier, |b| b.wait(2, Fate::TimesOut).unwrap());
        let patient = barrier.wait(1, Fate::Lives).unwrap();
        match (hasty.join().unwrap(), patient) {
            (Ok(a), Ok(b)) => assert_eq!(a + b, 1),
            (Err(Failure::Ended(Ended::TimedOut)), Err(Failure::Broken)) => {}
            other => panic!("{other:?}"),
        }
    });
}

/// A reset, a second round and an abort come while the two learn how their first round ended: both the same.
#[test]
fn late_sleepers_learn_of_their_own_round() {
    check(2, || {
        let barrier = Barrier::new(2);
        let one = spawn(&barrier, |b| b.wait(2, Fate::Lives).unwrap());
        let other = spawn(&barrier, |b| {
            let first = b.wait(3, Fate::Lives).unwrap();
            if first.is_ok() {
                let _ = b.wait(3, Fate::Lives);
            }
            first
        });
        barrier.reset(1);
        barrier.abort();
        let (one, other) = (one.join().unwrap(), other.join().unwrap());
        assert_eq!(one.is_ok(), other.is_ok());
    });
}
