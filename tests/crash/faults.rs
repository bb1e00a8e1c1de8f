//! A process is killed at every pass of every fault point of the arena, the lock and the semaphore. The others go on
//! at once, and after a sweep the arena has as much in use as before.

use crate::kills::{Kills, Pace};
use crate::process::{fork, wait_until, Child, Exit, Words};
use crate::{condition_parts, named, shared, waiters, Case};
use mp::arena::{Arena, Block, Usage};
use mp::error::Status;
use mp::sync::{Condition, Lock, RLock, Semaphore};
use mp::sys::clock::{Deadline, FOREVER};
use mp::sys::fault::arm;

/// Whose points are tested here. Those of the floors above have tests of their own.
const PREFIXES: [&str; 9] =
    ["arena.", "slot.", "fork.", "death.", "lock.", "semaphore.", "wait.", "watch.", "shared."];

/// There are many passes, and none of these cases is small.
pub const THOROUGH: Pace = Pace { all_of: 24, tries: 3, least: 5 };

pub fn cases() -> Vec<Case> {
    let kills = Kills::new(&PREFIXES);
    let case =
        |name: &str, body: fn(Kills)| Case::new(format!("faults: {name}"), move || body(kills)).within(300);
    vec![
        case("memory and objects", |k| k.at_passes_of(&["arena.", "slot."], THOROUGH, memory)),
        case("memory that goes back to the kernel", |k| {
            k.at_passes_of(&["arena.run:", "arena.trim:", "arena.back:"], THOROUGH, trimming)
        }),
        case("who inherits the allocator from a killed process", |k| {
            k.at_passes_of(&["arena.inherit:", "arena.back:"], THOROUGH, inheriting)
        }),
        case("tokens kept and dropped", |k| k.at_passes_of(&["arena."], THOROUGH, keeping)),
        case("fork", |k| k.at_passes_of(&["arena.", "slot.", "fork."], THOROUGH, forking)),
        case("fork into a slot before the parent's own", |_| child_settled_before_parent()),
        case("the settler of a killed process", |k| {
            k.at_passes_of(&["arena.", "death."], THOROUGH, settling)
        }),
        case("a process, its settler, and the settler's settler", |_| chains()),
        case("a condition that grows", |k| k.at_passes_of(&["arena."], THOROUGH, condition_parts::growing)),
        case("a condition and its lock", |k| {
            k.at_passes_of(&["arena."], THOROUGH, condition_parts::destroying)
        }),
        case("the settler of conditions", |k| {
            k.at_passes_of(&["arena.", "death."], THOROUGH, condition_parts::settling)
        }),
        case("lock", |k| k.at_passes_of(&["lock.", "wait.", "watch."], THOROUGH, waiters::locking)),
        case("the settler of a lock's owner", |k| {
            k.at_passes_of(&["lock.", "death."], THOROUGH, waiters::bereaving)
        }),
        case("semaphore", |k| k.at_passes_of(&["semaphore.", "wait."], THOROUGH, waiters::counting)),
        case("named arenas", |k| k.at_passes_of(&["arena.", "slot."], THOROUGH, named::naming)),
        case("shared state", |k| k.at_passes_of(&["arena.", "slot.", "shared."], THOROUGH, shared::sharing)),
        case("every point has killed", |k| k.all_points_reached("")),
    ]
}

/// The names of the fault points with one of these prefixes, as they stand in the sources.
pub fn points(prefixes: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for file in std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().path()) {
            if file.is_dir() {
                folders.push(file);
                continue;
            }
            let source = std::fs::read_to_string(file).unwrap_or_default();
            for line in source.lines().filter(|line| !line.trim_start().starts_with("//")) {
                let name = line.split_once("fault!(\"").and_then(|(_, rest)| rest.split_once('"'));
                found.extend(name.map(|(name, _)| name.to_owned()));
            }
        }
    }
    found.retain(|name| prefixes.iter().any(|p| name.starts_with(p)));
    found.sort();
    found.dedup();
    assert!(!found.is_empty());
    found
}

/// Three deaths in a row: a process in the middle of its work, who settles it, and who settles that.
fn chains() {
    // What the victim and the settlers do comes by no others.
    let elsewhere = [
        "arena.open",
        "arena.name",
        "arena.unname",
        "arena.link",
        "arena.part",
        "arena.keep",
        "arena.unkeep",
        "arena.trim",
        "arena.inherit",
    ];
    let passed = |prefixes: &[&str]| {
        let mut found = points(prefixes);
        found.retain(|name| !elsewhere.iter().any(|prefix| name.starts_with(prefix)));
        found
    };
    let (places, settlers) = (passed(&["arena.", "slot.", "fork."]), passed(&["arena.", "death."]));
    let (mut trials, mut deaths) = (0, Words::new());
    for (i, first) in places.iter().enumerate() {
        for (k, second) in settlers.iter().enumerate() {
            for n in 1..=2 {
                let third = &settlers[(i * 7 + k * 3 + n) % settlers.len()];
                let specs = [
                    format!("kill@{first}#{}", n * n),
                    format!("kill@{second}#{n}"),
                    format!("kill@{third}#1"),
                ];
                chain(&specs, &mut deaths);
                trials += 1;
            }
        }
    }
    println!("    {trials} chains, {} deaths", deaths.get(0));
    assert!(deaths.get(0) > trials);
}

/// Runs a trial in a process of its own; whether its victim was killed.
pub fn try_one(spec: &str, trial: impl Fn(&str) -> bool) -> bool {
    let words = Words::new();
    let survivor = fork(|| words.set(0, u32::from(trial(spec))));
    assert_eq!(survivor.wait(), Exit::Code(0), "{spec}");
    words.get(0) != 0
}

pub fn usage() -> Usage {
    Arena::get().unwrap().usage()
}

/// After the dead have been swept up, the arena is as it was.
#[track_caller]
pub fn is_back_at(start: Usage) {
    let arena = Arena::get().unwrap();
    arena.sweep();
    assert_eq!(arena.usage(), start);
}

/// Starts a victim, which may be killed while it does `work`.
pub fn victim(spec: &str, work: impl FnOnce()) -> Child {
    fork(|| {
        arm(spec);
        work();
        arm("");
    })
}

#[track_caller]
pub fn was_killed(victim: &Child) -> bool {
    match victim.wait() {
        Exit::Signal(libc::SIGKILL) => true,
        exit => {
            assert_eq!(exit, Exit::Code(0));
            false
        }
    }
}

/// Blocks of many sizes, new slabs, large blocks, and enough objects for a longer held table.
fn use_memory(slab_size: u64) {
    let arena = Arena::get().unwrap();
    for size in [0, 10, 1000, 5000, 100_000, 3 << 20] {
        let block = arena.allocate(size, size % 20 == 0).unwrap();
        arena.write(arena.data_offset(block.reference()), &vec![7; size as usize]);
    }
    let blocks: Vec<_> = (0..9).map(|_| arena.allocate(slab_size, false).unwrap()).collect();
    let locks: Vec<_> = (0..14).map(|_| Lock::new().unwrap()).collect();
    let large: Vec<_> = (0..3).map(|_| arena.allocate(40_000, true).unwrap()).collect();
    drop((blocks, locks, large));
    drop(Condition::new(Some(&RLock::new().unwrap())).unwrap());
    let token = Lock::new().map(|lock| lock.token()).unwrap();
    assert_eq!(Lock::from_token(&token).err().map(|e| e.status()), Some(Status::Stale));
}

fn memory(spec: &str) -> bool {
    use_memory(6000);
    let start = usage();
    let killed = was_killed(&victim(spec, || use_memory(8000)));
    use_memory(4000);
    use_memory(8000);
    is_back_at(start);
    killed
}

/// What the kernel has given is what the arena thinks it was given, in use or not.
#[track_caller]
pub fn is_counted() {
    let arena = Arena::get().unwrap();
    let (backed, idle) = arena.backed_and_idle();
    let given = given_by_the_kernel();
    assert!(
        (backed..=backed + (1 << 20)).contains(&given),
        "{given} bytes given, {backed} known, {idle} idle"
    );
}

/// Bytes of the arena's file that are in memory.
pub fn given_by_the_kernel() -> u64 {
    let file = std::fs::File::from(Arena::get().unwrap().descriptor().unwrap().try_clone_to_owned().unwrap());
    std::os::unix::fs::MetadataExt::blocks(&file.metadata().unwrap()) * 512
}

/// Large blocks of many lengths, some of which are freed and then go back to the kernel.
fn come_and_go() {
    let arena = Arena::get().unwrap();
    let large = |n: u64| {
        let block = arena.allocate(n * 100_000, false).unwrap();
        arena.write(arena.data_offset(block.reference()), &vec![n as u8; n as usize * 100_000]);
        block
    };
    let mut blocks: Vec<_> = (1..12).map(large).collect();
    for n in [1, 3, 4] {
        drop(blocks.remove(n));
        arena.trim_all();
    }
    blocks.push(large(30));
    for (i, n) in [1, 3, 4, 6, 8, 9, 10, 11, 30].into_iter().enumerate() {
        let bytes = arena.read(arena.data_offset(blocks[i].reference()), n * 100_000);
        assert!(bytes.iter().all(|byte| u64::from(*byte) == n));
    }
    drop(blocks);
    arena.trim_all();
}

fn trimming(spec: &str) -> bool {
    // What this process holds itself has its memory from now on.
    come_and_go();
    let start = usage();
    let before = given_by_the_kernel();
    let killed = was_killed(&victim(spec, come_and_go));
    come_and_go();
    is_back_at(start);
    // What a killed process had is free only now.
    Arena::get().unwrap().trim_all();
    is_counted();
    assert!(given_by_the_kernel() <= before + (1 << 20), "{} of {before}", given_by_the_kernel());
    killed
}

fn inheriting(spec: &str) -> bool {
    come_and_go();
    let start = usage();
    let mut killed = false;
    for point in ["arena.trim:noted", "arena.trim:unbacked", "arena.run:ending", "arena.back:noted"] {
        victim(&format!("kill@{point}"), come_and_go).was_killed();
        killed |= was_killed(&victim(spec, come_and_go));
    }
    come_and_go();
    is_back_at(start);
    Arena::get().unwrap().trim_all();
    is_counted();
    killed
}

fn keeping(spec: &str) -> bool {
    let start = usage();
    let arena = Arena::get().unwrap();
    let semaphore = Semaphore::new(1, 0).unwrap();
    let token = semaphore.token();
    arena.keep(&token).unwrap();
    let killed = was_killed(&victim(spec, || {
        let handle = Semaphore::from_token(&token).unwrap();
        arena.keep(&token).unwrap();
        drop(handle);
        arena.unkeep(&token).unwrap();
    }));
    arena.sweep();
    assert_eq!(usage().objects, start.objects + 1);
    // As it was, or kept once more: but never less, and never more than its keeps.
    while arena.unkeep(&token).is_ok() {}
    assert_eq!(semaphore.value().unwrap(), 1);
    arena.keep(&token).unwrap();
    drop(semaphore);
    arena.unkeep(&token).unwrap();
    assert_eq!(Semaphore::from_token(&token).unwrap_err().status(), Status::Stale);
    is_back_at(start);
    killed
}

fn forking(spec: &str) -> bool {
    let start = usage();
    let (lock, semaphore) = (Lock::new().unwrap(), Semaphore::new(1, 0).unwrap());
    let words = Words::new();
    let killed = was_killed(&victim(spec, || {
        let more: Vec<_> = (0..12).map(|_| Lock::new().unwrap()).collect();
        let child = fork(|| {
            arm("");
            words.set(0, std::process::id());
            assert_eq!(more[0].acquire(Deadline::Now).unwrap(), Status::Ok);
        });
        child.succeeds();
    }));
    let child = words.get(0) as i32;
    wait_until("the victim's child is gone", || {
        child == 0 || crate::process::state_of(child).is_none_or(|s| s == 'Z')
    });
    let mine = fork(|| assert_eq!(lock.acquire(Deadline::after(FOREVER)).unwrap(), Status::Ok));
    mine.succeeds();
    Arena::get().unwrap().sweep();
    assert_eq!(usage().objects, start.objects + 2);
    drop((lock, semaphore));
    is_back_at(start);
    killed
}

/// What a process that is about to die holds: handles of its own and shared ones, blocks, a lock.
fn hold_much(shared: &Lock) {
    let arena = Arena::get().unwrap();
    assert_eq!(shared.acquire(Deadline::Now).unwrap(), Status::Ok);
    for i in 0..15 {
        std::mem::forget(Lock::new().unwrap());
        std::mem::forget(arena.allocate(i * 1000, i % 2 == 0).unwrap());
    }
    std::mem::forget(arena.allocate(1 << 20, true).unwrap());
    std::mem::forget(Condition::new(Some(&RLock::new().unwrap())).unwrap());
    for _ in 0..20 {
        std::mem::forget(Lock::from_token(&shared.token()).unwrap());
    }
}

/// Blocks as long as the chunks of a held table, whose contents would be entries that hold `object`: a settler that
/// still read a chunk which it had given back would drop that object.
fn bait(object: &Semaphore) -> Vec<Block> {
    let arena = Arena::get().unwrap();
    let mut entry = [0u8; 32];
    entry[0] = 1;
    entry[8..16].copy_from_slice(&object.token().to_bytes()[8..16]);
    let lengths = [1024, 1024, 2048, 2048];
    let blocks: Vec<Block> = lengths.iter().map(|n| arena.allocate(*n, false).unwrap()).collect();
    for (block, length) in blocks.iter().zip(lengths) {
        arena.write(arena.data_offset(block.reference()), &entry.repeat(length as usize / 32));
    }
    blocks
}

/// A process dies while it prepares a slot for its child that lies before its own, so that the settlers come upon the
/// half-prepared slot first.
fn child_settled_before_parent() {
    for n in [1, 4] {
        let survivor = fork(|| {
            let start = usage();
            let held: Vec<_> = (0..4).map(|_| Semaphore::new(1, 0).unwrap()).collect();
            // Slots are given in a round: the victim gets the last one.
            for _ in 0..4093 {
                fork(|| {}).succeeds();
            }
            Arena::get().unwrap().sweep();
            let victim = victim(&format!("kill@arena.refs:changed#{n}"), || fork(|| {}).succeeds());
            victim.was_killed();
            Arena::get().unwrap().sweep();
            let alive = |s: &Semaphore| Semaphore::from_token(&s.token()).is_ok();
            assert!(held.iter().all(alive), "an object was dropped twice");
            drop(held);
            is_back_at(start);
        });
        survivor.succeeds();
    }
}

fn settling(spec: &str) -> bool {
    let start = usage();
    let arena = Arena::get().unwrap();
    let (lock, other) = (Lock::new().unwrap(), Semaphore::new(2, 0).unwrap());
    let dead = fork(|| hold_much(&lock));
    dead.succeeds();
    let killed = was_killed(&victim(spec, || arena.sweep()));
    drop((0..5).map(|_| Lock::new().unwrap()).collect::<Vec<_>>());
    let bait = bait(&other);
    arena.sweep();
    // Nobody has lowered anything twice.
    assert_eq!(Semaphore::from_token(&other.token()).unwrap().value().unwrap(), 2);
    drop(bait);
    assert_eq!(usage().objects, start.objects + 2);
    assert_eq!(lock.acquire(Deadline::Now).unwrap(), Status::OwnerDead);
    assert_eq!(Lock::from_token(&lock.token()).unwrap().owner().unwrap(), std::process::id() as i32);
    drop((lock, other));
    is_back_at(start);
    killed
}

fn chain(specs: &[String; 3], deaths: &mut Words) {
    let survivor = fork(|| {
        let start = usage();
        let arena = Arena::get().unwrap();
        let (lock, other) = (Lock::new().unwrap(), Semaphore::new(2, 0).unwrap());
        let first = victim(&specs[0], || {
            hold_much(&lock);
            use_memory(8000);
            let child = fork(|| arm(""));
            child.succeeds();
        });
        deaths.add(0, u32::from(was_killed(&first)));
        for spec in &specs[1..] {
            deaths.add(0, u32::from(was_killed(&victim(spec, || arena.sweep()))));
        }
        wait_until("all are swept up", || {
            arena.sweep();
            usage().objects == start.objects + 2
        });
        assert_eq!(other.value().unwrap(), 2);
        assert_eq!(lock.acquire(Deadline::after(FOREVER)).unwrap(), Status::OwnerDead);
        use_memory(8000);
        drop((lock, other));
        // This process's own held table may have grown by a chunk.
        assert_eq!(usage().objects, start.objects);
        drop(arena.allocate(3 << 20, false));
        arena.sweep();
        assert!(usage().blocks <= start.blocks + 1, "{:?}", usage());
    });
    assert_eq!(survivor.wait(), Exit::Code(0), "{specs:?}");
}
