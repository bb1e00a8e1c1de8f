//! Starting a program: with a clean set of signals and descriptors, whatever the host has done to its own.

use super::borrowed;
use super::descriptors;
use super::environment;
use super::os;
use super::parent::Passed;
use super::setting::{Failure, Setting};
use super::signal::{self, Reset};
use crate::error::{Error, Result, Status};
use std::cell::Cell;
use std::ffi::{c_char, c_int, c_void, CStr, CString};
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStringExt;
use std::sync::OnceLock;

static ARGUMENTS: OnceLock<Vec<CString>> = OnceLock::new();

/// Keeps a copy of the program's arguments, for its second runs; only the first call counts.
///
/// # Safety
/// `argv` points at `argc` C strings.
pub unsafe fn save_arguments(argc: c_int, argv: *const *const c_char) {
    ARGUMENTS.get_or_init(|| {
        let count = if argv.is_null() { 0 } else { usize::try_from(argc).unwrap_or(0) };
        // SAFETY: by the contract of this function.
        unsafe {
            let pointers = (0..count).map(|at| *argv.add(at)).take_while(|pointer| !pointer.is_null());
            pointers.map(|pointer| CStr::from_ptr(pointer).to_owned()).collect()
        }
    });
}

/// The program's arguments: those that were saved, else what /proc tells.
pub fn arguments() -> Vec<CString> {
    ARGUMENTS.get().cloned().unwrap_or_else(|| {
        let all = std::fs::read("/proc/thread-self/cmdline").unwrap_or_default();
        let mut parts: Vec<_> = all.split(|&b| b == 0).collect();
        parts.pop();
        parts.into_iter().filter_map(|part| CString::new(part).ok()).collect()
    })
}

/// What is to run, and how.
#[derive(Debug)]
pub struct Spawn<'a> {
    /// The program's file.
    pub path: &'a CStr,
    /// Its arguments, its name among them.
    pub arguments: &'a [CString],
    /// How its environment differs from this process's: see [`environment::merged`].
    pub environment: &'a [&'a CStr],
    /// What it sets before it begins. It gets no descriptors but the standard three and those that have a place.
    pub setting: Setting<'a>,
    /// The number in it of the pipe that it watches its parent by, from its first instant on.
    pub life: Option<RawFd>,
}

/// Why a program does not run.
#[derive(Debug)]
pub enum Failed {
    /// Something could not be set.
    Setting(Failure),
    /// Anything else, which the error tells.
    Other(Error),
}

/// All that the child needs, made before it: it shares this process's memory, so that it must not allocate.
struct Plan<'a> {
    path: *const c_char,
    arguments: Vec<*const c_char>,
    environment: Vec<*const c_char>,
    setting: Setting<'a>,
    /// The numbers of the child's descriptors, in ascending order.
    kept: Vec<RawFd>,
    life: Option<Passed>,
    /// What went wrong in the child.
    failed: Cell<Option<Wrong>>,
}

#[derive(Clone, Copy)]
enum Wrong {
    Setting(Failure),
    Exec(i32),
}

/// Starts a program and answers its pid. Its signal mask is empty, ignored signals are back to their default, and
/// every descriptor that has no place is closed. It returns when the program runs; a program that can't be run is
/// an error that names it.
pub fn spawn(what: &Spawn<'_>) -> std::result::Result<i32, Failed> {
    let mut kept: Vec<RawFd> = what.setting.places.iter().map(|place| place.want).collect();
    kept.sort_unstable();
    let plan = Plan {
        path: what.path.as_ptr(),
        arguments: ended(what.arguments.iter().map(|argument| argument.as_ptr())),
        environment: environment::merged(what.environment),
        setting: what.setting,
        kept,
        life: what.life.map(Passed::new),
        failed: Cell::new(None),
    };
    let failed = |errno| {
        let what = format_args!("starting the program {}", what.path.to_string_lossy());
        Failed::Other(Error::from_errno(what, errno))
    };
    let pid = borrowed::run(child, &plan, libc::SIGCHLD).map_err(failed)?;
    let Some(wrong) = plan.failed.get() else { return Ok(pid) };
    borrowed::reap(pid);
    Err(match wrong {
        Wrong::Setting(failure) => Failed::Setting(failure),
        Wrong::Exec(errno) => failed(errno),
    })
}

/// A list of pointers that ends in NULL.
fn ended(pointers: impl Iterator<Item = *const c_char>) -> Vec<*const c_char> {
    pointers.chain([std::ptr::null()]).collect()
}

/// In the child: async-signal-safe calls only, and no unwinding.
extern "C" fn child(plan: *mut c_void) -> c_int {
    // SAFETY: `spawn` passed the plan, which its thread keeps alive.
    let plan = unsafe { &*plan.cast::<Plan<'_>>() };
    signal::reset(Reset::All);
    // The limits come after all that has to do with descriptors, whose numbers they bound.
    let placed = plan.setting.place().and_then(|()| {
        close_all_but(&plan.kept);
        if let Some(life) = &plan.life {
            life.watch();
        }
        plan.setting.confine()
    });
    match placed {
        Err(failure) => plan.failed.set(Some(Wrong::Setting(failure))),
        Ok(()) => {
            signal::unblock_all();
            // SAFETY: the path is a C string and both lists end in NULL.
            unsafe { libc::execve(plan.path, plan.arguments.as_ptr(), plan.environment.as_ptr()) };
            plan.failed.set(Some(Wrong::Exec(os::errno())));
        }
    }
    // SAFETY: ends the child, past everything that is its parent's.
    unsafe { libc::_exit(127) }
}

/// Closes all descriptors but the standard three and `kept`, which is sorted.
fn close_all_but(kept: &[RawFd]) {
    let mut from = libc::STDERR_FILENO + 1;
    for &fd in kept {
        if fd > from {
            close_range(from as u32, fd as u32 - 1);
        }
        from = from.max(fd.saturating_add(1));
    }
    close_range(from as u32, u32::MAX);
}

fn close_range(first: u32, last: u32) {
    // SAFETY: the child, whose descriptors are a copy, gives up what it does not pass on.
    unsafe {
        if libc::syscall(libc::SYS_close_range, first, last, 0) == 0 {
            return;
        }
        // Refused, as under valgrind and in old sandboxes.
    }
    let end = descriptors::limit().min(1 << 16) as u32;
    (first..=last.min(end)).for_each(|fd| descriptors::close(fd as RawFd));
}

/// Refuses a path that is no program which this process may run.
pub fn check_executable(path: &std::path::Path) -> Result<()> {
    let name = c_path(path.to_path_buf())?;
    let refused = |status, why: &str| Error::new(status, format!("{} {why}", path.display()));
    // SAFETY: a C string and a flag.
    if unsafe { libc::access(name.as_ptr(), libc::X_OK) } < 0 {
        return Err(match os::errno() {
            libc::ENOENT | libc::ENOTDIR => refused(Status::NotFound, "does not exist"),
            libc::EACCES => refused(Status::Access, "can't be executed by this user"),
            errno => Error::from_errno(format_args!("{}", path.display()), errno),
        });
    }
    if !path.is_file() {
        return Err(refused(Status::Access, "is no file, and can't be executed"));
    }
    Ok(())
}

/// A path as a C string.
pub fn c_path(path: std::path::PathBuf) -> Result<CString> {
    CString::new(path.into_os_string().into_vec()).map_err(|_| Error::invalid("a path with a NUL byte"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::descriptors::Place;
    use crate::sys::program;
    use crate::sys::signal::AllBlocked;
    use std::fs::File;
    use std::io::Read;
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

    fn what<'a>(
        path: &'a CStr,
        arguments: &'a [CString],
        environment: &'a [&'a CStr],
        places: &'a [Place],
    ) -> Spawn<'a> {
        Spawn { path, arguments, environment, setting: Setting { places, ..Setting::default() }, life: None }
    }

    /// Runs a shell script that writes to its stdout, in the descriptor passed: what it wrote, how it ended, and the
    /// descriptor's number, which not every shell can close.
    fn run(script: &str, variable: &CStr) -> (String, i32, i32) {
        let mut ends = [0; 2];
        // SAFETY: room for two descriptors, which then belong to the test.
        let [read, write] = unsafe {
            assert_eq!(libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC), 0);
            ends.map(|fd| OwnedFd::from_raw_fd(fd))
        };
        let passed = write.as_raw_fd();
        let script = format!("exec >/dev/fd/{passed}\n{script}");
        let arguments = ["sh", "-c", &script].map(|text| CString::new(text).unwrap());
        let places = [Place { have: passed, want: passed }];
        let pid = spawn(&what(c"/bin/sh", &arguments, &[variable], &places));
        drop(write);
        let mut said = String::new();
        File::from(read).read_to_string(&mut said).unwrap();
        let mut status = -1;
        // SAFETY: the child made here.
        unsafe { libc::waitpid(pid.unwrap(), &mut status, 0) };
        (said, status, passed)
    }

    #[test]
    fn the_environment_has_one_more() {
        let path = std::env::var("PATH").unwrap();
        let (said, status, _) = run("echo \"$MP_TEST_A $PATH\"; exit 3", c"MP_TEST_A=seven");
        assert_eq!(said, format!("seven {path}\n"));
        assert_eq!(libc::WEXITSTATUS(status), 3);
        assert_eq!(run("echo \"$HOME\"", c"HOME=/x").0, "/x\n");
    }

    #[test]
    fn only_named_descriptors_are_passed() {
        // Two that are not close-on-exec, far apart.
        // SAFETY: descriptors of the test's own.
        let [low, high] = unsafe { [libc::dup(2), libc::fcntl(2, libc::F_DUPFD, 500)] };
        let (said, _, passed) = run("ls /proc/$$/fd; true", c"A=b");
        // SAFETY: as above.
        unsafe {
            libc::close(low);
            libc::close(high);
        }
        let mut open: Vec<i32> = said.lines().map(|fd| fd.parse().unwrap()).collect();
        open.sort_unstable();
        assert_eq!(open, [0, 1, 2, passed]);
    }

    #[test]
    fn signals_are_as_in_a_fresh_program() {
        let blocked = AllBlocked::new();
        // Rust programs ignore SIGPIPE from the start; so do the tests.
        let (said, _, _) = run("grep -E '^Sig(Blk|Ign):' /proc/self/status", c"A=b");
        drop(blocked);
        let sets: Vec<u64> = said
            .split_whitespace()
            .skip(1)
            .step_by(2)
            .map(|set| u64::from_str_radix(set, 16).unwrap())
            .collect();
        // Signals 32 and 33 are libc's own, and stay as they were.
        assert_eq!(sets.iter().map(|set| set & !(3 << 31)).collect::<Vec<_>>(), [0, 0]);
    }

    #[test]
    fn a_program_that_cannot_run_is_named_with_the_reason() {
        let Err(Failed::Other(error)) = spawn(&what(c"/no/such/program", &[c"program".to_owned()], &[], &[]))
        else {
            panic!("it runs");
        };
        assert!(error.message().contains("/no/such/program"), "{error}");
        assert!(error.message().contains("os error 2"), "{error}");
        let places = [Place { have: 1_000_000, want: 3 }];
        let failed = spawn(&what(c"/bin/true", &[], &[], &places));
        assert!(matches!(failed, Err(Failed::Setting(Failure { errno: libc::EBADF, .. }))));
    }

    #[test]
    fn this_program_runs_again() {
        let path = c_path(program::program_path().unwrap()).unwrap();
        let arguments = [path.clone(), c"--list".to_owned(), c"no-such-test".to_owned()];
        let pid = spawn(&what(&path, &arguments, &[], &[])).unwrap();
        let mut status = -1;
        // SAFETY: the child made here.
        unsafe { libc::waitpid(pid, &mut status, 0) };
        assert_eq!(status, 0);
    }

    #[test]
    fn arguments_are_those_of_the_program() {
        let expected: Vec<_> = std::env::args_os().map(|arg| CString::new(arg.into_vec()).unwrap()).collect();
        assert_eq!(arguments(), expected);
    }
}
