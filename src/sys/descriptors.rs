//! Which file a child has under which number.

use super::os;
use std::os::fd::RawFd;

/// No descriptor of this process's, but /dev/null.
pub const NULL: RawFd = -1;
/// None: the number is closed in the child.
pub const CLOSED: RawFd = -2;
/// As many places as can be filled.
pub const MOST: usize = 256;

/// In the child `want` is what `have` is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// A descriptor, [`NULL`] or [`CLOSED`].
    pub have: RawFd,
    /// The number in the child. No two places have the same.
    pub want: RawFd,
}

/// Which place could not be filled, and the errno.
pub type Failure = (usize, i32);

/// Whether some place has this number.
pub fn is_wanted(places: &[Place], fd: RawFd) -> bool {
    places.iter().any(|place| place.want == fd)
}

/// Fills all places: in any order, with any overlaps, none of them close-on-exec. Async-signal-safe, and no point of
/// cancellation. After a failure some are filled. It needs no descriptors besides, but one for /dev/null and one for
/// places that change with each other in a circle.
pub fn fill(places: &[Place]) -> Result<(), Failure> {
    if places.len() > MOST {
        return Err((MOST, libc::E2BIG));
    }
    let mut filling = Filling { places, sources: [CLOSED; MOST], null: CLOSED };
    let filled = filling.all();
    close(filling.null);
    filled
}

struct Filling<'a> {
    places: &'a [Place],
    /// What comes to each place; [`FILLED`] when it has.
    sources: [RawFd; MOST],
    null: RawFd,
}

const FILLED: RawFd = -3;

impl Filling<'_> {
    fn all(&mut self) -> Result<(), Failure> {
        for (at, place) in self.places.iter().enumerate() {
            if place.have == NULL && self.null == CLOSED {
                self.null = open_null(self.places).map_err(|errno| (at, errno))?;
            }
            self.sources[at] = if place.have == NULL { self.null } else { place.have };
        }
        // Whatever nobody stands in the way of, and what becomes so by it.
        for at in 0..self.places.len() {
            self.settle_from(at)?;
        }
        // What is left are circles, each of which opens when one is copied away.
        for at in 0..self.places.len() {
            if self.sources[at] != FILLED {
                let number = self.places[at].want;
                let copy = self.step_aside(number)?;
                let settled = self.settle_from(at);
                close(copy);
                settled?;
            }
        }
        Ok(())
    }

    /// Fills this place, then the one that its source stood in the way of, and so on.
    fn settle_from(&mut self, start: usize) -> Result<(), Failure> {
        let mut next = Some(start);
        while let Some(at) = next.filter(|&at| self.sources[at] != FILLED && !self.is_needed_beside(at)) {
            let source = std::mem::replace(&mut self.sources[at], FILLED);
            settle(source, self.places[at].want).map_err(|errno| (at, errno))?;
            next = self.places.iter().position(|place| place.want == source);
        }
        Ok(())
    }

    /// Whether another place has yet to get what stands where this one is to be.
    fn is_needed_beside(&self, at: usize) -> bool {
        let want = self.places[at].want;
        self.sources.iter().enumerate().any(|(other, &source)| other != at && source == want)
    }

    /// The places that are to get what stands under this number get a copy of it.
    fn step_aside(&mut self, number: RawFd) -> Result<RawFd, Failure> {
        let first = self.sources.iter().position(|&source| source == number).unwrap_or(0);
        let copy = copy_aside(number, self.places).map_err(|errno| (first, errno))?;
        self.sources.iter_mut().filter(|source| **source == number).for_each(|source| *source = copy);
        Ok(copy)
    }
}

/// A copy of a descriptor under a number that is no standard one and that no place wants, close-on-exec; else the
/// errno. Async-signal-safe.
pub fn copy_aside(fd: RawFd, places: &[Place]) -> Result<RawFd, i32> {
    let mut from = libc::STDERR_FILENO + 1;
    loop {
        // SAFETY: two numbers; the result is a new descriptor or -1.
        let copy = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, from) };
        if copy < 0 {
            return Err(os::errno());
        }
        if !is_wanted(places, copy) {
            return Ok(copy);
        }
        close(copy);
        from = copy + 1;
    }
}

/// /dev/null as [`copy_aside`] would copy it.
fn open_null(places: &[Place]) -> Result<RawFd, i32> {
    let flags = libc::O_RDWR | libc::O_CLOEXEC;
    let path = c"/dev/null".as_ptr();
    // SAFETY: the path ends in NUL. By number, for libc's function is a point of cancellation.
    let fd = unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path, flags) } as RawFd;
    if fd < 0 {
        return Err(os::errno());
    }
    if fd > libc::STDERR_FILENO && !is_wanted(places, fd) {
        return Ok(fd);
    }
    let copy = copy_aside(fd, places);
    close(fd);
    copy
}

fn settle(source: RawFd, want: RawFd) -> Result<(), i32> {
    if source == CLOSED {
        close(want);
        return Ok(());
    }
    loop {
        // SAFETY: numbers only. What was under the number goes, as the caller asked for.
        let done = unsafe {
            if source == want {
                libc::fcntl(want, libc::F_SETFD, 0)
            } else {
                libc::dup3(source, want, 0)
            }
        };
        match os::errno() {
            _ if done >= 0 => return Ok(()),
            libc::EINTR | libc::EBUSY => {}
            errno => return Err(errno),
        }
    }
}

/// Gives up a descriptor.
pub fn close(fd: RawFd) {
    if fd >= 0 {
        // SAFETY: a descriptor of this module's making, or one that the caller gives up. By number, for libc's
        // function is a point of cancellation.
        unsafe { libc::syscall(libc::SYS_close, fd) };
    }
}

/// Numbers below this one may be used: RLIMIT_NOFILE.
pub fn limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: u64::MAX, rlim_max: 0 };
    // SAFETY: `limit` is a live rlimit.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) };
    limit.rlim_cur
}

/// Numbers for descriptors that a child gets besides: their own where no place wants them, else free ones above the
/// standard three. None is at the limit or above, where own ones may be that are older than it: nothing could be put
/// there.
pub fn numbers_beside(places: &[Place], own: &[RawFd], limit: u64) -> Vec<RawFd> {
    let mut numbers: Vec<RawFd> = Vec::with_capacity(own.len());
    for &fd in own {
        let is_free = |n: &RawFd| {
            !is_wanted(places, *n)
                && !numbers.contains(n)
                && if *n == fd { (fd as u64) < limit } else { !own.contains(n) }
        };
        let number = [fd].into_iter().chain(libc::STDERR_FILENO + 1..).find(is_free).unwrap_or(fd);
        numbers.push(number);
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::testing::alone;

    fn place(have: RawFd, want: RawFd) -> Place {
        Place { have, want }
    }

    /// In a child of its own, where descriptors may be moved: fills the places and answers whether each of them has
    /// what it should have, and no other descriptor is left.
    fn fills(places: &[Place]) {
        // SAFETY: a child that moves its own descriptors and ends by itself.
        unsafe {
            let child = libc::fork();
            if child == 0 {
                libc::alarm(60);
                libc::_exit(i32::from(!try_to_fill(places)));
            }
            let mut status = -1;
            libc::waitpid(child, &mut status, 0);
            assert_eq!(status, 0, "{places:?}");
        }
    }

    /// 3 to 9 are seven pipes' read ends, all others from 3 up are closed.
    fn try_to_fill(places: &[Place]) -> bool {
        // SAFETY: descriptors of this child's own.
        unsafe {
            libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0);
            for fd in 3..10 {
                let mut ends = [0; 2];
                libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC);
                libc::close(ends[1]);
                assert_eq!(ends[0], fd);
            }
        }
        let null = os::open(c"/dev/null", 0).unwrap();
        let null_file = os::file_of(std::os::fd::AsRawFd::as_raw_fd(&null));
        drop(null);
        let mut expected: Vec<_> = (0..32).map(os::file_of).collect();
        let before = expected.clone();
        for place in places {
            expected[place.want as usize] = match place.have {
                NULL => null_file,
                CLOSED => None,
                have => before[have as usize],
            };
        }
        fill(places).unwrap();
        // SAFETY: asks for the flags of a descriptor.
        let kept = |fd: RawFd| unsafe { libc::fcntl(fd, libc::F_GETFD) } == 0;
        (0..32).all(|fd| os::file_of(fd) == expected[fd as usize])
            && places.iter().all(|place| place.have == CLOSED || kept(place.want))
    }

    #[test]
    fn any_order_and_overlap_work() {
        fills(&[]);
        fills(&[place(3, 10), place(3, 11), place(3, 3)]);
        fills(&[place(3, 4), place(4, 3)]);
        fills(&[place(3, 4), place(4, 5), place(5, 6), place(6, 3)]);
        fills(&[place(4, 3), place(3, 12), place(CLOSED, 4), place(NULL, 5), place(NULL, 20)]);
        // The numbers that copies would get are wanted too.
        fills(&[place(3, 4), place(4, 10), place(5, 11), place(6, 12), place(10 - 3, 13)]);
        fills(&[place(NULL, 10), place(3, 11), place(4, 3), place(CLOSED, 12), place(5, 14)]);
        fills(&[place(3, 0), place(4, 1), place(0, 3), place(1, 4), place(NULL, 2)]);
        fills(&[place(CLOSED, 0), place(CLOSED, 1), place(NULL, 3), place(CLOSED, 31)]);
    }

    #[test]
    fn no_number_is_used_besides() {
        let ended = alone("sys::descriptors::tests::no_number_is_used_besides", || {
            // SAFETY: this process's own descriptors: the limit is reached, and no number is free.
            unsafe {
                libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0);
                let limit = libc::rlimit { rlim_cur: 32, rlim_max: 32 };
                libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
                for fd in 3..32 {
                    assert_eq!(libc::memfd_create(c"test".as_ptr(), libc::MFD_CLOEXEC), fd);
                }
            }
            let files: Vec<_> = (0..32).map(os::file_of).collect();
            let chain: Vec<_> = (3..31).map(|fd| place(fd, fd + 1)).collect();
            fill(&chain).unwrap();
            assert!((4..32).all(|fd| os::file_of(fd) == files[fd as usize - 1]));
            close(3);
            // Two circles, one after the other.
            let moved = [4, 5, 6, 7].map(os::file_of);
            fill(&[place(4, 5), place(6, 7), place(5, 4), place(7, 6)]).unwrap();
            assert_eq!([5, 4, 7, 6].map(os::file_of), moved);
            assert_eq!(os::file_of(3), None);
        });
        assert!(ended.success());
    }

    #[test]
    fn a_closed_descriptor_is_told_by_its_place() {
        assert_eq!(fill(&[place(1 << 20, 1 << 21)]), Err((0, libc::EBADF)));
        assert_eq!(fill(&[place(CLOSED, 1 << 20); MOST + 1]), Err((MOST, libc::E2BIG)));
    }

    #[test]
    fn what_comes_besides_takes_no_place() {
        assert_eq!(numbers_beside(&[], &[7, 9], 10), [7, 9]);
        assert_eq!(numbers_beside(&[place(1, 7), place(1, 3)], &[7, 9], 64), [4, 9]);
        assert_eq!(numbers_beside(&[place(1, 3), place(1, 4)], &[3, 4], 64), [5, 6]);
        assert_eq!(numbers_beside(&[place(1, 4)], &[4, 3], 64), [5, 3]);
        assert_eq!(numbers_beside(&[place(1, 4)], &[3, 200], 64), [3, 5]);
        assert_eq!(numbers_beside(&[], &[201, 200], 64), [3, 4]);
    }
}
