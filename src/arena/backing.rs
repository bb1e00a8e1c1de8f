//! Backing: every page is asked of the kernel before it is first touched, so that a lack of memory is an error
//! of a call and never a signal. A bit for each chunk says that it was asked for; asking twice does no harm, so
//! a process may die anywhere in between. The bits of the heap change under the heap lock only; there they are also
//! cleared again, see `trim.rs`.
//!
//! Before the kernel is asked, so is what limits it (`sys/room.rs`): where it has not enough to give, it would kill.

use super::layout::CHUNK;
use super::Arena;
use crate::error::{Error, Result};
use crate::fault;
use crate::sys::prim::{AtomicU64, Ordering};
use crate::sys::room;

/// Chunks that are asked of the kernel at once.
const PIECE: u64 = (64 << 20) / CHUNK;

impl Arena {
    fn backed_word(&self, chunk: u64) -> (&AtomicU64, u64) {
        (self.at(self.regions().backed + chunk / 64 * 8), 1 << (chunk % 64))
    }

    pub(crate) fn is_backed(&self, offset: u64) -> bool {
        let (word, bit) = self.backed_word(offset / CHUNK);
        word.load(Ordering::Acquire) & bit != 0
    }

    /// Backs `length` bytes at `offset`.
    pub(crate) fn back(&self, offset: u64, length: u64) -> Result<()> {
        self.back_for(offset, length, length)
    }

    /// The same for a caller that was asked for `asked` bytes, as the error says.
    pub(crate) fn back_for(&self, offset: u64, length: u64, asked: u64) -> Result<()> {
        let (first, end) = (offset / CHUNK, (offset + length.max(1) - 1) / CHUNK + 1);
        let missing = |chunk: &u64| !self.is_backed(chunk * CHUNK);
        let Some(chunk) = (first..end).find(missing) else { return Ok(()) };
        // All that is missing at once: a request that can't be met is refused before it has taken anything.
        room::ask_for((chunk..end).filter(missing).count() as u64 * CHUNK)
            .map_err(|room| room.refuse(asked))?;
        let mut next = Some(chunk);
        while let Some(chunk) = next {
            // None, if another process has just backed it: outside of the heap nobody is kept from that.
            let count = (chunk..end).take(PIECE as usize).take_while(missing).count() as u64;
            if count > 0 {
                self.back_chunks(chunk, count).map_err(|error| {
                    Error::new(error.status(), format!("{asked} bytes of memory were asked for; {error}"))
                })?;
            }
            next = (chunk + count..end).find(missing);
        }
        Ok(())
    }

    fn back_chunks(&self, first: u64, count: u64) -> Result<()> {
        let bytes = (count * CHUNK).min(self.capacity() - first * CHUNK);
        let in_heap = first >= self.regions().heap / CHUNK;
        if in_heap {
            self.note_going(first, count);
        }
        let done = self.map().back((first * CHUNK) as usize, bytes as usize);
        if let Err(error) = done {
            // What has come of it goes back.
            if in_heap {
                self.punch_chunks(first, count);
                self.note_going(0, 0);
            }
            return Err(error);
        }
        fault!("arena.back:backed");
        for chunk in first..first + count {
            let (word, bit) = self.backed_word(chunk);
            word.fetch_or(bit, Ordering::Release);
        }
        fault!("arena.back:noted");
        if in_heap {
            self.note_going(0, 0);
            self.count_backed(count);
        }
        Ok(())
    }

    /// The chunk is about to go back to the kernel.
    pub(crate) fn clear_backed(&self, chunk: u64) {
        let (word, bit) = self.backed_word(chunk);
        word.fetch_and(!bit, Ordering::Release);
    }

    /// How many chunks from `first` on are backed, counted.
    pub(crate) fn count_backed_chunks(&self, first: u64) -> u32 {
        let mut count = 0;
        for word in first / 64..self.capacity().div_ceil(CHUNK).div_ceil(64) {
            let bits = self.backed_word(word * 64).0.load(Ordering::Relaxed);
            let before = first.saturating_sub(word * 64);
            count += (bits >> before << before).count_ones();
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::memfd::SharedMap;

    #[test]
    fn many_may_back_the_same_at_once() {
        let start = std::sync::Barrier::new(4);
        for _ in 0..100 {
            let arena = Arena::around(SharedMap::create(c"mp-test", 16 << 30).unwrap()).unwrap();
            arena.initialise().unwrap();
            let (from, end) = (arena.regions().slots, arena.regions().backed);
            let back = |chunk| {
                start.wait();
                arena.back(chunk * CHUNK, 1)
            };
            let results = std::thread::scope(|scope| {
                let all = || (from / CHUNK..end / CHUNK).map(back).collect::<Vec<_>>();
                [(); 4].map(|()| scope.spawn(all)).map(|thread| thread.join().unwrap())
            });
            results.into_iter().flatten().for_each(Result::unwrap);
            assert!((from / CHUNK..end / CHUNK).all(|chunk| arena.is_backed(chunk * CHUNK)));
        }
    }
}
