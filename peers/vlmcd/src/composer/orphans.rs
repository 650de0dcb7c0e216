//! What our predecessors had sent when they died, and who has it still (S7).
//!
//! # Invariants
//! * **CORPHAN-1** No recall is answered and no volume attached while the blocker may have a predecessor's write.
//! * **CORPHAN-2** Nobody waits here for what lies with a mapper, which may wait for us (P1); but for a grant that was
//!   asked for by a predecessor, once nothing of ours is in its way.

use archipelago_protocol::VolumeIdBytes;
use archipelago_runtime::Orphan;
use xseg::OpCode;

use super::core::Composer;

impl Composer {
    fn is_with_a_mapper(&self, orphan: &Orphan) -> bool {
        let mut mappers = self.options.mappers.iter();
        mappers.any(|mapper| orphan.holder == Some(mapper.get()))
    }

    /// May the blocker have writes of our predecessors (CORPHAN-1)?
    pub fn has_orphans(&self) -> bool {
        let orphans = self.station.orphan_reports();
        orphans.iter().any(|orphan| !self.is_with_a_mapper(orphan))
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
        let is_one = |Orphan { report, .. }: &Orphan| {
            report.op == OpCode::MAP_WRITE && report.target == target
        };
        while self.station.orphan_reports().iter().any(is_one) {
            self.pause(tries).await;
            tries += 1;
        }
        tries > 0
    }
}
