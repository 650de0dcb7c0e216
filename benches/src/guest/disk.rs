//! What a guest has of a contender.

use super::contender::Contender;
use crate::cell::Caching;

/// A block device in the guest.
#[derive(Clone, Debug)]
pub struct Disk {
    pub contender: Contender,
    /// Whether the page cache of whoever serves it is used.
    pub caching: Caching,
    pub device: String,
}
