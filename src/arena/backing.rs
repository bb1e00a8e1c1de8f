//! Backing: every page is asked of the kernel before it is first touched, so that a lack of memory is an error
//! of a call and never a signal. A bit for each chunk says that it was asked for; asking twice does no harm, so
//! a process may die anywhere in between.

use super::layout::CHUNK;
use super::Arena;
use crate::error::{Error, Result, Status};
use crate::sys::prim::{AtomicU64, Ordering};
use crate::sys::procfs;

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
        let (first, last) = (offset / CHUNK, (offset + length.max(1) - 1) / CHUNK);
        let mut chunk = first;
        while chunk <= last {
            if self.is_backed(chunk * CHUNK) {
                chunk += 1;
                continue;
            }
            let from = chunk;
            while chunk <= last && !self.is_backed(chunk * CHUNK) {
                chunk += 1;
            }
            let bytes = ((chunk - from) * CHUNK).min(self.capacity() - from * CHUNK);
            self.map().back((from * CHUNK) as usize, bytes as usize)?;
            for done in from..chunk {
                let (word, bit) = self.backed_word(done);
                word.fetch_or(bit, Ordering::Release);
            }
        }
        Ok(())
    }
}

/// Refuses a request that the machine's memory can't meet.
pub(crate) fn refuse_beyond_memory(length: u64) -> Result<()> {
    match procfs::mem_available() {
        Some(available) if available < length => Err(Error::new(
            Status::NoMemory,
            format!("{length} bytes were asked for, but the machine has {available} bytes available"),
        )),
        _ => Ok(()),
    }
}
