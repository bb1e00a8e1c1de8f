//! The value: some bytes that processes share, with their lock.
//!
//! Up to 48 bytes lie in the object's cell, on another cache line than the lock; more of them in a block, see
//! `memory.rs`.

use super::guard::LockKind;
use super::memory::{self, LINE};
use crate::arena::layout::shared;
use crate::arena::{object, Arena, Holder, ObjectHead, ObjectKind, Token};
use crate::error::{Error, Result, Status};
use crate::fault;
use crate::sync::recursive::{RecursiveWords, Who};
use crate::sys::clock::Deadline;
use crate::sys::prim::{AtomicU32, AtomicU64, Ordering};

/// How many bytes lie in the cell.
const INLINE: u64 = 48;
/// Where the size begins in `form`.
const SIZE_SHIFT: u32 = 8;

/// A value's words in the arena: two cache lines.
#[repr(C)]
#[derive(Debug)]
struct ValueCell {
    head: ObjectHead,
    words: RecursiveWords,
    /// The size in bytes, above the kind of lock.
    form: AtomicU64,
    /// The block with the data, if it does not lie here.
    block: AtomicU64,
    data: [AtomicU64; 6],
}

shared!(ValueCell);
object!(ValueCell, head, ObjectKind::Value);

const _: () = {
    assert!(size_of::<ValueCell>() == 128 && std::mem::offset_of!(ValueCell, data) % 16 == 0);
    assert!(std::mem::offset_of!(ValueCell, form) == 64);
};

/// Bytes that processes share, with a lock or without.
#[derive(Debug)]
pub struct Value {
    cell: Holder<ValueCell>,
    lock: LockKind,
    /// Where the data begins, in the arena.
    at: u64,
    size: u64,
}

impl Value {
    /// A value of `size` bytes: `init`, which has as many, or zero.
    pub fn new(size: usize, init: Option<&[u8]>, lock: LockKind) -> Result<Value> {
        Value::new_in(Arena::get()?, size, init, lock)
    }

    /// The same in this arena.
    pub fn new_in(arena: &'static Arena, size: usize, init: Option<&[u8]>, lock: LockKind) -> Result<Value> {
        check_init(size as u64, init)?;
        let length = match size as u64 {
            0 => return Err(Error::invalid("a value of 0 bytes: it has at least one")),
            length => length,
        };
        let block = match length {
            0..=INLINE => None,
            _ => Some(memory::make(arena, length, LINE, init)?),
        };
        let cell = Holder::new(arena, |cell: &ValueCell| {
            cell.form.store(length << SIZE_SHIFT | lock as u64, Ordering::Relaxed);
            if let (None, Some(bytes)) = (&block, init) {
                arena.write(arena.offset_of(&cell.data), bytes);
            }
        })?;
        fault!("shared.value:made");
        if let Some(block) = block {
            block.become_part(&cell.body().block);
        }
        Value::of(cell)
    }

    /// The value of this name in an arena, made if there is none.
    pub fn named(
        arena: &'static Arena,
        name: &[u8],
        size: usize,
        init: Option<&[u8]>,
        lock: LockKind,
    ) -> Result<Value> {
        let same = |cell: &ValueCell| {
            let form = cell.form.load(Ordering::Relaxed);
            form >> SIZE_SHIFT == size as u64 && form & 0xff == lock as u64
        };
        let make = || Value::new_in(arena, size, init, lock).map(|value| value.cell);
        Value::of(arena.named(name, same, Some(make))?)
    }

    fn of(cell: Holder<ValueCell>) -> Result<Value> {
        let (arena, form) = (cell.arena(), cell.form.load(Ordering::Relaxed));
        let (size, lock) = (form >> SIZE_SHIFT, LockKind::stored(form as u32 & 0xff)?);
        let at = match size {
            0..=INLINE => arena.offset_of(&cell.body().data),
            _ => memory::locate(arena, &cell.body().block, size, LINE)?,
        };
        Ok(Value { cell, lock, at, size })
    }

    /// Where it is mapped in this process: aligned to 16 bytes, beyond 48 bytes to 64.
    #[inline]
    pub fn data(&self) -> *mut u8 {
        self.cell.arena().pointer(self.at)
    }

    /// The same for a type of this size, which must be the value's.
    pub fn data_as(&self, size: usize) -> Result<*mut u8> {
        self.is_of(size as u64)?;
        Ok(self.data())
    }

    /// How many bytes.
    pub fn size(&self) -> usize {
        self.size as usize
    }

    #[inline]
    fn is_of(&self, size: u64) -> Result<()> {
        if size == self.size {
            return Ok(());
        }
        Err(Error::invalid(format!("the value has {} bytes, not {size}", self.size)))
    }

    /// Copies the value out, not atomically.
    pub fn read(&self, into: &mut [u8]) -> Result<()> {
        self.is_of(into.len() as u64)?;
        self.cell.live()?.copy_out(self.at, into);
        Ok(())
    }

    /// Copies a value in, not atomically.
    pub fn write(&self, from: &[u8]) -> Result<()> {
        self.is_of(from.len() as u64)?;
        self.cell.live()?.write(self.at, from);
        Ok(())
    }

    /// A value of 4 bytes as an atomic integer.
    #[inline]
    pub fn word32(&self) -> Result<&AtomicU32> {
        self.is_of(4)?;
        Ok(self.cell.live()?.at(self.at))
    }

    /// A value of 8 bytes as an atomic integer.
    #[inline]
    pub fn word64(&self) -> Result<&AtomicU64> {
        self.is_of(8)?;
        Ok(self.cell.live()?.at(self.at))
    }

    /// Takes its lock if that needs no waiting and there is nothing to tell: no system call.
    #[inline]
    pub fn acquire_free(&self, who: Who) -> bool {
        self.lock.acquire_free(&self.cell.words, self.cell.arena(), who)
    }

    /// Waits until its lock is the caller's. `OwnerDead`: it is, but its last owner died holding it. `who` matters to
    /// a recursive lock only.
    pub fn acquire(&self, who: Who, deadline: Deadline) -> Result<Status> {
        self.lock.acquire(&self.cell.words, self.cell.live()?, who, deadline)
    }

    /// Releases its lock.
    #[inline]
    pub fn release(&self, who: Who) -> Result<()> {
        self.lock.release(&self.cell.words, self.cell.live()?, who)
    }

    /// Its token.
    pub fn token(&self) -> Token {
        self.cell.token()
    }

    /// The value that a token names.
    pub fn from_token(token: &Token) -> Result<Value> {
        Value::of(Holder::from_token(token)?)
    }
}

/// Whether what a value or an array begins with has its length.
pub(super) fn check_init(length: u64, init: Option<&[u8]>) -> Result<()> {
    match init {
        Some(bytes) if bytes.len() as u64 != length => {
            Err(Error::invalid(format!("{} bytes for a beginning of {length}", bytes.len())))
        }
        _ => Ok(()),
    }
}

/// Takes apart the value at `offset`.
pub(crate) fn destroy(arena: &Arena, offset: u64) {
    memory::give_back(arena, &arena.at::<ValueCell>(offset).block);
}
