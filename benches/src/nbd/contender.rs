//! Who is measured.

use std::fmt;

use clap::ValueEnum;
use serde::{Serialize, Serializer};

use crate::cell::Caching;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Contender {
    /// All roles in one process, the default
    Archipelago,
    /// A process for each role
    #[value(name = "archipelago-isolated")]
    Isolated,
    QemuNbd,
    #[value(name = "qemu-storage-daemon")]
    StorageDaemon,
    #[value(name = "nbdkit-file")]
    Nbdkit,
}

impl Contender {
    pub const ALL: [Self; 5] = [
        Self::Archipelago,
        Self::Isolated,
        Self::QemuNbd,
        Self::StorageDaemon,
        Self::Nbdkit,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Archipelago => "archipelago",
            Self::Isolated => "archipelago-isolated",
            Self::QemuNbd => "qemu-nbd",
            Self::StorageDaemon => "qemu-storage-daemon",
            Self::Nbdkit => "nbdkit-file",
        }
    }

    /// The program of a rival, and the Debian package that has it.
    pub fn program(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Archipelago | Self::Isolated => None,
            Self::QemuNbd => Some(("qemu-nbd", "qemu-utils")),
            Self::StorageDaemon => Some(("qemu-storage-daemon", "qemu-system-common")),
            Self::Nbdkit => Some(("nbdkit", "nbdkit")),
        }
    }

    pub fn is_rival(self) -> bool {
        self.program().is_some()
    }

    /// Why it cannot be measured that way, if it cannot.
    pub fn lacks(self, caching: Caching) -> Option<&'static str> {
        match (self, caching) {
            (Self::Nbdkit, Caching::Direct) => Some("its file plugin has no direct I/O"),
            _ => None,
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
