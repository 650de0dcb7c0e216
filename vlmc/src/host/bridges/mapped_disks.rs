//! What the NBD server serves: the volumes, and those that were mapped read-only as such.
//!
//! # Invariants
//! * **MAPPED-1** Who connects to a volume that is mapped read-only cannot write to it (F82); what cannot be found out is not
//!   served. What is to be mapped so after a boot (`--persist`) counts before it is.

use archipelago_front::{DiskName, Disks, Listed, OpenRefusal, SegmentDisk, SegmentDisks};
use xseg::Errno;

use crate::attach::{Records, Wishes};
use crate::cli::ErrorReport;

/// All volumes of a deployment, as they are mapped here.
#[derive(Clone, Debug)]
pub(super) struct MappedDisks {
    pub disks: SegmentDisks,
    pub records: Records,
    /// Those of before this host began; later ones come with a record. `None`: there were none.
    pub wishes: Option<Wishes>,
}

impl MappedDisks {
    fn is_read_only(&self, name: &DiskName) -> Result<bool, ErrorReport> {
        if let Some(record) = self.records.find("", name.as_str())? {
            return Ok(record.attachment.is_read_only);
        }
        // After a boot the export listens before `reattach` has made the records anew.
        let wishes = self.wishes.as_ref();
        let wish = wishes
            .map(|wishes| wishes.find(name.as_str()))
            .transpose()?;
        Ok(wish.flatten().is_some_and(|wish| wish.is_read_only))
    }
}

impl Disks for MappedDisks {
    type Disk = SegmentDisk;

    async fn list(&self) -> Result<Vec<Listed>, Errno> {
        self.disks.list().await
    }

    async fn open(&self, name: &DiskName) -> Result<SegmentDisk, OpenRefusal> {
        let disk = self.disks.open(name).await?;
        let is_read_only = self.is_read_only(name);
        let is_read_only = is_read_only.map_err(|error| OpenRefusal::Denied {
            reason: format!(
                "it cannot be told how the volume is mapped: {}",
                error.message
            ),
        })?;
        match is_read_only {
            true => Ok(disk.read_only()),
            false => Ok(disk),
        }
    }
}
