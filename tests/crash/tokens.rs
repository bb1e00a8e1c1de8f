//! Tokens: of living, destroyed, foreign and invented objects, kept and dropped.

use crate::process::{fork, Numbers, Words};
use crate::Case;
use mp::arena::{Arena, Token};
use mp::error::Status;
use mp::sync::{Lock, Semaphore};
use mp::sys::clock::Deadline;

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("token: names the object in any process of the family", names_it),
        Case::new("token: of a destroyed object", destroyed),
        Case::new("token: of an object of another kind", other_kind),
        Case::new("token: 100,000 random ones", random),
        Case::new("token: every bit counts", every_bit),
        Case::new("token: of another arena", other_arena),
        Case::new("token: kept without any handle", kept),
        Case::new("token: many handles of one object", many_handles).within(60),
    ]
}

#[track_caller]
fn status<T>(result: mp::error::Result<T>) -> Status {
    result.map(drop).err().map_or(Status::Ok, |e| e.status())
}

fn names_it() {
    let start = Arena::get().unwrap().usage();
    let words = Words::new();
    let lock = Lock::new().unwrap();
    let bytes = lock.token().to_bytes();
    lock.acquire(Deadline::Now).unwrap();
    let child = fork(|| {
        let again = Lock::from_token(&Token::from_bytes(&bytes)).unwrap();
        again.release().unwrap();
        assert_eq!(again.acquire(Deadline::Now).unwrap(), Status::Ok);
        words.set(0, 1);
        assert_eq!(again.token(), Token::from_bytes(&bytes));
    });
    child.succeeds();
    assert_eq!(words.get(0), 1);
    assert_eq!(lock.acquire(Deadline::after(i64::MAX)).unwrap(), Status::OwnerDead);
    drop(lock);
    Arena::get().unwrap().sweep();
    assert_eq!(Arena::get().unwrap().usage(), start);
}

fn destroyed() {
    let start = Arena::get().unwrap().usage();
    let mut stale = Vec::new();
    for _ in 0..100 {
        let (lock, semaphore) = (Lock::new().unwrap(), Semaphore::new(1, 0).unwrap());
        stale.push((lock.token(), semaphore.token()));
    }
    let live: Vec<_> = (0..100).map(|_| (Lock::new().unwrap(), Semaphore::new(1, 0).unwrap())).collect();
    for (lock, semaphore) in stale {
        assert_eq!(status(Lock::from_token(&lock)), Status::Stale);
        assert_eq!(status(Semaphore::from_token(&semaphore)), Status::Stale);
        assert_eq!(status(Arena::get().unwrap().keep(&lock)), Status::Stale);
        assert_eq!(status(Arena::get().unwrap().unkeep(&lock)), Status::Stale);
    }
    drop(live);
    assert_eq!(Arena::get().unwrap().usage().objects, start.objects);
}

fn other_kind() {
    let (lock, semaphore) = (Lock::new().unwrap(), Semaphore::new(1, 0).unwrap());
    assert_eq!(status(Semaphore::from_token(&lock.token())), Status::Invalid);
    let error = Lock::from_token(&semaphore.token()).unwrap_err();
    assert_eq!(error.status(), Status::Invalid);
    assert!(error.message().contains("a semaphore, not a lock"), "{error}");
}

fn random() {
    let _lock = Lock::new().unwrap();
    let start = Arena::get().unwrap().usage();
    let mut numbers = Numbers(1);
    for _ in 0..100_000 {
        let mut bytes = [0; 32];
        bytes.chunks_exact_mut(8).for_each(|c| c.copy_from_slice(&numbers.next().to_ne_bytes()));
        let token = Token::from_bytes(&bytes);
        assert_eq!(status(Lock::from_token(&token)), Status::Invalid);
        assert_eq!(status(Arena::get().unwrap().keep(&token)), Status::Invalid);
    }
    assert_eq!(Arena::get().unwrap().usage(), start);
}

fn every_bit() {
    let lock = Lock::new().unwrap();
    let good = lock.token().to_bytes();
    for bit in 0..256 {
        let mut bytes = good;
        bytes[bit / 8] ^= 1 << (bit % 8);
        let found = status(Lock::from_token(&Token::from_bytes(&bytes)));
        assert_eq!(found, Status::Invalid, "bit {bit}");
    }
    assert_eq!(status(Lock::from_token(&Token::from_bytes(&[0; 32]))), Status::Invalid);
    assert_eq!(status(Lock::from_token(&Token::from_bytes(&[0xff; 32]))), Status::Invalid);
}

fn other_arena() {
    let words = Words::new();
    // A child that forks before there is an arena makes its own.
    let child = fork(|| {
        let lock = Lock::new().unwrap();
        for (i, four) in lock.token().to_bytes().chunks_exact(4).enumerate() {
            words.set(i, u32::from_ne_bytes(four.try_into().unwrap()));
        }
    });
    child.succeeds();
    let _mine = Lock::new().unwrap();
    let mut bytes = [0; 32];
    bytes
        .chunks_exact_mut(4)
        .enumerate()
        .for_each(|(i, four)| four.copy_from_slice(&words.get(i).to_ne_bytes()));
    assert_eq!(status(Lock::from_token(&Token::from_bytes(&bytes))), Status::Invalid);
}

fn kept() {
    let arena = Arena::get().unwrap();
    let start = arena.usage();
    let semaphore = Semaphore::new(7, 0).unwrap();
    let token = semaphore.token();
    assert_eq!(status(arena.unkeep(&token)), Status::Overflow);
    arena.keep(&token).unwrap();
    arena.keep(&token).unwrap();
    drop(semaphore);
    arena.unkeep(&token).unwrap();
    assert_eq!(Semaphore::from_token(&token).unwrap().value().unwrap(), 7);
    // Kept by one process, dropped by another, and by no death.
    let child = fork(|| arena.keep(&token).unwrap());
    child.succeeds();
    arena.sweep();
    arena.unkeep(&token).unwrap();
    assert_eq!(Semaphore::from_token(&token).unwrap().value().unwrap(), 7);
    let child = fork(|| arena.unkeep(&token).unwrap());
    child.succeeds();
    arena.sweep();
    assert_eq!(status(Semaphore::from_token(&token)), Status::Stale);
    assert_eq!(arena.usage(), start);
}

fn many_handles() {
    let lock = Lock::new().unwrap();
    let token = lock.token();
    let mut handles = Vec::new();
    let refused = loop {
        match Lock::from_token(&token) {
            Ok(handle) => handles.push(handle),
            Err(error) => break error.status(),
        }
    };
    assert_eq!(refused, Status::NoMemory);
    assert!(handles.len() > 60_000, "{}", handles.len());
    drop(handles);
    assert_eq!(Lock::from_token(&token).unwrap().owner().unwrap(), 0);
    drop(lock);
    assert_eq!(status(Lock::from_token(&token)), Status::Stale);
    assert_eq!(Arena::get().unwrap().usage().objects, 0);
}
