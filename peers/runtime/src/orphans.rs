//! What earlier incarnations of a port had sent when they died, and who has it still (S7).

use xseg::{Life, Owner, RecordReport};

use crate::station::Station;

/// A request that somebody works on for the dead.
#[derive(Clone, Debug)]
pub struct Orphan {
    /// The port that has it, or to which it is under way.
    pub holder: Option<u32>,
    pub report: RecordReport,
}

fn holder(report: &RecordReport) -> Option<u32> {
    match report.owner? {
        Owner::Sent { to, .. } => Some(to.get()),
        Owner::Held(name) => Some(name.port.get()),
        Owner::Owned(_) | Owner::Free => None,
    }
}

impl Station {
    /// Those of this port. Where there are none that costs a look at the requests' owners.
    pub fn orphan_reports(&self) -> Vec<Orphan> {
        if self.orphans() == 0 {
            return Vec::new();
        }
        let (segment, own) = (self.segment(), self.id());
        let Ok(Life::Bound { generation }) = segment.report_port(own.get()).map(|port| port.life)
        else {
            return Vec::new(); // our own port is bound as long as we are
        };
        let present = format!("{own}#{generation}");
        let slots = segment.away_from(own.get()).unwrap_or_default();
        let reports = slots
            .into_iter()
            .filter_map(|slot| segment.inspect_request(slot));
        let of_the_dead =
            reports.filter(|report| report.path.first().is_some_and(|sender| *sender != present));
        of_the_dead
            .map(|report| Orphan {
                holder: holder(&report),
                report,
            })
            .collect()
    }
}
