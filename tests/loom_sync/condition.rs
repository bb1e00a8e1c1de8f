//! A condition's waiters: consumers wait until there is an item, under a lock, as programs do.

use super::{check, join, Model, Twist};
use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use loom::sync::Arc;
use loom::thread;
use mp::arena::word::{self, Acquired};
use mp::sync::waiters::{self, Node, Woken};
use mp::sys::prim::Futex;

/// What a mutant leaves out.
#[derive(Clone, Copy, PartialEq)]
enum Omits {
    Nothing,
    /// Who settles a dead process wakes the waiters.
    Stirring,
    /// A waiter looks for orphans before it sleeps.
    Looking,
    /// A notifier looks whether whom it has notified lives.
    SecondLook,
    /// A wait that has timed out looks whether it was notified meanwhile.
    LateNotification,
}

struct Shop {
    lock: Futex,
    nodes: Vec<Node>,
    ticket: AtomicU64,
    dead: AtomicU32,
    items: UnsafeCell<u32>,
    omits: Omits,
}

/// How a consumer's call ended.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Served,
    TimedOut,
    Died,
}

/// Where a consumer dies.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Dies {
    Never,
    BeforeTheLock,
    WithTheLock,
}

impl Shop {
    fn new(nodes: usize, omits: Omits) -> Arc<Shop> {
        Arc::new(Shop {
            lock: Futex::new(0),
            nodes: (0..nodes).map(|_| Node::new()).collect(),
            ticket: AtomicU64::new(0),
            dead: AtomicU32::new(0),
            items: UnsafeCell::new(0),
            omits,
        })
    }

    fn is_dead(&self, owner: u32) -> bool {
        self.dead.load(Ordering::SeqCst) == owner
    }

    fn acquire(&self, me: u32) -> Acquired {
        if word::try_acquire(&self.lock, me) {
            return Acquired::Clean;
        }
        let mut sleeper = Model { dead: &self.dead, twist: Twist::None, slept: false };
        word::acquire(&self.lock, me, &mut sleeper).unwrap()
    }

    fn release(&self, me: u32) {
        if !word::release_unwaited(&self.lock, me) {
            assert!(word::release(&self.lock, 0));
        }
    }

    /// Under the lock.
    fn items<T>(&self, look: impl FnOnce(&mut u32) -> T) -> T {
        // SAFETY: the lock is held, which is what the model checks.
        self.items.with_mut(|items| look(unsafe { &mut *items }))
    }

    fn mend(&self) {
        waiters::mend(self.nodes.iter(), &|owner| self.is_dead(owner));
    }

    fn reap(&self, me: u32) {
        self.dead.store(me, Ordering::SeqCst);
        word::bereave(&self.lock, me);
        self.lock.wake(u32::MAX);
        if self.omits != Omits::Stirring {
            self.nodes.iter().filter(|node| !node.is_free()).for_each(Node::stir);
        }
    }

    /// Under the lock: the wait of `condition.rs`.
    fn wait(&self, me: u32, twist: Twist, dies: Dies) -> End {
        self.mend();
        let node = self.nodes.iter().find(|node| node.is_free()).unwrap();
        let ticket = self.ticket.load(Ordering::Relaxed);
        self.ticket.store(ticket + 1, Ordering::Relaxed);
        node.enter(me, ticket);
        let mut sleeper = Model { dead: &self.dead, twist, slept: false };
        let (woken, acquired) = loop {
            self.release(me);
            let woken = node.wait(&mut sleeper, |_| {
                self.omits != Omits::Looking
                    && self.nodes.iter().any(|node| node.is_orphan(ticket, |owner| self.is_dead(owner)))
            });
            if dies == Dies::BeforeTheLock {
                return End::Died;
            }
            let acquired = self.acquire(me);
            if dies == Dies::WithTheLock {
                return End::Died;
            }
            if woken == Woken::Orphans {
                self.mend();
            }
            if woken != Woken::Orphans || node.is_notified() || acquired == Acquired::OwnerDead {
                break (woken, acquired);
            }
        };
        let notified = node.leave() && self.omits != Omits::LateNotification;
        match woken {
            Woken::Ended(_) if !notified && acquired == Acquired::Clean => End::TimedOut,
            _ => End::Served,
        }
    }

    /// Waits for an item and takes it.
    fn consume(&self, me: u32, twist: Twist, dies: Dies) -> End {
        self.acquire(me);
        while self.items(|items| *items == 0) {
            match self.wait(me, twist, dies) {
                End::Served => {}
                End::TimedOut => {
                    self.release(me);
                    return End::TimedOut;
                }
                End::Died => {
                    self.reap(me);
                    return End::Died;
                }
            }
        }
        self.items(|items| *items -= 1);
        self.release(me);
        End::Served
    }

    /// Under the lock.
    fn notify(&self, n: u32) {
        let is_dead = |owner| {
            let seen = |node: &Node| node.notified_owner() == Some(owner);
            self.is_dead(owner) && !(self.omits == Omits::SecondLook && self.nodes.iter().any(seen))
        };
        let bound = self.ticket.load(Ordering::Relaxed);
        match n {
            u32::MAX => waiters::notify_all(self.nodes.iter(), bound, &is_dead),
            n => waiters::notify(self.nodes.iter(), n, bound, &is_dead),
        }
    }

    fn produce(&self, me: u32, items: u32, notified: u32) {
        self.acquire(me);
        self.items(|all| *all += items);
        self.notify(notified);
        self.release(me);
    }
}

fn spawn(shop: &Arc<Shop>, f: impl FnOnce(&Shop) + 'static) -> thread::JoinHandle<()> {
    let shop = shop.clone();
    thread::spawn(move || f(&shop))
}

fn living(shop: &Shop, me: u32) {
    assert_eq!(shop.consume(me, Twist::None, Dies::Never), End::Served);
}

#[test]
fn condition_serves_both_one_by_one() {
    check(2, || {
        let shop = Shop::new(2, Omits::Nothing);
        let consumers = [2, 3].map(|me| spawn(&shop, move |shop| living(shop, me)));
        shop.produce(1, 1, 1);
        shop.produce(1, 1, 1);
        join(consumers);
        assert!(shop.nodes.iter().all(Node::is_free));
    });
}

#[test]
fn condition_serves_both_at_once() {
    check(2, || {
        let shop = Shop::new(2, Omits::Nothing);
        let consumers = [2, 3].map(|me| spawn(&shop, move |shop| living(shop, me)));
        shop.produce(1, 2, u32::MAX);
        join(consumers);
    });
}

/// The victim dies when its wait is over, before it has told anybody; one item is for the other.
fn notified_dies(dies: Dies, omits: Omits) {
    check(2, move || {
        let shop = Shop::new(2, omits);
        let victim = spawn(&shop, move |shop| {
            if shop.consume(2, Twist::None, dies) == End::Served {
                // There was one before it had to wait, so it lives and puts it back.
                shop.produce(2, 1, 1);
            }
        });
        let other = spawn(&shop, |shop| living(shop, 3));
        shop.produce(1, 1, 1);
        join([other]);
        // If the other was first, the victim is notified now.
        shop.produce(1, 1, 1);
        join([victim]);
    });
}

#[test]
fn condition_survives_a_notified_waiter() {
    notified_dies(Dies::BeforeTheLock, Omits::Nothing);
}

#[test]
fn condition_survives_a_notified_waiter_with_the_lock() {
    notified_dies(Dies::WithTheLock, Omits::Nothing);
}

#[test]
#[ignore = "a mutant: it must fail"]
fn mutant_condition_not_stirred() {
    notified_dies(Dies::BeforeTheLock, Omits::Stirring);
}

#[test]
#[ignore = "a mutant: it must fail"]
fn mutant_condition_without_a_look() {
    notified_dies(Dies::BeforeTheLock, Omits::Looking);
}

/// The victim dies while it waits, at the same time as it is notified, and the other waits behind it.
fn dies_waiting(omits: Omits) {
    check(2, move || {
        let shop = Shop::new(2, omits);
        // Both wait: the victim is a process whose threads do nothing more.
        shop.nodes[0].enter(2, 0);
        shop.ticket.store(1, Ordering::Relaxed);
        let other = spawn(&shop, |shop| living(shop, 3));
        let reaper = spawn(&shop, |shop| shop.reap(2));
        shop.produce(1, 1, 1);
        join([other, reaper]);
    });
}

#[test]
fn condition_survives_a_waiter_that_dies_as_it_is_notified() {
    dies_waiting(Omits::Nothing);
}

#[test]
#[ignore = "a mutant: it must fail"]
fn mutant_condition_without_a_second_look() {
    dies_waiting(Omits::SecondLook);
}

/// The notifier dies with the lock after it has notified.
#[test]
fn condition_survives_its_notifier() {
    check(2, || {
        let shop = Shop::new(2, Omits::Nothing);
        let consumers = [2, 3].map(|me| spawn(&shop, move |shop| living(shop, me)));
        shop.acquire(1);
        shop.items(|items| *items += 2);
        shop.notify(u32::MAX);
        shop.reap(1);
        join(consumers);
    });
}

/// The time of one is up when it is woken; the item is not lost.
fn one_times_out(omits: Omits) {
    check(2, move || {
        let shop = Shop::new(2, omits);
        let leaver = spawn(&shop, |shop| {
            if shop.consume(2, Twist::TimesOut, Dies::Never) == End::Served {
                shop.produce(2, 1, 1);
            }
        });
        let other = spawn(&shop, |shop| living(shop, 3));
        shop.produce(1, 1, 1);
        join([other]);
        // If the other was first, the leaver is woken now.
        shop.produce(1, 1, 1);
        join([leaver]);
    });
}

#[test]
fn condition_survives_a_waiter_that_leaves() {
    one_times_out(Omits::Nothing);
}

#[test]
#[ignore = "a mutant: it must fail"]
fn mutant_condition_late_notification_lost() {
    one_times_out(Omits::LateNotification);
}
