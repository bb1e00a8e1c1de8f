//! The storm: processes that lock, wait, notify, allocate, pass on and free, while random ones of them are killed, at
//! random moments and at random fault points, and some are stopped for a while. What is done is in `acts.rs`; here is who
//! does it, who is killed, and what must be true: whoever lives makes progress, nobody comes where another one alive
//! is, and in the end everything is back.
//!
//! 20 s; `MP_STORM_SECONDS` in the environment says for how long else, and `MP_STORM_SEED` with which numbers.

use crate::acts::{all_acts, Act};
use crate::faults::{given_by_the_kernel, is_counted, points, usage};
use crate::process::{fork, nap, state_of, wait_until, Child, Numbers};
use crate::Case;
use mp::arena::Arena;
use mp::sync::Lock;
use mp::sys::fault::arm;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

pub const CREW: usize = 5;
/// Whoever has been left alone must have done something within this time.
const PATIENCE: Duration = Duration::from_secs(20);

pub fn cases() -> Vec<Case> {
    let everything = || {
        let arena = ["arena.", "slot.", "fork.", "death.", "wait.", "event.", "permit."];
        let objects = ["lock.", "rlock.", "semaphore.", "condition.", "flag.", "barrier.", "shared."];
        storm(all_acts, &[arena, objects].concat());
    };
    vec![Case::new("storm: processes are killed at random while they use everything", everything)
        .within(seconds() + 120)]
}

fn number_from(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(default)
}

pub fn seconds() -> u64 {
    number_from("MP_STORM_SECONDS", 20)
}

/// What the processes say of themselves, in memory that is shared without the library.
pub struct Board {
    stop: AtomicU32,
    /// How many have begun.
    begun: AtomicU32,
    /// What each member of the crew is doing, and how much it has done.
    doing: [AtomicU32; CREW],
    done: [AtomicU32; CREW],
    /// How often each act has been done.
    turns: [AtomicU32; 32],
    /// Places where one process may be at a time.
    pub rooms: [Room; 16],
    /// Counts for the acts.
    pub counts: [AtomicU32; 32],
    /// Where the processes leave tokens for each other.
    pub tokens: [[AtomicU32; 8]; 4],
}

/// Where only the owner of some lock may be.
pub struct Room {
    inside: AtomicU32,
    first: AtomicU32,
    second: AtomicU32,
}

impl Room {
    /// This process has the lock; `died` if it was told that the last owner had died.
    pub fn visit(&self, died: bool, numbers: &mut Numbers) {
        let me = std::process::id();
        let before = self.inside.swap(me, SeqCst);
        let gone = || matches!(state_of(before as i32), None | Some('Z' | 'X'));
        assert!(before == 0 || died && gone(), "{me} came in where {before} was ({died})");
        if died {
            self.second.store(self.first.load(SeqCst), SeqCst);
        }
        assert_eq!(self.first.load(SeqCst), self.second.load(SeqCst), "half-done, and nobody was told");
        self.first.fetch_add(1, SeqCst);
        (0..numbers.below(2000)).for_each(|_| std::hint::spin_loop());
        self.second.fetch_add(1, SeqCst);
        assert_eq!(self.inside.swap(0, SeqCst), me, "another one came in");
    }
}

/// Memory that is shared without the library.
pub fn shared<T>() -> &'static T {
    // SAFETY: a new anonymous mapping, zeroed, aligned, never unmapped; atomics may be shared.
    unsafe {
        let (read_write, shared) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        let memory = libc::mmap(std::ptr::null_mut(), size_of::<T>(), read_write, shared, -1, 0);
        assert_ne!(memory, libc::MAP_FAILED);
        &*memory.cast()
    }
}

static ME: AtomicUsize = AtomicUsize::new(CREW);

/// Which of the crew this process is; beyond them all, the one who kills.
pub fn me() -> usize {
    ME.load(SeqCst)
}

/// One of the crew does acts until all is over.
fn rage(board: &Board, acts: &[Box<dyn Act>], me: usize, numbers: &mut Numbers) {
    ME.store(me, SeqCst);
    while board.stop.load(SeqCst) == 0 {
        let act = numbers.below(acts.len() as u64) as usize;
        board.doing[me].store(act as u32, SeqCst);
        acts[act].turn(numbers);
        board.turns[act].fetch_add(1, SeqCst);
        board.done[me].fetch_add(1, SeqCst);
    }
}

/// A member of the crew as its killer knows it.
struct Member {
    child: Child,
    done: u32,
    /// Since when it has done no more.
    since: Instant,
}

struct Storm<'a> {
    board: &'static Board,
    acts: &'a [Box<dyn Act>],
    crew: Vec<Member>,
    numbers: Numbers,
    points: Vec<String>,
    kills: u32,
    suicides: u32,
}

impl Storm<'_> {
    /// Most of the crew carry a fault with them.
    fn begin(&mut self, me: usize) -> Member {
        let mut numbers = Numbers(self.numbers.next());
        let point = &self.points[numbers.below(self.points.len() as u64) as usize];
        let magnitude = numbers.below(6);
        let fault = match numbers.below(4) {
            0 => String::new(),
            _ => format!("kill@{point}#{}", 1 + numbers.below(1 << magnitude)),
        };
        let before = self.board.begun.load(SeqCst);
        let child = fork(|| {
            self.board.begun.fetch_add(1, SeqCst);
            arm(&fault);
            rage(self.board, self.acts, me, &mut numbers);
            arm("");
        });
        // Killed before it had taken over its slot, it would keep its handles for ten seconds.
        wait_until("it has begun", || self.board.begun.load(SeqCst) != before);
        Member { child, done: self.board.done[me].load(SeqCst), since: Instant::now() }
    }

    fn replace(&mut self, me: usize) {
        self.crew[me] = self.begin(me);
    }

    /// Whoever has fallen to its own fault is replaced; whoever does nothing is reported.
    fn look_at_all(&mut self) {
        for me in 0..self.crew.len() {
            let done = self.board.done[me].load(SeqCst);
            let member = &mut self.crew[me];
            if state_of(member.child.pid) == Some('Z') {
                member.child.was_killed();
                self.suicides += 1;
                self.replace(me);
            } else if member.done != done {
                (member.done, member.since) = (done, Instant::now());
            } else {
                let act = self.acts[self.board.doing[me].load(SeqCst) as usize].name();
                let pid = member.child.pid;
                assert!(member.since.elapsed() < PATIENCE, "{pid} makes no progress: {act}");
            }
        }
    }

    /// Kills one, or stops it for a moment.
    fn strike(&mut self) {
        let me = self.numbers.below(self.crew.len() as u64) as usize;
        if self.numbers.below(8) == 0 {
            self.crew[me].child.signal(libc::SIGSTOP);
            nap(self.numbers.below(20));
            self.crew[me].child.signal(libc::SIGCONT);
        } else {
            self.crew[me].child.kill();
            self.kills += 1;
            self.replace(me);
        }
    }

    fn go_on_for(&mut self, time: Duration) {
        let begun = Instant::now();
        for round in 1u64.. {
            if begun.elapsed() > time {
                return;
            }
            // Now and then a calm in which those who look after others by themselves get to it.
            nap(if round % 64 == 0 { 700 } else { self.numbers.below(10) });
            self.look_at_all();
            self.strike();
            if self.numbers.below(8) == 0 {
                Arena::get().unwrap().sweep();
            }
            // This process is never killed: what it waits for must come.
            let act = self.numbers.below(self.acts.len() as u64) as usize;
            let _watched = Watched::new(self.acts[act].name());
            self.acts[act].probe(&mut self.numbers);
        }
    }

    /// All end by themselves, if nobody lets them wait for who has ended.
    fn calm_down(&mut self) {
        self.board.stop.store(1, SeqCst);
        wait_until("all have ended", || {
            self.acts.iter().for_each(|act| act.hush());
            self.crew.iter().all(|member| state_of(member.child.pid) == Some('Z'))
        });
        self.crew.iter().for_each(|member| {
            let exit = member.child.wait();
            assert!(exit != crate::process::Exit::Code(101), "one failed");
        });
        Arena::get().unwrap().sweep();
    }
}

/// While it lives, this process must get on, or it ends and says what it hangs in.
struct Watched;

static NAME: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());
static LENGTH: AtomicUsize = AtomicUsize::new(0);

extern "C" fn too_late(_signal: i32) {
    let text = "the storm's own process hangs in: ";
    let name = (NAME.load(SeqCst).cast_const(), LENGTH.load(SeqCst));
    let parts = [(text.as_ptr(), text.len()), name, ("\n".as_ptr(), 1)];
    // SAFETY: write and _exit may be called in a signal handler; each part is a constant text of that length.
    unsafe {
        for (text, length) in parts {
            libc::write(2, text.cast(), length);
        }
        libc::_exit(102)
    }
}

impl Watched {
    fn new(name: &'static str) -> Watched {
        NAME.store(name.as_ptr().cast_mut(), SeqCst);
        LENGTH.store(name.len(), SeqCst);
        // SAFETY: the handler does only what a handler may do.
        unsafe {
            libc::signal(libc::SIGALRM, too_late as extern "C" fn(i32) as libc::sighandler_t);
            libc::alarm(PATIENCE.as_secs() as u32);
        }
        Watched
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // SAFETY: alarm takes a number.
        unsafe { libc::alarm(0) };
    }
}

/// Acts are done, and those who do them killed, also at the fault points with these prefixes.
pub fn storm(acts: impl FnOnce(&'static Board) -> Vec<Box<dyn Act>>, prefixes: &[&str]) {
    // The held table of this process grows now rather than meanwhile.
    drop((0..100).map(|_| Lock::new().unwrap()).collect::<Vec<_>>());
    let start = usage();
    let board: &'static Board = shared();
    let acts = acts(board);
    let seed = number_from("MP_STORM_SEED", u64::from(std::process::id()));
    println!("    seed {seed}");
    let mut storm = Storm {
        board,
        acts: &acts,
        crew: Vec::new(),
        numbers: Numbers(seed),
        points: points(prefixes),
        kills: 0,
        suicides: 0,
    };
    for me in 0..CREW {
        let member = storm.begin(me);
        storm.crew.push(member);
    }
    storm.go_on_for(Duration::from_secs(seconds()));
    storm.calm_down();
    let (kills, suicides) = (storm.kills, storm.suicides);
    println!("    {kills} killed, {suicides} at fault points");
    for (act, turns) in acts.iter().zip(&board.turns) {
        println!("    {}: {} turns", act.name(), turns.load(SeqCst));
        assert!(turns.load(SeqCst) > 0);
        act.check(kills + suicides);
    }
    assert!(kills > 50);
    drop(acts);
    // The children of the killed ones may still be at work.
    wait_until(&format!("all is back at {start:?}"), || {
        Arena::get().unwrap().sweep();
        usage() == start
    });
    Arena::get().unwrap().trim_all();
    is_counted();
    assert!(given_by_the_kernel() < 64 << 20);
}
