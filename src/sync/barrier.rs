//! The barrier. Its algorithm is in `rounds.rs`; here are its words, and who looks after those it depends on.
//!
//! Nobody waits for the dead: a barrier breaks when a process has died that waits in it or took part in its previous
//! round, or when a holder has died and no process is left that could still come. Three notice it: whoever settles a
//! dead process stirs the barriers that it held, and their waiters look at once; a waiter that has slept for a while
//! looks at all the processes concerned; and so does the last one to come, before it completes a round that has
//! lasted a while.
//!
//! Which processes could still come is a question to the census. It is asked only after the death of a holder, and
//! answered with care: a process with several threads in this round or the last may have another one, and when the
//! death was before the wait, so may this process if it has more threads than wait.

use super::ended;
use super::rounds::{self, Arrival, Failure, Rounds, LOG};
use crate::arena::layout::shared;
use crate::arena::wait::{self, Waiter};
use crate::arena::word::{self, Acquired, Ended, Sleeper};
use crate::arena::{object, Arena, BlockRef, Census, Holder, ObjectHead, ObjectKind, Owner, Token};
use crate::error::{Error, Result, Status};
use crate::fault;
use crate::sys::clock::{self, Deadline};
use crate::sys::prim::{AtomicU32, AtomicU64, Futex, Ordering};
use crate::sys::thread::host_threads;

/// A barrier's words in the arena.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct BarrierCell {
    head: ObjectHead,
    /// Arrivals, completions and resets, one at a time.
    lock: Futex,
    watch: AtomicU32,
    parties: AtomicU32,
    word: Futex,
    count: AtomicU32,
    died: AtomicU32,
    breaks: AtomicU32,
    spin: AtomicU32,
    /// The block with the two halves and the log.
    table: AtomicU64,
    /// When the last round was completed, and when somebody last looked at the processes, on the monotonic clock.
    completed: AtomicU64,
    looked: AtomicU64,
}

shared!(BarrierCell);
object!(BarrierCell, head, ObjectKind::Barrier);

/// A waiter sleeps no longer at a stretch, and then looks whether those it waits with still live.
const STRETCH: i64 = 550_000_000;
/// But nobody looks so soon after another.
const BETWEEN_LOOKS: u64 = 250_000_000;
/// In a round that has lasted longer, one system call for each process is not felt; beyond the second, some.
const BRIEF: u64 = 50_000;
const LONG: u64 = 100_000_000;
/// Who has the barrier's lock works on a few lines, or is dead, or was stopped. For so long all wait for it, whatever
/// their timeout.
const SHORT: i64 = 1_000_000_000;

/// A place where processes wait until a number of them have come, round after round.
#[derive(Debug)]
pub struct Barrier {
    cell: Holder<BarrierCell>,
}

impl Barrier {
    /// A barrier for so many parties.
    pub fn new(parties: u32) -> Result<Barrier> {
        Barrier::new_in(Arena::get()?, parties)
    }

    /// The same in this arena.
    pub fn new_in(arena: &'static Arena, parties: u32) -> Result<Barrier> {
        if parties == 0 {
            return Err(Error::invalid("a barrier with 0 parties: it needs 1 at least"));
        }
        let words = u64::from(parties) * 2 + LOG as u64;
        let table = arena.allocate(words * 4, false)?;
        arena.zero(arena.data_offset(table.reference()), words * 4);
        let cell = Holder::new(arena, |cell: &BarrierCell| cell.parties.store(parties, Ordering::Relaxed))?;
        table.become_part(&cell.body().table);
        Ok(Barrier { cell })
    }

    /// A barrier that was found: its table must be there, and as large as its parties need.
    fn of(cell: Holder<BarrierCell>) -> Result<Barrier> {
        let table = BlockRef::from_bits(cell.table.load(Ordering::Acquire));
        let words = u64::from(cell.parties.load(Ordering::Relaxed)) * 2 + LOG as u64;
        if !cell.arena().is_held(table) || cell.arena().room_of(table) < words * 4 {
            return Err(Error::internal("a barrier does not have the table that it needs"));
        }
        Ok(Barrier { cell })
    }

    /// The barrier of this name in an arena, made if there is none.
    pub fn named(arena: &'static Arena, name: &[u8], parties: u32) -> Result<Barrier> {
        let same = |cell: &BarrierCell| cell.parties.load(Ordering::Relaxed) == parties;
        let make = || Barrier::new_in(arena, parties).map(|barrier| barrier.cell);
        Barrier::of(arena.named(name, same, Some(make))?)
    }

    fn rounds(&self) -> Rounds<'static> {
        let (arena, cell) = (self.cell.arena(), self.cell.body());
        let parties = cell.parties.load(Ordering::Relaxed) as usize;
        let table = BlockRef::from_bits(cell.table.load(Ordering::Acquire));
        let words: &'static [AtomicU32] = arena.slice_at(arena.data_offset(table), 2 * parties + LOG);
        let (even, rest) = words.split_at(parties);
        let (odd, log) = rest.split_at(parties);
        Rounds {
            word: &cell.word,
            count: &cell.count,
            died: &cell.died,
            breaks: &cell.breaks,
            log,
            halves: [even, odd],
        }
    }

    /// Waits until all parties have come; the answer is this one's number among them.
    pub fn wait(&self, deadline: Deadline) -> Result<u32> {
        let arena = self.cell.live()?;
        let rounds = self.rounds();
        if rounds.takes_look() {
            self.look(rounds::round(rounds.now()), false);
        }
        let arrival = self.arrive(arena, &rounds, deadline)?;
        if rounds.is_last(&arrival) {
            return Ok(arrival.index);
        }
        if self.cell.died.load(Ordering::Relaxed) != 0 {
            self.look(arrival.round, false);
        }
        let waiter = Waiter::new(arena, deadline).spinning(&self.cell.body().spin).capped(STRETCH);
        let mut sleeper = Watching { waiter, barrier: self, round: arrival.round, look: i64::MAX };
        match rounds.await_end(&arrival, &mut sleeper, || self.look(arrival.round, true)) {
            Ok(()) => Ok(arrival.index),
            Err(Failure::Broken) => Err(broken()),
            Err(Failure::Ended(end)) => {
                Err(ended(end, "not all parties came to the barrier in time; it is broken now"))
            }
        }
    }

    /// Enters this thread in the round, and completes it if it was the last one to come.
    fn arrive(&self, arena: &'static Arena, rounds: &Rounds<'_>, deadline: Deadline) -> Result<Arrival> {
        let round = rounds::round(rounds.now());
        let turn = self.turn(deadline).inspect_err(|_| {
            rounds.break_round(round);
        })?;
        let arrival = rounds.arrive(arena.me().bits()).ok_or_else(broken)?;
        if rounds.is_last(&arrival) {
            let cell = self.cell.body();
            let now = clock::now() as u64;
            let lasted = now.saturating_sub(cell.completed.load(Ordering::Relaxed));
            let sleepers = rounds.complete(arrival.round, is_dead_after(arena, lasted)).ok_or_else(broken)?;
            cell.completed.store(now, Ordering::Relaxed);
            drop(turn);
            fault!("barrier.complete:released");
            if sleepers {
                rounds.word.wake(u32::MAX);
            }
        }
        Ok(arrival)
    }

    /// The barrier's lock.
    fn turn(&self, deadline: Deadline) -> Result<Turn> {
        let (arena, cell) = (self.cell.live()?, self.cell.body());
        let mut patient = Waiter::new(arena, deadline).watching(&cell.watch);
        let acquired = wait::acquire_internal(arena, &cell.lock, &cell.watch, Deadline::after(SHORT))
            .or_else(|_| word::acquire(&cell.lock, arena.me().bits(), &mut patient))
            .map_err(|end| ended(end, "a process that was stopped in it keeps others from the barrier"))?;
        let turn = Turn { arena, cell };
        if acquired == Acquired::OwnerDead {
            self.rounds().repair(|owner| arena.is_dead(Owner::of_word(owner)));
            arena.settle_pending();
        }
        Ok(turn)
    }

    /// Breaks the barrier for those who wait in it, and makes it as new.
    pub fn reset(&self) -> Result<()> {
        let _turn = self.turn(Deadline::Never)?;
        self.rounds().reset();
        Ok(())
    }

    /// Breaks the barrier, for those who wait in it and all who come before a reset.
    pub fn abort(&self) -> Result<()> {
        self.cell.live()?;
        let rounds = self.rounds();
        while !rounds::is_broken(rounds.now()) {
            rounds.break_round(rounds::round(rounds.now()));
        }
        Ok(())
    }

    /// For how many parties it is.
    pub fn parties(&self) -> Result<u32> {
        self.cell.live()?;
        Ok(self.cell.parties.load(Ordering::Relaxed))
    }

    /// How many wait at this moment; none in a broken one.
    pub fn waiting(&self) -> Result<u32> {
        self.cell.live()?;
        let rounds = self.rounds();
        loop {
            let word = rounds.now();
            let waiting = rounds.waiting(rounds::round(word)).count() as u32;
            if rounds::is_broken(word) {
                return Ok(0);
            }
            // Between the arrival of the last one and the end of the round all wait, for an instant.
            if rounds::round(rounds.now()) == rounds::round(word) {
                return Ok(waiting);
            }
        }
    }

    /// Whether it is broken. Looks whether those live on whom it depends.
    pub fn broken(&self) -> Result<bool> {
        self.cell.live()?;
        let rounds = self.rounds();
        let word = rounds.now();
        if !rounds::is_broken(word) {
            self.look_at_all(rounds::round(word));
            self.cell.arena().settle_pending();
            let fresh = rounds.takes_look();
            self.look(rounds::round(word), fresh);
        }
        Ok(rounds::is_broken(rounds.now()))
    }

    /// Looks at the processes that hold the barrier, and at those who wait in it or did before.
    fn look_at_all(&self, round: u32) {
        let arena = self.cell.arena();
        let mut seen = [0u64; 64];
        let mut look_at = |owner: Owner| {
            let (word, bit) = (owner.slot() as usize / 64, owner.slot() % 64);
            if seen[word] & 1 << bit == 0 {
                seen[word] |= 1 << bit;
                arena.investigate(owner);
            }
        };
        arena.each_holder(self.cell.reference().offset(), &mut look_at);
        let rounds = self.rounds();
        rounds.waiting(round).chain(rounds.before(round)).for_each(|owner| look_at(Owner::of_word(owner)));
    }

    /// Breaks the round if a process has died on whom it depends. `fresh`: a holder has died during the wait.
    fn look(&self, round: u32, fresh: bool) {
        let arena = self.cell.arena();
        let rounds = self.rounds();
        let nap = Futex::new(0);
        for _ in 0..20 {
            // Its settler stirs the barriers that a dead one held.
            arena.settle_pending();
            if rounds.has_dead(round, |owner| arena.is_dead(Owner::of_word(owner))) {
                rounds.break_round(round);
                return;
            }
            if rounds.died.load(Ordering::SeqCst) == 0 || rounds::round(rounds.now()) != round {
                return;
            }
            match self.deserted(&rounds, round, fresh) {
                Some(true) => {
                    rounds.break_round(round);
                    return;
                }
                Some(false) => return,
                None => crate::sys::futex::wait(&nap, 0, Deadline::after(1_000_000)),
            };
        }
        if fresh {
            rounds.look_again();
        }
    }

    /// Whether somebody waits and nobody is left who could come. `None`: it can't be told at this moment.
    fn deserted(&self, rounds: &Rounds<'_>, round: u32, fresh: bool) -> Option<bool> {
        let me = self.cell.arena().me();
        let mut somebody = rounds.waiting(round).next().is_none();
        let census = self.cell.arena().each_holder(self.cell.reference().offset(), |holder| {
            let waiting = rounds.waiting(round).filter(|owner| *owner == holder.bits()).count();
            let before = rounds.before(round).filter(|owner| *owner == holder.bits()).count();
            let idle = || host_threads().is_none_or(|threads| threads as usize > waiting);
            somebody |= waiting != 1 || before > 1 || !fresh && holder == me && idle();
        });
        match census {
            _ if somebody => Some(false),
            Census::More => Some(false),
            Census::Whole => Some(true),
            Census::Unclear => None,
        }
    }

    /// The barrier's token.
    pub fn token(&self) -> Token {
        self.cell.token()
    }

    /// The barrier that a token names.
    pub fn from_token(token: &Token) -> Result<Barrier> {
        Barrier::of(Holder::from_token(token)?)
    }
}

fn broken() -> Error {
    Error::new(
        Status::Broken,
        "the barrier is broken: a wait in it ended early, a process that it depends on died, or it was aborted or reset",
    )
}

/// How the last one to come, in a round that has lasted so long, finds out whether another one is dead.
fn is_dead_after(arena: &Arena, lasted: u64) -> impl Fn(u32) -> bool + '_ {
    move |owner| {
        let owner = Owner::of_word(owner);
        match lasted {
            LONG.. => arena.investigate(owner),
            BRIEF.. => arena.glance_at(owner),
            _ => arena.is_dead(owner),
        }
    }
}

/// The barrier's lock, held.
struct Turn {
    arena: &'static Arena,
    cell: &'static BarrierCell,
}

impl Drop for Turn {
    fn drop(&mut self) {
        wait::release(self.arena, &self.cell.lock);
    }
}

/// A waiter that looks after the others.
struct Watching<'a> {
    waiter: Waiter<'a>,
    barrier: &'a Barrier,
    round: u32,
    look: i64,
}

impl Sleeper for Watching<'_> {
    fn is_dead(&self, owner: u32) -> bool {
        self.waiter.is_dead(owner)
    }

    fn spin(&mut self) -> bool {
        self.waiter.spin()
    }

    fn sleep(&mut self, word: &Futex, seen: u32) -> Option<Ended> {
        self.look = self.look.min(clock::now().saturating_add(STRETCH));
        let ended = self.waiter.sleep(word, seen);
        let now = clock::now();
        if ended.is_none() && now >= self.look {
            self.look = i64::MAX;
            let looked = &self.barrier.cell.looked;
            let last = looked.load(Ordering::Relaxed);
            let due = (now as u64).saturating_sub(last) >= BETWEEN_LOOKS;
            if due && looked.compare_exchange(last, now as u64, Ordering::Relaxed, Ordering::Relaxed).is_ok()
            {
                self.barrier.look_at_all(self.round);
                self.barrier.look(self.round, false);
            }
        }
        ended
    }

    fn slept(&self) -> bool {
        self.waiter.slept()
    }
}

/// A process that held the barrier at `offset` has died.
pub(crate) fn stir(arena: &Arena, offset: u64) {
    let cell = arena.at::<BarrierCell>(offset);
    rounds::stir(&cell.word, &cell.died);
}

/// Takes apart the barrier at `offset`. May be done twice.
pub(crate) fn destroy(arena: &Arena, offset: u64) {
    let cell = arena.at::<BarrierCell>(offset);
    let table = BlockRef::from_bits(cell.table.load(Ordering::Acquire));
    if !table.is_none() {
        arena.release_block(table);
        fault!("barrier.destroy:table");
        cell.table.store(0, Ordering::Release);
    }
}

const _: () = assert!(size_of::<BarrierCell>() <= 128);
