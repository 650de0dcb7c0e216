//! What a connection is carried by: a socket, or a socket behind TLS.

use std::os::fd::OwnedFd;
use std::rc::Rc;

use archipelago_runtime::Handle;

use crate::tls::Session;

/// The way to a client.
#[derive(Debug)]
pub(super) struct Link {
    network: Rc<OwnedFd>,
    session: Option<Session>,
}

impl Link {
    pub fn plain(network: Rc<OwnedFd>) -> Self {
        let session = None;
        Self { network, session }
    }

    /// Where the client's bytes come and the server's go.
    pub fn socket(&self) -> &Rc<OwnedFd> {
        match &self.session {
            Some(session) => session.socket(),
            None => &self.network,
        }
    }

    pub fn network(&self) -> &Rc<OwnedFd> {
        &self.network
    }

    pub fn secure(&mut self, session: Session) {
        self.session = Some(session);
    }

    /// Nothing more is asked or answered.
    pub async fn finish(self, handle: &Handle) {
        if let Some(session) = self.session {
            session.finish(handle).await;
        }
    }
}
