//! The condition. Its waiters' algorithm is in `waiters.rs`; here are its words, its lock and its rules.
//!
//! The lock is the condition's own recursive one, or that of another object: then the condition's cell has a holder of
//! that object in its word `lock`, so that a condition is never without its lock, whoever keeps it alive.
//!
//! The first nodes lie in the cell, further ones in blocks that become parts of it, each twice as long as the one before.
//! Killed while a block is made a part: see [`Block::become_part`](crate::arena::Block::become_part). While the
//! condition is taken apart: each block is given back by a reference that serves once, and the lock's holder is lowered
//! and its word cleared in one detectable step, so all of it may be done again.

use super::lock::LockCell;
use super::recursive::{RecursiveWords, Who};
use super::rlock::RLockCell;
use super::waiters::{self, Node, Nodes, Woken};
use super::{ended, told, Lock, RLock};
use crate::arena::layout::shared;
use crate::arena::wait::{self, Waiter};
use crate::arena::word::{self, Acquired};
use crate::arena::{object, Arena, BlockRef, Holder, Object, ObjectHead, ObjectKind, Owner, Token};
use crate::error::{Error, Result, Status};
use crate::fault;
use crate::sys::clock::Deadline;
use crate::sys::prim::{AtomicU32, AtomicU64, Futex, Ordering};

/// Nodes in the cell itself.
const INLINE: u32 = 12;
/// Nodes in the first block: with its header it is a class of the allocator. Each further one has twice as many.
const FIRST_BLOCK: u32 = 42;
const BLOCKS: usize = 13;

/// A condition's words in the arena.
#[repr(C)]
#[derive(Debug)]
struct ConditionCell {
    head: ObjectHead,
    /// The object whose lock is the condition's, as a block reference; 0: the condition has its own.
    lock: AtomicU64,
    /// How long spinning for a notification pays.
    spin: AtomicU32,
    /// No node from here on is in use.
    used: AtomicU32,
    own: RecursiveWords,
    /// The ticket that the next waiter gets.
    ticket: AtomicU64,
    blocks: [AtomicU64; BLOCKS],
    nodes: [Node; INLINE as usize],
}

shared!(ConditionCell);
object!(ConditionCell, head, ObjectKind::Condition);

impl ConditionCell {
    fn node<'a>(&'a self, arena: &'a Arena, index: u32) -> Option<&'a Node> {
        let Some(beyond) = index.checked_sub(INLINE) else { return self.nodes.get(index as usize) };
        let number = (beyond / FIRST_BLOCK + 1).ilog2();
        let inside = beyond - FIRST_BLOCK * ((1 << number) - 1);
        let block = BlockRef::from_bits(self.blocks.get(number as usize)?.load(Ordering::Acquire));
        if block.is_none() {
            return None;
        }
        Some(arena.at(arena.data_offset(block) + u64::from(inside) * size_of::<Node>() as u64))
    }

    /// The nodes that may be in use.
    fn nodes<'a>(&'a self, arena: &'a Arena) -> impl Nodes<'a> {
        (0..self.used.load(Ordering::Acquire)).map_while(move |index| self.node(arena, index))
    }

    /// Under the lock: a node for a waiter. There are as many as there is memory for.
    fn free_node<'a>(&'a self, arena: &'static Arena) -> Result<&'a Node> {
        let (mut index, mut used) = (None, 0);
        for (node, number) in self.nodes(arena).zip(0..) {
            if !node.is_free() {
                used = number + 1;
            } else if index.is_none() {
                index = Some(number);
            }
        }
        // Without a gap, `used` is what it was.
        let index = index.unwrap_or(used);
        let node = match self.node(arena, index) {
            Some(node) => node,
            None => self.grow(arena, index)?,
        };
        self.used.store(used.max(index + 1), Ordering::Release);
        fault!("condition.wait:counted");
        Ok(node)
    }

    /// Under the lock: one block of nodes more, which begins with the node `index`.
    fn grow<'a>(&'a self, arena: &'static Arena, index: u32) -> Result<&'a Node> {
        let free = self.blocks.iter().enumerate().find(|(_, block)| block.load(Ordering::Relaxed) == 0);
        let Some((number, place)) = free else {
            return Err(Error::new(
                Status::NoMemory,
                format!("{index} wait for the condition, the most that can"),
            ));
        };
        let bytes = u64::from(FIRST_BLOCK << number) * size_of::<Node>() as u64;
        let block = arena.allocate(bytes, false)?;
        arena.zero(arena.data_offset(block.reference()), bytes);
        block.become_part(place);
        self.node(arena, index).ok_or_else(|| Error::internal("a condition has no node of that number"))
    }

    /// Under the lock: the ticket of a new waiter.
    fn next_ticket(&self) -> u64 {
        let ticket = self.ticket.load(Ordering::Relaxed);
        self.ticket.store(ticket + 1, Ordering::Relaxed);
        fault!("condition.wait:ticket");
        ticket
    }

    /// Without the lock: whether there is a notification that the waiter with this ticket may inherit. After a whole
    /// stretch of sleep it looks whether the others who were notified live.
    fn has_orphans(&self, arena: &Arena, ticket: u64, waiter: &Waiter<'_>) -> bool {
        if waiter.slept_long() {
            let died = |owner: &u32| {
                let owner = Owner::of_word(*owner);
                owner != arena.me() && arena.investigate(owner)
            };
            if self.nodes(arena).filter_map(Node::notified_owner).filter(died).count() > 0 {
                arena.settle_pending();
            }
        }
        self.nodes(arena).any(|node| node.is_orphan(ticket, is_dead(arena)))
    }
}

fn is_dead(arena: &Arena) -> impl Fn(u32) -> bool + '_ {
    |owner| arena.is_dead(Owner::of_word(owner))
}

/// A process that held the condition at `offset` has died: all who wait look.
pub(crate) fn stir(arena: &Arena, offset: u64) {
    arena.at::<ConditionCell>(offset).nodes(arena).filter(|node| !node.is_free()).for_each(Node::stir);
}

/// Takes apart the condition at `offset`: its blocks, then its hold on a lock. Each step may be done twice.
pub(crate) fn destroy(arena: &Arena, offset: u64) {
    let cell = arena.at::<ConditionCell>(offset);
    for block in cell.blocks.iter().filter(|block| block.load(Ordering::Relaxed) != 0) {
        arena.release_block(BlockRef::from_bits(block.load(Ordering::Acquire)));
        fault!("condition.destroy:block");
        block.store(0, Ordering::Release);
    }
    arena.drop_link(&cell.lock);
}

fn elsewhere() -> Error {
    Error::invalid("the condition's lock is in another arena than the condition is to be in")
}

/// The lock of a condition.
#[derive(Clone, Copy, Debug)]
enum Guard {
    Recursive(&'static RecursiveWords),
    Plain(&'static LockCell),
}

impl Guard {
    /// Whether the caller has it.
    fn is_held(self, arena: &Arena) -> bool {
        let me = arena.me().bits();
        match self {
            Guard::Recursive(words) => words.is_held_by(me, Who::this_thread()),
            Guard::Plain(lock) => word::owner(lock.word.load(Ordering::Relaxed)) == me,
        }
    }

    fn word(self) -> &'static Futex {
        match self {
            Guard::Recursive(words) => &words.word,
            Guard::Plain(lock) => &lock.word,
        }
    }

    /// Without the lock: whether its last owner died holding it, perhaps before it notified anybody. Who waits takes
    /// the lock then, and the first one is told: else all would wait for the dead.
    fn is_bereaved(self, arena: &Arena, waiter: &Waiter<'_>) -> bool {
        let seen = self.word().load(Ordering::SeqCst);
        let owner = Owner::of_word(seen);
        if owner.is_none() {
            return seen & word::OWNER_DIED != 0;
        }
        arena.is_dead(owner) || waiter.slept_long() && owner != arena.me() && arena.investigate(owner)
    }

    fn acquire(self, arena: &Arena, deadline: Deadline) -> Result<Status> {
        match self {
            Guard::Recursive(words) => words.acquire(arena, Who::this_thread(), deadline),
            Guard::Plain(lock) => wait::acquire(arena, &lock.word, &lock.watch, &lock.spin, deadline)
                .map(|acquired| told(arena, acquired))
                .map_err(|end| ended(end, "the condition's lock is held by another owner")),
        }
    }

    /// The caller, who has it, leaves it altogether; how often it had entered beyond the first time.
    fn leave(self, arena: &Arena) -> u32 {
        let count = match self {
            Guard::Recursive(words) => words.exit_fully(),
            Guard::Plain(_) => 0,
        };
        wait::release(arena, self.word());
        fault!("condition.wait:released");
        count
    }

    /// The caller has it again, however long that takes.
    fn retake(self, arena: &Arena, count: u32) -> Acquired {
        match self {
            Guard::Recursive(words) => {
                let acquired = wait::acquire_at_any_rate(arena, &words.word, &words.watch, &words.spin);
                words.own(arena.me().bits(), Who::this_thread());
                words.set_count(count);
                acquired
            }
            Guard::Plain(lock) => wait::acquire_at_any_rate(arena, &lock.word, &lock.watch, &lock.spin),
        }
    }
}

/// A condition that processes share: who holds its lock may wait for a notification by another who does.
#[derive(Debug)]
pub struct Condition {
    cell: Holder<ConditionCell>,
    guard: Guard,
}

impl Condition {
    /// A condition with this recursive lock, or with one of its own.
    pub fn new(lock: Option<&RLock>) -> Result<Condition> {
        match lock {
            Some(lock) => Condition::linked(&lock.cell),
            None => Condition::new_in(Arena::get()?, None),
        }
    }

    /// The same in this arena, in which the lock must be too.
    pub fn new_in(arena: &'static Arena, lock: Option<&RLock>) -> Result<Condition> {
        match lock {
            Some(lock) if !std::ptr::eq(lock.cell.arena(), arena) => Err(elsewhere()),
            Some(lock) => Condition::linked(&lock.cell),
            None => Condition::around(Holder::new(arena, |_| {})?),
        }
    }

    /// A condition with this lock, in the lock's arena.
    pub fn with_lock(lock: &Lock) -> Result<Condition> {
        Condition::linked(&lock.cell)
    }

    /// The condition of this name in an arena, made with this recursive lock, or one of its own, if there is none.
    pub fn named(arena: &'static Arena, name: &[u8], lock: Option<&RLock>) -> Result<Condition> {
        if lock.is_some_and(|lock| !std::ptr::eq(lock.cell.arena(), arena)) {
            return Err(elsewhere());
        }
        let bits = lock.map_or(0, |lock| lock.cell.reference().bits());
        Condition::named_with(arena, name, bits, || Condition::new_in(arena, lock))
    }

    /// The same with this lock, which must be in the arena.
    pub fn named_with_lock(arena: &'static Arena, name: &[u8], lock: &Lock) -> Result<Condition> {
        if !std::ptr::eq(lock.cell.arena(), arena) {
            return Err(elsewhere());
        }
        Condition::named_with(arena, name, lock.cell.reference().bits(), || Condition::with_lock(lock))
    }

    fn named_with(
        arena: &'static Arena,
        name: &[u8],
        lock: u64,
        make: impl FnOnce() -> Result<Condition>,
    ) -> Result<Condition> {
        let same = |cell: &ConditionCell| cell.lock.load(Ordering::Acquire) == lock;
        let make = || make().map(|condition| condition.cell);
        Condition::around(arena.named(name, same, Some(make))?)
    }

    fn linked<T: Object>(lock: &Holder<T>) -> Result<Condition> {
        let cell: Holder<ConditionCell> = Holder::new(lock.live()?, |_| {})?;
        Holder::<T>::of(lock.arena(), lock.reference())?.give_to(&cell.lock);
        Condition::around(cell)
    }

    fn around(cell: Holder<ConditionCell>) -> Result<Condition> {
        let arena = cell.arena();
        let lock = BlockRef::from_bits(cell.lock.load(Ordering::Acquire));
        let guard = match arena.kind_of_object(lock) {
            None => Guard::Recursive(&cell.body().own),
            Some(ObjectKind::RLock) => Guard::Recursive(&arena.cell_at::<RLockCell>(lock).words),
            Some(ObjectKind::Lock) => Guard::Plain(arena.cell_at(lock)),
            Some(other) => {
                return Err(Error::internal(format!("a condition's lock is a {}", other.name())));
            }
        };
        Ok(Condition { cell, guard })
    }

    /// Acquires the condition's lock.
    #[inline]
    pub fn acquire(&self, deadline: Deadline) -> Result<Status> {
        self.guard.acquire(self.cell.live()?, deadline)
    }

    /// Releases the condition's lock once.
    #[inline]
    pub fn release(&self) -> Result<()> {
        match self.guard {
            Guard::Recursive(words) => words.release(self.cell.live()?, Who::this_thread()),
            Guard::Plain(lock) => {
                wait::release(self.held()?, &lock.word);
                Ok(())
            }
        }
    }

    /// The arena, if the caller has the lock.
    fn held(&self) -> Result<&'static Arena> {
        let arena = self.cell.live()?;
        if self.guard.is_held(arena) {
            Ok(arena)
        } else {
            Err(Error::new(Status::NotOwner, "the condition's lock is not held by the caller"))
        }
    }

    /// Leaves the lock, waits for a notification until `deadline` at the longest, and has the lock again, whatever it
    /// answers. `OwnerDead`: it has, but somebody died holding it meanwhile.
    pub fn wait(&self, deadline: Deadline) -> Result<Status> {
        let (arena, cell) = (self.held()?, self.cell.body());
        waiters::mend(cell.nodes(arena), &is_dead(arena));
        let node = cell.free_node(arena)?;
        let ticket = cell.next_ticket();
        node.enter(arena.me().bits(), ticket);
        let mut waiter = Waiter::new(arena, deadline).spinning(&cell.spin);
        let (woken, acquired) = loop {
            let count = self.guard.leave(arena);
            let woken = node.wait(&mut waiter, |waiter| {
                cell.has_orphans(arena, ticket, waiter) || self.guard.is_bereaved(arena, waiter)
            });
            let acquired = self.guard.retake(arena, count);
            if woken == Woken::Orphans {
                waiters::mend(cell.nodes(arena), &is_dead(arena));
            }
            if woken != Woken::Orphans || node.is_notified() || acquired == Acquired::OwnerDead {
                break (woken, acquired);
            }
        };
        let notified = node.leave();
        match woken {
            Woken::Ended(end) if !notified && acquired == Acquired::Clean => {
                Err(ended(end, "nobody notified the condition"))
            }
            _ => Ok(told(arena, acquired)),
        }
    }

    /// Notifies the `n` who have waited longest, or as many as there are.
    pub fn notify(&self, n: u32) -> Result<()> {
        let (arena, cell) = (self.held()?, self.cell.body());
        waiters::notify(cell.nodes(arena), n, cell.ticket.load(Ordering::Relaxed), &is_dead(arena));
        Ok(())
    }

    /// Notifies all who wait.
    pub fn notify_all(&self) -> Result<()> {
        let (arena, cell) = (self.held()?, self.cell.body());
        waiters::notify_all(cell.nodes(arena), cell.ticket.load(Ordering::Relaxed), &is_dead(arena));
        Ok(())
    }

    /// The condition's token.
    pub fn token(&self) -> Token {
        self.cell.token()
    }

    /// The condition that a token names.
    pub fn from_token(token: &Token) -> Result<Condition> {
        Condition::around(Holder::from_token(token)?)
    }
}
