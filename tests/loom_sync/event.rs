//! The event word.

use super::{check, join, Model, Twist};
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::sync::Arc;
use loom::thread;
use mp::arena::event;
use mp::arena::word::Ended;
use mp::sys::prim::Futex;

/// Items that are counted, and an event that says that there are more.
struct Items {
    event: Futex,
    items: AtomicU32,
    nobody: AtomicU32,
}

/// What an event's waiter leaves out.
#[derive(Clone, Copy, PartialEq)]
enum Omits {
    Nothing,
    PassingOn,
    SecondLook,
}

impl Items {
    fn new() -> Arc<Items> {
        Arc::new(Items { event: Futex::new(0), items: AtomicU32::new(0), nobody: AtomicU32::new(0) })
    }

    fn put(&self) {
        self.items.fetch_add(1, Ordering::Release);
        event::notify(&self.event, 1);
    }

    fn take(&self) -> Option<()> {
        let one_less = |n: u32| n.checked_sub(1);
        self.items.fetch_update(Ordering::AcqRel, Ordering::Relaxed, one_less).ok().map(drop)
    }

    fn get(&self, twist: Twist, omits: Omits) -> Result<(), Ended> {
        let mut looks = 0;
        let ready = || {
            looks += 1;
            if omits == Omits::SecondLook && looks % 2 == 0 {
                None
            } else {
                self.take()
            }
        };
        let mut sleeper = Model { dead: &self.nobody, twist, slept: false };
        let result = event::await_change(&self.event, &mut sleeper, ready);
        if omits != Omits::PassingOn && (result.is_ok() || twist != Twist::DiesWoken) {
            event::pass_on(&self.event, &sleeper, || self.items.load(Ordering::SeqCst) > 0);
        }
        result
    }
}

fn two_getters(omits: Omits) {
    check(2, move || {
        let items = Items::new();
        let getters = [(); 2].map(|()| {
            let items = items.clone();
            thread::spawn(move || items.get(Twist::None, omits).unwrap())
        });
        items.put();
        items.put();
        join(getters);
        assert_eq!(items.items.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn events_reach_both_getters() {
    two_getters(Omits::Nothing);
}

#[test]
#[ignore = "a mutant: it must fail"]
fn mutant_event_not_passed_on() {
    two_getters(Omits::PassingOn);
}

#[test]
#[ignore = "a mutant: it must fail"]
fn mutant_event_without_second_look() {
    two_getters(Omits::SecondLook);
}

/// The victim waits for more than ever comes and dies of its first wake-up; the item is the other's.
fn event_getter_dies(reaped: bool) {
    check(2, move || {
        let items = Items::new();
        let victim = {
            let items = items.clone();
            thread::spawn(move || {
                let mut sleeper = Model { dead: &items.nobody, twist: Twist::DiesWoken, slept: false };
                let many = || (items.items.load(Ordering::SeqCst) > 9).then_some(());
                if event::await_change(&items.event, &mut sleeper, many).is_err() && reaped {
                    items.event.wake(u32::MAX);
                }
            })
        };
        let other = {
            let items = items.clone();
            thread::spawn(move || items.get(Twist::None, Omits::Nothing).unwrap())
        };
        items.put();
        other.join().unwrap();
        items.items.store(10, Ordering::SeqCst);
        event::notify(&items.event, u32::MAX);
        victim.join().unwrap();
    });
}

#[test]
fn events_survive_a_woken_getter() {
    event_getter_dies(true);
}

#[test]
#[ignore = "a mutant: it must fail"]
fn mutant_event_getter_not_reaped() {
    event_getter_dies(false);
}
