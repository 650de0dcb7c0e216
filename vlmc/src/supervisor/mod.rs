//! The supervisor: starts the hosts of a node, restarts what dies, stops them in order.
//!
//! ```text
//! archipelago start --socket--> supervisor --launches--> host main, host ... (each holds its own lock)
//!                                   |  ^                        |
//!                                   |  +---- pidfd: it died ----+
//!                                   +------- gate lock: there is one supervisor of a run directory
//! ```
//! What to do is decided by [`Core`], which knows no processes: events and the time in, actions out. [`Supervisor`] carries
//! them out, in one thread that sleeps in one `poll`. [`Client`] is what the commands use; it does without a
//! supervisor where there is none: it looks at the hosts' own locks.
//!
//! Locks are `flock`s, which the kernel drops with the process: files that the dead left behind mean nothing. A
//! host outlives its supervisor; the next supervisor finds it by its lock, reads its pid there, and adopts it (F15, F19).

mod answering;
mod client;
mod core;
mod detached;
mod error;
pub mod file_lock;
mod gate;
mod handover;
mod host_lock;
mod host_process;
mod launcher;
mod local_node;
mod message;
mod orders;
mod role_status;
mod run;
mod run_dir;
mod service_manager;
mod sockets;
mod tenure;
#[cfg(test)]
mod tests;

pub use client::{Client, Patience};
pub use core::{Action, Core, Limits, Phase};
pub use detached::{detach_session, spawn_detached};
pub use error::SupervisorError;
pub use gate::Gate;
pub use handover::Handover;
pub use host_lock::{HostLock, LiveHost, Liveness, look};
pub use launcher::{Launcher, ProgramLauncher};
pub use local_node::LocalNode;
pub use message::{HostReport, Report, Request};
pub use orders::{Order, Orders, SignalOrders};
pub use role_status::{Purpose, host_for, role_statuses};
pub use run::Supervisor;
pub use run_dir::RunDir;
pub use sockets::Sockets;
pub use tenure::{FENCED_EXIT_CODE, tenure, tenure_before};
