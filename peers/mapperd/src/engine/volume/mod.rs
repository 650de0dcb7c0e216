//! An open volume.

mod adopting;
mod after_break;
mod changed;
mod checkpoint;
mod close;
mod discard;
mod draft;
mod granting;
mod open;
mod resize;
mod snapshot;
mod space;
mod state;
mod taken;
#[expect(clippy::module_inception, reason = "it holds the type of this name")]
mod volume;

pub use adopting::Orphan;
pub use changed::changed_blocks;
pub use granting::Granted;
pub use open::{SEGMENTS_A_HEAD_BITS, Whom};
pub use state::{Fate, State, fate};
pub use volume::Volume;
