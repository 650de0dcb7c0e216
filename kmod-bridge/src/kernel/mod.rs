//! Exports as block devices of the kernel: `/dev/nbdN`, whose driver is the client. For root; all calls block.
//!
//! ```text
//! dial: connections, each with its handshake done --> KernelNbd::connect: the kernel has their sockets
//!          the server dies, the device waits; dial again --> KernelNbd::reconnect
//! ```
//!
//! * [`dial`] does the client's side of the handshake: the kernel knows the transmission only.
//! * [`KernelNbd`] speaks to the driver by generic netlink.
//!
//! What was in flight when a connection died is asked again by the kernel when its `request_timeout` is over, or, without one, when it has
//! another connection and its timer beats next; it waits
//! for a new connection for `reconnect_within`, and fails then. Writes that a dead connection has left behind in a server that
//! lives have to settle before those of a new one are done (S7): the server sees to that for new connections, and to nothing
//! between connections that are there already. So with more than one of them `request_timeout` must be longer than any request can
//! take.
//!
//! A device is taken away by [`archipelago_front::BlockClaim`], which refuses while it is in use, and
//! [`KernelNbd::disconnect`].

mod attach;
mod attribute;
mod dial;
mod error;
mod genetlink;
mod greeting;
mod link;
mod status;

pub use attach::{AttachOptions, KernelNbd, block_path};
pub use dial::{Dialed, dial};
pub use error::{DialError, KernelError};
pub use greeting::{ExportFacts, GreetingError};
pub use status::DeviceStatus;
