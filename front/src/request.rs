//! What a kernel or a guest asks of a disk, and whether it may.
//!
//! # Invariants
//! * **REQUEST-1** What is admitted lies within the disk: offset and length neither overflow nor end beyond it (F72).
//! * **REQUEST-2** Nothing that could change data is admitted on a read-only disk (F82).
//! * **REQUEST-3** Ranges are of whole sectors: a kernel or a guest that asks for less is out of its mind, and no neighbour's
//!   bytes are touched for it.

use xseg::Errno;

use super::facts::DiskFacts;

/// The unit in which kernels and guests count.
pub const SECTOR_BYTES: u64 = 512;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    Read,
    /// `fua`: durable before it is answered.
    Write {
        fua: bool,
    },
    /// All writes that were answered before are durable afterwards (D2).
    Flush,
    Discard,
    /// `unmap`: the range may lose its space.
    WriteZeroes {
        unmap: bool,
        fua: bool,
    },
}

/// A command, and where it applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    pub command: Command,
    pub offset: u64,
    pub len_bytes: u64,
}

impl Command {
    /// Bytes come or go with it.
    pub fn has_payload(self) -> bool {
        matches!(self, Self::Read | Self::Write { .. })
    }

    fn changes_data(self) -> bool {
        !matches!(self, Self::Read | Self::Flush)
    }
}

impl Request {
    pub const FLUSH: Self = Self {
        command: Command::Flush,
        offset: 0,
        len_bytes: 0,
    };

    /// Judges it by what the disk is.
    pub fn judge(&self, facts: &DiskFacts) -> Result<(), Errno> {
        let features = facts.features;
        if features.read_only && self.command.changes_data() {
            return Err(Errno::ROFS); // REQUEST-2
        }
        let is_offered = match self.command {
            Command::Read | Command::Write { .. } => true,
            Command::Flush => return Ok(()),
            Command::Discard => features.trim,
            Command::WriteZeroes { .. } => features.write_zeroes,
        };
        if !is_offered {
            return Err(Errno::OPNOTSUPP);
        }
        if !(self.offset | self.len_bytes).is_multiple_of(SECTOR_BYTES) {
            return Err(Errno::INVAL); // REQUEST-3
        }
        match self.offset.checked_add(self.len_bytes) {
            Some(end) if end <= facts.size_bytes => Ok(()),
            _ => Err(Errno::INVAL), // REQUEST-1
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Features;

    const WRITE: Command = Command::Write { fua: false };

    fn judged(
        command: Command,
        offset: u64,
        len_bytes: u64,
        features: Features,
    ) -> Result<(), Errno> {
        let facts = DiskFacts {
            size_bytes: 1 << 20,
            features,
            description: String::new(),
        };
        let request = Request {
            command,
            offset,
            len_bytes,
        };
        request.judge(&facts)
    }

    #[test]
    fn what_lies_outside_or_in_parts_of_sectors_is_refused() {
        // REQUEST-1, REQUEST-3
        let all = Features::ALL;
        for command in [Command::Read, WRITE, Command::Discard] {
            assert_eq!(judged(command, 0, 1 << 20, all), Ok(()));
            assert_eq!(judged(command, (1 << 20) - 512, 512, all), Ok(()));
            assert_eq!(judged(command, 1 << 20, 0, all), Ok(()));
            assert_eq!(
                judged(command, (1 << 20) - 512, 1024, all),
                Err(Errno::INVAL)
            );
            assert_eq!(judged(command, u64::MAX - 511, 512, all), Err(Errno::INVAL));
            assert_eq!(
                judged(command, u64::MAX - 511, 1024, all),
                Err(Errno::INVAL)
            );
            assert_eq!(judged(command, 1, 512, all), Err(Errno::INVAL));
            assert_eq!(judged(command, 0, 513, all), Err(Errno::INVAL));
        }
        assert_eq!(judged(Command::Flush, 77, 77, all), Ok(()));
    }

    #[test]
    fn nothing_changes_a_read_only_disk() {
        // REQUEST-2
        let read_only = Features {
            read_only: true,
            ..Features::ALL
        };
        let zeroes = Command::WriteZeroes {
            unmap: true,
            fua: false,
        };
        for command in [WRITE, Command::Discard, zeroes] {
            assert_eq!(judged(command, 0, 512, read_only), Err(Errno::ROFS));
        }
        for command in [Command::Read, Command::Flush] {
            assert_eq!(judged(command, 0, 512, read_only), Ok(()));
        }
    }

    #[test]
    fn what_a_disk_does_not_offer_is_refused() {
        let few = Features::default();
        assert_eq!(judged(Command::Discard, 0, 512, few), Err(Errno::OPNOTSUPP));
        assert_eq!(judged(Command::Read, 0, 512, few), Ok(()));
    }
}
