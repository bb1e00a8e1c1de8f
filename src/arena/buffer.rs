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
    origin: Option<Origin>,
}

/// Where a buffer's message is still on record: in which structure, where in it, and as what.
#[derive(Clone, Copy, Debug)]
struct Origin {
    arena: &'static Arena,
    structure: u64,
    place: u64,
    state: u64,
}

#[derive(Debug)]
enum Home {
    /// Elements of 16 bytes, for their alignment.
    Heap(Box<[u128]>),
    /// Where the arena is full.
    Lines(Box<[Line]>),
    Arena(Block),
}

/// As long ones are aligned.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug)]
struct Line([u8; 64]);

impl Buffer {
    /// Zeroed bytes.
    pub fn new(length: usize) -> Result<Buffer> {
        if length <= SMALL {
            return Ok(Buffer::small(length));
        }
        let arena = Arena::get()?;
        let block = arena.allocate(length as u64, true)?;
        arena.zero(arena.data_offset(block.reference()), length as u64);
        Ok(Buffer { home: Home::Arena(block), length, origin: None })
    }

    fn small(length: usize) -> Buffer {
        Buffer { home: Home::Heap(vec![0; length.div_ceil(16)].into_boxed_slice()), length, origin: None }
    }

    /// A copy of a few bytes of arena memory at `offset`.
    pub fn copy_small(arena: &Arena, offset: u64, length: usize) -> Buffer {
        let mut buffer = Buffer::small(length);
        arena.copy_out(offset, buffer.bytes_mut());
        buffer
    }

    /// A copy of bytes of this arena.
    pub fn copy_in(arena: &'static Arena, offset: u64, length: usize) -> Result<Buffer> {
        if length <= SMALL {
            return Ok(Buffer::copy_small(arena, offset, length));
        }
        let block = arena.allocate(length as u64, true)?;
        let mut buffer = Buffer { home: Home::Arena(block), length, origin: None };
        arena.copy_out(offset, buffer.bytes_mut());
        Ok(buffer)
    }

    /// The same, in this process's own memory if the arena is full: for what makes room there only when it is taken.
    pub fn copy_at_any_rate(arena: &'static Arena, offset: u64, length: usize) -> Result<Buffer> {
        let full = match Buffer::copy_in(arena, offset, length) {
            Err(error) if error.status() == Status::NoMemory => error,
            made => return made,
        };
        let (mut lines, n) = (Vec::new(), length.div_ceil(size_of::<Line>()));
        lines.try_reserve_exact(n).map_err(|_| full)?;
        lines.resize(n, Line([0; 64]));
        let mut buffer = Buffer { home: Home::Lines(lines.into_boxed_slice()), length, origin: None };
        arena.copy_out(offset, buffer.bytes_mut());
        Ok(buffer)
    }

    /// A copy of these bytes.
    pub fn copy_of(bytes: &[u8]) -> Result<Buffer> {
        let mut buffer = match bytes.len() {
            0..=SMALL => Buffer::small(bytes.len()),
            length => Buffer {
                home: Home::Arena(Arena::get()?.allocate(length as u64, true)?),
                length,
                origin: None,
            },
        };
        buffer.bytes_mut().copy_from_slice(bytes);
        Ok(buffer)
    }

    /// The first `length` bytes of a block.
    pub fn around(block: Block, length: u64) -> Result<Buffer> {
        if length > block.arena().room_of(block.reference()) {
            return Err(Error::new(Status::Internal, "a message is longer than its block"));
        }
        Ok(Buffer { home: Home::Arena(block), length: length as usize, origin: None })
    }

    /// Notes where the buffer's message is still on record: the structure is named as nothing else ever is.
    pub fn set_origin(&mut self, (arena, structure): (&'static Arena, u64), place: u64, state: u64) {
        self.origin = Some(Origin { arena, structure, place, state });
    }

    /// Where the message is on record in this structure, and as what.
    pub fn origin_in(&self, (arena, structure): (&'static Arena, u64)) -> Option<(u64, u64)> {
        let is_it = |origin: &Origin| std::ptr::eq(origin.arena, arena) && origin.structure == structure;
        self.origin.filter(is_it).map(|origin| (origin.place, origin.state))
    }

    /// The block in this arena that holds the bytes, if this process alone has it: from now on a forked child does not
    /// share it.
    pub fn sole_block(&self, arena: &'static Arena) -> Option<&Block> {
        match &self.home {
            Home::Arena(block) if std::ptr::eq(block.arena(), arena) && block.make_private() => Some(block),
            _ => None,
        }
    }

    /// The block, for a caller that has handed it on.
    pub fn into_block(self) -> Option<Block> {
        match self.home {
            Home::Heap(_) | Home::Lines(_) => None,
            Home::Arena(block) => Some(block),
        }
    }

    /// Where the bytes are.
    pub fn data(&self) -> *mut u8 {
        match &self.home {
            Home::Heap(words) => words.as_ptr().cast::<u8>().cast_mut(),
            Home::Lines(lines) => lines.as_ptr().cast::<u8>().cast_mut(),
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
