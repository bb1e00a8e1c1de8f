//! What a process leaves to its maker: what its function returned, or how it failed. And what the maker learns of it.
//!
//! The outcome is committed when the function has returned, before the process ends: what happens to the process later
//! does not change it. How it travels is in `arena::outcome`.

use super::call;
use super::end::{Ended, UNKNOWN};
use super::handle::Process;
use super::sink::ArenaSink;
use crate::arena::outcome::{Bytes, Outcome, FEW};
use crate::arena::{Arena, Buffer, Owner};
use crate::error::{Error, Result, Status};
use crate::sys::pidfd::Usage;
use crate::sys::signal;

/// The exit code that follows: of a failure's code only the low byte arrives, and it must not look like success.
pub(super) fn exit_code(outcome: &call::Outcome) -> i32 {
    match outcome.code & 0xff {
        0 if outcome.message.is_some() => 1,
        code => code,
    }
}

/// A place for what a child's function returns.
pub(super) fn sink(arena: &'static Arena) -> ArenaSink {
    ArenaSink::new(arena, FEW)
}

/// In the child: commits the outcome of its function.
pub(super) fn leave(arena: &'static Arena, sink: ArenaSink, outcome: &call::Outcome) {
    arena.leave_outcome(whole(sink, outcome));
}

/// What the function returned, or why it failed.
pub(super) fn whole(mut sink: ArenaSink, outcome: &call::Outcome) -> Outcome {
    let failed = exit_code(outcome) != 0;
    if failed {
        sink.store_text(outcome.message.as_deref().unwrap_or_default());
    }
    let (length, few) = (sink.len(), sink.words());
    let bytes = sink.into_block().map_or(Bytes::Few(few), Bytes::Many);
    Outcome { code: outcome.code, failed, length, bytes }
}

/// In a child that could not begin: says why.
pub(super) fn leave_failure(code: i32, message: String) {
    if let Some(arena) = Arena::if_made() {
        leave(arena, sink(arena), &call::Outcome { code, message: Some(message) });
    }
}

/// What is left of a process that has ended.
#[derive(Debug)]
pub(super) struct Remains {
    usage: Option<Usage>,
    outcome: Result<Option<Outcome>>,
}

impl Remains {
    /// Of a thread of this process: the outcome, unless a defect of the library's has ended it.
    pub(super) fn of_thread(outcome: Option<Outcome>) -> Remains {
        Remains { usage: Some(Usage::of_this_thread()), outcome: Ok(outcome) }
    }

    /// Takes what the process has left.
    pub(super) fn collect(owner: Owner, ended: &Ended) -> Remains {
        let outcome = match &ended.unbegun {
            Some(error) => Err(error.clone()),
            None => Arena::get().and_then(|arena| arena.take_outcome(owner)),
        };
        Remains { usage: ended.usage, outcome }
    }
}

fn bytes_of(outcome: &Outcome) -> Result<Buffer> {
    match &outcome.bytes {
        Bytes::Few(words) => {
            let bytes = words.map(u64::to_ne_bytes).concat();
            Buffer::copy_of(bytes.get(..outcome.length).unwrap_or(&bytes))
        }
        Bytes::Many(block) => Buffer::around(block.arena().share_block(block)?, outcome.length as u64),
    }
}

impl Process {
    /// What its function returned, once it has ended. Every call answers the same bytes.
    pub fn result(&self) -> Result<Buffer> {
        let code = self.exit_code()?;
        match self.remains().map(|remains| &remains.outcome) {
            Some(Ok(Some(outcome))) if outcome.failed => Err(self.failure(outcome)),
            Some(Ok(Some(outcome))) => bytes_of(outcome),
            Some(Err(error)) => Err(error.clone()),
            Some(Ok(None)) | None => Err(self.died(code)),
        }
    }

    fn failure(&self, outcome: &Outcome) -> Error {
        let text = format!("{} failed with code {}", self.name_text(), outcome.code);
        match bytes_of(outcome) {
            Ok(message) if !message.is_empty() => {
                let message = String::from_utf8_lossy(message.bytes());
                Error::new(Status::TaskFailed, format!("{text}: {message}"))
            }
            _ => Error::new(Status::TaskFailed, text),
        }
    }

    fn died(&self, code: i32) -> Error {
        let how = match code {
            UNKNOWN => "ended, nobody knows how since the program itself has collected it,".to_owned(),
            code if code < 0 => format!("was killed by signal {} ({})", -code, signal::name(-code)),
            code => format!("exited with code {code}"),
        };
        let text = format!("{} {how} before its function had returned", self.name_text());
        Error::new(Status::WorkerDied, text)
    }

    /// What it has used of the machine, once it has ended.
    pub fn usage(&self) -> Result<Usage> {
        self.exit_code()?;
        self.remains().and_then(|remains| remains.usage).ok_or_else(|| {
            let text = format!(
                "what {} has used is not known: the program itself has collected it (by waitpid, or by ignoring \
                 SIGCHLD)",
                self.name_text()
            );
            Error::new(Status::NotFound, text)
        })
    }
}
