//! Taking connections.
//!
//! # Invariants
//! * **ACCEPT-1** A listener that cannot take connections, for want of descriptors or because there are enough of them, waits; it
//!   neither spins nor gives up, and those who are connected notice nothing (F77).

use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use archipelago_front::Disks;
use xseg::Errno;

use super::hall::Hall;
use super::server::Shared;
use crate::handshake::Security;

/// Pauses after an accept that failed.
const PAUSE_FIRST: Duration = Duration::from_millis(10);
const PAUSE_LONGEST: Duration = Duration::from_secs(1);

/// Takes connections for ever.
pub(super) async fn accept<X: Disks>(shared: Rc<Shared<X>>, listener: OwnedFd, security: Security) {
    let listener = Rc::new(listener);
    let hall = Hall::new(shared.options.connections_max);
    let mut pause = PAUSE_FIRST;
    loop {
        shared.room_for_one().await;
        if let Some(silent) = hall.room(&shared.handle).await {
            shared.send_away(silent); // HALL-1
        }
        match shared.handle.accept(&listener).await {
            Ok(socket) => {
                pause = PAUSE_FIRST;
                shared.begin(socket, security, Some(&hall));
            }
            // It was gone before we came.
            Err(Errno::CONNABORTED) => {}
            Err(errno) => {
                tracing::warn!(%errno, ?pause, "no connection can be taken");
                shared.handle.sleep(pause).await;
                pause = (pause * 2).min(PAUSE_LONGEST);
            }
        }
    }
}
