//! Trials of what belongs to a condition: the lock that it keeps alive, and the blocks that it grows by.

use crate::conditions::{acquire, forever, GO, WAITING};
use crate::faults::{is_back_at, usage, victim, was_killed};
use crate::process::{fork, Child, Words};
use mp::arena::Arena;
use mp::error::Status;
use mp::sync::{Condition, Lock, RLock};
use mp::sys::clock::Deadline;

/// A process whose threads fill the nodes that lie in the cell, and wait until all are notified.
fn crowd(condition: &Condition, words: Words) -> Child {
    let crowd = fork(|| {
        std::thread::scope(|scope| {
            for _ in 0..12 {
                scope.spawn(|| {
                    acquire(condition);
                    words.add(WAITING, 1);
                    condition.wait(forever()).unwrap();
                    condition.release().unwrap();
                });
            }
        });
    });
    words.reaches(WAITING, 12);
    // The last one has begun its wait when the lock is free.
    acquire(condition);
    condition.release().unwrap();
    crowd
}

/// The victim makes the condition grow. The lock is another object, and both are dropped by this process.
pub fn growing(spec: &str) -> bool {
    let start = usage();
    let lock = RLock::new().unwrap();
    let condition = Condition::new(Some(&lock)).unwrap();
    let words = Words::new();
    let crowd = crowd(&condition, words);
    let killed = was_killed(&victim(spec, || {
        let another = Condition::new(Some(&lock)).unwrap();
        acquire(&condition);
        another.notify_all().unwrap();
        drop(another);
        assert_eq!(condition.wait(Deadline::after(1000)).unwrap_err().status(), Status::Timeout);
        condition.release().unwrap();
    }));
    acquire(&condition);
    condition.notify_all().unwrap();
    condition.release().unwrap();
    crowd.succeeds();
    drop(lock);
    acquire(&condition);
    condition.release().unwrap();
    drop(condition);
    is_back_at(start);
    killed
}

/// The victim drops the last handles of a condition that has grown and of its lock.
pub fn destroying(spec: &str) -> bool {
    let start = usage();
    let lock = RLock::new().unwrap();
    let condition = Condition::new(Some(&lock)).unwrap();
    let words = Words::new();
    let crowd = crowd(&condition, words);
    acquire(&condition);
    assert_eq!(condition.wait(Deadline::after(1000)).unwrap_err().status(), Status::Timeout);
    condition.notify_all().unwrap();
    condition.release().unwrap();
    crowd.succeeds();
    let handles = std::cell::Cell::new(Some((condition, lock)));
    let order = spec.len() % 2 == 0;
    let victim = victim(spec, || {
        words.reaches(GO, 1);
        let (condition, lock) = handles.take().unwrap();
        if order {
            drop(condition);
            drop(lock);
        } else {
            drop(lock);
            drop(condition);
        }
    });
    drop(handles.take());
    Arena::get().unwrap().sweep();
    words.set(GO, 1);
    let killed = was_killed(&victim);
    is_back_at(start);
    killed
}

/// Somebody dies holding a condition whose lock is another object, and so does who settles it.
pub fn settling(spec: &str) -> bool {
    let start = usage();
    let (lock, plain) = (RLock::new().unwrap(), Lock::new().unwrap());
    let dead = fork(|| {
        let own = RLock::new().unwrap();
        for _ in 0..2 {
            std::mem::forget(Condition::new(Some(&lock)).unwrap());
            std::mem::forget(Condition::new(Some(&own)).unwrap());
            std::mem::forget(Condition::with_lock(&plain).unwrap());
        }
    });
    dead.succeeds();
    let killed = was_killed(&victim(spec, || Arena::get().unwrap().sweep()));
    Arena::get().unwrap().sweep();
    // Nobody has lowered anything twice.
    assert!(RLock::from_token(&lock.token()).is_ok() && Lock::from_token(&plain.token()).is_ok());
    assert_eq!(usage().objects, start.objects + 2);
    drop((lock, plain));
    is_back_at(start);
    killed
}
