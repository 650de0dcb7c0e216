//! The segment of this project: a request with a 64-byte payload in a buffer, and its answer.
//!
//! Its one-way jobs are not one-way: every request is answered, and a sender's window is what it has unanswered.

use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use ::xseg::{
    BindOptions, Buffer, CreateOptions, Event, Geometry, Incoming, JoinOptions, OpCode, Place,
    Port, Reply, Segment, Waiter, WaiterOptions,
};
use anyhow::{Context, Result, bail};

use super::peer::{Launcher, Peer, PeerTask};
use super::samples::{Samples, total_round_trips};
use super::{Contender, MESSAGE_BYTES, Message, Role, WINDOW, Waiting, gate};

/// The only static port: the server's.
const SERVER: u32 = 0;

/// See the module.
#[derive(Debug)]
pub struct Xseg;

impl Contender for Xseg {
    fn name(&self) -> &'static str {
        "xseg"
    }

    fn round_trip(&self, launcher: &Launcher, mode: Waiting, iterations: u64) -> Result<Samples> {
        let room = Room::create()?;
        let task = room.task(Role::Echo, mode, total_round_trips(iterations));
        let mut peer = launcher.start_gated(&task, 0)?;
        peer.await_gate()?;
        peer.open_gate()?;
        let mut client = Client::new(&room.segment, mode)?;
        let mut message = [1; MESSAGE_BYTES];
        let mut spare = Some(client.port.buffer(MESSAGE_BYTES as u64)?);
        let samples = Samples::collect(iterations, || {
            let buffer = spare.take().context("it came back with the last answer")?;
            buffer.data().write(0, &message)?;
            client.send(buffer)?;
            let mut reply = client.reply()?;
            reply
                .data()
                .context("the answer has its data")?
                .read(0, &mut message)?;
            spare = reply.take_buffer();
            Ok(())
        })?;
        drop(spare);
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
        let room = Room::create()?;
        let share = messages / senders;
        let task = room.task(Role::Send, mode, share);
        let mut server = Server::new(&room.segment, mode)?;
        let mut peers = Vec::new();
        for index in 0..usize::try_from(senders)? {
            peers.push(launcher.start_gated(&task, index)?);
        }
        peers.iter_mut().try_for_each(Peer::await_gate)?;
        let start = Instant::now();
        peers.iter_mut().try_for_each(Peer::open_gate)?;
        server.serve(share * senders)?;
        let elapsed = start.elapsed();
        peers.into_iter().try_for_each(Peer::finish)?;
        Ok(Some((share * senders) as f64 / elapsed.as_secs_f64()))
    }

    fn serve(&self, task: &PeerTask) -> Result<()> {
        let segment = JoinOptions::new().join(&Place::named(&task.address)?)?;
        match task.role {
            Role::Echo => {
                let mut server = Server::new(&segment, task.mode)?;
                gate::reach()?;
                server.serve(task.count)?;
            }
            Role::Send => {
                let mut client = Client::new(&segment, task.mode)?;
                gate::reach()?;
                client.stream(task.count)?;
            }
        }
        gate::linger()
    }
}

impl Xseg {
    /// Times bursts of `size` requests, each answered before the next burst: one wake-up for each burst and side.
    pub fn bursts(
        launcher: &Launcher,
        mode: Waiting,
        size: u64,
        iterations: u64,
    ) -> Result<Samples> {
        let room = Room::create()?;
        let task = room.task(Role::Echo, mode, total_round_trips(iterations) * size);
        let mut peer = launcher.start_gated(&task, 0)?;
        peer.await_gate()?;
        peer.open_gate()?;
        let mut client = Client::new(&room.segment, mode)?;
        let samples = Samples::collect(iterations, || client.exchange(size))?;
        peer.finish()?;
        Ok(samples)
    }

    /// Times hops between two ports of one thread: batches of `batch` requests and answers, in nanoseconds for each of
    /// the two hops of each.
    pub fn hops(batches: u64, batch: u64) -> Result<Vec<f64>> {
        let room = Room::create()?;
        let server = room.segment.bind(SERVER, &BindOptions::default())?;
        let client = room.segment.bind_dynamic(&BindOptions::default())?;
        let mut each_ns = Vec::new();
        for _ in 0..batches {
            let start = Instant::now();
            for _ in 0..batch {
                let mut draft = client.draft(OpCode::READ)?;
                draft.set_extent(0, 4096);
                draft.send(server.id())?;
                let Some(Event::Request(request)) = server.poll() else {
                    bail!("the request has not arrived");
                };
                request.answer(4096);
                let Some(Event::Reply(reply)) = client.poll() else {
                    bail!("the answer has not arrived");
                };
                drop(reply);
            }
            each_ns.push(start.elapsed().as_nanos() as f64 / (batch * 2) as f64);
        }
        Ok(each_ns)
    }
}

/// A segment of one job, destroyed with it.
struct Room {
    segment: Segment,
    name: String,
}

impl Room {
    fn create() -> Result<Self> {
        static JOBS: AtomicU32 = AtomicU32::new(0);
        let job = JOBS.fetch_add(1, Ordering::Relaxed);
        let name = format!("archipelago-bench-{}-{job}", process::id());
        let geometry = Geometry::new(16, 1, 1024)?.with_buffers(4096, 1024)?;
        let segment = CreateOptions::new(geometry).create(&Place::named(&name)?)?;
        Ok(Self { segment, name })
    }

    fn task(&self, role: Role, mode: Waiting, count: u64) -> PeerTask {
        PeerTask {
            contender: Xseg.name().to_owned(),
            role,
            mode,
            count,
            address: self.name.clone(),
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let place = self.segment.place().clone();
        if let Err(error) = Segment::destroy(&place, &JoinOptions::new(), true) {
            eprintln!("archipelago-bench: {error}");
        }
    }
}

/// A port and the way its owner waits.
struct Client {
    port: Port,
    waiter: Waiter,
    server: ::xseg::PortId,
}

fn waiter(port: &Port, mode: Waiting) -> Result<Waiter> {
    let spin_max = match mode {
        Waiting::Sleeping => Duration::ZERO,
        Waiting::Spinning => Duration::MAX,
    };
    Ok(Waiter::new(
        port,
        &WaiterOptions::default().spin_max(spin_max),
    )?)
}

/// The next event, however long it takes.
fn next(port: &Port, waiter: &mut Waiter) -> Result<Event> {
    loop {
        if let Some(event) = port.poll() {
            return Ok(event);
        }
        waiter.wait(&[port], None, |_| {})?;
    }
}

impl Client {
    fn new(segment: &Segment, mode: Waiting) -> Result<Self> {
        let port = segment.bind_dynamic(&BindOptions::default())?;
        let server = segment.geometry().port(SERVER).context("the port exists")?;
        let waiter = waiter(&port, mode)?;
        Ok(Self {
            port,
            waiter,
            server,
        })
    }

    fn send(&self, buffer: Buffer) -> Result<()> {
        let mut draft = self.port.draft(OpCode::WRITE)?;
        draft.attach(buffer, MESSAGE_BYTES as u64)?;
        draft.send(self.server)?;
        Ok(())
    }

    fn reply(&mut self) -> Result<Reply> {
        match next(&self.port, &mut self.waiter)? {
            Event::Reply(reply) => Ok(reply),
            other => bail!("no answer but {other:?}"),
        }
    }

    /// Sends `size` messages at once and waits for all answers.
    fn exchange(&mut self, size: u64) -> Result<()> {
        let message: Message = [1; MESSAGE_BYTES];
        let burst = self.port.burst();
        for _ in 0..size {
            let buffer = self.port.buffer(MESSAGE_BYTES as u64)?;
            buffer.data().write(0, &message)?;
            self.send(buffer)?;
        }
        drop(burst);
        for _ in 0..size {
            drop(self.reply()?);
        }
        Ok(())
    }

    /// Sends `count` messages with a window; whoever sends several in a row wakes the receiver once.
    fn stream(&mut self, count: u64) -> Result<()> {
        let (mut sent, mut answered) = (0, 0);
        let mut message: Message = [1; MESSAGE_BYTES];
        while answered < count {
            {
                let burst = self.port.burst();
                while sent < count && sent - answered < WINDOW {
                    message[0] = sent as u8;
                    let buffer = self.port.buffer(MESSAGE_BYTES as u64)?;
                    buffer.data().write(0, &message)?;
                    self.send(buffer)?;
                    sent += 1;
                }
                drop(burst);
            }
            drop(self.reply()?);
            answered += 1;
            while let Some(event) = self.port.poll() {
                let Event::Reply(reply) = event else {
                    bail!("no answer but {event:?}");
                };
                drop(reply);
                answered += 1;
            }
        }
        Ok(())
    }
}

struct Server {
    port: Port,
    waiter: Waiter,
}

impl Server {
    fn new(segment: &Segment, mode: Waiting) -> Result<Self> {
        let port = segment.bind(SERVER, &BindOptions::default())?;
        let waiter = waiter(&port, mode)?;
        Ok(Self { port, waiter })
    }

    /// Answers `count` requests; all that have arrived are answered before anybody is woken.
    fn serve(&mut self, count: u64) -> Result<()> {
        let mut served = 0;
        while served < count {
            let mut event = Some(next(&self.port, &mut self.waiter)?);
            let burst = self.port.burst();
            while let Some(arrived) = event {
                let Event::Request(request) = arrived else {
                    bail!("no request but {arrived:?}");
                };
                echo(request)?;
                served += 1;
                event = if served < count {
                    self.port.poll()
                } else {
                    None
                };
            }
            drop(burst);
        }
        Ok(())
    }
}

fn echo(request: Incoming) -> Result<()> {
    let mut message = [0; MESSAGE_BYTES];
    let data = request.data().context("the request has its data")?;
    data.read(0, &mut message)?;
    data.write(0, &message)?;
    request.answer(MESSAGE_BYTES as u64);
    Ok(())
}
