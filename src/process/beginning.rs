//! Whether a spawned program begins as a child of this one: by a call of `mp_main_init`. The program that was named by
//! `mp_set_executable` may know nothing of libmp. Then it ends, or runs on for ever, and nobody must wait for it in vain.

use super::end::Exit;
use super::{executable, EXIT_FAILED};
use crate::arena::{Arena, Owner};
use crate::error::{Error, Status};
use crate::shortened;
use crate::sys::clock;
use crate::sys::procfs;
use std::borrow::Cow;
use std::ffi::CString;

/// So long a program has, in nanoseconds: to be loaded from a slow disk by a busy machine, too.
const LIMIT: i64 = 60_000_000_000;

/// What is awaited of a child that runs a program.
#[derive(Debug)]
pub(crate) struct Beginning {
    program: CString,
    /// Whether it was named by `mp_set_executable`: it need not be this program, which does call `mp_main_init`.
    named: bool,
    /// When it should have begun.
    by: i64,
    /// Whether it is a process of the library's own, which is of no use unless it begins: it is killed then. A process of
    /// the user's may be anything, and is the user's to end: there the log says that it has not begun.
    helper: bool,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Awaited,
    /// It has begun, or the log has said that it has not.
    Settled,
    /// It has not, and is being killed.
    Late,
}

/// What follows for a child that has not begun in time.
#[derive(Debug)]
pub(super) struct Late {
    pub(super) text: String,
    pub(super) to_be_killed: bool,
}

impl Beginning {
    pub(super) fn new(program: CString, helper: bool) -> Beginning {
        let (named, by) = (executable::is_named(), clock::now() + limit());
        Beginning { program, named, by, helper, stage: Stage::Awaited }
    }

    /// Looks whether the child is late. Answers so once.
    pub(super) fn look(&mut self, arena: &Arena, owner: Owner, pid: i32) -> Option<Late> {
        if self.stage != Stage::Awaited {
            return None;
        }
        if !arena.has_not_begun(owner) {
            self.stage = Stage::Settled;
            return None;
        }
        if clock::now() < self.by {
            return None;
        }
        // Somebody has stopped it, or follows it step by step.
        if procfs::stat(pid).is_some_and(|stat| matches!(stat.state, b'T' | b't')) {
            self.by = clock::now() + limit();
            return None;
        }
        self.stage = if self.helper { Stage::Late } else { Stage::Settled };
        let then = if self.helper { "it is killed" } else { "its function does not run" };
        Some(Late { text: format!("{} (pid {pid}): {then}", self.late()), to_be_killed: self.helper })
    }

    /// Why a child that has ended never began, if that was the program's doing.
    pub(super) fn failure(&self, arena: &Arena, owner: Owner, exit: Exit) -> Option<Error> {
        if self.stage == Stage::Late {
            return Some(Error::new(Status::Bootstrap, self.late()));
        }
        let how = match exit {
            // With the other code the library itself has ended it, and has said why.
            Exit::Code(code) if code != EXIT_FAILED => format!("with code {code}"),
            // The host has collected it.
            Exit::Unknown if self.named => "nobody knows how".to_owned(),
            _ => return None,
        };
        arena.has_not_begun(owner).then(|| {
            let text = format!("{} ended, {how}, without a call of {CALL}", self.program());
            Error::new(Status::Bootstrap, text)
        })
    }

    fn late(&self) -> String {
        format!("{} has run for {} s without a call of {CALL}", self.program(), limit() / 1_000_000_000)
    }

    fn program(&self) -> Cow<'_, str> {
        self.program.to_string_lossy()
    }
}

const CALL: &str =
    "mp_main_init, which stands first in main of a program that children run (mp_set_executable names it)";

fn limit() -> i64 {
    shortened!("process.beginning:limit", LIMIT, 1_000_000_000)
}
