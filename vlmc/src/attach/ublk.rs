//! Block devices that the kernel has us serve: `/dev/ublkbN`.
//!
//! # Invariants
//! * **UBLK-1** A device that lost its server is given to the next one with all its requests; it is never made anew while it has
//!   any (S8).
//! * **UBLK-2** A device that is not known to be this volume's is neither served nor taken away.

use std::fmt::Display;
use std::time::Duration;

use archipelago_front::{DiskFacts, Features};
use archipelago_protocol::ErrorCode;
use archipelago_ublk::abi::{DeviceState, Parameters};
use archipelago_ublk::control::{ControlError, Controller, DeviceOptions, DeviceShape, list};
use rustix::io::Errno;

use super::bridge::Bridge;
use super::call::Shape;
use super::device::{Devices, Ensured};
use super::notes::fnv;
use super::record::Record;
use crate::cli::ErrorReport;
use crate::config::Config;

/// Requests in flight of each queue.
const DEPTH: u16 = 128;
/// More than processors help nobody.
const QUEUES_MAX: usize = 4;
/// The longest request that the kernel makes, and the length that suits volumes best.
const IO_BYTES_MAX: u32 = 1 << 20;
const IO_BYTES_BEST: u32 = 64 << 10;

/// See the module.
#[derive(Debug)]
pub(super) struct UblkDevices {
    /// Whom the server is, if it is not who asks.
    server: Option<(u32, u32)>,
    /// Who we are: no two nodes of a machine have segments of the same name.
    node: String,
    within: Duration,
    /// Bytes are not copied, where the driver can.
    registered: bool,
}

impl UblkDevices {
    pub fn of(config: &Config) -> Self {
        let user = config.user.as_ref().map(|user| user.id);
        let group = config.group.as_ref().map(|group| group.id);
        Self {
            server: user.map(|user| (user, group.unwrap_or(user))),
            node: config.segment.name.clone(),
            within: config.timeout,
            registered: config.ublk_zero_copy && config.has_files_beside_bridges(),
        }
    }

    /// By which a device is known to be ours, and this volume's (UBLK-2).
    fn tag(&self, record: &Record) -> u64 {
        fnv(&format!("archipelago:{}:{}", self.node, record.id))
    }

    fn add(
        &self,
        control: &mut Controller,
        record: &Record,
        bridge: &dyn Bridge,
    ) -> Result<(), Ensured> {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let options = DeviceOptions {
            number: record.number,
            queues: processors.min(QUEUES_MAX) as u16,
            depth: DEPTH,
            io_bytes_max: IO_BYTES_MAX,
            tag: self.tag(record),
            registered: self.registered,
        };
        let shape = match control.add(&options) {
            Err(ControlError::Refused {
                source: Errno::EXIST,
                ..
            }) => return Err(Ensured::Taken),
            added => added.map_err(failed(record))?,
        };
        self.start(control, record, bridge, &shape)
    }

    fn start(
        &self,
        control: &mut Controller,
        record: &Record,
        bridge: &dyn Bridge,
        shape: &DeviceShape,
    ) -> Result<(), Ensured> {
        let looked = bridge.look(record.volume())?;
        let facts = DiskFacts {
            size_bytes: looked.size_bytes,
            features: Features {
                read_only: looked.is_read_only || record.attachment.is_read_only,
                ..Features::ALL
            },
            description: String::new(),
        };
        let parameters = Parameters::of(&facts, IO_BYTES_MAX, IO_BYTES_BEST);
        let number = shape.number;
        control
            .set_parameters(number, &parameters)
            .map_err(failed(record))?;
        let pid = self.serve(control, record, bridge, shape)?;
        let started = control.start(number, pid, self.within);
        Ok(started.map_err(failed(record))?)
    }

    fn serve(
        &self,
        control: &mut Controller,
        record: &Record,
        bridge: &dyn Bridge,
        shape: &DeviceShape,
    ) -> Result<u32, ErrorReport> {
        if let Some((user, group)) = self.server {
            let given = control.give(shape.number, user, group);
            given.map_err(failed(record))?;
        }
        let shape = Shape {
            number: shape.number,
            queues: shape.queues,
            depth: shape.depth,
            buffer_bytes: shape.buffer_bytes,
            registered: shape.registered && self.registered,
        };
        bridge.serve(record, Some(shape))
    }

    fn recover(
        &self,
        control: &mut Controller,
        record: &Record,
        bridge: &dyn Bridge,
        number: u32,
    ) -> Result<(), Ensured> {
        let begun = control.begin_recovery(number, self.within);
        let shape = begun.map_err(failed(record))?; // UBLK-1
        let pid = self.serve(control, record, bridge, &shape)?;
        let ended = control.end_recovery(number, pid, self.within);
        Ok(ended.map_err(failed(record))?)
    }
}

fn failed<E: Display>(record: &Record) -> impl FnOnce(E) -> ErrorReport {
    let volume = record.volume().to_owned();
    move |error| {
        ErrorReport::new(
            ErrorCode::Failed,
            format!("the block device of {volume}: {error}"),
            "`vlmc showmapped` shows what is attached, `dmesg` what the kernel says of it",
        )
    }
}

fn open(record: &Record) -> Result<Controller, ErrorReport> {
    Controller::open().map_err(failed(record))
}

impl Devices for UblkDevices {
    fn free_number(&self, least: u32) -> Result<u32, ErrorReport> {
        let taken = list().map_err(|error| {
            let message = format!("the devices of the kernel cannot be listed: {error}");
            ErrorReport::new(ErrorCode::Failed, message, "is /sys mounted?")
        })?;
        let free = (least..u32::MAX).find(|number| !taken.contains(number));
        Ok(free.unwrap_or(least))
    }

    fn ensure(&self, record: &Record, bridge: &dyn Bridge) -> Result<(), Ensured> {
        let number = record.number.ok_or(Ensured::Taken)?;
        let mut control = open(record)?;
        let info = match control.info(number) {
            Err(ControlError::NoDevice { .. }) => return self.add(&mut control, record, bridge),
            info => info.map_err(failed(record))?,
        };
        if info.tag != self.tag(record) {
            return Err(Ensured::Taken); // UBLK-2
        }
        match info.state {
            // One that was not started takes no other server than the one that it had, and that may have died.
            DeviceState::Dead => {
                control.delete(number).map_err(failed(record))?;
                self.add(&mut control, record, bridge)
            }
            DeviceState::Live => {
                let report = bridge.report()?;
                if info.server != Some(report.pid) {
                    // The kernel has yet to notice that its server died.
                    return self.recover(&mut control, record, bridge, number);
                }
                let is_served = report
                    .served
                    .iter()
                    .any(|one| one.volume == record.volume());
                match is_served {
                    true => Ok(()),
                    false => {
                        Err(failed(record)("its server has given it up: restart the host").into())
                    }
                }
            }
            DeviceState::Quiesced | DeviceState::Other(_) => {
                self.recover(&mut control, record, bridge, number)
            }
        }
    }

    fn resize(&self, record: &Record, size_bytes: u64) -> Result<(), ErrorReport> {
        let Some(number) = record.number else {
            return Ok(());
        };
        let mut control = open(record)?;
        match control.info(number) {
            Ok(info) if info.tag == self.tag(record) => {}
            _ => return Ok(()),
        }
        control.resize(number, size_bytes).map_err(failed(record))
    }

    fn remove(&self, record: &Record) -> Result<(), ErrorReport> {
        let Some(number) = record.number else {
            return Ok(());
        };
        let mut control = open(record)?;
        match control.info(number) {
            Err(ControlError::NoDevice { .. }) => return Ok(()),
            Ok(info) if info.tag != self.tag(record) => return Ok(()), // UBLK-2
            Ok(info) if info.state != DeviceState::Dead => {
                control.stop(number).map_err(failed(record))?;
            }
            Ok(_) => {}
            Err(error) => return Err(failed(record)(error)),
        }
        match control.delete(number) {
            Err(ControlError::NoDevice { .. }) | Ok(()) => Ok(()),
            Err(error) => Err(failed(record)(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use archipelago_ublk::control::block_path;

    use super::*;
    use crate::attach::Kind;
    use crate::cli::Attachment;

    #[test]
    fn a_records_device_is_the_drivers_device() {
        let device = Kind::Ublk.device(7);
        assert_eq!(device.as_deref().map(Path::new), Some(&*block_path(7)));
    }

    /// UBLK-2
    #[test]
    fn a_device_is_known_by_its_node_and_its_volume() {
        let tag = |node: &str, id: &str| {
            let devices = UblkDevices {
                server: None,
                node: node.to_owned(),
                within: Duration::ZERO,
                registered: true,
            };
            let attachment = Attachment {
                volume: "disk".into(),
                kind: Kind::Ublk,
                device: None,
                link: None,
                socket: None,
                uri: None,
                is_read_only: false,
                clients: 0,
            };
            devices.tag(&Record {
                id: id.to_owned(),
                boot: String::new(),
                number: Some(0),
                attachment,
            })
        };
        let ours = tag("archipelago", "1");
        assert_eq!(ours, tag("archipelago", "1"));
        assert_ne!(ours, 0, "what nobody has tagged");
        assert_ne!(ours, tag("archipelago", "2"));
        assert_ne!(ours, tag("archipelago-1000", "1"));
    }
}
