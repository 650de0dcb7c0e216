//! What an answer may say went wrong. The wire knows few errors; every errno becomes one of them.

use xseg::Errno;

/// An error on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[repr(u32)]
pub enum NbdError {
    #[error("operation not permitted")]
    NotPermitted = 1,
    #[error("input/output error")]
    Io = 5,
    #[error("out of memory")]
    NoMemory = 12,
    #[error("invalid request")]
    Invalid = 22,
    #[error("no space left")]
    NoSpace = 28,
    #[error("value too large")]
    Overflow = 75,
    #[error("not supported")]
    NotSupported = 95,
    #[error("the server is shutting down")]
    Shutdown = 108,
}

impl NbdError {
    pub fn code(self) -> u32 {
        self as u32
    }
}

impl From<Errno> for NbdError {
    /// What the wire has no word for is an I/O error: it was not the client's fault.
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::PERM | Errno::ACCESS | Errno::ROFS => Self::NotPermitted,
            Errno::NOMEM => Self::NoMemory,
            Errno::INVAL => Self::Invalid,
            // F22: a full quota and a file at its limit are full disks to a client.
            Errno::NOSPC | Errno::DQUOT | Errno::FBIG => Self::NoSpace,
            Errno::OVERFLOW => Self::Overflow,
            Errno::OPNOTSUPP => Self::NotSupported,
            Errno::SHUTDOWN => Self::Shutdown,
            _ => Self::Io,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_quotas_and_files_at_their_limit_are_reported_as_no_space() {
        for errno in [Errno::NOSPC, Errno::DQUOT, Errno::FBIG] {
            assert_eq!(NbdError::from(errno), NbdError::NoSpace); // F22
        }
    }

    #[test]
    fn what_the_wire_has_no_word_for_is_an_input_output_error() {
        for errno in [Errno::UCLEAN, Errno::STALE, Errno::HOSTDOWN, Errno::IO] {
            assert_eq!(NbdError::from(errno).code(), 5);
        }
    }

    #[test]
    fn a_read_only_store_is_a_lack_of_permission() {
        assert_eq!(NbdError::from(Errno::ROFS).code(), 1);
        assert_eq!(NbdError::from(Errno::SHUTDOWN).code(), 108);
    }
}
