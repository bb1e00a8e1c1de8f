//! A process killed at every pass of every fault point of a part of the library, and whether each point was reached.

use crate::faults::{points, try_one};
use crate::process::Words;

/// How often a process was killed at each point with one of the prefixes, counted for all cases together.
#[derive(Clone, Copy)]
pub struct Kills {
    prefixes: &'static [&'static str],
    counts: Words,
}

impl Kills {
    pub fn new(prefixes: &'static [&'static str]) -> Kills {
        Kills { prefixes, counts: Words::new() }
    }

    /// Runs `trial` with the victim killed at the first, second, third... pass of each point, until it is not reached
    /// any more. Each trial has an arena of its own.
    pub fn at_every_pass(self, trial: fn(&str) -> bool) {
        let mut all = 0;
        for (index, point) in points(self.prefixes).into_iter().enumerate() {
            let mut n = 1;
            // Some are passed only if nobody comes first, so an unreached one is tried again.
            while (0..3).any(|_| try_one(&format!("kill@{point}#{n}"), trial)) {
                self.counts.add(index, 1);
                all += 1;
                // Beyond some dozens the passes repeat themselves.
                n += 1 + n / 12;
            }
        }
        println!("    {all} kills");
        assert!(all > 0);
    }

    /// Fails if a point with this prefix was never killed at.
    pub fn all_points_reached(self, prefix: &str) {
        let all: Vec<(String, u32)> = (points(self.prefixes).into_iter().enumerate())
            .map(|(index, point)| (point, self.counts.get(index)))
            .filter(|(point, _)| point.starts_with(prefix))
            .collect();
        println!("    {} points, {} kills", all.len(), all.iter().map(|(_, kills)| kills).sum::<u32>());
        let missed: Vec<&String> = all.iter().filter(|(_, n)| *n == 0).map(|(point, _)| point).collect();
        assert!(!all.is_empty() && missed.is_empty(), "no case reaches {missed:?}");
    }
}
