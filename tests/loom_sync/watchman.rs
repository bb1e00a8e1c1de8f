//! The watchman of an owned word. Owners die here *unseen*: nobody declares them dead but who looks after them, and
//! that is the watchman, whose stretches end, and nobody else: the others' long stretches end only where a test says so.

use super::{check, join};
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::sync::Arc;
use loom::thread;
use mp::arena::watchman;
use mp::arena::word::{self, Ended, Sleeper};
use mp::sys::prim::Futex;

/// Sets of processes are bits.
struct Lock {
    word: Futex,
    watch: AtomicU32,
    /// Who has died.
    gone: AtomicU32,
    /// Who is known to have died.
    declared: AtomicU32,
    /// The watchman sleeps.
    guarded: AtomicU32,
    /// The long stretches of sleep are over.
    long: AtomicU32,
    omits: Omits,
}

/// What a mutant leaves out.
#[derive(Clone, Copy, PartialEq)]
enum Omits {
    Nothing,
    /// The watchman calls the next when it leaves.
    Calling,
    /// A call changes the word, and so does who settles.
    ChangeOfWord,
    /// Who was called, and leaves without having watched, calls the next.
    Duty,
    /// Who has slept long looks after the watchman.
    LookAtWatchman,
    /// Who dies is settled.
    Settling,
}

/// What becomes of who waits.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    /// It takes the lock and releases it.
    Stays,
    /// It takes the lock and dies unseen.
    DiesOwner,
    /// Its time is up when it has slept.
    TimesOut,
    /// It dies when it has slept, and is settled.
    DiesWoken,
    /// It dies when it is the watchman, and is settled.
    DiesWatching,
    /// Its time is up when it has slept, and it dies when it leaves, with its signature taken back, and is settled.
    DiesLeaving,
    /// The same, with the word changed for the call.
    DiesCalling,
}

struct Waiter<'a> {
    lock: &'a Lock,
    me: u32,
    fate: Fate,
    watching: bool,
    slept: bool,
    slept_long: bool,
    /// It has died, and does nothing more.
    dead: bool,
}

impl Lock {
    /// Held by process 1.
    fn new(omits: Omits) -> Arc<Lock> {
        let zero = || AtomicU32::new(0);
        Arc::new(Lock {
            word: Futex::new(1),
            watch: zero(),
            gone: zero(),
            declared: zero(),
            guarded: zero(),
            long: zero(),
            omits,
        })
    }

    fn is_dead(&self, owner: u32) -> bool {
        self.declared.load(Ordering::SeqCst) & 1 << owner != 0
    }

    /// By system calls.
    fn investigate(&self, owner: u32) -> bool {
        let gone = owner != 0 && self.gone.load(Ordering::SeqCst) & 1 << owner != 0;
        if gone {
            self.declared.fetch_or(1 << owner, Ordering::SeqCst);
        }
        gone
    }

    /// Nobody notices, until the watchman's stretch ends.
    fn die_unseen(&self, me: u32) {
        self.gone.fetch_or(1 << me, Ordering::SeqCst);
        self.word.model_time_comes(|| self.guarded.load(Ordering::SeqCst) != 0);
    }

    fn settle(&self, dead: u32) {
        self.gone.fetch_or(1 << dead, Ordering::SeqCst);
        self.declared.fetch_or(1 << dead, Ordering::SeqCst);
        word::bereave(&self.word, dead);
        // By its park record.
        match self.omits {
            Omits::Settling => {}
            Omits::ChangeOfWord => drop(self.word.wake(u32::MAX)),
            _ => word::rouse(&self.word),
        }
    }

    fn release(&self, me: u32) {
        if !word::release_unwaited(&self.word, me) {
            assert!(word::release(&self.word, 0));
        }
    }

    fn wait(&self, me: u32, fate: Fate) {
        let mut waiter = Waiter::new(self, me, fate);
        let acquired = word::acquire(&self.word, me, &mut waiter);
        if waiter.dead {
            return self.settle(me);
        }
        waiter.leave(acquired.is_err());
        match (acquired, fate) {
            (Err(_), Fate::DiesLeaving | Fate::DiesCalling) => self.settle(me),
            (Err(_), _) => {}
            (Ok(_), Fate::DiesOwner) => self.die_unseen(me),
            (Ok(_), _) => self.release(me),
        }
    }
}

impl Waiter<'_> {
    fn new(lock: &Lock, me: u32, fate: Fate) -> Waiter<'_> {
        Waiter { lock, me, fate, watching: false, slept: false, slept_long: false, dead: false }
    }

    /// The end of `arena::wait::Waiter`.
    fn leave(&self, empty_handed: bool) {
        let (lock, word) = (self.lock, &self.lock.word);
        if !self.slept || lock.omits == Omits::Duty && !self.watching {
            return;
        }
        let is_dead = |owner| lock.is_dead(owner);
        watchman::leave(&lock.watch, self.me, self.watching, is_dead, || match (lock.omits, self.fate) {
            (Omits::Calling, _) => {}
            (Omits::ChangeOfWord, _) => drop(word.wake(1)),
            (_, Fate::DiesLeaving) if empty_handed => {}
            (_, Fate::DiesCalling) if empty_handed => {
                word.fetch_and(!word::WAITERS, Ordering::SeqCst);
            }
            _ => word::call_one(word),
        });
    }

    /// Whether the stretch of this sleep is over.
    fn is_due(&self, seen: u32) -> bool {
        let owner_gone = self.lock.gone.load(Ordering::SeqCst) & 1 << word::owner(seen) != 0;
        if self.watching {
            owner_gone
        } else {
            !self.slept_long && self.lock.long.load(Ordering::SeqCst) != 0
        }
    }
}

impl Sleeper for Waiter<'_> {
    fn is_dead(&self, owner: u32) -> bool {
        self.lock.is_dead(owner)
    }

    fn spin(&mut self) -> bool {
        false
    }

    /// One stretch, as `arena::wait::Waiter` sleeps it.
    fn sleep(&mut self, word: &Futex, seen: u32) -> Option<Ended> {
        let leaves = !matches!(self.fate, Fate::Stays | Fate::DiesOwner);
        if self.slept && leaves {
            self.dead = matches!(self.fate, Fate::DiesWoken | Fate::DiesWatching);
            return Some(Ended::TimedOut);
        }
        let counts = |signed| !self.lock.is_dead(signed);
        self.watching = watchman::begin(&self.lock.watch, self.me, self.watching, counts);
        self.slept = true;
        if leaves && self.watching {
            // Its time is up before it is woken.
            thread::yield_now();
            return None;
        }
        word.model_wait_unless(seen, || {
            let due = self.is_due(seen);
            if self.watching && !due {
                self.lock.guarded.store(1, Ordering::SeqCst);
            }
            due
        });
        if self.watching {
            self.lock.guarded.store(0, Ordering::SeqCst);
        }
        if self.is_due(seen) {
            self.slept_long = !self.watching;
            if self.lock.omits != Omits::LookAtWatchman {
                watchman::look_after(&self.lock.watch, self.watching, |signed| {
                    self.lock.investigate(signed);
                });
            }
            if self.watching {
                self.lock.investigate(word::owner(seen));
            }
        }
        None
    }

    fn slept(&self) -> bool {
        self.slept && !self.dead
    }
}

fn spawn(lock: &Arc<Lock>, me: u32, fate: Fate) -> thread::JoinHandle<()> {
    let lock = lock.clone();
    thread::spawn(move || lock.wait(me, fate))
}

/// Those with these fates wait for a lock whose owner is gone, unseen.
fn orphaned<const N: usize>(fates: [Fate; N], omits: Omits) {
    check(2, move || {
        let lock = Lock::new(omits);
        lock.gone.store(1 << 1, Ordering::SeqCst);
        let mut me = 1;
        join(fates.map(|fate| {
            me += 1;
            spawn(&lock, me, fate)
        }));
    });
}

#[test]
fn a_watchman_finds_a_dead_owner() {
    orphaned([Fate::Stays, Fate::Stays], Omits::Nothing);
}

#[test]
fn a_watchman_runs_out_of_time() {
    orphaned([Fate::TimesOut, Fate::Stays], Omits::Nothing);
}

/// A watchman runs out of time, while others sleep who may be called: it is process 2, and sleeps already. The owner is
/// gone, unseen, or lives and releases the lock.
fn called(fates: [Fate; 2], owner_lives: bool, omits: Omits) {
    check(2, move || {
        let lock = Lock::new(omits);
        lock.gone.store(u32::from(!owner_lives) << 1, Ordering::SeqCst);
        lock.word.fetch_or(word::WAITERS, Ordering::SeqCst);
        let mut watchman = Waiter::new(&lock, 2, Fate::TimesOut);
        watchman.slept = true;
        watchman.watching = watchman::begin(&lock.watch, 2, false, |_| true);
        let others = [(3, fates[0]), (4, fates[1])].map(|(me, fate)| spawn(&lock, me, fate));
        watchman.leave(true);
        if owner_lives {
            lock.release(1);
        }
        join(others);
    });
}

#[test]
fn a_watchman_and_the_next_run_out_of_time() {
    called([Fate::TimesOut, Fate::Stays], false, Omits::Nothing);
}

#[test]
fn the_next_dies_as_it_is_called() {
    called([Fate::DiesWoken, Fate::Stays], false, Omits::Nothing);
}

#[test]
fn a_watchman_dies_and_is_settled() {
    orphaned([Fate::DiesWatching, Fate::Stays], Omits::Nothing);
}

#[test]
fn a_watchman_dies_as_it_leaves() {
    orphaned([Fate::DiesLeaving, Fate::Stays], Omits::Nothing);
    orphaned([Fate::DiesCalling, Fate::Stays], Omits::Nothing);
}

#[test]
#[ignore = "a mutant: it must fail"]
fn mutant_watchman_calls_nobody() {
    orphaned([Fate::TimesOut, Fate::Stays], Omits::Calling);
}

#[test]
#[ignore = "a mutant: it must fail"]
fn mutant_watchman_calls_by_a_wake_up_alone() {
    orphaned([Fate::TimesOut, Fate::Stays], Omits::ChangeOfWord);
}

#[test]
#[ignore = "a mutant: it must fail"]
fn mutant_watchman_settled_by_a_wake_up_alone() {
    orphaned([Fate::DiesWatching, Fate::Stays], Omits::ChangeOfWord);
}

#[test]
#[ignore = "a mutant: it must fail"]
fn mutant_watchman_called_for_nothing() {
    called([Fate::TimesOut, Fate::Stays], false, Omits::Duty);
}

#[test]
#[ignore = "a mutant: it must fail"]
fn mutant_watchman_not_settled() {
    orphaned([Fate::DiesCalling, Fate::Stays], Omits::Settling);
}

/// The lock is released; who takes it dies unseen, and the other comes through.
fn taker_dies(omits: Omits) {
    check(3, move || {
        let lock = Lock::new(omits);
        let others = [(2, Fate::DiesOwner), (3, Fate::Stays)].map(|(me, fate)| spawn(&lock, me, fate));
        lock.release(1);
        join(others);
    });
}

#[test]
fn a_taker_dies() {
    taker_dies(Omits::Nothing);
}

#[test]
fn a_taker_dies_when_a_watchman_has_run_out_of_time() {
    called([Fate::DiesOwner, Fate::Stays], true, Omits::Nothing);
}

#[test]
#[ignore = "a mutant: it must fail"]
fn mutant_watchman_called_and_takes() {
    called([Fate::DiesOwner, Fate::Stays], true, Omits::Duty);
}

#[test]
#[ignore = "a mutant: it must fail"]
fn mutant_watchman_takes_and_calls_nobody() {
    taker_dies(Omits::Calling);
}

/// A watchman dies unseen while the owner lives; when the other has slept long, the owner dies unseen as well.
fn watchman_dies(omits: Omits) {
    check(3, move || {
        let lock = Lock::new(omits);
        assert!(watchman::begin(&lock.watch, 2, false, |_| true));
        lock.gone.store(1 << 2, Ordering::SeqCst);
        let other = spawn(&lock, 3, Fate::Stays);
        lock.long.store(1, Ordering::SeqCst);
        lock.word.model_time_comes(|| true);
        lock.die_unseen(1);
        join([other]);
    });
}

#[test]
fn another_takes_over_from_a_dead_watchman() {
    watchman_dies(Omits::Nothing);
}

#[test]
#[ignore = "a mutant: it must fail"]
fn mutant_watchman_dead_and_not_looked_after() {
    watchman_dies(Omits::LookAtWatchman);
}
