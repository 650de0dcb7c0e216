//! What is attached, after a host or the machine was started anew.
//!
//! # Invariants
//! * **ATTACHMENT-3** `reattach` makes every record true that can be; one that cannot be does not keep the others waiting.
//! * **ATTACHMENT-5** What was attached as one volume is never served as another one that has got its name (L2).

use archipelago_protocol::{ErrorCode, VolumeInfo};

use super::{Attacher, Ensured, ErrorReport, Kind, Look, Machine, Record, boot_id};

impl Attacher<'_> {
    /// Makes all records true, or those of some volumes, and attaches what is wished for. Gives what could not be (ATTACHMENT-3).
    pub fn reattach(
        &self,
        look: &mut Look<'_>,
        leave_devices: bool,
        only: Option<&[String]>,
    ) -> Result<Vec<(String, ErrorReport)>, ErrorReport> {
        let mut failed = Vec::new();
        let is_meant = |volume: &str| only.is_none_or(|only| only.iter().any(|one| one == volume));
        let is_left = |kind: Kind| kind.is_device() && leave_devices;
        let records = self.records.all()?.into_iter();
        for record in records.filter(|record| is_meant(record.volume())) {
            // Others who attach or detach come in between.
            let _alone = self.records.lock(self.timeout)?;
            let now = self.records.find(&record.id, record.volume())?;
            if is_left(record.kind()) || now.as_ref() != Some(&record) {
                continue;
            }
            if let Err(error) = self.renew(&record, look) {
                failed.push((record.volume().to_owned(), error));
            }
        }
        let wishes = self.wishes.all()?.into_iter();
        for wish in wishes.filter(|wish| is_meant(&wish.volume)) {
            let _alone = self.records.lock(self.timeout)?;
            if is_left(wish.kind) || self.records.find(&wish.id, &wish.volume)?.is_some() {
                continue;
            }
            // A machine that was booted has yet to load what the kernel needs.
            let _ = wish.kind.is_device().then(Machine::look);
            let info = same(look, &wish.volume, &wish.id);
            if let Err(error) = info.and_then(|info| self.attach_alone(&wish, &info)) {
                failed.push((wish.volume, error));
            }
        }
        Ok(failed)
    }

    fn renew(&self, record: &Record, look: &mut Look<'_>) -> Result<(), ErrorReport> {
        if !record.boot.is_empty() && record.boot != boot_id() {
            return self.records.remove(record.volume()); // ATTACHMENT-4
        }
        same(look, record.volume(), &record.id)?;
        let Some(devices) = self.devices(record.kind()) else {
            return match record.kind() {
                Kind::VhostUser => self.bridge.serve(record, None).map(drop),
                _ => Ok(()),
            };
        };
        match devices.ensure(record, &*self.bridge) {
            Ok(()) => self.link(&mut record.clone()),
            Err(Ensured::Failed(error)) => Err(error),
            // The device was taken away behind our back, and its number is another's now.
            Err(Ensured::Taken) => {
                let device = record.attachment.device.as_deref().unwrap_or_default();
                self.links.remove(record.volume(), device);
                self.records.remove(record.volume())
            }
        }
    }
}

/// The volume of this name, if it is still the one that it was (ATTACHMENT-5).
fn same(look: &mut Look<'_>, volume: &str, id: &str) -> Result<VolumeInfo, ErrorReport> {
    let info = look(volume)?;
    if info.id == id || id.is_empty() {
        return Ok(info);
    }
    Err(ErrorReport::new(
        ErrorCode::Busy,
        format!("what is called {volume} now is not the volume that was attached"),
        format!("`vlmc unmap '{volume}'` forgets the old attachment"),
    ))
}
