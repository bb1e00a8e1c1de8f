//! What the processes of the storm do, one act for each kind of object: a turn of a process that may be killed in it, a
//! probe by the one that is not, and what must be true in the end.

use crate::memory::Known;
use crate::process::{fork, wait_until, Exit, Numbers};
use crate::sync_storm::{Board, Room};
use mp::arena::Token;
use mp::error::Status;
use mp::shared::{LockKind, Value};
use mp::sync::{Barrier, Condition, Lock, RLock, Semaphore, Who};
use mp::sys::clock::{Deadline, FOREVER};
use std::cell::RefCell;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

/// One kind of work.
pub trait Act {
    /// For reports.
    fn name(&self) -> &'static str;
    /// One turn, in which this process may be killed at any instant.
    fn turn(&self, numbers: &mut Numbers);
    /// The same by a process that is not killed: whatever it waits for must come.
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

struct LockAct {
    locks: [Lock; 3],
    rooms: &'static [Room],
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

struct RLockAct {
    lock: RLock,
    room: &'static Room,
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
struct ValueAct(Value);

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

const PERMITS: u32 = 3;

/// Permits that go with those who die, at most one with each; the one who is never killed gives new ones.
struct SemaphoreAct {
    semaphore: Semaphore,
    given: &'static AtomicU32,
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

/// Goods that are made and used under a condition's lock: how many there are, were made and were used.
struct Store(&'static [AtomicU32]);

struct ConditionAct {
    name: &'static str,
    condition: Condition,
    room: &'static Room,
    store: Store,
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
        self.consume(numbers, Deadline::Never);
    }

    fn hush(&self) {
        self.make(&mut Numbers(1));
    }
}

/// A barrier that breaks again and again, since those who were in it die; whoever finds it broken mends it.
struct BarrierAct {
    barrier: Barrier,
    parties: u32,
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

/// Blocks that are filled and must be as they were.
struct MemoryAct(RefCell<Vec<Known>>);

impl Act for MemoryAct {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn turn(&self, numbers: &mut Numbers) {
        let mut mine = self.0.borrow_mut();
        if mine.len() < 40 && (mine.is_empty() || numbers.below(2) == 0) {
            let magnitude = numbers.below(19);
            mine.push(Known::new(numbers.below(1 << magnitude), numbers.next() as u8));
        } else {
            let which = numbers.below(mine.len() as u64) as usize;
            mine.swap_remove(which).check();
        }
    }
}

/// Objects are made, their tokens left where others find them, and freed.
struct TokenAct {
    mine: RefCell<Vec<Lock>>,
    places: &'static [[AtomicU32; 8]; 4],
}

impl Act for TokenAct {
    fn name(&self) -> &'static str {
        "tokens"
    }

    fn turn(&self, numbers: &mut Numbers) {
        let mut mine = self.mine.borrow_mut();
        let place = &self.places[numbers.below(4) as usize];
        match numbers.below(3) {
            0 if mine.len() < 40 => {
                let lock = Lock::new().unwrap();
                let bytes = lock.token().to_bytes();
                let words = bytes.chunks_exact(4).map(|four| u32::from_ne_bytes(four.try_into().unwrap()));
                place.iter().zip(words).for_each(|(place, word)| place.store(word, SeqCst));
                mine.push(lock);
            }
            1 if mine.len() < 40 => {
                let mut bytes = [0; 32];
                let words = place.iter().map(|word| word.load(SeqCst).to_ne_bytes());
                bytes.chunks_exact_mut(4).zip(words).for_each(|(to, from)| to.copy_from_slice(&from));
                // Half-written, stale or good: a status, never a crash.
                if let Ok(found) = Lock::from_token(&Token::from_bytes(&bytes)) {
                    if found.acquire(Deadline::Now).is_ok() {
                        found.release().unwrap();
                    }
                    mine.push(found);
                }
            }
            _ if !mine.is_empty() => {
                let which = numbers.below(mine.len() as u64) as usize;
                drop(mine.swap_remove(which));
            }
            _ => {}
        }
    }
}

/// Children that have all that their parent has, and a lock for a moment.
struct ForkAct {
    lock: Lock,
    room: &'static Room,
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
