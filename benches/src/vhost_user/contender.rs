//! Who is measured.

use std::fmt;

use clap::ValueEnum;

use crate::guest::{self, Side};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Contender {
    /// `vlmc map --type vhost-user`
    Archipelago,
    /// `vlmc map --type nbd-socket`, and QEMU's NBD client
    #[value(name = "archipelago-nbd")]
    Nbd,
    /// Its vhost-user-blk export of a file, with `aio=io_uring`
    #[value(name = "qemu-storage-daemon")]
    StorageDaemon,
    /// QEMU's own virtio-blk of a file, with `aio=io_uring` and a thread of its own
    #[value(name = "qemu-virtio")]
    Virtio,
    /// `qemu-nbd --aio=io_uring`, and QEMU's NBD client
    #[value(name = "qemu-nbd")]
    QemuNbd,
}

impl Contender {
    /// Those that are measured if none is named.
    pub const USUAL: [Self; 4] = [
        Self::Archipelago,
        Self::StorageDaemon,
        Self::Virtio,
        Self::QemuNbd,
    ];

    pub fn in_guest(self) -> guest::Contender {
        let (side, name) = match self {
            Self::Archipelago => (Side::Ours, "archipelago"),
            Self::Nbd => (Side::AlsoOurs, "archipelago-nbd"),
            Self::StorageDaemon => (Side::Rival, "qemu-storage-daemon"),
            Self::Virtio => (Side::Rival, "qemu-virtio"),
            Self::QemuNbd => (Side::Rival, "qemu-nbd"),
        };
        guest::Contender { side, name }
    }

    /// What it takes besides our own programs and the guest's QEMU, and the Debian package that has it.
    pub fn program(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Archipelago | Self::Nbd | Self::Virtio => None,
            Self::StorageDaemon => Some(("qemu-storage-daemon", "qemu-system-common")),
            Self::QemuNbd => Some(("qemu-nbd", "qemu-utils")),
        }
    }
}

impl fmt::Display for Contender {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.in_guest().fmt(formatter)
    }
}
