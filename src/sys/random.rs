//! Random bytes from the kernel.

use crate::error::{Error, Result};

/// Fills `bytes`.
pub fn fill(bytes: &mut [u8]) -> Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        let rest = &mut bytes[done..];
        // SAFETY: `rest` is a live buffer of that length.
        let got = unsafe { libc::getrandom(rest.as_mut_ptr().cast(), rest.len(), 0) };
        match usize::try_from(got) {
            Ok(n) => done += n,
            Err(_) if super::os::errno() == libc::EINTR => {}
            Err(_) => return Err(Error::system("getrandom")),
        }
    }
    Ok(())
}
