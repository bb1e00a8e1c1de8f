//! Links: how one object holds another.
//!
//! A word of an object names another object, of which it is a holder: a condition's its lock, a connection's its pipe.
//! [`Holder::give_to`] makes it one by one store; when the object goes, [`Arena::drop_link`] drops the holder. A word
//! that names an object is counted: where that could be in doubt, a journal is open that speaks of the word. Killed
//! between any two stores:
//!
//! * While the holder is given: before the word's store the entry LINK drops it; after it, it is the word's.
//! * While it is dropped and there are others: lowering the count and clearing the word are one operation of the journal,
//!   whose settler finishes it.
//! * While the last one is dropped: first the count says "being taken apart", and the word still names the object. Then
//!   the object is taken apart, of which each step may be done twice. Last, becoming free and clearing the word are one
//!   operation again.
//!
//! Who drops a link takes the object apart that has it, under an entry DESTROY: whoever settles that one comes here
//! again, and goes on where it finds the object. If it is being taken apart while a word names it, that word was its
//! last holder; so it is nobody else's work.

use super::held::{kind, Entry};
use super::object::{Holder, Object};
use super::refs::{BlockRef, Refs};
use super::Arena;
use crate::fault;
use crate::sys::prim::{AtomicU64, Ordering};

impl<T: Object> Holder<T> {
    /// Gives this holder to another object that this process holds, by one store into that object's `word`.
    pub fn give_to(self, word: &AtomicU64) {
        let entry = self.arena.my_entry(self.entry);
        entry.turn(kind::LINK, 0, self.arena.offset_of(word));
        fault!("arena.link:noted");
        word.store(self.object.bits(), Ordering::SeqCst);
        fault!("arena.link:stored");
        entry.become_kind(kind::FREE);
        self.arena.return_entry(self.entry);
        std::mem::forget(self);
    }
}

impl Arena {
    /// A holder that was being given to an object: it is that object's if the object's word names it.
    pub(crate) fn settle_link(&self, entry: &Entry) {
        let (object, _, word) = entry.words();
        let given = self.at::<AtomicU64>(word).load(Ordering::Acquire) == object;
        entry.become_kind(if given { kind::FREE } else { kind::HANDLE });
    }

    /// Drops the holder that an object's `word` names, and clears the word. May be done twice, and again from the start
    /// when the process that did it died.
    pub(crate) fn drop_link(&self, word: &AtomicU64) {
        let object = BlockRef::from_bits(word.load(Ordering::Acquire));
        if object.is_none() {
            return;
        }
        while self.locates(object) {
            let refs = Refs(self.at::<AtomicU64>(object.offset()).load(Ordering::Acquire));
            if refs.generation() != object.generation() || refs.is_free() {
                break;
            }
            if refs.is_destroying() {
                crate::wiring::destroy(self, object.offset());
                fault!("arena.link:apart");
                self.change_link(object, word, Refs::destroyed);
                return;
            }
            if self.change_link(object, word, Refs::lowered_to_one) {
                return;
            }
            let mut tables = self.tables.lock();
            self.change_refs(&mut tables, object.offset(), None, same(object, Refs::last_to_destroying));
            fault!("arena.link:last");
        }
        word.store(0, Ordering::Release);
    }

    fn change_link(&self, object: BlockRef, word: &AtomicU64, change: fn(Refs) -> Option<Refs>) -> bool {
        let mut tables = self.tables.lock();
        self.change_linked(&mut tables, object.offset(), word, same(object, change))
    }
}

/// This change, but of the generation only that is meant.
fn same(object: BlockRef, change: fn(Refs) -> Option<Refs>) -> impl Fn(Refs) -> Option<Refs> {
    move |now| (now.generation() == object.generation()).then(|| change(now)).flatten()
}
