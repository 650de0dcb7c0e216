//! Volumes attached to this machine: what is recorded of them, and how the record is made true, at first and again after the
//! death of a host, of the node, or of the machine.

mod attacher;
mod bridge;
mod busy;
mod call;
mod choose;
mod device;
mod kernel_nbd;
mod links;
mod machine;
mod notes;
mod record;
mod records;
mod ublk;
mod wishes;

pub use attacher::Attacher;
pub use call::{BridgeAnswer, BridgeCall, ServeCall, Served, Shape};
pub use record::{Kind, Record};
pub use records::Records;
pub use wishes::{Wish, Wishes};
