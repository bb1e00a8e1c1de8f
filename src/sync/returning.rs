//! Waiting for permits that may come back from the dead.
//!
//! The permits themselves are counted elsewhere (`arena::permit`), by exchanges that say whose they are; here is when
//! their takers sleep and who wakes them: on an event word, as all do who wait for a change that is made elsewhere. A
//! taker killed after its wake-up is mended as there; a holder killed with a permit, by its settler, who gives the
//! permit back and announces it as the holder would have done.

use crate::arena::event;
use crate::arena::word::{Ended, Sleeper};
use crate::sys::prim::Futex;

/// A number of permits.
pub trait Permits {
    /// What a taker has when it has taken one, or why it can't.
    type Taken;
    /// Takes a permit if there is one.
    fn take(&self) -> Option<Self::Taken>;
    /// Whether there is one.
    fn is_available(&self) -> bool;
}

/// Waits until it has taken a permit.
pub fn acquire<P: Permits>(
    permits: &P,
    event: &Futex,
    sleeper: &mut impl Sleeper,
) -> Result<P::Taken, Ended> {
    event::wait(event, sleeper, || permits.take(), || permits.is_available())
}
