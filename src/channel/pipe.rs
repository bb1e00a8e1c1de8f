//! The pipe: two channels of messages, one in each direction, between two ends.
//!
//! Three objects: the pipe has the channels, and each end is a connection, which users have handles and tokens of. So an
//! end's holders are counted like any object's, and each end holds the pipe by a link word (see `arena/link.rs`). The
//! sides are 0 and 1; a channel has the number of the side that receives from it.
//!
//! When the last holder of an end has gone, freed or dead, whoever took it away takes the end apart: closes the channel
//! from which it received, into which nobody shall send any more, and the one into which it sent, which can be drained,
//! wakes all who wait at either, and drops the link. It takes no turn at a channel, for a settler must wait for nobody; so
//! a message may still be put that nobody will ever get. But no message is lost that was put before the sender's end
//! went: who gets looks whether the channel is closed, and for messages after that. Killed between any two stores:
//!
//! * While a pipe is made: each object goes with the entry that names it, or with the end that is linked to it.
//! * While an end is taken apart: its entry DESTROY has that done again, from the start. Who was to be woken is on record,
//!   or looks again by itself.
//! * While the pipe is: see `arena/link.rs`. Nobody uses it any more, and its messages go as a queue's do.

use super::ring::Position;
use super::settle::{announce_after_death, destroy_words, stir_words};
use super::words::{rule, Plan, Words};
use crate::arena::layout::shared;
use crate::arena::{object, Arena, BlockRef, Holder, ObjectHead, ObjectKind};
use crate::error::Result;
use crate::fault;
use crate::sys::prim::{AtomicU32, AtomicU64, Ordering};

/// A direction has room for so many messages, and so many bytes, or for a single message of any length.
const BOUND: u32 = 1 << 20;
const MOST_BYTES: u64 = 64 << 20;

const PLAN: Plan =
    Plan { rules: rule::BOUNDED | rule::BYTES | rule::ONE_ANYWAY, bound: BOUND, most_bytes: MOST_BYTES };

/// A pipe's words in the arena.
#[repr(C)]
#[derive(Debug)]
pub(super) struct PipeCell {
    head: ObjectHead,
    /// The two connections, as block references.
    ends: [AtomicU64; 2],
    /// Whether both sides send; otherwise only side 1 does.
    duplex: AtomicU32,
    pad: AtomicU32,
    words: [Words; 2],
}

shared!(PipeCell);
object!(PipeCell, head, ObjectKind::Pipe);

const _: () = assert!(size_of::<PipeCell>() <= 640);

/// One end's words in the arena.
#[repr(C)]
#[derive(Debug)]
pub(super) struct ConnectionCell {
    head: ObjectHead,
    /// The pipe, as a block reference.
    pipe: AtomicU64,
    side: AtomicU32,
    pad: AtomicU32,
}

shared!(ConnectionCell);
object!(ConnectionCell, head, ObjectKind::Connection);

const _: () = assert!(size_of::<ConnectionCell>() <= 64);

impl ConnectionCell {
    /// Which side it is.
    pub(super) fn side(&self) -> usize {
        self.side.load(Ordering::Relaxed) as usize & 1
    }

    /// The pipe. `None` if it was not made to the end, or is gone.
    pub(super) fn pipe<'a>(&self, arena: &'a Arena) -> Option<&'a PipeCell> {
        let pipe = BlockRef::from_bits(self.pipe.load(Ordering::Acquire));
        (arena.kind_of_object(pipe) == Some(ObjectKind::Pipe)).then(|| arena.cell_at(pipe))
    }
}

impl PipeCell {
    /// The channel from which this side receives.
    pub(super) fn incoming(&self, side: usize) -> &Words {
        &self.words[side]
    }

    /// The channel into which it sends.
    pub(super) fn outgoing(&self, side: usize) -> &Words {
        &self.words[1 - side]
    }

    /// Whether this side receives, and whether it sends.
    pub(super) fn directions(&self, side: usize) -> (bool, bool) {
        let duplex = self.duplex.load(Ordering::Relaxed) != 0;
        (duplex || side == 0, duplex || side == 1)
    }

    /// The connection at the other end.
    pub(super) fn peer(&self, side: usize) -> BlockRef {
        BlockRef::from_bits(self.ends[1 - side].load(Ordering::Relaxed))
    }
}

/// A new pipe: this process's holders of its two ends.
pub(super) fn pair(arena: &'static Arena, duplex: bool) -> Result<[Holder<ConnectionCell>; 2]> {
    let pipe = Holder::new(arena, |pipe: &PipeCell| {
        pipe.duplex.store(duplex.into(), Ordering::Relaxed);
        pipe.words.iter().for_each(|words| words.begin(PLAN, Position::new(0, 0)));
    })?;
    let again = Holder::<PipeCell>::of(arena, pipe.reference())?;
    let end = |side| Holder::new(arena, |cell: &ConnectionCell| cell.side.store(side, Ordering::Relaxed));
    let ends = [end(0)?, end(1)?];
    for (word, end) in pipe.body().ends.iter().zip(&ends) {
        word.store(end.reference().bits(), Ordering::Relaxed);
    }
    fault!("pipe.new:made");
    pipe.give_to(&ends[0].body().pipe);
    fault!("pipe.new:linked");
    again.give_to(&ends[1].body().pipe);
    Ok(ends)
}

/// Takes apart the connection at `offset`, whose last holder has gone. Each step may be done twice.
pub(crate) fn end(arena: &Arena, offset: u64) {
    let cell = arena.at::<ConnectionCell>(offset);
    if let Some(pipe) = cell.pipe(arena) {
        // Last the one from which the other side receives: if that is closed, nobody needs to look any more.
        let channels = [pipe.incoming(cell.side()), pipe.outgoing(cell.side())];
        for words in channels {
            words.closed.store(1, Ordering::Release);
            fault!("pipe.end:closed");
        }
        channels.into_iter().for_each(|words| announce_after_death(arena, words));
        fault!("pipe.end:told");
    }
    arena.drop_link(&cell.pipe);
}

/// Takes apart the pipe at `offset`, whose ends are gone. Each step may be done twice.
pub(crate) fn destroy(arena: &Arena, offset: u64) {
    arena.at::<PipeCell>(offset).words.iter().for_each(|words| destroy_words(arena, words));
}

/// Who held the connection at `offset` has died.
pub(crate) fn stir(arena: &Arena, offset: u64) {
    if let Some(pipe) = arena.at::<ConnectionCell>(offset).pipe(arena) {
        pipe.words.iter().for_each(|words| stir_words(arena, words));
    }
}
