//! Cancelling: a word of this process that ends the waits of the threads that use it.

use crate::arena::wait::{self, CancelWord};
use crate::sys::prim::{Futex, Ordering};
use std::cell::Cell;

std::thread_local! {
    static USED: Cell<*const CancelWord> = const { Cell::new(std::ptr::null()) };
}

/// Ends the blocking calls of the threads that use it, once fired and until reset.
#[derive(Debug)]
pub struct Cancel {
    /// Leaked: a thread may still use it when the handle is freed, and firing must not touch freed memory.
    word: &'static CancelWord,
}

impl Default for Cancel {
    fn default() -> Cancel {
        Cancel::new()
    }
}

impl Cancel {
    /// One that is not fired.
    pub fn new() -> Cancel {
        Cancel { word: words::take() }
    }

    /// Ends the waits of all threads that use it, and those they begin. Async-signal-safe.
    pub fn fire(&self) {
        self.word.store(1, Ordering::SeqCst);
        self.word.wake(u32::MAX);
    }

    /// Makes it as new.
    pub fn reset(&self) {
        self.word.store(0, Ordering::SeqCst);
    }

    /// From now on this thread's blocking calls end when it is fired.
    pub fn use_here(&self) {
        USED.set(self.word);
        wait::use_cancel(Some(self.word));
    }

    /// Whether this thread's blocking calls can be ended.
    pub fn is_used() -> bool {
        !USED.get().is_null()
    }

    /// From now on nothing ends this thread's blocking calls.
    #[link_section = "mp_fork"]
    pub fn use_none() {
        USED.set(std::ptr::null());
        wait::use_cancel(None);
    }
}

impl Drop for Cancel {
    fn drop(&mut self) {
        if std::ptr::eq(USED.get(), self.word) {
            Cancel::use_none();
        }
        self.word.store(0, Ordering::SeqCst);
        words::give_back(self.word);
    }
}

/// Words are reused, oldest first, and never freed.
mod words {
    use super::{CancelWord, Futex};
    use crate::sys::fork::{Handlers, LocalLock};
    use std::collections::VecDeque;

    static FREE: LocalLock<VecDeque<&'static CancelWord>> = LocalLock::new(VecDeque::new());
    const SPARE: usize = 64;

    static HANDLERS: Handlers = Handlers::new();

    extern "C" fn hold() {
        HANDLERS.begin(|| FREE.hold_over_fork());
    }

    extern "C" fn parent() {
        if HANDLERS.end_in_parent() {
            FREE.release_after_fork();
        }
    }

    extern "C" fn child() {
        if HANDLERS.end_in_child() {
            FREE.release_after_fork();
        }
    }

    pub(super) fn take() -> &'static CancelWord {
        HANDLERS.register(hold, parent, child);
        let mut free = FREE.lock();
        if free.len() > SPARE {
            if let Some(word) = free.pop_front() {
                return word;
            }
        }
        drop(free);
        Box::leak(Box::new(Futex::new(0)))
    }

    pub(super) fn give_back(word: &'static CancelWord) {
        FREE.lock().push_back(word);
    }
}
