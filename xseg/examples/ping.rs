//! Two processes meet in a segment: one answers, the other asks and measures how long that takes.
//!
//! ```text
//! cargo run --release --example ping -- server demo &
//! cargo run --release --example ping -- client demo 100000
//! cargo run --release --example ping -- stop demo
//! ```
//! The segment is the file /dev/shm/demo. Kill the server and start it again: the client notices nothing but the time.

use std::error::Error;

use xseg::{
    BindOptions, CreateOptions, Event, Geometry, JoinOptions, OpCode, Place, Port, Segment,
    SegmentError, Waiter, WaiterOptions, monotonic_ns,
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The server's port.
const SERVER: u32 = 0;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["server", name] => serve(&create_or_join(&Place::named(name)?)?),
        ["client", name, count] => {
            let segment = JoinOptions::new().join(&Place::named(name)?)?;
            println!("{}", summary(measure(&segment, count.parse()?)?));
            Ok(())
        }
        ["stop", name] => Ok(Segment::destroy(
            &Place::named(name)?,
            &JoinOptions::new(),
            true,
        )?),
        _ => Err("usage: ping server NAME | client NAME COUNT | stop NAME".into()),
    }
}

fn create_or_join(place: &Place) -> Result<Segment> {
    let geometry = Geometry::new(16, 4, 256)?.with_buffers(4096, 256)?;
    match CreateOptions::new(geometry).create(place) {
        Err(SegmentError::Exists { .. }) => Ok(JoinOptions::new().join(place)?),
        created => Ok(created?),
    }
}

/// Answers everything with its own bytes in reverse, until the segment is destroyed.
pub fn serve(segment: &Segment) -> Result<()> {
    let port = segment.bind(SERVER, &BindOptions::default().label("ping server"))?;
    let mut waiter = Waiter::new(&port, &WaiterOptions::default())?;
    while !segment.is_destroyed() {
        while let Some(event) = port.poll() {
            match event {
                Event::Request(request) => {
                    let mut bytes = [0; 8];
                    let done = match request.data() {
                        Some(data) if data.len() >= 8 => data
                            .read(0, &mut bytes)
                            .map(|()| bytes.reverse())
                            .and_then(|()| data.write(0, &bytes)),
                        _ => Ok(()), // a ping without data
                    };
                    match done {
                        Ok(()) => request.answer(bytes.len() as u64),
                        Err(_) => request.fail(xseg::Errno::INVAL),
                    }
                }
                Event::Notice(notice) => notice.unsupported(),
                Event::Returning(answer) => answer.pass_on(),
                Event::Reply(_) => {}
                Event::Corrupt(corruption) => eprintln!("{corruption}"),
            }
        }
        waiter.wait(&[&port], None, |_| {})?;
    }
    Ok(())
}

/// The nanoseconds of `count` round trips.
pub fn measure(segment: &Segment, count: u64) -> Result<Vec<u64>> {
    let port = segment.bind_dynamic(&BindOptions::default().label("ping client"))?;
    let mut waiter = Waiter::new(&port, &WaiterOptions::default())?;
    let mut spare = Some(port.buffer(8)?);
    let mut took_ns = Vec::new();
    for number in 0..count {
        let begun_ns = monotonic_ns();
        let buffer = spare
            .take()
            .ok_or("the buffer comes back with the answer")?;
        buffer.data().write(0, &number.to_le_bytes())?;
        let mut draft = port.draft(OpCode::WRITE)?;
        draft.attach(buffer, 8)?;
        draft.send(
            segment
                .geometry()
                .port(SERVER)
                .ok_or("the segment has a port 0")?,
        )?;
        let mut reply = next_reply(&port, &mut waiter)?;
        let mut bytes = [0; 8];
        reply
            .data()
            .ok_or("the answer has its data")?
            .read(0, &mut bytes)?;
        if reply.result()? != 8 || bytes != number.to_be_bytes() {
            return Err(format!("a wrong answer: {bytes:?}").into());
        }
        spare = reply.take_buffer();
        took_ns.push(monotonic_ns() - begun_ns);
    }
    Ok(took_ns)
}

fn next_reply(port: &Port, waiter: &mut Waiter) -> Result<xseg::Reply> {
    loop {
        match port.poll() {
            Some(Event::Reply(reply)) => return Ok(reply),
            Some(other) => return Err(format!("nobody asks a client: {other:?}").into()),
            None => waiter.wait(&[port], None, |_| {})?,
        };
    }
}

pub fn summary(mut took_ns: Vec<u64>) -> String {
    took_ns.sort_unstable();
    let quantile = |part: f64| match took_ns.len() {
        0 => 0,
        count => took_ns[((count - 1) as f64 * part) as usize],
    };
    let [half, most, all] = [0.5, 0.99, 1.0].map(quantile);
    let count = took_ns.len();
    format!("{count} round trips: median {half} ns, 99 % within {most} ns, longest {all} ns")
}
