//! Tokens: names of objects that go anywhere as plain bytes, and keep them alive if asked to.
//!
//! A token says which arena, which object in which generation, and which number that object had among all: so it is
//! refused when the object has been destroyed, whatever lies in its place now. A check sum keyed by the arena tells it
//! from other bytes.

use super::held::kind as entry_kind;
use super::object::{ObjectHead, ObjectKind};
use super::refs::{BlockRef, Refs};
use super::Arena;
use crate::error::{Error, Result, Status};
use crate::fault;
use crate::sys::prim::Ordering;

/// Names an object anywhere: 32 plain bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    arena: u64,
    object: u64,
    serial: u64,
    check: u64,
}

impl Token {
    /// Its bytes.
    pub fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (to, word) in bytes.chunks_exact_mut(8).zip([self.arena, self.object, self.serial, self.check]) {
            to.copy_from_slice(&word.to_ne_bytes());
        }
        bytes
    }

    /// From bytes; not validated.
    pub fn from_bytes(bytes: &[u8; 32]) -> Token {
        let word = |i: usize| u64::from_ne_bytes(std::array::from_fn(|k| bytes[i * 8 + k]));
        Token { arena: word(0), object: word(1), serial: word(2), check: word(3) }
    }

    #[cfg(test)]
    pub(crate) fn object_bits(self) -> u64 {
        self.object
    }

    /// What it says that it names, if it is good.
    pub fn kind(&self) -> Option<ObjectKind> {
        ObjectKind::from_number((self.check & 0xff) as u32)
    }

    pub(super) fn new(arena: &Arena, object: BlockRef, serial: u64, kind: u32) -> Token {
        let token = Token { arena: arena.id(), object: object.bits(), serial, check: 0 };
        Token { check: token.sum(arena, kind), ..token }
    }

    /// A check sum keyed by the arena's second random number (the finalizer of splitmix64 on each word).
    fn sum(&self, arena: &Arena, kind: u32) -> u64 {
        let mix = |mut z: u64| {
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        };
        let words = [self.arena, self.object, self.serial];
        words
            .iter()
            .fold(u64::from(kind) << 32 ^ arena.key(), |sum, word| mix(sum ^ word).wrapping_add(0x9e37))
            & !0xff
            | u64::from(kind & 0xff)
    }
}

impl Arena {
    /// The arena of this process that a token belongs to.
    pub fn of_token(token: &Token) -> Result<&'static Arena> {
        match super::named::each_arena().find(|arena| arena.id() == token.arena) {
            Some(arena) if arena.lost() => Err(super::map::lost()),
            Some(arena) => Ok(arena),
            // A token of nobody's is refused by the family's.
            None => Arena::get(),
        }
    }

    /// The object that a token of this arena names, or why there is none.
    pub(super) fn check_token(&self, token: &Token, kind: Option<ObjectKind>) -> Result<BlockRef> {
        let object = BlockRef::from_bits(token.object);
        let Some(named) = token.kind().filter(|_| {
            token.arena == self.id() && token.check == token.sum(self, (token.check & 0xff) as u32)
        }) else {
            return Err(Error::invalid("the token is not one of this arena: it was made by an unrelated process, or its bytes were changed"));
        };
        if let Some(kind) = kind.filter(|k| *k != named) {
            return Err(Error::invalid(format!("the token names {}, not {}", named.one(), kind.one())));
        }
        let is_object = self
            .locate(object.offset())
            .is_some_and(|(_, class, _)| class >= super::layout::FIRST_OBJECT_CLASS);
        if !is_object {
            return Err(Error::invalid("the token names no object"));
        }
        let head = self.at::<ObjectHead>(object.offset());
        let refs = Refs(head.refs.load(Ordering::Acquire));
        if refs.generation() != object.generation()
            || !refs.is_held()
            || head.serial.load(Ordering::Acquire) != token.serial
        {
            return Err(stale(named));
        }
        Ok(object)
    }

    /// Keeps the object of a token alive without a handle.
    pub fn keep(&self, token: &Token) -> Result<()> {
        let object = self.check_token(token, None)?;
        let mut tables = self.tables.lock();
        let index = self.take_entry(&mut tables)?;
        let entry = self.my_entry(index);
        entry.a.store(object.bits(), Ordering::Relaxed);
        let raised = self.raise(&mut tables, object, Some((entry, entry_kind::HANDLE)));
        // This process's holder becomes the keeper's in one step with the entry's end.
        let kept = raised.is_ok() && {
            fault!("arena.keep:raised");
            let keepers = self.offset_of(&self.at::<ObjectHead>(object.offset()).keepers);
            self.change_refs(&mut tables, keepers, Some((entry, entry_kind::FREE)), Refs::raised).is_some()
        };
        drop(tables);
        self.settle_entry(entry);
        self.return_entry(index);
        match raised {
            Ok(()) if !kept => Err(Error::new(Status::NoMemory, "the token is kept as often as it can be")),
            result => result,
        }
    }

    /// Ends one [`Arena::keep`].
    pub fn unkeep(&'static self, token: &Token) -> Result<()> {
        let object = self.check_token(token, None)?;
        let mut tables = self.tables.lock();
        let index = self.take_entry(&mut tables)?;
        let entry = self.my_entry(index);
        entry.a.store(object.bits(), Ordering::Relaxed);
        // The keeper's holder becomes this process's, which is then dropped as any other.
        let keepers = self.offset_of(&self.at::<ObjectHead>(object.offset()).keepers);
        let taken =
            self.change_refs(&mut tables, keepers, Some((entry, entry_kind::HANDLE)), Refs::lowered_to_one);
        drop(tables);
        fault!("arena.unkeep:taken");
        self.settle_entry(entry);
        self.return_entry(index);
        taken.map(drop).ok_or_else(|| Error::new(Status::Overflow, "the token is not kept"))
    }
}

fn stale(kind: ObjectKind) -> Error {
    Error::new(Status::Stale, format!("the token names {} that has been destroyed", kind.one()))
}
