//! A host: a process that runs one or more roles on a reactor, until it is told to stop.

mod bridges;
mod confinement;
mod doctor;
mod doctor_locks;
mod doctor_mounts;
mod doctor_processes;
mod error;
mod hints;
mod identity;
mod in_use;
mod log_levels;
mod paused;
mod porter;
mod presence;
mod privileges;
mod refused;
mod roles;
mod run;
mod segment;
mod this_node;

pub use confinement::ConfinementError;
pub use error::HostError;
pub use identity::owner;
pub use run::run;
pub use segment::{join, place};
pub use this_node::ThisNode;
