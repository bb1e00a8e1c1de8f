//! Where processes wait for each other.

use super::{wait_of_some_length, Act};
use crate::process::{wait_until, Numbers};
use crate::sync_storm::Room;
use mp::arena::Arena;
use mp::error::Status;
use mp::sync::{Barrier, Condition, Event, Semaphore};
use mp::sys::clock::{Deadline, FOREVER};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

pub const PERMITS: u32 = 3;

/// Permits that go with those who die, at most one with each; the one who is never killed gives new ones.
pub struct SemaphoreAct {
    pub semaphore: Semaphore,
    pub given: &'static AtomicU32,
}

impl Act for SemaphoreAct {
    fn name(&self) -> &'static str {
        "semaphore"
    }

    fn turn(&self, numbers: &mut Numbers) {
        match self.semaphore.acquire(wait_of_some_length(numbers)) {
            Ok(()) => self.semaphore.release(1).unwrap(),
            Err(error) => assert_eq!(error.status(), Status::Timeout, "{error}"),
        }
    }

    fn probe(&self, _numbers: &mut Numbers) {
        self.hush();
    }

    fn hush(&self) {
        if self.semaphore.value().unwrap() == 0 {
            self.semaphore.release(1).unwrap();
            self.given.fetch_add(1, SeqCst);
        }
    }

    fn check(&self, kills: u32) {
        let (value, given) = (self.semaphore.value().unwrap(), PERMITS + self.given.load(SeqCst));
        assert!(value <= given && value + kills >= given, "{value} permits of {given} after {kills} kills");
    }
}

pub const ROBUST: u32 = 2;

/// Permits that come back from the dead: however many die, there are as many in the end.
pub struct RobustAct(pub Semaphore);

impl RobustAct {
    fn take_and_give(&self, numbers: &mut Numbers, deadline: Deadline) {
        match self.0.acquire(deadline) {
            Ok(()) => {
                assert!(self.0.value().unwrap() < ROBUST);
                (0..numbers.below(1000)).for_each(|_| std::hint::spin_loop());
                self.0.release(1).unwrap();
            }
            Err(error) => assert_eq!(error.status(), Status::Timeout, "{error}"),
        }
        assert_eq!(self.0.release(1).unwrap_err().status(), Status::NotOwner);
    }
}

impl Act for RobustAct {
    fn name(&self) -> &'static str {
        "robust semaphore"
    }

    fn turn(&self, numbers: &mut Numbers) {
        let deadline = wait_of_some_length(numbers);
        self.take_and_give(numbers, deadline);
    }

    fn probe(&self, numbers: &mut Numbers) {
        self.take_and_give(numbers, Deadline::Never);
    }

    fn check(&self, _kills: u32) {
        wait_until("all permits are back", || {
            Arena::get().unwrap().sweep();
            self.0.value().unwrap() == ROBUST
        });
    }
}

/// An event that is set and cleared all the time.
pub struct EventAct(pub Event);

impl Act for EventAct {
    fn name(&self) -> &'static str {
        "event"
    }

    fn turn(&self, numbers: &mut Numbers) {
        match numbers.below(4) {
            0 => self.0.set().unwrap(),
            1 => self.0.clear().unwrap(),
            _ => {
                if let Err(error) = self.0.wait(wait_of_some_length(numbers)) {
                    assert_eq!(error.status(), Status::Timeout, "{error}");
                }
            }
        }
    }

    fn probe(&self, _numbers: &mut Numbers) {
        self.0.set().unwrap();
    }

    fn hush(&self) {
        self.0.set().unwrap();
    }

    fn check(&self, _kills: u32) {
        self.0.set().unwrap();
        self.0.wait(Deadline::Now).unwrap();
        self.0.clear().unwrap();
        assert_eq!(self.0.wait(Deadline::Now).unwrap_err().status(), Status::Timeout);
    }
}

/// Goods that are made and used under a condition's lock: how many there are, were made and were used.
pub struct Store(pub &'static [AtomicU32]);

pub struct ConditionAct {
    pub name: &'static str,
    pub condition: Condition,
    pub room: &'static Room,
    pub store: Store,
}

impl ConditionAct {
    /// With the lock held, from this status on. It was told of a death: what is there may be wrong by one.
    fn regard(&self, status: Status, numbers: &mut Numbers) {
        let died = status == Status::OwnerDead;
        self.room.visit(died, numbers);
        let [there, made, used] = [0, 1, 2].map(|i| &self.store.0[i]);
        let balance = made.load(SeqCst).wrapping_sub(used.load(SeqCst));
        if died {
            there.store(balance, SeqCst);
        }
        assert_eq!(there.load(SeqCst), balance);
    }

    fn change(&self, count: usize, by: u32) {
        self.store.0[count].fetch_add(by, SeqCst);
        self.store.0[0].fetch_add(if count == 1 { by } else { by.wrapping_neg() }, SeqCst);
    }

    fn make(&self, numbers: &mut Numbers) {
        self.regard(self.condition.acquire(Deadline::after(FOREVER)).unwrap(), numbers);
        let n = 1 + numbers.below(3) as u32;
        self.change(1, n);
        match numbers.below(4) {
            0 => self.condition.notify_all().unwrap(),
            _ => self.condition.notify(n).unwrap(),
        }
        self.condition.release().unwrap();
    }

    /// Waits until there is something, or its time is up, and uses it.
    fn consume(&self, numbers: &mut Numbers, deadline: Deadline) {
        self.regard(self.condition.acquire(Deadline::after(FOREVER)).unwrap(), numbers);
        while self.store.0[0].load(SeqCst) == 0 {
            match self.condition.wait(deadline) {
                Ok(status) => self.regard(status, numbers),
                Err(error) => {
                    assert_eq!(error.status(), Status::Timeout, "{error}");
                    self.regard(Status::Ok, numbers);
                    break;
                }
            }
        }
        if self.store.0[0].load(SeqCst) > 0 {
            self.change(2, 1);
        }
        self.condition.release().unwrap();
    }
}

impl Act for ConditionAct {
    fn name(&self) -> &'static str {
        self.name
    }

    fn turn(&self, numbers: &mut Numbers) {
        match numbers.below(3) {
            0 => self.make(numbers),
            _ => {
                let deadline = wait_of_some_length(numbers);
                self.consume(numbers, deadline);
            }
        }
    }

    fn probe(&self, numbers: &mut Numbers) {
        self.make(numbers);
        // Not for ever: all others may be waiting for what this process makes.
        self.consume(numbers, Deadline::after(10_000_000));
    }

    fn hush(&self) {
        self.make(&mut Numbers(1));
    }
}

/// A barrier that breaks again and again, since those who were in it die; whoever finds it broken mends it.
pub struct BarrierAct {
    pub barrier: Barrier,
    pub parties: u32,
}

impl Act for BarrierAct {
    fn name(&self) -> &'static str {
        "barrier"
    }

    fn turn(&self, numbers: &mut Numbers) {
        match self.barrier.wait(wait_of_some_length(numbers)) {
            Ok(index) => assert!(index < self.parties),
            Err(error) => {
                assert!(matches!(error.status(), Status::Broken | Status::Timeout), "{error}");
                if numbers.below(2) == 0 {
                    self.barrier.reset().unwrap();
                }
            }
        }
    }

    fn probe(&self, numbers: &mut Numbers) {
        match numbers.below(4) {
            0 => self.barrier.abort().unwrap(),
            1 => drop(self.barrier.broken().unwrap()),
            _ => self.barrier.reset().unwrap(),
        }
    }

    fn hush(&self) {
        self.barrier.abort().unwrap();
    }

    fn check(&self, _kills: u32) {
        assert_eq!(self.barrier.waiting().unwrap(), 0);
        assert!(self.barrier.broken().unwrap());
        self.barrier.reset().unwrap();
        // Children of those who were killed may still end, and break it, until none is left.
        wait_until("its parties meet", || {
            self.barrier.reset().unwrap();
            std::thread::scope(|scope| {
                let wait = || self.barrier.wait(Deadline::Never).is_ok();
                let others: Vec<_> = (1..self.parties).map(|_| scope.spawn(wait)).collect();
                others.into_iter().fold(wait(), |met, other| other.join().unwrap() && met)
            })
        });
    }
}
