//! The tool as a client: a dynamic port, requests with deadlines, and answers.
//!
//! Nothing here waits without an end: every request gets a deadline, and a wait ends with an answer, with the next
//! deadline, or with the segment.

use std::cell::RefCell;
use std::time::Duration;

use anyhow::Result;
use xseg::{
    BindOptions, Draft, Event, OpCode, Port, PortId, Reply, RequestError, Segment, Ticket,
    WaitMethod, Waiter, WaiterOptions, monotonic_ns,
};

use crate::exit::Failure;
use crate::output;

/// The longest sleep: then it is looked whether the segment is still there.
pub const SLICE: Duration = Duration::from_millis(200);

/// A port of our own.
#[derive(Debug)]
pub struct Client {
    port: Port,
    waiter: RefCell<Waiter>,
    timeout: Duration,
}

/// How a request of ours ended.
#[derive(Debug)]
pub enum Arrival {
    Reply(Reply),
    /// Its time was over. What its sender attached to it.
    Expired {
        cookie: u64,
    },
}

impl Client {
    pub fn bind(segment: &Segment, label: &str, timeout: Duration) -> Result<Self> {
        let port = segment.bind_dynamic(&BindOptions::default().label(label))?;
        let waiter = RefCell::new(waiter_for(&port)?);
        Ok(Self {
            port,
            waiter,
            timeout,
        })
    }

    pub fn port(&self) -> &Port {
        &self.port
    }

    /// Begins a request that expires after the time-out.
    pub fn draft(&self, op: OpCode) -> Result<Draft, RequestError> {
        let mut draft = self.with_room(|| self.port.draft(op))?;
        draft.set_deadline_ns(monotonic_ns() + self.timeout.as_nanos() as u64);
        Ok(draft)
    }

    /// Gives a request a buffer that begins with `bytes` and has room for `len`.
    pub fn attach(&self, draft: &mut Draft, bytes: &[u8], len: u64) -> Result<(), RequestError> {
        let buffer = self.with_room(|| self.port.buffer(len))?;
        buffer.data().write(0, bytes)?;
        draft.attach(buffer, len)
    }

    /// What there is none of may be with the dead, and not be missed by anybody until now.
    fn with_room<T>(&self, take: impl Fn() -> Result<T, RequestError>) -> Result<T, RequestError> {
        match take() {
            Err(error) if is_exhausted(&error) && self.port.away() == 0 => {
                let settled = self.port.segment().settle_all();
                settled.map_or(Err(error), |_| take())
            }
            taken => taken,
        }
    }

    /// Sends one request and waits for its answer.
    pub fn call(&self, to: PortId, draft: Draft) -> Result<Reply> {
        let ticket = draft.send(to)?;
        loop {
            match self.next()? {
                Some(Arrival::Reply(reply)) if reply.ticket() == ticket => return Ok(reply),
                Some(Arrival::Reply(_)) => {}
                Some(Arrival::Expired { .. }) | None => return Err(self.timed_out(to, ticket)),
            }
        }
    }

    fn timed_out(&self, to: PortId, ticket: Ticket) -> anyhow::Error {
        self.port.abandon(ticket);
        Failure::Timeout {
            port: to.get(),
            seconds: self.timeout.as_secs_f64(),
            reason: silence_of(self.port.segment(), to),
        }
        .into()
    }

    /// Waits for the next answer, or for the next deadline. `None` if no request is away that can still expire.
    pub fn next(&self) -> Result<Option<Arrival>> {
        loop {
            while let Some(event) = self.port.poll() {
                match event {
                    Event::Reply(reply) => return Ok(Some(Arrival::Reply(reply))),
                    Event::Request(incoming) | Event::Notice(incoming) => incoming.unsupported(),
                    Event::Returning(returning) => returning.pass_on(),
                    Event::Corrupt(corruption) => output::warn(corruption),
                }
            }
            if let Some(expired) = self.port.expire() {
                let cookie = expired.cookie;
                return Ok(Some(Arrival::Expired { cookie }));
            }
            if self.port.segment().is_destroyed() {
                return Err(RequestError::Destroyed.into());
            }
            let Some(deadline_ns) = self.port.next_deadline_ns() else {
                return Ok(None);
            };
            let left = Duration::from_nanos(deadline_ns.saturating_sub(monotonic_ns()));
            let mut waiter = self.waiter.borrow_mut();
            waiter.wait(&[&self.port], Some(left.min(SLICE)), |_| {})?;
        }
    }
}

/// Is it only a matter of others giving something back?
pub fn is_exhausted(error: &RequestError) -> bool {
    matches!(
        error,
        RequestError::NoRequests { .. }
            | RequestError::PortLimit { .. }
            | RequestError::NoBuffers { .. }
    )
}

/// A waiter that spins a little and then sleeps on the port's bell; it needs no ring.
pub fn waiter_for(port: &Port) -> Result<Waiter> {
    let options = WaiterOptions::default().method(WaitMethod::Futex);
    Ok(Waiter::new(port, &options)?)
}

/// Why a port may have said nothing.
fn silence_of(segment: &Segment, port: PortId) -> String {
    let Ok(report) = segment.report_port(port.get()) else {
        return "the port is gone".into();
    };
    let pid = report.process.pid;
    if report.lock_held && report.process_alive {
        format!("its process {pid} is alive and does not answer")
    } else if report.lock_held {
        format!("its process {pid} is dead and its I/O has not ended")
    } else {
        "its process is dead: the request waits there for the next one".into()
    }
}
