//! How a queue is made.

use super::words::{rule, Plan, UNBOUNDED};
use crate::error::{Error, Result};

/// In which order messages leave a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum QueueKind {
    /// First in, first out.
    #[default]
    Fifo,
    /// Last in, first out.
    Lifo,
    /// Lowest priority first, equals in the order in which they were put.
    Priority,
}

/// What a put into a full queue does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Overflow {
    /// It waits.
    #[default]
    Wait,
    /// It fails at once.
    Fail,
    /// It drops the oldest message.
    DropOldest,
}

/// How a queue is made.
#[derive(Clone, Copy, Debug, Default)]
pub struct QueueOptions {
    /// The order.
    pub kind: QueueKind,
    /// The largest number of messages; 0 and less is unbounded.
    pub maxsize: i64,
    /// The largest number of bytes; 0 is unbounded.
    pub max_bytes: u64,
    /// What a put into a full queue does.
    pub overflow: Overflow,
    /// Whether messages come back whose taker died before it acknowledged them.
    pub redeliver: bool,
}

impl QueueOptions {
    /// What follows for the queue's words.
    pub(super) fn plan(&self) -> Result<Plan> {
        let largest = (1u32 << 31) - 1;
        let bound = match self.maxsize {
            ..=0 => UNBOUNDED,
            size => u32::try_from(size).ok().filter(|n| *n <= largest).ok_or_else(|| {
                Error::invalid(format!("maxsize is {size}; the largest bound of a queue is {largest}"))
            })?,
        };
        let mut rules = rule::ACCOUNTS;
        rules |= match self.kind {
            QueueKind::Fifo => 0,
            QueueKind::Lifo => rule::LIFO | rule::STORE,
            QueueKind::Priority => rule::PRIORITY | rule::STORE,
        };
        rules |= match self.overflow {
            Overflow::Wait => 0,
            Overflow::Fail => rule::FAIL,
            Overflow::DropOldest => rule::DROP,
        };
        if self.redeliver {
            rules |= rule::REDELIVER | rule::STORE;
        }
        if self.max_bytes > 0 {
            rules |= rule::BYTES;
        }
        if bound != UNBOUNDED || self.max_bytes > 0 {
            rules |= rule::BOUNDED;
        }
        Ok(Plan { rules, bound, most_bytes: self.max_bytes })
    }
}
