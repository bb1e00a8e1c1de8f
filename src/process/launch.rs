//! The start of a process, by each method.

use super::conditions::Conditions;
use super::fork::{self, ForkOptions};
use super::identity::Identity;
use super::reaper::Child;
use super::recipe::Recipe;
use super::spawn::{self, SpawnOptions};
use super::start::StartMethod;
use super::EXIT_FAILED;
use crate::error::{Error, Result, Status};
use crate::sys::log;

/// What is to be started.
pub(super) struct Plan<'a> {
    pub(super) identity: &'a Identity,
    /// Whether it is killed when this process ends, in whatever way.
    pub(super) die_with_parent: bool,
    pub(super) recipe: &'a Recipe,
    pub(super) conditions: &'a Conditions,
}

impl Plan<'_> {
    /// In a forked child: the exit code.
    fn run_forked(&self, name: &str) -> i32 {
        if let Err(error) = self.conditions.apply() {
            log::say(log::ERROR, &format!("{name} could not begin: {error}"));
            return EXIT_FAILED;
        }
        self.recipe.run(name)
    }

    /// For a thread, which shares all of this with its process.
    fn refuse_conditions(&self) -> Result<()> {
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

/// Starts it. It is not watched yet; what it reads when it begins is to be kept until it has ended.
pub(super) fn launch(method: StartMethod, plan: &Plan<'_>) -> Result<(Child, Option<spawn::Bootstrap>)> {
    let (identity, die_with_parent) = (plan.identity.clone(), plan.die_with_parent);
    match method {
        StartMethod::Fork => {
            let name = identity.name.clone();
            plan.conditions.try_out()?;
            let child = fork::fork(&ForkOptions { identity, die_with_parent }, || plan.run_forked(&name))?;
            Ok((child, None))
        }
        StartMethod::Spawn => {
            let payload = plan.recipe.encode()?;
            let options = SpawnOptions { identity, die_with_parent };
            let (child, bootstrap) = spawn::spawn(spawn::PROCESS, &payload, &options, plan.conditions)?;
            Ok((child, Some(bootstrap)))
        }
        StartMethod::ForkServer => {
            Err(Error::new(Status::Unsupported, "start_method: forkserver is not built yet"))
        }
        StartMethod::Thread => {
            plan.refuse_conditions()?;
            Err(Error::new(Status::Unsupported, "start_method: threads are not built yet"))
        }
    }
}
