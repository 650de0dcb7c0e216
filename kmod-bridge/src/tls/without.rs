//! In the place of TLS where it was left out at build time: there is no value of it.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use archipelago_runtime::Handle;

use super::error::TlsError;
use super::files::TlsFiles;

/// No server has it.
#[derive(Clone, Debug)]
pub enum Tls {}

/// No client is refused by it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {}

/// No connection has it.
#[derive(Debug)]
pub(crate) enum Session {}

impl Tls {
    pub fn load(_files: TlsFiles) -> Result<Self, TlsError> {
        Err(TlsError::NotBuilt)
    }

    pub fn load_shared_keys(_file: &Path) -> Result<Self, TlsError> {
        Err(TlsError::NotBuilt)
    }

    pub(crate) fn knows_clients(&self) -> bool {
        match *self {}
    }

    pub fn reload(&self) -> Result<(), TlsError> {
        match *self {}
    }

    pub(crate) async fn accept(
        &self,
        _handle: &Handle,
        _network: &Rc<OwnedFd>,
        _times: (u64, Duration),
    ) -> Result<Session, SessionError> {
        match *self {}
    }
}

impl Session {
    pub fn socket(&self) -> &Rc<OwnedFd> {
        match *self {}
    }

    pub async fn finish(self, _handle: &Handle) {
        match self {}
    }
}
