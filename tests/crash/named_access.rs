//! Named arenas: who may open one, and what is refused.

use crate::named::{lock, open, options, path, status, unique, Name, EVER};
use crate::process::fork;
use crate::Case;
use mp::arena::{Arena, OpenOptions};
use mp::error::Status;
use mp::sys::clock::{Deadline, FOREVER};
use std::os::unix::fs::{symlink, MetadataExt, PermissionsExt};

pub fn cases() -> Vec<Case> {
    let case = |name: &str, body: fn()| Case::new(format!("named: {name}"), body);
    vec![
        case("who may open it", access),
        case("what is no arena is refused", refused_files),
        case("made for another namespace", namespaces),
    ]
}

fn as_nobody(body: impl FnOnce()) {
    fork(|| {
        // SAFETY: numbers only; root gives its rights away.
        unsafe {
            assert_eq!(libc::setgroups(0, std::ptr::null()), 0);
            assert_eq!(libc::setgid(65534), 0);
            assert_eq!(libc::setuid(65534), 0);
        }
        body();
    })
    .succeeds();
}

fn access() {
    // SAFETY: numbers only.
    unsafe { libc::umask(0o077) };
    let name = Name::new("access");
    let wide = OpenOptions { mode: 0o666, capacity: 1, ..options() };
    assert_eq!(status(Arena::open_named("", &wide)), Status::Invalid);
    assert_eq!(status(Arena::open_named("a/b", &wide)), Status::Invalid);
    for mode in [0o1666, 0o066] {
        assert_eq!(status(Arena::open_named(&name.0, &OpenOptions { mode, ..wide })), Status::Invalid);
    }
    let arena = Arena::open_named(&name.0, &wide).unwrap();
    assert_eq!(arena.capacity(), 64 << 20);
    let metadata = std::fs::metadata(path(&name.0)).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o666, "whatever the umask");
    assert!(metadata.blocks() * 512 < 2 << 20, "memory is used as it is needed");
    let other = OpenOptions { uid: options().uid + 1, ..options() };
    assert_eq!(status(Arena::open_named(&name.0, &other)), Status::Access);
    assert_eq!(status(Arena::open_named(&unique("none"), &other)), Status::NotFound);
    if options().uid != 0 {
        return;
    }
    as_nobody(|| {
        assert_eq!(status(Arena::open_named(&name.0, &options())), Status::Access);
        let arena = Arena::open_named(&name.0, &OpenOptions { uid: 0, ..options() }).unwrap();
        assert_eq!(lock(arena).acquire(EVER).unwrap(), Status::Ok);
    });
    // The stranger's death is seen although it is another user's.
    assert_eq!(lock(arena).acquire(Deadline::after(FOREVER)).unwrap(), Status::OwnerDead);
    let private = Name::new("private");
    open(&private.0);
    as_nobody(|| {
        let named = OpenOptions { uid: 0, ..options() };
        assert_eq!(status(Arena::open_named(&private.0, &named)), Status::Access);
    });
}

fn refused_files() {
    let name = Name::new("refused");
    let place = path(&name.0);
    let refusal = || status(Arena::open_named(&name.0, &options()));
    symlink("/dev/null", &place).unwrap();
    assert_eq!(refusal(), Status::Invalid);
    std::fs::remove_file(&place).unwrap();
    for contents in [&b""[..], b"libmp", &[0; 8192], &[255; 8192]] {
        std::fs::write(&place, contents).unwrap();
        assert_eq!(refusal(), Status::Invalid);
    }
    std::fs::remove_file(&place).unwrap();
    fork(|| drop(lock(open(&name.0)))).succeeds();
    // Cut behind its header: nothing of it is touched.
    let file = std::fs::OpenOptions::new().write(true).open(&place).unwrap();
    file.set_len(1 << 20).unwrap();
    assert_eq!(refusal(), Status::Invalid);
}

/// The numbers in the header are made another namespace's, or another layout's.
fn namespaces() {
    use std::os::unix::fs::FileExt;
    let name = Name::new("namespace");
    fork(|| _ = open(&name.0)).succeeds();
    let file = std::fs::OpenOptions::new().read(true).write(true).open(path(&name.0)).unwrap();
    let mut head = [0; 256];
    file.read_exact_at(&mut head, 0).unwrap();
    for kind in ["pid", "time"] {
        let inode = std::fs::metadata(format!("/proc/self/ns/{kind}")).unwrap().ino();
        let at = head.windows(8).step_by(8).position(|w| w == inode.to_ne_bytes()).unwrap() as u64 * 8;
        file.write_all_at(&(inode + 1).to_ne_bytes(), at).unwrap();
        assert_eq!(status(Arena::open_named(&name.0, &options())), Status::Unsupported, "{kind}");
        file.write_all_at(&inode.to_ne_bytes(), at).unwrap();
    }
    file.write_all_at(&99u32.to_ne_bytes(), 8).unwrap();
    assert_eq!(status(Arena::open_named(&name.0, &options())), Status::Unsupported);
    file.write_all_at(&head[..16], 0).unwrap();
    open(&name.0);
}
