//! Certificates and keys, as rustls wants them, and records by rustls.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection};

use super::error::TlsError;
use super::files::TlsFiles;
use super::records::{Records, Stream};

/// Of one connection.
pub(super) fn records(config: Arc<ServerConfig>) -> Result<Box<dyn Records>, String> {
    let mut tls = ServerConnection::new(config).map_err(|error| error.to_string())?;
    tls.set_buffer_limit(None); // it is emptied after each write
    Ok(Box::new(CertificateRecords(tls)))
}

struct CertificateRecords(ServerConnection);

impl Records for CertificateRecords {
    fn is_handshaking(&self) -> bool {
        self.0.is_handshaking()
    }

    fn decrypt(&mut self, mut records: &[u8], plain: &mut Vec<u8>) -> Result<Stream, String> {
        let tls = &mut self.0;
        while !records.is_empty() {
            tls.read_tls(&mut records)
                .map_err(|error| error.to_string())?;
            let state = tls
                .process_new_packets()
                .map_err(|error| error.to_string())?;
            let from = plain.len();
            plain.resize(from + state.plaintext_bytes_to_read(), 0);
            let read = tls.reader().read_exact(&mut plain[from..]);
            read.map_err(|error| error.to_string())?;
            if state.peer_has_closed() {
                return Ok(Stream::Ended);
            }
        }
        Ok(Stream::Open)
    }

    fn encrypt(&mut self, plain: &[u8]) -> Result<(), String> {
        let written = self.0.writer().write_all(plain);
        written.map_err(|error| error.to_string())
    }

    fn end(&mut self) {
        self.0.send_close_notify();
    }

    fn has_output(&self) -> bool {
        self.0.wants_write()
    }

    fn take_output(&mut self) -> Result<Vec<u8>, String> {
        let mut records = Vec::new();
        while self.0.wants_write() {
            let written = self.0.write_tls(&mut records);
            written.map_err(|error| error.to_string())?;
        }
        Ok(records)
    }
}

/// Reads the files.
pub(super) fn read(files: &TlsFiles) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let unusable = |error: rustls::Error| TlsError::Unusable {
        certificates: files.certificates.clone(),
        key: files.key.clone(),
        why: error.to_string(),
    };
    let config = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(unusable)?;
    let config = match &files.client_authorities {
        None => config.with_no_client_auth(),
        Some(path) => config.with_client_cert_verifier(verifier(path, provider)?),
    };
    let chain = certificates("certificate", &files.certificates)?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| failed("the private key", &files.key, &error))?;
    let config = config.with_single_cert(chain, key).map_err(unusable)?;
    Ok(Arc::new(config))
}

fn verifier(
    path: &Path,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, TlsError> {
    let refused = |why: String| TlsError::Authorities {
        path: path.to_owned(),
        why,
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates("certificate of an authority", path)? {
        roots
            .add(certificate)
            .map_err(|error| refused(error.to_string()))?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| refused(error.to_string()))
}

/// All certificates of a file: at least one.
fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let all: Result<Vec<_>, PemError> =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let all = all.map_err(|error| failed(what, path, &error))?;
    match all.is_empty() {
        true => Err(nothing(what, path)),
        false => Ok(all),
    }
}

fn nothing(what: &'static str, path: &Path) -> TlsError {
    let path = path.to_owned();
    TlsError::Nothing { what, path }
}

fn failed(what: &'static str, path: &Path, error: &PemError) -> TlsError {
    match error {
        PemError::NoItemsFound => nothing(what, path),
        error => TlsError::File {
            what,
            path: path.to_owned(),
            why: error.to_string(),
        },
    }
}
