//! The array: elements of one size that processes share, with their lock.
//!
//! Its data lies in a block, see `memory.rs`; what else there is to know, in the object's cell.

use super::guard::LockKind;
use super::memory::{self, HUGE, LINE};
use super::value::check_init;
use crate::arena::layout::shared;
use crate::arena::{object, Arena, Holder, ObjectHead, ObjectKind, Token};
use crate::error::{Error, Result, Status};
use crate::fault;
use crate::sync::recursive::{RecursiveWords, Who};
use crate::sys::clock::Deadline;
use crate::sys::prim::{AtomicU32, AtomicU64, Ordering};

/// An array's words in the arena: two cache lines.
#[repr(C)]
#[derive(Debug)]
struct ArrayCell {
    head: ObjectHead,
    words: RecursiveWords,
    block: AtomicU64,
    element: AtomicU64,
    count: AtomicU64,
    lock: AtomicU32,
    /// Whether the data is aligned to huge pages.
    huge: AtomicU32,
    unused: [AtomicU64; 4],
}

shared!(ArrayCell);
object!(ArrayCell, head, ObjectKind::Array);

const _: () = {
    assert!(size_of::<ArrayCell>() == 128 && std::mem::offset_of!(ArrayCell, block) == 64);
};

/// How an array is made.
#[derive(Clone, Copy, Debug, Default)]
pub struct ArrayOptions {
    /// Its lock.
    pub lock: LockKind,
    /// Whether it is to lie on huge pages, where it is large enough and the system has some.
    pub huge_pages: bool,
}

/// Elements that processes share, with a lock or without.
#[derive(Debug)]
pub struct Array {
    cell: Holder<ArrayCell>,
    lock: LockKind,
    /// Where the data begins, in the arena.
    at: u64,
    element: u64,
    count: u64,
}

impl Array {
    /// How many bytes `count` elements of `element` bytes are.
    pub fn bytes(element: usize, count: usize) -> Result<usize> {
        if element == 0 {
            return Err(Error::invalid("an array of elements of 0 bytes: they have at least one"));
        }
        element.checked_mul(count).filter(|bytes| *bytes <= isize::MAX as usize).ok_or_else(|| {
            let text = format!("an array of {count} elements of {element} bytes is larger than all memory");
            Error::new(Status::TooLarge, text)
        })
    }

    /// An array of `count` elements of `element` bytes: `init`, which has as many bytes, or zero.
    pub fn new(element: usize, count: usize, init: Option<&[u8]>, options: &ArrayOptions) -> Result<Array> {
        Array::new_in(Arena::get()?, element, count, init, options)
    }

    /// The same in this arena.
    pub fn new_in(
        arena: &'static Arena,
        element: usize,
        count: usize,
        init: Option<&[u8]>,
        options: &ArrayOptions,
    ) -> Result<Array> {
        let bytes = Array::bytes(element, count)? as u64;
        check_init(bytes, init)?;
        let huge = options.huge_pages && bytes >= HUGE;
        let block = memory::make(arena, bytes, if huge { HUGE } else { LINE }, init)?;
        let cell = Holder::new(arena, |cell: &ArrayCell| {
            cell.lock.store(options.lock as u32, Ordering::Relaxed);
            cell.element.store(element as u64, Ordering::Relaxed);
            cell.count.store(count as u64, Ordering::Relaxed);
            cell.huge.store(u32::from(huge), Ordering::Relaxed);
        })?;
        fault!("shared.array:made");
        block.become_part(&cell.body().block);
        Array::of(cell)
    }

    /// The array of this name in an arena, made if there is none.
    pub fn named(
        arena: &'static Arena,
        name: &[u8],
        element: usize,
        count: usize,
        init: Option<&[u8]>,
        options: &ArrayOptions,
    ) -> Result<Array> {
        let same = |cell: &ArrayCell| {
            cell.element.load(Ordering::Relaxed) == element as u64
                && cell.count.load(Ordering::Relaxed) == count as u64
                && cell.lock.load(Ordering::Relaxed) == options.lock as u32
        };
        let make = || Array::new_in(arena, element, count, init, options).map(|array| array.cell);
        Array::of(arena.named(name, same, Some(make))?)
    }

    fn of(cell: Holder<ArrayCell>) -> Result<Array> {
        let (element, count) = (cell.element.load(Ordering::Relaxed), cell.count.load(Ordering::Relaxed));
        let lock = LockKind::stored(cell.lock.load(Ordering::Relaxed))?;
        let align = if cell.huge.load(Ordering::Relaxed) != 0 { HUGE } else { LINE };
        let bytes = Array::bytes(element as usize, count as usize)? as u64;
        let at = memory::locate(cell.arena(), &cell.body().block, bytes, align)?;
        Ok(Array { cell, lock, at, element, count })
    }

    /// Where it is mapped in this process: aligned to 64 bytes.
    #[inline]
    pub fn data(&self) -> *mut u8 {
        self.cell.arena().pointer(self.at)
    }

    /// The same for elements of this size, which must be the array's.
    pub fn data_as(&self, element: usize) -> Result<*mut u8> {
        self.is_of(element)?;
        Ok(self.data())
    }

    /// How many elements.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many bytes an element has.
    pub fn element_size(&self) -> usize {
        self.element as usize
    }

    fn is_of(&self, element: usize) -> Result<()> {
        if element as u64 == self.element {
            return Ok(());
        }
        Err(Error::invalid(format!("the array's elements have {} bytes, not {element}", self.element)))
    }

    /// Where an element of this size lies.
    fn place_of(&self, index: usize, element: usize) -> Result<u64> {
        self.is_of(element)?;
        if index as u64 >= self.count {
            let text = format!("there is no element {index}: the array has {} of them", self.count);
            return Err(Error::invalid(text));
        }
        Ok(self.at + index as u64 * self.element)
    }

    /// Copies an element out, not atomically.
    pub fn read(&self, index: usize, into: &mut [u8]) -> Result<()> {
        let at = self.place_of(index, into.len())?;
        self.cell.live()?.copy_out(at, into);
        Ok(())
    }

    /// Copies an element in, not atomically.
    pub fn write(&self, index: usize, from: &[u8]) -> Result<()> {
        let at = self.place_of(index, from.len())?;
        self.cell.live()?.write(at, from);
        Ok(())
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

    /// The array that a token names.
    pub fn from_token(token: &Token) -> Result<Array> {
        let array = Array::of(Holder::from_token(token)?)?;
        if array.cell.huge.load(Ordering::Relaxed) != 0 {
            array.cell.arena().prefer_huge_pages(array.at, array.element * array.count);
        }
        Ok(array)
    }
}

/// Takes apart the array at `offset`.
pub(crate) fn destroy(arena: &Arena, offset: u64) {
    memory::give_back(arena, &arena.at::<ArrayCell>(offset).block);
}
