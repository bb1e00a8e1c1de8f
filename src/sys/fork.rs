//! fork: handlers, and a lock for what they guard.

use super::child::Fork;
use super::clock::Deadline;
use super::prim::{AtomicU32, Futex, Ordering};
use super::{futex, local};
use crate::error::Result;
use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicPtr, AtomicUsize};

extern "C" fn call_nothing() {}

type Three = [extern "C" fn(); 3];

/// As many modules can have handlers.
const MOST: usize = 16;

/// What [`on_fork`] has registered, for [`around`]: in its order, the free places last. No lock guards it, for a fork
/// beside a thread that holds one would leave it taken in the child.
static REGISTERED_HERE: [AtomicPtr<Three>; MOST] = [const { AtomicPtr::new(std::ptr::null_mut()) }; MOST];

fn registered_here() -> impl DoubleEndedIterator<Item = &'static Three> {
    // SAFETY: a place has nothing, or what `remember` has put there for ever.
    REGISTERED_HERE.iter().filter_map(|place| unsafe { place.load(Ordering::Acquire).as_ref() })
}

/// Once each: a child may register again what its parent has.
fn remember(handlers: Three) {
    let same =
        |other: &Three| other.map(|handler| handler as usize) == handlers.map(|handler| handler as usize);
    if registered_here().any(same) {
        return;
    }
    let new = Box::into_raw(Box::new(handlers));
    let take = |place: &AtomicPtr<Three>| {
        place.compare_exchange(std::ptr::null_mut(), new, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    };
    assert!(REGISTERED_HERE.iter().any(take), "more modules have fork handlers than there are places");
}

/// Registers handlers that run around every fork by this process, libmp's or the host's. As with
/// `pthread_atfork`, `prepare` handlers run last registered first, the others first registered first: so a
/// higher floor registers after a lower one, and takes its locks before it. Handlers must not unwind.
pub fn on_fork(
    prepare: Option<extern "C" fn()>,
    parent: Option<extern "C" fn()>,
    child: Option<extern "C" fn()>,
) {
    extern "C" {
        fn pthread_atfork(
            prepare: extern "C" fn(),
            parent: extern "C" fn(),
            child: extern "C" fn(),
        ) -> libc::c_int;
    }
    let [prepare, parent, child] = [prepare, parent, child].map(|handler| handler.unwrap_or(call_nothing));
    // SAFETY: the three are functions of the right type that live as long as the library, which is never
    // unloaded (linked with nodelete).
    unsafe { pthread_atfork(prepare, parent, child) };
    remember([prepare, parent, child]);
}

/// Runs the library's own handlers, not the host's, around a fork that libc knows nothing of; `fork` says on which side
/// of it this is. Only for a process with one thread.
#[link_section = "mp_fork"]
pub fn around(fork: impl FnOnce() -> Result<Fork>) -> Result<Fork> {
    registered_here().rev().for_each(|[prepare, ..]| prepare());
    let forked = fork();
    let in_child = matches!(forked, Ok(Fork::Child));
    registered_here().for_each(|[_, parent, child]| if in_child { child() } else { parent() });
    forked
}

/// The handlers of what several threads may be the first to use. Nobody goes on before they are registered; and should
/// they be registered twice, by a thread that a fork cut off and then by the child, they act once.
#[derive(Debug)]
pub struct Handlers {
    /// 0, the pid of the process in which a thread is just registering them, or [`REGISTERED`].
    state: AtomicU32,
    /// The thread that is between its prepare handler and the next, 0 for none.
    forking: AtomicUsize,
}

const REGISTERED: u32 = u32::MAX;

impl Handlers {
    /// Not yet registered.
    pub const fn new() -> Handlers {
        Handlers { state: AtomicU32::new(0), forking: AtomicUsize::new(0) }
    }

    /// Registers them, see [`on_fork`], unless that was done, in this process or in one that it was forked from.
    pub fn register(&self, prepare: extern "C" fn(), parent: extern "C" fn(), child: extern "C" fn()) {
        let me = std::process::id();
        loop {
            let seen = self.state.load(Ordering::Acquire);
            if seen == REGISTERED {
                return;
            }
            if seen == me {
                std::thread::yield_now();
            } else if self.state.compare_exchange(seen, me, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                on_fork(Some(prepare), Some(parent), Some(child));
                self.state.store(REGISTERED, Ordering::Release);
            }
        }
    }

    /// In the prepare handler: takes the first of what it is to take by `lock`, and answers whether it is to go on.
    pub fn begin(&self, lock: impl FnOnce()) -> bool {
        let me = this_thread();
        if self.forking.load(Ordering::Relaxed) == me {
            return false;
        }
        lock();
        self.forking.store(me, Ordering::Relaxed);
        true
    }

    /// In the parent's handler, before anything is released: whether it is to act.
    pub fn end_in_parent(&self) -> bool {
        self.forking.compare_exchange(this_thread(), 0, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// The same in the child's handler.
    pub fn end_in_child(&self) -> bool {
        self.forking.swap(0, Ordering::Relaxed) != 0
    }
}

impl Default for Handlers {
    fn default() -> Handlers {
        Handlers::new()
    }
}

/// What tells this thread from the others of this process, without a system call.
fn this_thread() -> usize {
    // SAFETY: pthread_self cannot fail.
    unsafe { libc::pthread_self() as usize }
}

/// A lock among the threads of one process that a fork handler can hold across fork: it has no poison, no
/// allocation and no owner, so that the child may release what its parent's thread took.
#[derive(Debug)]
pub struct LocalLock<T> {
    /// See `local.rs`.
    word: Futex,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached only through a guard or `forked`, by one thread at a time.
unsafe impl<T: Send> Sync for LocalLock<T> {}

impl<T> LocalLock<T> {
    /// A free lock around `value`.
    pub const fn new(value: T) -> LocalLock<T> {
        LocalLock { word: Futex::new(0), value: UnsafeCell::new(value) }
    }

    /// Waits until the lock is this thread's.
    pub fn lock(&self) -> LocalGuard<'_, T> {
        self.acquire();
        LocalGuard(self)
    }

    fn acquire(&self) {
        local::acquire(&self.word, |word, seen| {
            futex::wait(word, seen, Deadline::Never);
        });
    }

    fn release(&self) {
        local::release(&self.word);
    }

    /// In a prepare handler: takes the lock and keeps it over the fork.
    pub fn hold_over_fork(&self) {
        self.acquire();
    }

    /// In a parent or child handler: releases what [`LocalLock::hold_over_fork`] took.
    pub fn release_after_fork(&self) {
        self.release();
    }

    /// The value, between `hold_over_fork` and `release_after_fork`.
    ///
    /// # Safety
    /// The calling thread holds the lock by `hold_over_fork` and makes no second reference.
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn held(&self) -> &mut T {
        // SAFETY: the lock is held, by the contract.
        unsafe { &mut *self.value.get() }
    }
}

/// Holds a [`LocalLock`].
#[derive(Debug)]
pub struct LocalGuard<'a, T>(&'a LocalLock<T>);

impl<T> Deref for LocalGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: the guard holds the lock.
        unsafe { &*self.0.value.get() }
    }
}

impl<T> DerefMut for LocalGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard holds the lock, and is borrowed mutably.
        unsafe { &mut *self.0.value.get() }
    }
}

impl<T> Drop for LocalGuard<'_, T> {
    fn drop(&mut self) {
        self.0.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicI32;

    static HANDLERS: Handlers = Handlers::new();
    /// What is held over the fork, and how often each handler has acted.
    static HELD: AtomicI32 = AtomicI32::new(0);

    extern "C" fn prepare() {
        HANDLERS.begin(|| assert_eq!(HELD.fetch_add(1, Ordering::SeqCst), 0));
    }

    extern "C" fn parent() {
        if HANDLERS.end_in_parent() {
            assert_eq!(HELD.fetch_sub(1, Ordering::SeqCst), 1);
        }
    }

    extern "C" fn child() {
        if HANDLERS.end_in_child() {
            HELD.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// In a child, where no other test forks: registered by two threads at once, and once more behind their backs.
    fn act_once() -> bool {
        std::thread::scope(|scope| {
            (0..4).for_each(|_| drop(scope.spawn(|| HANDLERS.register(prepare, parent, child))));
        });
        on_fork(Some(prepare), Some(parent), Some(child));
        // SAFETY: the grandchild only looks at a word and leaves.
        unsafe {
            let pid = libc::fork();
            if pid == 0 {
                libc::_exit(HELD.load(Ordering::SeqCst));
            }
            let mut status = -1;
            libc::waitpid(pid, &mut status, 0);
            status == 0 && HELD.load(Ordering::SeqCst) == 0
        }
    }

    #[test]
    fn handlers_that_are_registered_twice_act_once() {
        // SAFETY: the child runs the test's own code and leaves.
        unsafe {
            let pid = libc::fork();
            if pid == 0 {
                libc::_exit(i32::from(!act_once()));
            }
            let mut status = -1;
            libc::waitpid(pid, &mut status, 0);
            assert_eq!(status, 0);
        }
    }

    #[test]
    fn the_same_handlers_are_remembered_once() {
        extern "C" fn other() {}
        let count = || {
            registered_here().filter(|three| three[0] as usize == other as extern "C" fn() as usize).count()
        };
        (0..2 * MOST).for_each(|_| remember([other, call_nothing, call_nothing]));
        assert_eq!(count(), 1);
    }
}
