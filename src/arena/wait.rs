//! Waiting: spins, sleeps, park records, and looking after the one who is waited for.
//!
//! **The park record.** Who is about to sleep writes the word's offset into its slot and clears it only after it
//! has taken what it was woken for, or has left. Whoever settles a dead process wakes all sleepers on its parked
//! words; so a wake-up that the dead one swallowed reaches the next. A process may have more sleeping threads
//! than records; then only the capped sleeps of the others mend a swallowed wake-up.
//!
//! **Capped sleeps.** Nobody sleeps for more than a second at a stretch, and of those who wait for an owned word
//! one, its watchman, for no more than 50 ms. After each stretch the real state is read again and the owner's
//! process is looked at. The watchman's name stands in a word beside; when it leaves, it calls another sleeper, who takes
//! over (see `watchman.rs`). Where many may hold what is waited for, as the permits of a robust semaphore, the watchman looks at
//! them all. A watchman of the owner's own process would die with it: such a one wakes the others once, and whoever
//! waits in another process takes the watch over. And everybody's first stretch is as short as a watchman's, for the
//! watchman that is there, or a wake-up that was due, may have died just now.

use super::event;
use super::permit::Holders;
use super::slot::Owner;
pub use super::spin::learn_gathering;
use super::spin::{Spin, LOCK_PACE};
use super::watchman;
use super::word::{self, Acquired, Ended, Sleeper};
use super::Arena;
use crate::sys::clock::{self, Deadline};
use crate::sys::futex::{self, Slept};
use crate::sys::prim::{fence_after_exchange, AtomicU32, AtomicU64, Futex, Ordering};

const CAP: i64 = 1_000_000_000;
const WATCH_CAP: i64 = 50_000_000;

/// A process-local word that ends the waits of those who use it when it becomes non-zero.
pub type CancelWord = Futex;

std::thread_local! {
    static CANCEL: std::cell::Cell<Option<&'static CancelWord>> = const { std::cell::Cell::new(None) };
}

/// Makes this thread's blocking calls end when `word` becomes non-zero.
pub fn use_cancel(word: Option<&'static CancelWord>) {
    CANCEL.set(word);
}

/// Whether this thread's cancel object was fired; `None` if it uses none.
pub fn cancelled() -> Option<bool> {
    CANCEL.get().map(|word| word.load(Ordering::SeqCst) != 0)
}

/// What a waiting thread carries through one blocking call.
#[derive(Debug)]
pub struct Waiter<'a> {
    arena: &'a Arena,
    deadline: Deadline,
    cancel: Option<&'static CancelWord>,
    /// Where the watchman of an owned word signs, if the word is an owned one.
    watch: Option<&'a AtomicU32>,
    /// Whom the watchman looks after in place of the word's owner: there are many.
    holders: Option<Holders<'a>>,
    /// The offset of the word on which it has slept, if that has a watchman.
    sleeps_on: Option<u64>,
    /// This thread is the watchman.
    watching: bool,
    /// This process owns the word itself, and the others have been told to watch.
    told: bool,
    /// The longest stretch of sleep on a word that is not an owned one.
    cap: i64,
    spin: Spin<'a>,
    park: Option<usize>,
    slept: bool,
    /// When to look after the owner, on the monotonic clock. Signals may end every sleep before that.
    look: i64,
    /// The last sleep ended a whole stretch.
    slept_long: bool,
}

impl<'a> Waiter<'a> {
    /// For a wait until `deadline`, which this thread's cancel object ends too.
    pub fn new(arena: &'a Arena, deadline: Deadline) -> Waiter<'a> {
        Waiter {
            arena,
            deadline,
            cancel: CANCEL.get(),
            watch: None,
            holders: None,
            sleeps_on: None,
            watching: false,
            told: false,
            cap: CAP,
            spin: Spin::new(),
            park: None,
            slept: false,
            look: i64::MAX,
            slept_long: false,
        }
    }

    /// Waits for an owned word, whose watchman signs in `watch`.
    pub fn watching(mut self, watch: &'a AtomicU32) -> Waiter<'a> {
        self.watch = Some(watch);
        self.spin.at(LOCK_PACE);
        self
    }

    /// Waits on an event for what these holders have; the watchman signs in `watch`.
    pub fn watching_holders(mut self, watch: &'a AtomicU32, holders: Holders<'a>) -> Waiter<'a> {
        self.holders = Some(holders);
        self.watch = Some(watch);
        self
    }

    fn is_owned(&self) -> bool {
        self.watch.is_some() && self.holders.is_none()
    }

    /// Looks again after so many nanoseconds of sleep, at most a second.
    pub fn capped(mut self, nanoseconds: i64) -> Waiter<'a> {
        self.cap = nanoseconds.min(CAP);
        self
    }

    /// Spins before it sleeps, as is the habit of the object, kept in `habit`.
    pub fn spinning(mut self, habit: &'a AtomicU32) -> Waiter<'a> {
        self.spin.by(habit);
        self
    }

    /// The same for what may come as a stream, of this level: see [`learn_gathering`].
    pub fn spinning_for_more(mut self, habit: &'a AtomicU32, level: &AtomicU32) -> Waiter<'a> {
        self.spin.at_stream(level.load(Ordering::Relaxed));
        self.spinning(habit)
    }

    /// For the library's own short locks: not to be cancelled.
    pub fn uncancelled(mut self) -> Waiter<'a> {
        self.cancel = None;
        self
    }

    /// Whether the last sleep was the end of a whole stretch: time to look after others.
    pub fn slept_long(&self) -> bool {
        self.slept_long
    }

    fn cancelled(&self) -> bool {
        self.cancel.is_some_and(|word| word.load(Ordering::SeqCst) != 0)
    }

    /// Whether this process has what is waited for, so that its death is what a watchman is there for.
    fn is_held_by(&self, seen: u32, process: Owner) -> bool {
        match self.holders {
            Some(holders) => !process.is_none() && holders.is_held_by(self.arena, process.slot()),
            None => Owner::of_word(seen) == process,
        }
    }

    /// Whether this thread is the watchman, perhaps from now on.
    fn begin_watch(&mut self, word: &Futex, seen: u32) -> bool {
        let Some(watch) = self.watch else { return false };
        self.sleeps_on = self.sleeps_on.or_else(|| self.arena.find_offset(word));
        let me = self.arena.me();
        // A watchman of the owner's process dies with it.
        let counts = |other: u32| {
            let other = Owner::of_word(other);
            let theirs = || self.is_held_by(seen, other) && !self.is_held_by(seen, me);
            !self.arena.is_dead(other) && (other == me || !theirs())
        };
        self.watching = self.sleeps_on.is_some() && watchman::begin(watch, me.bits(), self.watching, counts);
        self.watching
    }

    /// A watchman whose own process has what is waited for tells the others, once.
    fn tell_others(&mut self, word: &Futex, seen: u32) {
        let mine = self.watching && self.is_held_by(seen, self.arena.me());
        if mine && !self.told {
            match self.holders {
                Some(_) => event::rouse(word),
                None => drop(word.wake(u32::MAX)),
            }
        }
        self.told = mine;
    }

    fn stretch(&self, word: &Futex, seen: u32, until: Deadline) -> Slept {
        match self.cancel {
            Some(cancel) => futex::wait_either(word, seen, cancel, 0, until),
            None => futex::wait(word, seen, until),
        }
    }

    /// One stretch of sleep on `word`; see [`Sleeper::sleep`].
    fn sleep_on(&mut self, word: &Futex, seen: u32) -> Option<Ended> {
        if self.cancelled() {
            return Some(Ended::Cancelled);
        }
        // Where nothing hangs on milliseconds, the time is had for less.
        let exact = self.watch.is_some() || self.deadline != Deadline::Never;
        let now = if exact { clock::now() } else { clock::roughly_now() };
        if self.deadline.is_before(now) {
            // Short waits, one after the other, must find a dead owner too.
            let looked = self.slept
                && match self.holders {
                    Some(holders) => holders.glance(self.arena),
                    None => self.look_after(word, seen),
                };
            return if looked { None } else { Some(Ended::TimedOut) };
        }
        if self.park.is_none() {
            self.park = self.arena.park(word, self.is_owned(), now as u64);
            crate::fault!("wait.park:recorded");
            // Either who settles the owner finds the record, or the owner is seen to be dead here.
            fence_after_exchange();
            if self.is_owned() && self.arena.is_dead(Owner::of_word(seen)) {
                return None;
            }
        }
        let short = self.begin_watch(word, seen) || !self.slept;
        let cap = if short { WATCH_CAP.min(self.cap) } else { self.cap };
        self.slept = true;
        self.look = self.look.min(now.saturating_add(cap));
        // A time that has passed ends the sleep as such, even where signals or wake-ups ended all before.
        let ended = self.stretch(word, seen, self.deadline.earlier(self.look));
        self.slept_long = ended == Slept::TimedOut && clock::now() >= self.look;
        if self.slept_long {
            self.look = i64::MAX;
            self.look_after(word, seen);
            self.tell_others(word, seen);
            self.arena.trim_old();
        }
        None
    }

    /// After a whole stretch: is the owner of the word still alive, and the watchman? True if the owner is dead.
    fn look_after(&self, word: &Futex, seen: u32) -> bool {
        let Some(watch) = self.watch else { return false };
        watchman::look_after(watch, self.watching, |signed| {
            self.arena.investigate(Owner::of_word(signed));
        });
        if let Some(holders) = self.holders {
            return self.watching && holders.look(self.arena);
        }
        word.load(Ordering::Relaxed) == seen && self.arena.investigate(Owner::of_word(seen))
    }

    /// For who does not wait at all: looks after the owner.
    fn glance(&self, word: &Futex, seen: u32) -> bool {
        may_glance(word) && self.arena.investigate(Owner::of_word(seen))
    }

    /// A try: takes the word if it is free or its owner dead, and announces nothing.
    fn try_word(&self, word: &Futex, me: u32) -> Result<Acquired, Ended> {
        match word::take(word, me, self) {
            Err(seen) if self.glance(word, seen) => word::take(word, me, self),
            taken => taken,
        }
        .map_err(|_| self.try_ended())
    }

    /// Why a try that found nothing has ended.
    pub fn try_ended(&self) -> Ended {
        if self.cancelled() {
            Ended::Cancelled
        } else {
            Ended::TimedOut
        }
    }
}

/// Whether who only tries may look after those who have what `word` stands for: not at every try, for it costs system
/// calls, but at the rate of a watchman for all threads of this process together. Each word has a turn of its own, for
/// who tries one after the other must not look after the first one only; two that share one do so for a second.
pub(crate) fn may_glance<T>(word: &T) -> bool {
    const TURNS: usize = 1024;
    static LAST: [AtomicU64; TURNS] = [const { AtomicU64::new(0) }; TURNS];
    let now = clock::now() as u64;
    let second = (now >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (std::ptr::from_ref(word) as u64 ^ second).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let last = &LAST[(mixed >> 32) as usize % TURNS];
    let seen = last.load(Ordering::Relaxed);
    now.saturating_sub(seen) >= WATCH_CAP as u64
        && last.compare_exchange(seen, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
}

impl<'a> Sleeper for Waiter<'a> {
    fn is_dead(&self, owner: u32) -> bool {
        self.arena.is_dead(Owner::of_word(owner))
    }

    fn spin(&mut self) -> bool {
        !self.slept && self.spin.go_on(|| self.deadline.left())
    }

    fn sleep(&mut self, word: &Futex, seen: u32) -> Option<Ended> {
        self.sleep_on(word, seen)
    }

    fn slept(&self) -> bool {
        self.slept
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.spin.learn(self.slept);
        if let (Some(offset), Some(watch)) = (self.sleeps_on, self.watch) {
            let on: &Futex = self.arena.at(offset);
            let is_dead = |owner| self.arena.is_dead(Owner::of_word(owner));
            watchman::leave(watch, self.arena.me().bits(), self.watching, is_dead, || match self.holders {
                Some(_) => event::notify(on, 1),
                None => word::call_one(on),
            });
        }
        if let Some(record) = self.park.take() {
            self.arena.unpark(record);
        }
    }
}

/// Takes an owned word for this process, waiting until `deadline` at the longest.
#[inline]
pub fn acquire(
    arena: &Arena,
    word: &Futex,
    watch: &AtomicU32,
    spin: &AtomicU32,
    deadline: Deadline,
) -> Result<Acquired, Ended> {
    if word::try_acquire(word, arena.me().bits()) {
        return Ok(Acquired::Clean);
    }
    acquire_slowly(arena, word, watch, spin, deadline)
}

/// The same for who has tried.
#[cold]
pub fn acquire_slowly(
    arena: &Arena,
    word: &Futex,
    watch: &AtomicU32,
    spin: &AtomicU32,
    deadline: Deadline,
) -> Result<Acquired, Ended> {
    let me = arena.me().bits();
    let mut waiter = Waiter::new(arena, deadline).watching(watch).spinning(spin);
    if deadline == Deadline::Now {
        return waiter.try_word(word, me);
    }
    word::acquire(word, me, &mut waiter)
}

/// Takes an owned word for this process, however long that takes: nothing cancels it.
pub fn acquire_at_any_rate(arena: &Arena, word: &Futex, watch: &AtomicU32, spin: &AtomicU32) -> Acquired {
    let me = arena.me().bits();
    if word::try_acquire(word, me) {
        return Acquired::Clean;
    }
    let mut waiter = Waiter::new(arena, Deadline::Never).watching(watch).spinning(spin).uncancelled();
    loop {
        if let Ok(acquired) = word::acquire(word, me, &mut waiter) {
            return acquired;
        }
    }
}

/// Takes one of the library's own short locks: spins a little, can't be cancelled.
pub fn acquire_internal(
    arena: &Arena,
    word: &Futex,
    watch: &AtomicU32,
    deadline: Deadline,
) -> Result<Acquired, Ended> {
    let me = arena.me().bits();
    if word::try_acquire(word, me) {
        return Ok(Acquired::Clean);
    }
    let habit = AtomicU32::new(0);
    let mut waiter = Waiter::new(arena, deadline).watching(watch).spinning(&habit).uncancelled();
    word::acquire(word, me, &mut waiter)
}

/// Releases an owned word. While somebody may sleep on it, the record says that a wake-up is due, in case this
/// process dies between the release and the wake-up.
#[inline]
pub fn release(arena: &Arena, word: &Futex) -> bool {
    word::release_unwaited(word, arena.me().bits()) || release_slowly(arena, word)
}

#[cold]
fn release_slowly(arena: &Arena, word: &Futex) -> bool {
    let seen = word.load(Ordering::Relaxed);
    let owner = Owner::of_word(seen);
    // The next one is to be told, though another process releases for the dead one.
    let died = !owner.is_none() && owner != arena.me() && arena.investigate(owner);
    let record = if seen & word::WAITERS != 0 { arena.park(word, false, 0) } else { None };
    let released = word::release(word, if died { word::OWNER_DIED } else { 0 });
    if let Some(record) = record {
        arena.unpark(record);
    }
    released
}

/// Notifies `n` sleepers of an event, with the same record.
#[inline]
pub fn notify(arena: &Arena, event: &Futex, n: u32) {
    if !event::is_awaited(event) {
        return;
    }
    let record = arena.park(event, false, 0);
    event::notify(event, n);
    if let Some(record) = record {
        arena.unpark(record);
    }
}
