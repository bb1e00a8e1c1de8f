//! The start of a child, by each method; `thread.rs` starts what is a thread of this process.

use super::conditions::Conditions;
use super::identity::{ChildOptions, Identity};
use super::reaper::Child;
use super::recipe::Recipe;
use super::start::StartMethod;
use super::{fork, forkserver, identity, spawn, EXIT_FAILED};
use crate::error::{Error, Result, Status};
use crate::sys::log;
use std::sync::Arc;

/// What is to be started.
pub(super) struct Plan<'a> {
    pub(super) identity: &'a Identity,
    /// Whether it is killed when this process ends, in whatever way.
    pub(super) die_with_parent: bool,
    pub(super) recipe: &'a Arc<Recipe>,
    pub(super) conditions: &'a Conditions,
}

impl Plan<'_> {
    /// In a forked child: the exit code.
    #[link_section = "mp_fork"]
    fn run_forked(&self) -> i32 {
        if let Err(error) = self.conditions.apply() {
            log::say(log::ERROR, &format!("{} could not begin: {error}", identity::current_name()));
            return EXIT_FAILED;
        }
        self.recipe.run()
    }

    /// For a thread, which shares all of this with its process.
    pub(super) fn refuse_conditions(&self) -> Result<()> {
        match self.conditions.first_set() {
            None => Ok(()),
            Some(field) => {
                let text = format!(
                    "options.{field} is set, but a thread has none of its own: use another start_method"
                );
                Err(Error::new(Status::Unsupported, text))
            }
        }
    }
}

/// Starts it. It is not watched yet.
pub(super) fn launch(method: StartMethod, plan: &Plan<'_>) -> Result<Child> {
    let options = ChildOptions { identity: plan.identity.clone(), die_with_parent: plan.die_with_parent };
    match method {
        StartMethod::Fork => {
            plan.conditions.try_out_fork(plan.die_with_parent)?;
            fork::fork(options, || plan.run_forked())
        }
        StartMethod::Spawn | StartMethod::ForkServer => {
            let start = if method == StartMethod::Spawn { spawn::spawn } else { forkserver::fork };
            let payload = plan.recipe.encode()?;
            start(spawn::PROCESS, &payload, &options, plan.conditions)
        }
        StartMethod::Thread => Err(Error::internal("a thread is not a child")),
    }
}
