//! iceoryx2, a shared-memory middleware whose publishers and subscribers only ever poll.
//!
//! To sleep, each message is followed by a notification through its event service, and the
//! receiver blocks on the event's listener when it has found nothing: the way its own
//! documentation has it. Publish-subscribe is used rather than its request-response, which
//! was slower for the same job.

use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use iceoryx2::config::Config;
use iceoryx2::port::listener::Listener;
use iceoryx2::port::notifier::Notifier;
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::port::update_connections::UpdateConnections;
use iceoryx2::prelude::{
    BackpressureStrategy, LogLevel, Node, NodeBuilder, ServiceName, SignalHandlingMode,
    set_log_level,
};
use iceoryx2::service::ipc::Service;
use iceoryx2::service::port_factory::event::PortFactory as EventPorts;
use iceoryx2::service::port_factory::publish_subscribe::PortFactory as MessagePorts;

use super::peer::{Launcher, Peer, PeerTask};
use super::samples::{Samples, total_round_trips};
use super::{Contender, MESSAGE_BYTES, Message, Role, WINDOW, Waiting, gate, spin};

const NAME: &str = "iceoryx2";
/// Enough for the most senders any job has.
const MAX_SENDERS: usize = 8;
/// A wait without a limit would cost no less and might never end: about one notification in
/// ten million is lost (0.10.0), when the listener clears its socket after a notifier has
/// rung but before it has noted so; later notifications are then held back as needless.
const LONGEST_SLEEP: Duration = Duration::from_millis(10);

/// See the module.
#[derive(Debug)]
pub struct Iceoryx2;

impl Contender for Iceoryx2 {
    fn name(&self) -> &'static str {
        NAME
    }

    fn round_trip(&self, launcher: &Launcher, mode: Waiting, iterations: u64) -> Result<Samples> {
        let task = task(Role::Echo, mode, total_round_trips(iterations));
        let node = node()?;
        let outlet = Line::new(&node, &task, "requests")?.outlet()?;
        let inlet = Line::new(&node, &task, "replies")?.inlet()?;
        let mut peer = launcher.start_gated(&task, 0)?;
        peer.await_gate()?;
        inlet.connect()?;
        peer.open_gate()?;
        let mut message = [1; MESSAGE_BYTES];
        let samples = Samples::collect(iterations, || {
            outlet.send(message)?;
            message = inlet.receive()?;
            Ok(())
        })?;
        peer.finish()?;
        Ok(samples)
    }

    fn throughput(
        &self,
        launcher: &Launcher,
        mode: Waiting,
        senders: u64,
        messages: u64,
    ) -> Result<Option<f64>> {
        let share = messages / senders;
        let task = task(Role::Send, mode, share);
        let node = node()?;
        let inlet = Line::new(&node, &task, "requests")?.inlet()?;
        let mut peers = Vec::new();
        for index in 0..usize::try_from(senders)? {
            peers.push(launcher.start_gated(&task, index)?);
        }
        peers.iter_mut().try_for_each(Peer::await_gate)?;
        inlet.connect()?;
        let start = Instant::now();
        peers.iter_mut().try_for_each(Peer::open_gate)?;
        for _ in 0..share * senders {
            inlet.receive()?;
        }
        let elapsed = start.elapsed();
        peers.into_iter().try_for_each(Peer::finish)?;
        Ok(Some((share * senders) as f64 / elapsed.as_secs_f64()))
    }

    fn serve(&self, task: &PeerTask) -> Result<()> {
        let node = node()?;
        let requests = Line::new(&node, task, "requests")?;
        match task.role {
            Role::Echo => {
                let inlet = requests.inlet()?;
                let outlet = Line::new(&node, task, "replies")?.outlet()?;
                gate::reach()?;
                for _ in 0..task.count {
                    outlet.send(inlet.receive()?)?;
                }
                gate::linger()
            }
            Role::Send => {
                let outlet = requests.outlet()?;
                gate::reach()?;
                for _ in 0..task.count {
                    outlet.send([1; MESSAGE_BYTES])?;
                }
                gate::linger()
            }
        }
    }
}

/// A task whose services no other process and no earlier job has used.
fn task(role: Role, mode: Waiting, count: u64) -> PeerTask {
    static JOBS: AtomicU32 = AtomicU32::new(0);
    let job = JOBS.fetch_add(1, Ordering::Relaxed);
    let address = format!("archipelago-bench/{}/{job}", process::id());
    PeerTask {
        contender: NAME.to_owned(),
        role,
        mode,
        count,
        address,
    }
}

fn node() -> Result<Node<Service>> {
    set_log_level(LogLevel::Error);
    let node = NodeBuilder::new()
        // Its defaults, whatever file the user may have; and an interrupt just kills us.
        .config(&Config::default())
        .signal_handling_mode(SignalHandlingMode::Disabled)
        .create()?;
    Ok(node)
}

/// The services of one direction.
struct Line {
    messages: MessagePorts<Service, Message, ()>,
    /// Rung after each message if the receiver may sleep.
    bell: Option<EventPorts<Service>>,
}

impl Line {
    fn new(node: &Node<Service>, task: &PeerTask, direction: &str) -> Result<Self> {
        let name = ServiceName::new(&format!("{}/{direction}", task.address))?;
        let messages = node
            .service_builder(&name)
            .publish_subscribe::<Message>()
            .max_publishers(MAX_SENDERS)
            .max_subscribers(1)
            .subscriber_max_buffer_size(WINDOW as usize)
            .enable_safe_overflow(false)
            .open_or_create()?;
        let bell = match task.mode {
            Waiting::Sleeping => Some(
                node.service_builder(&name)
                    .event()
                    .max_notifiers(MAX_SENDERS)
                    .max_listeners(1)
                    .event_id_max_value(0)
                    .open_or_create()?,
            ),
            Waiting::Spinning => None,
        };
        Ok(Self { messages, bell })
    }

    fn outlet(&self) -> Result<Outlet> {
        let publisher = self
            .messages
            .publisher_builder()
            .backpressure_strategy(BackpressureStrategy::RetryUntilDelivered)
            .create()?;
        let notifier = self
            .bell
            .as_ref()
            .map(|bell| bell.notifier_builder().create())
            .transpose()?;
        Ok(Outlet {
            publisher,
            notifier,
        })
    }

    fn inlet(&self) -> Result<Inlet> {
        let subscriber = self.messages.subscriber_builder().create()?;
        let listener = self
            .bell
            .as_ref()
            .map(|bell| bell.listener_builder().create())
            .transpose()?;
        Ok(Inlet {
            subscriber,
            listener,
        })
    }
}

/// The sending end of a line.
struct Outlet {
    publisher: Publisher<Service, Message, ()>,
    notifier: Option<Notifier<Service>>,
}

impl Outlet {
    fn send(&self, message: Message) -> Result<()> {
        self.publisher
            .loan_uninit()?
            .write_payload(message)
            .send()?;
        if let Some(notifier) = &self.notifier {
            notifier.notify()?;
        }
        Ok(())
    }
}

/// The receiving end of a line.
struct Inlet {
    subscriber: Subscriber<Service, Message, ()>,
    listener: Option<Listener<Service>>,
}

impl Inlet {
    /// Meets every publisher there is. Until then a publisher whose window is full drops
    /// what it sends, whatever its strategy.
    fn connect(&self) -> Result<()> {
        Ok(self.subscriber.update_connections()?)
    }

    fn receive(&self) -> Result<Message> {
        spin::until(|| {
            let found = self.subscriber.receive()?.map(|sample| *sample);
            if found.is_none()
                && let Some(listener) = &self.listener
            {
                listener.timed_wait(|_| {}, LONGEST_SLEEP)?;
            }
            Ok(found)
        })
    }
}
