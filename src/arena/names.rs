//! The directory of a named arena: objects by name.
//!
//! Records are blocks of one size in a list that only grows at its head; a record whose object is none is free for any
//! name. One lock guards it all. Killed between any two stores:
//!
//! * A new record becomes part of the list by one store (`OBJECT_PART`), with no object in it.
//! * Naming an object is the store of its reference into a record. The directory's holder of the object is raised
//!   before as this process's own, and the entry `NAME` says whose it is: the directory's if the record names the object,
//!   else the dead process's, which is dropped. Removing a name is the same the other way round.
//! * A name is written into a record only while that has no object.
//!
//! Who inherits the lock first waits until the dead are settled, so that such an entry is judged by what its process
//! left.

use super::held::{kind, Entry};
use super::layout::shared;
use super::object::{Holder, Object, ObjectKind};
use super::refs::BlockRef;
use super::wait;
use super::word::Acquired;
use super::Arena;
use crate::error::{Error, Result, Status};
use crate::fault;
use crate::sys::clock::Deadline;
use crate::sys::prim::{AtomicU32, AtomicU64, Ordering};

/// The longest name.
const LONGEST_NAME: usize = 255;

/// A name and its object.
#[repr(C)]
struct Record {
    /// The next record of the list, as a block reference.
    next: AtomicU64,
    /// The object, as a reference; 0 while the record is free.
    object: AtomicU64,
    length: AtomicU32,
    pad: AtomicU32,
    name: [AtomicU32; (LONGEST_NAME + 1) / 4],
}

shared!(Record);

/// Holds the directory's lock.
struct Directory(&'static Arena);

impl Drop for Directory {
    fn drop(&mut self) {
        wait::release(self.0, &self.0.header().names_lock);
    }
}

impl Record {
    fn is_named(&self, name: &[u8]) -> bool {
        self.length.load(Ordering::Relaxed) as usize == name.len()
            && words(name).zip(&self.name).all(|(word, stored)| stored.load(Ordering::Relaxed) == word)
    }

    fn set_name(&self, name: &[u8]) {
        self.length.store(name.len() as u32, Ordering::Relaxed);
        words(name).zip(&self.name).for_each(|(word, stored)| stored.store(word, Ordering::Relaxed));
    }

    fn object(&self) -> Option<BlockRef> {
        Some(BlockRef::from_bits(self.object.load(Ordering::Acquire))).filter(|object| !object.is_none())
    }
}

/// A name in words of four bytes, the last one filled up with zeros.
fn words(name: &[u8]) -> impl Iterator<Item = u32> + '_ {
    name.chunks(4).map(|chunk| {
        let mut bytes = [0; 4];
        bytes[..chunk.len()].copy_from_slice(chunk);
        u32::from_ne_bytes(bytes)
    })
}

fn check_name(name: &[u8]) -> Result<()> {
    if (1..=LONGEST_NAME).contains(&name.len()) {
        return Ok(());
    }
    let text = format!("a name of {} bytes; it must have 1 to {LONGEST_NAME}", name.len());
    Err(Error::invalid(text))
}

fn shown(name: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(name)
}

impl Directory {
    fn lock(arena: &'static Arena) -> Result<Directory> {
        if arena.lost() {
            return Err(super::map::lost());
        }
        let header = arena.header();
        let taken = wait::acquire_internal(arena, &header.names_lock, &header.names_watch, Deadline::Never);
        let directory = Directory(arena);
        if taken == Ok(Acquired::OwnerDead) {
            arena.await_all_settled();
        }
        Ok(directory)
    }

    /// As many as the arena has room for: a damaged list may lead round and round.
    fn records(&self) -> impl Iterator<Item = &'static Record> + '_ {
        let arena = self.0;
        let mut next = arena.header().names.load(Ordering::Acquire);
        let most = arena.capacity() as usize / size_of::<Record>();
        let records = std::iter::from_fn(move || {
            let block = BlockRef::from_bits(next);
            if block.is_none() {
                return None;
            }
            let record: &'static Record = arena.at(arena.data_offset(block));
            next = record.next.load(Ordering::Relaxed);
            Some(record)
        });
        records.take(most)
    }

    fn find(&self, name: &[u8]) -> Option<(&'static Record, BlockRef)> {
        self.records().find_map(|record| Some((record, record.object()?)).filter(|_| record.is_named(name)))
    }

    /// A record without an object.
    fn free_record(&self) -> Result<&'static Record> {
        if let Some(record) = self.records().find(|record| record.object().is_none()) {
            return Ok(record);
        }
        let arena = self.0;
        let block = arena.allocate(size_of::<Record>() as u64, false)?;
        let offset = arena.data_offset(block.reference());
        arena.zero(offset, size_of::<Record>() as u64);
        let record: &'static Record = arena.at(offset);
        let names = &arena.header().names;
        record.next.store(names.load(Ordering::Relaxed), Ordering::Relaxed);
        block.become_part(names);
        Ok(record)
    }

    /// Gives the object a name, and with it a holder that belongs to the directory.
    fn enter(&self, name: &[u8], object: BlockRef) -> Result<()> {
        let arena = self.0;
        let record = self.free_record()?;
        record.set_name(name);
        fault!("arena.name:written");
        let index = arena.share_holder(object)?;
        let entry = arena.my_entry(index);
        entry.turn(kind::NAME, 0, arena.offset_of(&record.object));
        fault!("arena.name:noted");
        record.object.store(object.bits(), Ordering::Release);
        fault!("arena.name:entered");
        entry.become_kind(kind::FREE);
        arena.return_entry(index);
        Ok(())
    }

    /// Takes the name away, and the directory's holder with it.
    fn remove(&self, record: &'static Record, object: BlockRef) -> Result<()> {
        let arena = self.0;
        let index = arena.new_entry(object)?;
        let entry = arena.my_entry(index);
        entry.turn(kind::NAME, 0, arena.offset_of(&record.object));
        fault!("arena.unname:noted");
        record.object.store(0, Ordering::Release);
        fault!("arena.unname:removed");
        entry.become_kind(kind::HANDLE);
        arena.settle_entry(entry);
        arena.return_entry(index);
        Ok(())
    }
}

impl Arena {
    /// The object of this name. If there is none: the one that `make` makes, which then has the name; without `make`
    /// that is `NotFound`. An object of another kind, or one of which `same` says that it is not what was asked for, is
    /// `Exists`.
    pub fn named<T: Object>(
        &'static self,
        name: &[u8],
        same: impl FnOnce(&T) -> bool,
        make: Option<impl FnOnce() -> Result<Holder<T>>>,
    ) -> Result<Holder<T>> {
        check_name(name)?;
        let directory = Directory::lock(self)?;
        let Some((_, object)) = directory.find(name) else {
            let Some(make) = make else { return Err(not_found(name)) };
            let holder = make()?;
            directory.enter(name, holder.reference())?;
            return Ok(holder);
        };
        let exists = |what: &str| {
            let text = format!("{:?} is the name of {what}", shown(name));
            Err(Error::new(Status::Exists, text))
        };
        let found = self.kind_of_object(object);
        if found != Some(T::KIND) {
            let what = found.map_or_else(|| "a thing unknown to this library".to_owned(), ObjectKind::one);
            return exists(&format!("{what}, not of {}", T::KIND.one()));
        }
        let holder = Holder::<T>::of(self, object)?;
        if !same(holder.body()) {
            return exists(&format!("{} that was made with other options", T::KIND.one()));
        }
        Ok(holder)
    }

    /// Takes a name away; the object goes with its last handle.
    pub fn remove_name(&'static self, name: &[u8]) -> Result<()> {
        check_name(name)?;
        let directory = Directory::lock(self)?;
        let (record, object) = directory.find(name).ok_or_else(|| not_found(name))?;
        directory.remove(record, object)
    }

    /// A name that was being given or taken away: the holder is the directory's if the record names the object.
    pub(crate) fn settle_name(&self, entry: &Entry) {
        let (object, _, word) = entry.words();
        let named = self.at::<AtomicU64>(word).load(Ordering::Acquire) == object;
        entry.become_kind(if named { kind::FREE } else { kind::HANDLE });
    }
}

fn not_found(name: &[u8]) -> Error {
    Error::new(Status::NotFound, format!("the arena has nothing of the name {:?}", shown(name)))
}
