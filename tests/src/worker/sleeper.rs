//! Sleeping until something arrives, in each way that the library has.

use std::time::Duration;

use anyhow::Context;
use xseg::{Port, WaitMethod, Waiter, WaiterOptions};

use super::args::SleepKind;

/// How this worker sleeps.
#[derive(Debug)]
pub enum Sleeper {
    Futex,
    Ring(Box<Waiter>),
}

impl Sleeper {
    pub fn new(port: &Port, kind: SleepKind) -> anyhow::Result<Self> {
        let method = match kind {
            SleepKind::Futex => return Ok(Self::Futex),
            SleepKind::Ring => WaitMethod::Auto,
            SleepKind::Helper => WaitMethod::RingHelper,
        };
        let options = WaiterOptions::default().method(method).entries(8);
        match Waiter::new(port, &options) {
            Ok(waiter) => Ok(Self::Ring(Box::new(waiter))),
            // A host without io_uring: the other way is as good a test.
            Err(_) if kind == SleepKind::Helper => Ok(Self::Futex),
            Err(error) => Err(error).context("making a waiter"),
        }
    }

    /// Sleeps until `port` has something to look at, or for so long.
    pub fn wait(&mut self, port: &Port, longest: Duration) -> anyhow::Result<()> {
        match self {
            Self::Futex => {
                port.wait(Some(longest));
            }
            Self::Ring(waiter) => {
                waiter
                    .wait(&[port], Some(longest), |_| {})
                    .context("waiting")?;
            }
        }
        Ok(())
    }
}
