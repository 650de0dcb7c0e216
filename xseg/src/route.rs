//! Routes: putting a port in between on a live system, and finding out who is.

use crate::error::PortError;
use crate::name::PortId;
use crate::segment::Segment;
use crate::sync::Ordering;

impl Segment {
    /// From now on requests for `destination` go to `via` first, which forwards them; `None` ends that. Answers
    /// find their way back by themselves. While `via` has no owner, requests go straight to their destination.
    pub fn set_route(&self, destination: PortId, via: Option<PortId>) -> Result<(), PortError> {
        let destination = self.existing_port(destination.get())?;
        let word = match via {
            Some(via) => self.existing_port(via.get())?.get() + 1,
            None => 0,
        };
        let record = self.shared().mapping.port(destination);
        // Relaxed: a sender that still sees the old route sends by the old route.
        record.via.store(word, Ordering::Relaxed);
        Ok(())
    }

    /// The port that requests for `destination` go through.
    pub fn route(&self, destination: PortId) -> Result<Option<PortId>, PortError> {
        let destination = self.existing_port(destination.get())?;
        let word = self
            .shared()
            .mapping
            .port(destination)
            .via
            .load(Ordering::Relaxed);
        Ok(word
            .checked_sub(1)
            .and_then(|number| self.geometry().port(number)))
    }
}
