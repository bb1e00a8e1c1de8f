//! A queue and its reference, which take the same steps.

use super::super::room::is_writable;
use super::super::{Queue, QueueKind, QueueOptions, Reservation};
use super::kinds::Step;
use super::reference::{Message, Reference};
use crate::arena::{Buffer, SMALL};
use crate::error::{Result, Status};
use crate::sys::clock::Deadline;

/// A buffer that was got, what is to be in it, and whether its message is to be acknowledged yet.
struct Kept {
    buffer: Buffer,
    bytes: Vec<u8>,
    /// It is in the queue's arena.
    near: bool,
    unacknowledged: bool,
}

pub(super) struct Pair {
    queue: Queue,
    options: QueueOptions,
    reference: Reference,
    reservations: Vec<(Reservation, usize)>,
    kept: Vec<Kept>,
    seed: usize,
}

/// The same answer.
fn same<T>(found: Result<T>, expected: std::result::Result<(), Status>) -> Option<T> {
    match (found, expected) {
        (Ok(value), Ok(())) => Some(value),
        (Ok(_), Err(status)) => panic!("success, not {status:?}"),
        (Err(error), expected) => {
            assert_eq!(Err(error.status()), expected, "{error:?}");
            None
        }
    }
}

impl Pair {
    pub(super) fn new(queue: Queue, options: &QueueOptions) -> Pair {
        let reference = Reference::new(options);
        Pair { queue, options: *options, reference, reservations: vec![], kept: vec![], seed: 0 }
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        self.seed += 1;
        (0..length).map(|i| (self.seed * 31 + i * 7 + i / 256) as u8).collect()
    }

    fn message(&mut self, priority: i64, length: usize) -> Message {
        Message { priority, bytes: self.bytes(length), address: None }
    }

    /// The number of an element of a list of this length, if there are any.
    fn which(number: usize, length: usize) -> Option<usize> {
        (length > 0).then(|| number % length)
    }

    pub(super) fn step(&mut self, step: &Step) {
        match step {
            Step::Put(length) => {
                let message = self.message(0, *length);
                let put = self.queue.put(&message.bytes, Deadline::Now);
                same(put, self.reference.put(message));
            }
            Step::PutPriority(priority, length) => self.put_priority(*priority, *length),
            Step::PutMany(lengths) => self.put_many(lengths),
            Step::PutBuffer(length) => {
                let bytes = self.bytes(*length);
                let buffer = Buffer::copy_of(&bytes).unwrap();
                self.put_buffer(Kept { buffer, bytes, near: false, unacknowledged: false });
            }
            Step::PutKept(number) => {
                if let Some(which) = Self::which(*number, self.kept.len()) {
                    let kept = self.kept.swap_remove(which);
                    self.put_buffer(kept);
                }
            }
            Step::Reserve(length) => self.reserve(*length),
            Step::Commit(number) => self.commit(*number, None),
            Step::CommitPart(number, part) => self.commit(*number, Some(*part)),
            Step::Abandon(number) => {
                if let Some(which) = Self::which(*number, self.reservations.len()) {
                    self.reservations.swap_remove(which);
                    self.reference.reserved.swap_remove(which);
                }
            }
            Step::Get => self.get(),
            Step::GetInto(room) => self.get_into(*room),
            Step::GetMany(most) => self.get_many(*most),
            Step::GetManyInto(room, most) => self.get_many_into(*room, *most),
            Step::TaskDone => {
                same(self.queue.task_done(), self.reference.task_done());
            }
            Step::Acknowledge(number) => self.acknowledge(*number),
            Step::Free(number) => {
                if let Some(which) = Self::which(*number, self.kept.len()) {
                    self.kept.swap_remove(which);
                }
            }
            Step::Join => {
                same(self.queue.join(Deadline::Now), self.reference.join());
            }
            Step::Close => {
                self.queue.close().unwrap();
                self.reference.closed = true;
            }
        }
    }

    /// What can be asked at any time.
    pub(super) fn check(&self) {
        let port = self.queue.port().unwrap();
        assert_eq!(self.queue.size().unwrap(), self.reference.here.len());
        assert_eq!(self.queue.is_readable(), !self.reference.here.is_empty() || self.reference.closed);
        assert_eq!(is_writable(port.arena, port.words, 0), self.reference.is_writable());
        assert_eq!(super::super::account::unfinished(port.words) as usize, self.reference.unfinished);
        for kept in &self.kept {
            assert!(kept.buffer.bytes() == kept.bytes);
        }
    }

    /// All that was put comes out of it once it is closed.
    pub(super) fn end(mut self) {
        self.step(&Step::Close);
        while !self.reference.here.is_empty() {
            self.get();
            self.check();
        }
        self.get();
    }

    fn put_priority(&mut self, priority: i64, length: usize) {
        let message = self.message(priority, length);
        let put = self.queue.put_priority(priority, &message.bytes, Deadline::Now);
        let expected = match self.options.kind {
            QueueKind::Priority => self.reference.put(message),
            _ => Err(Status::Unsupported),
        };
        same(put, expected);
    }

    fn put_many(&mut self, lengths: &[usize]) {
        let messages: Vec<Message> = lengths.iter().map(|length| self.message(0, *length)).collect();
        let slices: Vec<&[u8]> = messages.iter().map(|message| &message.bytes[..]).collect();
        let (done, result) = self.queue.put_many(slices.len(), |i| slices[i], Deadline::Now);
        let mut expected = (0, Ok(()));
        for message in &messages {
            expected.1 = self.reference.put(message.clone());
            if expected.1.is_err() {
                break;
            }
            expected.0 += 1;
        }
        assert_eq!(done, expected.0);
        same(result, expected.1);
    }

    fn put_buffer(&mut self, kept: Kept) {
        let address = kept.buffer.data() as usize;
        let passed = kept.near && kept.bytes.len() > SMALL && !self.options.redeliver;
        let message = Message { priority: 0, bytes: kept.bytes.clone(), address: passed.then_some(address) };
        let expected = self.reference.put(message);
        match self.queue.put_buffer(kept.buffer, Deadline::Now) {
            Ok(()) => assert_eq!(expected, Ok(())),
            Err((error, buffer)) => {
                assert_eq!(expected, Err(error.status()));
                assert_eq!(buffer.data() as usize, address);
                self.kept.push(Kept { buffer, ..kept });
            }
        }
    }

    fn reserve(&mut self, length: usize) {
        let reserved = self.queue.reserve(length, Deadline::Now);
        if let Some(reservation) = same(reserved, self.reference.make_room(length)) {
            self.reservations.push((reservation, length));
            self.reference.reserved.push(length);
        }
    }

    fn commit(&mut self, number: usize, part: Option<usize>) {
        let Some(which) = Self::which(number, self.reservations.len()) else { return };
        let (reservation, length) = self.reservations.swap_remove(which);
        self.reference.reserved.swap_remove(which);
        let used = match part {
            Some(1001) => length + 1,
            Some(part) => length * part / 1000,
            None => length,
        };
        let bytes = self.bytes(length);
        // SAFETY: a reservation has that many writable bytes.
        unsafe { reservation.data().copy_from_nonoverlapping(bytes.as_ptr(), length) };
        let in_place = used > SMALL && !self.options.redeliver;
        let address = in_place.then_some(reservation.data() as usize);
        let committed = reservation.commit(part.map(|_| used));
        if used > length {
            same(committed, Err(Status::Invalid));
        } else if self.reference.closed {
            same(committed, Err(Status::Closed));
        } else {
            same(committed, Ok(()));
            self.reference.push(Message { priority: 0, bytes: bytes[..used].to_vec(), address });
        }
    }

    fn keep(&mut self, buffer: Buffer, message: Message) {
        assert!(buffer.bytes() == message.bytes);
        if let Some(address) = message.address {
            assert_eq!(buffer.data() as usize, address);
        }
        let unacknowledged = self.options.redeliver;
        self.kept.push(Kept { buffer, bytes: message.bytes, near: true, unacknowledged });
    }

    fn get(&mut self) {
        let found = self.queue.get(Deadline::Now);
        let expected = self.reference.get();
        let status = expected.as_ref().map(|_| ()).map_err(|status| *status);
        if let (Some(buffer), Ok(message)) = (same(found, status), expected) {
            self.keep(buffer, message);
        }
    }

    fn get_many(&mut self, most: usize) {
        let found = self.queue.get_many(most, Deadline::Now);
        let next = self.reference.next().map(|_| ());
        let Some(buffers) = same(found, next) else { return };
        assert_eq!(buffers.len(), most.min(self.reference.here.len()));
        for buffer in buffers {
            let message = self.reference.get().unwrap();
            self.keep(buffer, message);
        }
    }

    fn get_into(&mut self, room: usize) {
        let mut into = vec![0; room];
        let found = self.queue.get_into(&mut into, Deadline::Now);
        if self.options.redeliver {
            same(found, Err(Status::Unsupported));
            return;
        }
        let next = self.reference.next();
        let Some((length, taken)) = same(found, next.map(|_| ())) else { return };
        assert_eq!(length, self.reference.here[next.unwrap()].bytes.len());
        if length > room {
            same(taken, Err(Status::TooLarge));
            return;
        }
        taken.unwrap();
        assert!(into[..length] == self.reference.get().unwrap().bytes);
    }

    fn get_many_into(&mut self, room: usize, most: usize) {
        let (mut into, mut told) = (vec![0; room], Vec::new());
        let tell = |number: usize, place: usize, length: usize| {
            assert_eq!(number, told.len());
            told.push((place, length));
        };
        let found = self.queue.get_many_into(&mut into, most, Deadline::Now, tell);
        if self.options.redeliver {
            same(found, Err(Status::Unsupported));
            return;
        }
        let Some((n, too_long)) = same(found, self.reference.next().map(|_| ())) else { return };
        let (mut used, mut count) = (0, 0);
        while count < most {
            let Ok(next) = self.reference.next() else { break };
            let length = self.reference.here[next].bytes.len();
            if length > room - used {
                assert_eq!(too_long, (count == 0).then_some(length));
                break;
            }
            assert_eq!(told[count], (used, length));
            assert!(into[used..used + length] == self.reference.get().unwrap().bytes);
            (used, count) = (used + length, count + 1);
        }
        assert_eq!((n, told.len()), (count, count));
    }

    fn acknowledge(&mut self, number: usize) {
        let Some(which) = Self::which(number, self.kept.len()) else { return };
        let kept = &mut self.kept[which];
        let expected = match (self.options.redeliver, kept.unacknowledged) {
            (false, _) => Err(Status::Unsupported),
            (true, true) => Ok(()),
            (true, false) => Err(Status::State),
        };
        let acknowledged = self.queue.acknowledge(&kept.buffer);
        if kept.unacknowledged {
            self.reference.acknowledge();
        }
        kept.unacknowledged = false;
        // A buffer that was never got is a foreign one.
        match acknowledged {
            Err(error) if error.status() == Status::Invalid => assert_eq!(expected, Err(Status::State)),
            other => assert_eq!(same(other, expected).is_some(), expected.is_ok()),
        }
    }
}
