//! The storm over queues of all kinds at once: see `sync_storm.rs` for who is killed and how, and `acts/queues.rs` for what is
//! done and must be true.

use crate::acts::queues::QueueAct;
use crate::acts::Act;
use crate::queue_kinds::{kinds, Kind};
use crate::sync_storm::{seconds, storm};
use crate::Case;
use mp::channel::QueueOptions;

pub fn cases() -> Vec<Case> {
    let queues = || {
        let act = |kind: Kind| -> Box<dyn Act> { Box::new(QueueAct::new(kind)) };
        storm(
            |_| all().into_iter().map(act).collect(),
            &["queue.", "arena.", "death.", "wait.", "event.", "lock."],
        );
    };
    vec![Case::new("storm: producers, consumers, workers and reservers of all kinds of queues", queues)
        .within(seconds() + 120)]
}

/// All kinds, and a queue for one, at which everybody meets.
fn all() -> Vec<Kind> {
    let one = QueueOptions { maxsize: 1, ..Default::default() };
    kinds().into_iter().chain([Kind { name: "fifo for one", options: one }]).collect()
}
