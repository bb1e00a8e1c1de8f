//! The shared library exports what `abi/libmp.symbols` lists and nothing else, and has the right soname.

use std::path::PathBuf;
use std::process::Command;

/// The library that this test run has built, beside the test itself.
fn library() -> PathBuf {
    let library = std::env::current_exe().unwrap().with_file_name("libmp.so");
    assert!(library.exists(), "{} is not there", library.display());
    library
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).arg(library()).output();
    let output = output.unwrap_or_else(|e| panic!("{program}: {e}"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn exports_are_the_listed_ones() {
    let symbols = output("nm", &["-D", "--defined-only"]);
    let mut exported: Vec<&str> = symbols.lines().map(|line| line.rsplit(' ').next().unwrap()).collect();
    exported.sort_unstable();
    let list = include_str!("../abi/libmp.symbols");
    assert_eq!(exported, list.lines().collect::<Vec<_>>());
    assert!(exported.iter().all(|name| name.starts_with("mp_")));
}

#[test]
fn the_soname_and_nodelete_are_set() {
    let dynamic = output("readelf", &["-d"]);
    assert!(dynamic.contains("[libmp.so.0]"), "{dynamic}");
    assert!(dynamic.contains("NODELETE"), "{dynamic}");
}
