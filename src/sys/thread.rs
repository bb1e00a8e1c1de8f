//! Threads. The library's own block all signals and are counted, so that they can be told from the host's; those that
//! run the user's functions are like the host's.

use super::os::{self, SmallText};
use super::procfs;
use super::signal::{self, AllBlocked};
use crate::error::{Error, Result};
use std::borrow::Cow;
use std::cell::Cell;
use std::ffi::{c_void, CStr, CString};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::sync::Arc;

/// The stack of a thread that runs the user's code.
pub const USER_STACK: usize = 8 << 20;
/// The stack of a thread that runs only the library's.
pub const SMALL_STACK: usize = 1 << 20;

/// How many threads of the library run, in the low half; how often that has changed, in the next 16 bits; and the
/// low 16 bits of the pid that counted, for fork leaves threads behind.
static RUNNING: AtomicU64 = AtomicU64::new(0);

/// Threads of the library that are about to leave. One that was joined stays in the kernel's count for some
/// microseconds more.
static LEAVING: [AtomicI32; 16] = [const { AtomicI32::new(0) }; 16];

thread_local! {
    /// The pid in which this thread is the library's; a child forked from it has it as its main thread.
    static LIBRARY_IN: Cell<i32> = const { Cell::new(0) };
}

/// In a forked child: whether the thread that forked it was the library's, with all signals blocked. It is the child's own
/// from now on.
#[link_section = "mp_fork"]
pub fn was_library() -> bool {
    LIBRARY_IN.replace(0) != 0
}

fn pid() -> i32 {
    // SAFETY: getpid cannot fail.
    unsafe { libc::getpid() }
}

fn stamp() -> u64 {
    u64::from(pid() as u32 as u16) << 48
}

fn count(change: i32) {
    let stamp = stamp();
    let _ = RUNNING.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |word| {
        let word = if word >> 48 == stamp >> 48 { word } else { stamp };
        let running = (word as u32).wrapping_add_signed(change);
        let changes = (word >> 32) as u16;
        Some(stamp | u64::from(changes.wrapping_add(1)) << 32 | u64::from(running))
    });
}

/// The word, and how many threads it counts. Each of them is in the kernel's count too: a thread is counted after
/// it was made, and no more before it leaves.
fn running() -> (u64, i32) {
    let word = RUNNING.load(Ordering::SeqCst);
    (word, if word >> 48 == stamp() >> 48 { word as u32 as i32 } else { 0 })
}

/// How many of the threads that said they leave are still there.
fn leaving() -> i32 {
    let there = |entry: &&AtomicI32| {
        let thread = entry.load(Ordering::SeqCst);
        if thread == 0 {
            return false;
        }
        let path = SmallText::<40>::new(format_args!("/proc/self/task/{thread}"));
        // SAFETY: the path ends in NUL.
        let there = unsafe { libc::access(path.as_c_str().as_ptr(), libc::F_OK) } == 0;
        if !there {
            let _ = entry.compare_exchange(thread, 0, Ordering::SeqCst, Ordering::SeqCst);
        }
        there
    };
    LEAVING.iter().filter(there).count() as i32
}

/// How many threads of the host's there are in this process, if /proc tells. A thread of the library that calls
/// this, from a callback, counts as one of the host's. The answer may be too high for an instant, never too low.
#[link_section = "mp_fork"]
pub fn host_threads() -> Option<u32> {
    let caller = i32::from(LIBRARY_IN.with(Cell::get) == pid());
    let mut host = 0;
    for _ in 0..10 {
        let (word, running_before) = running();
        let total = procfs::threads()? as i32;
        let left = leaving();
        if running().0 != word {
            host = total + caller;
            continue;
        }
        host = total - running_before - left + caller;
        if host <= 1 || procfs::threads()? as i32 == total {
            break;
        }
    }
    Some(host.max(1) as u32)
}

/// Whether this process has one thread. By a system call that would change nothing: to ask /proc, a fresh child has to
/// fault in more pages.
#[link_section = "mp_fork"]
pub fn is_only_one() -> bool {
    // SAFETY: a process with one thread shares its thread group with nobody, so that there is nothing to unshare; any
    // other is refused.
    if unsafe { libc::syscall(libc::SYS_unshare, libc::CLONE_THREAD) } == 0 {
        return true;
    }
    // Some sandboxes refuse the call as such.
    os::errno() != libc::EINVAL && host_threads() == Some(1)
}

/// A thread that can be joined. Dropping it does nothing: after a fork the thread does not exist.
#[derive(Debug)]
pub struct Thread {
    id: libc::pthread_t,
    pid: i32,
}

impl Thread {
    /// Waits for its end. In a forked child, and from the thread itself, it returns at once.
    pub fn join(self) {
        // SAFETY: pthread_self cannot fail.
        let own = unsafe { libc::pthread_self() };
        if self.pid == pid() && self.id != own {
            // SAFETY: the thread is joinable, of this process, and joined by value: once.
            unsafe { libc::pthread_join(self.id, std::ptr::null_mut()) };
        }
    }

    /// Joins it if it has left; gives it back while it runs. In a forked child there is none to be joined.
    pub fn try_join(self) -> std::result::Result<(), Thread> {
        // SAFETY: as in `join`; a thread that still runs is not joined by this.
        let runs = self.pid == pid()
            && unsafe { libc::pthread_tryjoin_np(self.id, std::ptr::null_mut()) } == libc::EBUSY;
        if runs {
            Err(self)
        } else {
            Ok(())
        }
    }

    /// From now on nobody joins it: what it leaves goes when it ends.
    pub fn detach(self) {
        if self.pid == pid() {
            // SAFETY: as in `join`: the thread was neither joined nor detached before.
            unsafe { libc::pthread_detach(self.id) };
        }
    }
}

/// Starts a thread that can, and must, be joined. `body` must not panic.
pub fn start_joinable(
    name: &'static CStr,
    stack: usize,
    body: impl FnOnce() + Send + 'static,
) -> Result<Thread> {
    start(stack, false, Start::of_library(name, body)).map(|id| Thread { id, pid: pid() })
}

/// Starts a thread that runs the user's code, and must be joined or detached. It has the signal mask of the thread
/// that starts it, none if that is the library's, and counts as one of the host's. `body` must not panic.
pub fn start_for_user(name: &str, body: impl FnOnce() + Send + 'static) -> Result<Thread> {
    // A name ends at a NUL, if there is one.
    let name = name.split('\0').next().unwrap_or_default();
    let name = Cow::Owned(CString::new(name).unwrap_or_default());
    let by_library = LIBRARY_IN.get() == pid();
    let body = move || {
        if by_library {
            signal::unblock_all();
        }
        body();
    };
    start(USER_STACK, false, Start { name, counted: None, body: Box::new(body) })
        .map(|id| Thread { id, pid: pid() })
}

/// Starts a thread that nobody joins. `body` must not panic.
pub fn start_detached(name: &'static CStr, stack: usize, body: impl FnOnce() + Send + 'static) -> Result<()> {
    start(stack, true, Start::of_library(name, body)).map(|_| ())
}

/// What the kernel's `sched_attr` is; libc has no name for it.
#[repr(C)]
#[derive(Default)]
struct SchedulingAttributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
    clamps: [u32; 2],
}

/// Asks the scheduler for short slices of time, in nanoseconds, for this thread: who works for some microseconds at a
/// time is then let in at once, beside those that compute. Best effort: Linux knows it since 6.12.
pub fn ask_for_short_slices(nanoseconds: u64) {
    let mut now = SchedulingAttributes::default();
    let size = size_of::<SchedulingAttributes>() as u32;
    // SAFETY: `now` has room for `size` bytes; 0 is this thread.
    let read = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut now, size, 0) };
    // Only among ordinary threads; the policy and the niceness stay.
    if read == 0 && matches!(now.policy as i32, libc::SCHED_OTHER | libc::SCHED_BATCH) {
        now.size = size;
        now.runtime = nanoseconds;
        // SAFETY: `now` is live and as long as it says.
        unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const now, 0) };
    }
}

/// Whether a new thread was counted: by itself or by its maker, whoever comes first.
#[derive(Clone, Default)]
struct Counted(Arc<AtomicBool>);

impl Counted {
    fn now(&self) {
        if !self.0.swap(true, Ordering::SeqCst) {
            count(1);
        }
    }
}

struct Start {
    name: Cow<'static, CStr>,
    /// `None` if it is not to be counted as the library's.
    counted: Option<Counted>,
    body: Box<dyn FnOnce() + Send>,
}

impl Start {
    fn of_library(name: &'static CStr, body: impl FnOnce() + Send + 'static) -> Start {
        Start { name: Cow::Borrowed(name), counted: Some(Counted::default()), body: Box::new(body) }
    }
}

fn start(stack: usize, detached: bool, what: Start) -> Result<libc::pthread_t> {
    let (name, counted) = (what.name.clone(), what.counted.clone());
    let what = Box::into_raw(Box::new(what));
    // A new thread begins with the mask of the thread that makes it.
    let blocked = counted.as_ref().map(|_| AllBlocked::new());
    let created = create(stack, detached, what.cast());
    if let (Ok(_), Some(counted)) = (&created, counted) {
        counted.now();
    }
    drop(blocked);
    created.map_err(|errno| {
        // SAFETY: no thread was made, so that the box is still this function's.
        drop(unsafe { Box::from_raw(what) });
        Error::from_errno(format_args!("starting the thread {}", name.to_string_lossy()), errno)
    })
}

fn create(stack: usize, detached: bool, arg: *mut c_void) -> std::result::Result<libc::pthread_t, i32> {
    let mut attributes = std::mem::MaybeUninit::<libc::pthread_attr_t>::uninit();
    let mut id = std::mem::MaybeUninit::<libc::pthread_t>::uninit();
    // SAFETY: the attributes are initialised before they are used, and destroyed after; `arg` is the boxed body
    // that `run` expects, and the new thread its only user.
    unsafe {
        libc::pthread_attr_init(attributes.as_mut_ptr());
        libc::pthread_attr_setstacksize(attributes.as_mut_ptr(), stack);
        if detached {
            libc::pthread_attr_setdetachstate(attributes.as_mut_ptr(), libc::PTHREAD_CREATE_DETACHED);
        }
        let errno = libc::pthread_create(id.as_mut_ptr(), attributes.as_ptr(), run, arg);
        libc::pthread_attr_destroy(attributes.as_mut_ptr());
        if errno == 0 {
            Ok(id.assume_init())
        } else {
            Err(errno)
        }
    }
}

extern "C" fn run(arg: *mut c_void) -> *mut c_void {
    // SAFETY: `start` made `arg` from a box and gave it up.
    let Start { name, counted, body } = *unsafe { Box::from_raw(arg.cast::<Start>()) };
    // SAFETY: the name ends in NUL; the kernel cuts it to 15 bytes.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
    drop(name);
    let Some(counted) = counted else {
        body();
        return std::ptr::null_mut();
    };
    counted.now();
    // A child forked while this thread runs finds nothing of it on the heap.
    drop(counted);
    LIBRARY_IN.with(|library| library.set(pid()));
    body();
    count(-1);
    // SAFETY: gettid cannot fail.
    let thread = unsafe { libc::syscall(libc::SYS_gettid) as i32 };
    let _ =
        LEAVING.iter().find(|e| e.compare_exchange(0, thread, Ordering::SeqCst, Ordering::SeqCst).is_ok());
    std::ptr::null_mut()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_with_short_slices_stays_ordinary() {
        std::thread::spawn(|| {
            ask_for_short_slices(100_000);
            let mut now = SchedulingAttributes::default();
            let size = size_of::<SchedulingAttributes>() as u32;
            // SAFETY: `now` has room for `size` bytes.
            assert_eq!(unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut now, size, 0) }, 0);
            assert_eq!((now.policy as i32, now.nice, now.priority), (libc::SCHED_OTHER, 0, 0));
        })
        .join()
        .unwrap();
    }
    use crate::sys::signal;
    use crate::sys::testing::alone;
    use std::sync::mpsc;

    #[test]
    fn a_thread_is_named_and_blocks_signals() {
        let (send, receive) = mpsc::channel();
        let thread = start_joinable(c"mp-test", SMALL_STACK, move || {
            let mut name = [0u8; 16];
            // SAFETY: the buffer has the 16 bytes that the kernel writes.
            unsafe { libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr()) };
            let blocked = signal::is_blocked(libc::SIGINT) && signal::is_blocked(libc::SIGUSR1);
            send.send((CStr::from_bytes_until_nul(&name).unwrap().to_owned(), blocked)).unwrap();
        })
        .unwrap();
        thread.join();
        assert_eq!(receive.recv().unwrap(), (c"mp-test".to_owned(), true));
        assert!(!signal::is_blocked(libc::SIGUSR1));
    }

    #[test]
    fn a_thread_for_the_user_has_its_makers_mask_and_a_name() {
        let (send, receive) = mpsc::channel();
        let look = move || {
            let name = std::fs::read_to_string("/proc/thread-self/comm").unwrap();
            send.send((name, signal::is_blocked(libc::SIGUSR1), signal::is_blocked(libc::SIGINT))).unwrap();
        };
        let blocked = AllBlocked::new();
        start_for_user("a name that is too long", look.clone()).unwrap().join();
        drop(blocked);
        let mut thread = start_for_user("cut\0here", look).unwrap();
        while let Err(running) = thread.try_join() {
            thread = running;
        }
        assert_eq!(receive.recv().unwrap(), ("a name that is \n".to_owned(), true, true));
        assert_eq!(receive.recv().unwrap(), ("cut\n".to_owned(), false, false));
        let (send, receive) = mpsc::channel();
        start_for_user("detached", move || send.send(5).unwrap()).unwrap().detach();
        assert_eq!(receive.recv().unwrap(), 5);
    }

    #[test]
    fn a_detached_thread_runs() {
        let (send, receive) = mpsc::channel();
        start_detached(c"mp-test", USER_STACK, move || send.send(5).unwrap()).unwrap();
        assert_eq!(receive.recv().unwrap(), 5);
    }

    #[test]
    fn a_stack_that_cannot_be_had_is_an_error() {
        assert!(start_joinable(c"mp-test", usize::MAX / 2, || ()).is_err());
    }

    #[test]
    fn threads_of_the_host_are_told_from_the_librarys() {
        let ended = alone("sys::thread::tests::threads_of_the_host_are_told_from_the_librarys", || {
            let host = host_threads().unwrap();
            let (send, receive) = mpsc::channel::<()>();
            let waiting =
                start_joinable(c"mp-test", SMALL_STACK, move || assert!(receive.recv().is_err())).unwrap();
            assert_eq!(host_threads(), Some(host));
            let from_library = move || assert_eq!(host_threads(), Some(host + 1));
            start_joinable(c"mp-test", SMALL_STACK, from_library).unwrap().join();
            assert_eq!(host_threads(), Some(host));
            drop(send);
            waiting.join();
            assert_eq!(host_threads(), Some(host));
            std::thread::spawn(move || assert_eq!(host_threads(), Some(host + 1))).join().unwrap();
            start_for_user("user", move || assert_eq!(host_threads(), Some(host + 1))).unwrap().join();
        });
        assert!(ended.success());
    }

    #[test]
    fn in_a_forked_child_there_are_none() {
        let ended = alone("sys::thread::tests::in_a_forked_child_there_are_none", || {
            let (send, receive) = mpsc::channel::<()>();
            let waiting =
                start_joinable(c"mp-test", SMALL_STACK, move || assert!(receive.recv().is_err())).unwrap();
            // SAFETY: the child only reads a file, counts and exits.
            unsafe {
                let child = libc::fork();
                if child == 0 {
                    libc::_exit(i32::from(running().1 != 0 || host_threads() != Some(1)));
                }
                let mut status = -1;
                libc::waitpid(child, &mut status, 0);
                assert_eq!(status, 0);
            }
            drop(send);
            waiting.join();
        });
        assert!(ended.success());
    }
}
