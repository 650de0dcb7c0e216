//! One attachment, as it is written down.

use serde::{Deserialize, Serialize};

use crate::cli::Attachment;

/// How a volume is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A block device of the kernel, served by us.
    Ublk,
    /// A block device of the kernel, which is a client of our NBD export.
    Nbd,
    /// The NBD export itself.
    NbdSocket,
    /// A socket for virtual machines.
    VhostUser,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Ublk => "ublk",
            Self::Nbd => "nbd",
            Self::NbdSocket => "nbd-socket",
            Self::VhostUser => "vhost-user",
        }
    }

    /// The node's NBD server serves it.
    pub fn is_nbd(self) -> bool {
        matches!(self, Self::Nbd | Self::NbdSocket)
    }

    /// A device of the kernel, which its users hold, and which outlives our processes.
    pub fn is_device(self) -> bool {
        matches!(self, Self::Ublk | Self::Nbd)
    }

    /// The path of device `number`.
    pub fn device(self, number: u32) -> Option<String> {
        match self {
            Self::Ublk => Some(format!("/dev/ublkb{number}")),
            Self::Nbd => Some(format!("/dev/nbd{number}")),
            Self::NbdSocket | Self::VhostUser => None,
        }
    }
}

/// What is written of an attachment. It is there before the device is, and until the device is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The volume's id: it may be called by several names.
    #[serde(default)]
    pub id: String,
    /// Which run of the machine it belongs to: a device of another one is gone.
    #[serde(default)]
    pub boot: String,
    /// The kernel's number of the device.
    #[serde(default)]
    pub number: Option<u32>,
    #[serde(flatten)]
    pub attachment: Attachment,
}

impl Record {
    pub fn volume(&self) -> &str {
        &self.attachment.volume
    }

    /// As it is meant now: what an earlier version called `nbd` was the export.
    pub(super) fn understood(mut self) -> Self {
        if self.kind() == Kind::Nbd && self.number.is_none() {
            self.attachment.kind = Kind::NbdSocket;
        }
        self
    }

    pub fn kind(&self) -> Kind {
        self.attachment.kind
    }
}
