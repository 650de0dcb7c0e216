//! Records by OpenSSL, which knows pre-shared keys: TLS 1.3, and 1.2 with forward secrecy.
//!
//! # Invariants
//! * **PSK-2** Nobody is let in without a key: there is no certificate, no suite without a key, and no session is taken up again
//!   whose user may be gone from the file.

use std::collections::VecDeque;
use std::io::{self, Read, Write};

use openssl::error::ErrorStack;
use openssl::ssl::{
    Error as SslError, ErrorCode, Ssl, SslContext, SslMethod, SslOptions, SslSessionCacheMode,
    SslStream, SslVersion,
};

use super::psk_file::Users;
use super::records::{Records, Stream};

/// Those with the hash that keys without one of their own go with.
const SUITES_1_3: &str = "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256";
/// The only one that has an ephemeral key beside the shared one, and is no CBC.
const SUITES_1_2: &str = "ECDHE-PSK-CHACHA20-POLY1305";

/// For all connections that begin until the file is read anew.
pub(super) fn context(users: Users) -> Result<SslContext, ErrorStack> {
    let mut builder = SslContext::builder(SslMethod::tls_server())?;
    builder.set_min_proto_version(Some(SslVersion::TLS1_2))?;
    builder.set_ciphersuites(SUITES_1_3)?;
    builder.set_cipher_list(SUITES_1_2)?;
    builder.set_options(
        SslOptions::NO_TICKET | SslOptions::NO_RENEGOTIATION | SslOptions::CIPHER_SERVER_PREFERENCE,
    );
    builder.set_session_cache_mode(SslSessionCacheMode::OFF);
    builder.set_num_tickets(0)?;
    builder.set_psk_server_callback(move |_, user, place| {
        let key = user.and_then(|user| users.key_of(user));
        // No key is the length 0: the client is refused.
        Ok(key.map_or(0, |key| match place.get_mut(..key.len()) {
            Some(place) => {
                place.copy_from_slice(key);
                key.len()
            }
            None => 0,
        }))
    });
    Ok(builder.build())
}

/// Of one connection.
pub(super) fn records(context: &SslContext) -> Result<Box<dyn Records>, String> {
    let begin = || SslStream::new(Ssl::new(context)?, Wire::default());
    let stream = begin().map_err(|error: ErrorStack| error.to_string())?;
    Ok(Box::new(SharedKeyRecords {
        stream,
        is_handshaking: true,
    }))
}

/// What OpenSSL takes for a network: it never waits.
#[derive(Debug, Default)]
struct Wire {
    incoming: VecDeque<u8>,
    outgoing: Vec<u8>,
}

impl Read for Wire {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self.incoming.read(bytes)? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            count => Ok(count),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.outgoing.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct SharedKeyRecords {
    stream: SslStream<Wire>,
    is_handshaking: bool,
}

/// What was read at once, at most: the longest record.
const RECORD_BYTES: usize = 16 << 10;

impl SharedKeyRecords {
    /// `false`: more has to come first.
    fn shake_hands(&mut self) -> Result<bool, String> {
        if self.is_handshaking {
            match self.stream.accept() {
                Ok(()) => self.is_handshaking = false,
                Err(error) if wants_more(&error) => return Ok(false),
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(true)
    }
}

fn wants_more(error: &SslError) -> bool {
    error.code() == ErrorCode::WANT_READ
}

impl Records for SharedKeyRecords {
    fn is_handshaking(&self) -> bool {
        self.is_handshaking
    }

    fn decrypt(&mut self, bytes: &[u8], plain: &mut Vec<u8>) -> Result<Stream, String> {
        self.stream.get_mut().incoming.extend(bytes);
        if !self.shake_hands()? {
            return Ok(Stream::Open);
        }
        loop {
            let from = plain.len();
            plain.resize(from + RECORD_BYTES, 0);
            let read = self.stream.ssl_read(&mut plain[from..]);
            plain.truncate(from + read.as_ref().map_or(0, |count| *count));
            match read {
                Ok(_) => {}
                Err(error) if wants_more(&error) => return Ok(Stream::Open),
                Err(error) if error.code() == ErrorCode::ZERO_RETURN => return Ok(Stream::Ended),
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    fn encrypt(&mut self, mut plain: &[u8]) -> Result<(), String> {
        while !plain.is_empty() {
            let written = self.stream.ssl_write(plain);
            let count = written.map_err(|error| error.to_string())?;
            plain = &plain[count..];
        }
        Ok(())
    }

    fn end(&mut self) {
        // Whether the client says the same is its own business.
        let _ = self.stream.shutdown();
    }

    fn has_output(&self) -> bool {
        !self.stream.get_ref().outgoing.is_empty()
    }

    fn take_output(&mut self) -> Result<Vec<u8>, String> {
        Ok(std::mem::take(&mut self.stream.get_mut().outgoing))
    }
}
