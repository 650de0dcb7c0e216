//! The listening sockets of the NBD server, which outlive the host that serves them.
//!
//! A host makes those that it needs and was not lent, with its own rights, and hands them up; the next one is lent them. Who connects
//! while there is no host waits in their queues.
//!
//! # Invariants
//! * **SOCKETS-1** From the first start of the bridges' host until the supervisor ends, or gives the host up, its sockets listen.
//! * **SOCKETS-2** Sockets that the supervisor was given (systemd's, as a rule) are lent to every host, whatever became of others.

use std::io;
use std::os::fd::OwnedFd;

use super::handover::Handover;

/// See the module.
#[derive(Debug, Default)]
pub struct Sockets {
    /// To the supervisor, for its life.
    given: Vec<OwnedFd>,
    /// All that the last host served.
    kept: Vec<OwnedFd>,
    /// From that host: what it made lies there until the next one is started.
    last: Option<Handover>,
}

impl Sockets {
    pub fn new(given: Vec<OwnedFd>) -> Self {
        Self {
            given,
            ..Self::default()
        }
    }

    /// The stdin of the next host.
    pub fn lend(&mut self) -> io::Result<OwnedFd> {
        self.collect();
        let (ours, theirs) = Handover::pair()?;
        let lent = match self.kept.is_empty() {
            true => &self.given,
            false => &self.kept,
        };
        ours.send(lent)?;
        self.last = Some(ours);
        Ok(theirs)
    }

    /// No host is going to serve them: who connects is to be told, and not to wait (SOCKETS-1).
    pub fn let_go(&mut self) {
        self.last = None;
        self.kept.clear();
    }

    fn collect(&mut self) {
        let Some(last) = self.last.take() else {
            return;
        };
        loop {
            match last.receive() {
                Ok(Some(sockets)) => self.kept = sockets,
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(%error, "the sockets of a host that is gone are lost");
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    /// What a host would read from its stdin, and say.
    fn host(sockets: &mut Sockets, makes: Vec<OwnedFd>) -> usize {
        let host = Handover::of(sockets.lend().expect("lent"));
        let mut lent = host.receive().expect("read").expect("sent");
        let count = lent.len();
        lent.extend(makes);
        host.send(&lent).expect("sent");
        count
    }

    #[test]
    fn each_host_is_lent_what_the_one_before_it_served() {
        // SOCKETS-1
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let address = listener.local_addr().expect("bound");
        let mut sockets = Sockets::default();
        assert_eq!(host(&mut sockets, vec![listener.into()]), 0);
        for _ in 0..3 {
            TcpStream::connect(address).expect("it listens");
            assert_eq!(host(&mut sockets, Vec::new()), 1);
        }
        sockets.let_go();
        assert!(TcpStream::connect(address).is_err(), "nobody keeps it");
        assert_eq!(host(&mut sockets, Vec::new()), 0);
    }

    #[test]
    fn what_was_given_is_lent_for_good() {
        // SOCKETS-2
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let address = listener.local_addr().expect("bound");
        let mut sockets = Sockets::new(vec![listener.into()]);
        for _ in 0..3 {
            assert_eq!(host(&mut sockets, Vec::new()), 1);
        }
        sockets.let_go();
        TcpStream::connect(address).expect("it listens");
        assert_eq!(host(&mut sockets, Vec::new()), 1);
        // A host that died before it said anything has changed nothing.
        drop(sockets.lend().expect("lent"));
        assert_eq!(host(&mut sockets, Vec::new()), 1);
    }
}
