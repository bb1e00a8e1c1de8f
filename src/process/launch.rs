//! The start of a child, by each method; `thread.rs` starts what is a thread of this process.

use super::bootstrap::Bootstrap;
use super::fork::{self, ForkOptions};
use super::forkserver::{self, ServedOptions};
use super::identity::Identity;
use super::reaper::Child;
use super::recipe::Recipe;
use super::spawn::{self, SpawnOptions};
use super::start::StartMethod;
use crate::error::{Error, Result};
use std::sync::Arc;

/// What is to be started.
pub(super) struct Plan<'a> {
    pub(super) identity: &'a Identity,
    /// Whether it is killed when this process ends, in whatever way.
    pub(super) die_with_parent: bool,
    pub(super) recipe: &'a Arc<Recipe>,
}

/// Starts it. It is not watched yet; what it reads when it begins is to be kept until it has ended.
pub(super) fn launch(method: StartMethod, plan: &Plan<'_>) -> Result<(Child, Option<Bootstrap>)> {
    let (identity, die_with_parent) = (plan.identity.clone(), plan.die_with_parent);
    match method {
        StartMethod::Fork => {
            let child = fork::fork(ForkOptions { identity, die_with_parent }, || plan.recipe.run())?;
            Ok((child, None))
        }
        StartMethod::Spawn => {
            let payload = plan.recipe.encode()?;
            let options = SpawnOptions { identity, die_with_parent, descriptors: Vec::new() };
            let (child, bootstrap) = spawn::spawn(spawn::PROCESS, &payload, &options)?;
            Ok((child, Some(bootstrap)))
        }
        StartMethod::ForkServer => {
            let payload = plan.recipe.encode()?;
            let options = ServedOptions { identity, die_with_parent };
            let (child, bootstrap) = forkserver::fork(spawn::PROCESS, &payload, &options)?;
            Ok((child, Some(bootstrap)))
        }
        StartMethod::Thread => Err(Error::internal("a thread is not a child")),
    }
}
