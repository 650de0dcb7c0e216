//! A device, served: requests are fetched from the driver, performed by a [`archipelago_front::Front`], and their results
//! committed.
//!
//! Everything goes through the reactor's own ring: what is committed and fetched in a turn reaches the kernel in the one call by
//! which the reactor sleeps, and what the kernel hands out ends that same sleep. A ring of its own would cost a call and a
//! wake-up more.
//!
//! Data are copied by plain reads and writes of the character device, not through the ring: the driver has them in memory, but
//! does not say that it never waits, so that the ring would hand each copy to a thread of the kernel's.

mod carrier;
mod device;
mod error;
mod failure;

pub use device::Device;
pub use error::ServeError;
