//! Starting a program: with a clean set of signals and descriptors, whatever the host has done to its own.

use super::os;
use super::signal::{self, AllBlocked, Reset};
use crate::error::{Error, Result, Status};
use std::ffi::{c_char, c_int, c_void, CStr, CString};
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStringExt;
use std::sync::atomic::{AtomicI32, Ordering};
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
        let all = std::fs::read("/proc/self/cmdline").unwrap_or_default();
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
    /// A variable for its environment, which is else this process's: name and value.
    pub variable: (&'a str, &'a str),
    /// Descriptors that it gets, beside stdin, stdout and stderr, under the same numbers.
    pub descriptors: &'a [RawFd],
}

const STACK: usize = 64 << 10;

/// All that the child needs, made before it: it shares this process's memory, so that it must not allocate.
struct Plan {
    path: *const c_char,
    arguments: Vec<*const c_char>,
    environment: Vec<*const c_char>,
    descriptors: Vec<RawFd>,
    /// Why exec failed; 0 as long as it did not.
    errno: AtomicI32,
}

/// Starts a program and answers its pid. Its signal mask is empty, ignored signals are back to their default, and
/// every descriptor that was not named is closed. It returns when the program runs; a program that can't be run is
/// an error that names it.
pub fn spawn(what: &Spawn<'_>) -> Result<i32> {
    let variable = CString::new(format!("{}={}", what.variable.0, what.variable.1))
        .map_err(|_| Error::invalid("a variable with a NUL byte"))?;
    let mut descriptors = what.descriptors.to_vec();
    descriptors.sort_unstable();
    descriptors.dedup();
    if let Some(closed) = descriptors.iter().find(|&&fd| fd < 0 || os::file_of(fd).is_none()) {
        return Err(Error::state(format!("descriptor {closed}, which a child needs, has been closed")));
    }
    let plan = Plan {
        path: what.path.as_ptr(),
        arguments: ended(what.arguments.iter().map(|argument| argument.as_ptr())),
        environment: environment_with(&variable, what.variable.0.as_bytes()),
        descriptors,
        errno: AtomicI32::new(0),
    };
    let failed = |errno| {
        Error::from_errno(format_args!("starting the program {}", what.path.to_string_lossy()), errno)
    };
    let pid = start(&plan).map_err(failed)?;
    match plan.errno.load(Ordering::Relaxed) {
        0 => Ok(pid),
        errno => {
            // SAFETY: the child has ended, or is about to.
            os::retry(|| unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) });
            Err(failed(errno))
        }
    }
}

/// A list of pointers that ends in NULL.
fn ended(pointers: impl Iterator<Item = *const c_char>) -> Vec<*const c_char> {
    pointers.chain([std::ptr::null()]).collect()
}

extern "C" {
    static environ: *const *const c_char;
}

/// This process's environment, with one variable added or replaced.
fn environment_with(variable: &CStr, name: &[u8]) -> Vec<*const c_char> {
    let mut kept = Vec::new();
    // SAFETY: `environ` is NULL or a list of C strings that ends in NULL. As with every use of the environment,
    // the program must not change it at the same time.
    unsafe {
        let mut entry = environ;
        while !entry.is_null() && !(*entry).is_null() {
            let text = CStr::from_ptr(*entry).to_bytes();
            if text.strip_prefix(name).and_then(<[u8]>::first) != Some(&b'=') {
                kept.push(*entry);
            }
            entry = entry.add(1);
        }
    }
    ended(kept.into_iter().chain([variable.as_ptr()]))
}

/// As vfork does, but on a stack of its own: the child borrows this process's memory until it execs or ends, which
/// costs nothing however large the process is, and runs no fork handlers.
fn start(plan: &Plan) -> std::result::Result<i32, i32> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK;
    // SAFETY: a new mapping at an address that the kernel chooses touches nothing that exists.
    let stack = unsafe { libc::mmap(std::ptr::null_mut(), STACK, protection, flags, -1, 0) };
    if stack == libc::MAP_FAILED {
        return Err(os::errno());
    }
    // A handler of this process's must not run in the child.
    let blocked = AllBlocked::new();
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: the child runs `child` on a stack that nobody else uses; this thread waits, and with it all that the
    // plan points at stays alive, until the child has left this memory.
    let pid =
        unsafe { libc::clone(child, stack.add(STACK), flags, std::ptr::from_ref(plan).cast_mut().cast()) };
    let errno = os::errno();
    drop(blocked);
    // SAFETY: the child has left the stack.
    unsafe { libc::munmap(stack, STACK) };
    if pid < 0 {
        Err(errno)
    } else {
        Ok(pid)
    }
}

/// In the child: async-signal-safe calls only, and no unwinding.
extern "C" fn child(plan: *mut c_void) -> c_int {
    // SAFETY: `start` passed the plan, which its thread keeps alive.
    let plan = unsafe { &*plan.cast::<Plan>() };
    signal::reset(Reset::All);
    close_all_but(&plan.descriptors);
    // SAFETY: the path is a C string and both lists end in NULL; the descriptors are numbers.
    unsafe {
        for &fd in &plan.descriptors {
            libc::fcntl(fd, libc::F_SETFD, 0);
        }
        signal::unblock_all();
        libc::execve(plan.path, plan.arguments.as_ptr(), plan.environment.as_ptr());
        plan.errno.store(os::errno(), Ordering::Relaxed);
        libc::_exit(127)
    }
}

/// Closes all descriptors but the standard three and `kept`, which is sorted.
fn close_all_but(kept: &[RawFd]) {
    let mut from = libc::STDERR_FILENO + 1;
    for &fd in kept {
        if fd > from {
            close_range(from as u32, fd as u32 - 1);
        }
        from = from.max(fd + 1);
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
        let mut limit = libc::rlimit { rlim_cur: 1024, rlim_max: 0 };
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
        let end = limit.rlim_cur.min(1 << 16) as u32;
        for fd in first..=last.min(end) {
            libc::close(fd as RawFd);
        }
    }
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
    use crate::sys::program;
    use std::fs::File;
    use std::io::Read;
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

    /// Runs a shell script that writes to its stdout, in the descriptor passed: what it wrote, how it ended, and the
    /// descriptor's number, which not every shell can close.
    fn run(script: &str, variable: (&str, &str)) -> (String, i32, i32) {
        let mut ends = [0; 2];
        // SAFETY: room for two descriptors, which then belong to the test.
        let [read, write] = unsafe {
            assert_eq!(libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC), 0);
            ends.map(|fd| OwnedFd::from_raw_fd(fd))
        };
        let passed = write.as_raw_fd();
        let script = format!("exec >/dev/fd/{passed}\n{script}");
        let arguments = ["sh", "-c", &script].map(|text| CString::new(text).unwrap());
        let descriptors = [write.as_raw_fd()];
        let pid =
            spawn(&Spawn { path: c"/bin/sh", arguments: &arguments, variable, descriptors: &descriptors });
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
        let (said, status, _) = run("echo \"$MP_TEST_A $PATH\"; exit 3", ("MP_TEST_A", "seven"));
        assert_eq!(said, format!("seven {path}\n"));
        assert_eq!(libc::WEXITSTATUS(status), 3);
        assert_eq!(run("echo \"$HOME\"", ("HOME", "/x")).0, "/x\n");
    }

    #[test]
    fn only_named_descriptors_are_passed() {
        // Two that are not close-on-exec, far apart.
        // SAFETY: descriptors of the test's own.
        let [low, high] = unsafe { [libc::dup(2), libc::fcntl(2, libc::F_DUPFD, 500)] };
        let (said, _, passed) = run("ls /proc/$$/fd; true", ("A", "b"));
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
        let (said, _, _) = run("grep -E '^Sig(Blk|Ign):' /proc/self/status", ("A", "b"));
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
        let error = spawn(&Spawn {
            path: c"/no/such/program",
            arguments: &[c"program".to_owned()],
            variable: ("A", "b"),
            descriptors: &[],
        })
        .unwrap_err();
        assert!(error.message().contains("/no/such/program"), "{error}");
        assert!(error.message().contains("os error 2"), "{error}");
        let error = spawn(&Spawn {
            path: c"/bin/true",
            arguments: &[],
            variable: ("A", "b"),
            descriptors: &[1_000_000],
        });
        assert_eq!(error.unwrap_err().status(), crate::error::Status::State);
    }

    #[test]
    fn this_program_runs_again() {
        let path = c_path(program::program_path().unwrap()).unwrap();
        let arguments = [path.clone(), c"--list".to_owned(), c"no-such-test".to_owned()];
        let what = Spawn { path: &path, arguments: &arguments, variable: ("A", "b"), descriptors: &[] };
        let pid = spawn(&what).unwrap();
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
