//! Volumes as block devices of the kernel: ublk, whose driver hands the requests of `/dev/ublkbN` to a process.
//!
//! ```text
//! root, for a moment                        the host, without rights, for as long as the device is there
//!   Controller: add, give, start ...             Device: fetches requests, performs them by a Front, commits results
//!        |  /dev/ublk-control                      |  /dev/ublkcN
//! -------+------------------------------------------+---------------------------------------------------------
//!                                   ublk_drv  <->  /dev/ublkbN
//! ```
//!
//! * [`abi`]: the driver's words, to and from bytes; nothing that it says is trusted.
//! * [`control`]: what only root may do, as calls that block: for a command, or a thread of its own.
//! * [`server`]: the device on a reactor.
//! * [`kernel`]: the ring of the control device and the memory of descriptors; all that is `unsafe`.
//!
//! How bytes travel: the server reads the data of a write, and writes those of a read, through the character
//! device, straight into and out of the buffers of the segment (W1): one copy. From Linux 6.19 on the driver registers the memory of each
//! request in the server's ring, and long payloads are lent to those who read and write files: no copy.
//!
//! A device outlives its server: the kernel keeps its requests, and hands them to the next one, those too that the dead one had
//! in hand.
#![deny(unsafe_code)]

pub mod abi;
pub mod control;
pub mod kernel;
pub mod server;
