//! What a server has to encrypt with: read from files, and read again when they have changed.

use std::fmt;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use archipelago_runtime::Handle;
use rustls::ServerConfig;

use super::certificates;
use super::error::{SessionError, TlsError};
use super::files::TlsFiles;
use super::records::Records;
use super::session::Session;
#[cfg(feature = "tls-psk")]
use super::{psk_file, shared_keys};

/// What a server needs to encrypt. Clones are the same.
#[derive(Clone)]
pub struct Tls {
    source: Arc<Source>,
    now: Arc<Mutex<Ready>>,
}

#[derive(Debug)]
enum Source {
    Certificates(TlsFiles),
    #[cfg_attr(
        not(feature = "tls-psk"),
        expect(dead_code, reason = "nobody gets as far")
    )]
    SharedKeys(PathBuf),
}

#[derive(Clone)]
enum Ready {
    Certificates(Arc<ServerConfig>),
    #[cfg(feature = "tls-psk")]
    SharedKeys(openssl::ssl::SslContext),
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("source", &self.source).finish()
    }
}

impl Tls {
    /// Reads certificates. What does not work is refused here, not when the first client comes.
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        Self::of(Source::Certificates(files))
    }

    /// Reads users and the keys that they share with the server: a file of lines `user:hexkey`, as GnuTLS' `psktool` writes it.
    pub fn load_shared_keys(file: &Path) -> Result<Self, TlsError> {
        if cfg!(not(feature = "tls-psk")) {
            return Err(TlsError::NoSharedKeys);
        }
        Self::of(Source::SharedKeys(file.to_owned()))
    }

    /// Does it let in only whom it knows?
    pub(crate) fn knows_clients(&self) -> bool {
        match &*self.source {
            Source::Certificates(files) => files.client_authorities.is_some(),
            Source::SharedKeys(_) => true,
        }
    }

    fn of(source: Source) -> Result<Self, TlsError> {
        let now = Arc::new(Mutex::new(source.read()?));
        let source = Arc::new(source);
        Ok(Self { source, now })
    }

    /// Reads the files anew, for connections that begin from now on: certificates are renewed, and users come and go, while a
    /// server runs. If the files do not work what was read before stays.
    pub fn reload(&self) -> Result<(), TlsError> {
        let ready = self.source.read()?;
        // A poisoned lock would mean that an assignment panicked.
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = ready;
        Ok(())
    }

    /// Shakes hands with a client that was told to begin, until the clock shows `until_ns`; then it has so much time for
    /// each answer.
    pub(crate) async fn accept(
        &self,
        handle: &Handle,
        network: &Rc<OwnedFd>,
        (until_ns, stall_timeout): (u64, Duration),
    ) -> Result<Session, SessionError> {
        let ready = {
            let now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
            now.clone()
        };
        let records = ready.begin().map_err(|why| SessionError::Refused { why })?;
        let begun = Session::begin(handle, network, records, stall_timeout);
        match handle.timeout_at_ns(until_ns, begun).await {
            Ok(session) => session,
            Err(_) => Err(SessionError::TooLong),
        }
    }
}

impl Source {
    fn read(&self) -> Result<Ready, TlsError> {
        match self {
            Self::Certificates(files) => certificates::read(files).map(Ready::Certificates),
            #[cfg(feature = "tls-psk")]
            Self::SharedKeys(file) => {
                let context = shared_keys::context(psk_file::read(file)?);
                let context = context.map_err(|error| TlsError::Library {
                    why: error.to_string(),
                })?;
                Ok(Ready::SharedKeys(context))
            }
            #[cfg(not(feature = "tls-psk"))]
            Self::SharedKeys(_) => Err(TlsError::NoSharedKeys),
        }
    }
}

impl Ready {
    /// The records of one connection.
    fn begin(&self) -> Result<Box<dyn Records>, String> {
        match self {
            Self::Certificates(config) => certificates::records(config.clone()),
            #[cfg(feature = "tls-psk")]
            Self::SharedKeys(context) => shared_keys::records(context),
        }
    }
}
