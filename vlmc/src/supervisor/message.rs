//! What a command and the supervisor say to each other: a line of JSON each way.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::core::Phase;

/// Longer lines are refused: a node has a few hundred hosts at most.
const LINE_BYTES_MAX: u64 = 1 << 20;

/// What a command wants. All are answered at once with a [`Report`]; whoever waits asks again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    Report {},
    /// All hosts if none is named.
    Start {
        host: Option<String>,
    },
    StopHost {
        host: String,
    },
    /// All hosts, and then the supervisor.
    End {},
}

/// How everything is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// None if no supervisor runs, and the hosts were looked at one by one.
    pub supervisor_pid: Option<u32>,
    /// The kernel's count at which that process began: with the pid it names one supervisor and never another.
    #[serde(default)]
    pub supervisor_start_ticks: Option<u64>,
    /// The supervisor was told to end: it starts nothing any more.
    #[serde(default)]
    pub is_ending: bool,
    pub hosts: Vec<HostReport>,
    /// Why the request was not carried out.
    pub refusal: Option<String>,
}

impl Report {
    /// Who answered: None if nobody supervises.
    pub fn supervisor(&self) -> Option<(u32, Option<u64>)> {
        Some((self.supervisor_pid?, self.supervisor_start_ticks))
    }
}

/// How one host is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostReport {
    pub name: String,
    pub phase: Phase,
    /// It is to run: what is down is started in its turn.
    #[serde(default)]
    pub is_wanted: bool,
    pub pid: Option<u32>,
    pub uptime_ms: Option<u64>,
    pub restarts: u32,
    pub message: Option<String>,
}

pub fn send<T: Serialize>(stream: &mut UnixStream, message: &T) -> io::Result<()> {
    let mut line = serde_json::to_vec(message).map_err(io::Error::other)?;
    line.push(b'\n');
    stream.write_all(&line)
}

/// One line, or an error when it does not come in time, is too long, or is no such message.
pub fn receive<T: DeserializeOwned>(stream: &UnixStream, timeout: Duration) -> io::Result<T> {
    let mut line = Vec::new();
    let bounded = InTime {
        stream,
        deadline: Instant::now() + timeout,
    };
    BufReader::new(bounded.take(LINE_BYTES_MAX)).read_until(b'\n', &mut line)?;
    serde_json::from_slice(&line).map_err(io::Error::other)
}

/// All of it comes until then: not each byte, which could take for ever.
struct InTime<'a> {
    stream: &'a UnixStream,
    deadline: Instant,
}

impl Read for InTime<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(left))?;
        self.stream.read(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_says_a_little_at_a_time_for_ever_is_given_up() {
        let (mut told, heard) = UnixStream::pair().expect("a pair");
        let talker = std::thread::spawn(move || {
            while told.write_all(b" ").is_ok() {
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let error = receive::<Request>(&heard, Duration::from_millis(50));
        let kind = error.expect_err("it never ends").kind();
        let late = [io::ErrorKind::TimedOut, io::ErrorKind::WouldBlock];
        assert!(late.contains(&kind), "{kind}");
        drop(heard);
        talker.join().expect("it ends");
    }
}
