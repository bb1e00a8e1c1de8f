//! A call: what a process's target and a task's function see.

use crate::error::{Error, Result, Status};
use crate::sys::function::Function;
use std::fmt;

/// Where the bytes that a function returns are put.
pub trait ReturnSink {
    /// Room for `len` bytes, in place of what was returned before.
    fn reserve(&mut self, len: usize) -> Result<*mut u8>;

    /// A copy of `bytes`, in place of what was returned before.
    fn store(&mut self, bytes: &[u8]) -> Result<()>;
}

impl ReturnSink for Vec<u8> {
    fn reserve(&mut self, len: usize) -> Result<*mut u8> {
        self.clear();
        self.try_reserve_exact(len.max(1)).map_err(|_| no_room(len))?;
        self.resize(len, 0);
        Ok(self.as_mut_ptr())
    }

    fn store(&mut self, bytes: &[u8]) -> Result<()> {
        self.clear();
        self.try_reserve_exact(bytes.len()).map_err(|_| no_room(bytes.len()))?;
        self.extend_from_slice(bytes);
        Ok(())
    }
}

fn no_room(len: usize) -> Error {
    Error::new(Status::NoMemory, format!("no memory for a result of {len} bytes"))
}

/// One call of a function.
pub struct Call<'a> {
    args: &'a [&'a [u8]],
    sink: &'a mut dyn ReturnSink,
    failure: Option<(i32, String)>,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// 0 = fine.
    pub code: i32,
    /// What the function said of its failure.
    pub message: Option<String>,
}

impl<'a> Call<'a> {
    /// A call with these arguments, whose result goes into `sink`.
    pub fn new(args: &'a [&'a [u8]], sink: &'a mut dyn ReturnSink) -> Call<'a> {
        Call { args, sink, failure: None }
    }

    /// Calls the function.
    pub fn run(mut self, function: Function) -> Outcome {
        let returned = function.call((&raw mut self).cast());
        match self.failure {
            None => Outcome { code: returned, message: None },
            // What has failed is not fine, whatever the numbers say.
            Some((code, message)) => {
                let code = [code, returned].into_iter().find(|&code| code != 0).unwrap_or(1);
                Outcome { code, message: Some(message) }
            }
        }
    }

    /// How many arguments there are.
    pub fn argc(&self) -> usize {
        self.args.len()
    }

    /// An argument.
    pub fn arg(&self, i: usize) -> Option<&'a [u8]> {
        self.args.get(i).copied()
    }

    /// Returns a copy of `bytes`.
    pub fn give(&mut self, bytes: &[u8]) -> Result<()> {
        self.sink.store(bytes)
    }

    /// Room for a result of `len` bytes.
    pub fn room(&mut self, len: usize) -> Result<*mut u8> {
        self.sink.reserve(len)
    }

    /// The call has failed.
    pub fn fail(&mut self, code: i32, message: String) {
        self.failure = Some((code, message));
    }
}

impl fmt::Debug for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("args", &self.args)
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_result_counts() {
        let mut sink = Vec::new();
        let mut call = Call::new(&[b"one", b""], &mut sink);
        assert_eq!(
            (call.argc(), call.arg(0), call.arg(1), call.arg(2)),
            (2, Some(&b"one"[..]), Some(&b""[..]), None)
        );
        call.give(b"first, which is longer").unwrap();
        assert!(!call.room(2).unwrap().is_null());
        assert_eq!(sink, [0, 0]);
        let mut call = Call::new(&[], &mut sink);
        call.give(b"last").unwrap();
        assert_eq!(sink, b"last");
        assert!(ReturnSink::reserve(&mut sink, usize::MAX).is_err());
    }
}
