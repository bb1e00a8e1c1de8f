//! The fork server's life: see `forkserver.rs`.

use super::bootstrap::{Letter, Place};
use super::conditions::Conditions;
use super::recipe::Recipe;
use super::spawn::PROCESS;
use super::wire::{Reader, Writer};
use super::words::{Words, FAILED, READY};
use super::{executable, fork, identity, outcome, start, EXIT_FAILED};
use crate::arena::{self, Arena, Owner};
use crate::error::{Error, Result, Status};
use crate::fault;
use crate::sys::child::{self, Fork, ShortName};
use crate::sys::page::SharedPage;
use crate::sys::prim::Ordering;
use crate::sys::socket::{Received, Socket};
use crate::sys::{futex, life, log, signal, stdio, thread};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// What the server is asked for, beside which come the descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) number: u32,
    /// Where the child's letter is.
    pub(super) letter: Place,
    pub(super) die_with_parent: bool,
    /// Which of stdin, stdout and stderr come along, as bits; the others are to be closed.
    pub(super) standard: u32,
}

/// What the server is called, in `ps` for instance.
const NAME: &ShortName = b"mp-forkserver\0\0\0";
/// The longest request.
const LONGEST: usize = 256;

impl Request {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.number(u64::from(self.number));
        self.letter.write(&mut out);
        out.number(u64::from(self.die_with_parent));
        out.number(u64::from(self.standard));
        out.into_bytes()
    }

    fn decode(bytes: &[u8]) -> Result<Request> {
        let mut from = Reader::new(bytes);
        Ok(Request {
            number: from.number()? as u32,
            letter: Place::read(&mut from)?,
            die_with_parent: from.number()? != 0,
            standard: from.number()? as u32,
        })
    }
}

/// What a child is to do.
struct Work {
    letter: Letter,
    /// Decoded, for the commonest kind.
    recipe: Option<Recipe>,
    conditions: Option<Conditions>,
}

struct Server {
    arena: &'static Arena,
    socket: Socket,
    words: Words,
    /// Whom it serves.
    parent: Owner,
    /// What its children are called, as long as they don't change it.
    name: ShortName,
}

/// The server's life; its exit code.
pub(crate) fn serve(payload: &[u8]) -> i32 {
    // Ctrl-C is for the one that it serves, whose death ends it.
    signal::ignore_interrupt();
    match begin(payload) {
        Ok((server, warm_up)) => server.run(&warm_up),
        Err(error) => {
            log::say(log::ERROR, &format!("the fork server could not begin: {error}"));
            EXIT_FAILED
        }
    }
}

fn begin(payload: &[u8]) -> Result<(Server, Vec<u8>)> {
    let mut from = Reader::new(payload);
    let mut descriptor = || child::adopt_descriptor(from.number()? as RawFd);
    let (socket, page) = (descriptor()?, descriptor()?);
    let parent = Owner::of_word(from.number()? as u32);
    let warm_up = from.bytes()?.to_vec();
    // What comes along with a request must not land in the place of one of these.
    child::fill_standard()?;
    let words = Words(SharedPage::map(&page)?);
    let name = child::short_name();
    child::set_short_name(NAME);
    Ok((Server { arena: Arena::get()?, socket: Socket::new(socket)?, words, parent, name }, warm_up))
}

impl Server {
    fn run(&self, warm_up: &[u8]) -> i32 {
        if !warm_up.is_empty() {
            match self.warm_up(warm_up) {
                0 => {}
                code => {
                    self.stand(FAILED | code as u32 & 0xff);
                    return code;
                }
            }
        }
        self.stand(READY);
        let mut buffer = [0; LONGEST];
        while let Some(received) = self.socket.receive(&mut buffer) {
            match Request::decode(&buffer[..received.length]) {
                Ok(request) => self.answer(&request, received),
                Err(_) => return EXIT_FAILED,
            }
        }
        0
    }

    fn stand(&self, how: u32) {
        self.words.stands().store(how, Ordering::Release);
        futex::wake(self.words.stands(), u32::MAX);
    }

    fn warm_up(&self, recipe: &[u8]) -> i32 {
        let code = match Recipe::decode(recipe) {
            // What it returns is for nobody.
            Ok(recipe) => outcome::exit_code(&recipe.call(&mut Vec::new())),
            Err(error) => {
                log::say(log::ERROR, &format!("the fork server can't warm up: {error}"));
                EXIT_FAILED
            }
        };
        // Else every child would write it again.
        let _ = stdio::flush_before_fork(thread::is_only_one());
        if let Some(threads @ 2..) = thread::host_threads() {
            let text = format!(
                "the fork server's warm-up function has left {threads} threads: whatever they have locked when a child \
                 is forked stays locked in it"
            );
            log::say(log::WARNING, &text);
        }
        code
    }

    fn answer(&self, request: &Request, received: Received) {
        match self
            .prepare_work(request)
            .and_then(|work| check_received(request, &work, &received).map(|()| work))
        {
            Ok(work) => self.fork(request, work, received.descriptors),
            Err(error) => self.words.refuse(&error),
        }
        self.words.answered().store(request.number, Ordering::Release);
        futex::wake(self.words.answered(), 1);
    }

    /// Reads the letter, and finds the function, here rather than in the child: what a fresh child touches is dear, and
    /// a function that is not to be found is an error of the start.
    fn prepare_work(&self, request: &Request) -> Result<Work> {
        let letter = Letter::open(self.arena, request.letter)?;
        let recipe = if letter.kind == PROCESS { Some(Recipe::decode(&letter.payload)?) } else { None };
        let read = |bytes: &Vec<u8>| Conditions::read(&mut Reader::new(bytes));
        let conditions = letter.conditions.as_ref().map(read).transpose()?;
        // The child inherits it, and so does who comes next, until that is named anew.
        executable::take_on(&letter.executable);
        Ok(Work { letter, recipe, conditions })
    }

    #[link_section = "mp_fork"]
    fn fork(&self, request: &Request, work: Work, descriptors: Vec<OwnedFd>) {
        // As the child is to be called.
        child::set_short_name(&self.name);
        signal::block_interrupt(true);
        let fork = || child::fork_sibling(self.words.pid(), || self.prepare());
        let forked = if request.die_with_parent { life::expecting_as_sibling(fork) } else { fork() };
        match forked {
            Ok(Fork::Child) => in_child(self, request, work, descriptors),
            Ok(Fork::Parent(_)) => {
                fault!("process.served:forked");
            }
            Err(error) => self.words.refuse(&error),
        }
        signal::block_interrupt(false);
        child::set_short_name(NAME);
    }

    /// Between the preparation of the child's slot and the fork: the slot says whose child it is.
    fn prepare(&self) -> Result<()> {
        let owner = arena::forked_child();
        if owner.is_none() {
            return Err(Error::new(Status::NoMemory, "the arena has no place for one process more"));
        }
        self.arena.give_child_to(owner, self.parent);
        self.words.owner().store(owner.bits(), Ordering::Release);
        fault!("process.served:prepared");
        Ok(())
    }
}

/// That the child will have all its descriptors: this process's limits may be others than its parent's.
fn check_received(request: &Request, work: &Work, received: &Received) -> Result<()> {
    let standard = request.standard.count_ones() as usize;
    let passed = work.conditions.as_ref().map_or(0, |conditions| conditions.to_pass().len());
    let count = received.descriptors.len();
    if received.cut_off || count != standard + passed {
        let text = format!(
            "only {count} of the {} descriptors of the child have arrived: its own limit (RLIMIT_NOFILE) leaves it no \
             numbers for more",
            standard + passed
        );
        return Err(Error::new(Status::System, text));
    }
    match &work.conditions {
        Some(conditions) => conditions.try_out_received(&received.descriptors[standard..]),
        None => Ok(()),
    }
}

/// The child's whole life.
#[link_section = "mp_fork"]
fn in_child(server: &Server, request: &Request, work: Work, descriptors: Vec<OwnedFd>) -> ! {
    server.socket.close_copy();
    let Work { letter: Letter { kind, method, identity, payload, .. }, recipe, conditions } = work;
    identity::take_on(identity, request.die_with_parent);
    if let Err(error) = begin_child(request, method, conditions, descriptors) {
        log::say(log::ERROR, &format!("{} could not begin: {error}", identity::current_name()));
        child::leave(EXIT_FAILED);
    }
    fault!("process.served:begun");
    let code = fork::run(|| match &recipe {
        Some(recipe) => recipe.run(),
        None => crate::wiring::run_child(kind, &payload),
    });
    fork::end_with(code)
}

#[link_section = "mp_fork"]
fn begin_child(
    request: &Request,
    method: i32,
    conditions: Option<Conditions>,
    mut descriptors: Vec<OwnedFd>,
) -> Result<()> {
    // At once: a child whose parent has gone has lost its place in the arena too, and ends here without a word.
    if request.die_with_parent {
        life::watch_inherited()?;
    }
    signal::heed_interrupt();
    let standard = request.standard.count_ones() as usize;
    let mut have = descriptors[..standard].iter().map(AsRawFd::as_raw_fd);
    for fd in 0..3 {
        let from = if request.standard & 1 << fd != 0 { have.next() } else { None };
        child::move_standard(from, fd)?;
    }
    Arena::get()?;
    match conditions {
        // The three have moved, and to free the list would cost a page.
        None => std::mem::forget(descriptors),
        Some(conditions) => {
            let passed = descriptors.split_off(standard);
            std::mem::forget(descriptors);
            conditions.apply_received(passed)?;
        }
    }
    start::set_default(method)
}

/// Encodes a function and its arguments for [`Server::warm_up`].
pub fn warm_up(function: crate::sys::function::Function, args: &[&[u8]]) -> Result<Vec<u8>> {
    Recipe { function, args: args.iter().map(|arg| arg.to_vec()).collect() }.encode()
}
