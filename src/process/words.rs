//! What a fork server and its owner tell each other on a page that both share: see `forkserver.rs`.

use crate::error::{Error, Status};
use crate::sys::page::SharedPage;
use std::sync::atomic::{AtomicU32, Ordering};

/// The words of the page that the two processes share.
#[derive(Debug)]
pub(super) struct Words(pub(super) SharedPage);

/// How the server stands: at first it is being started.
pub(super) const READY: u32 = 1;
/// Its warm-up function has failed: with the code in the low byte.
pub(super) const FAILED: u32 = 0x100;

/// So much of a failure's sentence comes back.
const TEXT: usize = 512;

impl Words {
    /// Before a request: nothing is known of its outcome.
    pub(super) fn clear(&self) {
        let [_, status] = self.failure();
        [self.owner(), self.pid(), status].into_iter().for_each(|word| word.store(0, Ordering::Relaxed));
    }

    /// The number of the last request that was answered; the asker sleeps on it.
    pub(super) fn answered(&self) -> &AtomicU32 {
        self.0.word(0)
    }

    /// The slot that was prepared for the child, as an owner word.
    pub(super) fn owner(&self) -> &AtomicU32 {
        self.0.word(1)
    }

    /// The child's number, written by the kernel.
    pub(super) fn pid(&self) -> &AtomicU32 {
        self.0.word(2)
    }

    /// Why there is no child: how long the sentence is, and the status, negated.
    fn failure(&self) -> [&AtomicU32; 2] {
        [self.0.word(3), self.0.word(4)]
    }

    /// The server says why there is no child.
    pub(super) fn refuse(&self, error: &Error) {
        let text = &error.message().as_bytes()[..error.message().len().min(TEXT)];
        text.iter()
            .enumerate()
            .for_each(|(i, byte)| self.0.word(64 + i).store(u32::from(*byte), Ordering::Relaxed));
        let [length, status] = self.failure();
        length.store(text.len() as u32, Ordering::Relaxed);
        status.store((error.status() as i32).unsigned_abs(), Ordering::Release);
    }

    /// Why there is no child, if the server has said so.
    pub(super) fn refusal(&self) -> Option<Error> {
        let [length, status] = self.failure();
        let status = status.load(Ordering::Acquire);
        if status == 0 {
            return None;
        }
        let length = (length.load(Ordering::Relaxed) as usize).min(TEXT);
        let text: Vec<u8> = (0..length).map(|i| self.0.word(64 + i).load(Ordering::Relaxed) as u8).collect();
        let status = Status::from_code(-(status as i32)).unwrap_or(Status::Internal);
        Some(Error::new(status, format!("the fork server: {}", String::from_utf8_lossy(&text))))
    }

    /// [`READY`] or [`FAILED`], once the server has begun; the starter sleeps on it.
    pub(super) fn stands(&self) -> &AtomicU32 {
        self.0.word(16)
    }
}
