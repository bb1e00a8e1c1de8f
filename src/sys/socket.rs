//! A pair of sockets that keep messages apart, and carry descriptors.

use super::held::Held;
use super::os;
use crate::error::{Error, Result};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// As many descriptors go with one message: the kernel's limit is 253.
pub const MOST_DESCRIPTORS: usize = 253;
const CONTROL: usize = MOST_DESCRIPTORS * size_of::<RawFd>() + 64;

/// A message.
#[derive(Debug)]
pub struct Received {
    /// How many bytes it has.
    pub length: usize,
    /// The descriptors that came with it, close-on-exec.
    pub descriptors: Vec<OwnedFd>,
    /// Whether there were more of them, for which this process has no numbers left.
    pub cut_off: bool,
}

/// One end. Close-on-exec, and never in the place of stdin, stdout or stderr.
#[derive(Debug)]
pub struct Socket(Held);

/// Room for the descriptors beside a message, aligned as the kernel wants it.
#[repr(C, align(8))]
struct Control([u8; CONTROL]);

impl Socket {
    /// Two ends.
    pub fn pair() -> Result<[Socket; 2]> {
        let mut ends = [0; 2];
        let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
        // SAFETY: room for two descriptors.
        if unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr()) } < 0 {
            return Err(Error::system("socketpair"));
        }
        // SAFETY: both were just made and belong to nobody else.
        let [one, other] = ends.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
        Ok([Socket::new(one)?, Socket::new(other)?])
    }

    /// An end that this process was passed.
    pub fn new(fd: OwnedFd) -> Result<Socket> {
        Held::new(os::above_stdio(fd)?).map(Socket).ok_or_else(|| Error::system("fstat of a socket"))
    }

    /// The descriptor; `None` if the host has closed it.
    pub fn raw(&self) -> Option<RawFd> {
        self.0.is_ours().then_some(self.0.fd)
    }

    /// In a forked child: closes this process's copy.
    #[link_section = "mp_fork"]
    pub fn close_copy(&self) {
        self.0.close();
    }

    /// Sends a message, with copies of descriptors. False if nobody will ever receive it.
    pub fn send(&self, bytes: &[u8], descriptors: &[RawFd]) -> Result<bool> {
        let Some(fd) = self.raw() else { return Ok(false) };
        let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
        let mut control = Control([0; CONTROL]);
        let mut message = message(&mut part, &mut control);
        message.msg_controllen = 0;
        let length = size_of_val(descriptors) as u32;
        if length > 0 {
            // SAFETY: the control buffer has room for as many descriptors as go with a message; the caller has no more.
            unsafe {
                message.msg_controllen = libc::CMSG_SPACE(length) as _;
                let header = &mut *libc::CMSG_FIRSTHDR(&message);
                header.cmsg_level = libc::SOL_SOCKET;
                header.cmsg_type = libc::SCM_RIGHTS;
                header.cmsg_len = libc::CMSG_LEN(length) as _;
                let data = libc::CMSG_DATA(header);
                data.copy_from_nonoverlapping(descriptors.as_ptr().cast(), length as usize);
            }
        }
        // SAFETY: the message and what it points at are live.
        if os::retry(|| unsafe { libc::sendmsg(fd, &message, libc::MSG_NOSIGNAL) as i32 }) >= 0 {
            return Ok(true);
        }
        match os::errno() {
            libc::EPIPE | libc::ECONNRESET | libc::ENOTCONN | libc::EBADF | libc::ENOTSOCK => Ok(false),
            errno => Err(Error::from_errno("sending descriptors to the fork server", errno)),
        }
    }

    /// Waits for a message. `None` when the other end has been closed.
    pub fn receive(&self, buffer: &mut [u8]) -> Option<Received> {
        let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        let mut control = Control([0; CONTROL]);
        let mut message = message(&mut part, &mut control);
        // SAFETY: the message and what it points at are live and writable.
        let n =
            os::retry(|| unsafe { libc::recvmsg(self.0.fd, &mut message, libc::MSG_CMSG_CLOEXEC) as i32 });
        if n <= 0 {
            return None;
        }
        let mut descriptors = Vec::new();
        // SAFETY: the kernel has filled the control buffer as its length says; each descriptor in it is new, and ours.
        unsafe {
            let header = libc::CMSG_FIRSTHDR(&message);
            if !header.is_null() && (*header).cmsg_type == libc::SCM_RIGHTS {
                let bytes = (*header).cmsg_len as usize - libc::CMSG_LEN(0) as usize;
                let data = libc::CMSG_DATA(header).cast::<RawFd>();
                for i in 0..bytes / size_of::<RawFd>() {
                    descriptors.push(OwnedFd::from_raw_fd(data.add(i).read_unaligned()));
                }
            }
        }
        Some(Received { length: n as usize, descriptors, cut_off: message.msg_flags & libc::MSG_CTRUNC != 0 })
    }
}

fn message(part: &mut libc::iovec, control: &mut Control) -> libc::msghdr {
    // SAFETY: all zeroes is a valid message: no name, no parts.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = part;
    message.msg_iovlen = 1;
    message.msg_control = (&raw mut control.0).cast();
    message.msg_controllen = CONTROL as _;
    message
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.0.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    #[test]
    fn messages_and_descriptors_arrive() {
        let [one, other] = Socket::pair().unwrap();
        assert!(one.send(b"three", &[one.0.fd, other.0.fd, 0]).unwrap());
        assert!(one.send(b"none", &[]).unwrap());
        let mut buffer = [0; 64];
        let got = other.receive(&mut buffer).unwrap();
        assert_eq!((&buffer[..got.length], got.descriptors.len()), (&b"three"[..], 3));
        assert_eq!(os::file_of(got.descriptors[1].as_raw_fd()), Some(other.0.file));
        assert!(!got.cut_off);
        let got = other.receive(&mut buffer).unwrap();
        assert_eq!((&buffer[..got.length], got.descriptors.len()), (&b"none"[..], 0));
    }

    #[test]
    fn the_end_is_told() {
        let [one, other] = Socket::pair().unwrap();
        drop(other);
        assert!(!one.send(b"x", &[]).unwrap());
        assert!(one.receive(&mut [0; 8]).is_none());
        // SAFETY: what a host does that closes everything.
        unsafe { libc::close(one.0.fd) };
        assert!(one.raw().is_none() && !one.send(b"x", &[]).unwrap());
    }
}
