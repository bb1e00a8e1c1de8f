//! Signals of children and of the library's own threads. The library installs no handlers.

/// The largest signal number of Linux.
const LAST: libc::c_int = 64;

/// Blocks every signal in this thread, until it is dropped.
#[derive(Debug)]
pub struct AllBlocked {
    before: libc::sigset_t,
}

impl AllBlocked {
    /// Blocks every signal.
    pub fn new() -> AllBlocked {
        let all = full_set();
        let mut before = empty_set();
        // SAFETY: both sets are live and initialised.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before) };
        AllBlocked { before }
    }
}

impl Default for AllBlocked {
    fn default() -> AllBlocked {
        AllBlocked::new()
    }
}

impl Drop for AllBlocked {
    fn drop(&mut self) {
        // SAFETY: `before` is the mask that was in force.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.before, std::ptr::null_mut()) };
    }
}

fn full_set() -> libc::sigset_t {
    let mut set = empty_set();
    // SAFETY: `set` is live.
    unsafe { libc::sigfillset(&mut set) };
    set
}

fn empty_set() -> libc::sigset_t {
    let mut set = std::mem::MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the set.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        set.assume_init()
    }
}

/// Which dispositions [`reset`] sets back to the default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// Ignored signals only.
    Ignored,
    /// Ignored and caught ones: before exec in a child that still shares its parent's memory.
    All,
}

/// In a child before exec: sets dispositions back. Async-signal-safe.
pub fn reset(which: Reset) {
    for signal in 1..=LAST {
        // SAFETY: all zeroes is a valid sigaction, that of SIG_DFL. libc refuses its own two signals, and the
        // kernel SIGKILL and SIGSTOP: their dispositions stay.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            if libc::sigaction(signal, std::ptr::null(), &mut action) < 0 {
                continue;
            }
            let change = match which {
                Reset::Ignored => action.sa_sigaction == libc::SIG_IGN,
                Reset::All => action.sa_sigaction != libc::SIG_DFL,
            };
            if change {
                let default: libc::sigaction = std::mem::zeroed();
                libc::sigaction(signal, &default, std::ptr::null_mut());
            }
        }
    }
}

/// Empties this thread's signal mask. Async-signal-safe.
pub fn unblock_all() {
    let none = empty_set();
    // SAFETY: the set is live and initialised.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &none, std::ptr::null_mut()) };
}

/// In a pool's worker: leaves Ctrl-C to the parent.
pub fn ignore_interrupt() {
    // SAFETY: all zeroes but the handler is a valid sigaction.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = libc::SIG_IGN;
        libc::sigaction(libc::SIGINT, &action, std::ptr::null_mut());
    }
}

/// Blocks Ctrl-C's signal in this thread, or lets it through again. One that is blocked stays pending although it is
/// ignored, so that a child which heeds it hears of it.
#[link_section = "mp_fork"]
pub fn block_interrupt(block: bool) {
    let how = if block { libc::SIG_BLOCK } else { libc::SIG_UNBLOCK };
    let mut interrupt = empty_set();
    // SAFETY: the set is live and initialised.
    unsafe {
        libc::sigaddset(&mut interrupt, libc::SIGINT);
        libc::pthread_sigmask(how, &interrupt, std::ptr::null_mut());
    }
}

/// In a child of who ignores and has blocked Ctrl-C: does so no more.
#[link_section = "mp_fork"]
pub fn heed_interrupt() {
    // SAFETY: all zeroes is a valid sigaction, that of SIG_DFL.
    unsafe {
        let action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(libc::SIGINT, &action, std::ptr::null_mut());
    }
    block_interrupt(false);
}

/// What the host does about its children's ends, put aside in a process that waits for children itself: where SIGCHLD is
/// ignored the kernel leaves no end to wait for, and a handler of the host's might take it away.
#[derive(Clone, Copy)]
pub struct ChildSignal(libc::sigaction);

impl std::fmt::Debug for ChildSignal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ChildSignal").field(&self.0.sa_sigaction).finish()
    }
}

impl ChildSignal {
    /// Sets SIGCHLD back to the default.
    pub fn put_aside() -> ChildSignal {
        // SAFETY: all zeroes is a valid sigaction, that of SIG_DFL; both are live.
        unsafe {
            let default: libc::sigaction = std::mem::zeroed();
            let mut before = default;
            libc::sigaction(libc::SIGCHLD, &default, &mut before);
            ChildSignal(before)
        }
    }

    /// Sets it to what it was.
    pub fn give_back(&self) {
        // SAFETY: the disposition was in force in the process that this one was forked from.
        unsafe { libc::sigaction(libc::SIGCHLD, &self.0, std::ptr::null_mut()) };
    }
}

/// Runs `f`, whose writes to a pipe or socket without a reader then fail with EPIPE and raise no signal.
pub fn without_sigpipe<R>(f: impl FnOnce() -> R) -> R {
    let mut pipe = empty_set();
    let mut before = empty_set();
    let mut pending = empty_set();
    // SAFETY: the sets are live and initialised.
    let was_pending = unsafe {
        libc::sigaddset(&mut pipe, libc::SIGPIPE);
        libc::sigpending(&mut pending);
        libc::pthread_sigmask(libc::SIG_BLOCK, &pipe, &mut before);
        libc::sigismember(&pending, libc::SIGPIPE) == 1
    };
    let result = f();
    let at_once = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: as above. SIGPIPE goes to the thread that wrote, so that taking it takes only what `f` raised.
    unsafe {
        while !was_pending
            && libc::sigtimedwait(&pipe, std::ptr::null_mut(), &at_once) < 0
            && super::os::errno() == libc::EINTR
        {}
        libc::pthread_sigmask(libc::SIG_SETMASK, &before, std::ptr::null_mut());
    }
    result
}

/// Ends this process by SIGKILL.
pub fn kill_self() -> ! {
    // SAFETY: it ends this process only; the first process of a pid namespace survives its own SIGKILL.
    unsafe {
        libc::kill(libc::getpid(), libc::SIGKILL);
        libc::_exit(128 + libc::SIGKILL)
    }
}

/// Whether the signal is blocked in this thread.
pub fn is_blocked(signal: i32) -> bool {
    let mut now = empty_set();
    // SAFETY: the set is live; without a new one the mask is only read.
    unsafe {
        libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), &mut now);
        libc::sigismember(&now, signal) == 1
    }
}

/// Whether the number is a signal that may be sent.
pub fn is_valid(signal: i32) -> bool {
    (1..=LAST).contains(&signal)
}

/// The name of a signal, as in signal(7).
pub fn name(signal: i32) -> &'static str {
    const NAMES: [(i32, &str); 24] = [
        (libc::SIGHUP, "SIGHUP"),
        (libc::SIGINT, "SIGINT"),
        (libc::SIGQUIT, "SIGQUIT"),
        (libc::SIGILL, "SIGILL"),
        (libc::SIGTRAP, "SIGTRAP"),
        (libc::SIGABRT, "SIGABRT"),
        (libc::SIGBUS, "SIGBUS"),
        (libc::SIGFPE, "SIGFPE"),
        (libc::SIGKILL, "SIGKILL"),
        (libc::SIGUSR1, "SIGUSR1"),
        (libc::SIGSEGV, "SIGSEGV"),
        (libc::SIGUSR2, "SIGUSR2"),
        (libc::SIGPIPE, "SIGPIPE"),
        (libc::SIGALRM, "SIGALRM"),
        (libc::SIGTERM, "SIGTERM"),
        (libc::SIGCHLD, "SIGCHLD"),
        (libc::SIGCONT, "SIGCONT"),
        (libc::SIGSTOP, "SIGSTOP"),
        (libc::SIGXCPU, "SIGXCPU"),
        (libc::SIGXFSZ, "SIGXFSZ"),
        (libc::SIGVTALRM, "SIGVTALRM"),
        (libc::SIGPROF, "SIGPROF"),
        (libc::SIGIO, "SIGIO"),
        (libc::SIGSYS, "SIGSYS"),
    ];
    NAMES.iter().find(|(number, _)| *number == signal).map_or("another signal", |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_blocked_and_given_back() {
        assert!(!is_blocked(libc::SIGUSR1));
        let blocked = AllBlocked::new();
        assert!(is_blocked(libc::SIGUSR1) && is_blocked(libc::SIGTERM));
        drop(blocked);
        assert!(!is_blocked(libc::SIGUSR1));
    }

    /// Runs `check` in a forked child, where dispositions may be changed.
    fn in_child(check: fn() -> bool) {
        // SAFETY: the checks are async-signal-safe.
        unsafe {
            let child = libc::fork();
            if child == 0 {
                libc::_exit(i32::from(!check()));
            }
            let mut status = -1;
            libc::waitpid(child, &mut status, 0);
            assert_eq!(status, 0);
        }
    }

    fn handler(signal: i32) -> usize {
        // SAFETY: without a new action the call only reads.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            libc::sigaction(signal, std::ptr::null(), &mut action);
            action.sa_sigaction
        }
    }

    extern "C" fn nothing(_: libc::c_int) {}

    fn catch(signal: i32) {
        // SAFETY: the handler does nothing; the process is a child of the test.
        unsafe { libc::signal(signal, nothing as *const () as libc::sighandler_t) };
    }

    #[test]
    fn a_broken_pipe_raises_nothing() {
        in_child(|| {
            // SAFETY: a pipe without a reader; Rust's test harness ignores SIGPIPE, this child does not.
            unsafe {
                libc::signal(libc::SIGPIPE, libc::SIG_DFL);
                let mut ends = [0; 2];
                libc::pipe(ends.as_mut_ptr());
                libc::close(ends[0]);
                without_sigpipe(|| libc::write(ends[1], [0u8; 1].as_ptr().cast(), 1) < 0)
            }
        });
    }

    #[test]
    fn ignored_signals_are_reset() {
        in_child(|| {
            ignore_interrupt();
            catch(libc::SIGUSR1);
            let ignored = handler(libc::SIGINT) == libc::SIG_IGN;
            reset(Reset::Ignored);
            ignored && handler(libc::SIGINT) == libc::SIG_DFL && handler(libc::SIGUSR1) != libc::SIG_DFL
        });
    }

    #[test]
    fn caught_signals_are_reset_too_when_asked() {
        in_child(|| {
            catch(libc::SIGUSR1);
            std::mem::forget(AllBlocked::new());
            reset(Reset::All);
            unblock_all();
            handler(libc::SIGUSR1) == libc::SIG_DFL && !is_blocked(libc::SIGUSR1)
        });
    }
}
