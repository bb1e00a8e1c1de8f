//! What a child sets of itself before it begins, and a trial of it.

use super::borrowed;
use super::descriptors::{self, Place};
use super::os;
use std::cell::Cell;
use std::ffi::{c_int, c_void, CStr};
use std::os::fd::RawFd;

/// CPUs have smaller numbers than this.
pub const CPUS: usize = 8192;
/// Resource limits have smaller numbers than this.
pub const RESOURCES: u32 = 16;

/// A resource limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// RLIMIT_NOFILE or another.
    pub resource: u32,
    /// What is in force.
    pub soft: u64,
    /// How far it may be raised.
    pub hard: u64,
}

/// What is to be set. Whatever is empty or 0 stays as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Setting<'a> {
    /// The working directory.
    pub cwd: Option<&'a CStr>,
    /// The descriptors.
    pub places: &'a [Place],
    /// The CPUs that it may run on, each below [`CPUS`].
    pub cpus: &'a [u32],
    /// The limits.
    pub limits: &'a [Limit],
    /// What is added to the nice value.
    pub nice: i32,
}

/// What could not be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The working directory.
    Cwd,
    /// The place of this number.
    Place(usize),
    /// The CPU of this number in the list; errno is 0 if only this one can't be had.
    Cpu(usize),
    /// The limit of this number in the list.
    Limit(usize),
    /// The nice value.
    Nice,
}

/// What could not be set, and the errno.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What.
    pub step: Step,
    /// Why.
    pub errno: i32,
}

impl Setting<'_> {
    /// Whether there is nothing to set.
    pub fn is_empty(&self) -> bool {
        let Setting { cwd, places, cpus, limits, nice } = self;
        cwd.is_none() && places.is_empty() && cpus.is_empty() && limits.is_empty() && *nice == 0
    }

    /// In a child: sets everything. Async-signal-safe, and no point of cancellation.
    pub fn apply(&self) -> Result<(), Failure> {
        // Before the limits: they bound the numbers of new descriptors.
        self.place().and_then(|()| self.confine())
    }

    /// The first part of [`Setting::apply`]: the working directory and the descriptors.
    pub fn place(&self) -> Result<(), Failure> {
        if let Some(cwd) = self.cwd {
            // SAFETY: the path ends in NUL.
            result(unsafe { libc::chdir(cwd.as_ptr()) }).map_err(failed(Step::Cwd))?;
        }
        descriptors::fill(self.places).map_err(|(at, errno)| failed(Step::Place(at))(errno))
    }

    /// The rest.
    pub fn confine(&self) -> Result<(), Failure> {
        if !self.cpus.is_empty() {
            run_on(self.cpus).map_err(|(at, errno)| failed(Step::Cpu(at))(errno))?;
        }
        for (at, limit) in self.limits.iter().enumerate() {
            set_limit(limit).map_err(failed(Step::Limit(at)))?;
        }
        // After the limits, which may allow it.
        if self.nice != 0 {
            set_nice(self.nice).map_err(failed(Step::Nice))?;
        }
        Ok(())
    }

    /// Tries in a child that does nothing else whether everything can be set.
    pub fn try_out(&self) -> Result<(), Failure> {
        self.try_out_beside(&[])
    }

    /// The same for a child that first moves these descriptors where a place has their numbers. One that can't be moved
    /// counts as the place behind the last.
    pub fn try_out_beside(&self, own: &[RawFd]) -> Result<(), Failure> {
        let trial = Trial { setting: *self, own, failure: Cell::new(None) };
        // Where no child can be made, the one that is meant is not made either, and says so.
        if let Ok(pid) = borrowed::run(in_trial, &trial, 0) {
            borrowed::reap(pid);
        }
        trial.failure.get().map_or(Ok(()), Err)
    }
}

struct Trial<'a> {
    setting: Setting<'a>,
    own: &'a [RawFd],
    failure: Cell<Option<Failure>>,
}

extern "C" fn in_trial(trial: *mut c_void) -> c_int {
    // SAFETY: `try_out` passed the trial, which its thread keeps alive.
    let trial = unsafe { &*trial.cast::<Trial<'_>>() };
    let places = trial.setting.places;
    let mut in_the_way = trial.own.iter().filter(|&&fd| descriptors::is_wanted(places, fd));
    let moved = in_the_way.try_for_each(|&fd| descriptors::copy_aside(fd, places).map(drop));
    let applied = moved.map_err(failed(Step::Place(places.len()))).and_then(|()| trial.setting.apply());
    trial.failure.set(applied.err());
    // SAFETY: ends the child, past everything that is its parent's.
    unsafe { libc::_exit(0) }
}

fn failed(step: Step) -> impl Fn(i32) -> Failure {
    move |errno| Failure { step, errno }
}

fn result(done: c_int) -> Result<(), i32> {
    if done < 0 {
        Err(os::errno())
    } else {
        Ok(())
    }
}

type CpuSet = [u64; CPUS / 64];

/// Has this process run on these CPUs; else which of them can't be had, and why.
fn run_on(cpus: &[u32]) -> Result<(), (usize, i32)> {
    let mut set: CpuSet = [0; CPUS / 64];
    for (at, &cpu) in cpus.iter().enumerate() {
        *set.get_mut(cpu as usize / 64).ok_or((at, libc::EINVAL))? |= 1 << (cpu % 64);
    }
    let mut got: CpuSet = [0; CPUS / 64];
    let size = size_of::<CpuSet>();
    // SAFETY: the set is readable and `got` writable for `size` bytes; 0 is the calling thread, the only one here.
    let (done, errno) = unsafe {
        let done = libc::syscall(libc::SYS_sched_setaffinity, 0, size, set.as_ptr());
        let errno = os::errno();
        (done, if done < 0 { errno } else { 0 })
    };
    if done < 0 && errno != libc::EINVAL {
        return Err((0, errno));
    }
    // The kernel leaves out what can't be had, and refuses only when nothing is left.
    // SAFETY: as above.
    if done == 0 && unsafe { libc::syscall(libc::SYS_sched_getaffinity, 0, size, got.as_mut_ptr()) } < 0 {
        return Err((0, os::errno()));
    }
    match cpus.iter().position(|&cpu| got[cpu as usize / 64] >> (cpu % 64) & 1 == 0) {
        Some(at) => Err((at, 0)),
        None => Ok(()),
    }
}

fn set_limit(limit: &Limit) -> Result<(), i32> {
    let new = libc::rlimit { rlim_cur: limit.soft as libc::rlim_t, rlim_max: limit.hard as libc::rlim_t };
    // SAFETY: `new` is a live rlimit; a number that is no resource is refused.
    result(unsafe { libc::setrlimit(limit.resource as _, &new) })
}

fn set_nice(more: i32) -> Result<(), i32> {
    // The value is a number from 20 to -19 here, so that it can't be taken for an error.
    // SAFETY: numbers only; 0 is the calling thread, the only one here.
    let now = unsafe { libc::syscall(libc::SYS_getpriority, libc::PRIO_PROCESS, 0) };
    if now < 0 {
        return Err(os::errno());
    }
    let new = (20 - now as i32).saturating_add(more).clamp(-20, 19);
    // SAFETY: as above.
    result(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, new) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fails(setting: &Setting<'_>, step: Step, errno: i32) {
        assert_eq!(setting.try_out(), Err(Failure { step, errno }));
    }

    #[test]
    fn a_trial_changes_nothing_here() {
        let cwd = std::env::current_dir().unwrap();
        let limit = Limit { resource: libc::RLIMIT_CORE, soft: 0, hard: 0 };
        let setting = Setting {
            cwd: Some(c"/"),
            places: &[Place { have: descriptors::CLOSED, want: 2 }],
            limits: &[limit],
            nice: 1,
            ..Setting::default()
        };
        // SAFETY: numbers only.
        let nice = || unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
        let before = nice();
        for _ in 0..20 {
            setting.try_out().unwrap();
        }
        assert_eq!(std::env::current_dir().unwrap(), cwd);
        assert!(os::file_of(2).is_some());
        assert_eq!(nice(), before);
    }

    #[test]
    fn a_trial_tells_what_fails() {
        fails(&Setting { cwd: Some(c"/no/such"), ..Setting::default() }, Step::Cwd, libc::ENOENT);
        fails(&Setting { cwd: Some(c"/dev/null"), ..Setting::default() }, Step::Cwd, libc::ENOTDIR);
        fails(&Setting { cpus: &[8191], ..Setting::default() }, Step::Cpu(0), 0);
        fails(&Setting { cpus: &[0, 8191], ..Setting::default() }, Step::Cpu(1), 0);
        fails(&Setting { cpus: &[8192], ..Setting::default() }, Step::Cpu(0), libc::EINVAL);
        let places = &[Place { have: 0, want: 5 }, Place { have: 1 << 20, want: 6 }];
        fails(&Setting { places, ..Setting::default() }, Step::Place(1), libc::EBADF);
        let limits = &[Limit { resource: libc::RLIMIT_CORE, soft: 1, hard: 0 }];
        fails(&Setting { limits, ..Setting::default() }, Step::Limit(0), libc::EINVAL);
    }
}
