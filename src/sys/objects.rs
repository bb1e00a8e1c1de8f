//! Which objects were loaded at an instant: a copy that was made of the process then has those, at the same addresses.

use super::elf::{find_object, Object};
use std::ffi::c_void;

/// What was loaded.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// How many objects had ever been loaded, and unloaded.
    loads: u64,
    unloads: u64,
    /// Where each lies, the program first.
    bases: Vec<u64>,
}

impl Snapshot {
    /// Of this process, as of now.
    pub fn take() -> Snapshot {
        let mut taken = Snapshot::default();
        find_object(|object| {
            (taken.loads, taken.unloads) = (object.loads, object.unloads);
            taken.bases.push(object.base);
            None::<()>
        });
        taken
    }

    /// Whether what now lies at this address of code lay there then.
    pub fn has(&self, code: *const c_void) -> bool {
        let unchanged = |object: &Object<'_>| (object.loads, object.unloads) == (self.loads, self.unloads);
        if find_object(|object| Some(unchanged(object))) == Some(true) {
            return true;
        }
        let found =
            find_object(|object| object.code_offset(code as u64).map(|_| (object.base, object.unloads)));
        found.is_some_and(|(base, unloads)| {
            // Where something was unloaded, another object may have taken its place; the program itself never goes.
            self.bases.first() == Some(&base) || (unloads == self.unloads && self.bases.contains(&base))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here() {}

    #[test]
    fn what_is_loaded_now_was_loaded_just_before() {
        let taken = Snapshot::take();
        assert!(taken.has(here as *const c_void) && taken.has(libc::getpid as *const c_void));
    }

    #[test]
    fn after_a_load_only_what_lay_there_counts() {
        let now = Snapshot::take();
        let before = Snapshot { loads: now.loads - 1, ..now.clone() };
        let on_heap = Box::new(0u64);
        assert!(before.has(here as *const c_void) && before.has(libc::getpid as *const c_void));
        assert!(!before.has(std::ptr::from_ref(&*on_heap).cast()));
        let program = Snapshot { bases: now.bases[..1].to_vec(), ..before };
        assert!(program.has(here as *const c_void) && !program.has(libc::getpid as *const c_void));
        // With something unloaded since, only the program is certain.
        let unloaded = Snapshot { unloads: now.unloads + 1, ..now };
        assert!(unloaded.has(here as *const c_void) && !unloaded.has(libc::getpid as *const c_void));
    }
}
