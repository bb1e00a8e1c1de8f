//! Which program children run that run one anew: this one, unless another was named, as a plug-in does whose host has
//! no `mp_main_init`.

use crate::error::{Error, Result, Status};
use crate::sys::elf::Place;
use crate::sys::fork::LocalLock;
use crate::sys::{program, spawn as start};
use std::ffi::{CString, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// The program that was named.
pub(super) static NAMED: LocalLock<Option<PathBuf>> = LocalLock::new(None);

/// How often a program was named: while the number stays, a function travels as before.
static NAMINGS: AtomicU32 = AtomicU32::new(0);

/// See [`NAMINGS`].
pub fn namings() -> u32 {
    NAMINGS.load(Ordering::Acquire)
}

/// Names the program; `None` sets it back to this one.
pub fn set(path: Option<&Path>) -> Result<()> {
    super::register_fork_handlers();
    let path = path.map(|path| {
        if path.as_os_str().is_empty() {
            return Err(Error::invalid("path is empty"));
        }
        start::check_executable(path)?;
        std::path::absolute(path).map_err(|error| Error::invalid(format!("{}: {error}", path.display())))
    });
    *NAMED.lock() = path.transpose()?;
    NAMINGS.fetch_add(1, Ordering::AcqRel);
    Ok(())
}

fn named() -> Option<PathBuf> {
    NAMED.lock().clone()
}

/// Whether one was named.
pub(super) fn is_named() -> bool {
    NAMED.lock().is_some()
}

/// As it travels to a child: empty if none was named.
pub(super) fn to_bytes() -> Vec<u8> {
    named().map_or_else(Vec::new, |path| path.into_os_string().into_vec())
}

/// In a child: what its parent has named.
pub(super) fn take_on(bytes: &[u8]) {
    super::register_fork_handlers();
    let path = || PathBuf::from(OsString::from_vec(bytes.to_vec()));
    *NAMED.lock() = (!bytes.is_empty()).then(path);
}

/// What is to be run, and its arguments: this program gets those that it had itself, another only its own path.
pub(super) fn program() -> Result<(CString, Vec<CString>)> {
    match named() {
        None => Ok((start::c_path(program::program_path()?)?, start::arguments())),
        Some(path) => {
            let path = start::c_path(path)?;
            Ok((path.clone(), vec![path]))
        }
    }
}

/// Refuses a function of this program where children run another.
pub(super) fn check_reaches(place: &Place) -> Result<()> {
    let Some(other) = named() else { return Ok(()) };
    let own = program::program_path()?;
    if place.path != own || program::is_same_file(&own, &other) {
        return Ok(());
    }
    let (own, other) = (own.as_os_str().as_bytes(), other.as_os_str().as_bytes());
    let text = format!(
        "the function lies in this program ({}), but mp_set_executable has named another for children ({}): put the \
         function into a shared library, or register it in both by the same name (mp_register)",
        String::from_utf8_lossy(own),
        String::from_utf8_lossy(other)
    );
    Err(Error::new(Status::Invalid, text))
}
