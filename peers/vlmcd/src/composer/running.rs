//! A composer that serves a port.

use std::rc::Rc;

use archipelago_runtime::{Handle, Service, Station};

use super::core::Composer;
use crate::options::Options;

/// A composer that runs, until its reactor ends.
#[derive(Clone, Debug)]
pub struct RunningComposer {
    composer: Rc<Composer>,
    service: Service,
}

/// Puts a composer behind a port. Its requests to mapper and blocker go out by the same port: their data are views of what
/// came in (W1).
pub fn serve(handle: &Handle, station: &Rc<Station>, options: Options) -> RunningComposer {
    let nr_ops = options.nr_ops;
    let composer = Composer::new(handle, station.clone(), options);
    let service = handle.serve(station, nr_ops, composer.clone());
    RunningComposer { composer, service }
}

impl RunningComposer {
    /// Requests that were taken and are not over.
    pub fn inflight(&self) -> u32 {
        self.service.inflight()
    }

    /// Takes no more requests, ends those that were taken, answers what was recalled, and gives the volumes back (P2).
    pub async fn drain(&self) {
        self.composer.end_all_uses();
        self.service.drain().await;
        self.composer.recalls.empty().await;
        let volumes: Vec<_> = self.composer.volumes.borrow().values().cloned().collect();
        for volume in volumes {
            self.composer.detach(&volume).await;
        }
        self.composer.recalls.empty().await;
    }
}
