//! How a child ended, as the reaper tells it.

use crate::arena::Obituary;
use crate::error::Error;
use crate::sys::pidfd::Usage;

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// By itself.
    Code(i32),
    /// Killed by this signal.
    Signal(i32),
    /// The host has reaped it, and it left no record.
    Unknown,
}

/// The number that stands for [`Exit::Unknown`]: neither an exit code nor a signal.
pub const UNKNOWN: i32 = i32::MIN;
/// The same in an obituary, which has less room.
pub const UNKNOWN_CODE: i32 = 256;

impl Exit {
    /// The exit code, or minus the signal.
    pub fn number(self) -> i32 {
        match self {
            Exit::Code(code) => code,
            Exit::Signal(signal) => -signal,
            Exit::Unknown => UNKNOWN,
        }
    }

    pub(super) fn obituary(self, pid: i32) -> Obituary {
        let (code, signal) = match self {
            Exit::Code(code) => (code, 0),
            Exit::Signal(signal) => (0, signal),
            Exit::Unknown => (UNKNOWN_CODE, 0),
        };
        Obituary { pid, code, signal }
    }
}

/// What the reaper knows of a child that has ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// How it ended.
    pub exit: Exit,
    /// What it has used; `None` where the host has reaped it.
    pub usage: Option<Usage>,
    /// Why it never began, where the program that it ran did not call `mp_main_init`.
    pub unbegun: Option<Error>,
}
