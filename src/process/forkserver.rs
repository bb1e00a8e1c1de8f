//! Children by a fork server: a clean process with one thread, which runs this program and forks the children. To start one
//! costs as much as a small fork, however large this process has grown.
//!
//! The server (`server.rs`) is started at the first use, belongs to the process that started it and dies with it. Its
//! children are that process's own: it makes them by CLONE_PARENT. A request goes to it by a socket, with this process's
//! stdin, stdout and stderr; what comes back stands on a page that both share ([`Words`]).
//!
//! **Whoever dies.** The kernel itself writes the child's number to the page, in the call that makes the child. So when
//! the server has died, at whatever instant, the number says whether there is a child: then the start has succeeded;
//! else another server is started and asked, and no child is ever started twice. If this process dies, so does the
//! server; a child that it makes at that moment finds no letter, or dies with its parent.

use super::bootstrap::{self, Bootstrap};
use super::conditions::Conditions;
use super::identity::{self, ChildOptions};
use super::reaper::{self, Child};
use super::wire::Writer;
use super::words::{Words, READY};
use super::{server, spawn, start};
use crate::arena::{Arena, Owner};
use crate::error::{Error, Result, Status};
use crate::fault;
use crate::sys::clock::Deadline;
use crate::sys::fork::LocalLock;
use crate::sys::page::SharedPage;
use crate::sys::socket::Socket;
use crate::sys::{child, futex, os};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

/// The kind of bootstrap by which `crate::wiring` finds [`server::serve`].
pub(crate) const SERVER: u32 = 3;

/// So many servers in a row that end before they are ready are enough.
const HOPELESS: u32 = 3;
/// So many servers are asked for one child: whoever kills them all means it.
const TRIES: u32 = 50;
/// How often who waits for the server looks whether there still is one, in nanoseconds.
const LOOK: i64 = 20_000_000;
/// So long a program that has closed the server's socket has for its end, in nanoseconds.
const ENDING: i64 = 1_000_000_000;
/// So long a server that was sent SIGKILL is waited for, in nanoseconds.
const PATIENCE: i64 = 10_000_000_000;

/// Becomes 1 when a server has ended and was collected: then nothing of it is under way any more.
#[derive(Debug, Default)]
struct Gone {
    word: AtomicU32,
    /// Set before the word: why the program never became a server.
    unbegun: OnceLock<Error>,
}

impl Gone {
    fn set(&self, unbegun: Option<Error>) {
        if let Some(error) = unbegun {
            let _ = self.unbegun.set(error);
        }
        self.word.store(1, Ordering::Release);
        futex::wake(&self.word, u32::MAX);
    }

    fn get(&self) -> bool {
        self.word.load(Ordering::Acquire) != 0
    }

    fn wait(&self) {
        let end = Deadline::after(PATIENCE);
        while !self.get() && !end.passed() {
            futex::wait(&self.word, 0, end);
        }
    }
}

/// A server of this process's.
#[derive(Debug)]
struct Server {
    socket: Socket,
    words: Words,
    owner: Owner,
    gone: Arc<Gone>,
    /// Whether [`stop`] has ended it.
    stopped: AtomicBool,
    /// Admits one asker at a time. The number of the last request.
    asking: LocalLock<u32>,
}

pub(super) struct State {
    /// The process that this state speaks of.
    home: i32,
    /// The process that ends, and starts no server any more.
    ended_in: i32,
    current: Option<Arc<Server>>,
    /// What a server does first: a function and its arguments, encoded; empty if nothing.
    warm_up: Vec<u8>,
    /// Admits one starter of a server at a time. Not held over a fork, for who has it uses the arena, whose locks a fork
    /// may have taken already: each process has its own.
    starting: Option<&'static LocalLock<()>>,
}

/// Held for some loads and stores only.
#[link_section = "mp_fork_data"]
pub(super) static STATE: LocalLock<State> =
    LocalLock::new(State { home: 0, ended_in: 0, current: None, warm_up: Vec::new(), starting: None });

/// Starts a child, which gives the payload to who runs this kind: `crate::wiring::run_child`. It is not watched yet:
/// [`reaper::watch`].
pub fn fork(kind: u32, payload: &[u8], options: &ChildOptions, conditions: &Conditions) -> Result<Child> {
    start::check_may_start()?;
    spawn::check_called()?;
    reaper::ensure()?;
    conditions.try_out()?;
    let mut letter = bootstrap::letter(kind, options.identity.clone(), payload);
    if conditions.first_set().is_some() {
        letter.conditions = Some(conditions.encode()?);
    }
    let letter = Bootstrap::write(&letter)?;
    let passed = conditions.to_pass();
    let mut stillborn = 0;
    for _ in 0..TRIES {
        let server = server()?;
        if let Some((pid, owner)) = server.ask(&letter, options.die_with_parent, &passed)? {
            fault!("process.served:started");
            Arena::get()?.note_pending_pid(owner, pid as u32);
            return Ok(Child { letter: Some(letter), ..Child::hold(pid, owner)? });
        }
        let stood = server.words.stands().load(Ordering::Acquire);
        let by_itself = !server.stopped.load(Ordering::Acquire);
        stillborn = if stood == READY { 0 } else { stillborn + u32::from(by_itself) };
        let failure = server.failure(stood);
        dismiss(&server);
        if let Some(error) = failure {
            return Err(error);
        }
        if stillborn == HOPELESS {
            return Err(Error::state("the fork server ends as soon as it is started"));
        }
    }
    Err(Error::state(format!("{TRIES} fork servers in a row have ended before they had forked this child")))
}

/// Starts the server, which first calls a function, and waits until that has returned.
pub fn start(warm_up: Vec<u8>) -> Result<()> {
    start::check_may_start()?;
    spawn::check_called()?;
    reaper::ensure()?;
    let starter = starting().lock();
    if with_state(|state| state.current.as_ref().is_some_and(|server| server.is_there())) {
        return Err(Error::state("the fork server runs already: stop it first (mp_forkserver_stop)"));
    }
    let server = new_server(warm_up)?;
    drop(starter);
    let stands = server.words.stands();
    while stands.load(Ordering::Acquire) == 0 && !server.has_ended() {
        futex::wait(stands, 0, Deadline::after(LOOK));
        reaper::check_beginning(server.owner);
    }
    match stands.load(Ordering::Acquire) {
        READY => Ok(()),
        stood => {
            let failure = server.failure(stood);
            dismiss(&server);
            with_state(|state| state.warm_up.clear());
            let died =
                || Error::new(Status::WorkerDied, "the fork server died before its function had returned");
            Err(failure.unwrap_or_else(died))
        }
    }
}

/// Ends the server, if there is one, and waits for its end; its children go on. The next start makes another, which warms
/// nothing up.
pub fn stop() -> Result<()> {
    Arena::get()?;
    super::register_fork_handlers();
    let server = with_state(|state| {
        state.warm_up.clear();
        state.current.take()
    });
    if let Some(server) = server {
        // Who is asking learns from the page what came of it, and asks another.
        server.stopped.store(true, Ordering::Release);
        server.kill();
        server.gone.wait();
    }
    Ok(())
}

/// At this process's end: ends its server, if it has one.
#[link_section = "mp_fork"]
pub(super) fn end() {
    let has_server = || {
        let mut state = STATE.lock();
        // Who asks at this moment would else start another.
        state.ended_in = child::pid();
        state.home == child::pid() && state.current.is_some()
    };
    if has_server() {
        let _ = stop();
    }
}

fn warm_up_failed(stood: u32) -> Error {
    let code = stood & 0xff;
    Error::new(Status::TaskFailed, format!("the fork server's warm-up function failed with code {code}"))
}

/// Runs `f` with this process's state.
fn with_state<R>(f: impl FnOnce(&mut State) -> R) -> R {
    let mut state = STATE.lock();
    if state.home != child::pid() {
        state.home = child::pid();
        state.starting = None;
        if let Some(parents) = state.current.take() {
            parents.socket.close_copy();
            // Its page is not in this process, and what lies there now is none of its business.
            std::mem::forget(parents);
        }
    }
    f(&mut state)
}

/// The server; it is started if there is none.
fn server() -> Result<Arc<Server>> {
    let current = || with_state(|state| state.current.clone().filter(|server| server.is_there()));
    if let Some(server) = current() {
        return Ok(server);
    }
    let _starting = starting().lock();
    match current() {
        Some(server) => Ok(server),
        None => new_server(with_state(|state| state.warm_up.clone())),
    }
}

/// What a starter holds.
fn starting() -> &'static LocalLock<()> {
    with_state(|state| *state.starting.get_or_insert_with(|| Box::leak(Box::new(LocalLock::new(())))))
}

/// For a starter: starts a server with this warm-up, and makes it the current one.
fn new_server(warm_up: Vec<u8>) -> Result<Arc<Server>> {
    if with_state(|state| state.ended_in) == child::pid() {
        return Err(Error::state("this process is ending: no fork server is started any more"));
    }
    let server = Server::start(&warm_up)?;
    let before = with_state(|state| {
        state.warm_up = warm_up;
        state.current.replace(server.clone())
    });
    drop(before);
    Ok(server)
}

/// A server that does not answer is not asked again.
fn dismiss(server: &Arc<Server>) {
    server.kill();
    with_state(|state| {
        if state.current.as_ref().is_some_and(|current| Arc::ptr_eq(current, server)) {
            state.current = None;
        }
    });
}

impl Server {
    fn start(warm_up: &[u8]) -> Result<Arc<Server>> {
        let arena = Arena::get()?;
        super::handle::await_at_exit();
        let [socket, theirs] = Socket::pair()?;
        let (page, page_fd) = SharedPage::new()?;
        let passed = passed(&theirs, &page_fd)?;
        let mut payload = Writer::default();
        passed.iter().for_each(|fd| payload.number(*fd as u64));
        payload.number(u64::from(arena.me().bits()));
        payload.bytes(warm_up);
        let options = ChildOptions { identity: identity::helper("ForkServer"), die_with_parent: true };
        let mut conditions = Conditions::default();
        conditions.set_descriptors(&passed.map(|fd| (fd, fd)))?;
        let child = spawn::spawn(SERVER, &payload.into_bytes(), &options, &conditions)?;
        let gone = Arc::<Gone>::default();
        let (owner, flag) = (child.owner, gone.clone());
        reaper::watch(child, Box::new(move |ended| flag.set(ended.unbegun)));
        Ok(Arc::new(Server {
            socket,
            words: Words(page),
            owner,
            gone,
            stopped: AtomicBool::new(false),
            asking: LocalLock::new(0),
        }))
    }

    /// Whether it is worth asking: it runs, and the host has left the socket open.
    fn is_there(&self) -> bool {
        !self.gone.get() && self.socket.raw().is_some()
    }

    /// Whether it has ended: whatever it did before is done. Seen without the reaper, whose thread this may be.
    fn has_ended(&self) -> bool {
        self.gone.get() || !reaper::is_running(self.owner)
    }

    /// Why one that stood so can't serve, if another could not either.
    fn failure(&self, stood: u32) -> Option<Error> {
        match stood {
            0 => self.why_it_never_began(),
            READY => None,
            failed => Some(warm_up_failed(failed)),
        }
    }

    /// Of one that no longer listens and was never ready: why, if its program is the reason.
    fn why_it_never_began(&self) -> Option<Error> {
        if reaper::await_end(self.owner, Deadline::after(ENDING)) {
            self.gone.wait();
        }
        self.gone.unbegun.get().cloned()
    }

    fn kill(&self) {
        let _ = reaper::signal(self.owner, libc::SIGKILL);
    }

    /// Asks for a child. `None` if there is no server any more, and no child.
    fn ask(
        &self,
        letter: &Bootstrap,
        die_with_parent: bool,
        passed: &[RawFd],
    ) -> Result<Option<(i32, Owner)>> {
        let mut last = self.asking.lock();
        let number = last.wrapping_add(1).max(1);
        *last = number;
        self.words.clear();
        let request =
            server::Request { number, letter: letter.place(), die_with_parent, standard: open_standard() };
        let descriptors: Vec<RawFd> =
            (0..3).filter(|fd| request.standard & 1 << fd != 0).chain(passed.iter().copied()).collect();
        fault!("process.served:asking");
        if !self.socket.send(&request.encode(), &descriptors)? {
            return Ok(None);
        }
        self.await_answer(number);
        let pid = self.words.pid().load(Ordering::Acquire) as i32;
        let owner = Owner::of_word(self.words.owner().load(Ordering::Acquire));
        if pid != 0 {
            return Ok(Some((pid, owner)));
        }
        if !owner.is_none() {
            Arena::get()?.abandon_pending(owner);
        }
        self.words.refusal().map_or(Ok(None), Err)
    }

    fn await_answer(&self, number: u32) {
        let answered = self.words.answered();
        let mut ended = false;
        loop {
            // What it did before its end is seen by the look that follows.
            let seen = answered.load(Ordering::Acquire);
            if seen == number || ended {
                return;
            }
            futex::wait(answered, seen, Deadline::after(LOOK));
            if self.words.stands().load(Ordering::Relaxed) == 0 {
                reaper::check_beginning(self.owner);
            }
            // Not before a sleep: usually it is the answer that ends that.
            ended = answered.load(Ordering::Acquire) != number && self.has_ended();
        }
    }
}

fn passed(theirs: &Socket, page: &OwnedFd) -> Result<[RawFd; 2]> {
    let socket = theirs.raw().ok_or_else(|| Error::state("the fork server's socket was closed"))?;
    Ok([socket, page.as_raw_fd()])
}

/// Which of stdin, stdout and stderr are open, as bits.
fn open_standard() -> u32 {
    (0..3).filter(|fd| os::file_of(*fd).is_some()).fold(0, |open, fd| open | 1 << fd)
}
