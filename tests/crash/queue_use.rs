//! Queues of every kind: a process is killed at every pass of every fault point while it uses one in every way, and so
//! are those who settle it and mend the queue after it.

use crate::faults::{is_back_at, points, usage, victim, was_killed};
use crate::kills::{Kills, Pace};
use crate::process::{fork, Exit, Words};
use crate::queue_kinds::{
    finish, is_put, is_whole, kinds, message, number, Book, Kind, ACKED, ACKING, BEGUN, PUT, TAKEN,
};
use crate::Case;
use mp::arena::{Arena, Buffer};
use mp::channel::Queue;
use mp::sys::clock::Deadline;

/// There are many kinds, so of the passes beyond the first ones not all are tried.
const SOME: Pace = Pace { all_of: 5, tries: 1, least: 40 };

/// Each trial is one of several deaths.
const HEIRS: Pace = Pace { all_of: 1, tries: 1, least: 8 };

pub fn cases(kills: Kills) -> Vec<Case> {
    let mut cases = Vec::new();
    for kind in kinds() {
        cases.push(Case::new(format!("queue: killed while it uses a {} one", kind.name), move || {
            kills.at_passes_of(&["queue."], SOME, |spec| using(kind, spec))
        }));
    }
    cases.push(Case::new("queue: killed in the memory that a queue uses", move || {
        for kind in kinds().into_iter().skip(3).step_by(3) {
            kills.at_passes_of(&["arena.refs:", "arena.journal:", "arena.free:"], SOME, |spec| {
                using(kind, spec)
            });
        }
    }));
    for name in ["fifo", "lifo", "redelivering", "dropping fifo", "dropping redelivering"] {
        cases.push(Case::new(
            format!("queue: the heir of a dead user of a {name} one is killed"),
            move || {
                let kind = kinds().into_iter().find(|kind| kind.name == name).unwrap();
                kills.at_passes_of(&["queue."], HEIRS, |spec| mending(kind, spec))
            },
        ));
    }
    cases.push(Case::new("queue: who comes before the dead are settled", unsettled));
    cases.push(Case::new("queue: chains of a user, its heir, and the heir's heir", chains).within(120));
    cases.into_iter().map(|case| case.within(120)).collect()
}

/// What one process has of a queue.
struct User<'a> {
    kind: Kind,
    queue: &'a Queue,
    book: Book,
    buffers: Vec<Buffer>,
    /// Taken and not told to be done.
    undone: u32,
}

impl User<'_> {
    fn put_by(&self, i: u32, put: impl FnOnce() -> bool) {
        self.book.set(i, BEGUN);
        self.book.set(i, if put() { PUT | BEGUN } else { 0 });
    }

    fn put(&self, i: u32) {
        self.put_by(i, || self.kind.put(self.queue, i, Deadline::Now));
    }

    fn put_many(&self, numbers: std::ops::Range<u32>) {
        let messages: Vec<Vec<u8>> = numbers.clone().map(message).collect();
        let messages: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
        numbers.clone().for_each(|i| self.book.set(i, BEGUN));
        let (n, put) = self.queue.put_many(messages.len(), |i| messages[i], Deadline::Now);
        assert_eq!(is_put(put), n == messages.len());
        for (place, i) in numbers.enumerate() {
            self.book.set(i, if place < n { PUT | BEGUN } else { 0 });
        }
    }

    fn put_buffer(&self, i: u32) {
        let buffer = Buffer::copy_of(&message(i)).unwrap();
        self.put_by(i, || is_put(self.queue.put_buffer(buffer, Deadline::Now).map_err(|(error, _)| error)));
    }

    /// Reserves for more bytes than it puts.
    fn put_reserved(&self, i: u32) {
        let bytes = message(i);
        let reserved = self.queue.reserve(bytes.len() + 100, Deadline::Now);
        self.put_by(i, || {
            reserved.is_ok_and(|reserved| {
                // SAFETY: the memory is this process's alone, and that long.
                unsafe { reserved.data().copy_from(bytes.as_ptr(), bytes.len()) };
                is_put(reserved.commit(Some(bytes.len())))
            })
        });
        drop(self.queue.reserve(1500, Deadline::Now));
    }

    fn took(&mut self, i: u32, buffer: Option<Buffer>) {
        self.book.took(i);
        self.undone += 1;
        self.buffers.extend(buffer);
    }

    fn get(&mut self) {
        self.book.call(1);
        if let Ok(buffer) = self.queue.get(Deadline::Now) {
            self.took(number(buffer.bytes()), Some(buffer));
        }
        self.book.call(0);
    }

    fn get_into(&mut self) {
        if self.kind.options.redeliver {
            return self.get();
        }
        let mut bytes = [0; 3000];
        self.book.call(1);
        let _ = self.queue.get_into(&mut bytes[..3], Deadline::Now);
        if let Ok((length, taken)) = self.queue.get_into(&mut bytes, Deadline::Now) {
            taken.unwrap();
            self.took(number(&bytes[..length]), None);
        }
        self.book.call(0);
    }

    fn get_many(&mut self, most: u32) {
        self.book.call(most);
        for buffer in self.queue.get_many(most as usize, Deadline::Now).unwrap_or_default() {
            self.took(number(buffer.bytes()), Some(buffer));
        }
        self.book.call(0);
    }

    fn get_many_into(&mut self, most: u32) {
        if self.kind.options.redeliver {
            return self.get_many(most);
        }
        let (mut bytes, mut places) = ([0; 4000], Vec::new());
        self.book.call(most);
        let tell = |_, start: usize, length: usize| places.push((start, length));
        let _ = self.queue.get_many_into(&mut bytes, most as usize, Deadline::Now, tell);
        for (start, length) in places {
            self.took(number(&bytes[start..start + length]), None);
        }
        self.book.call(0);
    }

    /// Tells all but one of what it has taken to be done.
    fn finish(&mut self) {
        if !self.kind.options.redeliver {
            while self.undone > 1 {
                self.undone -= 1;
                self.queue.task_done().unwrap();
            }
            return;
        }
        // One is told to be done before it is acknowledged, one never is acknowledged, one after it was.
        for n in (1..self.buffers.len()).rev() {
            let buffer = self.buffers.remove(n);
            if n == 1 {
                self.queue.task_done().unwrap();
            }
            let i = number(buffer.bytes());
            self.book.add(i, ACKING);
            finish(&self.kind, self.queue, &buffer);
            self.book.add(i, ACKED);
            if n == 2 {
                self.queue.task_done().unwrap();
            }
        }
    }
}

/// All that can be done with a queue.
fn use_in_every_way(kind: Kind, queue: &Queue, book: Book) {
    let mut user = User { kind, queue, book, buffers: Vec::new(), undone: 0 };
    (0..10).for_each(|i| user.put(i));
    user.get();
    user.get_into();
    user.get_many_into(2);
    user.get_many(2);
    user.finish();
    user.put_many(10..15);
    user.get_many(3);
    user.get();
    user.put_buffer(15);
    user.put_reserved(16);
    user.put_reserved(19);
    user.finish();
    user.get_many_into(4);
    user.get();
    user.finish();
    (20..28).for_each(|i| user.put(i));
    user.get();
    if kind.options.redeliver {
        // Done before it is acknowledged, which it never is.
        queue.task_done().unwrap();
    }
    std::mem::forget(user);
}

fn using(kind: Kind, spec: &str) -> bool {
    let start = usage();
    let (queue, book) = (kind.queue(), Book::new());
    let killed = was_killed(&victim(spec, || {
        use_in_every_way(kind, &queue, book);
        let other = kind.queue();
        (0..4).for_each(|i| assert!(kind.put(&other, i, Deadline::Now)));
        drop(other.get(Deadline::Now));
        drop(other);
    }));
    Arena::get().unwrap().sweep();
    is_whole(&kind, &queue, book);
    drop(queue);
    is_back_at(start);
    killed
}

/// Who has died at such a place leaves much to its heir, which is killed when it mends that.
fn mending(kind: Kind, spec: &str) -> bool {
    let places = [
        "queue.get:committed",
        "queue.account:logged",
        "queue.account:counted",
        "queue.ack:ended",
        "queue.drop:dropped",
        "queue.store:committed",
        "queue.store:returned",
    ];
    let (mut killed, start) = (false, usage());
    for place in places {
        let (queue, book, lost) = (kind.queue(), Book::new(), Words::new());
        was_killed(&victim(&format!("kill@{place}#2"), || use_in_every_way(kind, &queue, book)));
        let heir = victim(spec, || {
            Arena::get().unwrap().sweep();
            inherit(kind, &queue, book, lost);
        });
        killed |= was_killed(&heir);
        Arena::get().unwrap().sweep();
        book.call(book.called() + lost.get(0));
        is_whole(&kind, &queue, book);
        drop(queue);
        is_back_at(start);
    }
    killed
}

/// A user and its settler have died, so what the user held is in doubt; who comes next does not move on before it is not.
fn unsettled() {
    let places = [
        "queue.put:written",
        "queue.put:committed",
        "queue.store:written",
        "queue.store:committed",
        "queue.get:noted",
        "queue.get:copied",
        "queue.get:committed",
        "queue.ack:noted",
        "queue.ack:ended",
        "queue.drop:noted",
        "queue.drop:dropped",
        "queue.grow:prepared",
        "queue.grow:exchanged",
    ];
    let (mut trials, deaths) = (0u32, Words::new());
    for (place, kind) in places.iter().flat_map(|place| kinds().into_iter().map(move |kind| (place, kind))) {
        for n in 1..=4 {
            let settler = ["death.declare:declared", "death.settle:claimed"][n % 2];
            let survivor = fork(|| {
                let start = usage();
                let (queue, book) = (kind.queue(), Book::new());
                let work = || use_in_every_way(kind, &queue, book);
                let killed = was_killed(&victim(&format!("kill@{place}#{n}"), work));
                victim(&format!("kill@{settler}"), || Arena::get().unwrap().sweep()).was_killed();
                if killed {
                    deaths.add(0, 1);
                    is_whole(&kind, &queue, book);
                    drop(queue);
                    is_back_at(start);
                }
            });
            assert_eq!(survivor.wait(), Exit::Code(0), "{} {place}#{n}", kind.name);
            trials += 1;
        }
    }
    println!("    {trials} trials, {} deaths", deaths.get(0));
    assert!(deaths.get(0) > trials / 3);
}

/// Three deaths in a row: who uses the queue, who settles it and takes the turn over, and who does so after that one.
fn chains() {
    let (places, heirs) = (points(&["queue."]), points(&["queue.", "death.", "lock.bereave"]));
    let (mut trials, deaths, all) = (0u32, Words::new(), kinds());
    for (i, first) in places.iter().enumerate() {
        // Every third pair, so that each place meets each kind.
        for (k, second) in heirs.iter().enumerate().filter(|(k, _)| (i + k) % 3 == 0) {
            let kind = all[(i + k) / 3 % all.len()];
            let third = &heirs[(i * 7 + k * 3) % heirs.len()];
            let specs =
                [format!("kill@{first}#{}", 1 + k % 3), format!("kill@{second}"), format!("kill@{third}")];
            let survivor = fork(|| chain(kind, &specs, deaths));
            assert_eq!(survivor.wait(), Exit::Code(0), "{} {specs:?}", kind.name);
            trials += 1;
        }
    }
    println!("    {trials} chains, {} deaths", deaths.get(0));
    assert!(deaths.get(0) > trials);
}

fn chain(kind: Kind, specs: &[String; 3], deaths: Words) {
    let start = usage();
    let (queue, book) = (kind.queue(), Book::new());
    let first = victim(&specs[0], || use_in_every_way(kind, &queue, book));
    deaths.add(0, u32::from(was_killed(&first)));
    let lost = Words::new();
    for spec in &specs[1..] {
        let heir = victim(spec, || {
            Arena::get().unwrap().sweep();
            inherit(kind, &queue, book, lost);
        });
        deaths.add(0, u32::from(was_killed(&heir)));
    }
    Arena::get().unwrap().sweep();
    book.call(book.called() + lost.get(0));
    is_whole(&kind, &queue, book);
    drop(queue);
    is_back_at(start);
}

/// Takes one, puts one, and waits for what is done.
fn inherit(kind: Kind, queue: &Queue, book: Book, lost: Words) {
    lost.add(0, 1);
    let taken = queue.get(Deadline::Now).ok().map(|buffer| (number(buffer.bytes()), buffer));
    if let Some((i, _)) = &taken {
        book.add(*i, TAKEN);
    }
    lost.set(0, lost.get(0) - 1);
    if let Some((i, buffer)) = taken {
        book.add(i, ACKING);
        finish(&kind, queue, &buffer);
        book.add(i, ACKED);
    }
    let i = 40 + lost.add(1, 1);
    book.set(i, BEGUN);
    book.set(i, if kind.put(queue, i, Deadline::Now) { BEGUN | PUT } else { 0 });
    let _ = queue.join(Deadline::Now);
}
