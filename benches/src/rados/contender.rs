//! Who is measured.

use std::fmt;

use clap::ValueEnum;
use serde::{Serialize, Serializer};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Contender {
    /// A node's NBD export, all roles in one process
    Archipelago,
    /// fio itself, with librbd in its own process and no protocol between; without librbd's cache, so that what is answered is in the
    /// cluster
    FioRbd,
    /// The same as it comes: writes are answered from a cache in fio's memory, which dies with it
    #[value(name = "fio-rbd-cached")]
    FioRbdCached,
    /// QEMU's rbd driver behind its NBD server
    QemuRbd,
}

impl Contender {
    pub const ALL: [Self; 4] = [
        Self::Archipelago,
        Self::FioRbd,
        Self::FioRbdCached,
        Self::QemuRbd,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Archipelago => "archipelago",
            Self::FioRbd => "fio-rbd",
            Self::FioRbdCached => "fio-rbd-cached",
            Self::QemuRbd => "qemu-nbd-rbd",
        }
    }
}

impl fmt::Display for Contender {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

impl Serialize for Contender {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
