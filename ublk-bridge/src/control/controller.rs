//! The control device, as calls.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use archipelago_front::SECTOR_BYTES;
use rustix::fs::{Gid, Uid, chown};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::error::ControlError;
use super::options::{DeviceOptions, DeviceShape};
use super::paths::character_path;
use crate::abi::{
    ControlCommand, ControlNumber, DEVICE_INFO_BYTES, DeviceInfo, DeviceState, DriverFeatures,
    PARAMETERS_BYTES, Parameters,
};
use crate::kernel::{ControlRing, Refusal};

const PATH: &str = "/dev/ublk-control";

/// For what the driver does by itself, also on a machine that is busy.
const AT_ONCE: Duration = Duration::from_secs(60);

const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The driver, as root speaks to it.
#[derive(Debug)]
pub struct Controller {
    ring: ControlRing,
    features: DriverFeatures,
}

impl Controller {
    /// Opens the control device.
    ///
    /// # Errors
    /// If the driver is not there, lacks what a device of ours needs, or one may not.
    pub fn open() -> Result<Self, ControlError> {
        let path = Path::new(PATH);
        let opened = OpenOptions::new().read(true).write(true).open(path);
        let file: File = opened.map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => ControlError::NoDriver { path: path.into() },
            _ => ControlError::Open {
                path: path.into(),
                source,
            },
        })?;
        let ring = ControlRing::new(file).map_err(|source| ControlError::Ring { source })?;
        let features = DriverFeatures::default();
        let mut control = Self { ring, features };
        control.features = control.ask_features()?;
        let lacks = DriverFeatures::NEEDED.names_without(control.features);
        match lacks.is_empty() {
            true => Ok(control),
            false => Err(ControlError::Lacks { lacks }),
        }
    }

    /// What the driver can do.
    pub fn features(&self) -> DriverFeatures {
        self.features
    }

    fn ask_features(&mut self) -> Result<DriverFeatures, ControlError> {
        let mut buffer = [0; 8];
        let none = ControlCommand::default();
        match self.command(ControlNumber::Features, none, &mut buffer, AT_ONCE) {
            Ok(_) => Ok(DriverFeatures(u64::from_ne_bytes(buffer))),
            // A driver of before it could tell has none of what counts.
            Err(ControlError::Refused {
                source: Errno::OPNOTSUPP | Errno::NODEV,
                ..
            }) => Ok(DriverFeatures::default()),
            Err(error) => Err(error),
        }
    }

    /// A new device. It has no size and no server yet, and nobody sees a block device.
    ///
    /// A user who is not root has a device of theirs, if they may use the control device: all that follows is then allowed to those who
    /// may read and write its character device (which somebody has to give them: a udev rule, by the owner that the driver tells).
    /// It has no recovery; its data are copied once more; and the kernel kills a server that takes half a minute for a
    /// request. So it is for programs that serve nothing else.
    pub fn add(&mut self, options: &DeviceOptions) -> Result<DeviceShape, ControlError> {
        let options = options.bounded();
        let can = self.features.wanted(linux());
        let (wanted, also) = match (geteuid().is_root(), options.registered) {
            (true, true) => (DriverFeatures::NEEDED, can),
            (true, false) => (DriverFeatures::NEEDED, can.common(DriverFeatures::RESIZE)),
            (false, _) => (
                DriverFeatures::UNPRIVILEGED,
                can.common(DriverFeatures::RESIZE),
            ),
        };
        let info = DeviceInfo {
            number: options.number,
            queues: options.queues,
            depth: options.depth,
            state: DeviceState::Dead,
            io_bytes_max: options.io_bytes_max,
            server: None,
            features: wanted.and(also),
            owner: 0,
            tag: options.tag,
        };
        let mut buffer = info.to_bytes();
        let command = ControlCommand {
            device: options.number,
            ..ControlCommand::default()
        };
        self.command(ControlNumber::Add, command, &mut buffer, AT_ONCE)?;
        let added = DeviceInfo::from_bytes(buffer);
        let shape = DeviceShape::of(&added).ok_or(ControlError::Refused {
            doing: ControlNumber::Add.name(),
            source: Errno::NODEV,
        })?;
        let lacks = wanted.names_without(added.features);
        if !lacks.is_empty() {
            self.delete(shape.number)?;
            return Err(ControlError::Lacks { lacks });
        }
        Ok(shape)
    }

    /// Size and abilities, before it is started.
    pub fn set_parameters(
        &mut self,
        number: u32,
        parameters: &Parameters,
    ) -> Result<(), ControlError> {
        sectors(parameters.size_bytes)?;
        let mut buffer = parameters.to_bytes();
        self.of_device(ControlNumber::SetParameters, number, 0, &mut buffer)
    }

    /// As they were set; `None`: they were not.
    pub fn parameters(&mut self, number: u32) -> Result<Option<Parameters>, ControlError> {
        let mut buffer = [0; PARAMETERS_BYTES];
        buffer[..4].copy_from_slice(&(PARAMETERS_BYTES as u32).to_ne_bytes());
        self.of_device(ControlNumber::Parameters, number, 0, &mut buffer)?;
        Ok(Parameters::from_bytes(buffer))
    }

    /// Lets a user serve it: the character device becomes theirs. The block device stays root's.
    pub fn give(&mut self, number: u32, user: u32, group: u32) -> Result<(), ControlError> {
        let path = character_path(number);
        let given = chown(&path, Some(Uid::from_raw(user)), Some(Gid::from_raw(group)));
        given.map_err(|errno| ControlError::File {
            path,
            source: errno.into(),
        })
    }

    /// Makes the block device appear. `server` is the process that fetches for all queues, or will within that time; it has to
    /// answer meanwhile: the kernel reads from a device that appears.
    pub fn start(
        &mut self,
        number: u32,
        server: u32,
        within: Duration,
    ) -> Result<(), ControlError> {
        self.timed(ControlNumber::Start, number, server, within)
    }

    pub fn info(&mut self, number: u32) -> Result<DeviceInfo, ControlError> {
        let mut buffer = [0; DEVICE_INFO_BYTES];
        self.with_path(ControlNumber::Info, number, 0, &mut buffer, AT_ONCE)?;
        Ok(DeviceInfo::from_bytes(buffer))
    }

    /// Takes the block device away. What it had in flight is waited for if its server lives; what waited for a server fails.
    /// A server that lives and does not answer has this wait for its end, and so do files that one which has died still reads or writes
    /// in the memory of requests: the kernel lets nobody interrupt it.
    pub fn stop(&mut self, number: u32) -> Result<(), ControlError> {
        self.of_device(ControlNumber::Stop, number, 0, &mut [])
    }

    /// Stops the device if it is started, and removes it. Its number is free when its server has closed it.
    pub fn delete(&mut self, number: u32) -> Result<(), ControlError> {
        match self.of_device(ControlNumber::DeleteLater, number, 0, &mut []) {
            // A driver of before, or one that forgot to allow it to ordinary users.
            Err(ControlError::Refused {
                source: Errno::OPNOTSUPP | Errno::INVAL,
                ..
            }) => self.of_device(ControlNumber::Delete, number, 0, &mut []),
            done => done,
        }
    }

    /// For a device whose server has died: makes it ready for another one. Waits until the kernel has seen the death. Of a device
    /// that is ready already, nothing.
    pub fn begin_recovery(
        &mut self,
        number: u32,
        within: Duration,
    ) -> Result<DeviceShape, ControlError> {
        let deadline = Instant::now() + within;
        loop {
            let begun = self.of_device(ControlNumber::StartRecovery, number, 0, &mut []);
            let Err(error) = begun else {
                break;
            };
            let ControlError::Refused { source, .. } = error else {
                return Err(error);
            };
            let info = self.info(number)?;
            let state = info.state;
            match source {
                // Begun already, by somebody who did not come to the end of it.
                Errno::INVAL if is_waiting(&info) => break,
                Errno::BUSY if Instant::now() < deadline => thread::sleep(POLL_INTERVAL),
                Errno::BUSY | Errno::INVAL => {
                    return Err(ControlError::NotQuiesced { number, state });
                }
                _ => return Err(error),
            }
        }
        let shape = DeviceShape::of(&self.info(number)?);
        shape.ok_or(ControlError::NoDevice { number })
    }

    /// Lets the requests go on, those first that the dead server had in hand. As [`Controller::start`]: the new server fetches, or
    /// will.
    pub fn end_recovery(
        &mut self,
        number: u32,
        server: u32,
        within: Duration,
    ) -> Result<(), ControlError> {
        self.timed(ControlNumber::EndRecovery, number, server, within)
    }

    /// Tells the kernel of another size while the device is used.
    pub fn resize(&mut self, number: u32, size_bytes: u64) -> Result<(), ControlError> {
        let sectors = sectors(size_bytes)?;
        if !self.features.has(DriverFeatures::RESIZE) {
            return Err(ControlError::NoResize);
        }
        self.of_device(ControlNumber::Resize, number, sectors, &mut [])
    }

    fn timed(
        &mut self,
        asked: ControlNumber,
        number: u32,
        server: u32,
        within: Duration,
    ) -> Result<(), ControlError> {
        self.device_command(asked, number, server.into(), &mut [], within)
    }

    fn of_device(
        &mut self,
        asked: ControlNumber,
        number: u32,
        data: u64,
        buffer: &mut [u8],
    ) -> Result<(), ControlError> {
        self.device_command(asked, number, data, buffer, AT_ONCE)
    }

    fn device_command(
        &mut self,
        asked: ControlNumber,
        number: u32,
        data: u64,
        buffer: &mut [u8],
        within: Duration,
    ) -> Result<(), ControlError> {
        let features = self.info(number)?.features;
        if features.has(DriverFeatures::UNPRIVILEGED) {
            return self.with_path(asked, number, data, buffer, within);
        }
        let command = ControlCommand {
            device: Some(number),
            data,
            path_bytes: 0,
        };
        let done = self.command(asked, command, buffer, within);
        done.map(drop).map_err(|error| no_device(error, number))
    }

    /// The same with the path before the buffer: what devices of ordinary users want of everybody.
    fn with_path(
        &mut self,
        asked: ControlNumber,
        number: u32,
        data: u64,
        buffer: &mut [u8],
        within: Duration,
    ) -> Result<(), ControlError> {
        let mut framed = character_path(number).into_os_string().into_vec();
        framed.push(0);
        let path_bytes = framed.len();
        framed.extend_from_slice(buffer);
        let command = ControlCommand {
            device: Some(number),
            data,
            path_bytes: path_bytes as u16,
        };
        let done = self.command(asked, command, &mut framed, within);
        buffer.copy_from_slice(&framed[path_bytes..]);
        done.map(drop).map_err(|error| no_device(error, number))
    }

    fn command(
        &mut self,
        asked: ControlNumber,
        command: ControlCommand,
        buffer: &mut [u8],
        within: Duration,
    ) -> Result<u32, ControlError> {
        let doing = asked.name();
        let done = self.ring.perform(asked, command, buffer, within);
        done.map_err(|refusal| match refusal {
            Refusal::Errno(source) => ControlError::Refused { doing, source },
            Refusal::Deadline => ControlError::Deadline { doing, within },
        })
    }
}

fn no_device(error: ControlError, number: u32) -> ControlError {
    match error {
        ControlError::Refused {
            source: Errno::NODEV,
            ..
        } => ControlError::NoDevice { number },
        other => other,
    }
}

/// It has no server, and can have another one.
fn is_waiting(info: &DeviceInfo) -> bool {
    info.state == DeviceState::Quiesced && info.features.has(DriverFeatures::RECOVERY)
}

fn sectors(size_bytes: u64) -> Result<u64, ControlError> {
    if !size_bytes.is_multiple_of(SECTOR_BYTES) {
        return Err(ControlError::NotSectors { size_bytes });
    }
    Ok(size_bytes / SECTOR_BYTES)
}

/// The kernel's version, as far as it counts.
fn linux() -> (u32, u32) {
    version(&rustix::system::uname().release().to_string_lossy())
}

/// What makes no sense is a kernel of long ago.
fn version(release: &str) -> (u32, u32) {
    let mut numbers = release
        .split(|letter: char| !letter.is_ascii_digit())
        .map_while(|number| number.parse().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_is_as_old_as_it_says() {
        assert_eq!(version("7.3.4+deb13-cloud-amd64"), (7, 3));
        assert_eq!(version("6.12.90"), (6, 12));
        assert_eq!(version("6.19-rc1"), (6, 19));
        assert_eq!(version("next"), (0, 0));
    }

    #[test]
    fn a_size_that_no_kernel_can_show_is_refused() {
        assert_eq!(sectors(1 << 20).unwrap(), 2048);
        let error = sectors((1 << 20) + 1).unwrap_err().to_string();
        assert!(error.contains("1048577 bytes"), "{error}");
    }
}
