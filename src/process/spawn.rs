//! Children that run the program anew, and how such a child begins.

use super::beginning::Beginning;
use super::bootstrap::{self, Bootstrap, Letter, Ticket};
use super::conditions::Conditions;
use super::identity::{self, ChildOptions};
use super::reaper::{self, Child};
use super::{executable, fork, start, EXIT_FAILED};
use crate::arena::Arena;
use crate::error::{Error, Result, Status};
use crate::fault;
use crate::sys::descriptors::{self, Place};
use crate::sys::{child, life, log, spawn as program};
use std::ffi::CString;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// The kind of children that [`super::Process`] starts.
pub const PROCESS: u32 = 1;

static CALLED: AtomicBool = AtomicBool::new(false);

/// Starts a child, which gives the payload to who runs this kind: `crate::wiring::run_child`. It is not watched
/// yet: [`reaper::watch`].
pub fn spawn(kind: u32, payload: &[u8], options: &ChildOptions, conditions: &Conditions) -> Result<Child> {
    start::check_may_start()?;
    check_called()?;
    reaper::ensure()?;
    let arena = Arena::get()?;
    let letter = Bootstrap::write(&bootstrap::letter(kind, options.identity.clone(), payload))?;
    let owner = arena.pending_slot()?;
    fault!("process.spawn:pending");
    let ticket = Ticket { arena: -1, capacity: arena.capacity(), owner, letter: letter.place(), life: None };
    match launch(arena, ticket, options.die_with_parent, conditions) {
        Ok((child, program)) => {
            let beginning = Some(Beginning::new(program, kind != PROCESS));
            Ok(Child { letter: Some(letter), beginning, ..child })
        }
        Err(error) => {
            arena.abandon_pending(owner);
            Err(error)
        }
    }
}

/// That this program can be run again, as a child.
pub(super) fn check_called() -> Result<()> {
    if CALLED.load(Ordering::Acquire) || executable::is_named() {
        return Ok(());
    }
    Err(Error::new(
        Status::Bootstrap,
        "spawn and forkserver run this program again, so it must call mp_main_init first in main, which it has not; a \
         plug-in can name another program by mp_set_executable",
    ))
}

/// Runs the program; answers its path too.
fn launch(
    arena: &Arena,
    ticket: Ticket,
    die_with_parent: bool,
    conditions: &Conditions,
) -> Result<(Child, CString)> {
    let closed = "the arena's descriptor has been closed by the host, so that no child can be spawned";
    let descriptor = arena.descriptor().ok_or_else(|| Error::state(closed))?.as_raw_fd();
    let life = if die_with_parent { Some(life::read_end()?) } else { None };
    // The child knows libmp's descriptors by numbers that the user's leave free.
    let own: Vec<RawFd> = [descriptor].into_iter().chain(life).collect();
    let numbers = descriptors::numbers_beside(&conditions.places, &own, descriptors::limit());
    let own = own.iter().zip(&numbers).map(|(&have, &want)| Place { have, want });
    let places: Vec<Place> = conditions.places.iter().copied().chain(own).collect();
    let ticket = Ticket { arena: numbers[0], life: numbers.get(1).copied(), ..ticket };
    let variable = CString::new(format!("{}={}", bootstrap::VARIABLE, ticket.to_text()))
        .map_err(|_| Error::internal("a ticket with a NUL byte"))?;
    let variables = conditions.env.iter().chain([&variable]).map(CString::as_c_str);
    let (path, arguments) = executable::program()?;
    let pid = program::spawn(&program::Spawn {
        path: &path,
        arguments: &arguments,
        environment: &variables.collect::<Vec<_>>(),
        setting: conditions.setting(&places),
        life: ticket.life,
    })
    .map_err(|failed| match failed {
        program::Failed::Setting(failure) => conditions.explain(failure),
        program::Failed::Other(error) => error,
    })?;
    fault!("process.spawn:started");
    arena.note_pending_pid(ticket.owner, pid as u32);
    Ok((Child::hold(pid, ticket.owner)?, path))
}

/// `mp_main_init`: in a spawned child it does not return.
pub fn main_init() -> Result<()> {
    life::register();
    super::register_fork_handlers();
    let Some(text) = child::take_variable(bootstrap::VARIABLE) else {
        CALLED.store(true, Ordering::Release);
        return Ok(());
    };
    start::set_starting(true);
    let code = match begin(&text) {
        Ok(letter) => {
            CALLED.store(true, Ordering::Release);
            start::set_starting(false);
            fork::run(|| crate::wiring::run_child(letter.kind, &letter.payload))
        }
        Err(error) => {
            log::say(log::ERROR, &format!("a spawned child could not begin: {error}"));
            EXIT_FAILED
        }
    };
    if let Some(arena) = Arena::if_made() {
        arena.record_exit(code);
    }
    child::exit(code)
}

/// In a spawned child: joins the arena and reads the letter.
fn begin(text: &str) -> Result<Letter> {
    let ticket = Ticket::from_text(text).ok_or_else(|| {
        Error::invalid(format!("{} is {text:?}, which no parent wrote", bootstrap::VARIABLE))
    })?;
    if let Some(life) = ticket.life {
        life::watch_passed(life)?;
    }
    let arena = Arena::attach(child::adopt_descriptor(ticket.arena)?, ticket.capacity, ticket.owner)?;
    fault!("process.spawn:attached");
    let letter = Letter::open(arena, ticket.letter)?;
    identity::take_on(letter.identity.clone(), ticket.life.is_some());
    executable::take_on(&letter.executable);
    start::set_default(letter.method)?;
    Ok(letter)
}
