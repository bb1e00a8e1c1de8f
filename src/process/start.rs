//! Start methods.

use crate::error::{Error, Result, Status};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

/// The numbers of the C API.
pub const DEFAULT: i32 = 0;
/// See [`StartMethod::Fork`].
pub const FORK: i32 = 1;
/// See [`StartMethod::ForkServer`].
pub const FORKSERVER: i32 = 2;
/// See [`StartMethod::Spawn`].
pub const SPAWN: i32 = 3;
/// See [`StartMethod::Thread`].
pub const THREAD: i32 = 4;

/// How a child is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartMethod {
    /// A copy of this process.
    Fork,
    /// A copy of a server process, which is the same program, run anew, with one thread.
    ForkServer,
    /// The same program, run anew.
    Spawn,
    /// A thread of this process.
    Thread,
}

impl StartMethod {
    /// Its number.
    pub fn number(self) -> i32 {
        match self {
            StartMethod::Fork => FORK,
            StartMethod::ForkServer => FORKSERVER,
            StartMethod::Spawn => SPAWN,
            StartMethod::Thread => THREAD,
        }
    }
}

static METHOD: AtomicI32 = AtomicI32::new(FORK);
/// Whether this is a spawned child whose function has not begun.
static STARTING: AtomicBool = AtomicBool::new(false);

/// The method of this number; 0 means the program's default.
pub fn resolve(number: i32) -> Result<StartMethod> {
    match number {
        DEFAULT => resolve(METHOD.load(Ordering::Relaxed)),
        FORK => Ok(StartMethod::Fork),
        SPAWN => Ok(StartMethod::Spawn),
        FORKSERVER => Ok(StartMethod::ForkServer),
        THREAD => Ok(StartMethod::Thread),
        other => Err(Error::invalid(format!("start_method is {other}, which is none"))),
    }
}

/// Sets the program's default; 0 sets it back to fork.
#[link_section = "mp_fork"]
pub fn set_default(number: i32) -> Result<()> {
    let method = if number == DEFAULT { StartMethod::Fork } else { resolve(number)? };
    METHOD.store(method.number(), Ordering::Relaxed);
    Ok(())
}

/// The number of the program's default.
pub fn default_method() -> i32 {
    METHOD.load(Ordering::Relaxed)
}

/// Whether this process may start others: a spawned child whose function has not begun would start them again and
/// again, each child its own.
pub fn check_may_start() -> Result<()> {
    if STARTING.load(Ordering::Relaxed) || has_ticket() {
        return Err(Error::new(
            Status::Bootstrap,
            "this process is itself a child that is still starting: start others after mp_main_init",
        ));
    }
    Ok(())
}

/// Whether the environment still names what a spawned child is to do. Once it does not, it never will.
fn has_ticket() -> bool {
    static NONE: AtomicBool = AtomicBool::new(false);
    if NONE.load(Ordering::Relaxed) {
        return false;
    }
    let has = std::env::var_os(super::bootstrap::VARIABLE).is_some();
    NONE.store(!has, Ordering::Relaxed);
    has
}

/// Whether this process is a spawned child whose function has not begun.
pub(super) fn set_starting(starting: bool) {
    STARTING.store(starting, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_checked() {
        assert_eq!(resolve(FORK).unwrap(), StartMethod::Fork);
        assert_eq!(resolve(SPAWN).unwrap(), StartMethod::Spawn);
        assert_eq!(resolve(FORKSERVER).unwrap(), StartMethod::ForkServer);
        assert_eq!(resolve(THREAD).unwrap(), StartMethod::Thread);
        assert_eq!(resolve(5).unwrap_err().status(), Status::Invalid);
        assert_eq!(resolve(-1).unwrap_err().status(), Status::Invalid);
        assert_eq!(set_default(-1).unwrap_err().status(), Status::Invalid);
        assert_eq!(default_method(), FORK);
    }
}
