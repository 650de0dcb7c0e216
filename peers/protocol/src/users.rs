//! Who uses volumes: the OPEN requests that lie with a composer.
//!
//! ```text
//! OPEN   target and second name as in I/O, handle = the user's number    answered when the use has ended
//! CLOSE  the same names, handle = that number                            answer: done = 1 if it was open
//! ```
//!
//! OPEN is not answered while the use lasts. So what is in use stands in the segment itself: it can be looked up without
//! asking anybody, it ends with the life of whoever sent OPEN, and it is handed on to the composer's next incarnation.
//!
//! # Invariants
//! * **USE-1** A volume is in use from the moment when OPEN is sent until it is answered, or its sender is dead,
//!   whatever becomes of the composer meanwhile.

use std::collections::BTreeMap;

use xseg::{Life, OpCode, Owner, PortId, RecordReport, Segment};

/// One use of a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// As it was asked for.
    pub target: String,
    /// The volume that the target must be a snapshot of, or nothing.
    pub volume: String,
    /// The port of whoever uses it.
    pub port: u32,
    /// Of the OPEN.
    pub serial: u64,
}

impl User {
    /// Does it use what is called so? A snapshot may be asked for with its volume's name or without.
    pub fn is_of(&self, name: &crate::VolumeRef) -> bool {
        let volume = name.volume.as_ref().map(crate::VolumeName::as_str);
        let is_same = |volume| self.volume.is_empty() || self.volume == volume;
        self.target == name.name.as_str() && volume.is_none_or(is_same)
    }
}

/// All who use volumes through this composer and are alive (USE-1).
pub fn users(segment: &Segment, composer: PortId) -> Vec<User> {
    let mut lives = BTreeMap::new();
    let reports = segment.inspect(composer.get()).unwrap_or_default();
    let opens = reports.iter().filter(|report| is_open(report, composer));
    opens
        .filter_map(|report| {
            let (port, generation) = sender(report)?;
            let is_alive = lives
                .entry((port, generation))
                .or_insert_with(|| is_alive(segment, port, generation));
            is_alive.then(|| User {
                target: report.target.clone(),
                volume: report.snapshot.clone(),
                port,
                serial: report.serial,
            })
        })
        .collect()
}

/// OPEN, and not on its way back.
fn is_open(report: &RecordReport, composer: PortId) -> bool {
    let is_there = match report.owner {
        Some(Owner::Sent { to, .. }) => to == composer,
        Some(Owner::Held(name)) => name.port == composer,
        Some(Owner::Owned(_) | Owner::Free) | None => false,
    };
    report.op == OpCode::OPEN && is_there
}

fn sender(report: &RecordReport) -> Option<(u32, u32)> {
    let (port, generation) = report.path.first()?.split_once('#')?;
    Some((port.parse().ok()?, generation.parse().ok()?))
}

fn is_alive(segment: &Segment, port: u32, generation: u32) -> bool {
    let bound = Life::Bound { generation };
    let report = segment.report_port(port);
    report.is_ok_and(|report| report.life == bound && report.process_alive)
}

#[cfg(test)]
mod tests {
    use xseg::{BindOptions, CreateOptions, Errno, Event, Geometry};

    use super::*;

    /// USE-1
    #[test]
    fn a_volume_is_in_use_until_its_user_is_told_or_gone() {
        let geometry = Geometry::new(8, 2, 64).unwrap();
        let segment = CreateOptions::new(geometry).create_private().unwrap();
        let composer = segment.geometry().port(0).unwrap();
        let server = segment.bind(0, &BindOptions::default()).unwrap();
        let bridge = segment.bind_dynamic(&BindOptions::default()).unwrap();
        let other = segment.bind_dynamic(&BindOptions::default()).unwrap();
        for (port, op) in [
            (&bridge, OpCode::OPEN),
            (&other, OpCode::OPEN),
            (&bridge, OpCode::READ),
        ] {
            let mut draft = port.draft(op).unwrap();
            draft.set_target(b"s").unwrap();
            draft.set_snapshot(b"v").unwrap();
            draft.send(composer).unwrap();
        }
        assert_eq!(users(&segment, composer).len(), 2, "before anybody took it");
        let mut held = Vec::new();
        while let Some(Event::Request(request)) = server.poll() {
            held.push(request);
        }
        let all = users(&segment, composer);
        for (name, is_it) in [("s", true), ("v@s", true), ("w@s", false), ("v", false)] {
            let name = name.parse().unwrap();
            assert!(all.iter().all(|user| user.is_of(&name) == is_it), "{name}");
        }
        drop(other);
        assert_eq!(users(&segment, composer).len(), 1, "its sender is gone");
        held.drain(..)
            .for_each(|request| request.fail(Errno::SHUTDOWN));
        assert_eq!(users(&segment, composer), []);
    }
}
