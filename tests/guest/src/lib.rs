//! Throw-away machines with a kernel of their own, for tests of what needs one: block devices, power loss, root.
//!
//! A [`Guest`] is a kernel of Debian's (6.12, or the newest: [`Release`]) under QEMU, without hardware acceleration, and a file system in memory with busybox,
//! the modules and the programs that a test names. It runs one shell script, whose output and exit status come back.
//! Nothing of it is left afterwards but what it wrote to its [`Drive`]s.
//!
//! The kernels and busybox are taken from Debian once, by [`fetch`] (`cargo xtask guest`), and kept outside of the checkout
//! ([`Cache`]). A test that does not find them fails, and says so.
//!
//! ```no_run
//! use archipelago_guest::{Drive, Guest};
//!
//! let outcome = Guest::new()
//!     .program("mkfs.ext4")
//!     .module("ext4")
//!     .drive(Drive::raw("/tmp/disk.img"))
//!     .run("mkfs.ext4 -q /dev/vda && mount -t ext4 /dev/vda /mnt && df /mnt")?;
//! assert_eq!(outcome.status, 0, "{outcome}");
//! # Ok::<(), archipelago_guest::GuestError>(())
//! ```
//!
//! Time in a guest says little: it is an order of magnitude slower than the machine below, and not evenly.

#![forbid(unsafe_code)]

mod apt;
mod cache;
mod cpio;
mod drive;
mod error;
mod fetch;
mod guest;
mod image;
mod initramfs;
mod machine;
mod modules;
mod monitor;
mod outcome;
mod program;
mod running;
mod transcript;

pub use cache::{Cache, Release};
pub use drive::Drive;
pub use error::GuestError;
pub use fetch::fetch;
pub use guest::Guest;
pub use monitor::Monitor;
pub use outcome::Outcome;
pub use running::Running;
