//! Who is measured.

use std::fmt;

use clap::ValueEnum;

use crate::guest::{self, Side};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Contender {
    /// `vlmc map --type ublk`
    Archipelago,
    /// The same without zero copy
    #[value(name = "archipelago-copied")]
    Copied,
    /// `vlmc map --type nbd`
    #[value(name = "archipelago-nbd")]
    KernelNbd,
    /// The kernel's loop device on a file
    Loop,
    /// The kernel's NBD device, served by `qemu-nbd --aio=io_uring`
    QemuNbd,
}

impl Contender {
    /// Those that are measured if none is named.
    pub const USUAL: [Self; 3] = [Self::Archipelago, Self::Loop, Self::QemuNbd];

    pub fn in_guest(self) -> guest::Contender {
        let (side, name) = match self {
            Self::Archipelago => (Side::Ours, "archipelago"),
            Self::Copied => (Side::AlsoOurs, "archipelago-copied"),
            Self::KernelNbd => (Side::AlsoOurs, "archipelago-nbd"),
            Self::Loop => (Side::Rival, "loop"),
            Self::QemuNbd => (Side::Rival, "qemu-nbd"),
        };
        guest::Contender { side, name }
    }

    /// What it takes besides our own programs, and the Debian package that has it.
    pub fn program(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Archipelago | Self::Copied | Self::KernelNbd => None,
            Self::Loop => Some(("losetup", "mount")),
            Self::QemuNbd => Some(("qemu-nbd", "qemu-utils")),
        }
    }
}

impl fmt::Display for Contender {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.in_guest().fmt(formatter)
    }
}
