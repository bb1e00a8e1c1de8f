//! Buffers: owned bytes, in this process's memory when they are few, else in the arena, where they can be handed
//! on without a copy.

use super::block::Block;
use super::Arena;
use crate::error::{Error, Result, Status};

/// Up to this length bytes are copied rather than handed over.
pub const SMALL: usize = 1024;

/// Bytes that their owner may read and write. Aligned to 16, from 4 KiB on to 64.
#[derive(Debug)]
pub struct Buffer {
    home: Home,
    length: usize,
}

#[derive(Debug)]
enum Home {
    /// Elements of 16 bytes, for their alignment.
    Heap(Box<[u128]>),
    Arena(Block),
}

impl Buffer {
    /// Zeroed bytes.
    pub fn new(length: usize) -> Result<Buffer> {
        if length <= SMALL {
            return Ok(Buffer::small(length));
        }
        let arena = Arena::get()?;
        let block = arena.allocate(length as u64, true)?;
        arena.zero(arena.data_offset(block.reference()), length as u64);
        Ok(Buffer { home: Home::Arena(block), length })
    }

    fn small(length: usize) -> Buffer {
        Buffer { home: Home::Heap(vec![0; length.div_ceil(16)].into_boxed_slice()), length }
    }

    /// A copy of a few bytes of arena memory at `offset`.
    pub fn copy_small(arena: &Arena, offset: u64, length: usize) -> Buffer {
        let mut buffer = Buffer::small(length);
        arena.copy_out(offset, buffer.bytes_mut());
        buffer
    }

    /// A copy of these bytes.
    pub fn copy_of(bytes: &[u8]) -> Result<Buffer> {
        let mut buffer = match bytes.len() {
            0..=SMALL => Buffer::small(bytes.len()),
            length => Buffer { home: Home::Arena(Arena::get()?.allocate(length as u64, true)?), length },
        };
        buffer.bytes_mut().copy_from_slice(bytes);
        Ok(buffer)
    }

    /// The first `length` bytes of a block.
    pub fn around(block: Block, length: u64) -> Result<Buffer> {
        if length > block.arena().room_of(block.reference()) {
            return Err(Error::new(Status::Internal, "a message is longer than its block"));
        }
        Ok(Buffer { home: Home::Arena(block), length: length as usize })
    }

    /// Where the bytes are.
    pub fn data(&self) -> *mut u8 {
        match &self.home {
            Home::Heap(words) => words.as_ptr().cast::<u8>().cast_mut(),
            Home::Arena(block) => block.data(),
        }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: `data` points at `length` initialised bytes that live as long as the buffer, its owner's alone.
        unsafe { std::slice::from_raw_parts(self.data(), self.length) }
    }

    /// The bytes, to be written.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as for `bytes`; the buffer is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.data(), self.length) }
    }
}
