//! fork: handlers, and a lock for what they guard.

use super::clock::Deadline;
use super::prim::Futex;
use super::{futex, local};
use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};

extern "C" fn call_nothing() {}

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
    // SAFETY: the three are functions of the right type that live as long as the library, which is never
    // unloaded (linked with nodelete).
    unsafe {
        pthread_atfork(
            prepare.unwrap_or(call_nothing),
            parent.unwrap_or(call_nothing),
            child.unwrap_or(call_nothing),
        );
    }
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
