//! The flag word of an event.

use super::{check, join, Model, Twist};
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::sync::Arc;
use loom::thread;
use mp::arena::word::Ended;
use mp::sync::flag;
use mp::sys::prim::Futex;

struct Flag {
    word: Futex,
    nobody: AtomicU32,
}

impl Flag {
    fn new() -> Arc<Flag> {
        Arc::new(Flag { word: Futex::new(0), nobody: AtomicU32::new(0) })
    }

    fn wait(&self, twist: Twist) -> Result<(), Ended> {
        flag::wait(&self.word, &mut Model { dead: &self.nobody, twist, slept: false })
    }

    fn is_set(&self) -> bool {
        flag::is_set(self.word.load(Ordering::SeqCst))
    }
}

fn spawn(flag: &Arc<Flag>, f: impl FnOnce(&Flag) + 'static) -> thread::JoinHandle<()> {
    let flag = flag.clone();
    thread::spawn(move || f(&flag))
}

#[test]
fn a_set_reaches_all() {
    check(2, || {
        let flag = Flag::new();
        let waiters = [(); 2].map(|()| spawn(&flag, |flag| flag.wait(Twist::None).unwrap()));
        assert!(flag::set(&flag.word) && !flag::set(&flag.word));
        join(waiters);
        assert!(flag.is_set());
    });
}

/// Whoever waits when it is set returns, though it is cleared at once.
fn set_and_cleared(set: impl Fn(&Futex) + Copy + Send + Sync + 'static) {
    check(2, move || {
        let flag = Flag::new();
        let waiter = spawn(&flag, |flag| flag.wait(Twist::None).unwrap());
        while !flag::is_awaited(flag.word.load(Ordering::SeqCst)) {
            thread::yield_now();
        }
        set(&flag.word);
        flag::clear(&flag.word);
        waiter.join().unwrap();
    });
}

#[test]
fn a_set_that_is_cleared_at_once_reaches_a_waiter() {
    set_and_cleared(|word| {
        flag::set(word);
    });
}

#[test]
#[ignore = "a mutant: it must fail"]
fn mutant_flag_set_without_a_sequence() {
    set_and_cleared(|word| {
        word.fetch_or(1, Ordering::SeqCst);
        word.wake(u32::MAX);
    });
}

/// The setter dies between its exchange and its wake-ups.
fn setter_dies(reaped: bool) {
    check(2, move || {
        let flag = Flag::new();
        let waiters = [(); 2].map(|()| spawn(&flag, |flag| flag.wait(Twist::None).unwrap()));
        flag::raise(&flag.word);
        if reaped {
            // Its settler stirs what it held.
            flag.word.wake(u32::MAX);
        }
        join(waiters);
    });
}

#[test]
fn waiters_survive_a_setter() {
    setter_dies(true);
}

#[test]
#[ignore = "a mutant: it must fail"]
fn mutant_flag_setter_not_reaped() {
    setter_dies(false);
}

/// A waiter that dies woken, or runs out of time, takes nothing from the other.
#[test]
fn waiters_are_independent() {
    for twist in [Twist::DiesWoken, Twist::TimesOut] {
        check(2, move || {
            let flag = Flag::new();
            let other = spawn(&flag, move |flag| {
                let _ = flag.wait(twist);
            });
            let waiter = spawn(&flag, |flag| flag.wait(Twist::None).unwrap());
            flag::set(&flag.word);
            waiter.join().unwrap();
            other.join().unwrap();
        });
    }
}

/// Who clears it and then looks for what was written before a set finds it, or the set comes after.
fn clear_and_look(set: impl Fn(&Futex) + Copy + Send + Sync + 'static) {
    check(2, move || {
        let flag = Flag::new();
        let data = Arc::new(AtomicU32::new(0));
        flag::set(&flag.word);
        let setter = {
            let (flag, data) = (flag.clone(), data.clone());
            thread::spawn(move || {
                data.store(1, Ordering::Relaxed);
                set(&flag.word);
            })
        };
        flag::clear(&flag.word);
        if data.load(Ordering::Relaxed) == 0 {
            flag.wait(Twist::None).unwrap();
            assert_eq!(data.load(Ordering::Relaxed), 1);
        }
        setter.join().unwrap();
    });
}

#[test]
fn nothing_falls_between_clear_and_set() {
    clear_and_look(|word| {
        flag::set(word);
    });
}

#[test]
#[ignore = "a mutant: it must fail"]
fn mutant_flag_set_by_a_look() {
    clear_and_look(|word| {
        if !flag::is_set(word.load(Ordering::SeqCst)) {
            flag::set(word);
        }
    });
}
