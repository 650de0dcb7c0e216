//! What a server is told, with defaults that suit a node full of virtual machines.

use std::time::Duration;

use crate::limits::{PAYLOAD_BYTES_MAX, RECEIVE_BYTES};
use crate::tls::Tls;
use crate::wire::ReplyMode;

/// Limits and habits of a server.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Connections at a time; more wait in the listener's queue (F77). Of those of one listener who have named no export yet there is
    /// a quarter at the most.
    pub connections_max: usize,
    /// Requests in flight on one connection; what comes beyond them waits in its socket.
    pub requests_max: usize,
    /// Payload in flight on one connection: what was received and not written, or read and not sent (F75).
    pub bytes_max: usize,
    /// Payload in flight on all connections together. Half of it is parts of their own for `connections_max` of them.
    pub memory_max: usize,
    /// The longest read or write that a client may ask for.
    pub payload_bytes_max: u32,
    /// What an export sees of it at a time: the largest buffer that is asked for.
    pub piece_bytes_max: u32,
    /// Pieces of writes that are received straight into the export's buffers at a time, of all connections. What comes
    /// beyond them is copied when it is complete: clients that stop within a write take no more buffers than this from
    /// others (F76). Together with `sending_max` fewer than half of the segment's buffers of that size.
    pub receiving_max: usize,
    /// Answers that are sent straight out of the export's buffers at a time, of all connections. What comes beyond them is copied:
    /// clients that do not take their answers keep no more buffers than this from others (F75).
    pub sending_max: usize,
    /// How long a client may take to choose an export.
    pub handshake_timeout: Duration,
    /// How long a client may take for the rest of a request that it has begun, or for its answers (F75, F76). Between requests
    /// it may be silent for ever.
    pub stall_timeout: Duration,
    /// The best dialect that is offered.
    pub mode_max: ReplyMode,
    /// Whether clients may ask which exports there are.
    pub list: bool,
    /// Keys and certificates. With them encryption is offered, and required of those who come from other machines.
    pub tls: Option<Tls>,
    /// Other machines are spoken to in the clear, if they want it or there is no certificate: for networks that nobody else
    /// can listen to.
    pub plain_off_host: bool,
    /// Nothing can be changed through this server, whatever the exports allow.
    pub read_only: bool,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            connections_max: 1024,
            requests_max: 128,
            bytes_max: 64 << 20,
            memory_max: 1 << 30,
            payload_bytes_max: PAYLOAD_BYTES_MAX,
            piece_bytes_max: 1 << 20,
            receiving_max: 8,
            sending_max: 8,
            handshake_timeout: Duration::from_secs(30),
            stall_timeout: Duration::from_secs(600),
            mode_max: ReplyMode::Extended,
            list: true,
            tls: None,
            plain_off_host: false,
            read_only: false,
        }
    }
}

/// Options that do not go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OptionsError {
    #[error("connections_max, requests_max and payload_bytes_max must be at least 1")]
    Zero,
    #[error("pieces of {piece_bytes_max} bytes: give at least {RECEIVE_BYTES}")]
    SmallPieces { piece_bytes_max: u32 },
    #[error("{bytes_max} bytes in flight are less than a piece of {piece_bytes_max}: give more")]
    FewBytes {
        bytes_max: usize,
        piece_bytes_max: u32,
    },
    #[error(
        "{memory_max} bytes for all connections are less than twice the longest request of {payload_bytes_max}: give more"
    )]
    LittleMemory {
        memory_max: usize,
        payload_bytes_max: u32,
    },
}

impl ServerOptions {
    pub(crate) fn check(&self) -> Result<(), OptionsError> {
        let piece_bytes_max = self.piece_bytes_max;
        let bytes_max = self.bytes_max;
        if self.connections_max == 0 || self.requests_max == 0 || self.payload_bytes_max == 0 {
            return Err(OptionsError::Zero);
        }
        if (piece_bytes_max as usize) < RECEIVE_BYTES {
            return Err(OptionsError::SmallPieces { piece_bytes_max });
        }
        if bytes_max < piece_bytes_max as usize {
            return Err(OptionsError::FewBytes {
                bytes_max,
                piece_bytes_max,
            });
        }
        // What is longer than the pool would have to wait until nobody has any of it, and would be more than it says.
        if self.memory_max / 2 < self.payload_bytes_max as usize {
            return Err(OptionsError::LittleMemory {
                memory_max: self.memory_max,
                payload_bytes_max: self.payload_bytes_max,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_could_not_work_are_refused_with_a_reason() {
        let good = ServerOptions::default();
        assert_eq!(good.check(), Ok(()));
        let none = ServerOptions {
            requests_max: 0,
            ..good.clone()
        };
        assert_eq!(none.check(), Err(OptionsError::Zero));
        let small = ServerOptions {
            piece_bytes_max: 512,
            ..good.clone()
        };
        assert!(matches!(
            small.check(),
            Err(OptionsError::SmallPieces { .. })
        ));
        let few = ServerOptions {
            bytes_max: 1 << 16,
            ..good.clone()
        };
        assert!(matches!(few.check(), Err(OptionsError::FewBytes { .. })));
        let little = ServerOptions {
            memory_max: good.payload_bytes_max as usize,
            ..good
        };
        let refused = little.check();
        assert!(matches!(refused, Err(OptionsError::LittleMemory { .. })));
    }
}
