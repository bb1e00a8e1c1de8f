//! Link arguments of the shared library.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Counted apart from the version: raised only when the ABI breaks.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libmp.so.0");
    // Never unloaded: fork handlers and thread-local destructors point into it.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
