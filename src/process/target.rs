//! How a function reaches another process: by its pointer, by its place in a loaded object, or by its name.

use super::executable;
use super::wire::{Reader, Writer};
use crate::error::{Error, Result, Status};
use crate::sys::elf::{self, Place};
use crate::sys::fork::LocalLock;
use crate::sys::function::Function;
use crate::sys::objects::Snapshot;
use std::ffi::c_void;

/// A function as it travels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Its address: to a copy of the process in which it was loaded already.
    Pointer(Function),
    /// Which object, and how far into it: to the same program, run anew.
    Module(Place),
    /// The name that it was registered by.
    Name(String),
}

/// Functions by name. Few: a list is searched.
#[link_section = "mp_fork_data"]
pub(super) static REGISTRY: LocalLock<Vec<(String, Function)>> = LocalLock::new(Vec::new());

/// The function that was located last, when so many objects were loaded, and its place.
pub(super) static LOCATED: LocalLock<Option<((Function, u64), Place)>> = LocalLock::new(None);

/// Gives a function a name, by which it travels where its pointer can't.
pub fn register(name: &str, function: Function) -> Result<()> {
    super::register_fork_handlers();
    if name.is_empty() {
        return Err(Error::invalid("name is empty"));
    }
    let mut registry = REGISTRY.lock();
    match registry.iter().find(|(known, _)| known == name) {
        None => registry.push((name.to_owned(), function)),
        Some((_, known)) if *known == function => {}
        Some(_) => {
            let text = format!("another function is registered by the name {name}");
            return Err(Error::new(Status::Exists, text));
        }
    }
    Ok(())
}

fn registered_name(function: Function) -> Option<String> {
    REGISTRY.lock().iter().find(|(_, known)| *known == function).map(|(name, _)| name.clone())
}

/// How many objects this process has ever loaded: while the number stays, a function travels as before.
pub fn loaded() -> u64 {
    elf::loaded_count()
}

const POINTER: u64 = 0;
const MODULE: u64 = 1;
const NAME: u64 = 2;

impl Target {
    /// To a child that is forked now.
    pub fn for_fork(function: Function) -> Target {
        Target::Pointer(function)
    }

    /// To a child that runs the program anew, or another that was named.
    pub fn for_exec(function: Function) -> Result<Target> {
        let target = Target::by_name_or_place(function)?;
        if let Target::Module(place) = &target {
            executable::check_reaches(place)?;
        }
        Ok(target)
    }

    fn by_name_or_place(function: Function) -> Result<Target> {
        if let Some(name) = registered_name(function) {
            return Ok(Target::Name(name));
        }
        // To find a function's object reads files: most starts are of the function before.
        let loaded = elf::loaded_count();
        if let Some((_, place)) = LOCATED.lock().as_ref().filter(|(of, _)| *of == (function, loaded)) {
            return Ok(Target::Module(place.clone()));
        }
        let address = function.address() as *const c_void;
        let place = elf::locate(address).ok_or_else(|| {
            Error::invalid(format!(
                "the function at {address:?} is in no loaded object, or in one whose file has been replaced, and can't \
                 travel: register it by name (mp_register)"
            ))
        })?;
        super::register_fork_handlers();
        // A file that is its own identity is looked at each time: it may have been replaced.
        *LOCATED.lock() = place.has_build_id().then(|| ((function, loaded), place.clone()));
        Ok(Target::Module(place))
    }

    /// To a child whose memory is that of this process at that instant.
    pub fn for_zygote(function: Function, at: &Snapshot) -> Result<Target> {
        if at.has(function.address() as *const c_void) {
            return Ok(Target::Pointer(function));
        }
        Target::by_name_or_place(function)
    }

    /// Whether it is the same for the same function as long as nothing is loaded: a file that is its own identity may be
    /// replaced at any time.
    pub fn is_lasting(&self) -> bool {
        !matches!(self, Target::Module(place) if !place.has_build_id())
    }

    /// As bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        self.write(&mut out);
        out.into_bytes()
    }

    /// From bytes.
    pub fn decode(bytes: &[u8]) -> Result<Target> {
        Target::read(&mut Reader::new(bytes))
    }

    pub(super) fn write(&self, out: &mut Writer) {
        match self {
            Target::Pointer(function) => {
                out.number(POINTER);
                out.number(function.address() as u64);
            }
            Target::Module(place) => {
                let mut bytes = Vec::new();
                place.encode(&mut bytes);
                out.number(MODULE);
                out.bytes(&bytes);
            }
            Target::Name(name) => {
                out.number(NAME);
                out.bytes(name.as_bytes());
            }
        }
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Result<Target> {
        let damaged = || Error::internal("a function was named in a way that this library does not know");
        match from.number()? {
            POINTER => Ok(Target::Pointer(Function::found(from.number()? as usize))),
            MODULE => Place::decode(from.bytes()?).map(Target::Module).ok_or_else(damaged),
            NAME => Ok(Target::Name(from.text()?.to_owned())),
            _ => Err(damaged()),
        }
    }

    /// The function, in the process that it has reached.
    pub fn resolve(&self) -> Result<Function> {
        match self {
            Target::Pointer(function) => Ok(*function),
            Target::Module(place) => Ok(Function::found(place.resolve_or_load()? as usize)),
            Target::Name(name) => {
                let found = REGISTRY.lock().iter().find(|(known, _)| known == name).map(|(_, f)| *f);
                found.ok_or_else(|| {
                    Error::new(
                        Status::NotFound,
                        format!("no function is registered by the name {name}: call mp_register before mp_main_init"),
                    )
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    extern "C" fn one(_: *mut c_void) -> i32 {
        1
    }

    extern "C" fn two(_: *mut c_void) -> i32 {
        2
    }

    fn function(f: extern "C" fn(*mut c_void) -> i32) -> Function {
        Function::found(f as usize)
    }

    #[test]
    fn a_function_of_the_program_travels_by_its_place() {
        let target = Target::for_exec(function(one)).unwrap();
        assert!(matches!(target, Target::Module(_)));
        let arrived = Target::decode(&target.encode()).unwrap();
        assert_eq!(arrived, target);
        assert_eq!(arrived.resolve().unwrap(), function(one));
    }

    #[test]
    fn a_registered_function_travels_by_its_name() {
        register("target.two", function(two)).unwrap();
        register("target.two", function(two)).unwrap();
        assert_eq!(register("target.two", function(one)).unwrap_err().status(), Status::Exists);
        assert_eq!(register("", function(one)).unwrap_err().status(), Status::Invalid);
        let target = Target::for_exec(function(two)).unwrap();
        assert_eq!(target, Target::Name("target.two".to_owned()));
        assert_eq!(Target::decode(&target.encode()).unwrap().resolve().unwrap(), function(two));
        let unknown = Target::Name("target.three".to_owned());
        assert_eq!(unknown.resolve().unwrap_err().status(), Status::NotFound);
    }

    #[test]
    fn a_pointer_is_enough_to_where_the_function_was_loaded() {
        let target = Target::for_zygote(function(one), &Snapshot::take()).unwrap();
        assert_eq!(target, Target::Pointer(function(one)));
        assert_eq!(Target::decode(&target.encode()).unwrap(), target);
        let elsewhere = Target::for_zygote(function(one), &Snapshot::default()).unwrap();
        assert!(matches!(elsewhere, Target::Module(_)));
        assert!(Target::decode(&[9; 8]).is_err());
        assert!(Target::decode(&[]).is_err());
    }

    #[test]
    fn a_pointer_in_no_object_must_be_registered() {
        let heap = Box::new(0u64);
        let error = Target::for_exec(Function::found(std::ptr::from_ref(&*heap) as usize)).unwrap_err();
        assert_eq!(error.status(), Status::Invalid);
        assert!(error.message().contains("register it by name"), "{error}");
    }
}
