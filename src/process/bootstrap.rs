//! What a child reads when it begins: a letter, in a block of the arena. To a child of the fork server the request says
//! where it is; a spawned child finds that in its environment, in one variable, removed at once, that names the arena too.

use super::identity::Identity;
use super::wire::{Reader, Writer};
use super::{executable, start};
use crate::arena::{Arena, Block, BlockRef, Owner};
use crate::error::{Error, Result};
use std::os::fd::RawFd;

/// The variable.
pub(super) const VARIABLE: &str = "MP_CHILD";

/// What the variable says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    /// The arena's descriptor and size.
    pub(super) arena: RawFd,
    pub(super) capacity: u64,
    /// The slot that the parent made for the child.
    pub(super) owner: Owner,
    pub(super) letter: Place,
    /// The read end of the parent's pipe, for a child that dies with it.
    pub(super) life: Option<RawFd>,
}

/// Where a letter is: the block, how much of it is written, and a sum over that: a parent that dies early takes the block
/// with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    block: BlockRef,
    length: u64,
    sum: u64,
}

impl Place {
    pub(super) fn write(&self, out: &mut Writer) {
        [self.block.bits(), self.length, self.sum].into_iter().for_each(|number| out.number(number));
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Result<Place> {
        Ok(Place { block: BlockRef::from_bits(from.number()?), length: from.number()?, sum: from.number()? })
    }
}

/// A letter that was written, to be kept until its reader has ended.
#[derive(Debug)]
pub(crate) struct Bootstrap {
    #[allow(dead_code)]
    block: Block,
    place: Place,
}

impl Bootstrap {
    pub(super) fn write(letter: &Letter) -> Result<Bootstrap> {
        let arena = Arena::get()?;
        let bytes = letter.to_bytes();
        let block = arena.allocate(bytes.len() as u64, false)?;
        arena.write(arena.data_offset(block.reference()), &bytes);
        let place = Place { block: block.reference(), length: bytes.len() as u64, sum: sum(&bytes) };
        Ok(Bootstrap { block, place })
    }

    pub(super) fn place(&self) -> Place {
        self.place
    }
}

impl Ticket {
    pub(super) fn to_text(self) -> String {
        let life = self.life.unwrap_or(-1);
        let (owner, Place { block, length, sum }) = (self.owner.bits(), self.letter);
        format!("{}:{}:{owner}:{}:{length}:{sum}:{life}", self.arena, self.capacity, block.bits())
    }

    pub(super) fn from_text(text: &str) -> Option<Ticket> {
        let mut parts = text.split(':').map(|part| part.parse::<i128>().ok());
        let mut next = || parts.next().flatten();
        let ticket = Ticket {
            arena: next()?.try_into().ok().filter(|fd| *fd > 2)?,
            capacity: next()?.try_into().ok()?,
            owner: Owner::of_word(next()?.try_into().ok()?),
            letter: Place {
                block: BlockRef::from_bits(next()?.try_into().ok()?),
                length: next()?.try_into().ok()?,
                sum: next()?.try_into().ok()?,
            },
            life: RawFd::try_from(next()?).ok().filter(|fd| *fd > 2),
        };
        next().is_none().then_some(ticket)
    }
}

/// What the block says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Letter {
    /// Who reads the payload: see `crate::wiring::run_child`.
    pub(super) kind: u32,
    /// The parent's default start method.
    pub(super) method: i32,
    /// The program that it has named for its children: see `executable.rs`.
    pub(super) executable: Vec<u8>,
    pub(super) identity: Identity,
    pub(super) payload: Vec<u8>,
    /// To a child of the fork server: under what conditions it begins.
    pub(super) conditions: Option<Vec<u8>>,
}

impl Letter {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.number(u64::from(self.kind));
        out.number(self.method as u64);
        out.bytes(self.identity.name.as_bytes());
        out.bytes(self.identity.path.as_bytes());
        out.number(self.identity.parent as u64);
        out.bytes(&self.executable);
        out.bytes(&self.payload);
        if let Some(conditions) = &self.conditions {
            out.bytes(conditions);
        }
        out.into_bytes()
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Letter> {
        let mut from = Reader::new(bytes);
        let mut letter = Letter {
            kind: from.number()? as u32,
            method: from.number()? as i32,
            identity: Identity {
                name: from.text()?.to_owned(),
                path: from.text()?.to_owned(),
                parent: from.number()? as i32,
            },
            executable: from.bytes()?.to_vec(),
            payload: from.bytes()?.to_vec(),
            conditions: None,
        };
        if !from.is_at_end() {
            letter.conditions = Some(from.bytes()?.to_vec());
        }
        Ok(letter)
    }

    /// Reads the letter at a place.
    pub(super) fn open(arena: &Arena, place: Place) -> Result<Letter> {
        let offset = arena.data_offset(place.block);
        if offset.checked_add(place.length).is_none_or(|end| end > arena.capacity()) {
            return Err(Error::internal("the parent's letter lies outside the arena"));
        }
        let bytes = arena.read(offset, place.length).to_vec();
        if sum(&bytes) != place.sum {
            return Err(Error::state("the parent ended before this child had begun"));
        }
        Letter::from_bytes(&bytes)
    }
}

/// In the manner of FNV-1a, over words.
fn sum(bytes: &[u8]) -> u64 {
    let mix = |sum: u64, word: u64| (sum ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(29);
    let words = bytes.chunks(8).map(|chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_le_bytes(word)
    });
    words.fold(0xcbf2_9ce4_8422_2325 ^ bytes.len() as u64, mix)
}

/// A letter for a child of this process.
pub(super) fn letter(kind: u32, identity: Identity, payload: &[u8]) -> Letter {
    let (method, executable) = (start::default_method(), executable::to_bytes());
    Letter { kind, method, executable, identity, payload: payload.to_vec(), conditions: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(life: Option<RawFd>) -> Ticket {
        Ticket {
            arena: 7,
            capacity: 64 << 30,
            owner: Owner::of_word(0x1234_5678),
            letter: Place { block: BlockRef::from_bits(u64::MAX - 1), length: 99, sum: u64::MAX },
            life,
        }
    }

    #[test]
    fn a_ticket_is_read_as_it_was_written() {
        for life in [None, Some(9)] {
            assert_eq!(Ticket::from_text(&ticket(life).to_text()), Some(ticket(life)));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let good = ticket(None).to_text();
        for bad in ["", "x", "1:2", &good[1..], &format!("{good}:1"), &good.replacen('7', "-7", 1)] {
            assert_eq!(Ticket::from_text(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_letter_is_read_as_it_was_written() {
        let identity = Identity { name: "Process-1:2".to_owned(), path: "1:2".to_owned(), parent: 77 };
        let letter = letter(3, identity, b"payload");
        let bytes = letter.to_bytes();
        assert_eq!(Letter::from_bytes(&bytes).unwrap(), letter);
        assert!(Letter::from_bytes(&bytes[..bytes.len() - 1]).is_err());
        assert_ne!(sum(&bytes), sum(&bytes[..bytes.len() - 1]));
    }
}
