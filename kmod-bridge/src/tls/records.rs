//! TLS without a network: bytes in, bytes out.

/// Does more come behind what was decrypted?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Open,
    /// The client has said that it ends here.
    Ended,
}

/// One connection's records, and the handshake before them. Errors are texts for the log: nobody can do anything about them.
pub(crate) trait Records {
    fn is_handshaking(&self) -> bool;

    /// Takes all of what came from the network, and appends what was in it. There may be output, also behind an error.
    fn decrypt(&mut self, bytes: &[u8], plain: &mut Vec<u8>) -> Result<Stream, String>;

    /// Makes records of it: output.
    fn encrypt(&mut self, plain: &[u8]) -> Result<(), String>;

    /// Says that nothing more comes: output.
    fn end(&mut self);

    fn has_output(&self) -> bool;

    /// For the network, in order; empty if there is nothing to say.
    fn take_output(&mut self) -> Result<Vec<u8>, String>;
}
