//! What a call costs between two ports of one reactor, and between two reactors.
//!
//! ```text
//! cargo run --release -p archipelago-runtime --example hop -- 1000000
//! ```
//! Two numbers: one call after the other, and 32 at a time.

use std::error::Error;
use std::rc::Rc;
use std::time::Instant;

use archipelago_runtime::{CallError, Handle, Peer, Reactor, ReactorOptions, Station};
use xseg::{BindOptions, CreateOptions, Geometry, Incoming, OpCode, PortId, Segment};

const CALLERS: u64 = 32;

struct Echo;

impl Peer for Echo {
    async fn handle(&self, request: Incoming) {
        request.answer(0);
    }

    fn notice(&self, notice: Incoming) {
        notice.unsupported();
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let count = match std::env::args().nth(1) {
        Some(count) => count.parse()?,
        None => 200_000,
    };
    let geometry = Geometry::new(4, 2, 256)?.with_buffers(4096, 16)?;
    let segment = CreateOptions::new(geometry).create_private()?;
    let [alone, together] = on_one_reactor(&segment, count)?;
    println!("one reactor:  {alone} ns a call, {together} ns with {CALLERS} at a time");
    let [alone, together] = between_threads(&segment, count)?;
    println!("two reactors: {alone} ns a call, {together} ns with {CALLERS} at a time");
    Ok(())
}

fn on_one_reactor(segment: &Segment, count: u64) -> Result<[u64; 2], Box<dyn Error>> {
    let port = segment.bind(0, &BindOptions::default())?;
    let reactor = Reactor::new(port, &ReactorOptions::default())?;
    let handle = reactor.handle();
    let client = handle.add_port(segment.bind_dynamic(&BindOptions::default())?)?;
    let server = handle.station();
    let _service = handle.serve(&server, 64, Rc::new(Echo));
    Ok(reactor.block_on(measure(handle, client, server.id(), count))?)
}

fn between_threads(segment: &Segment, count: u64) -> Result<[u64; 2], Box<dyn Error>> {
    let theirs = segment.clone();
    let (ended, end) = std::sync::mpsc::channel::<()>();
    let (begun, begin) = std::sync::mpsc::channel::<()>();
    let server = std::thread::spawn(move || -> Result<(), String> {
        let port = theirs
            .bind(1, &BindOptions::default())
            .map_err(|error| error.to_string())?;
        let reactor =
            Reactor::new(port, &ReactorOptions::default()).map_err(|error| error.to_string())?;
        let handle = reactor.handle();
        let service = handle.serve(&handle.station(), 64, Rc::new(Echo));
        drop(begun);
        reactor.block_on(async move {
            let _ = handle.blocking(move || end.recv()).await; // the sender is dropped
            service.drain().await;
        });
        Ok(())
    });
    let _ = begin.recv(); // the sender is dropped
    let port = segment.bind_dynamic(&BindOptions::default())?;
    let reactor = Reactor::new(port, &ReactorOptions::default())?;
    let handle = reactor.handle();
    let to = PortId::new(1).ok_or("a segment has a port 1")?;
    let measured = reactor.block_on(measure(handle.clone(), handle.station(), to, count))?;
    drop(ended);
    server.join().map_err(|_| "the server panicked")??;
    Ok(measured)
}

async fn measure(
    handle: Handle,
    client: Rc<Station>,
    to: PortId,
    count: u64,
) -> Result<[u64; 2], CallError> {
    ask(&client, to, count / 10).await?; // warm
    let begun = Instant::now();
    ask(&client, to, count).await?;
    let alone = begun.elapsed();
    let begun = Instant::now();
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let client = client.clone();
            handle.spawn(async move { ask(&client, to, count / CALLERS).await })
        })
        .collect();
    for caller in callers {
        caller.await?;
    }
    let together = begun.elapsed();
    Ok([alone, together].map(|took| took.as_nanos() as u64 / count))
}

async fn ask(client: &Station, to: PortId, count: u64) -> Result<(), CallError> {
    for _ in 0..count {
        let draft = client.draft(OpCode::INFO).await?;
        drop(client.call(draft, to).await?);
    }
    Ok(())
}
