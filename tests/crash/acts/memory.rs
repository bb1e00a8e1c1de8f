//! Blocks, objects and their tokens.

use super::Act;
use crate::memory::Known;
use crate::process::Numbers;
use mp::arena::{Arena, Token};
use mp::sync::Lock;
use mp::sys::clock::Deadline;
use std::cell::RefCell;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

/// Blocks that are filled and must be as they were.
pub struct MemoryAct(pub RefCell<Vec<Known>>);

impl Act for MemoryAct {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn turn(&self, numbers: &mut Numbers) {
        let mut mine = self.0.borrow_mut();
        if numbers.below(40) == 0 {
            return large(&mut mine, numbers);
        }
        if mine.len() < 40 && (mine.is_empty() || numbers.below(2) == 0) {
            let magnitude = numbers.below(19);
            mine.push(Known::new(numbers.below(1 << magnitude), numbers.next() as u8));
        } else {
            let which = numbers.below(mine.len() as u64) as usize;
            mine.swap_remove(which).check();
        }
    }
}

/// Large blocks, of which so many are freed at once that memory goes back to the kernel.
fn large(mine: &mut Vec<Known>, numbers: &mut Numbers) {
    let known = |numbers: &mut Numbers| Known::new(numbers.below(24 << 20), numbers.next() as u8);
    let many: Vec<Known> = (0..numbers.below(8)).map(|_| known(numbers)).collect();
    many.iter().for_each(Known::check);
    if mine.len() < 40 {
        mine.push(known(numbers));
    }
    if numbers.below(4) == 0 {
        drop(many);
        Arena::get().unwrap().trim_all();
    }
}

/// Objects are made, their tokens left where others find them, and freed.
pub struct TokenAct {
    pub mine: RefCell<Vec<Lock>>,
    pub places: &'static [[AtomicU32; 8]; 4],
}

impl Act for TokenAct {
    fn name(&self) -> &'static str {
        "tokens"
    }

    fn turn(&self, numbers: &mut Numbers) {
        let mut mine = self.mine.borrow_mut();
        let place = &self.places[numbers.below(4) as usize];
        match numbers.below(3) {
            0 if mine.len() < 40 => {
                let lock = Lock::new().unwrap();
                let bytes = lock.token().to_bytes();
                let words = bytes.chunks_exact(4).map(|four| u32::from_ne_bytes(four.try_into().unwrap()));
                place.iter().zip(words).for_each(|(place, word)| place.store(word, SeqCst));
                mine.push(lock);
            }
            1 if mine.len() < 40 => {
                let mut bytes = [0; 32];
                let words = place.iter().map(|word| word.load(SeqCst).to_ne_bytes());
                bytes.chunks_exact_mut(4).zip(words).for_each(|(to, from)| to.copy_from_slice(&from));
                // Half-written, stale or good: a status, never a crash.
                if let Ok(found) = Lock::from_token(&Token::from_bytes(&bytes)) {
                    if found.acquire(Deadline::Now).is_ok() {
                        found.release().unwrap();
                    }
                    mine.push(found);
                }
            }
            _ if !mine.is_empty() => {
                let which = numbers.below(mine.len() as u64) as usize;
                drop(mine.swap_remove(which));
            }
            _ => {}
        }
    }
}
