//! For unit tests that fork and then do more than async-signal-safe calls allow beside the harness's threads.

/// Runs a test's body in a process of its own. `name` is the test's full path, as in `sys::call::tests::aborts`.
/// Answers how that process ended; in that process it runs the body and does not return.
pub(crate) fn alone(name: &str, body: impl FnOnce()) -> std::process::ExitStatus {
    const VARIABLE: &str = "MP_TEST_ALONE";
    if std::env::var_os(VARIABLE).is_some_and(|alone| alone == name) {
        body();
        std::process::exit(0);
    }
    let mut test = std::process::Command::new(std::env::current_exe().unwrap());
    test.args(["--exact", name, "--nocapture", "--test-threads=1"]).env(VARIABLE, name);
    test.stdout(std::process::Stdio::null()).status().unwrap()
}
