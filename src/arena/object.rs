//! Objects: what handles hold and tokens (`token.rs`) name.
//!
//! An object is a cell of an object slab: reference word, place, serial number, kind, then its own words. Cells
//! never become anything else, so a token that names a destroyed object reads a reference word of a later
//! generation, and is refused.

use super::block::{EntryIndex, Place};
use super::held::{kind as entry_kind, Entry};
use super::layout::{shared, Shared};
use super::refs::{BlockRef, Refs};
use super::slab::object_class;
use super::token::Token;
use super::Arena;
use crate::error::{Error, Result, Status};
use crate::fault;
use crate::sys::prim::{AtomicU32, AtomicU64, Ordering};

macro_rules! object_kinds {
    ($($variant:ident = $number:literal, $name:literal;)*) => {
        /// What an object is. The numbers stand in the arena and never change.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u32)]
        pub enum ObjectKind {
            $(#[doc = concat!("A ", $name, ".")] $variant = $number,)*
        }

        impl ObjectKind {
            /// The name for messages.
            pub fn name(self) -> &'static str {
                match self {
                    $(ObjectKind::$variant => $name,)*
                }
            }

            /// The kind with this number.
            pub fn from_number(number: u32) -> Option<ObjectKind> {
                match number {
                    $($number => Some(ObjectKind::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

object_kinds! {
    Lock = 1, "lock";
    Semaphore = 2, "semaphore";
    Queue = 3, "queue";
    Pool = 4, "pool";
    RLock = 5, "rlock";
    Condition = 6, "condition";
    Event = 7, "event";
    Barrier = 8, "barrier";
    Value = 9, "value";
    Array = 10, "array";
    SharedMemory = 11, "shared memory";
    RobustSemaphore = 12, "robust semaphore";
    Pipe = 13, "pipe";
    Connection = 14, "connection";
}

impl ObjectKind {
    /// Its name with an article.
    pub(super) fn one(self) -> String {
        match self {
            ObjectKind::SharedMemory => self.name().to_owned(),
            ObjectKind::Array | ObjectKind::Event | ObjectKind::RLock => format!("an {}", self.name()),
            _ => format!("a {}", self.name()),
        }
    }
}

/// The head of every object.
#[repr(C)]
#[derive(Debug)]
pub struct ObjectHead {
    pub(super) refs: AtomicU64,
    place: AtomicU64,
    pub(super) serial: AtomicU64,
    kind: AtomicU32,
    pad: AtomicU32,
    /// How many holders belong to kept tokens, as a reference word (so that a change is detectable) with one more
    /// than there are: it never becomes free.
    pub(super) keepers: AtomicU64,
}

shared!(ObjectHead);

/// The words of a kind of object: a struct that begins with an [`ObjectHead`].
///
/// # Safety
/// `repr(C)`, its first field is an `ObjectHead`, and it is [`Shared`].
pub unsafe trait Object: Shared + 'static {
    /// Which kind.
    const KIND: ObjectKind;
}

/// Makes a struct of a floor above an object: its first field, of which the name is given, is the head.
macro_rules! object {
    ($cell:ty, $head:ident, $kind:expr) => {
        const _: () = {
            assert!(std::mem::offset_of!($cell, $head) == 0);
            // The head is one.
            let _: fn(&$cell) -> &$crate::arena::ObjectHead = |cell| &cell.$head;
        };
        // SAFETY: the head is first, as the lines above made sure; `shared!` stands for the rest.
        unsafe impl $crate::arena::Object for $cell {
            const KIND: $crate::arena::ObjectKind = $kind;
        }
    };
}
pub(crate) use object;

/// This process's holder of an object. Dropping it drops the holder; the object goes with its last one.
#[derive(Debug)]
pub struct Holder<T: Object> {
    pub(super) arena: &'static Arena,
    pub(super) object: BlockRef,
    pub(super) entry: EntryIndex,
    /// The object itself: a cell is never unmapped, and stays this object while the holder exists.
    body: &'static T,
}

/// The shortest way to an object: its words, and the word that says who this process is. For calls that take some
/// nanoseconds; good for as long as the holder it came from.
#[derive(Debug)]
pub struct Near<T: 'static> {
    body: &'static T,
    me: &'static AtomicU32,
}

impl<T> Near<T> {
    /// This process's owner bits; 0 if it has no part in the arena.
    #[inline(always)]
    pub fn me(&self) -> u32 {
        self.me.load(Ordering::Relaxed)
    }

    /// The words.
    #[inline(always)]
    pub fn body(&self) -> &'static T {
        self.body
    }

    /// The same, without saying what the words are.
    pub fn erased(self) -> Near<()> {
        // SAFETY: every address is one of a ().
        Near { body: unsafe { &*std::ptr::from_ref(self.body).cast() }, me: self.me }
    }

    /// As two pointers.
    pub fn into_raw(self) -> (*const T, *const AtomicU32) {
        (self.body, self.me)
    }

    /// From such pointers.
    ///
    /// # Safety
    /// They came from [`Near::into_raw`] of a way to a T, perhaps by [`Near::erased`].
    #[inline(always)]
    pub unsafe fn from_raw(body: *const (), me: *const AtomicU32) -> Near<T> {
        // SAFETY: by the contract.
        unsafe { Near { body: &*body.cast(), me: &*me } }
    }
}

impl<T: Object> std::ops::Deref for Holder<T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        self.body
    }
}

impl<T: Object> Drop for Holder<T> {
    fn drop(&mut self) {
        if self.arena.lost() {
            return;
        }
        self.arena.drop_holder(self.arena.my_entry(self.entry));
        self.arena.return_entry(self.entry);
    }
}

impl<T: Object> Holder<T> {
    /// A new object. Its own words are zero when `init` gets it.
    pub fn new(arena: &'static Arena, init: impl FnOnce(&T)) -> Result<Holder<T>> {
        let class =
            object_class(size_of::<T>()).ok_or_else(|| Error::internal("an object too large for a cell"))?;
        arena.settle_pending();
        let (object, index) = arena.or_after_sweep(|| arena.new_cell(class))?;
        let entry = arena.my_entry(index);
        let head = arena.at::<ObjectHead>(object.offset());
        arena.zero(
            object.offset() + size_of::<ObjectHead>() as u64,
            size_of::<T>() as u64 - size_of::<ObjectHead>() as u64,
        );
        head.serial.store(arena.header().serial.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        head.keepers.store(Refs::free(0).one_holder().0, Ordering::Relaxed);
        head.kind.store(T::KIND as u32, Ordering::Relaxed);
        let body = arena.at::<T>(object.offset());
        init(body);
        fault!("arena.object:initialised");
        entry.become_kind(entry_kind::HANDLE);
        Ok(Holder { arena, object, entry: index, body })
    }

    /// The arena.
    #[inline]
    pub fn arena(&self) -> &'static Arena {
        self.arena
    }

    /// The object as the arena names it.
    pub fn reference(&self) -> BlockRef {
        self.object
    }

    /// The object itself, for as long as this holder lives.
    pub fn body(&self) -> &'static T {
        self.body
    }

    /// The shortest way to the object.
    pub fn near(&self) -> Near<T> {
        Near { body: self.body, me: self.arena.my_word() }
    }

    /// A way by which no quick call goes: it finds that this process has no part in the arena, and takes the long one.
    pub fn barred(&self) -> Near<T> {
        static NOBODY: AtomicU32 = AtomicU32::new(0);
        Near { body: self.body, me: &NOBODY }
    }

    /// Its token.
    pub fn token(&self) -> Token {
        let serial = self.arena.at::<ObjectHead>(self.object.offset()).serial.load(Ordering::Relaxed);
        Token::new(self.arena, self.object, serial, T::KIND as u32)
    }

    /// The entry that is this holder.
    pub(crate) fn entry(&self) -> EntryIndex {
        self.entry
    }

    /// The arena, if this process still has a part in it.
    #[inline]
    pub fn live(&self) -> Result<&'static Arena> {
        if self.arena.lost() {
            return Err(super::map::lost());
        }
        Ok(self.arena)
    }

    /// A holder of the object that a token names.
    pub fn from_token(token: &Token) -> Result<Holder<T>> {
        let arena = Arena::of_token(token)?;
        let object = arena.check_token(token, Some(T::KIND))?;
        Holder::of(arena, object)
    }

    /// One more holder of an object of this kind that something else holds meanwhile.
    pub fn of(arena: &'static Arena, object: BlockRef) -> Result<Holder<T>> {
        let entry = arena.share_holder(object)?;
        Ok(Holder { arena, object, entry, body: arena.at::<T>(object.offset()) })
    }
}

impl Arena {
    /// A cell for a new object, and the entry that names it.
    fn new_cell(&self, class: usize) -> Result<(BlockRef, EntryIndex)> {
        let mut tables = self.tables.lock();
        let index = self.take_entry(&mut tables)?;
        match self.take_block(&mut tables, class, Place::Entry(self.my_entry(index), entry_kind::NEWBORN)) {
            Ok(object) => Ok((object, index)),
            Err(error) => {
                tables.free.push(index.0);
                Err(error)
            }
        }
    }

    /// One more holder of an object that has one, as an entry HANDLE of this process.
    pub(super) fn share_holder(&self, object: BlockRef) -> Result<EntryIndex> {
        let mut tables = self.tables.lock();
        let index = self.take_entry(&mut tables)?;
        let entry = self.my_entry(index);
        entry.a.store(object.bits(), Ordering::Relaxed);
        match self.raise(&mut tables, object, Some((entry, entry_kind::HANDLE))) {
            Ok(()) => Ok(index),
            Err(error) => {
                tables.free.push(index.0);
                Err(error)
            }
        }
    }

    pub(super) fn raise(
        &self,
        tables: &mut super::Tables,
        object: BlockRef,
        entry: Option<(&Entry, u32)>,
    ) -> Result<()> {
        let same = |now: Refs| (now.generation() == object.generation()).then(|| now.raised()).flatten();
        match self.change_refs(tables, object.offset(), entry, same) {
            Some(_) => Ok(()),
            None if Refs(self.at::<AtomicU64>(object.offset()).load(Ordering::Acquire)).is_held() => {
                Err(Error::new(Status::NoMemory, "the object has as many handles as it can have"))
            }
            None => Err(Error::new(Status::Stale, "the object was destroyed")),
        }
    }

    /// The kind of the object that a reference names, if there is one.
    pub fn kind_of_object(&self, object: BlockRef) -> Option<ObjectKind> {
        (!object.is_none() && self.locates(object)).then(|| self.kind_of(object.offset())).flatten()
    }

    /// The words of an object that a held entry names.
    pub fn cell_at<T: Object>(&self, object: BlockRef) -> &T {
        self.at(object.offset())
    }

    /// The kind of an object that somebody holds.
    pub fn object_kind(&self, object: BlockRef) -> Option<ObjectKind> {
        self.kind_of(object.offset())
    }

    /// The kind of the object at this offset.
    pub(crate) fn kind_of(&self, offset: u64) -> Option<ObjectKind> {
        ObjectKind::from_number(self.at::<ObjectHead>(offset).kind.load(Ordering::Relaxed))
    }
}
