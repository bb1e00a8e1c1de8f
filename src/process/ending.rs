//! Ending a process: gently at first, or with all that descends from it.

use super::handle::Process;
use crate::error::{Result, Status};
use crate::sys::clock::{Deadline, FOREVER};

impl Process {
    /// SIGTERM, and SIGKILL if it has not ended after so many nanoseconds. Answers when it has ended. If the wait is
    /// cancelled there is no SIGKILL.
    pub fn stop(&self, grace: i64) -> Result<()> {
        self.signal(libc::SIGTERM)?;
        match self.join(Deadline::after(grace)) {
            Err(error) if error.status() == Status::Timeout => {}
            ended => return ended,
        }
        self.signal(libc::SIGKILL)?;
        self.join(Deadline::after(FOREVER))
    }
}
