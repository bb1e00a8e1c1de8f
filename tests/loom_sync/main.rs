//! The waiting algorithms, as they are, in the model checker: every interleaving of a few threads, where a wake-up that
//! is lost shows as a deadlock. Run by
//! `RUSTFLAGS="--cfg loom" cargo test --release --test loom_sync`.
//!
//! Death is a thread that returns where it would have been killed, with what its reaper does: it declares the owner
//! dead, and wakes all who sleep on the dead one's words. Each model has mutants, in which one thing that the
//! algorithm needs is left out; they are ignored tests that `every_mutant_is_caught` runs and sees fail.

#![cfg(loom)]

mod condition;
mod doorbell;
mod event;
mod flag;
mod local;
mod lock;
mod permits;
mod returning;
mod rlock;
mod rounds;
mod watchman;

use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;
use mp::arena::word::{Ended, Sleeper};
use mp::sys::prim::Futex;

/// What goes wrong in a mutant, or in the story told.
#[derive(Clone, Copy, PartialEq)]
enum Twist {
    None,
    /// The sleeper dies when it is woken, before it takes.
    DiesWoken,
    /// The sleeper's time is up when it is woken.
    TimesOut,
    /// Mutant: who has slept does not know it, so keeps no bit and passes nothing on.
    ForgetsSleep,
}

struct Model<'a> {
    dead: &'a AtomicU32,
    twist: Twist,
    slept: bool,
}

impl Sleeper for Model<'_> {
    fn is_dead(&self, owner: u32) -> bool {
        self.dead.load(Ordering::Acquire) == owner
    }

    fn spin(&mut self) -> bool {
        false
    }

    fn sleep(&mut self, word: &Futex, seen: u32) -> Option<Ended> {
        word.model_wait(seen);
        self.slept = true;
        match self.twist {
            Twist::DiesWoken | Twist::TimesOut => Some(Ended::TimedOut),
            _ => None,
        }
    }

    fn slept(&self) -> bool {
        // The dead do nothing more.
        self.slept && !matches!(self.twist, Twist::ForgetsSleep | Twist::DiesWoken)
    }
}

fn check(preemptions: usize, f: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    model.check(f);
}

fn join(threads: impl IntoIterator<Item = thread::JoinHandle<()>>) {
    threads.into_iter().for_each(|t| t.join().unwrap());
}

#[test]
fn every_mutant_is_caught() {
    let sources = [
        ("condition", include_str!("condition.rs")),
        ("doorbell", include_str!("doorbell.rs")),
        ("event", include_str!("event.rs")),
        ("flag", include_str!("flag.rs")),
        ("local", include_str!("local.rs")),
        ("lock", include_str!("lock.rs")),
        ("permits", include_str!("permits.rs")),
        ("rlock", include_str!("rlock.rs")),
        ("rounds", include_str!("rounds.rs")),
        ("watchman", include_str!("watchman.rs")),
        ("returning", include_str!("returning.rs")),
    ];
    let mutants = |(module, source): (&'static str, &'static str)| {
        let names = source.lines().filter_map(|line| line.strip_prefix("fn mutant_")?.strip_suffix("() {"));
        names.map(move |name| format!("{module}::mutant_{name}"))
    };
    let names: Vec<String> = sources.into_iter().flat_map(mutants).collect();
    assert!(names.len() >= 41, "{names:?}");
    for name in names {
        let program = std::env::current_exe().unwrap();
        let run = std::process::Command::new(program).args(["--ignored", "--exact", &name]).output().unwrap();
        let text = String::from_utf8_lossy(&run.stdout).into_owned() + &String::from_utf8_lossy(&run.stderr);
        assert!(!run.status.success() && text.contains("deadlock"), "{name} was not caught: {text}");
    }
}
