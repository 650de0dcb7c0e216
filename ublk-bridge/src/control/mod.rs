//! The life of a device, as root has it. Every call blocks until the driver has answered, or its time is over.
//!
//! ```text
//!  add --> dead --start--> live --stop--> dead --delete--> gone
//!            (a server fetches) | ^
//!              its server dies  | |  begin_recovery, another server fetches, end_recovery
//!                               v |
//!                             quiesced
//! ```
//!
//! To map: [`Controller::add`], [`Controller::give`] to the user that serves, have the server open the device and fetch, and meanwhile
//! [`Controller::start`]. After the server's death: [`Controller::begin_recovery`], have another one open it and fetch, and meanwhile
//! [`Controller::end_recovery`]. A device that was never started and whose server is dead takes no other one, if that had fetched: it has
//! nothing to lose, and is deleted and added again. To unmap: [`archipelago_front::BlockClaim`], [`Controller::stop`], [`Controller::delete`].

mod controller;
mod error;
mod options;
mod paths;

pub use controller::Controller;
pub use error::ControlError;
pub use options::{DeviceOptions, DeviceShape};
pub use paths::{block_path, character_path, list};
