//! Trimming: memory that lies idle goes back to the kernel.
//!
//! Idle are the backed granules in no run. They are kept for reuse, because the first touch of a page costs ten times
//! as much as a copy of it; and given back
//! * as far as they are more than 64 MiB and more than a quarter of what is in use, as soon as a run ends: memory
//!   that serves as often as it lies idle is worth keeping, and below 64 MiB nobody misses it. Where memory is short,
//!   more than half of what is free besides goes back, down to 4 MiB: in a small container the program's own memory
//!   must not fail for what lies idle here;
//! * as far as they lay idle for a whole period of 5 seconds: at its end the least that was idle at any instant of it
//!   goes. Who comes by after the end of the period sees to it: who allocates or frees a large block, the reaper's
//!   round, and who has slept for a whole second.
//!
//! What goes is chunks that lie in free granules alone, the highest first, so that what stays lies together. A chunk's
//! bit in the backed bitmap is cleared *before* its memory goes: a process that is killed in between leaves a
//! chunk that is backed anew before its next use, never one that only seems to be backed. `going` names the chunks
//! meanwhile, as it does those that are coming: who inherits the heap lock gives back those of them that are not
//! marked. The lock is held for a few chunks at a time.
//!
//! Slabs are never given back. Every page of one has reference words, which must outlast their blocks for the sake of
//! stale references, and takers and freers touch its bitmap without any lock. So a burst of one size keeps its memory
//! for blocks of that size.

use super::layout::{CHUNK, GRANULE, PER_CHUNK, SECTOR};
use super::runs::Heap;
use super::Arena;
use crate::fault;
use crate::sys::clock;
use crate::sys::prim::Ordering;
use crate::sys::room;

/// Idle memory lasts at least this long, in nanoseconds, if it is not too much.
const PERIOD: u64 = 5_000_000_000;
/// So much may always lie idle.
const KEPT: u64 = 64 << 20;
/// Granules that may lie idle wherever.
const MODEST: u32 = ((4 << 20) / GRANULE) as u32;
/// Granules that must have become idle since a search that did not find enough, before the next one.
const SLACK: u32 = ((16 << 20) / GRANULE) as u32;
/// Chunks that go back while the heap lock is held once.
const PIECE: u32 = 16;

impl Arena {
    /// Backed granules in no run.
    fn idle(&self) -> u32 {
        let idle = &self.header().idle;
        let backed = idle.backed.load(Ordering::Relaxed).saturating_mul(PER_CHUNK);
        backed.saturating_sub(idle.used.load(Ordering::Relaxed))
    }

    /// Bytes that the kernel has given the arena, and how many of them serve nobody. For tests and statistics.
    pub fn backed_and_idle(&self) -> (u64, u64) {
        let idle = u64::from(self.idle()) * GRANULE;
        (u64::from(self.count_backed_chunks(0)) * CHUNK, idle)
    }

    pub(crate) fn count_used(&self, granules: u32) {
        let idle = &self.header().idle;
        idle.used.fetch_add(granules, Ordering::Relaxed);
        idle.least.fetch_min(self.idle(), Ordering::Relaxed);
    }

    pub(crate) fn count_freed(&self, granules: u32) {
        let idle = &self.header().idle;
        idle.used.fetch_sub(granules, Ordering::Relaxed);
        idle.look.store(1, Ordering::Release);
    }

    pub(crate) fn count_backed(&self, chunks: u64) {
        self.header().idle.backed.fetch_add(chunks as u32, Ordering::Relaxed);
    }

    /// A process died that held the heap lock.
    pub(crate) fn inherit_heap(&self, heap: &Heap<'_>) {
        let header = self.header();
        header.cursor.store(0, Ordering::Release);
        let going = header.idle.going.load(Ordering::Acquire);
        let (first, count) = (going >> 32, going & 0xffff_ffff);
        let end = (first + count).min(self.capacity() / CHUNK);
        let is_heap = first >= self.regions().heap / CHUNK;
        for chunk in (first..end).filter(|chunk| is_heap && !self.is_backed(chunk * CHUNK)) {
            self.punch_chunks(chunk, 1);
        }
        fault!("arena.inherit:punched");
        header.idle.going.store(0, Ordering::Release);
        let mut used = 0;
        self.each_run(heap, |_, _, granules| used += granules);
        header.idle.used.store(used, Ordering::Relaxed);
        fault!("arena.inherit:counted");
        header.idle.backed.store(self.count_backed_chunks(self.regions().heap / CHUNK), Ordering::Relaxed);
        header.idle.least.fetch_min(self.idle(), Ordering::Relaxed);
    }

    /// After a run has ended: gives back what is idle beyond the watermark, and what has been idle for long.
    #[inline]
    pub(crate) fn trim_if_asked(&self) {
        if self.header().idle.look.load(Ordering::Relaxed) != 0 && !self.lost() {
            self.trim();
        }
    }

    #[cold]
    fn trim(&self) {
        let header = &self.header().idle;
        header.look.store(0, Ordering::Relaxed);
        let used = u64::from(header.used.load(Ordering::Relaxed)) * GRANULE;
        let mut kept = (KEPT.max(used / 4) / GRANULE) as u32;
        if self.idle() > MODEST {
            kept = kept.min((room::lately() / 2 / GRANULE) as u32).max(MODEST);
        }
        // Idle memory in small pieces can't go back: no search in vain each time.
        let barren = header.barren.fetch_min(self.idle(), Ordering::Relaxed).min(self.idle());
        if self.idle() > kept.max(barren + SLACK * u32::from(barren != 0)) {
            self.trim_down_to(kept);
            header.barren.store(self.idle().saturating_sub(kept).min(1) * self.idle(), Ordering::Relaxed);
        }
        self.trim_old();
    }

    /// Gives back what has been idle for a whole period, if one has ended. Costs a look at the clock otherwise.
    pub fn trim_old(&self) {
        let header = &self.header().idle;
        let now = clock::now().max(1) as u64;
        let since = header.since.load(Ordering::Relaxed);
        let due = now.saturating_sub(since) >= PERIOD && !self.lost();
        // One process sees to it. If it dies, the next period's end is early enough.
        if !due || header.since.compare_exchange(since, now, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return;
        }
        let idle = self.idle();
        let least = header.least.swap(idle, Ordering::Relaxed);
        self.trim_down_to(idle.saturating_sub(least));
    }

    /// Gives back all that is idle. True if that was anything.
    pub fn trim_all(&self) -> bool {
        let before = self.idle();
        self.trim_down_to(0);
        self.idle() < before
    }

    /// Gives chunks back until no more than `kept` granules are idle, as far as they lie in whole free chunks.
    fn trim_down_to(&self, kept: u32) {
        for sector in (0..self.top().div_ceil(SECTOR)).rev() {
            loop {
                let surplus = self.idle().saturating_sub(kept) / PER_CHUNK;
                if surplus == 0 {
                    return;
                }
                if self.has_none(sector, PER_CHUNK) || !self.trim_sector(sector, surplus.min(PIECE)) {
                    break;
                }
            }
        }
    }

    /// Gives back the first backed chunks of a sector that lie in free granules, no more than `most`. False if there
    /// are none.
    fn trim_sector(&self, sector: u32, most: u32) -> bool {
        let _heap = self.lock_heap();
        let top = self.top();
        let end = ((sector + 1) * SECTOR).min(self.regions().granules);
        let mut index = self.entrance(sector);
        while index < end {
            let from = index;
            while index < end && (index >= top || self.run_at(index).is_none()) {
                index += 1;
            }
            if self.trim_stretch(from, index, most) {
                return true;
            }
            index += self.run_at(index).filter(|_| index < end).map_or(1, |(_, length)| length.max(1));
        }
        false
    }

    /// The same in the free granules from `from` to `to`.
    fn trim_stretch(&self, from: u32, to: u32, most: u32) -> bool {
        let (low, high) = (u64::from(from.div_ceil(PER_CHUNK)), u64::from(to / PER_CHUNK));
        let heap = self.regions().heap / CHUNK;
        let backed = |chunk: &u64| self.is_backed((heap + chunk) * CHUNK);
        let Some(first) = (low..high).find(backed) else { return false };
        let count = (first..high).take(most as usize).take_while(backed).count() as u64;
        self.give_back_chunks(heap + first, count);
        true
    }

    fn give_back_chunks(&self, first: u64, count: u64) {
        let idle = &self.header().idle;
        self.note_going(first, count);
        fault!("arena.trim:noted");
        (first..first + count).for_each(|chunk| self.clear_backed(chunk));
        fault!("arena.trim:unbacked");
        self.punch_chunks(first, count);
        fault!("arena.trim:punched");
        self.note_going(0, 0);
        fault!("arena.trim:gone");
        idle.backed.fetch_sub(count as u32, Ordering::Relaxed);
        idle.least.fetch_min(self.idle(), Ordering::Relaxed);
    }

    /// Chunks come from the kernel or go back to it: those that are not marked as backed are to go back, should this
    /// process die.
    pub(crate) fn note_going(&self, first: u64, count: u64) {
        self.header().idle.going.store(first << 32 | count, Ordering::Release);
    }

    pub(crate) fn punch_chunks(&self, first: u64, count: u64) {
        let length = (count * CHUNK).min(self.capacity() - first * CHUNK);
        // Should the kernel refuse, the memory stays until the chunks serve again.
        let _ = self.map().punch((first * CHUNK) as usize, length as usize);
    }
}
