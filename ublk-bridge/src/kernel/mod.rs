//! What takes addresses: the ring of the control device, and the memory in which the driver describes requests. The only module
//! with `unsafe`.
#![allow(
    unsafe_code,
    reason = "the kernel takes and gives addresses; every block says why they are good"
)]

mod buffers;
mod control_ring;
mod descriptors;

pub use buffers::Buffers;
pub use control_ring::{ControlRing, Refusal};
pub use descriptors::Descriptors;
