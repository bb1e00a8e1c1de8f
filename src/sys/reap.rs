//! Waiting for whichever child ends next: only for a process that has no children but libmp's, a pool's zygote.

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its process id.
    pub pid: i32,
    /// Its exit code, 0 if a signal killed it.
    pub code: i32,
    /// The signal that killed it, 0 if none.
    pub signal: i32,
}

/// Waits for the next child to end. `None`: there is none.
pub fn next_child() -> Option<Ended> {
    loop {
        let mut status = 0;
        // SAFETY: `status` is a live int.
        let pid = unsafe { libc::waitpid(-1, &mut status, 0) };
        if pid > 0 {
            let (code, signal) = if libc::WIFSIGNALED(status) {
                (0, libc::WTERMSIG(status))
            } else {
                (libc::WEXITSTATUS(status), 0)
            };
            return Some(Ended { pid, code, signal });
        }
        if super::os::errno() != libc::EINTR {
            return None;
        }
    }
}
