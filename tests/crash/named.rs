//! Named arenas: strangers that find each other by name, and die at every step of it.

use crate::faults::{victim, was_killed};
use crate::process::{fork, nap, wait_until, Child, Numbers, Words};
use crate::Case;
use mp::arena::{Arena, OpenOptions};
use mp::channel::{Queue, QueueOptions};
use mp::error::Status;
use mp::sync::{Lock, Semaphore};
use mp::sys::clock::{Deadline, FOREVER};
use std::sync::atomic::{AtomicU32, Ordering};

pub fn cases() -> Vec<Case> {
    let case = |name: &str, body: fn()| Case::new(format!("named: {name}"), body);
    vec![
        case("strangers share a queue and a lock", strangers_meet),
        case("a stranger's lock passes on", stranger_dies),
        case("a stranger dies whose children have taken all places", all_places_taken).within(120),
        case("everybody creates at once, and finds the same", creators_race).within(120),
        case("names: other kinds, other options, removal", names),
        case("a forked child has the handles", forked_child),
        case("tokens", tokens),
        case("messages outlive their putter", messages_stay),
        case("an unlinked arena goes on for those who have it", unlinked),
        case("openers are killed at random", storm).within(120),
        case("an arena is swept as it is unlinked", unlink_sweeps),
        case("a child of libmp that opened it by itself", own_child),
    ]
}

pub fn unique(what: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("test-{}-{}-{what}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}

pub fn options() -> OpenOptions {
    // SAFETY: geteuid cannot fail.
    let uid = unsafe { libc::geteuid() };
    OpenOptions { capacity: 0, mode: 0o600, uid, must_exist: false }
}

pub fn open(name: &str) -> &'static Arena {
    Arena::open_named(name, &options()).unwrap()
}

pub fn path(name: &str) -> String {
    format!("/dev/shm/mp.{name}")
}

/// An arena's name, which goes with the test.
pub struct Name(pub String);

impl Name {
    pub fn new(what: &str) -> Name {
        Name(unique(what))
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        let _ = Arena::unlink_named(&self.0);
    }
}

fn queue(arena: &'static Arena) -> Queue {
    Queue::named(arena, b"queue", Some(&QueueOptions::default())).unwrap()
}

pub fn lock(arena: &'static Arena) -> Lock {
    Lock::named(arena, b"lock").unwrap()
}

pub fn status<T>(result: mp::error::Result<T>) -> Status {
    result.err().expect("it was to be refused").status()
}

pub const EVER: Deadline = Deadline::Never;

fn strangers_meet() {
    let name = Name::new("meet");
    let text = &name.0;
    let numbers = 2000u32;
    let producer = fork(|| {
        let queue = queue(open(text));
        (0..numbers).for_each(|n| queue.put(&n.to_ne_bytes(), EVER).unwrap());
        queue.put(&vec![7; 3 << 20], EVER).unwrap();
    });
    let consumer = fork(|| {
        let queue = queue(open(text));
        for n in 0..numbers {
            assert_eq!(queue.get(EVER).unwrap().bytes(), n.to_ne_bytes());
        }
        assert_eq!(queue.get(EVER).unwrap().bytes(), vec![7; 3 << 20]);
    });
    producer.succeeds();
    consumer.succeeds();
    let arena = open(text);
    assert_eq!(queue(arena).size().unwrap(), 0);
    assert!(Arena::if_made().is_none(), "a named arena needs no family");
}

fn stranger_dies() {
    let name = Name::new("dies");
    let words = Words::new();
    let owner = fork(|| {
        assert_eq!(lock(open(&name.0)).acquire(EVER).unwrap(), Status::Ok);
        words.set(0, 1);
        nap(100_000);
    });
    words.reaches(0, 1);
    let heirs: Vec<Child> = (0..3)
        .map(|_| {
            fork(|| {
                let lock = lock(open(&name.0));
                if lock.acquire(Deadline::after(FOREVER)).unwrap() == Status::OwnerDead {
                    words.add(1, 1);
                }
                lock.release().unwrap();
            })
        })
        .collect();
    heirs.iter().for_each(Child::sleeps);
    owner.kill();
    heirs.iter().for_each(Child::succeeds);
    assert_eq!(words.get(1), 1, "one is told");
}

/// Nobody has swept away what is left of the children when their parent dies: the next one comes in all the same.
fn all_places_taken() {
    let name = Name::new("places");
    let child = fork(|| {
        open(&name.0);
        (1..mp::arena::PLACES).for_each(|_| fork(|| ()).succeeds());
        std::process::abort();
    });
    child.wait();
    let lock = lock(open(&name.0));
    assert_eq!(lock.acquire(Deadline::Now).unwrap(), Status::Ok);
    fork(|| {
        assert_eq!(open(&name.0).usage().objects, 1);
    })
    .succeeds();
}

fn creators_race() {
    for round in 0..20 {
        let name = Name::new("race");
        let words = Words::new();
        let racers: Vec<Child> = (0..8)
            .map(|_| {
                fork(|| {
                    words.add(0, 1);
                    words.reaches(0, 8);
                    let arena = open(&name.0);
                    let queue = queue(arena);
                    let semaphore = Semaphore::named(arena, b"semaphore", 0, 0, false).unwrap();
                    queue.put(b"here", EVER).unwrap();
                    semaphore.release(1).unwrap();
                })
            })
            .collect();
        racers.iter().for_each(Child::succeeds);
        let arena = open(&name.0);
        assert_eq!(queue(arena).size().unwrap(), 8, "round {round}");
        assert_eq!(Semaphore::named(arena, b"semaphore", 0, 0, false).unwrap().value().unwrap(), 8);
        assert_eq!(arena.usage().objects, 2);
    }
}

fn names() {
    let name = Name::new("names");
    let arena = open(&name.0);
    assert_eq!(status(Queue::named(arena, b"q", None)), Status::NotFound);
    let bounded = QueueOptions { maxsize: 3, ..Default::default() };
    let first = Queue::named(arena, b"q", Some(&bounded)).unwrap();
    first.put(b"kept", EVER).unwrap();
    drop(first);
    assert_eq!(Queue::named(arena, b"q", None).unwrap().size().unwrap(), 1);
    assert_eq!(Queue::named(arena, b"q", Some(&bounded)).unwrap().size().unwrap(), 1);
    assert_eq!(status(Queue::named(arena, b"q", Some(&QueueOptions::default()))), Status::Exists);
    assert_eq!(status(Lock::named(arena, b"q")), Status::Exists);
    assert_eq!(status(Lock::named(arena, b"")), Status::Invalid);
    assert_eq!(status(Lock::named(arena, &[b'x'; 256])), Status::Invalid);
    let longest = Lock::named(arena, &[b'x'; 255]).unwrap();
    longest.acquire(EVER).unwrap();
    assert_eq!(status(Lock::named(arena, &[b'x'; 255]).unwrap().acquire(Deadline::Now)), Status::Timeout);
    Semaphore::named(arena, b"s", 2, 5, false).unwrap();
    assert_eq!(status(Semaphore::named(arena, b"s", 2, 0, false)), Status::Exists);
    assert_eq!(status(Semaphore::named(arena, b"s", 1, 5, false)), Status::Exists);
    // A removed name is free; the object stays for who has it.
    let old = Queue::named(arena, b"q", None).unwrap();
    arena.remove_name(b"q").unwrap();
    assert_eq!(status(arena.remove_name(b"q")), Status::NotFound);
    let new = Queue::named(arena, b"q", Some(&bounded)).unwrap();
    assert_eq!((old.size().unwrap(), new.size().unwrap()), (1, 0));
    drop((old, new, longest));
    for name in [&b"q"[..], b"s", &[b'x'; 255]] {
        arena.remove_name(name).unwrap();
    }
    assert_eq!(arena.usage().objects, 0);
    let records = arena.usage().blocks;
    for i in 0..200 {
        Lock::named(arena, format!("lock {i}").as_bytes()).unwrap();
        arena.remove_name(format!("lock {i}").as_bytes()).unwrap();
    }
    assert_eq!(arena.usage().blocks, records, "records are used again");
}

fn forked_child() {
    let name = Name::new("fork");
    let arena = open(&name.0);
    let words = Words::new();
    let mine = Lock::new().unwrap();
    let anonymous = Queue::new_in(arena, &QueueOptions::default()).unwrap();
    let child = fork(|| {
        words.reaches(0, 1);
        anonymous.put(b"from the child", EVER).unwrap();
        assert_eq!(anonymous.get(EVER).unwrap().bytes(), b"from the child");
        assert_eq!(mine.acquire(EVER).unwrap(), Status::Ok);
        words.set(1, 1);
        words.reaches(2, 1);
    });
    drop(anonymous);
    words.set(0, 1);
    words.reaches(1, 1);
    assert_eq!(arena.usage().objects, 1, "the child holds the queue");
    words.set(2, 1);
    child.succeeds();
    arena.sweep();
    assert_eq!(arena.usage().objects, 0);
}

fn tokens() {
    let name = Name::new("tokens");
    let arena = open(&name.0);
    let lock = lock(arena);
    let token = lock.token();
    let stranger = fork(|| {
        open(&name.0);
        assert_eq!(Lock::from_token(&token).unwrap().acquire(EVER).unwrap(), Status::Ok);
    });
    stranger.succeeds();
    let outsider = fork(|| {
        assert_eq!(status(Semaphore::from_token(&token)), Status::Invalid);
        let family = Lock::new().unwrap().token();
        assert_eq!(status(Lock::from_token(&family)), Status::Stale);
    });
    outsider.succeeds();
    arena.remove_name(b"lock").unwrap();
    drop(lock);
    // Both children held the lock when they ended.
    arena.sweep();
    assert_eq!(status(Lock::from_token(&token)), Status::Stale);
    assert_eq!(status(arena.keep(&token)), Status::Stale);
}

fn messages_stay() {
    let name = Name::new("stay");
    let putter = fork(|| {
        let queue = queue(open(&name.0));
        for n in 0..50u32 {
            queue.put(&n.to_ne_bytes().repeat(1 + n as usize * 40), EVER).unwrap();
        }
        nap(100_000);
    });
    wait_until("all is put", || {
        std::path::Path::new(&path(&name.0)).exists() && queue(open(&name.0)).size().unwrap() == 50
    });
    putter.kill();
    let getter = fork(|| {
        let queue = queue(open(&name.0));
        for n in 0..50u32 {
            assert_eq!(
                queue.get(Deadline::Now).unwrap().bytes(),
                n.to_ne_bytes().repeat(1 + n as usize * 40)
            );
        }
    });
    getter.succeeds();
}

fn unlinked() {
    let name = Name::new("unlinked");
    let old = open(&name.0);
    let lock_there = lock(old);
    Arena::unlink_named(&name.0).unwrap();
    assert_eq!(status(Arena::unlink_named(&name.0)), Status::NotFound);
    let must = OpenOptions { must_exist: true, ..options() };
    assert_eq!(status(Arena::open_named(&name.0, &must)), Status::NotFound);
    let new = open(&name.0);
    assert!(!std::ptr::eq(old, new));
    assert!(std::ptr::eq(new, open(&name.0)), "opened twice, it is the same");
    lock_there.acquire(EVER).unwrap();
    assert_eq!(lock(new).acquire(Deadline::Now).unwrap(), Status::Ok);
    assert_eq!(old.usage().objects, 1);
}

/// Who unlinks an arena that it uses gives back what the dead have left in it.
fn unlink_sweeps() {
    let name = Name::new("swept");
    let arena = open(&name.0);
    let words = Words::new();
    let stranger = fork(|| {
        std::mem::forget(Lock::new_in(arena).unwrap());
        words.set(0, 1);
        nap(100_000);
    });
    words.reaches(0, 1);
    assert_eq!(arena.usage().objects, 1);
    stranger.kill();
    Arena::unlink_named(&name.0).unwrap();
    assert_eq!(arena.usage().objects, 0);
}

fn own_child() {
    let name = Name::new("own");
    let arena = open(&name.0);
    let (mine, words) = (lock(arena), Words::new());
    let options = mp::process::identity::ChildOptions {
        identity: mp::process::identity::Identity::worker("named", 1),
        die_with_parent: true,
    };
    let child = mp::process::fork::fork(options.clone(), || {
        assert_eq!(mine.acquire(EVER).unwrap(), Status::Ok);
        words.set(0, 1);
        nap(100_000);
        0
    })
    .unwrap();
    let pid = child.pid;
    mp::process::reaper::watch(child, Box::new(|_| {}));
    words.reaches(0, 1);
    // SAFETY: a child of this process, not yet reaped.
    unsafe { libc::kill(pid, libc::SIGKILL) };
    assert_eq!(mine.acquire(Deadline::after(FOREVER)).unwrap(), Status::OwnerDead);
}

/// What every process of the storm does, and again and again.
fn visit(name: &str, numbers: &mut Numbers) {
    let arena = open(name);
    let (queue, lock) = (queue(arena), lock(arena));
    for _ in 0..numbers.below(20) {
        lock.acquire(EVER).unwrap();
        queue.put(&vec![1; numbers.below(5000) as usize], EVER).unwrap();
        lock.release().unwrap();
        drop(queue.get(EVER).unwrap());
        let other = format!("other {}", numbers.below(4));
        let made = Semaphore::named(arena, other.as_bytes(), 1, 0, false).unwrap();
        made.release(1).unwrap();
        if numbers.below(2) == 0 {
            let _ = arena.remove_name(other.as_bytes());
        }
    }
}

fn storm() {
    let name = Name::new("storm");
    let start = std::time::Instant::now();
    let (mut kills, mut round) = (0, 0u64);
    while start.elapsed() < std::time::Duration::from_secs(5) {
        round += 1;
        let mut numbers = Numbers(round);
        let visitors: Vec<Child> = (0..4)
            .map(|i| {
                fork(|| {
                    let mut numbers = Numbers(round * 10 + i);
                    loop {
                        visit(&name.0, &mut numbers);
                    }
                })
            })
            .collect();
        for visitor in visitors {
            nap(numbers.below(8));
            visitor.kill();
            kills += 1;
        }
    }
    let arena = open(&name.0);
    assert_ne!(lock(arena).acquire(Deadline::after(FOREVER)).unwrap(), Status::Timeout);
    let queue = queue(arena);
    while queue.size().unwrap() > 0 {
        drop(queue.get(EVER).unwrap());
    }
    for name in ["other 0", "other 1", "other 2", "other 3", "lock", "queue"] {
        let _ = arena.remove_name(name.as_bytes());
    }
    drop(queue);
    arena.sweep();
    assert_eq!(arena.usage().objects, 0);
    println!("    {kills} killed in {round} rounds");
}

/// A stranger opens an arena, makes named objects and removes them; killed somewhere. The next one goes on.
pub fn naming(spec: &str) -> bool {
    let name = Name::new("faults");
    let work = || {
        let arena = open(&name.0);
        let lock = lock(arena);
        assert_ne!(lock.acquire(EVER).unwrap(), Status::Timeout);
        queue(arena).put(&[5; 2000], EVER).unwrap();
        drop(Lock::named(arena, b"gone").unwrap());
        arena.remove_name(b"gone").unwrap();
        drop(queue(arena).get(EVER).unwrap());
        arena.remove_name(b"queue").unwrap();
        lock.release().unwrap();
    };
    let killed = (0..2).any(|_| was_killed(&victim(spec, work)));
    fork(work).succeeds();
    let arena = open(&name.0);
    for name in [&b"lock"[..], b"queue", b"gone"] {
        let _ = arena.remove_name(name);
    }
    arena.sweep();
    let usage = arena.usage();
    assert!(usage.objects == 0 && usage.blocks <= 3, "{usage:?}");
    killed
}
