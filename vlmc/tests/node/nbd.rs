//! A client of its own: what was answered and what was not is known exactly, which no tool tells.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

const IHAVEOPT: u64 = 0x4948_4156_454f_5054;
const OPTION_REPLY: u64 = 0x0003_e889_0455_65a9;
const REQUEST: u32 = 0x2560_9513;
const SIMPLE_REPLY: u32 = 0x6744_6698;
const OPT_GO: u32 = 7;
const REP_ACK: u32 = 1;
const REP_INFO: u32 = 3;
/// Nothing may take longer: a request without an answer is a fault (S6).
const PATIENCE: Duration = Duration::from_secs(60);

/// What is asked.
#[derive(Clone, Debug)]
pub enum Ask {
    Read { at: u64, bytes: u32 },
    Write { at: u64, data: Vec<u8> },
    Trim { at: u64, bytes: u32 },
    Zero { at: u64, bytes: u32 },
    Flush,
}

impl Ask {
    fn head(&self) -> (u16, u64, u32) {
        match self {
            Self::Read { at, bytes } => (0, *at, *bytes),
            Self::Write { at, data } => (1, *at, data.len() as u32),
            Self::Flush => (3, 0, 0),
            Self::Trim { at, bytes } => (4, *at, *bytes),
            Self::Zero { at, bytes } => (6, *at, *bytes),
        }
    }
}

/// How a request ended.
#[derive(Debug)]
pub enum Outcome {
    Done(Vec<u8>),
    /// The server answered with this number.
    Refused(u32),
    /// The connection was gone before the answer.
    Unknown,
}

/// A connection.
pub struct Client {
    stream: UnixStream,
    pub size: u64,
}

impl Client {
    pub fn connect(socket: &Path, export: &str) -> io::Result<Self> {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut greeting = [0; 18];
        stream.read_exact(&mut greeting)?;
        // Fixed newstyle, no zeroes.
        let mut option = 3_u32.to_be_bytes().to_vec();
        option.extend(IHAVEOPT.to_be_bytes());
        option.extend(OPT_GO.to_be_bytes());
        option.extend((export.len() as u32 + 6).to_be_bytes());
        option.extend((export.len() as u32).to_be_bytes());
        option.extend(export.as_bytes());
        option.extend([0, 0]);
        stream.write_all(&option)?;
        let mut size = 0;
        loop {
            let mut head = [0; 20];
            stream.read_exact(&mut head)?;
            assert_eq!(word64(&head), OPTION_REPLY);
            let mut data = vec![0; word32(&head[16..]) as usize];
            stream.read_exact(&mut data)?;
            match word32(&head[12..]) {
                REP_ACK => return Ok(Self { stream, size }),
                REP_INFO if data[..2] == [0, 0] => size = word64(&data[2..]),
                REP_INFO => {}
                error => {
                    let text = String::from_utf8_lossy(&data);
                    return Err(io::Error::other(format!("{export}: {error:#x}: {text}")));
                }
            }
        }
    }

    /// It waits for so long for an answer.
    pub fn patient(self, patience: Duration) -> Self {
        self.stream.set_read_timeout(Some(patience)).unwrap();
        self
    }

    /// Sends them all, then takes the answers, which come in any order.
    pub fn ask_all(&mut self, asked: &[Ask]) -> Vec<Outcome> {
        let mut outcomes: Vec<Outcome> = asked.iter().map(|_| Outcome::Unknown).collect();
        // Who cannot send any more may have answers all the same.
        let mut sent = 0;
        for (cookie, ask) in asked.iter().enumerate() {
            if self.send(cookie as u64, ask).is_err() {
                break;
            }
            sent += 1;
        }
        for _ in 0..sent {
            match self.receive(asked) {
                Ok((cookie, outcome)) => outcomes[cookie] = outcome,
                Err(error) => {
                    let is_late = matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                    );
                    let patience = self.stream.read_timeout();
                    assert!(!is_late, "no answer within {patience:?}: {asked:?}");
                    break;
                }
            }
        }
        outcomes
    }

    fn send(&mut self, cookie: u64, ask: &Ask) -> io::Result<()> {
        let (kind, at, bytes) = ask.head();
        let mut request = REQUEST.to_be_bytes().to_vec();
        request.extend([0, 0]);
        request.extend(kind.to_be_bytes());
        request.extend(cookie.to_be_bytes());
        request.extend(at.to_be_bytes());
        request.extend(bytes.to_be_bytes());
        if let Ask::Write { data, .. } = ask {
            request.extend(data);
        }
        self.stream.write_all(&request)
    }

    fn receive(&mut self, asked: &[Ask]) -> io::Result<(usize, Outcome)> {
        let mut head = [0; 16];
        self.stream.read_exact(&mut head)?;
        assert_eq!(word32(&head), SIMPLE_REPLY);
        let cookie = word64(&head[8..]) as usize;
        match word32(&head[4..]) {
            0 => {}
            error => return Ok((cookie, Outcome::Refused(error))),
        }
        let mut data = Vec::new();
        if let Ask::Read { bytes, .. } = asked[cookie] {
            data.resize(bytes as usize, 0);
            self.stream.read_exact(&mut data)?;
        }
        Ok((cookie, Outcome::Done(data)))
    }

    /// Says good-bye, and waits until the server has let go.
    pub fn leave(mut self) {
        let mut request = REQUEST.to_be_bytes().to_vec();
        request.extend([0, 0, 0, 2]);
        request.extend([0; 20]);
        let _ = self.stream.write_all(&request); // the server may be gone
        let _ = self.stream.read(&mut [0]); // an end either way
    }
}

fn word32(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes[..4].try_into().unwrap())
}

fn word64(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(bytes[..8].try_into().unwrap())
}
