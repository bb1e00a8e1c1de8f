//! The environment of children.

use std::ffi::{c_char, CStr, CString};

extern "C" {
    static mut environ: *const *const c_char;
}

/// The name in an entry `NAME=value`, or `NAME` alone, which stands for no such variable.
pub fn name_of(entry: &[u8]) -> &[u8] {
    entry.split(|&byte| byte == b'=').next().unwrap_or_default()
}

/// This process's environment with some changes, as a list that ends in NULL: the entries of this process that the
/// changes do not name, then what these set. Of two with the same name the last counts.
pub fn merged(changes: &[&CStr]) -> Vec<*const c_char> {
    let mut list = Vec::new();
    let changed = |entry: &CStr| changes.iter().any(|change| is_same(change, entry));
    // SAFETY: `environ` is NULL or a list of C strings that ends in NULL. As with every use of the environment,
    // the program must not change it at the same time.
    unsafe {
        let mut entry = environ;
        while !entry.is_null() && !(*entry).is_null() {
            if !changed(CStr::from_ptr(*entry)) {
                list.push(*entry);
            }
            entry = entry.add(1);
        }
    }
    for (at, change) in changes.iter().enumerate() {
        let last = !changes[at + 1..].iter().any(|later| is_same(later, change));
        if last && change.to_bytes().contains(&b'=') {
            list.push(change.as_ptr());
        }
    }
    list.push(std::ptr::null());
    list
}

fn is_same(a: &CStr, b: &CStr) -> bool {
    name_of(a.to_bytes()) == name_of(b.to_bytes())
}

/// In a forked child: makes the changes for good. The list is replaced as a whole, because setenv takes a lock that
/// another thread of the parent's may have held.
pub fn change(changes: &[CString]) {
    let changes: &'static [CString] = changes.to_vec().leak();
    let borrowed: Vec<&CStr> = changes.iter().map(CString::as_c_str).collect();
    let list = merged(&borrowed).leak();
    // SAFETY: the child has one thread; the list ends in NULL and lives for ever, and so does all in it.
    unsafe { environ = list.as_ptr() };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(list: &[*const c_char]) -> Vec<&CStr> {
        // SAFETY: C strings, which live as long as the process or the test.
        list.iter()
            .take_while(|entry| !entry.is_null())
            .map(|&entry| unsafe { CStr::from_ptr(entry) })
            .collect()
    }

    #[test]
    fn the_last_change_counts_and_the_rest_stays() {
        let before = merged(&[]);
        let before = texts(&before);
        assert!(before.iter().any(|entry| entry.to_bytes().starts_with(b"PATH=")));
        let changes = [
            c"MP_TEST_A=1",
            c"PATH",
            c"MP_TEST_A",
            c"MP_TEST_B=x=y",
            c"MP_TEST_A=2",
            c"MP_TEST_C=1",
            c"MP_TEST_C",
        ];
        let after = merged(&changes);
        let mut expected: Vec<&CStr> =
            before.into_iter().filter(|entry| name_of(entry.to_bytes()) != b"PATH").collect();
        expected.extend([c"MP_TEST_B=x=y", c"MP_TEST_A=2"]);
        assert_eq!(texts(&after), expected);
    }

    #[test]
    fn a_child_gets_the_changes() {
        // SAFETY: a child with one thread, which ends by itself.
        unsafe {
            let child = libc::fork();
            if child == 0 {
                change(&[c"MP_TEST_A=1".to_owned(), c"PATH".to_owned()]);
                let set = std::env::var("MP_TEST_A").is_ok_and(|value| value == "1");
                libc::setenv(c"MP_TEST_B".as_ptr(), c"2".as_ptr(), 1);
                let also = std::env::var("MP_TEST_B").is_ok();
                libc::_exit(i32::from(!(set && also && std::env::var_os("PATH").is_none())));
            }
            let mut status = -1;
            libc::waitpid(child, &mut status, 0);
            assert_eq!(status, 0);
        }
    }
}
