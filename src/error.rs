//! Statuses and errors: one table from which the numbers, the names and the texts come.

use std::borrow::Cow;
use std::fmt;

macro_rules! statuses {
    ($($(#[doc = $doc:literal])* $variant:ident = $number:literal, $name:literal;)*) => {
        /// What a call answered. Zero is success, positive is success with a notice, negative is failure.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(i32)]
        pub enum Status {
            $($(#[doc = $doc])* $variant = $number,)*
        }

        impl Status {
            /// Every status, in the order of the table.
            pub const ALL: &'static [Status] = &[$(Status::$variant),*];

            /// The name as C programs write it, ending in NUL.
            pub const fn c_name(self) -> &'static std::ffi::CStr {
                match self {
                    $(Status::$variant => $name,)*
                }
            }

            /// The status with this number, if there is one.
            pub const fn from_code(code: i32) -> Option<Status> {
                match code {
                    $($number => Some(Status::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

statuses! {
    /// Done.
    Ok = 0, c"MP_OK";
    /// Done: acquired, but the last owner died holding it.
    OwnerDead = 1, c"MP_OWNER_DEAD";
    /// An argument is wrong: NULL, out of range, or a wrong or freed handle.
    Invalid = -1, c"MP_ERR_INVALID";
    /// The wrong moment for this call.
    State = -2, c"MP_ERR_STATE";
    /// The timeout ran out.
    Timeout = -3, c"MP_ERR_TIMEOUT";
    /// The queue is full.
    Full = -4, c"MP_ERR_FULL";
    /// The queue is empty.
    Empty = -5, c"MP_ERR_EMPTY";
    /// The object was closed.
    Closed = -6, c"MP_ERR_CLOSED";
    /// The end of a pipe or an iterator.
    End = -7, c"MP_ERR_END";
    /// The caller does not hold what it wants to release.
    NotOwner = -8, c"MP_ERR_NOT_OWNER";
    /// Released too often.
    Overflow = -9, c"MP_ERR_OVERFLOW";
    /// The barrier or the pool is broken.
    Broken = -10, c"MP_ERR_BROKEN";
    /// Not enough memory.
    NoMemory = -11, c"MP_ERR_NO_MEMORY";
    /// The buffer is too small, or the object too large.
    TooLarge = -12, c"MP_ERR_TOO_LARGE";
    /// The token names an object that has been destroyed.
    Stale = -13, c"MP_ERR_STALE";
    /// The task's function reported a failure.
    TaskFailed = -14, c"MP_ERR_TASK_FAILED";
    /// The task ran longer than its timeout.
    TaskTimeout = -15, c"MP_ERR_TASK_TIMEOUT";
    /// The process that had the task in its hands died.
    WorkerDied = -16, c"MP_ERR_WORKER_DIED";
    /// The wait or the task was cancelled.
    Cancelled = -17, c"MP_ERR_CANCELLED";
    /// mp_main_init was not called in this program.
    Bootstrap = -18, c"MP_ERR_BOOTSTRAP";
    /// Not built, or not possible for this object or start method.
    Unsupported = -19, c"MP_ERR_UNSUPPORTED";
    /// There is nothing of that name.
    NotFound = -20, c"MP_ERR_NOT_FOUND";
    /// There is already something else of that name.
    Exists = -21, c"MP_ERR_EXISTS";
    /// Permission was refused.
    Access = -22, c"MP_ERR_ACCESS";
    /// The other side could not prove who it is.
    Auth = -23, c"MP_ERR_AUTH";
    /// A system call failed; the text has the errno.
    System = -24, c"MP_ERR_SYSTEM";
    /// A defect in libmp.
    Internal = -25, c"MP_ERR_INTERNAL";
}

/// A failure: its status and a sentence that says what failed, which and why.
#[derive(Clone, Debug)]
pub struct Error {
    status: Status,
    message: Cow<'static, str>,
}

/// The result of every fallible call of the core.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error with its sentence. Constant sentences allocate nothing.
    pub fn new(status: Status, message: impl Into<Cow<'static, str>>) -> Error {
        Error { status, message: message.into() }
    }

    /// The failure of a system call, with the errno that it left.
    pub fn system(what: impl fmt::Display) -> Error {
        Error::from_errno(what, std::io::Error::last_os_error().raw_os_error().unwrap_or(0))
    }

    /// The failure of a system call that answered `errno`.
    pub fn from_errno(what: impl fmt::Display, errno: i32) -> Error {
        let text = std::io::Error::from_raw_os_error(errno);
        Error::new(Status::System, format!("{what} failed: {text}"))
    }

    /// A wrong argument.
    pub fn invalid(message: impl Into<Cow<'static, str>>) -> Error {
        Error::new(Status::Invalid, message)
    }

    /// A call at the wrong moment.
    pub fn state(message: impl Into<Cow<'static, str>>) -> Error {
        Error::new(Status::State, message)
    }

    /// A defect in libmp.
    pub fn internal(message: impl Into<Cow<'static, str>>) -> Error {
        Error::new(Status::Internal, message)
    }

    /// The status.
    pub fn status(&self) -> Status {
        self.status
    }

    /// The sentence.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_round_trips_and_names_are_unique() {
        let mut names = std::collections::HashSet::new();
        for &status in Status::ALL {
            assert_eq!(Status::from_code(status as i32), Some(status));
            assert!(names.insert(status.c_name()));
        }
        assert_eq!(Status::from_code(2), None);
        assert_eq!(Status::from_code(-26), None);
    }
}
