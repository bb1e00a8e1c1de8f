//! Sectors: how a free stretch of granules is found without looking at every granule.
//!
//! A sector is 1,024 granules (16 MiB), the arena has at most 4,096 of them. The two words of each are written under
//! the heap lock, and a process that dies between any two stores leaves them right:
//! * `entry`: if a run covers the sector's first granule and began before, it is this one. Written before the run is
//!   made. A run that was never made, or has ended, is not in the table, and then no run covers the granule: who makes
//!   another one that does writes its own first.
//! * `none`: no free stretch of so many granules or more touches the sector. It may say too much room, never too
//!   little: it is lowered after a search in vain, stays when a run is made, and is cleared (unknown) before one ends.

use super::layout::{Sector, SECTOR};
use super::Arena;
use crate::error::Result;
use crate::sys::prim::Ordering;

impl Arena {
    fn sector(&self, number: u32) -> &Sector {
        self.at(self.regions().sectors + u64::from(number) * size_of::<Sector>() as u64)
    }

    /// Backs the words of the sectors that the granules from `first` to `end` touch.
    pub(crate) fn back_sectors(&self, first: u32, end: u32) -> Result<()> {
        let size = size_of::<Sector>() as u64;
        let (from, to) = (u64::from(first / SECTOR) * size, u64::from(end.div_ceil(SECTOR)) * size);
        self.back(self.regions().sectors + from, to - from)
    }

    /// The first granule of a sector that is not inside a run which began before it.
    pub(crate) fn entrance(&self, sector: u32) -> u32 {
        let start = sector * SECTOR;
        let run = self.sector(sector).entry.load(Ordering::Relaxed);
        match (run < start).then(|| self.run_at(run)).flatten() {
            Some((_, length)) if run + length > start => run + length,
            _ => start,
        }
    }

    /// A run is about to be made.
    pub(crate) fn note_entries(&self, index: u32, length: u32) {
        for sector in index / SECTOR + 1..(index + length).div_ceil(SECTOR) {
            self.sector(sector).entry.store(index, Ordering::Relaxed);
        }
    }

    /// Whether it is known that no free stretch of `length` granules touches the sector. A hint without the lock.
    pub(crate) fn has_none(&self, sector: u32, length: u32) -> bool {
        (1..=length).contains(&self.sector(sector).none.load(Ordering::Relaxed))
    }

    /// A search has seen all free stretches that touch these sectors, and none was as long as `length`.
    fn note_none(&self, sectors: std::ops::Range<u32>, length: u32) {
        for sector in sectors.filter(|sector| !self.has_none(*sector, length)) {
            self.sector(sector).none.store(length, Ordering::Relaxed);
        }
    }

    /// A run is about to end: what was known is forgotten of every sector that its granules, and the free ones on
    /// both sides of them, may touch. Beyond the next sector these can only lie if that one may be wholly free.
    pub(crate) fn forget_limits(&self, index: u32, length: u32) {
        let (first, last) = (index / SECTOR, (index + length - 1) / SECTOR);
        let forget = |sector: u32| {
            let none = &self.sector(sector).none;
            let before = none.load(Ordering::Relaxed);
            if before != 0 {
                none.store(0, Ordering::Relaxed);
            }
            before == 0 || before > SECTOR
        };
        let _ = (first..=last).map(forget).count();
        let _ = (0..first).rev().take_while(|sector| forget(*sector)).count();
        let _ = (last + 1..self.top().div_ceil(SECTOR)).take_while(|sector| forget(*sector)).count();
    }

    /// The first granule of `length` free ones between `from`, which is not inside a run, and `top`.
    pub(crate) fn find_stretch(&self, from: u32, top: u32, length: u32) -> Option<u32> {
        let (mut index, mut free) = (from, 0);
        let mut sector = u32::MAX;
        // All stretches that touch this sector or a later one are seen whole.
        let mut seen = if from == 0 { Some(0) } else { None };
        while index < top {
            let here = index / SECTOR;
            if here != sector {
                sector = here;
                if self.has_none(here, length) {
                    self.note_none(seen.unwrap_or(here)..here, length);
                    seen = Some(here + 1);
                    free = 0;
                    index = if (here + 1) * SECTOR < top { self.entrance(here + 1) } else { top };
                    continue;
                }
            }
            match self.run_at(index) {
                Some((_, n)) => {
                    self.note_none(seen.unwrap_or(here)..here, length);
                    seen = Some(seen.map_or(here + 1, |first| first.max(here)));
                    free = 0;
                    index += n.max(1);
                }
                None => {
                    free += 1;
                    index += 1;
                    if free == length {
                        return Some(index - length);
                    }
                }
            }
        }
        None
    }

    /// Where the free granules just below `top` begin.
    pub(crate) fn tail_of(&self, top: u32) -> u32 {
        for sector in (0..top.div_ceil(SECTOR)).rev() {
            let (start, end) = (sector * SECTOR, top.min((sector + 1) * SECTOR));
            let mut index = self.entrance(sector);
            let mut tail = (index > start).then_some(index);
            while index < end {
                match self.run_at(index) {
                    Some((_, n)) => {
                        index += n.max(1);
                        tail = Some(index);
                    }
                    None => index += 1,
                }
            }
            if let Some(tail) = tail {
                return tail;
            }
        }
        0
    }
}
