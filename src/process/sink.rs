//! Where what a function returns is put in a child: few bytes beside it, many in a block of the arena that is then
//! handed over.

use super::call::ReturnSink;
use crate::arena::{Arena, Block};
use crate::error::Result;

/// The most that can be few.
const ROOM: usize = 64;

/// Bytes that a function returns.
#[derive(Debug)]
pub struct ArenaSink {
    arena: &'static Arena,
    /// Up to so many bytes need no block.
    limit: usize,
    /// Few bytes, aligned to 16.
    few: [u128; ROOM / 16],
    block: Option<Block>,
    length: usize,
}

impl ArenaSink {
    /// One that needs no block for up to `few` bytes, 64 at the most.
    pub fn new(arena: &'static Arena, few: usize) -> ArenaSink {
        ArenaSink { arena, limit: few.min(ROOM), few: [0; ROOM / 16], block: None, length: 0 }
    }

    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Few bytes as words.
    pub fn words<const N: usize>(&self) -> [u64; N] {
        std::array::from_fn(|i| (self.few[i / 2] >> (i % 2 * 64)) as u64)
    }

    /// The block with the bytes, if they are many.
    pub fn into_block(self) -> Option<Block> {
        self.block
    }

    /// A text, in place of what was returned: as much of it as there is memory for.
    pub fn store_text(&mut self, text: &str) {
        if self.store(text.as_bytes()).is_err() {
            let _ = self.store(cut(text, self.limit).as_bytes());
        }
    }
}

/// The start of a text, of at most so many bytes.
fn cut(text: &str, limit: usize) -> &str {
    let end = (0..=limit.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

impl ReturnSink for ArenaSink {
    fn reserve(&mut self, length: usize) -> Result<*mut u8> {
        self.block = None;
        self.length = 0;
        let room = if length <= self.limit {
            self.few = [0; ROOM / 16];
            self.few.as_mut_ptr().cast::<u8>()
        } else {
            let block = self.arena.allocate(length as u64, false)?;
            self.block.insert(block).data()
        };
        self.length = length;
        Ok(room)
    }

    fn store(&mut self, bytes: &[u8]) -> Result<()> {
        self.reserve(bytes.len())?;
        match &self.block {
            Some(block) => self.arena.write(self.arena.data_offset(block.reference()), bytes),
            None => {
                let mut padded = [0; ROOM];
                padded[..bytes.len()].copy_from_slice(bytes);
                for (to, from) in self.few.iter_mut().zip(padded.chunks_exact(16)) {
                    *to = u128::from_ne_bytes(std::array::from_fn(|i| from[i]));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_bytes_are_words_and_many_a_block() {
        let mut sink = ArenaSink::new(Arena::get().unwrap(), 24);
        sink.store(b"abcdefghijklmnopqrstuvwx").unwrap();
        assert_eq!(sink.words::<3>().map(u64::to_ne_bytes).concat(), b"abcdefghijklmnopqrstuvwx");
        sink.store(b"ab").unwrap();
        assert_eq!((sink.len(), sink.words::<3>()), (2, [u64::from(u16::from_ne_bytes(*b"ab")), 0, 0]));
        sink.store(&[7; 25]).unwrap();
        assert_eq!(sink.len(), 25);
        assert!(sink.into_block().is_some());
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(cut("short", 24), "short");
        assert_eq!(cut("Gr\u{fc}n", 3), "Gr");
        assert_eq!(cut("Gr\u{fc}n", 4), "Gr\u{fc}");
    }
}
