//! Listens in on a live system: puts a port between all senders and one receiver, and prints what passes.
//!
//! ```text
//! cargo run --release --example ping -- server demo &
//! cargo run --release --example interpose -- demo 0 10 &
//! cargo run --release --example ping -- client demo 100
//! ```
//! prints the first ten requests for port 0 of /dev/shm/demo, with their answers, and steps aside. Neither side
//! notices; nor do they if this program is killed, once somebody has settled it.

use std::error::Error;
use std::io::Write;

use xseg::{BindOptions, Event, JoinOptions, Place, Segment, Waiter, WaiterOptions};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [name, port, count] = &args[..] else {
        return Err("usage: interpose NAME PORT COUNT".into());
    };
    let segment = JoinOptions::new().join(&Place::named(name)?)?;
    watch(
        &segment,
        port.parse()?,
        count.parse()?,
        &mut std::io::stdout(),
    )
}

/// Prints the next `count` requests for `port` and their answers to `out`.
pub fn watch(
    segment: &Segment,
    port: u32,
    count: usize,
    out: &mut impl Write,
) -> Result<(), Box<dyn Error>> {
    let destination = segment
        .geometry()
        .port(port)
        .ok_or("the segment has no such port")?;
    let between = segment.bind_dynamic(&BindOptions::default().label("interpose"))?;
    let mut waiter = Waiter::new(&between, &WaiterOptions::default())?;
    between.interpose(destination)?;
    let mut answers = 0;
    while answers < count && !segment.is_destroyed() {
        match between.poll() {
            Some(Event::Request(incoming) | Event::Notice(incoming)) => {
                let request = incoming.request();
                writeln!(
                    out,
                    "{:>12} -> {}: {} {:?} {}+{}",
                    request.serial,
                    request.destination,
                    request.op,
                    incoming.target(),
                    request.offset,
                    request.length,
                )?;
                if let Err(refused) = incoming.forward(request.destination) {
                    let errno = refused.error.errno();
                    refused.incoming.fail(errno);
                }
            }
            Some(Event::Returning(answer)) => {
                writeln!(out, "{:>12} <- errno {}", answer.serial(), answer.errno())?;
                answer.pass_on();
                answers += 1;
            }
            Some(Event::Reply(_)) => {}
            Some(Event::Corrupt(corruption)) => writeln!(out, "{corruption}")?,
            None => {
                waiter.wait(&[&between], None, |_| {})?;
            }
        }
    }
    between.step_aside(destination)?;
    Ok(())
}
