//! What dead incarnations of the bridge's port had asked of a volume.
//!
//! # Invariants
//! * **BEFORE-1** A volume is opened when no write, discard or zeroing of it by a dead incarnation of our port is under way: it
//!   would land on what is written from then on, and in-flight requests that are done again are written first of all (S7).

use std::rc::Rc;
use std::time::Duration;

use archipelago_runtime::{Handle, Orphan, Station};
use xseg::OpCode;

const PAUSE_FIRST: Duration = Duration::from_micros(200);
const PAUSE_LONGEST: Duration = Duration::from_millis(20);
/// All that a bridge asks for that changes a volume.
const CHANGES: [OpCode; 3] = [OpCode::WRITE, OpCode::DISCARD, OpCode::WRITE_ZEROES];

/// Waits until nothing of that kind is under way for the volume of this name. The composer ends it sooner or later, whether it
/// lives or is followed by another one.
pub(super) async fn settled(handle: &Handle, station: &Rc<Station>, name: &str) {
    let is_in_the_way =
        |orphan: &Orphan| CHANGES.contains(&orphan.report.op) && orphan.report.target == name;
    let mut pause = PAUSE_FIRST;
    while station.orphan_reports().iter().any(is_in_the_way) {
        handle.sleep(pause).await;
        pause = (pause * 2).min(PAUSE_LONGEST);
    }
}
