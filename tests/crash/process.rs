//! Processes as the tests need them: plain fork, signals, waiting with a limit, and words that are shared without
//! the library under test.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Code(i32),
    Signal(i32),
}

/// A child of this process.
#[derive(Debug)]
pub struct Child {
    pub pid: i32,
}

/// Runs `body` and leaves: 0 if it returns, 101 if it panics.
pub fn run_and_exit(body: impl FnOnce()) -> ! {
    let code = if catch_unwind(AssertUnwindSafe(body)).is_ok() { 0 } else { 101 };
    exit_now(code)
}

/// Leaves without exit handlers.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::_exit(code) }
}

/// Forks; the child runs `body` and leaves. Fork handlers run as in every host.
pub fn fork(body: impl FnOnce()) -> Child {
    // SAFETY: the tests' processes fork from their only thread, or run nothing in the child that needs another.
    match unsafe { libc::fork() } {
        0 => run_and_exit(body),
        pid => {
            assert!(pid > 0, "fork failed: {}", std::io::Error::last_os_error());
            Child { pid }
        }
    }
}

/// Makes a child past libc and its fork handlers.
pub fn raw_clone(body: impl FnOnce()) -> Child {
    // SAFETY: without CLONE_VM this is fork without libc's part; the child runs little and leaves by _exit.
    match unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) } {
        0 => run_and_exit(body),
        pid => {
            assert!(pid > 0);
            Child { pid: pid as i32 }
        }
    }
}

impl Child {
    /// Waits for its end.
    pub fn wait(&self) -> Exit {
        let mut status = 0;
        loop {
            // SAFETY: waits for one child into a live integer.
            let pid = unsafe { libc::waitpid(self.pid, &mut status, 0) };
            if pid == self.pid {
                return exit_of(status);
            }
            assert_eq!(std::io::Error::last_os_error().raw_os_error(), Some(libc::EINTR));
        }
    }

    /// Waits for its end, which must be a good one.
    #[track_caller]
    pub fn succeeds(&self) {
        assert_eq!(self.wait(), Exit::Code(0), "the child failed");
    }

    /// Waits for its end, which must be by SIGKILL.
    #[track_caller]
    pub fn was_killed(&self) {
        assert_eq!(self.wait(), Exit::Signal(libc::SIGKILL));
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: i32) {
        // SAFETY: the child has not been waited for, so the pid is its.
        unsafe { libc::kill(self.pid, signal) };
    }

    /// Kills it and waits for its end, leaving nothing of it.
    pub fn kill(&self) {
        self.signal(libc::SIGKILL);
        self.was_killed();
    }

    /// Waits until it sleeps in the kernel.
    pub fn sleeps(&self) {
        wait_until("the child sleeps", || state_of(self.pid) == Some('S'));
    }

    /// Waits until it is stopped.
    pub fn is_stopped(&self) {
        wait_until("the child is stopped", || state_of(self.pid) == Some('T'));
    }
}

fn exit_of(status: i32) -> Exit {
    if libc::WIFSIGNALED(status) {
        Exit::Signal(libc::WTERMSIG(status))
    } else {
        Exit::Code(libc::WEXITSTATUS(status))
    }
}

/// The letter of a process's state in /proc.
pub fn state_of(pid: i32) -> Option<char> {
    let line = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    line[line.rfind(')')? + 2..].chars().next()
}

/// Looks again and again until it is so; the watchdog is the limit.
#[track_caller]
pub fn wait_until(what: &str, mut so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < Duration::from_secs(20), "{what}: not in 20 s");
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// Words shared with all later children by plain mmap.
#[derive(Clone, Copy)]
pub struct Words(&'static [AtomicU32; 1024]);

impl Words {
    pub fn new() -> Words {
        // SAFETY: a new anonymous mapping of a page, zeroed, aligned, never unmapped; atomics may be shared.
        unsafe {
            let page = libc::mmap(
                std::ptr::null_mut(),
                4096,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            );
            assert_ne!(page, libc::MAP_FAILED);
            Words(&*page.cast())
        }
    }

    pub fn get(self, i: usize) -> u32 {
        self.0[i].load(Ordering::SeqCst)
    }

    pub fn set(self, i: usize, value: u32) {
        self.0[i].store(value, Ordering::SeqCst);
    }

    pub fn add(self, i: usize, value: u32) -> u32 {
        self.0[i].fetch_add(value, Ordering::SeqCst) + value
    }

    /// Waits until the word has this value.
    #[track_caller]
    pub fn reaches(self, i: usize, value: u32) {
        wait_until(&format!("word {i} becomes {value}"), || self.get(i) == value);
    }
}

/// Sleeps for so many milliseconds.
pub fn nap(milliseconds: u64) {
    std::thread::sleep(Duration::from_millis(milliseconds));
}

/// A small deterministic source of numbers (splitmix64), for test patterns.
pub struct Numbers(pub u64);

impl Numbers {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}
