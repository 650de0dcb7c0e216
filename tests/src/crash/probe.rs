//! The controller as a client: one request of each kind, answered as it should be.

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use xseg::{BindOptions, Event, OpCode, Port, PortError, Reply, Segment};

use crate::message::{self, BlockKey, Shape};
use crate::worker::Role;

/// No worker has this id.
const CLIENT: u64 = 0;

/// Wakes every worker, so that it looks at what it was told: settling any port rings all doorbells.
pub(super) fn wake_all(segment: &Segment) -> anyhow::Result<()> {
    for number in (0..segment.geometry().ports()).rev() {
        match segment.settle(number) {
            Ok(_) => return Ok(()),
            Err(PortError::Alive { .. } | PortError::Draining { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    bail!("every port is in use")
}

/// One request to each role that answers requests.
pub(super) fn full_round(segment: &Segment, patience: Duration) -> anyhow::Result<()> {
    let port = segment.bind_dynamic(&BindOptions::default().label("probe"))?;
    for (sequence, role) in Role::SERVERS
        .into_iter()
        .chain([Role::Composer])
        .enumerate()
    {
        let blocks = if role == Role::Composer { 3 } else { 1 };
        let shape = Shape {
            key: BlockKey {
                client: CLIENT,
                sequence: sequence as u64,
                block: 0,
            },
            blocks,
            block_bytes: 64,
        };
        ask(&port, role, &shape, patience)
            .with_context(|| format!("a round to {}", role.name()))?;
    }
    Ok(())
}

fn ask(port: &Port, role: Role, shape: &Shape, patience: Duration) -> anyhow::Result<()> {
    let number = role.port().context("a role without a port")?;
    let to = port.geometry().port(number).context("no such port")?;
    let until = Instant::now() + patience;
    let buffer = loop {
        match port.buffer(shape.bytes()) {
            Ok(buffer) => break buffer,
            Err(error) if Instant::now() >= until => return Err(error.into()),
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    };
    message::write_inputs(shape, &buffer.data())?;
    let mut draft = port.draft(OpCode::WRITE)?;
    draft.set_target(shape.target().as_bytes())?;
    draft.set_args(shape.to_args());
    draft.set_extent(shape.offset(), shape.bytes());
    draft.attach(buffer, shape.bytes())?;
    draft.send(to)?;
    let reply = reply_before(port, until)?;
    ensure!(reply.result()? == shape.bytes(), "bytes done");
    let data = reply.data().context("an answer without data")?;
    if let Err(mismatch) = message::check_outputs(shape, &data) {
        bail!("the answer's content: {}", mismatch.0);
    }
    Ok(())
}

fn reply_before(port: &Port, until: Instant) -> anyhow::Result<Reply> {
    loop {
        match port.poll() {
            Some(Event::Reply(reply)) => return Ok(reply),
            Some(Event::Request(stray) | Event::Notice(stray)) => {
                stray.unsupported();
                bail!("a request came");
            }
            Some(Event::Returning(stray)) => {
                stray.pass_on();
                bail!("an answer came in passing");
            }
            Some(Event::Corrupt(corruption)) => bail!("{corruption}"),
            None => {}
        }
        let left = until.saturating_duration_since(Instant::now());
        ensure!(!left.is_zero(), "no answer");
        port.wait(Some(left));
    }
}
