//! `iceoryx2`: a publish-subscribe service in each direction, and beside it an event service for those who sleep.
//!
//! The publisher lends a message in shared memory, which is written there and read there. Its next loan is taken right
//! after a send, as in the benchmark that comes with the crate. Overflow is off and a publisher retries until there is
//! room, so nothing is lost; it follows that `try_send` waits for room too, because the crate has no way of asking for
//! it beforehand. There is no way of sending many at once.
//!
//! With [`Waiting::Spin`] the receiver polls its subscriber. Otherwise every send is followed by a notification, as in
//! the crate's examples, and the receiver waits for one when there is no message. That wait does not end when the other
//! process dies.
//!
//! Each process has one node for all its links.

pub mod one_direction;

use std::{
    io::{Read, Write},
    mem::MaybeUninit,
    os::unix::net::UnixStream,
    sync::atomic::{AtomicU32, Ordering},
};

use iceoryx2::{
    port::{
        listener::Listener, notifier::Notifier, publisher::Publisher, subscriber::Subscriber,
        update_connections::UpdateConnections,
    },
    prelude::*,
    sample_mut_uninit::SampleMutUninit,
    service::port_factory::{event, publish_subscribe},
};

use crate::{
    scratch,
    system::{Abilities, BetweenProcesses, Gone, Receiver, Sender, Shape, Side, System, Waiting, Words},
};

pub struct Iceoryx2;

impl System for Iceoryx2 {
    const NAME: &'static str = "iceoryx2";
    const ABILITIES: Abilities =
        Abilities { blocks: true, batches: false, lends: true, notices_death: false, largest: usize::MAX };
}

impl BetweenProcesses for Iceoryx2 {
    fn open<const N: usize>(side: Side, mut stream: UnixStream, shape: Shape) -> (impl Sender<N>, impl Receiver<N>) {
        let ends = match side {
            Side::Near => {
                static LINKS: AtomicU32 = AtomicU32::new(0);
                let link = LINKS.fetch_add(1, Ordering::Relaxed);
                let ends = ends(side, link, shape);
                stream.write_all(&link.to_ne_bytes()).expect("the other end listens");
                stream.read_exact(&mut [0]).expect("the other end is there");
                ends
            }
            Side::Far => {
                let mut link = [0; 4];
                stream.read_exact(&mut link).expect("services to open");
                let ends = ends(side, u32::from_ne_bytes(link), shape);
                stream.write_all(&[0]).expect("the other end waits");
                ends
            }
        };
        ends.0.connect();
        ends.1.connect();
        ends
    }
}

/// Both ends of this side of a link: its ports in the service that goes forth, from near to far, and in the one that
/// goes back.
fn ends<const N: usize>(side: Side, link: u32, shape: Shape) -> (Sending<N>, Receiving<N>) {
    let [forth, back] = ["forth", "back"].map(|way| Direction::new(side, &format!("{way}-{link}"), shape));
    match side {
        Side::Near => (forth.sending(), back.receiving()),
        Side::Far => (back.sending(), forth.receiving()),
    }
}

thread_local!(static NODE: Node<ipc::Service> = node());

/// A node, whose files and whose shared memory are where this run's are.
fn node() -> Node<ipc::Service> {
    set_log_level(LogLevel::Error);
    let mut config = Config::default();
    let root = scratch::directory().into_os_string().into_encoded_bytes();
    config.global.set_root_path(&Path::new(&root).expect("a path that is short enough"));
    let prefix = format!("{}_", scratch::prefix());
    config.global.prefix = FileName::new(prefix.as_bytes()).expect("a name that is short enough");
    let node = NodeBuilder::new().config(&config).signal_handling_mode(SignalHandlingMode::Disabled);
    node.create().expect("a node")
}

/// The services of one direction, made by the near end and opened by the far one.
struct Direction<const N: usize> {
    messages: publish_subscribe::PortFactory<ipc::Service, Words<N>, ()>,
    wakeups: Option<event::PortFactory<ipc::Service>>,
}

impl<const N: usize> Direction<N> {
    fn new(side: Side, name: &str, shape: Shape) -> Self {
        NODE.with(|node| Self::at(node, side, name, shape))
    }

    fn at(node: &Node<ipc::Service>, side: Side, name: &str, shape: Shape) -> Self {
        let name = ServiceName::new(name).expect("a service's name");
        let messages = node
            .service_builder(&name)
            .publish_subscribe::<Words<N>>()
            .max_nodes(2)
            .max_publishers(1)
            .max_subscribers(1)
            .history_size(0)
            .subscriber_max_buffer_size(shape.capacity)
            .subscriber_max_borrowed_samples(1)
            .enable_safe_overflow(false);
        let wakeups = node.service_builder(&name).event().max_nodes(2).max_notifiers(1).max_listeners(1);
        let sleeps = shape.waiting != Waiting::Spin;
        match side {
            Side::Near => Direction {
                messages: messages.create().expect("a service of messages"),
                wakeups: sleeps.then(|| wakeups.create().expect("a service of events")),
            },
            Side::Far => Direction {
                messages: messages.open().expect("a service of messages"),
                wakeups: sleeps.then(|| wakeups.open().expect("a service of events")),
            },
        }
    }

    /// The end that sends.
    fn sending(&self) -> Sending<N> {
        let publisher = self.messages.publisher_builder().max_loaned_samples(1);
        let publisher = publisher.backpressure_strategy(BackpressureStrategy::RetryUntilDelivered).create();
        let publisher = publisher.expect("a publisher");
        let notifier = self.wakeups.as_ref().map(|wakeups| wakeups.notifier_builder().create().expect("a notifier"));
        Sending { loan: Some(publisher.loan_uninit().expect("a message to write in")), publisher, notifier }
    }

    /// The end that receives.
    fn receiving(&self) -> Receiving<N> {
        let subscriber = self.messages.subscriber_builder().create().expect("a subscriber");
        let listener = self.wakeups.as_ref().map(|wakeups| wakeups.listener_builder().create().expect("a listener"));
        Receiving { subscriber, listener }
    }
}

struct Sending<const N: usize> {
    /// The next message to send.
    loan: Option<SampleMutUninit<ipc::Service, MaybeUninit<Words<N>>, ()>>,
    publisher: Publisher<ipc::Service, Words<N>, ()>,
    notifier: Option<Notifier<ipc::Service>>,
}

impl<const N: usize> Sending<N> {
    /// Takes notice of the receiver, which is there.
    fn connect(&self) {
        self.publisher.update_connections().expect("a subscriber to send to");
    }
}

impl<const N: usize> Sender<N> for Sending<N> {
    #[inline]
    fn try_send(&mut self, write: impl Fn(&mut Words<N>)) -> Result<bool, Gone> {
        let mut message = self.loan.take().expect("one is always on loan");
        let words = message.payload_mut();
        // SAFETY: shared memory is zero before anybody writes in it, and any bytes are words.
        write(unsafe { words.assume_init_mut() });
        // SAFETY: as above, and `write` has written all of it.
        let message = unsafe { message.assume_init() };
        let receivers = message.send().expect("a sound service");
        if let Some(notifier) = &self.notifier {
            notifier.notify().expect("a sound service");
        }
        self.loan = Some(self.publisher.loan_uninit().expect("a message to write in"));
        if receivers == 1 { Ok(true) } else { Err(Gone) }
    }
}

struct Receiving<const N: usize> {
    subscriber: Subscriber<ipc::Service, Words<N>, ()>,
    listener: Option<Listener<ipc::Service>>,
}

impl<const N: usize> Receiving<N> {
    /// Takes notice of the sender, which is there. If that came later than its end, its messages would be lost.
    fn connect(&self) {
        self.subscriber.update_connections().expect("a publisher to receive from");
    }
}

impl<const N: usize> Receiver<N> for Receiving<N> {
    #[inline]
    fn try_receive(&mut self, mut read: impl FnMut(&Words<N>)) -> Result<bool, Gone> {
        let message = self.subscriber.receive().expect("a sound service");
        Ok(message.map(|message| read(&message)).is_some())
    }

    #[inline]
    fn receive(&mut self, mut read: impl FnMut(&Words<N>)) -> Result<(), Gone> {
        while !self.try_receive(&mut read)? {
            match &self.listener {
                Some(listener) => drop(listener.blocking_wait(|_| {}).expect("a sound service")),
                None => std::hint::spin_loop(),
            }
        }
        Ok(())
    }
}
