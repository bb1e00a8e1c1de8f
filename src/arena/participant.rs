//! Participants: how a process gets its slot, and what fork does with it.
//!
//! The slot of a forked child is made *before* the fork, by the prepare handler, with a copy of the held table: so
//! a parent that frees at once takes nothing from the child. The child takes the slot over by one exchange. A
//! slot that is not taken over in ten seconds (a fork that failed) is dead; a child that comes later is lost, and
//! its calls answer `MP_ERR_STATE`.
//!
//! Which slot is ours lies on a page that fork wipes: a process made by a raw clone, past the handlers, finds no
//! slot there, rather than its parent's.

use super::block::{EntryIndex, Place};
use super::held::{kind, Entry};
use super::layout::{SLOTS, SLOT_SIZE};
use super::named::each_arena;
use super::refs::{BlockRef, Refs};
use super::slot::{Life, Owner, Slot, State, ENTRY_CHUNKS, INLINE_ENTRIES};
use super::{existing, Arena, Tables, CREATE};
use crate::error::{Error, Result, Status};
use crate::fault;
use crate::sys::fork::Handlers;
use crate::sys::prim::Ordering;
use crate::sys::{child, clock};
use std::cell::Cell;
use std::ops::Range;

/// How many processes may use an arena at once. The few slots beyond are for those that come by themselves and find all
/// others taken, by the dead perhaps: only who has a slot can settle them.
pub const PLACES: u32 = SLOTS - 1 - 16;
const COMMON: Range<u32> = 1..PLACES + 1;
/// As long as one of these is free, no other is taken: who looks at every slot has few to look at. Each is taken 2^18
/// times before an owner word comes again, so that takes 67 million processes.
const USUAL: Range<u32> = 1..257;

/// Entries in the first chunk; each further one has twice as many.
const FIRST_CHUNK: u32 = 32;
/// The fewest children between two looks for the dead.
const TIDY_CHILDREN: u32 = 32;
/// The shortest time between two such looks of who takes large blocks, in nanoseconds.
const TIDY_PERIOD: u64 = 1_000_000_000;

std::thread_local! {
    /// The child that this thread forked last.
    static FORKED: Cell<Owner> = const { Cell::new(Owner::NONE) };
}

/// The slot of the child that this thread has just forked.
pub fn forked_child() -> Owner {
    FORKED.get()
}

impl Arena {
    /// A process's life in the arena begins: claims one of these slots for process `pid`.
    fn claim_slot(&self, pid: u32, slots: Range<u32>) -> Result<u32> {
        let header = self.header();
        for _ in slots.clone() {
            let next = header.next_slot.fetch_add(1, Ordering::Relaxed);
            let number = slots.start + next % slots.len() as u32;
            let offset = self.regions().slots + u64::from(number) * SLOT_SIZE;
            self.back(offset, SLOT_SIZE)?;
            let slot = self.slot(number);
            let life = Life(slot.life.load(Ordering::Acquire));
            let claimed = Life::new(State::Claimed, life.generation(), 0, pid);
            if life.state() == State::Free
                && slot.life.compare_exchange(life.0, claimed.0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
            {
                header.slots_used.fetch_max(number + 1, Ordering::AcqRel);
                fault!("slot.claim:claimed");
                slot.exit.store(0, Ordering::Relaxed);
                slot.since.store(0, Ordering::Relaxed);
                slot.clear_outcome();
                self.name_forebears(slot);
                return Ok(number);
            }
        }
        Err(Error::new(Status::NoMemory, format!("all {PLACES} places for processes are taken")))
    }

    /// A slot for a child of this process, PENDING until the child takes it over.
    pub(crate) fn pending_slot(&self) -> Result<Owner> {
        self.claim_child_slot().map(|number| self.make_pending(number))
    }

    /// A slot for a child. Who has ended unnoticed makes room.
    fn claim_child_slot(&self) -> Result<u32> {
        self.tidy_before_child();
        self.claim_common_slot().or_else(|_| {
            self.sweep();
            self.claim_common_slot()
        })
    }

    fn claim_common_slot(&self) -> Result<u32> {
        let pid = std::process::id();
        self.claim_slot(pid, USUAL).or_else(|_| self.claim_slot(pid, COMMON))
    }

    /// Who forks children by itself has nobody who notices their end, so what they held would pile up: after so many
    /// children as live, the dead are looked for. Each then costs a system call at the most.
    fn tidy_before_child(&self) {
        let to_go = self.children_to_go.load(Ordering::Relaxed);
        if to_go > 0 {
            return self.children_to_go.store(to_go - 1, Ordering::Relaxed);
        }
        let live = self.tidy();
        self.children_to_go.store(live.max(TIDY_CHILDREN), Ordering::Relaxed);
    }

    /// The same for who takes large blocks, at the most once in a while.
    pub(super) fn tidy_old(&self) {
        let now = clock::now() as u64;
        let last = self.tidied.load(Ordering::Relaxed);
        let due = now.saturating_sub(last) >= TIDY_PERIOD && !self.lost();
        if due && self.tidied.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.tidy();
        }
    }

    /// Settles those of whom nothing is left, as far as one system call each tells that, and answers how many live.
    /// Must not be called while this thread holds the tables.
    fn tidy(&self) -> u32 {
        let mut live = 0;
        for number in 1..self.slots_used() {
            let life = self.life(number);
            if life.state() == State::Live && !self.glance_at(Owner::new(number, life.generation())) {
                live += 1;
            }
        }
        self.settle_pending();
        live
    }

    fn make_pending(&self, number: u32) -> Owner {
        let slot = self.slot(number);
        let life = self.life(number);
        slot.since.store(clock::now().max(1) as u64, Ordering::Relaxed);
        slot.exit.store(unbegun_mark(life.generation()), Ordering::Relaxed);
        let pending = Life::new(State::Pending, life.generation(), 0, 0);
        slot.life.store(pending.0, Ordering::Release);
        Owner::new(number, life.generation())
    }

    /// A spawned child runs: its pid stands for it until it takes the slot over.
    pub(crate) fn note_pending_pid(&self, owner: Owner, pid: u32) {
        let slot = self.slot(owner.slot());
        let seen = Life::new(State::Pending, owner.generation(), 0, 0);
        let known = Life::new(State::Pending, owner.generation(), 0, pid);
        if self.life(owner.slot()) != seen {
            return;
        }
        slot.started_by.store(clock::boot_ticks(), Ordering::Relaxed);
        let _ = slot.life.compare_exchange(seen.0, known.0, Ordering::AcqRel, Ordering::Relaxed);
    }

    /// The slot that this process has prepared for a child is that of another's child.
    pub(crate) fn give_child_to(&self, child: Owner, parent: Owner) {
        self.slot(child.slot()).parent.store(parent.bits(), Ordering::Release);
    }

    /// A child that never came to be: its slot is given up.
    pub(crate) fn abandon_pending(&self, owner: Owner) {
        let life = self.life(owner.slot());
        if life.generation() == owner.generation() && life.state() == State::Pending {
            self.declare_dead(owner.slot(), life);
            self.settle_pending();
        }
    }

    /// The slots that a dead process made for children it was about to fork are given up at once. Only for a parent
    /// whose children die with it: others may still take theirs over.
    pub fn abandon_children_of(&self, parent: Owner) {
        for number in 1..self.slots_used() {
            let life = self.life(number);
            let of_parent = self.slot(number).parent.load(Ordering::Acquire) == parent.bits();
            if of_parent && life.state() == State::Pending && life.pid() == 0 {
                self.declare_dead(number, life);
            }
        }
        self.sweep();
    }

    /// This process takes over the slot that its parent made for it.
    #[link_section = "mp_fork"]
    pub(crate) fn take_over(&self, owner: Owner) -> bool {
        if owner.is_none() {
            return false;
        }
        let slot = self.slot(owner.slot());
        let pid = child::pid() as u32;
        let mut seen = self.life(owner.slot());
        while seen.generation() == owner.generation() && seen.state() == State::Pending {
            slot.started_by.store(clock::boot_ticks(), Ordering::Relaxed);
            let live = Life::new(State::Live, owner.generation(), 0, pid);
            match slot.life.compare_exchange(seen.0, live.0, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => {
                    fault!("process.taken:live");
                    slot.exit.store(0, Ordering::Release);
                    self.set_me(owner);
                    return true;
                }
                Err(now) => seen = Life(now),
            }
        }
        false
    }

    /// A process that came by itself gets its slot.
    pub(crate) fn join(&self) -> Result<()> {
        let pid = std::process::id();
        self.declare_former_selves(pid);
        let number = self.claim_common_slot().or_else(|_| self.claim_slot(pid, COMMON.end..SLOTS))?;
        let slot = self.slot(number);
        slot.started_by.store(clock::boot_ticks(), Ordering::Relaxed);
        let generation = self.life(number).generation();
        slot.life.store(Life::new(State::Live, generation, 0, pid).0, Ordering::Release);
        self.set_me(Owner::new(number, generation));
        Ok(())
    }

    /// What ran under this number before exec put this program in its place holds nothing any more. Nobody else
    /// could tell: number, start time and mapping are this process's now.
    fn declare_former_selves(&self, pid: u32) {
        let former = |life: &Life| life.pid() == pid && matches!(life.state(), State::Claimed | State::Live);
        let slots = || (1..self.slots_used()).map(|number| (number, self.life(number)));
        // Not if another copy of the library in this very process has the arena open.
        if slots().any(|(_, life)| former(&life)) && self.is_mapped_once() {
            slots().filter(|(_, life)| former(life)).for_each(|(number, life)| {
                self.declare_dead(number, life);
            });
        }
    }

    /// A free entry of this process's held table.
    pub(crate) fn take_entry(&self, tables: &mut Tables) -> Result<EntryIndex> {
        if let Some(index) = tables.free.pop() {
            return Ok(EntryIndex(index));
        }
        let index = tables.next;
        if index >= self.entry_count(self.my_slot()) {
            self.add_chunk(tables, self.my_slot())?;
        }
        tables.next = index + 1;
        Ok(EntryIndex(index))
    }

    /// A free entry whose first word names `block`, for a kind that the caller gives it.
    pub fn new_entry(&self, block: BlockRef) -> Result<EntryIndex> {
        let index = self.take_entry(&mut self.tables.lock())?;
        self.my_entry(index).a.store(block.bits(), Ordering::Relaxed);
        Ok(index)
    }

    /// Puts a free entry back.
    pub fn return_entry(&self, index: EntryIndex) {
        debug_assert_eq!(self.my_entry(index).kind(), kind::FREE);
        self.tables.lock().free.push(index.0);
    }

    /// This process's entry of that number.
    pub fn my_entry(&self, index: EntryIndex) -> &Entry {
        self.entry(self.my_slot(), index.0)
    }

    /// How many entries a slot has room for.
    pub(crate) fn entry_count(&self, slot: &Slot) -> u32 {
        let chunks = slot.chunks.iter().take_while(|c| c.load(Ordering::Acquire) != 0).count();
        INLINE_ENTRIES as u32 + FIRST_CHUNK * ((1 << chunks) - 1)
    }

    pub(crate) fn entry<'a>(&'a self, slot: &'a Slot, index: u32) -> &'a Entry {
        let Some(beyond) = index.checked_sub(INLINE_ENTRIES as u32) else {
            return &slot.entries[index as usize];
        };
        let chunk = (beyond / FIRST_CHUNK + 1).ilog2();
        let inside = beyond - FIRST_CHUNK * ((1 << chunk) - 1);
        let block = BlockRef::from_bits(slot.chunks[chunk as usize].load(Ordering::Acquire));
        self.at(self.data_offset(block) + u64::from(inside) * size_of::<Entry>() as u64)
    }

    /// One chunk of entries more for a slot: this process's, or that of a child it is about to fork. Killed in
    /// between, `new_chunk` of this process's slot names a block that its settler finds linked, or gives back.
    fn add_chunk(&self, tables: &mut Tables, slot: &Slot) -> Result<()> {
        let number = slot.chunks.iter().take_while(|c| c.load(Ordering::Acquire) != 0).count();
        if number == ENTRY_CHUNKS {
            return Err(Error::new(Status::NoMemory, "the process holds as many objects as it can"));
        }
        let bytes = u64::from(FIRST_CHUNK << number) * size_of::<Entry>() as u64;
        let new = &self.my_slot().new_chunk;
        let block = self.take(tables, bytes, Place::Chunk(new))?;
        self.zero(self.data_offset(block), bytes);
        fault!("slot.chunk:zeroed");
        slot.chunks[number].store(block.bits(), Ordering::Release);
        fault!("slot.chunk:linked");
        new.store(0, Ordering::Release);
        Ok(())
    }

    /// Copies what a forked child shares into its held table, each holder counted.
    fn copy_entries(&self, tables: &mut Tables, child: &Slot) -> Result<()> {
        let mine = self.my_slot();
        while self.entry_count(child) < tables.next.min(self.entry_count(mine)) {
            self.add_chunk(tables, child)?;
        }
        for index in 0..tables.next {
            let entry = self.entry(mine, index);
            let entry_kind = entry.kind();
            if entry_kind != kind::HANDLE && entry_kind != kind::BLOCK {
                continue;
            }
            let reference = BlockRef::from_bits(entry.a.load(Ordering::Relaxed));
            let copy = self.entry(child, index);
            copy.a.store(reference.bits(), Ordering::Relaxed);
            let same =
                |now: Refs| (now.generation() == reference.generation()).then(|| now.raised()).flatten();
            self.change_refs(tables, reference.offset(), Some((copy, entry_kind)), same)
                .ok_or_else(|| Error::internal("a held object could not be shared"))?;
            fault!("fork.prepare:copied");
        }
        Ok(())
    }

    /// Fills the slot for the child of a fork that is about to happen.
    fn prepare_child(&self, tables: &mut Tables, number: u32) -> Option<Owner> {
        let copied = self.copy_entries(tables, self.slot(number)).is_ok();
        let owner = self.make_pending(number);
        if !copied {
            self.declare_dead(number, self.life(number));
            return None;
        }
        Some(owner)
    }
}

// Its section: see the handlers of `process`.
#[link_section = "mp_fork_data"]
static HANDLERS: Handlers = Handlers::new();

#[link_section = "mp_fork"]
extern "C" fn prepare() {
    if !HANDLERS.begin(|| CREATE.hold_over_fork()) {
        return;
    }
    for arena in each_arena() {
        // Before any tables are held, since it may have to settle the dead.
        let slot = if arena.lost() { None } else { arena.claim_child_slot().ok() };
        arena.prepared.store(slot.unwrap_or(0), Ordering::Relaxed);
    }
    for arena in each_arena() {
        arena.tables.hold_over_fork();
        let slot = Some(arena.prepared.load(Ordering::Relaxed)).filter(|slot| *slot != 0);
        let prepared =
            slot.and_then(|slot| arena.with_held_tables(|tables| arena.prepare_child(tables, slot)));
        arena.prepared.store(prepared.map_or(0, Owner::bits), Ordering::Relaxed);
    }
    // Now, while the page is this process's alone; after the fork the store would copy it.
    if let Some(arena) = existing() {
        FORKED.set(Owner::of_word(arena.prepared.load(Ordering::Relaxed)));
    }
}

#[link_section = "mp_fork"]
extern "C" fn parent() {
    if !HANDLERS.end_in_parent() {
        return;
    }
    each_arena().for_each(|arena| arena.tables.release_after_fork());
    CREATE.release_after_fork();
}

#[link_section = "mp_fork"]
extern "C" fn child() {
    if !HANDLERS.end_in_child() {
        return;
    }
    for arena in each_arena() {
        arena.take_over(Owner::of_word(arena.prepared.load(Ordering::Relaxed)));
        arena.tables.release_after_fork();
    }
    CREATE.release_after_fork();
}

/// Registers the handlers, once in a line of forked processes.
pub(crate) fn register_fork_handlers() {
    HANDLERS.register(prepare, parent, child);
}

/// What stands in the place of an exit code until a child has begun.
fn unbegun_mark(generation: u32) -> u64 {
    1 << 62 | u64::from(generation) << 32
}

/// What stands above a recorded exit code: that there is one, and whose.
pub(super) fn exit_mark(owner: Owner) -> u64 {
    1 << 63 | u64::from(owner.generation()) << 32
}

/// The exit code that a process recorded before it left.
impl Arena {
    /// Records this process's exit code, for a parent from whom the host steals the status.
    pub fn record_exit(&self, code: i32) {
        self.my_slot().exit.store(exit_mark(self.me()) | u64::from(code as u32), Ordering::Release);
    }

    /// Whether it is certain that the child for whom this slot was made has never taken it over: also after its end, as
    /// long as the slot has not been given to another.
    pub(crate) fn has_not_begun(&self, owner: Owner) -> bool {
        self.slot(owner.slot()).exit.load(Ordering::Acquire) == unbegun_mark(owner.generation())
    }

    /// The exit code that the process of this owner recorded, as long as its slot has not been given to another.
    pub fn recorded_exit(&self, owner: Owner) -> Option<i32> {
        let exit = self.slot(owner.slot()).exit.load(Ordering::Acquire);
        (exit >> 32 << 32 == exit_mark(owner)).then_some(exit as u32 as i32)
    }

    /// The pid of a live owner.
    pub fn pid_of(&self, owner: Owner) -> Option<i32> {
        if self.is_dead(owner) {
            return None;
        }
        Some(self.life(owner.slot()).pid() as i32)
    }
}
