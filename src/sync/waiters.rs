//! The waiters of a condition: nodes in an array, each with a ticket, so that nothing can be half-linked.
//!
//! ```text
//!              enqueue                 about to sleep                notify
//! owner 0  ------------->  WAITING  -------------------->  ASLEEP  ---------->  NOTIFIED  --leave-->  owner 0
//!                             |     <--------------------                          ^
//!                             |             stir                                   |
//!                             +------------------------- notify -------------------+
//! ```
//!
//! Enqueuing, notifying, mending and leaving happen under the condition's lock, one at a time; a node's `owner` is
//! stored last, and is its commit. Only the sleeping happens without the lock, on the node's own state word. A
//! notification goes to the live waiting node with the smallest ticket, and carries a bound, the first ticket that had
//! not been given out when it was made: only who waited then may have it.
//!
//! What a kill leaves, between any two stores:
//! * enqueuing: a node without an owner, which is free.
//! * notifying, before the mark: nothing; after it, before the wake-up: a sleeper that whoever settles the notifier
//!   wakes ([`stir`]), as its own capped sleep does.
//! * a waiter before its notification: a node of a dead owner, which [`mend`] frees. After it, before it has left the
//!   node: an *orphan*, whose notification passes to the next: that one is marked first, then the orphan freed. Killed
//!   between those two, one waiter is woken for nothing, but no notification is lost.
//!
//! The heir of the lock does not know of conditions, so every operation begins by mending what it finds. And if
//! there is no operation to come, the waiters look themselves: each looks for orphans after it has said that it is
//! about to sleep, and `stir`, which comes after the death was declared, takes that word back. So an orphan is seen by
//! the waiter, or the waiter does not fall asleep. A notifier looks at the owner once more after it has marked a node:
//! either it sees that the owner has died, or those who look after the declaration see the mark.

use crate::arena::word::{Ended, Sleeper};
use crate::fault;
use crate::sys::prim::{fence, fence_after_exchange, AtomicU32, AtomicU64, Futex, Ordering};

const WAITING: u32 = 0;
const ASLEEP: u32 = 1;
const NOTIFIED: u32 = 2;

/// One waiter.
#[repr(C)]
#[derive(Debug)]
pub struct Node {
    /// The waiter's process as an owner word; 0: the node is free.
    owner: AtomicU32,
    state: Futex,
    ticket: AtomicU64,
    /// When notified: who has this ticket or a later one came after the notification.
    bound: AtomicU64,
}

#[cfg(not(loom))]
crate::arena::layout::shared!(Node);

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// The node was notified.
    Notified,
    /// There is an orphan: whoever sees it takes the lock and mends.
    Orphans,
    /// The time is up, or the wait was cancelled.
    Ended(Ended),
}

impl Node {
    /// A free node outside of an arena, for models.
    pub fn new() -> Node {
        Node {
            owner: AtomicU32::new(0),
            state: Futex::new(0),
            ticket: AtomicU64::new(0),
            bound: AtomicU64::new(0),
        }
    }

    fn owner(&self) -> u32 {
        self.owner.load(Ordering::Acquire)
    }

    /// Whether nobody has it.
    pub fn is_free(&self) -> bool {
        self.owner() == 0
    }

    /// Whether its waiter has been notified.
    pub fn is_notified(&self) -> bool {
        self.state.load(Ordering::Acquire) == NOTIFIED
    }

    fn free(&self) {
        self.owner.store(0, Ordering::Release);
    }

    /// Under the lock: the free node becomes `me`'s.
    pub fn enter(&self, me: u32, ticket: u64) {
        self.state.store(WAITING, Ordering::Relaxed);
        self.ticket.store(ticket, Ordering::Relaxed);
        fault!("condition.wait:filled");
        self.owner.store(me, Ordering::Release);
        fault!("condition.wait:entered");
    }

    /// Under the lock: the waiter leaves. Whether it was notified.
    pub fn leave(&self) -> bool {
        let notified = self.is_notified();
        fault!("condition.wait:leaving");
        self.free();
        fault!("condition.wait:left");
        notified
    }

    /// Without the lock: whether this is a notified node of a dead process, whose notification whoever has `ticket`
    /// may inherit.
    pub fn is_orphan(&self, ticket: u64, is_dead: impl Fn(u32) -> bool) -> bool {
        let owner = self.owner();
        owner != 0 && self.is_notified() && self.bound.load(Ordering::Relaxed) > ticket && is_dead(owner)
    }

    /// The owner, if it has been notified and has not left yet.
    pub fn notified_owner(&self) -> Option<u32> {
        Some(self.owner()).filter(|owner| *owner != 0 && self.is_notified())
    }

    /// Without the lock: waits until it is notified. `orphans` tells whether there is an [orphan](Node::is_orphan).
    pub fn wait<S: Sleeper>(&self, sleeper: &mut S, mut orphans: impl FnMut(&S) -> bool) -> Woken {
        loop {
            let seen = self.state.load(Ordering::Acquire);
            if seen == NOTIFIED {
                return Woken::Notified;
            }
            if sleeper.spin() {
                continue;
            }
            let announced =
                || self.state.compare_exchange(WAITING, ASLEEP, Ordering::SeqCst, Ordering::Acquire).is_ok();
            if seen == WAITING && !announced() {
                continue;
            }
            fault!("condition.wait:announced");
            // Between the word and the look; pairs with `stir`'s.
            fence(Ordering::SeqCst);
            if orphans(sleeper) {
                return Woken::Orphans;
            }
            if let Some(ended) = sleeper.sleep(&self.state, ASLEEP) {
                return Woken::Ended(ended);
            }
            fault!("condition.wait:woken");
        }
    }

    /// Under the lock: notifies the node.
    fn notify(&self, bound: u64) {
        self.bound.store(bound, Ordering::Relaxed);
        fault!("condition.notify:bound");
        let old = self.state.swap(NOTIFIED, Ordering::SeqCst);
        fault!("condition.notify:marked");
        if old == ASLEEP {
            self.state.wake(1);
        }
    }

    /// A process has died that may have owed this node a wake-up, or left an orphan: its waiter looks.
    pub fn stir(&self) {
        // Between the declaration and the look.
        fence(Ordering::SeqCst);
        let _ = self.state.compare_exchange(ASLEEP, WAITING, Ordering::SeqCst, Ordering::SeqCst);
        self.state.wake(u32::MAX);
    }
}

impl Default for Node {
    fn default() -> Node {
        Node::new()
    }
}

/// The nodes of a condition, in any order.
pub trait Nodes<'a>: Iterator<Item = &'a Node> + Clone {}

impl<'a, T: Iterator<Item = &'a Node> + Clone> Nodes<'a> for T {}

/// Of the live waiters with a ticket below the bound, the one that came first.
fn first<'a>(nodes: impl Nodes<'a>, bound: u64, is_dead: &impl Fn(u32) -> bool) -> Option<&'a Node> {
    let may_have_it = |node: &&Node| {
        let owner = node.owner();
        owner != 0 && !node.is_notified() && node.ticket.load(Ordering::Relaxed) < bound && !is_dead(owner)
    };
    nodes.filter(may_have_it).min_by_key(|node| node.ticket.load(Ordering::Relaxed))
}

/// Under the lock: frees the nodes of the dead; their notifications pass on.
pub fn mend<'a>(nodes: impl Nodes<'a>, is_dead: &impl Fn(u32) -> bool) {
    // An heir may have died as well before it was marked.
    while pass_on(nodes.clone(), is_dead) {
        fence_after_exchange();
    }
}

/// One round of mending; whether a notification was passed on.
fn pass_on<'a>(nodes: impl Nodes<'a>, is_dead: &impl Fn(u32) -> bool) -> bool {
    let mut passed = false;
    for node in nodes.clone() {
        let owner = node.owner();
        if owner == 0 || !is_dead(owner) {
            continue;
        }
        if node.is_notified() {
            let bound = node.bound.load(Ordering::Relaxed);
            if let Some(heir) = first(nodes.clone(), bound, is_dead) {
                heir.notify(bound);
                passed = true;
                fault!("condition.mend:passed");
            }
        }
        node.free();
        fault!("condition.mend:freed");
    }
    passed
}

/// Under the lock: notifies the `n` who have waited longest, of those with a ticket below the bound.
pub fn notify<'a>(nodes: impl Nodes<'a>, n: u32, bound: u64, is_dead: &impl Fn(u32) -> bool) {
    mend(nodes.clone(), is_dead);
    let mut died = false;
    for _ in 0..n {
        let Some(node) = first(nodes.clone(), bound, is_dead) else { break };
        node.notify(bound);
        fence_after_exchange();
        died |= is_dead(node.owner());
    }
    if died {
        mend(nodes, is_dead);
    }
}

/// Under the lock: notifies all.
pub fn notify_all<'a>(nodes: impl Nodes<'a>, bound: u64, is_dead: &impl Fn(u32) -> bool) {
    mend(nodes.clone(), is_dead);
    // A node whose owner dies meanwhile has no heir: everybody is notified.
    nodes.filter(|node| !node.is_free() && !node.is_notified()).for_each(|node| node.notify(bound));
}
