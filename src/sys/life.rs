//! Dying with the parent: a pipe whose write end only the parent holds. A child asks the kernel to be sent SIGKILL
//! when that end closes, which is when the parent has ended, in whatever way. No thread waits for it.

use super::descriptors::{self, Place};
use super::fork::{Handlers, LocalLock};
use super::held::Held;
use super::{os, parent};
use crate::error::{Error, Result};
use std::cell::Cell;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

#[derive(Debug)]
struct Life {
    /// The two ends of this process's own pipe.
    read: Option<Held>,
    write: Option<Held>,
    /// In a fresh child: the read end of its parent's pipe.
    inherited: Option<Held>,
    /// What this process watches its parent by.
    watched: Option<Held>,
    /// Whom the child that is being forked will watch.
    expected: Expected,
}

#[link_section = "mp_fork_data"]
static LIFE: LocalLock<Life> = LocalLock::new(Life {
    read: None,
    write: None,
    inherited: None,
    watched: None,
    expected: Expected::Nobody,
});

/// Whom a child that is about to be forked will watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Nobody,
    /// This process.
    Parent,
    /// The one that this process watches itself, of which the child will be a child too.
    Grandparent,
}

#[link_section = "mp_fork_data"]
static HANDLERS: Handlers = Handlers::new();

thread_local! {
    /// Whom the child that this thread is about to fork will watch.
    static EXPECTING: Cell<Expected> = const { Cell::new(Expected::Nobody) };
}

/// Registers the fork handlers, which close the write end in every child. To be called when the library is first
/// used, while the program has hardly any threads: a fork that is under way at that moment misses them.
pub fn register() {
    HANDLERS.register(prepare, in_parent, in_child);
}

#[link_section = "mp_fork"]
extern "C" fn prepare() {
    if HANDLERS.begin(|| LIFE.hold_over_fork()) {
        // SAFETY: this thread has just taken the lock.
        unsafe { LIFE.held() }.expected = EXPECTING.get();
    }
}

#[link_section = "mp_fork"]
extern "C" fn in_parent() {
    if HANDLERS.end_in_parent() {
        LIFE.release_after_fork();
    }
}

#[link_section = "mp_fork"]
extern "C" fn in_child() {
    if !HANDLERS.end_in_child() {
        return;
    }
    // SAFETY: the thread that forked took the lock in `prepare`, and is the only one here.
    let life = unsafe { LIFE.held() };
    let read = life.read.take();
    let watched = life.watched.take();
    let (kept, unwanted) = match life.expected {
        Expected::Nobody => (None, [read, watched]),
        Expected::Parent => (read, [watched, None]),
        Expected::Grandparent => (watched, [read, None]),
    };
    let dropped = [life.write.take(), life.inherited.take(), unwanted[0], unwanted[1]];
    for held in dropped.into_iter().flatten() {
        held.close();
    }
    life.inherited = kept;
    LIFE.release_after_fork();
}

/// The read end of this process's pipe, which children watch; a spawned one is passed this descriptor. The pipe is
/// made at the first call, and anew when the host has closed it.
pub fn read_end() -> Result<RawFd> {
    register();
    let mut life = LIFE.lock();
    if let (Some(read), Some(write)) = (life.read, life.write) {
        if read.is_ours() && write.is_ours() {
            return Ok(read.fd);
        }
    }
    let [read, write] = new_pipe()?;
    // Both or none: a read end whose writer is gone would kill whoever watches it.
    let before = [life.read.replace(read), life.write.replace(write)];
    before.into_iter().flatten().for_each(Held::close);
    Ok(read.fd)
}

fn new_pipe() -> Result<[Held; 2]> {
    let mut ends = [0; 2];
    // SAFETY: room for two descriptors.
    if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } < 0 {
        return Err(Error::system("pipe2"));
    }
    // SAFETY: both were just made and belong to nobody else.
    let [read, write] = ends.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
    // A child opens the pipe again, perhaps as another user: the host may have given up its rights meanwhile. Only who
    // holds the descriptor gets as far as that.
    // SAFETY: an open descriptor and a number.
    if unsafe { libc::fchmod(read.as_raw_fd(), 0o444) } < 0 {
        return Err(Error::system("fchmod of a pipe"));
    }
    let [read, write] = [os::above_stdio(read)?, os::above_stdio(write)?];
    let held = [Held::new(read), Held::new(write)];
    match held {
        [Some(read), Some(write)] => Ok([read, write]),
        _ => {
            held.into_iter().flatten().for_each(Held::close);
            Err(Error::system("fstat of a pipe"))
        }
    }
}

/// What this process watches its parent by.
pub fn watched() -> Option<RawFd> {
    LIFE.lock().watched.filter(Held::is_ours).map(|watched| watched.fd)
}

/// In a child with one thread: moves each descriptor whose number a place has.
pub fn make_way(places: &[Place]) -> Result<()> {
    let life = &mut *LIFE.lock();
    for held in
        [&mut life.read, &mut life.write, &mut life.inherited, &mut life.watched].into_iter().flatten()
    {
        if descriptors::is_wanted(places, held.fd) && held.is_ours() {
            held.fd = descriptors::copy_aside(held.fd, places)
                .map_err(|errno| Error::from_errno("moving a parent's pipe", errno))?;
        }
    }
    // What is moved would else be closed by exec.
    life.watched.map_or(Ok(()), |watched| parent::keep_over_exec(watched.fd))
}

/// Runs `fork`, whose child will call [`watch_inherited`]. The read end must exist: [`read_end`].
pub fn expecting<R>(fork: impl FnOnce() -> R) -> R {
    expecting_to(Expected::Parent, fork)
}

/// The same for a child that will watch the one that this process watches, and whose child it will be as well.
pub fn expecting_as_sibling<R>(fork: impl FnOnce() -> R) -> R {
    expecting_to(Expected::Grandparent, fork)
}

fn expecting_to<R>(whom: Expected, fork: impl FnOnce() -> R) -> R {
    EXPECTING.set(whom);
    let result = fork();
    EXPECTING.set(Expected::Nobody);
    result
}

/// In a child forked by [`expecting`]: from now on it dies with its parent; at once if that has ended already.
pub fn watch_inherited() -> Result<()> {
    let inherited = LIFE.lock().inherited.take();
    match inherited {
        Some(read) if read.is_ours() => watch(read.fd),
        _ => Err(Error::internal("the child was forked without its parent's pipe")),
    }
}

/// In a program: goes on with what [`parent::Passed::watch`] began, or does what that could not.
pub fn watch_passed(fd: RawFd) -> Result<()> {
    if !parent::is_watched_by(fd) {
        return watch(fd);
    }
    register();
    // SAFETY: the descriptor was passed for this call only.
    keep(unsafe { OwnedFd::from_raw_fd(fd) });
    Ok(())
}

/// In a child: as [`watch_inherited`], by the descriptor that the parent passed.
pub fn watch(read_end: RawFd) -> Result<()> {
    register();
    // SAFETY: the descriptor was passed for this call only.
    let passed = unsafe { OwnedFd::from_raw_fd(read_end) };
    keep(parent::watch(passed)?);
    Ok(())
}

fn keep(own: OwnedFd) {
    let previous = std::mem::replace(&mut LIFE.lock().watched, Held::new(own));
    previous.into_iter().for_each(Held::close);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::clock::Deadline;

    const WATCHDOG: i64 = 30_000_000_000;

    fn pipe() -> [OwnedFd; 2] {
        let mut ends = [0; 2];
        // SAFETY: room for two descriptors, which then belong to the caller.
        unsafe {
            assert_eq!(libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC), 0);
            ends.map(|fd| OwnedFd::from_raw_fd(fd))
        }
    }

    /// Says one byte and sleeps; a forgotten process ends by itself.
    fn say_and_sleep(status: &OwnedFd, byte: u8) -> ! {
        // SAFETY: async-signal-safe calls only.
        unsafe {
            libc::write(status.as_raw_fd(), (&raw const byte).cast(), 1);
            loop {
                libc::pause();
            }
        }
    }

    fn hear(status: &OwnedFd) -> Option<u8> {
        let mut byte = [0];
        assert_ne!(os::poll(status.as_raw_fd(), libc::POLLIN, Deadline::after(WATCHDOG)), 0, "watchdog");
        (os::read(status.as_raw_fd(), &mut byte).unwrap() == 1).then_some(byte[0])
    }

    fn fork(child: impl FnOnce()) -> i32 {
        // SAFETY: libc's fork leaves the child's allocator usable; the children run nothing else of the tests.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            // SAFETY: a child that hangs ends by itself.
            unsafe { libc::alarm(120) };
            child();
            // SAFETY: ends the child.
            unsafe { libc::_exit(1) };
        }
        assert!(pid > 0);
        pid
    }

    fn close(fd: &OwnedFd) {
        // SAFETY: only for children, which never drop the value.
        unsafe { libc::close(fd.as_raw_fd()) };
    }

    fn kill(pid: i32) {
        // SAFETY: a child of the test.
        unsafe {
            libc::kill(pid, libc::SIGKILL);
            libc::waitpid(pid, std::ptr::null_mut(), 0);
        }
    }

    #[test]
    fn a_watching_child_dies_with_its_parent() {
        let [status, say] = pipe();
        let [wait, go] = pipe();
        let parent = fork(|| {
            read_end().unwrap();
            expecting(|| {
                fork(|| {
                    close(&go);
                    watch_inherited().unwrap();
                    say_and_sleep(&say, b'c');
                })
            });
            // Another child of the parent, of the host's making, outlives it and does not keep the pipe open.
            fork(|| {
                close(&say);
                close(&go);
                let _ = os::read(wait.as_raw_fd(), &mut [0]);
            });
            close(&say);
            close(&go);
            loop {
                // SAFETY: waits for SIGKILL.
                unsafe { libc::pause() };
            }
        });
        drop(say);
        assert_eq!(hear(&status), Some(b'c'));
        kill(parent);
        assert_eq!(hear(&status), None);
        drop(go);
    }

    #[test]
    fn a_parent_that_has_ended_is_noticed_at_the_start() {
        let [status, say] = pipe();
        let [wait, go] = pipe();
        let parent = fork(|| {
            read_end().unwrap();
            expecting(|| {
                fork(|| {
                    close(&go);
                    let mut byte = [0];
                    // Comes back when the test has let go of the other end.
                    os::read(wait.as_raw_fd(), &mut byte).unwrap();
                    watch_inherited().unwrap();
                    say_and_sleep(&say, b'c');
                })
            });
        });
        drop(say);
        // SAFETY: waits for the parent, which leaves at once.
        unsafe { libc::waitpid(parent, std::ptr::null_mut(), 0) };
        drop(go);
        assert_eq!(hear(&status), None);
    }

    #[test]
    fn a_child_of_the_hosts_keeps_no_end() {
        let status = fork(|| {
            let read = read_end().unwrap();
            let write = LIFE.lock().write.unwrap().fd;
            let child = fork(|| {
                let open = os::file_of(read).is_some() || os::file_of(write).is_some();
                // SAFETY: ends the child.
                unsafe { libc::_exit(i32::from(open)) };
            });
            let mut status = -1;
            // SAFETY: the child made here; then this process ends.
            unsafe {
                libc::waitpid(child, &mut status, 0);
                let same = read_end().unwrap() == read;
                libc::_exit(i32::from(status != 0 || !same));
            }
        });
        let mut result = -1;
        // SAFETY: the child made here.
        unsafe { libc::waitpid(status, &mut result, 0) };
        assert_eq!(result, 0);
    }

    #[test]
    fn a_pipe_that_the_host_closed_is_made_anew() {
        let child = fork(|| {
            let read = read_end().unwrap();
            // SAFETY: what a host does that closes everything.
            unsafe {
                libc::close(read);
                let again = read_end().unwrap();
                libc::_exit(i32::from(os::file_of(again).is_none()));
            }
        });
        let mut status = -1;
        // SAFETY: the child made here.
        unsafe { libc::waitpid(child, &mut status, 0) };
        assert_eq!(status, 0);
    }

    #[test]
    fn a_pipe_that_can_be_made_by_half_is_not_made() {
        let child = fork(|| {
            let limit = libc::rlimit { rlim_cur: 64, rlim_max: 64 };
            // SAFETY: this child's own descriptors: of the numbers below the limit 0, 1 and 63 are free in the end.
            unsafe {
                libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
                while libc::dup(2) >= 0 {}
                [0, 1, 63].into_iter().for_each(descriptors::close);
            }
            assert!(read_end().is_err());
            assert!(os::file_of(63).is_none());
            // SAFETY: as above.
            unsafe { libc::close(62) };
            let read = read_end().unwrap();
            // It has a writer.
            let ended = os::poll(read, 0, Deadline::Now);
            // SAFETY: ends the child.
            unsafe { libc::_exit(i32::from(ended != 0)) };
        });
        let mut status = -1;
        // SAFETY: the child made here.
        unsafe { libc::waitpid(child, &mut status, 0) };
        assert_eq!(status, 0);
    }
}
