//! A process as its maker sees it.

use super::conditions::Conditions;
use super::end::Ended;
use super::identity::{self, Identity};
use super::launch::{self, Plan};
use super::outcome::Remains;
use super::reaper::{self, Child};
use super::recipe::Recipe;
use super::start::{self, StartMethod};
use super::thread;
use super::{EXIT_FAILED, NOT_OURS};
use crate::arena::bridge::{Descriptor, Watched};
use crate::arena::multi::Waitable;
use crate::arena::wait::Waiter;
use crate::arena::{event, Arena, Owner};
use crate::error::{Error, Result, Status};
use crate::sync::{ended, Cancel};
use crate::sys::clock::Deadline;
use crate::sys::fork::LocalLock;
use crate::sys::function::Function;
use crate::sys::prim::Futex;
use crate::sys::{child, log, signal};
use std::fmt;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// How a process is to be.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What it is called; else it gets a name like `Process-1`.
    pub name: Option<String>,
    /// Whether it is killed when its parent ends.
    pub daemon: bool,
    /// A number of [`start`]; 0 for the program's default.
    pub start_method: i32,
    /// Under what conditions it begins.
    pub conditions: Conditions,
}

/// What the reaper, or the thread itself, tells the handle.
#[derive(Debug, Default)]
struct Record {
    changed: Futex,
    /// 1 << 32 | exit number, 0 while the process has not ended.
    exit: AtomicU64,
    /// Set before `exit`.
    remains: OnceLock<Remains>,
}

impl Record {
    fn set(&self, ended: &Ended, remains: Remains) {
        let _ = self.remains.set(remains);
        let number = match ended.exit.number() {
            // That would say that its function has returned.
            0 if ended.unbegun.is_some() => EXIT_FAILED,
            number => number,
        };
        self.exit.store(1 << 32 | u64::from(number as u32), Ordering::SeqCst);
        event::notify(&self.changed, u32::MAX);
        if let Some(arena) = Arena::if_made() {
            arena.ring_own_bell();
        }
    }

    fn get(&self) -> Option<i32> {
        let exit = self.exit.load(Ordering::SeqCst);
        (exit != 0).then_some(exit as u32 as i32)
    }
}

/// The end of a process, as others wait for it who wait for more than that.
struct End(Arc<Record>);

impl Watched for End {
    /// Who sets the record is of this process, and always rings its bell.
    fn enter(&self, _arena: &Arena) {}

    fn is_ready(&self) -> bool {
        self.0.get().is_some()
    }
}

#[derive(Debug)]
enum Stage {
    Initial(Arc<Recipe>),
    /// A thread is starting it.
    Starting,
    Started(Started),
    Closed,
}

/// What was started.
#[derive(Clone, Debug)]
enum Started {
    /// A process, watched by the reaper.
    Child { pid: i32, owner: Owner },
    /// A thread of this process.
    Thread(Arc<thread::Running>),
}

/// A process: made, started once, joined. It belongs to the process that made it.
#[derive(Debug)]
pub struct Process {
    maker: Owner,
    identity: Identity,
    c_name: std::ffi::CString,
    daemon: bool,
    method: i32,
    conditions: Conditions,
    record: Arc<Record>,
    sentinel: Descriptor,
    /// Apart, so that a forked child can leave it alone: another thread may have been about to change it.
    stage: Option<Box<LocalLock<Stage>>>,
}

impl Process {
    /// A process that will call `function` with these arguments.
    pub fn new(function: Function, args: &[&[u8]], options: Options) -> Result<Process> {
        // Before the arena: a spawned child that made one of its own could not join its parent's.
        start::check_may_start()?;
        let arena = Arena::get()?;
        start::resolve(options.start_method)?;
        let identity = identity::next(options.name);
        let c_name = std::ffi::CString::new(identity.name.as_str())
            .map_err(|_| Error::invalid("the name has a NUL inside"))?;
        let recipe = Arc::new(Recipe { function, args: args.iter().map(|arg| arg.to_vec()).collect() });
        Ok(Process {
            maker: arena.me(),
            identity,
            c_name,
            daemon: options.daemon,
            method: options.start_method,
            conditions: options.conditions,
            record: Arc::default(),
            sentinel: Descriptor::default(),
            stage: Some(Box::new(LocalLock::new(Stage::Initial(recipe)))),
        })
    }

    /// The stage, if this process made the handle.
    fn stage(&self) -> Result<&LocalLock<Stage>> {
        if Arena::get()?.me() != self.maker {
            return Err(Error::state(NOT_OURS));
        }
        self.stage.as_deref().ok_or_else(|| Error::internal("the handle has no stage"))
    }

    /// Starts it.
    pub fn start(&self) -> Result<()> {
        let stage = self.stage()?;
        let method = start::resolve(self.method)?;
        let recipe = {
            let mut now = stage.lock();
            match std::mem::replace(&mut *now, Stage::Starting) {
                Stage::Initial(recipe) => recipe,
                other => {
                    let error = match other {
                        Stage::Closed => self.closed(),
                        _ => Error::state(format!("{} was started before", self.identity.name)),
                    };
                    *now = other;
                    return Err(error);
                }
            }
        };
        match self.launch(method, &recipe) {
            Ok(started) => {
                *stage.lock() = Stage::Started(started);
                Ok(())
            }
            Err(error) => {
                *stage.lock() = Stage::Initial(recipe);
                Err(error)
            }
        }
    }

    fn launch(&self, method: StartMethod, recipe: &Arc<Recipe>) -> Result<Started> {
        // A thread dies with its process anyhow: the question is only whether it is awaited.
        let bound = method != StartMethod::Thread && identity::is_bound();
        let plan = Plan {
            identity: &self.identity,
            die_with_parent: self.daemon || bound,
            recipe,
            conditions: &self.conditions,
        };
        let record = self.record.clone();
        if !self.daemon {
            await_at_exit();
        }
        if method == StartMethod::Thread {
            return thread::start(&plan, move |ended, remains| record.set(&ended, remains))
                .map(Started::Thread);
        }
        let mut child = launch::launch(method, &plan)?;
        child.awaited_at_exit = !self.daemon;
        child.listed = true;
        let (pid, owner) = (child.pid, child.owner);
        watch(child, record);
        Ok(Started::Child { pid, owner })
    }

    /// Waits for its end.
    pub fn join(&self, deadline: Deadline) -> Result<()> {
        let started = self.started()?;
        match &started {
            Started::Thread(running) if running.is_this_thread() => {
                return Err(Error::state(format!("{} can't wait for its own end", self.identity.name)));
            }
            // Who can be cancelled sleeps on a word, as everywhere else.
            Started::Child { owner, .. } if !Cancel::is_used() => {
                reaper::await_end(*owner, deadline);
            }
            _ => {}
        }
        let mut waiter = Waiter::new(Arena::get()?, deadline);
        let record = &self.record;
        event::wait(&record.changed, &mut waiter, || record.get(), || true)
            .map_err(|end| ended(end, "the process has not ended"))?;
        if let Started::Thread(running) = started {
            running.reap();
        }
        Ok(())
    }

    /// To be waited for among others: that it has ended.
    pub fn waitable(&self) -> Result<Waitable> {
        self.stage().map_err(|error| Error::invalid(error.message().to_owned()))?;
        self.started()?;
        Ok(Waitable::object(Arena::get()?, End(self.record.clone())))
    }

    /// A descriptor of this process that is readable when the other has ended. It lives as long as this.
    pub fn sentinel(&self) -> Result<RawFd> {
        self.started()?;
        self.sentinel.get(Arena::get()?, || Box::new(End(self.record.clone())))
    }

    /// Sends it a signal; nothing happens if it has ended.
    pub fn signal(&self, signal: i32) -> Result<()> {
        if !signal::is_valid(signal) {
            return Err(Error::invalid(format!("there is no signal {signal}")));
        }
        let (_, owner) = self.addressee()?;
        reaper::signal(owner, signal)
    }

    /// Its exit code; minus the signal that killed it; [`super::end::UNKNOWN`].
    pub fn exit_code(&self) -> Result<i32> {
        self.started()?;
        self.record.get().ok_or_else(|| Error::state(format!("{} is still running", self.identity.name)))
    }

    /// Whether it runs.
    pub fn is_alive(&self) -> Result<bool> {
        match &*self.stage()?.lock() {
            Stage::Initial(_) | Stage::Starting => Ok(false),
            Stage::Started(_) => Ok(self.record.get().is_none()),
            Stage::Closed => Err(self.closed()),
        }
    }

    /// Its process id.
    pub fn pid(&self) -> Result<i32> {
        match self.started()? {
            Started::Child { pid, .. } => Ok(pid),
            Started::Thread(_) => Ok(std::process::id() as i32),
        }
    }

    /// What it is called.
    pub fn name(&self) -> Result<&std::ffi::CStr> {
        self.stage()?;
        Ok(&self.c_name)
    }

    /// Ends the use of the handle; the process must not run.
    pub fn close(&self) -> Result<()> {
        let mut stage = self.stage()?.lock();
        let running = match &*stage {
            Stage::Initial(_) | Stage::Closed => false,
            Stage::Starting => true,
            Stage::Started(_) => self.record.get().is_none(),
        };
        if running {
            return Err(Error::state(format!("{} is still running: join it first", self.identity.name)));
        }
        *stage = Stage::Closed;
        Ok(())
    }

    /// What it is and how it stands.
    pub fn describe(&self) -> Result<String> {
        let stands = match &*self.stage()?.lock() {
            Stage::Initial(_) | Stage::Starting => "initial",
            Stage::Started(_) if self.record.get().is_none() => "started",
            Stage::Started(_) => "stopped",
            Stage::Closed => "closed",
        };
        Ok(format!("<Process({}, {stands})>", self.identity.name))
    }

    fn is_a_thread(&self) -> Error {
        let text = format!(
            "{} is a thread of this process (MP_START_THREAD): it can't be sent a signal, nor be ended from outside",
            self.identity.name
        );
        Error::new(Status::Unsupported, text)
    }

    /// What is left of it, once it has ended.
    pub(super) fn remains(&self) -> Option<&Remains> {
        self.record.remains.get()
    }

    /// What it is called, for messages.
    pub(super) fn name_text(&self) -> &str {
        &self.identity.name
    }

    /// Whom signals reach: its process id and its slot. A thread of this process has no answer here.
    pub(super) fn addressee(&self) -> Result<(i32, Owner)> {
        match self.started()? {
            Started::Child { pid, owner } => Ok((pid, owner)),
            Started::Thread(_) => Err(self.is_a_thread()),
        }
    }

    fn started(&self) -> Result<Started> {
        match &*self.stage()?.lock() {
            Stage::Started(started) => Ok(started.clone()),
            Stage::Closed => Err(self.closed()),
            _ => Err(Error::state(format!("{} was not started", self.identity.name))),
        }
    }

    fn closed(&self) -> Error {
        Error::new(Status::Closed, format!("the handle of {} was closed", self.identity.name))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // In a forked child the lock and what it guards are as another thread may have left them.
        if Arena::if_made().is_none_or(|arena| arena.me() != self.maker) {
            std::mem::forget(self.stage.take());
            return;
        }
        thread::collect();
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            &self.describe().unwrap_or_else(|_| format!("<Process({}, foreign)>", self.identity.name)),
        )
    }
}

fn watch(child: Child, record: Arc<Record>) {
    let (owner, pid) = (child.owner, child.pid);
    let after = move |ended: Ended| {
        if let Some(error) = &ended.unbegun {
            log::say(log::ERROR, &format!("{} (pid {pid})", error.message()));
        }
        let remains = Remains::collect(owner, &ended);
        record.set(&ended, remains);
    };
    reaper::watch(child, Box::new(after));
}

/// Has this process wait, when it exits, for the children and threads that are not daemons, and end its fork server.
pub(super) fn await_at_exit() {
    static REGISTERED: AtomicBool = AtomicBool::new(false);
    if !REGISTERED.swap(true, Ordering::AcqRel) {
        child::at_exit(at_exit);
    }
}

extern "C" fn at_exit() {
    // A forked child that exits finds no children and threads of its own, and so does nothing.
    let _ = std::panic::catch_unwind(super::await_all);
}
