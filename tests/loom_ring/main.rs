//! The protocol of a queue's ring, as it is, in the model checker: every interleaving of a few puts and gets, where a
//! wake-up that is lost shows as a deadlock, and a message that is read without order as an access that nothing orders.
//! Run by `RUSTFLAGS="--cfg loom" cargo test --release --test loom_ring`.
//!
//! What is checked is `ends.rs`, `words.rs` and `ring.rs` of the library: `calls.rs` puts them together as the calls do.
//! Each model has mutants, in which one thing that the protocol needs is left out; they are ignored tests that
//! `every_mutant_is_caught` runs and sees fail, each by what its attribute says.

#![cfg(loom)]

mod calls;
mod cells;
mod house;
mod models;

#[test]
fn every_mutant_is_caught() {
    let mut expected = None;
    let mut mutants = Vec::new();
    for line in include_str!("models.rs").lines() {
        if let Some(words) =
            line.strip_prefix("#[ignore = \"a mutant, caught by: ").and_then(|l| l.strip_suffix("\"]"))
        {
            expected = Some(words);
        }
        let name = line.strip_prefix("fn mutant_").and_then(|line| line.strip_suffix("() {"));
        if let Some(name) = name {
            mutants.push((format!("models::mutant_{name}"), expected.take().expect("what catches it")));
        }
    }
    assert!(mutants.len() >= 14, "{mutants:?}");
    for (name, expected) in mutants {
        let program = std::env::current_exe().unwrap();
        let run = std::process::Command::new(program).args(["--ignored", "--exact", &name]).output().unwrap();
        let text = String::from_utf8_lossy(&run.stdout).into_owned() + &String::from_utf8_lossy(&run.stderr);
        assert!(!run.status.success() && text.contains(expected), "{name} was not caught: {text}");
    }
}
