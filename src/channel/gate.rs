//! The gate of a connection's handle: how many threads of this process are inside a call, and whether the handle was
//! closed.
//!
//! ```text
//! 63    32  31       30      0
//! process   closed   inside          process: an owner word
//! ```
//!
//! Who is the last to leave a closed gate is told, and drops the process's holder. The threads that were inside at a fork
//! are not in the child: so the count is that of the process whose name stands beside it, and begins anew when another one
//! comes.

use crate::sys::prim::{AtomicU64, Ordering};

const CLOSED: u64 = 1 << 31;
const INSIDE: u64 = CLOSED - 1;

#[derive(Debug, Default)]
pub(super) struct Gate(AtomicU64);

impl Gate {
    /// Comes in, as a thread of the process `me`. False if the gate is closed.
    #[inline]
    pub(super) fn enter(&self, me: u32) -> bool {
        self.change(me, |now| (now & CLOSED == 0).then_some(now + 1)).is_some()
    }

    /// Closes the gate, and comes in nevertheless. How many others are inside.
    pub(super) fn close(&self, me: u32) -> u64 {
        let now = self.change(me, |now| Some((now | CLOSED) + 1));
        now.map_or(0, |now| (now & INSIDE) - 1)
    }

    /// Leaves, as a thread that came in when it was one of `me`. True for the last one to leave a closed gate.
    #[inline]
    pub(super) fn leave(&self, me: u32) -> bool {
        let mut seen = self.0.load(Ordering::Relaxed);
        loop {
            // Counted by the parent of this process only.
            if (seen >> 32) as u32 != me {
                return false;
            }
            match self.0.compare_exchange_weak(seen, seen - 1, Ordering::SeqCst, Ordering::Relaxed) {
                Ok(_) => return (seen - 1) as u32 == CLOSED as u32,
                Err(now) => seen = now,
            }
        }
    }

    /// Whether it was closed.
    #[inline]
    pub(super) fn is_closed(&self) -> bool {
        self.0.load(Ordering::SeqCst) & CLOSED != 0
    }

    /// Changes the bit and the count of the process `me`: what they are now, `None` if `change` refused.
    #[inline]
    fn change(&self, me: u32, change: impl Fn(u64) -> Option<u64>) -> Option<u64> {
        let mut seen = self.0.load(Ordering::Relaxed);
        loop {
            let inside = if (seen >> 32) as u32 == me { seen & INSIDE } else { 0 };
            let now = change(seen & CLOSED | inside)?;
            let new = u64::from(me) << 32 | now;
            match self.0.compare_exchange_weak(seen, new, Ordering::SeqCst, Ordering::Relaxed) {
                Ok(_) => return Some(now),
                Err(now) => seen = now,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_to_leave_a_closed_gate_is_told() {
        let gate = Gate::default();
        assert!(gate.enter(7) && gate.enter(7));
        assert!(!gate.leave(7) && !gate.is_closed());
        assert_eq!(gate.close(7), 1);
        assert!(gate.is_closed() && !gate.enter(7));
        assert!(!gate.leave(7));
        assert_eq!(gate.close(7), 1);
        assert!(!gate.leave(7) && gate.leave(7));
        // And again, of a gate that is closed.
        assert_eq!(gate.close(7), 0);
        assert!(gate.leave(7));
    }

    #[test]
    fn a_child_counts_anew() {
        let gate = Gate::default();
        assert!(gate.enter(7) && gate.enter(7));
        assert!(gate.enter(9));
        // A thread that forked inside a call, from a signal handler.
        assert!(!gate.leave(7));
        assert_eq!(gate.close(9), 1);
        assert!(!gate.leave(9) && gate.leave(9));
        // One that was closed before the fork, with threads inside.
        let gate = Gate::default();
        assert!(gate.enter(7));
        assert_eq!(gate.close(7), 1);
        assert!(!gate.enter(9));
        assert_eq!(gate.close(9), 0);
        assert!(gate.leave(9));
    }
}
