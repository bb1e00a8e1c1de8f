//! A process killed at every pass of every fault point of a part of the library, and whether each point was reached.

use crate::faults::{points, try_one};
use crate::process::Words;

/// How often a process was killed at each point with one of the prefixes, counted for all cases together.
#[derive(Clone, Copy)]
pub struct Kills {
    prefixes: &'static [&'static str],
    counts: Words,
}

/// How thoroughly a trial goes through the passes of a point.
#[derive(Clone, Copy)]
pub struct Pace {
    /// Beyond so many passes some are left out, for they repeat themselves.
    pub all_of: u32,
    /// What is passed only if nobody comes first, or only by chance, is tried so often.
    pub tries: u32,
    /// A case that kills less often tests nothing.
    pub least: u32,
}

const USUAL: Pace = Pace { all_of: 12, tries: 3, least: 1 };

impl Kills {
    pub fn new(prefixes: &'static [&'static str]) -> Kills {
        Kills { prefixes, counts: Words::new() }
    }

    /// Runs `trial` with the victim killed at the first, second, third... pass of each point, until it is not reached
    /// any more. Each trial has an arena of its own.
    pub fn at_every_pass(self, trial: impl Fn(&str) -> bool) {
        self.at_passes_of(self.prefixes, USUAL, trial);
    }

    /// The same for the points with some prefixes.
    pub fn at_passes_of(self, prefixes: &[&str], pace: Pace, trial: impl Fn(&str) -> bool) {
        let counted = points(self.prefixes);
        let mut all = 0;
        for point in points(prefixes) {
            let index = counted.iter().position(|p| *p == point);
            let mut n = 1;
            while (0..pace.tries).any(|_| try_one(&format!("kill@{point}#{n}"), &trial)) {
                index.map(|index| self.counts.add(index, 1));
                all += 1;
                n += 1 + n / pace.all_of;
            }
        }
        println!("    {all} kills");
        assert!(all >= pace.least);
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
