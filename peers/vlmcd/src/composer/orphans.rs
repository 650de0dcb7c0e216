//! What our predecessors had sent when they died, and who has it still (S7).
//!
//! # Invariants
//! * **CORPHAN-1** No recall is answered and no volume attached while the blocker may have a predecessor's write.
//! * **CORPHAN-2** Nobody waits here for what lies with a mapper, which may wait for us (P1); but for a grant that was
//!   asked for by a predecessor, once nothing of ours is in its way.

use archipelago_protocol::VolumeIdBytes;
use xseg::{Life, OpCode, Owner, RecordReport};

use super::core::Composer;

/// Where a request is.
fn holder(report: &RecordReport) -> Option<u32> {
    match report.owner? {
        Owner::Sent { to, .. } => Some(to.get()),
        Owner::Held(name) => Some(name.port.get()),
        Owner::Owned(_) | Owner::Free => None,
    }
}

impl Composer {
    /// Requests of our predecessors that somebody has.
    fn orphans(&self) -> Vec<RecordReport> {
        if self.station.orphans() == 0 {
            return Vec::new();
        }
        let (segment, own) = (self.station.segment(), self.station.id());
        let Ok(Life::Bound { generation }) = segment.report_port(own.get()).map(|port| port.life)
        else {
            return Vec::new(); // our own port is bound as long as we are
        };
        let present = format!("{own}#{generation}");
        let slots = segment.away_from(own.get()).unwrap_or_default();
        let reports = slots
            .into_iter()
            .filter_map(|slot| segment.inspect_request(slot));
        reports
            .filter(|report| report.path.first().is_some_and(|sender| *sender != present))
            .collect()
    }

    fn is_with_a_mapper(&self, report: &RecordReport) -> bool {
        let mappers = &self.options.mappers;
        holder(report).is_some_and(|holder| mappers.iter().any(|mapper| mapper.get() == holder))
    }

    /// May the blocker have writes of our predecessors (CORPHAN-1)?
    pub fn has_orphans(&self) -> bool {
        let orphans = self.orphans();
        orphans.iter().any(|report| !self.is_with_a_mapper(report))
    }

    /// Waits for the end of those.
    pub async fn orphans_ended(&self) {
        let mut tries = 0;
        while self.has_orphans() {
            self.pause(tries).await; // the port's bell tells when one ends, and nobody hears it for us
            tries += 1;
        }
    }

    /// Waits for the grants of a volume that our predecessors asked for. Tells whether there were any (CORPHAN-2).
    pub async fn orphaned_grants_ended(&self, id: &VolumeIdBytes) -> bool {
        let target = String::from_utf8_lossy(id);
        let mut tries = 0;
        while self
            .orphans()
            .iter()
            .any(|report| report.op == OpCode::MAP_WRITE && report.target == target)
        {
            self.pause(tries).await;
            tries += 1;
        }
        tries > 0
    }
}
