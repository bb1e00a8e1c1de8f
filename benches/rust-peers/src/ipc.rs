//! ipc-channel, sending bytes. Both ends of a channel are made before the fork; each process uses its own.

use crate::control::{write, Seen};
use crate::{Receiver, Sender};
use ipc_channel::ipc::{bytes_channel, IpcBytesReceiver, IpcBytesSender};

const PEER: &str = "ipc-channel";

struct Out<'a>(&'a IpcBytesSender, Vec<u8>);

impl Sender for Out<'_> {
    fn send(&mut self, number: u64) {
        write(&mut self.1, number);
        self.0.send(&self.1).unwrap();
    }
}

struct In<'a>(&'a IpcBytesReceiver);

impl Receiver for In<'_> {
    fn receive(&mut self, seen: &mut Seen) {
        seen.read(&self.0.recv().unwrap());
    }
}

pub fn measure(test: (&str, usize, f64), percent: usize) {
    let (sender, receiver) = bytes_channel().unwrap();
    crate::measure(PEER, test, percent, || Out(&sender, vec![0; test.1]), || In(&receiver));
}

pub fn round_trips(place: usize, percent: usize) {
    let (there, back) = (bytes_channel().unwrap(), bytes_channel().unwrap());
    let mine = || (Out(&there.0, vec![0; 8]), In(&back.1));
    let theirs = || (Out(&back.0, vec![0; 8]), In(&there.1));
    crate::round_trips(PEER, place, percent, mine, theirs);
}
