//! C's stdio around a fork: what the parent wrote is written once, and what the child wrote is not lost.

use super::clock::Deadline;
use super::futex;
use super::os;
use super::signal;
use super::thread;
use std::ffi::c_void;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::Arc;

extern "C" {
    #[link_name = "stdin"]
    static STDIN: *mut libc::FILE;
    #[link_name = "stdout"]
    static STDOUT: *mut libc::FILE;
    #[link_name = "stderr"]
    static STDERR: *mut libc::FILE;
    fn ftrylockfile(file: *mut libc::FILE) -> libc::c_int;
    fn funlockfile(file: *mut libc::FILE);
    fn clearerr(file: *mut libc::FILE);
    fn __fpurge(file: *mut libc::FILE);
    fn __fpending(file: *mut libc::FILE) -> libc::size_t;
}

fn standard() -> [*mut libc::FILE; 2] {
    // SAFETY: the C library sets both before main; a program that assigns to them does so before it has threads.
    unsafe { [STDOUT, STDERR] }
}

/// Flushes one stream, unless another thread is inside it.
fn flush_if_free(file: *mut libc::FILE) -> bool {
    // SAFETY: `file` is stdout or stderr, which are never freed, or the list of streams is locked; the lock is recursive and released here.
    unsafe {
        if file.is_null() || ftrylockfile(file) != 0 {
            return false;
        }
        libc::fflush(file);
        funlockfile(file);
    }
    true
}

fn flush_all() {
    // SAFETY: NULL means all streams.
    unsafe { libc::fflush(std::ptr::null_mut()) };
}

/// What could be flushed before a fork.
#[derive(Debug)]
#[must_use = "the child must drop what the parent will write: after_fork_in_child"]
pub struct Flushed {
    everything: bool,
    standard: [bool; 2],
    streams: Option<Streams>,
}

/// Before a fork: flushes stdout and stderr, unless another thread is inside them, and all streams where the
/// host has one thread (`alone`): beside a thread that waits in getchar, flushing all would wait too. Keeps errno.
pub fn flush_before_fork(alone: bool) -> Flushed {
    let flush = || {
        if alone {
            flush_all();
            return Flushed { everything: true, standard: [true; 2], streams: None };
        }
        Flushed { everything: false, standard: standard().map(flush_if_free), streams: Streams::find() }
    };
    os::keep_errno(|| signal::without_sigpipe(flush))
}

/// In the forked child, first: drops the copies of what the parent had written but could not flush. The parent
/// writes it, and the child's own flush would write it again.
#[link_section = "mp_fork"]
pub fn after_fork_in_child(flushed: &Flushed) {
    if flushed.everything {
        return;
    }
    for (file, done) in standard().into_iter().zip(flushed.standard) {
        if !done && !file.is_null() {
            // SAFETY: the stream is valid, and fork has left the child with no other thread and unlocked streams.
            unsafe { __fpurge(file) };
        }
    }
    if let Some(streams) = &flushed.streams {
        // Streams in memory are the child's own copies; only those with a descriptor are the parent's to write.
        // SAFETY: the child has one thread.
        unsafe {
            streams.each(|file| {
                if __fpending(file) > 0 && libc::fileno(file) >= 0 {
                    __fpurge(file);
                }
            });
        }
    }
}

/// In a forked child where this number has another file than in its parent: its standard stream, if it is one's,
/// forgets what it had read and every error.
pub fn begin_anew(fd: RawFd) {
    // SAFETY: the C library sets the three before main.
    let streams = unsafe { [STDIN, STDOUT, STDERR] };
    let Some(&stream) = usize::try_from(fd).ok().and_then(|at| streams.get(at)) else { return };
    if !stream.is_null() {
        // SAFETY: the stream is valid, and the child has one thread. Nothing is unwritten in it: what the parent had
        // written was flushed or dropped.
        unsafe {
            __fpurge(stream);
            clearerr(stream);
        }
    }
}

/// glibc's list of all streams. The three names and the place of the link are part of its ABI, for its macros
/// once used them; another C library has no such list.
#[derive(Clone, Copy, Debug)]
struct Streams {
    first: *const *mut libc::FILE,
    lock: unsafe extern "C" fn(),
    unlock: unsafe extern "C" fn(),
}

/// The link to the next stream stands after an int and twelve pointers.
const CHAIN: usize = 13;
/// Where what is to be written begins: after an int and three pointers.
const WRITE: usize = 4;
/// The orientation, counted in ints.
const MODE: usize = 48;

/// What [`Streams::look_up`] found: 0 while nobody has looked, [`NOWHERE`] if there is no such thing.
static FOUND: [AtomicUsize; 3] = [const { AtomicUsize::new(0) }; 3];
const NOWHERE: usize = 1;

/// Finds what is needed at a later fork. The loader's lock, which this takes, would stay locked in the child of a fork
/// that happens meanwhile: so once, as long as the host has hardly any threads.
pub fn look_around() {
    Streams::find();
}

impl Streams {
    fn find() -> Option<Streams> {
        if FOUND[2].load(Ordering::Acquire) == 0 {
            let found = Streams::look_up().unwrap_or([NOWHERE; 3]);
            FOUND.iter().zip(found).for_each(|(place, address)| place.store(address, Ordering::Release));
        }
        let [first, lock, unlock] = [0, 1, 2].map(|at: usize| FOUND[at].load(Ordering::Relaxed));
        if first == NOWHERE {
            return None;
        }
        // SAFETY: the two are functions without arguments and results.
        let [lock, unlock] = unsafe {
            [lock, unlock]
                .map(|f| std::mem::transmute::<*mut c_void, unsafe extern "C" fn()>(f as *mut c_void))
        };
        Some(Streams { first: first as *const *mut libc::FILE, lock, unlock })
    }

    fn look_up() -> Option<[usize; 3]> {
        if !cfg!(all(target_env = "gnu", target_pointer_width = "64")) {
            return None;
        }
        // SAFETY: the names end in NUL; the answers are NULL or the addresses of what has these names.
        let found = [c"_IO_list_all", c"_IO_list_lock", c"_IO_list_unlock"]
            .map(|name| unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) } as usize);
        found.iter().all(|&address| address != 0).then_some(found)
    }

    /// Whether no stream has anything to write.
    ///
    /// # Safety
    /// As for `each`.
    #[link_section = "mp_fork"]
    unsafe fn is_all_written(&self) -> bool {
        // SAFETY: as in `each`. After the int and three pointers for reading stand where what is to be written begins,
        // and where it ends; the int for the orientation is negative or zero for streams of bytes.
        unsafe {
            let mut file = *self.first;
            while !file.is_null() {
                let words = file.cast::<usize>();
                let (begin, end) = (*words.add(WRITE), *words.add(WRITE + 1));
                if end > begin || *file.cast::<i32>().add(MODE) > 0 {
                    return false;
                }
                file = *file.cast::<*mut libc::FILE>().add(CHAIN);
            }
        }
        true
    }

    /// Calls `see` with each stream.
    ///
    /// # Safety
    /// No other thread runs, or the list's lock is held.
    unsafe fn each(&self, mut see: impl FnMut(*mut libc::FILE)) {
        // SAFETY: the variable points at the first stream and each stream at the next, until NULL.
        unsafe {
            let mut file = *self.first;
            while !file.is_null() {
                see(file);
                file = *file.cast::<*mut libc::FILE>().add(CHAIN);
            }
        }
    }

    /// Flushes each stream that no thread is inside.
    fn flush_free(&self) {
        // SAFETY: with the lock held no stream is opened or closed.
        unsafe {
            (self.lock)();
            self.each(|file| {
                flush_if_free(file);
            });
            (self.unlock)();
        }
    }
}

/// Whether no stream has anything that is not written yet, where that can be seen: which spares a fresh child the pages
/// that a flush takes. Only in a process with one thread.
#[link_section = "mp_fork"]
fn is_all_written() -> bool {
    let known = if FOUND[2].load(Ordering::Acquire) == 0 { None } else { Streams::find() };
    // SAFETY: there is one thread.
    known.is_some_and(|streams| unsafe { streams.is_all_written() })
}

const AT_END: i64 = 1_000_000_000;

/// At the end of a forked child, before `_exit`: flushes all streams. Where the user left threads behind, one of
/// them may sit in a stream for ever; such a stream is left out, and what can't be flushed in a second given up.
#[link_section = "mp_fork"]
pub fn flush_at_end() {
    if thread::is_only_one() {
        if !is_all_written() {
            signal::without_sigpipe(flush_all);
        }
        return;
    }
    signal::without_sigpipe(|| {
        let _ = standard().map(flush_if_free);
    });
    let done = Arc::new(AtomicU32::new(0));
    let flusher = done.clone();
    let started = thread::start_detached(c"mp-flush", thread::SMALL_STACK, move || {
        match Streams::find() {
            Some(streams) => streams.flush_free(),
            None => flush_all(),
        }
        flusher.store(1, Ordering::Release);
        futex::wake(&flusher, 1);
    });
    let deadline = Deadline::after(AT_END);
    while started.is_ok() && done.load(Ordering::Acquire) == 0 && !deadline.passed() {
        futex::wait(&done, 0, deadline);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::testing::alone;

    struct TestFile(*mut libc::FILE);

    impl TestFile {
        fn new() -> TestFile {
            // SAFETY: tmpfile takes nothing.
            let file = unsafe { libc::tmpfile() };
            assert!(!file.is_null());
            TestFile(file)
        }

        fn put(&self, text: &std::ffi::CStr) {
            // SAFETY: the stream is open.
            unsafe { libc::fputs(text.as_ptr(), self.0) };
        }

        fn content(&self) -> Vec<u8> {
            let mut content = vec![0; 100];
            // SAFETY: the stream is open; the buffer is writable for its length.
            let n = unsafe {
                libc::fflush(self.0);
                libc::pread(libc::fileno(self.0), content.as_mut_ptr().cast(), content.len(), 0)
            };
            content.truncate(n as usize);
            content
        }
    }

    impl Drop for TestFile {
        fn drop(&mut self) {
            // SAFETY: the stream is open and used no more.
            unsafe { libc::fclose(self.0) };
        }
    }

    /// Forks as the library does, with `in_child` for a target.
    fn fork(in_child: impl FnOnce()) {
        let flushed = flush_before_fork(thread::host_threads() == Some(1));
        // SAFETY: the child uses stdio and the allocator, which libc's fork leaves usable.
        unsafe {
            let child = libc::fork();
            if child == 0 {
                libc::alarm(60);
                after_fork_in_child(&flushed);
                in_child();
                flush_at_end();
                libc::_exit(0);
            }
            let mut status = -1;
            libc::waitpid(child, &mut status, 0);
            assert_eq!(status, 0);
        }
    }

    #[test]
    fn what_is_not_written_is_seen() {
        let ended = alone("sys::stdio::tests::what_is_not_written_is_seen", || {
            look_around();
            let file = TestFile::new();
            assert!(is_all_written());
            file.put(c"x");
            assert!(!is_all_written());
            flush_all();
            assert!(is_all_written());
            // A wide stream may have something to write elsewhere.
            let wide = TestFile::new();
            // SAFETY: the stream is open.
            unsafe { fwide(wide.0, 1) };
            assert!(!is_all_written());
        });
        assert!(ended.success());
    }

    extern "C" {
        fn fwide(file: *mut libc::FILE, mode: libc::c_int) -> libc::c_int;
    }

    #[test]
    fn every_line_is_written_once() {
        // The test's harness has threads, so that the file is not flushed before the fork.
        let (before, mine) = (TestFile::new(), TestFile::new());
        before.put(c"parent\n");
        fork(|| mine.put(c"child\n"));
        assert_eq!(before.content(), b"parent\n");
        assert_eq!(mine.content(), b"child\n");
    }

    #[test]
    fn a_child_with_threads_writes_and_ends() {
        let ended = alone("sys::stdio::tests::a_child_with_threads_writes_and_ends", || {
            let file = TestFile::new();
            fork(|| {
                file.put(c"child\n");
                sit_in_a_stream();
            });
            assert_eq!(file.content(), b"child\n");
        });
        assert!(ended.success());
    }

    /// Starts a thread that waits inside a stream for ever, as one in getchar does.
    fn sit_in_a_stream() {
        let (send, receive) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            // SAFETY: a pipe that nobody writes to, and a stream on it.
            unsafe {
                let mut ends = [0; 2];
                libc::pipe(ends.as_mut_ptr());
                let never = libc::fdopen(ends[0], c"r".as_ptr());
                ftrylockfile(never);
                send.send(()).unwrap();
                libc::fgetc(never);
            }
        });
        receive.recv().unwrap();
    }
}
