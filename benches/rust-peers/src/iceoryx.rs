//! iceoryx2, polled, and with its events to wake who waits. Each process opens its own ports, after the fork.

use crate::control::{write, Seen, LARGE};
use crate::{room_for, Receiver, Sender};
use iceoryx2::port::backpressure_strategy::BackpressureStrategy;
use iceoryx2::port::listener::Listener;
use iceoryx2::port::notifier::Notifier;
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::*;
use iceoryx2::sample_mut_uninit::SampleMutUninit;
use iceoryx2::service::port_factory::publish_subscribe::PortFactory;
use std::mem::MaybeUninit;

type Service = ipc::Service;
type Loan = SampleMutUninit<Service, [MaybeUninit<u8>], ()>;

/// How a channel is used: the round trip has the settings of iceoryx2's own benchmark.
#[derive(Clone, Copy)]
struct Way {
    event: bool,
    trip: bool,
}

impl Way {
    fn peer(self) -> &'static str {
        if self.event {
            "iceoryx2, event"
        } else {
            "iceoryx2, polled"
        }
    }
}

/// All that iceoryx2 makes has this in its name, so that nothing of it can stay behind.
fn prefix() -> String {
    format!("libmp_bench_{}_", program())
}

/// The number of the process that forks the others, which name things by it too.
fn program() -> u32 {
    static PROGRAM: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
    *PROGRAM.get_or_init(std::process::id)
}

fn root() -> std::path::PathBuf {
    std::env::temp_dir().join(prefix())
}

fn node() -> Node<Service> {
    set_log_level(LogLevel::Error);
    let mut config = Config::default();
    config.global.prefix = FileName::new(prefix().as_bytes()).unwrap();
    config.global.set_root_path(&Path::new(root().to_str().unwrap().as_bytes()).unwrap());
    NodeBuilder::new()
        .config(&config)
        .signal_handling_mode(SignalHandlingMode::Disabled)
        .create::<Service>()
        .unwrap()
}

fn open(node: &Node<Service>, name: &str, size: usize, way: Way) -> PortFactory<Service, [u8], ()> {
    node.service_builder(&ServiceName::new(name).unwrap())
        .publish_subscribe::<[u8]>()
        .payload_alignment(Alignment::new(64).unwrap())
        .max_publishers(1)
        .max_subscribers(1)
        .history_size(0)
        .subscriber_max_buffer_size(if way.trip { 1 } else { room_for(size) })
        .subscriber_max_borrowed_samples(2)
        .enable_safe_overflow(way.trip)
        .open_or_create()
        .unwrap()
}

fn bell(node: &Node<Service>, name: &str) -> iceoryx2::service::port_factory::event::PortFactory<Service> {
    let name = ServiceName::new(&format!("{name}, event")).unwrap();
    node.service_builder(&name).event().open_or_create().unwrap()
}

struct Out {
    /// For a round trip: the next message's place, asked for before it is needed.
    next: Option<Loan>,
    publisher: Publisher<Service, [u8], ()>,
    notifier: Option<Notifier<Service>>,
    buffer: Vec<u8>,
    way: Way,
    _node: Node<Service>,
}

impl Out {
    fn open(name: &str, size: usize, way: Way) -> Self {
        let node = node();
        let publisher = open(&node, name, size, way)
            .publisher_builder()
            .initial_max_slice_len(size)
            .backpressure_strategy(BackpressureStrategy::RetryUntilDelivered)
            .create()
            .unwrap();
        let notifier = way.event.then(|| bell(&node, name).notifier_builder().create().unwrap());
        Self { next: None, publisher, notifier, buffer: vec![0; size], way, _node: node }
    }

    fn loan(&self) -> Loan {
        self.publisher.loan_slice_uninit(self.buffer.len()).unwrap()
    }
}

impl Sender for Out {
    /// A large message is made in its place, a small one copied.
    fn send(&mut self, number: u64) {
        let mut loan = self.next.take().unwrap_or_else(|| self.loan());
        if self.buffer.len() < LARGE {
            write(&mut self.buffer, number);
            loan.write_from_slice(&self.buffer).send().unwrap();
        } else {
            let place = loan.payload_mut();
            // SAFETY: the place is writable for its length, and `write` fills all of a large message.
            unsafe {
                write(std::slice::from_raw_parts_mut(place.as_mut_ptr().cast(), place.len()), number);
                loan.assume_init().send().unwrap();
            }
        }
        if let Some(notifier) = &self.notifier {
            notifier.notify().unwrap();
        }
        if self.way.trip {
            self.next = Some(self.loan());
        }
    }
}

struct In {
    subscriber: Subscriber<Service, [u8], ()>,
    listener: Option<Listener<Service>>,
    _node: Node<Service>,
}

impl In {
    fn open(name: &str, size: usize, way: Way) -> Self {
        let node = node();
        let subscriber = open(&node, name, size, way).subscriber_builder().create().unwrap();
        let listener = way.event.then(|| bell(&node, name).listener_builder().create().unwrap());
        Self { subscriber, listener, _node: node }
    }
}

impl Receiver for In {
    fn receive(&mut self, seen: &mut Seen) {
        loop {
            if let Some(sample) = self.subscriber.receive().unwrap() {
                return seen.read(sample.payload());
            }
            match &self.listener {
                Some(listener) => listener.blocking_wait(|_| {}).map(|_| ()).unwrap(),
                None => std::hint::spin_loop(),
            }
        }
    }
}

pub fn measure(test: (&str, usize, f64), percent: usize) {
    program();
    for event in [false, true] {
        let way = Way { event, trip: false };
        let (name, size) = (format!("{} {event}", test.0), test.1);
        crate::measure(
            way.peer(),
            test,
            percent,
            || Out::open(&name, size, way),
            || In::open(&name, size, way),
        );
    }
}

/// On one core only with events: who polls there waits for the scheduler's next tick.
pub fn round_trips(place: usize, percent: usize) {
    program();
    for event in [false, true].into_iter().filter(|event| *event || place == 1) {
        let way = Way { event, trip: true };
        let (there, back) = (format!("there {place} {event}"), format!("back {place} {event}"));
        let mine = || (Out::open(&there, 8, way), In::open(&back, 8, way));
        let theirs = || (Out::open(&back, 8, way), In::open(&there, 8, way));
        crate::round_trips(way.peer(), place, percent, mine, theirs);
    }
}

/// It leaves a directory and some shared memory.
pub fn clean_up() {
    let _ = std::fs::remove_dir_all(root());
    for entry in std::fs::read_dir("/dev/shm").into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(&prefix()) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}
