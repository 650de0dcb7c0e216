//! What `xseg serve` answers: enough of a store to try the system's other parts against.

use std::collections::HashMap;

use xseg::{Data, Errno, Incoming, OpCode, flags};

use crate::args::ServedData;
use crate::pattern;

/// The size that targets without contents of their own have.
const TARGET_BYTES: u64 = 4 << 30;
/// How large a remembered target can be, and all of them together.
const OBJECT_BYTES_MAX: u64 = 64 << 20;
const MEMORY_BYTES_MAX: u64 = 1 << 30;

/// A peer's stand-in.
#[derive(Debug)]
pub enum StandIn {
    Failing(Errno),
    Offsets,
    Zeroes,
    Memory(Memory),
}

impl StandIn {
    pub fn new(data: ServedData, fail: Option<Errno>) -> Self {
        match (fail, data) {
            (Some(errno), _) => Self::Failing(errno),
            (None, ServedData::Offset) => Self::Offsets,
            (None, ServedData::Zero) => Self::Zeroes,
            (None, ServedData::Memory) => Self::Memory(Memory::default()),
        }
    }

    pub fn answer(&mut self, incoming: Incoming) {
        match self.serve(&incoming) {
            Ok(done) => incoming.answer(done),
            Err(errno) => incoming.fail(errno),
        }
    }

    fn serve(&mut self, incoming: &Incoming) -> Result<u64, Errno> {
        let request = incoming.request();
        let data = incoming.data();
        match self {
            Self::Failing(errno) => Err(*errno),
            _ if request.flags & flags::LENT != 0 => Err(Errno::INVAL), // its bytes are elsewhere
            Self::Memory(memory) => memory.serve(incoming),
            Self::Offsets | Self::Zeroes => match (request.op, data) {
                (OpCode::INFO, _) => Ok(TARGET_BYTES),
                (OpCode::READ, Some(data)) => {
                    let end = TARGET_BYTES.saturating_sub(request.offset);
                    let data = first_of(data, request.length.min(end))?;
                    self.fill(data, request.offset)
                }
                (OpCode::WRITE | OpCode::WRITE_FULL, Some(data)) => Ok(data.len()),
                _ => Ok(request.length),
            },
        }
    }

    fn fill(&self, data: Data<'_>, offset: u64) -> Result<u64, Errno> {
        match self {
            Self::Offsets => {
                let bytes = pattern::offsets(offset, data.len() as usize);
                data.write(0, &bytes).map_err(|error| error.errno())?;
            }
            _ => data.fill(0),
        }
        Ok(data.len())
    }
}

/// Targets and what was written to them.
#[derive(Debug, Default)]
pub struct Memory {
    objects: HashMap<Vec<u8>, Vec<u8>>,
    bytes: u64,
}

impl Memory {
    fn serve(&mut self, incoming: &Incoming) -> Result<u64, Errno> {
        let request = incoming.request();
        let name = incoming.target();
        let name = name.as_bytes();
        match (request.op, incoming.data()) {
            (OpCode::READ, Some(data)) => {
                let object = self.objects.get(name).ok_or(Errno::NOENT)?;
                let from = request.offset.min(object.len() as u64);
                let len = request.length.min(object.len() as u64 - from);
                let data = first_of(data, len)?;
                let from = from as usize;
                let bytes = &object[from..from + data.len() as usize];
                data.write(0, bytes).map_err(|error| error.errno())?;
                Ok(data.len())
            }
            (OpCode::WRITE, Some(data)) => self.keep(name, request.offset, data),
            (OpCode::WRITE_FULL, Some(data)) => {
                let _ = self.delete(name); // it need not be there
                self.keep(name, 0, data)
            }
            (OpCode::DELETE, _) => self.delete(name),
            (OpCode::INFO, _) => {
                let object = self.objects.get(name).ok_or(Errno::NOENT)?;
                Ok(object.len() as u64)
            }
            _ => Ok(0),
        }
    }

    fn keep(&mut self, name: &[u8], offset: u64, data: Data<'_>) -> Result<u64, Errno> {
        let end = offset.saturating_add(data.len());
        if end > OBJECT_BYTES_MAX {
            return Err(Errno::FBIG);
        }
        let had = self.objects.get(name).map_or(0, Vec::len) as u64;
        let growth = end.saturating_sub(had);
        if self.bytes + growth > MEMORY_BYTES_MAX {
            return Err(Errno::NOSPC);
        }
        self.bytes += growth;
        let object = self.objects.entry(name.to_vec()).or_default();
        let (from, end) = (offset as usize, end as usize);
        if object.len() < end {
            object.resize(end, 0);
        }
        data.read(0, &mut object[from..end])
            .map_err(|error| error.errno())?;
        Ok(data.len())
    }

    fn delete(&mut self, name: &[u8]) -> Result<u64, Errno> {
        let object = self.objects.remove(name).ok_or(Errno::NOENT)?;
        self.bytes -= object.len() as u64;
        Ok(0)
    }
}

fn first_of(data: Data<'_>, len: u64) -> Result<Data<'_>, Errno> {
    data.part(0, len.min(data.len()))
        .map_err(|error| error.errno())
}
