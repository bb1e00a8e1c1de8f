//! What both processes of a measurement share: a page, their processors, the numbers of messages, result lines.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// From here on the producer writes, and the consumer reads, every byte.
pub const LARGE: usize = 64 << 10;

/// As in the C programs: a block begins when its number is stored, and ends when the other side has stored it too.
#[derive(Default)]
pub struct Page {
    pub block: AtomicU32,
    pub done: AtomicU32,
    pub messages: AtomicU32,
    pub sum: AtomicU64,
}

impl Page {
    pub fn shared() -> &'static Page {
        let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: the memory is new, zeroed, larger than the page, and stays.
        unsafe {
            let memory = libc::mmap(std::ptr::null_mut(), 4096, access, kind, -1, 0);
            assert_ne!(memory, libc::MAP_FAILED);
            &*memory.cast()
        }
    }

    /// Stays awake, but lets others run.
    pub fn until(word: &AtomicU32, value: u32) {
        let start = Instant::now();
        while word.load(SeqCst) != value {
            for _ in 0..200 {
                std::hint::spin_loop();
            }
            std::thread::yield_now();
            assert!(start.elapsed() < Duration::from_secs(10), "the other process did not answer");
        }
    }
}

/// The processors that the program was given, as it was before it chose one of them.
fn given() -> &'static [usize] {
    static GIVEN: OnceLock<Vec<usize>> = OnceLock::new();
    // SAFETY: a set of processors is plain bits, and this one is writable for its size.
    GIVEN.get_or_init(|| unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::sched_getaffinity(0, size_of_val(&set), &mut set);
        (0..libc::CPU_SETSIZE as usize).filter(|cpu| libc::CPU_ISSET(*cpu, &set)).collect()
    })
}

pub fn pin(which: usize) {
    let given = given();
    // SAFETY: as above.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(given[which % given.len()], &mut set);
        libc::sched_setaffinity(0, size_of_val(&set), &set);
    }
}

/// A child that dies with this process. What `run` has opened is closed before it ends.
pub fn helper(run: impl FnOnce()) -> libc::pid_t {
    // SAFETY: no other thread of this process holds anything that `run` needs.
    unsafe {
        let (parent, pid) = (libc::getpid(), libc::fork());
        assert!(pid >= 0, "fork");
        if pid == 0 {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            if libc::getppid() == parent {
                run();
            }
            libc::_exit(0);
        }
        pid
    }
}

pub fn reap(pid: libc::pid_t) {
    let mut status = 0;
    // SAFETY: the status is writable.
    unsafe { libc::waitpid(pid, &mut status, 0) };
    assert_eq!(status, 0, "the other process has failed");
}

/// Writes the number, and from `LARGE` on every byte.
pub fn write(message: &mut [u8], number: u64) {
    let size = if message.len() >= LARGE { message.len() } else { 8 };
    for (i, word) in message[..size].chunks_exact_mut(8).enumerate() {
        word.copy_from_slice(&number.wrapping_add(i as u64).to_ne_bytes());
    }
}

/// What a consumer has seen: the numbers must rise.
#[derive(Default)]
pub struct Seen {
    last: u64,
    pub sum: u64,
}

impl Seen {
    pub fn read(&mut self, message: &[u8]) {
        let words = message.chunks_exact(8).map(|word| u64::from_ne_bytes(word.try_into().unwrap()));
        let number = words.clone().next().unwrap();
        assert!(number > self.last, "a message is lost or out of order");
        self.last = number;
        self.sum = self.sum.wrapping_add(number);
        if message.len() >= LARGE {
            let count = message.len() as u64 / 8;
            let sum = words.fold(0u64, u64::wrapping_add);
            assert_eq!(
                sum,
                count * number + count * (count - 1) / 2,
                "a message has been changed on the way"
            );
        }
    }
}

pub fn tell(case: &str, peer: &str, values: &[f64]) {
    let values: Vec<String> = values.iter().map(|v| format!("{v:.6}")).collect();
    println!("{{\"case\": \"{case}\", \"peer\": \"{peer}\", \"values\": [{}]}}", values.join(", "));
}
