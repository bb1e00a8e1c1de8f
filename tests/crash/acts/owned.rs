//! Locks and what has one: they know their owners.

use super::{acquired, wait_of_some_length, Act};
use crate::process::{fork, Exit, Numbers};
use crate::sync_storm::Room;
use mp::error::Status;
use mp::shared::Value;
use mp::sync::{Lock, RLock, Who};
use mp::sys::clock::Deadline;
use std::sync::atomic::Ordering::SeqCst;

pub struct LockAct {
    pub locks: [Lock; 3],
    pub rooms: &'static [Room],
}

impl LockAct {
    fn visit(&self, which: usize, numbers: &mut Numbers, deadline: Deadline) {
        if let Some(died) = acquired(self.locks[which].acquire(deadline)) {
            self.rooms[which].visit(died, numbers);
            self.locks[which].release().unwrap();
        }
    }
}

impl Act for LockAct {
    fn name(&self) -> &'static str {
        "lock"
    }

    fn turn(&self, numbers: &mut Numbers) {
        let deadline = wait_of_some_length(numbers);
        self.visit(numbers.below(3) as usize, numbers, deadline);
    }

    fn probe(&self, numbers: &mut Numbers) {
        (0..3).for_each(|which| self.visit(which, numbers, Deadline::Never));
    }
}

pub struct RLockAct {
    pub lock: RLock,
    pub room: &'static Room,
}

impl RLockAct {
    fn visit(&self, numbers: &mut Numbers, deadline: Deadline) {
        let me = Who::this_thread();
        let Some(died) = acquired(self.lock.acquire(me, deadline)) else { return };
        let deeper = numbers.below(3);
        (0..deeper).for_each(|_| assert_eq!(acquired(self.lock.acquire(me, Deadline::Now)), Some(false)));
        self.room.visit(died, numbers);
        (0..=deeper).for_each(|_| self.lock.release(me).unwrap());
        assert_eq!(self.lock.release(me).unwrap_err().status(), Status::NotOwner);
    }
}

impl Act for RLockAct {
    fn name(&self) -> &'static str {
        "rlock"
    }

    fn turn(&self, numbers: &mut Numbers) {
        let deadline = wait_of_some_length(numbers);
        self.visit(numbers, deadline);
    }

    fn probe(&self, numbers: &mut Numbers) {
        self.visit(numbers, Deadline::Never);
    }
}

/// A value whose two halves are the same unless one died between them.
pub struct ValueAct(pub Value);

impl ValueAct {
    fn count(&self, deadline: Deadline) {
        let me = Who::this_thread();
        let Some(died) = acquired(self.0.acquire(me, deadline)) else { return };
        let word = self.0.word64().unwrap();
        let (first, second) = (word.load(SeqCst) as u32, (word.load(SeqCst) >> 32) as u32);
        assert!(first == second || died, "half-written, and nobody was told");
        word.store(u64::from(second) << 32 | u64::from(second.wrapping_add(1)), SeqCst);
        std::thread::yield_now();
        word.store(u64::from(second.wrapping_add(1)) << 32 | u64::from(second.wrapping_add(1)), SeqCst);
        self.0.release(me).unwrap();
    }
}

impl Act for ValueAct {
    fn name(&self) -> &'static str {
        "value"
    }

    fn turn(&self, numbers: &mut Numbers) {
        self.count(wait_of_some_length(numbers));
    }

    fn probe(&self, _numbers: &mut Numbers) {
        self.count(Deadline::Never);
    }
}

/// Children that have all that their parent has, and a lock for a moment.
pub struct ForkAct {
    pub lock: Lock,
    pub room: &'static Room,
}

impl Act for ForkAct {
    fn name(&self) -> &'static str {
        "fork"
    }

    fn turn(&self, numbers: &mut Numbers) {
        if numbers.below(8) != 0 {
            return;
        }
        let seed = numbers.next();
        let child = fork(|| {
            let mut numbers = Numbers(seed);
            if let Some(died) = acquired(self.lock.acquire(Deadline::after(50_000_000))) {
                self.room.visit(died, &mut numbers);
                if numbers.below(2) == 0 {
                    self.lock.release().unwrap();
                }
            }
        });
        assert_ne!(child.wait(), Exit::Code(101));
    }

    fn probe(&self, numbers: &mut Numbers) {
        let died = self.lock.acquire(Deadline::Never).unwrap() == Status::OwnerDead;
        self.room.visit(died, numbers);
        self.lock.release().unwrap();
    }
}
