//! What a process is to do: a function and its arguments, as the maker keeps them, as they travel, and how the child
//! runs them.

use super::call::Call;
use super::identity;
use super::target::Target;
use super::wire::{Reader, Writer};
use super::EXIT_FAILED;
use crate::error::Result;
use crate::sys::function::Function;
use crate::sys::log;

/// A function and its arguments.
#[derive(Debug)]
pub(super) struct Recipe {
    pub(super) function: Function,
    pub(super) args: Vec<Vec<u8>>,
}

impl Recipe {
    /// In the child: calls the function; the exit code.
    #[link_section = "mp_fork"]
    pub(super) fn run(&self) -> i32 {
        let args: Vec<&[u8]> = self.args.iter().map(Vec::as_slice).collect();
        let mut returned = Vec::new();
        let outcome = Call::new(&args, &mut returned).run(self.function);
        if let Some(message) = &outcome.message {
            let name = identity::current_name();
            log::say(log::ERROR, &format!("{name} failed with code {}: {message}", outcome.code));
        }
        // Of a failure's code only the low byte arrives; it must not look like success.
        match outcome.code & 0xff {
            0 if outcome.message.is_some() => 1,
            code => code,
        }
    }

    /// As it travels to a child that runs the program anew.
    pub(super) fn encode(&self) -> Result<Vec<u8>> {
        let mut payload = Writer::default();
        Target::for_exec(self.function)?.write(&mut payload);
        payload.number(self.args.len() as u64);
        self.args.iter().for_each(|arg| payload.bytes(arg));
        Ok(payload.into_bytes())
    }

    /// The arguments are copied once more, so that each is aligned as malloc aligns.
    pub(super) fn decode(payload: &[u8]) -> Result<Recipe> {
        let mut payload = Reader::new(payload);
        let function = Target::read(&mut payload)?.resolve()?;
        let count = payload.number()?;
        let args = (0..count).map(|_| payload.bytes().map(<[u8]>::to_vec)).collect::<Result<_>>()?;
        Ok(Recipe { function, args })
    }
}

/// In a spawned child: does what [`Recipe::encode`] said; the exit code.
pub(crate) fn run_spawned(payload: &[u8]) -> i32 {
    match Recipe::decode(payload) {
        Ok(recipe) => recipe.run(),
        Err(error) => {
            let name = identity::current_name();
            log::say(log::ERROR, &format!("{name} could not begin: {error}"));
            EXIT_FAILED
        }
    }
}
