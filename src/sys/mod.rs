//! Linux, and nothing above it: the only raw system calls of the library.

pub mod prim;

#[cfg(not(loom))]
pub mod clock;
pub mod fault;
#[cfg(not(loom))]
pub mod fork;
#[cfg(not(loom))]
pub mod futex;

#[cfg(not(loom))]
mod borrowed;
#[cfg(not(loom))]
pub mod call;
#[cfg(not(loom))]
pub mod cgroup;
#[cfg(not(loom))]
pub mod child;
#[cfg(not(loom))]
pub mod cpu;
#[cfg(not(loom))]
pub mod descriptors;
#[cfg(not(loom))]
pub mod elf;
#[cfg(not(loom))]
mod elf_file;
#[cfg(not(loom))]
pub mod environment;
#[cfg(not(loom))]
pub mod function;
#[cfg(not(loom))]
mod held;
#[cfg(not(loom))]
pub mod level;
#[cfg(not(loom))]
pub mod life;
#[cfg(not(loom))]
pub mod loader;
pub mod local;
#[cfg(not(loom))]
pub mod log;
#[cfg(not(loom))]
pub mod memfd;
#[cfg(not(loom))]
pub mod objects;
#[cfg(not(loom))]
pub mod os;
#[cfg(not(loom))]
pub mod page;
#[cfg(not(loom))]
mod parent;
#[cfg(not(loom))]
pub mod pidfd;
#[cfg(not(loom))]
pub mod poll;
#[cfg(not(loom))]
pub mod procfs;
#[cfg(not(loom))]
pub mod program;
#[cfg(not(loom))]
pub mod random;
#[cfg(not(loom))]
pub mod reap;
#[cfg(not(loom))]
pub mod room;
#[cfg(not(loom))]
pub mod setting;
#[cfg(not(loom))]
pub mod shmfile;
#[cfg(not(loom))]
pub mod sibling;
#[cfg(not(loom))]
pub mod signal;
#[cfg(not(loom))]
pub mod socket;
#[cfg(not(loom))]
pub mod spawn;
#[cfg(not(loom))]
pub mod stdio;
#[cfg(all(test, not(loom)))]
pub(crate) mod testing;
#[cfg(not(loom))]
pub mod thread;
#[cfg(not(loom))]
pub mod tree;
#[cfg(not(loom))]
pub mod watch;
