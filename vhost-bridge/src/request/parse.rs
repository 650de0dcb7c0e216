//! From a chain of descriptors to what is to be done.

use archipelago_front::{Command, Request, SECTOR_BYTES};
use thiserror::Error;

use super::config::Config;
use super::features::DeviceFeatures;
use super::parts::Parts;
use super::status::Status;
use crate::queue::{Chain, GuestMemory, MemoryFault};

const HEADER_BYTES: usize = 16;
const SEGMENT_BYTES: usize = 16;

const IN: u32 = 0;
const OUT: u32 = 1;
const FLUSH: u32 = 4;
const GET_ID: u32 = 8;
const DISCARD: u32 = 11;
const WRITE_ZEROES: u32 = 13;

/// Of a segment that writes zeroes.
const UNMAP: u32 = 1;

/// A chain that is no request: the driver is broken, and its ring is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseError {
    #[error("the request of head {head} has no room for its status")]
    NoStatus { head: u16 },
    #[error("the request of head {head} has {len_bytes} bytes of header: 16 belong to it")]
    NoHeader { head: u16, len_bytes: usize },
    #[error(transparent)]
    Memory(#[from] MemoryFault),
}

/// What is to be done for a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Job {
    /// With the data of [`BlockRequest::data`].
    Carry(Request),
    /// One after the other; without data.
    Do(Vec<Request>),
    /// The disk's name, into the data.
    Identify,
    Refuse(Status),
}

/// A request, where its data are, and where its status goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockRequest {
    pub head: u16,
    pub job: Job,
    pub data: Parts,
    pub status_at: u64,
}

impl BlockRequest {
    /// GUESTREQUEST-1
    pub fn parse(
        memory: &impl GuestMemory,
        chain: Chain,
        features: &DeviceFeatures,
    ) -> Result<Self, ParseError> {
        let head = chain.head;
        let readable = Parts::new(chain.readable);
        let mut writable = Parts::new(chain.writable);
        let status_at = writable.pop_byte();
        let status_at = status_at.ok_or(ParseError::NoStatus { head })?;
        let mut header = [0; HEADER_BYTES];
        let len_bytes = readable.read(memory, 0, &mut header)?;
        if len_bytes < HEADER_BYTES {
            return Err(ParseError::NoHeader { head, len_bytes });
        }
        let [a, b, c, d, _, _, _, _, e, f, g, h, i, j, k, l] = header;
        let kind = u32::from_le_bytes([a, b, c, d]);
        let sector = u64::from_le_bytes([e, f, g, h, i, j, k, l]);
        let readable = readable.after(HEADER_BYTES as u64);
        let (job, data) = match kind {
            IN => (carry(Command::Read, sector, &writable), writable),
            OUT => {
                let fua = !features.flush; // GUESTREQUEST-3
                (carry(Command::Write { fua }, sector, &readable), readable)
            }
            FLUSH => (Job::Do(vec![Request::FLUSH]), Parts::default()),
            GET_ID => (Job::Identify, writable),
            DISCARD if features.discard => (ranges(memory, &readable, discard)?, Parts::default()),
            WRITE_ZEROES if features.write_zeroes => {
                let fua = !features.flush; // GUESTREQUEST-3
                let zeroes = |flags| write_zeroes(flags, fua);
                (ranges(memory, &readable, zeroes)?, Parts::default())
            }
            _ => (Job::Refuse(Status::Unsupported), Parts::default()),
        };
        Ok(Self {
            head,
            job,
            data,
            status_at,
        })
    }
}

fn carry(command: Command, sector: u64, data: &Parts) -> Job {
    let len_bytes = data.len_bytes();
    match sector.checked_mul(SECTOR_BYTES) {
        Some(offset) if len_bytes <= Config::REQUEST_BYTES_MAX => Job::Carry(Request {
            command,
            offset,
            len_bytes,
        }),
        _ => Job::Refuse(Status::IoError),
    }
}

fn discard(flags: u32) -> Option<Command> {
    (flags == 0).then_some(Command::Discard)
}

fn write_zeroes(flags: u32, fua: bool) -> Option<Command> {
    let unmap = flags & UNMAP != 0;
    (flags & !UNMAP == 0).then_some(Command::WriteZeroes { unmap, fua })
}

/// The segments of a discard, or of zeroes: one copy, which is judged in full (GUESTREQUEST-2).
fn ranges(
    memory: &impl GuestMemory,
    data: &Parts,
    command: impl Fn(u32) -> Option<Command>,
) -> Result<Job, ParseError> {
    let len_bytes = data.len_bytes();
    let segments_bytes_max = SEGMENT_BYTES as u64 * u64::from(Config::DISCARD_SEGMENTS_MAX);
    let is_whole = len_bytes.is_multiple_of(SEGMENT_BYTES as u64);
    if len_bytes == 0 || len_bytes > segments_bytes_max || !is_whole {
        return Ok(Job::Refuse(Status::IoError));
    }
    let mut bytes = vec![0; len_bytes as usize];
    data.read(memory, 0, &mut bytes)?;
    let mut requests = Vec::new();
    let (segments, _) = bytes.as_chunks::<SEGMENT_BYTES>();
    for segment in segments {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = *segment;
        let sector = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        let sectors = u32::from_le_bytes([i, j, k, l]);
        let Some(command) = command(u32::from_le_bytes([m, n, o, p])) else {
            return Ok(Job::Refuse(Status::Unsupported));
        };
        match sector.checked_mul(SECTOR_BYTES) {
            Some(offset) if sectors <= Config::DISCARD_SECTORS_MAX => requests.push(Request {
                command,
                offset,
                len_bytes: u64::from(sectors) * SECTOR_BYTES,
            }),
            _ => return Ok(Job::Refuse(Status::IoError)),
        }
    }
    Ok(Job::Do(requests))
}
