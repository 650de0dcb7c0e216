//! Ends the benchmark when a job hangs.
//!
//! Contenders wait without time limits, as a limit on each wait would be part of what is
//! measured. This one thread sleeps meanwhile and gives up for all of them; the peers then
//! die with the process that started them.

use std::process;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

const EXIT_CODE: i32 = 3;

/// Watches over one job after the other; dropping it ends the watch.
#[derive(Debug)]
pub struct Watchdog {
    jobs: Sender<String>,
}

impl Watchdog {
    /// Allows each job `limit`.
    pub fn start(limit: Duration) -> Self {
        let (jobs, started) = mpsc::channel();
        thread::spawn(move || watch(&started, limit));
        Self { jobs }
    }

    /// Says that `job` starts now, and thereby that the one before has ended.
    pub fn job_starts(&self, job: String) {
        self.jobs
            .send(job)
            .expect("the watch ends only when its sender is dropped");
    }
}

fn watch(started: &Receiver<String>, limit: Duration) {
    let mut job = String::from("the first job");
    loop {
        match started.recv_timeout(limit) {
            Ok(next) => job = next,
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {
                eprintln!("{job} did not end within {limit:?}");
                process::exit(EXIT_CODE);
            }
        }
    }
}
