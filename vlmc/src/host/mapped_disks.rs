//! What the NBD server serves: the volumes, and those that were mapped read-only as such.
//!
//! # Invariants
//! * **MAPPED-1** Who connects to a volume that is mapped read-only cannot write to it (F82); what cannot be found out is not
//!   served.

use archipelago_front::{DiskName, Disks, Listed, OpenRefusal, SegmentDisk, SegmentDisks};
use xseg::Errno;

use crate::volumes::Attachments;

/// All volumes of a deployment, as they are mapped here.
#[derive(Clone, Debug)]
pub(super) struct MappedDisks {
    pub disks: SegmentDisks,
    pub attachments: Attachments,
}

impl Disks for MappedDisks {
    type Disk = SegmentDisk;

    async fn list(&self) -> Result<Vec<Listed>, Errno> {
        self.disks.list().await
    }

    async fn open(&self, name: &DiskName) -> Result<SegmentDisk, OpenRefusal> {
        let disk = self.disks.open(name).await?;
        let found = self.attachments.find("", name.as_str());
        let found = found.map_err(|error| OpenRefusal::Denied {
            reason: format!(
                "it cannot be told how the volume is mapped: {}",
                error.message
            ),
        })?;
        match found.is_some_and(|attachment| attachment.is_read_only) {
            true => Ok(disk.read_only()),
            false => Ok(disk),
        }
    }
}
