//! One contender under one load: what the client saw, and what the server used up for it.

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;

use super::counters::Counters;
use super::fio::Job;
use super::server::Server;
use super::syscalls;
use crate::cell::Load;

/// At either end of a run nothing is counted: fio is starting, or its last requests are on their way.
const MARGIN: Duration = Duration::from_millis(250);

#[derive(Clone, Copy, Debug)]
pub struct Measurement {
    pub iops: f64,
    pub p99_us: f64,
    pub mib_per_second: f64,
    /// User and system, of all processes of the server.
    pub cpu_us_per_io: f64,
    pub wakeups_per_io: f64,
}

/// How long, and with which random numbers.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    pub directory: &'a Path,
    pub seconds: u64,
    pub ramp_seconds: u64,
    pub seed: usize,
}

impl Plan<'_> {
    fn job<'a>(&self, server: &'a Server, load: Load) -> Job<'a> {
        Job {
            load,
            uri: &server.uri,
            seconds: self.seconds,
            ramp_seconds: self.ramp_seconds,
            seed: self.seed,
        }
    }

    fn ramp(&self) -> Duration {
        Duration::from_secs(self.ramp_seconds) + MARGIN
    }

    /// What lies between the margins.
    fn window(&self) -> Duration {
        Duration::from_secs(self.seconds).saturating_sub(2 * MARGIN)
    }

    pub fn measure(&self, server: &Server, load: Load) -> Result<Measurement> {
        let fio = self.job(server, load).start(self.directory)?;
        sleep(self.ramp());
        let before = Counters::of(&server.processes)?;
        sleep(self.window());
        let used = Counters::of(&server.processes)?.since(&before);
        let seen = fio.outcome(load)?;
        Ok(Measurement {
            iops: seen.iops,
            p99_us: seen.p99_us,
            mib_per_second: seen.mib_per_second,
            cpu_us_per_io: used.cpu_seconds * 1e6 / seen.iops,
            wakeups_per_io: used.wakeups / seen.iops,
        })
    }

    /// Counted in a run of its own, from its begin to its end.
    pub fn syscalls_per_io(&self, server: &Server, load: Load) -> Result<f64> {
        let told = self.directory.join("syscalls");
        let perf = syscalls::counting(&server.processes, &told);
        let job = Job {
            ramp_seconds: 0,
            ..self.job(server, load)
        };
        let seen = job.start_under(perf, self.directory)?.outcome(load)?;
        Ok(syscalls::counted(&told)? / seen.ios)
    }
}
