//! Waiting: spins, sleeps, park records, and looking after the one who is waited for.
//!
//! **The park record.** Who is about to sleep writes the word's offset into its slot and clears it only after it
//! has taken what it was woken for, or has left. Whoever settles a dead process wakes all sleepers on its parked
//! words; so a wake-up that the dead one swallowed reaches the next. A process may have more sleeping threads
//! than records; then only the capped sleeps of the others mend a swallowed wake-up.
//!
//! **Capped sleeps.** Nobody sleeps for more than a second at a stretch, and of those who wait for an owned word
//! one, its watchman, for no more than 50 ms. After each stretch the real state is read again and the owner's
//! process is looked at. The watchman's name stands in a word beside; when it leaves, it wakes another sleeper,
//! who takes over.

use super::event;
use super::slot::{Owner, OWNED_WORD};
use super::word::{self, Acquired, Ended, Sleeper};
use super::Arena;
use crate::sys::clock::{self, Deadline};
use crate::sys::futex::{self, Slept};
use crate::sys::prim::{fence, AtomicU32, AtomicU64, Futex, Ordering};

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

/// What a waiting thread carries through one blocking call.
#[derive(Debug)]
pub struct Waiter<'a> {
    arena: &'a Arena,
    deadline: Deadline,
    cancel: Option<&'static CancelWord>,
    /// Where the watchman of an owned word signs, if the word is an owned one.
    watch: Option<&'a AtomicU32>,
    /// The offset of the word over which this thread keeps the watch.
    watching: Option<u64>,
    /// The object's learned length of spins that pay.
    spin: Option<&'a AtomicU32>,
    spun: u32,
    park: Option<usize>,
    slept: bool,
    /// When to look after the owner, on the monotonic clock. Signals may end every sleep before that.
    look: i64,
}

/// Spins are counted in pauses; none longer than this.
const MAX_SPIN: u32 = 3000;
const MIN_SPIN: u32 = 16;
const PAUSES: u32 = 8;

impl<'a> Waiter<'a> {
    /// For a wait until `deadline`, which this thread's cancel object ends too.
    pub fn new(arena: &'a Arena, deadline: Deadline) -> Waiter<'a> {
        Waiter {
            arena,
            deadline,
            cancel: CANCEL.get(),
            watch: None,
            watching: None,
            spin: None,
            spun: 0,
            park: None,
            slept: false,
            look: i64::MAX,
        }
    }

    /// Waits for an owned word, whose watchman signs in `watch`.
    pub fn watching(mut self, watch: &'a AtomicU32) -> Waiter<'a> {
        self.watch = Some(watch);
        self
    }

    /// Learns in `spin` how long to spin.
    pub fn spinning(mut self, spin: &'a AtomicU32) -> Waiter<'a> {
        self.spin = Some(spin);
        self
    }

    /// For the library's own short locks: not to be cancelled.
    pub fn uncancelled(mut self) -> Waiter<'a> {
        self.cancel = None;
        self
    }

    fn cancelled(&self) -> bool {
        self.cancel.is_some_and(|word| word.load(Ordering::SeqCst) != 0)
    }

    /// How many pauses this wait may spin: twice what has paid lately.
    fn budget(&self) -> u32 {
        match self.spin {
            Some(spin) => (spin.load(Ordering::Relaxed) * 2).clamp(MIN_SPIN, MAX_SPIN),
            None => MIN_SPIN,
        }
    }

    fn learn(&self) {
        let Some(spin) = self.spin else { return };
        let known = spin.load(Ordering::Relaxed);
        let next = if self.slept { known - known / 8 } else { known - known / 8 + (self.spun + PAUSES) / 8 };
        if next != known {
            spin.store(next.min(MAX_SPIN), Ordering::Relaxed);
        }
    }

    fn begin_watch(&mut self, word: &Futex) -> bool {
        let Some(watch) = self.watch else { return false };
        if self.watching.is_some() {
            return true;
        }
        let me = self.arena.me().bits();
        let seen = watch.load(Ordering::Relaxed);
        let vacant = seen == 0 || self.arena.is_dead(Owner::of_word(seen));
        if vacant && watch.compare_exchange(seen, me, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            self.watching = self.arena.find_offset(word);
            return true;
        }
        false
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
        if self.deadline.passed() {
            // Short waits, one after the other, must find a dead owner too.
            return if self.slept && self.look_after(word, seen) { None } else { Some(Ended::TimedOut) };
        }
        if self.park.is_none() {
            self.park = self.arena.park(word, self.watch.is_some());
            crate::fault!("wait.park:recorded");
            // Either who settles the owner finds the record, or the owner is seen to be dead here.
            fence(Ordering::SeqCst);
            if self.watch.is_some() && self.arena.is_dead(Owner::of_word(seen)) {
                return None;
            }
        }
        let cap = if self.begin_watch(word) { WATCH_CAP } else { CAP };
        self.slept = true;
        self.look = self.look.min(clock::now().saturating_add(cap));
        self.stretch(word, seen, self.deadline.earlier(self.look));
        if clock::now() >= self.look {
            self.look = i64::MAX;
            self.look_after(word, seen);
            self.arena.trim_old();
        }
        None
    }

    /// After a whole stretch: is the owner of the word still alive, and the watchman? True if the owner is dead.
    fn look_after(&self, word: &Futex, seen: u32) -> bool {
        let Some(watch) = self.watch else { return false };
        if self.watching.is_none() {
            self.arena.investigate(Owner::of_word(watch.load(Ordering::Relaxed)));
        }
        word.load(Ordering::Relaxed) == seen && self.arena.investigate(Owner::of_word(seen))
    }

    /// For who does not wait at all: looks after the owner, but not at every try, for it costs system calls.
    fn glance(&self, seen: u32) -> bool {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let now = clock::now() as u64;
        let last = LAST.load(Ordering::Relaxed);
        now.saturating_sub(last) >= WATCH_CAP as u64
            && LAST.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
            && self.arena.investigate(Owner::of_word(seen))
    }

    /// A try: takes the word if it is free or its owner dead, and announces nothing.
    fn try_word(&self, word: &Futex, me: u32) -> Result<Acquired, Ended> {
        match word::take(word, me, self) {
            Err(seen) if self.glance(seen) => word::take(word, me, self),
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

impl<'a> Sleeper for Waiter<'a> {
    fn is_dead(&self, owner: u32) -> bool {
        self.arena.is_dead(Owner::of_word(owner))
    }

    fn spin(&mut self) -> bool {
        if self.slept || self.spun >= self.budget() || self.deadline == Deadline::Now {
            return false;
        }
        for _ in 0..PAUSES {
            std::hint::spin_loop();
        }
        self.spun += PAUSES;
        true
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
        if self.slept || self.spun != 0 {
            self.learn();
        }
        if let Some(record) = self.park.take() {
            self.arena.unpark(record);
        }
        if let (Some(offset), Some(watch)) = (self.watching.take(), self.watch) {
            watch.store(0, Ordering::Release);
            let word: &Futex = self.arena.at(offset);
            if word.load(Ordering::Relaxed) & word::WAITERS != 0 {
                word.wake(1);
            }
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
    let me = arena.me().bits();
    if word::try_acquire(word, me) {
        return Ok(Acquired::Clean);
    }
    let mut waiter = Waiter::new(arena, deadline).watching(watch).spinning(spin);
    if deadline == Deadline::Now {
        return waiter.try_word(word, me);
    }
    word::acquire(word, me, &mut waiter)
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
    let spin = AtomicU32::new(200);
    let mut waiter = Waiter::new(arena, deadline).watching(watch).spinning(&spin).uncancelled();
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
    let record = if seen & word::WAITERS != 0 { arena.park(word, false) } else { None };
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
    let record = arena.park(event, false);
    event::notify(event, n);
    if let Some(record) = record {
        arena.unpark(record);
    }
}

impl Arena {
    /// Records that this thread sleeps on `word`, or owes it a wake-up. `owned`: it sleeps on a lock word.
    pub(crate) fn park(&self, word: &Futex, owned: bool) -> Option<usize> {
        let offset = self.find_offset(word)?;
        let mut used = self.parks.load(Ordering::Relaxed);
        let record = loop {
            let record = (!used).trailing_zeros() as usize;
            if record >= super::slot::PARKS {
                return None;
            }
            match self.parks.compare_exchange(used, used | 1 << record, Ordering::Acquire, Ordering::Relaxed)
            {
                Ok(_) => break record,
                Err(now) => used = now,
            }
        };
        let park = &self.my_slot().parks[record];
        park.since.store(clock::now() as u64, Ordering::Relaxed);
        park.word.store(offset | if owned { OWNED_WORD } else { 0 }, Ordering::SeqCst);
        Some(record)
    }

    /// Ends such a record.
    pub(crate) fn unpark(&self, record: usize) {
        self.my_slot().parks[record].word.store(0, Ordering::Release);
        self.parks.fetch_and(!(1 << record), Ordering::Release);
    }
}
