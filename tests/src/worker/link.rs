//! A worker's side of the line to its controller.

use std::cell::Cell;
use std::io::{BufRead, Write};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use super::args::Manner;
use crate::channel::{Command, Report, Violation};

const BEAT: Duration = Duration::from_millis(100);

/// The line to the controller.
#[derive(Debug)]
pub struct Link {
    commands: Receiver<Command>,
    manner: Manner,
    beaten: Instant,
    is_first: bool,
    oddities: Cell<u64>,
}

impl Link {
    /// Listens to standard input from now on. When that ends, so does this process: its controller is dead.
    pub fn open(manner: Manner) -> anyhow::Result<Self> {
        let (sender, commands) = channel();
        std::thread::Builder::new()
            .name("commands".into())
            .spawn(move || {
                for line in std::io::stdin().lock().lines().map_while(Result::ok) {
                    if let Ok(command) = line.parse() {
                        let _ = sender.send(command); // the main thread may be ending
                    }
                }
                std::process::exit(0);
            })?;
        Ok(Self {
            commands,
            manner,
            beaten: Instant::now(),
            is_first: true,
            oddities: Cell::new(0),
        })
    }

    /// The next command, if there is one.
    pub fn command(&self) -> Option<Command> {
        self.commands.try_recv().ok()
    }

    pub fn report(&self, report: &Report) {
        let mut out = std::io::stdout().lock();
        let line = format!("{report}\n");
        if out
            .write_all(line.as_bytes())
            .and_then(|()| out.flush())
            .is_err()
        {
            std::process::exit(0); // the controller is gone
        }
    }

    /// Something that must not be, unless the segment is being damaged on purpose.
    pub fn violation(&self, kind: Violation, text: impl Into<String>) {
        if self.manner == Manner::Strict {
            let text = text.into();
            self.report(&Report::Violation { kind, text });
        } else {
            self.oddities.set(self.oddities.get() + 1);
        }
    }

    /// The first answer was given.
    pub fn first(&mut self) {
        if self.is_first {
            self.is_first = false;
            let at_ns = xseg::monotonic_ns();
            self.report(&Report::First { at_ns });
        }
    }

    /// The loop turned.
    pub fn beat(&mut self) {
        if self.manner == Manner::Tolerant && self.beaten.elapsed() >= BEAT {
            self.beaten = Instant::now();
            self.report(&Report::Beat {
                oddities: self.oddities.get(),
            });
        }
    }
}
