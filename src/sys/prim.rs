//! Atomics and the futex, in one place: under `--cfg loom` the same names come from the model checker, so that
//! the algorithms above are checked as they are, not as copies.

#[cfg(not(loom))]
pub use std::sync::atomic::{fence, AtomicBool, AtomicI32, AtomicU32, AtomicU64, AtomicUsize, Ordering};

#[cfg(loom)]
pub use loom::sync::atomic::{fence, AtomicBool, AtomicI32, AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// A 32-bit word that processes may sleep on. In shared memory it is exactly an `AtomicU32`.
#[cfg(not(loom))]
#[repr(transparent)]
#[derive(Debug, Default)]
pub struct Futex(pub AtomicU32);

#[cfg(not(loom))]
impl Futex {
    /// A word with this value.
    pub const fn new(value: u32) -> Futex {
        Futex(AtomicU32::new(value))
    }

    /// Wakes at most `n` sleepers and says how many there were.
    pub fn wake(&self, n: u32) -> u32 {
        super::futex::wake(&self.0, n)
    }
}

/// The model's futex: a sleeper compares and sleeps in one step, as the kernel does under its bucket lock.
#[cfg(loom)]
#[derive(Debug)]
pub struct Futex(pub AtomicU32, loom::sync::Mutex<()>, loom::sync::Condvar);

#[cfg(loom)]
impl Futex {
    /// A word with this value.
    pub fn new(value: u32) -> Futex {
        Futex(AtomicU32::new(value), loom::sync::Mutex::new(()), loom::sync::Condvar::new())
    }

    /// Wakes at most `n` sleepers.
    pub fn wake(&self, n: u32) -> u32 {
        let _bucket = self.1.lock().unwrap();
        if n == 1 {
            self.2.notify_one();
        } else {
            self.2.notify_all();
        }
        n
    }

    /// Sleeps while the word holds `seen`.
    pub fn model_wait(&self, seen: u32) {
        self.model_wait_unless(seen, || false);
    }

    /// The same, unless the time of this sleep has come.
    pub fn model_wait_unless(&self, seen: u32, due: impl FnOnce() -> bool) {
        let bucket = self.1.lock().unwrap();
        if self.0.load(Ordering::SeqCst) == seen && !due() {
            drop(self.2.wait(bucket).unwrap());
        }
    }

    /// The time has come of those who sleep, if `due`.
    pub fn model_time_comes(&self, due: impl FnOnce() -> bool) {
        let _bucket = self.1.lock().unwrap();
        if due() {
            self.2.notify_all();
        }
    }
}

#[cfg(loom)]
impl Default for Futex {
    fn default() -> Futex {
        Futex::new(0)
    }
}

impl std::ops::Deref for Futex {
    type Target = AtomicU32;
    fn deref(&self) -> &AtomicU32 {
        &self.0
    }
}

/// A full fence for a place where an exchange of this thread, of whatever word, lies between the store that is to
/// come first and the load that is to come last.
#[inline]
pub fn fence_after_exchange() {
    // On x86-64 the exchange is a full fence itself; only the compiler must keep the order.
    #[cfg(all(target_arch = "x86_64", not(loom)))]
    std::sync::atomic::compiler_fence(Ordering::SeqCst);
    #[cfg(any(not(target_arch = "x86_64"), loom))]
    fence(Ordering::SeqCst);
}

/// Tells the processor, or the model, that this is a spin loop.
#[inline]
pub fn spin_hint() {
    #[cfg(not(loom))]
    std::hint::spin_loop();
    #[cfg(loom)]
    loom::thread::yield_now();
}
