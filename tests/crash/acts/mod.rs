//! What the processes of the storm do, one act for each kind of object: a turn of a process that may be killed in it, a
//! probe by the one that is not, and what must be true in the end.

mod memory;
mod owned;
pub mod queues;
mod waiting;

use crate::process::Numbers;
use crate::sync_storm::Board;
use memory::{MemoryAct, TokenAct};
use mp::error::Status;
use mp::shared::{LockKind, Value};
use mp::sync::{Barrier, Condition, Event, Lock, RLock, Semaphore};
use mp::sys::clock::{Deadline, FOREVER};
use owned::{ForkAct, LockAct, RLockAct, ValueAct};
use std::cell::RefCell;
use waiting::{BarrierAct, ConditionAct, EventAct, RobustAct, SemaphoreAct, Store, PERMITS, ROBUST};

/// One kind of work.
pub trait Act {
    /// For reports.
    fn name(&self) -> &'static str;
    /// One turn, in which this process may be killed at any instant.
    fn turn(&self, numbers: &mut Numbers);
    /// The same by a process that is not killed: whatever it waits for must come, and it gives what others wait for.
    fn probe(&self, _numbers: &mut Numbers) {}
    /// Nobody begins another turn; whoever waits for one that ended must go.
    fn hush(&self) {}
    /// All have ended, and so many of them by a kill.
    fn check(&self, _kills: u32) {}
}

/// Every act. Their objects are made here, before the first fork.
pub fn all_acts(board: &'static Board) -> Vec<Box<dyn Act>> {
    let rooms = &board.rooms;
    vec![
        Box::new(LockAct { locks: [(); 3].map(|()| Lock::new().unwrap()), rooms: &rooms[..3] }),
        Box::new(RLockAct { lock: RLock::new().unwrap(), room: &rooms[3] }),
        Box::new(ValueAct(Value::new(8, None, LockKind::Recursive).unwrap())),
        Box::new(SemaphoreAct { semaphore: Semaphore::new(PERMITS, 0).unwrap(), given: &board.counts[6] }),
        Box::new(RobustAct(Semaphore::robust(ROBUST, 0).unwrap())),
        Box::new(EventAct(Event::new().unwrap())),
        Box::new(ConditionAct {
            name: "condition",
            condition: Condition::new(None).unwrap(),
            room: &rooms[4],
            store: Store(&board.counts[0..3]),
        }),
        Box::new({
            let lock = Lock::new().unwrap();
            ConditionAct {
                name: "condition with a plain lock",
                condition: Condition::with_lock(&lock).unwrap(),
                room: &rooms[5],
                store: Store(&board.counts[3..6]),
            }
        }),
        Box::new(BarrierAct { barrier: Barrier::new(2).unwrap(), parties: 2 }),
        Box::new(BarrierAct { barrier: Barrier::new(3).unwrap(), parties: 3 }),
        Box::new(MemoryAct(RefCell::default())),
        Box::new(TokenAct { mine: RefCell::default(), places: &board.tokens }),
        Box::new(ForkAct { lock: Lock::new().unwrap(), room: &rooms[6] }),
    ]
}

fn wait_of_some_length(numbers: &mut Numbers) -> Deadline {
    match numbers.below(4) {
        0 => Deadline::Now,
        1 => Deadline::after(1_000_000),
        2 => Deadline::after(50_000_000),
        _ => Deadline::after(FOREVER),
    }
}

/// Whether the lock was acquired, and whether with the news of a death.
fn acquired(result: mp::error::Result<Status>) -> Option<bool> {
    match result {
        Ok(status) => Some(status == Status::OwnerDead),
        Err(error) => {
            assert_eq!(error.status(), Status::Timeout, "{error}");
            None
        }
    }
}
