//! Attaching and detaching: the order of the steps, and what is left where they are cut off.
//!
//! # Invariants
//! * **ATTACHMENT-1** The record of a device is written before there is a device, and is removed after it: whatever is cut off
//!   between is found by its record, and finished by `reattach` or taken away by `unmap`.
//! * **ATTACHMENT-2** A device that somebody uses is not taken away (F82).
//! * **ATTACHMENT-4** What is wished for is attached again after a reboot, as it was; what is not is gone with the machine's run.

mod reattach;

use std::time::Duration;

use archipelago_nbd::{Place, Uri};
use archipelago_protocol::{ErrorCode, VolumeInfo};

use super::bridge::{Bridge, SegmentBridge};
use super::busy;
use super::choose::choose;
use super::device::{Devices, Ensured};
use super::links::Links;
use super::machine::Machine;
use super::record::{Kind, Record};
use super::records::Records;
use super::wishes::{Wish, Wishes};
use crate::cli::{Attachment, ErrorReport, MapRequest};
use crate::config::Config;
use crate::volumes::Clients;

/// Numbers of devices that are tried, where others take them at the same time.
const NUMBERS_TRIED: u32 = 64;

/// The attachments of a node, and what makes them.
#[derive(Debug)]
pub struct Attacher<'a> {
    config: &'a Config,
    records: Records,
    wishes: Wishes,
    links: Links,
    bridge: Box<dyn Bridge + 'a>,
    timeout: Duration,
    ublk: Box<dyn Devices>,
    nbd: Box<dyn Devices>,
}

impl<'a> Attacher<'a> {
    pub fn new(config: &'a Config, timeout: Duration) -> Self {
        Self {
            config,
            records: Records::of(config),
            wishes: Wishes::of(config),
            links: Links::of(config),
            bridge: Box::new(SegmentBridge { config, timeout }),
            timeout,
            ublk: Box::new(super::ublk::UblkDevices::of(config)),
            nbd: Box::new(super::kernel_nbd::NbdDevices::of(config)),
        }
    }

    fn devices(&self, kind: Kind) -> Option<&dyn Devices> {
        match kind {
            Kind::Ublk => Some(&*self.ublk),
            Kind::Nbd => Some(&*self.nbd),
            Kind::NbdSocket | Kind::VhostUser => None,
        }
    }

    /// Attaches a volume that is not attached.
    pub fn attach(
        &self,
        request: &MapRequest,
        info: &VolumeInfo,
    ) -> Result<Attachment, ErrorReport> {
        let _alone = self.records.lock(self.timeout)?;
        let machine = match request.kind.needs_machine() {
            true => Machine::look(),
            false => Machine::without_devices(),
        };
        let kind = choose(request.kind, &machine)?;
        let wish = Wish {
            volume: request.volume.to_string(),
            id: info.id.clone(),
            kind,
            is_read_only: request.is_read_only || info.is_snapshot,
        };
        if !request.is_persistent {
            return self.attach_alone(&wish, info);
        }
        // What was wished for before is wished for still, when this comes to nothing (ATTACHMENT-4).
        self.check_unattached(&wish)?;
        let earlier = self.wishes.find(&wish.volume)?;
        self.wishes.put(&wish)?;
        let attached = self.attach_alone(&wish, info);
        if attached.is_err() {
            match &earlier {
                Some(earlier) => self.wishes.put(earlier)?,
                None => self.wishes.remove(&wish.volume)?,
            }
        }
        attached
    }

    fn check_unattached(&self, wish: &Wish) -> Result<(), ErrorReport> {
        match self.records.find(&wish.id, &wish.volume)? {
            Some(record) => Err(ErrorReport::mapped(&record.attachment)),
            None => Ok(()),
        }
    }

    fn attach_alone(&self, wish: &Wish, info: &VolumeInfo) -> Result<Attachment, ErrorReport> {
        self.check_unattached(wish)?;
        let record = match self.devices(wish.kind) {
            Some(devices) => self.make_device(devices, wish, info)?,
            None => self.make_socket(wish, info)?,
        };
        let clients = Clients::of(self.config).count(record.volume());
        Ok(Attachment {
            clients,
            ..record.attachment
        })
    }

    fn record(&self, wish: &Wish, info: &VolumeInfo) -> Record {
        Record {
            id: info.id.clone(),
            boot: boot_id(),
            number: None,
            attachment: Attachment {
                volume: wish.volume.clone(),
                kind: wish.kind,
                device: None,
                link: None,
                socket: None,
                uri: None,
                is_read_only: wish.is_read_only,
                clients: 0,
            },
        }
    }

    fn make_socket(&self, wish: &Wish, info: &VolumeInfo) -> Result<Record, ErrorReport> {
        let mut record = self.record(wish, info);
        if wish.kind == Kind::VhostUser {
            let socket = self.config.run_dir.join(format!("vhost-{}.sock", info.id));
            record.attachment.socket = Some(socket.display().to_string());
            self.records.put(&record)?;
            let served = self.check_no_writers(wish, info);
            let served = served.and_then(|()| self.bridge.serve(&record, None).map(drop));
            return self.made(record, served);
        }
        let socket = &self.config.nbd.socket;
        record.attachment.socket = Some(socket.display().to_string());
        record.attachment.uri = Some(self.uri(&wish.volume)?);
        self.records.put(&record)?;
        let unused = self.check_no_writers(wish, info);
        self.made(record, unused)
    }

    /// For what is mapped read-only: whoever comes from now on cannot write, and those who are there already may.
    fn check_no_writers(&self, wish: &Wish, info: &VolumeInfo) -> Result<(), ErrorReport> {
        match wish.is_read_only && !info.is_snapshot {
            true => Clients::check_unused(self.config, &wish.volume),
            false => Ok(()),
        }
    }

    /// What was not made leaves no record.
    fn made(&self, record: Record, made: Result<(), ErrorReport>) -> Result<Record, ErrorReport> {
        if let Err(error) = made {
            self.end(record.volume()); // it may have been begun
            self.records.remove(record.volume())?;
            return Err(error);
        }
        Ok(record)
    }

    fn make_device(
        &self,
        devices: &dyn Devices,
        wish: &Wish,
        info: &VolumeInfo,
    ) -> Result<Record, ErrorReport> {
        let mut least = 0;
        for _ in 0..NUMBERS_TRIED {
            let number = devices.free_number(least)?;
            let mut record = self.record(wish, info);
            let device = wish.kind.device(number).unwrap_or_default();
            record.number = Some(number);
            record.attachment.device = Some(device.clone());
            self.records.put(&record)?; // ATTACHMENT-1
            let made = self.check_no_writers(wish, info).map_err(Ensured::from);
            match made.and_then(|()| devices.ensure(&record, &*self.bridge)) {
                Ok(()) => {
                    self.link(&mut record)?;
                    return Ok(record);
                }
                Err(Ensured::Taken) => {
                    self.records.remove(record.volume())?;
                    least = number + 1;
                }
                Err(Ensured::Failed(error)) => {
                    // As far as it came it is taken back; what cannot be keeps its record.
                    devices.remove(&record)?;
                    let _ = self.bridge.end(record.volume()); // it may not even have begun
                    self.records.remove(record.volume())?;
                    return Err(error);
                }
            }
        }
        Err(ErrorReport::new(
            ErrorCode::Busy,
            "no device has a free number: others take them at the same time",
            "try again",
        ))
    }

    /// Gives a device its stable name, where that can be had.
    fn link(&self, record: &mut Record) -> Result<(), ErrorReport> {
        let device = record.attachment.device.as_deref().unwrap_or_default();
        let link = self.links.make(record.volume(), device);
        if link != record.attachment.link {
            record.attachment.link = link;
            self.records.put(record)?;
        }
        Ok(())
    }

    fn uri(&self, volume: &str) -> Result<String, ErrorReport> {
        let export = volume.parse().map_err(|_| {
            let message = format!("{volume} cannot be the name of an export");
            ErrorReport::new(ErrorCode::Invalid, message, "")
        })?;
        let socket = self.config.nbd.socket.clone();
        let place = Place::Unix { socket };
        Ok(Uri { place, export }.to_string())
    }

    /// Detaches what is called so: a device, an address, a volume.
    pub fn detach(&self, called: &str) -> Result<(), ErrorReport> {
        let _alone = self.records.lock(self.timeout)?;
        let is_meant = |record: &&Record| record.attachment.is_called(called);
        let all = self.records.all()?;
        let Some(record) = all.iter().find(is_meant) else {
            return self.detach_missing(called);
        };
        let volume = record.volume();
        match self.devices(record.kind()) {
            Some(devices) => {
                let device = record.attachment.device.as_deref().unwrap_or_default();
                let _claim = busy::claim(device)?; // ATTACHMENT-2
                devices.remove(record)?;
                self.links.remove(volume, device);
                self.end(volume);
            }
            None if record.kind() == Kind::VhostUser => {
                self.check_no_guest(volume)?;
                self.bridge.end(volume)?;
            }
            None => Clients::check_unused(self.config, volume)?,
        }
        self.wishes.remove(volume)?;
        self.records.remove(volume)
    }

    /// It may be wished for and not have come to be: as when the volume was gone after a reboot.
    fn detach_missing(&self, called: &str) -> Result<(), ErrorReport> {
        if let Some(wish) = self.wishes.find(called)? {
            return self.wishes.remove(&wish.volume);
        }
        let _ = self.records.find("", called)?; // one that cannot be understood is not none (NOTES-3)
        Err(ErrorReport::new(
            ErrorCode::NotFound,
            format!("{} is not mapped by archipelago", called.escape_debug()),
            "`vlmc showmapped` shows what is",
        ))
    }

    /// A bridge that is not there serves nothing.
    fn end(&self, volume: &str) {
        if let Err(error) = self.bridge.end(volume) {
            tracing::debug!(volume, error = error.message, "the bridge was not told");
        }
    }

    fn check_no_guest(&self, volume: &str) -> Result<(), ErrorReport> {
        // While nobody serves it a guest may wait for that: it is not known then.
        let served = self.bridge.report()?.served;
        let used = served
            .iter()
            .find(|one| one.volume == volume && one.clients > 0);
        match used {
            None => Ok(()),
            Some(_) => Err(ErrorReport::new(
                ErrorCode::Busy,
                format!("a virtual machine uses {volume}"),
                "stop it, or unplug the disk from it",
            )),
        }
    }

    /// Refuses what must not happen to a volume that is attached, or is to be at the next start.
    pub fn check_free(&self, id: &str, volume: &str) -> Result<(), ErrorReport> {
        if let Some(record) = self.records.find(id, volume)? {
            return Err(ErrorReport::mapped(&record.attachment));
        }
        match self.wishes.find(volume)? {
            None => Ok(()),
            Some(wish) => Err(ErrorReport::new(
                ErrorCode::Busy,
                format!("{volume} is to be attached at each start (--persist)"),
                format!("`vlmc unmap '{}'` forgets that", wish.volume),
            )),
        }
    }

    /// Clients as they are now: of NBD as the composers count them, of the others as the bridge does.
    pub fn attachments(&self) -> Result<Vec<Attachment>, ErrorReport> {
        let records = self.records.attachments()?;
        let clients = Clients::of(self.config);
        let is_guests = |one: &Attachment| one.kind == Kind::VhostUser;
        let served = match records.iter().any(is_guests) {
            true => self.bridge.report().unwrap_or_default().served,
            false => Vec::new(),
        };
        let counted = records.into_iter().map(|one| match one.kind {
            Kind::VhostUser => {
                let found = served.iter().find(|served| served.volume == one.volume);
                let clients = found.map_or(0, |served| served.clients);
                Attachment { clients, ..one }
            }
            _ => clients.count_into(one),
        });
        Ok(counted.collect())
    }

    /// A volume has another size: all who use it are told, clients of the export among them.
    pub fn resized(&self, volume: &str, look: &mut Look<'_>) -> Result<(), ErrorReport> {
        match self.bridge.resized(volume) {
            // Nobody serves it, and so nobody uses it at this moment.
            Err(error) if error.code == ErrorCode::Unavailable => {}
            told => told?,
        }
        let _alone = self.records.lock(self.timeout)?;
        let info = look(volume)?; // others may have resized it meanwhile
        let Some(record) = self.records.find(&info.id, volume)? else {
            return Ok(());
        };
        match self.devices(record.kind()) {
            Some(devices) => devices.resize(&record, info.size),
            None => Ok(()),
        }
    }
}

/// Tells what a volume is.
pub type Look<'a> = dyn FnMut(&str) -> Result<VolumeInfo, ErrorReport> + 'a;

/// Which run of the machine this is.
fn boot_id() -> String {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    text.map(|text| text.trim().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
