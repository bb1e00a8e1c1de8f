//! Why a child can't begin under its conditions, in words.

use super::conditions::Conditions;
use crate::error::{Error, Status};
use crate::sys::descriptors::{self, Place, NULL};
use crate::sys::setting::{Failure, Step};
use std::io;

impl Conditions {
    /// Why a child can't begin.
    pub(super) fn explain(&self, failure: Failure) -> Error {
        let errno = failure.errno;
        let why = io::Error::from_raw_os_error(errno);
        match failure.step {
            Step::Cwd => {
                let cwd = self.cwd.as_deref().unwrap_or_default().to_string_lossy();
                Error::new(status_of(errno), format!("options.cwd is {cwd:?}, which can't be entered: {why}"))
            }
            Step::Place(at) => self.explain_place(at, errno),
            Step::Cpu(at) => {
                let cpu = self.cpus.get(at).copied().unwrap_or_default();
                match errno {
                    0 | libc::EINVAL => Error::invalid(format!(
                        "options.cpus[{at}] is {cpu}, which is no CPU that this process may use"
                    )),
                    _ => Error::new(status_of(errno), format!("options.cpus can't be had: {why}")),
                }
            }
            Step::Limit(at) => {
                let text = self.limits.get(at).map_or_else(String::new, |limit| {
                    format!(": resource {}, soft {}, hard {}", limit.resource, limit.soft, limit.hard)
                });
                Error::new(status_of(errno), format!("options.rlimits[{at}] can't be set{text}: {why}"))
            }
            Step::Nice => {
                let nice = self.nice;
                Error::new(status_of(errno), format!("options.nice is {nice}, which is not allowed: {why}"))
            }
        }
    }

    fn explain_place(&self, at: usize, errno: i32) -> Error {
        let why = io::Error::from_raw_os_error(errno);
        let Some(Place { have, want }) = self.places.get(at).copied() else {
            let text = format!("options.fds leaves no place for a descriptor of libmp's own: {why}");
            return Error::new(status_of(errno), text);
        };
        let limit = descriptors::limit();
        match errno {
            libc::EBADF if want as u64 >= limit => Error::invalid(format!(
                "options.fds[{at}].as is {want}, but RLIMIT_NOFILE allows no number above {}",
                limit.saturating_sub(1)
            )),
            libc::EBADF => Error::invalid(format!("options.fds[{at}].fd is {have}, which is not open")),
            _ if have == NULL => Error::new(
                status_of(errno),
                format!("options.fds[{at}] is MP_FD_NULL, but /dev/null can't be opened: {why}"),
            ),
            _ => {
                let text = format!("options.fds[{at}]: descriptor {have} can't become {want}: {why}");
                Error::new(status_of(errno), text)
            }
        }
    }
}

/// The status for what the system refused.
fn status_of(errno: i32) -> Status {
    match errno {
        libc::ENOENT | libc::ENOTDIR => Status::NotFound,
        libc::EACCES | libc::EPERM => Status::Access,
        libc::EINVAL => Status::Invalid,
        _ => Status::System,
    }
}
