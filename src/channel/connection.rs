//! A connection: one end of a pipe, as a process uses it.
//!
//! The two directions are channels, and what is sent and received is put and got as in a queue. What is added is that
//! the other end may go. Whoever takes away its last holder closes both channels (see `pipe.rs`); that is at once for
//! the children of libmp, whose death is noticed by itself. For all others there is nobody who looks: so who waits here
//! looks at the processes that hold the other end, after its first short sleep and then each second; who only tries does
//! so now and then, and who goes on sending, or the thread behind a descriptor, each second.
//!
//! A handle can be closed while others of this process's threads use it: they are woken, and the last one to leave drops
//! the process's holder (see `gate.rs`). So the words of the pipe are used inside the gate only: outside, it may be gone.

use super::account::Mine;
use super::gate::Gate;
use super::get::is_readable;
use super::pipe::{self, ConnectionCell, PipeCell};
use super::port::{Face, Port, WATCH};
use super::words::Words;
use crate::arena::bridge::{Descriptor, Watched};
use crate::arena::multi::Waitable;
use crate::arena::wait::{may_glance, Waiter};
use crate::arena::word::Ended;
use crate::arena::{event, Arena, Buffer, Holder, Lease, Token};
use crate::error::{Error, Result, Status};
use crate::fault;
use crate::sys::clock::{self, Deadline};
use crate::sys::prim::{AtomicU64, Ordering};
use std::os::fd::RawFd;
use std::sync::Arc;

/// Who does not wait looks at the other end's holders so often.
const PATROL: i64 = 1_000_000_000;

/// One end of a pipe.
#[derive(Debug)]
pub struct Connection {
    // Before the side, of which it tells.
    descriptor: Descriptor,
    side: Arc<Side>,
}

/// What a process has of one end of a pipe.
#[derive(Debug)]
pub(super) struct Side {
    gate: Gate,
    lease: Lease<ConnectionCell>,
    pipe: &'static PipeCell,
    number: usize,
    mine: Mine,
    /// When who sends, or the thread behind the descriptor, last looked at the other end's holders, on the monotonic clock.
    looked: AtomicU64,
}

/// A thread inside a call, or a wait for many things: the pipe stays what it is.
#[derive(Debug)]
struct Inside<S: std::ops::Deref<Target = Side>> {
    side: S,
    arena: &'static Arena,
    me: u32,
}

impl<S: std::ops::Deref<Target = Side>> Drop for Inside<S> {
    #[inline]
    fn drop(&mut self) {
        if self.side.gate.leave(self.me) {
            fault!("pipe.close:left");
            self.side.lease.end();
        }
    }
}

#[cold]
pub(super) fn closed_here() -> Error {
    Error::new(Status::Closed, "this process has closed its handle of the connection")
}

#[cold]
fn one_way(what: &str) -> Error {
    Error::new(Status::Unsupported, format!("the pipe is one-way, and this end of it only {what}"))
}

impl Connection {
    /// A pipe: its two ends. If it is not duplex, the first only receives and the second only sends.
    pub fn pair(duplex: bool) -> Result<(Connection, Connection)> {
        let [a, b] = pipe::pair(Arena::get()?, duplex)?;
        Ok((Connection::of(a)?, Connection::of(b)?))
    }

    fn of(cell: Holder<ConnectionCell>) -> Result<Connection> {
        let pipe = cell.body().pipe(cell.live()?);
        let pipe = pipe.ok_or_else(|| Error::internal("a connection has no pipe"))?;
        let side = Side {
            gate: Gate::default(),
            number: cell.body().side(),
            lease: Lease::new(cell),
            pipe,
            mine: Mine::default(),
            looked: AtomicU64::new(clock::roughly_now() as u64),
        };
        Ok(Connection { descriptor: Descriptor::default(), side: Arc::new(side) })
    }

    #[inline]
    fn enter(&self) -> Result<Inside<&Side>> {
        Inside::new(&*self.side)
    }

    /// Sends a copy of `bytes`, waiting for room. When it returns the message is there for whoever receives at the other
    /// end, whatever becomes of this process.
    #[inline]
    pub fn send(&self, bytes: &[u8], deadline: Deadline) -> Result<()> {
        let inside = self.enter()?;
        let port = inside.sending()?;
        inside.or_glance(port.put(bytes, 0, deadline), || port.put(bytes, 0, Deadline::Now))?;
        inside.side.patrol(inside.arena);
        Ok(())
    }

    /// Receives the next message.
    #[inline]
    pub fn recv(&self, deadline: Deadline) -> Result<Buffer> {
        let inside = self.enter()?;
        let port = inside.receiving()?;
        inside.or_glance(port.get(deadline), || port.get(Deadline::Now))
    }

    /// Copies the next message into `into` and says how long it is. If it does not fit, it stays, and its length is in
    /// the first part of the answer.
    #[inline]
    pub fn recv_into(&self, into: &mut [u8], deadline: Deadline) -> Result<(usize, Result<()>)> {
        let inside = self.enter()?;
        let port = inside.receiving()?;
        let received = port.get_into(into, deadline);
        inside.or_glance(received, || port.get_into(into, Deadline::Now))
    }

    /// Waits until a receive would not wait: there is a message, or never will be one. False if that is not so in time.
    pub fn poll(&self, deadline: Deadline) -> Result<bool> {
        let inside = self.enter()?;
        let port = inside.receiving()?;
        if is_readable(port.arena, port.words) {
            return Ok(true);
        }
        match await_readable(&port, deadline) {
            Ok(()) if port.is_left() => Err(closed_here()),
            Ok(()) => Ok(true),
            Err(Ended::Cancelled) => Err(port.empty(Ended::Cancelled)),
            Err(Ended::TimedOut) => {
                Ok(inside.side.glance(inside.arena) && is_readable(port.arena, port.words))
            }
        }
    }

    /// Closes this process's handle: calls that are under way end, and later ones are refused. The other end sees it when
    /// every process has closed its own. Twice is fine.
    pub fn close(&self) -> Result<()> {
        let side = &*self.side;
        let arena = side.lease.live()?;
        let inside = Inside { side, arena, me: arena.me().bits() };
        let others = side.gate.close(inside.me);
        fault!("pipe.close:closed");
        if others > 0 {
            event::rouse(&side.incoming().events.message.word);
            event::rouse(&side.outgoing().events.room.word);
        }
        side.incoming().events.message.watchers.rouse(arena);
        Ok(())
    }

    /// A descriptor of this process that is readable while a receive would not wait. It lives as long as this.
    pub fn descriptor(&self) -> Result<RawFd> {
        let inside = self.enter()?;
        inside.receiving()?;
        self.descriptor.get(inside.arena, || Box::new(Incoming(self.side.clone())))
    }

    /// To be waited for among others: that a receive would not wait. As long as it lives, the wait counts as a call.
    pub fn waitable(&self) -> Result<Waitable> {
        let inside = Inside::new(self.side.clone())?;
        inside.receiving()?;
        Ok(Waitable::object(inside.arena, inside))
    }

    /// The token of this end.
    pub fn token(&self) -> Result<Token> {
        Ok(self.enter()?.side.lease.holder().token())
    }

    /// The end of a pipe that a token names.
    pub fn from_token(token: &Token) -> Result<Connection> {
        Connection::of(Holder::from_token(token)?)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let side = &*self.side;
        side.gate.close(side.lease.holder().arena().me().bits());
        // Though a descriptor's thread, or one cut off by a fork, may have a share in the side.
        side.lease.end();
    }
}

impl<S: std::ops::Deref<Target = Side>> Inside<S> {
    #[inline]
    fn new(side: S) -> Result<Inside<S>> {
        let arena = side.lease.live()?;
        let me = arena.me().bits();
        if side.gate.enter(me) {
            Ok(Inside { side, arena, me })
        } else {
            Err(closed_here())
        }
    }

    #[inline]
    fn port(&self, words: &'static Words) -> Port<'_> {
        Port { arena: self.arena, words, mine: &self.side.mine, face: Face::Connection(&self.side) }
    }

    #[inline]
    fn receiving(&self) -> Result<Port<'_>> {
        match self.side.pipe.directions(self.side.number) {
            (true, _) => Ok(self.port(self.side.incoming())),
            _ => Err(one_way("sends")),
        }
    }

    #[inline]
    fn sending(&self) -> Result<Port<'_>> {
        match self.side.pipe.directions(self.side.number) {
            (_, true) => Ok(self.port(self.side.outgoing())),
            _ => Err(one_way("receives")),
        }
    }

    /// What has come of a try, or of a wait that ran out: of another try, if it shows that the other end has gone.
    #[inline]
    fn or_glance<T>(&self, tried: Result<T>, again: impl FnOnce() -> Result<T>) -> Result<T> {
        match tried {
            Err(error) if error.status() == Status::Timeout && self.side.glance(self.arena) => again(),
            tried => tried,
        }
    }
}

fn await_readable(port: &Port<'_>, deadline: Deadline) -> std::result::Result<(), Ended> {
    let message = &port.words.events.message;
    let mut waiter =
        Waiter::new(port.arena, deadline).spinning_for_more(&message.spin, &port.words.events.flow[0]);
    if deadline == Deadline::Now {
        return Err(waiter.try_ended());
    }
    let mut look = Deadline::after(WATCH);
    let ready = || {
        look = port.look_after_peer(look);
        (is_readable(port.arena, port.words) || port.is_left()).then_some(())
    };
    let waited = event::await_change(&message.word, &mut waiter, ready);
    // It was for a message that others may take.
    event::pass_on(&message.word, &waiter, || is_readable(port.arena, port.words));
    waited
}

impl Side {
    fn incoming(&self) -> &'static Words {
        self.pipe.incoming(self.number)
    }

    fn outgoing(&self) -> &'static Words {
        self.pipe.outgoing(self.number)
    }

    /// Whether this process has closed its handle.
    #[inline]
    pub(super) fn is_left(&self) -> bool {
        self.gate.is_closed()
    }

    /// Looks whether those live who hold the other end. True if somebody had died.
    pub(super) fn look(&self, arena: &Arena) -> bool {
        !self.incoming().is_closed() && arena.look_at_holders(self.pipe.peer(self.number))
    }

    /// The same for who does not wait, and so may come again and again: now and then only.
    fn glance(&self, arena: &Arena) -> bool {
        may_glance(self.incoming()) && self.look(arena)
    }

    /// For who has sent something that is still there: whether anybody is left to receive it.
    #[inline]
    fn patrol(&self, arena: &Arena) {
        let now = clock::roughly_now() as u64;
        if now.saturating_sub(self.looked.load(Ordering::Relaxed)) >= PATROL as u64 {
            self.looked.store(now, Ordering::Relaxed);
            if !self.outgoing().is_empty() {
                self.look(arena);
            }
        }
    }

    fn is_ready(&self) -> bool {
        self.is_left() || is_readable(self.lease.holder().arena(), self.incoming())
    }

    fn look_after(&self, arena: &Arena) -> Option<i64> {
        if self.is_ready() {
            return None;
        }
        let now = clock::now();
        let ago = now.saturating_sub(self.looked.load(Ordering::Relaxed) as i64);
        if ago < PATROL {
            return Some(PATROL - ago);
        }
        self.looked.store(now as u64, Ordering::Relaxed);
        self.look(arena);
        Some(PATROL)
    }
}

/// A wait for many things, of which a connection is one.
impl Watched for Inside<Arc<Side>> {
    fn enter(&self, arena: &Arena) {
        self.side.incoming().events.message.watchers.enter(arena);
    }

    fn is_ready(&self) -> bool {
        self.side.is_ready()
    }

    fn look_after(&self, arena: &Arena) -> Option<i64> {
        self.side.look_after(arena)
    }

    fn glance(&self, arena: &Arena) -> bool {
        self.side.glance(arena)
    }
}

/// What a descriptor tells of. It is made inside the gate, and after a close reads nothing that matters.
struct Incoming(Arc<Side>);

impl Watched for Incoming {
    fn enter(&self, arena: &Arena) {
        self.0.incoming().events.message.watchers.enter(arena);
    }

    fn is_ready(&self) -> bool {
        self.0.is_ready()
    }

    fn look_after(&self, arena: &Arena) -> Option<i64> {
        self.0.look_after(arena)
    }
}
