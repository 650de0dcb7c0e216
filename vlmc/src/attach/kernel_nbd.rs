//! Block devices of the kernel's own NBD client: `/dev/nbdN`, connected to this node's export.
//!
//! # Invariants
//! * **KERNELNBD-1** A device that lost its connection gets another one, and asks again for what was not answered (S8).
//! * **KERNELNBD-2** Nothing is asked again while the connection lives on which it was asked: there is one connection, and no time-out of
//!   requests. Else what takes long could be done a second time, over a later write.
//! * **KERNELNBD-3** A device that could not be known again as ours is not left behind: a kernel that does not tell is refused.

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use archipelago_nbd::kernel::{AttachOptions, Dialed, KernelError, KernelNbd, dial};
use archipelago_nbd::{Place, Uri};
use archipelago_protocol::ErrorCode;

use super::bridge::Bridge;
use super::device::{Devices, Ensured};
use super::record::Record;
use crate::cli::ErrorReport;
use crate::config::Config;

/// KERNELNBD-2
const CONNECTIONS: u16 = 1;
/// How often the kernel looks whether a request was asked on a connection that is gone, in milliseconds.
const BEAT_MS: &str = "5000";

/// See the module.
#[derive(Debug)]
pub(super) struct NbdDevices {
    socket: PathBuf,
    /// Who we are: no two nodes of a machine have segments of the same name.
    node: String,
    within: Duration,
}

impl NbdDevices {
    pub fn of(config: &Config) -> Self {
        Self {
            socket: config.nbd.socket.clone(),
            node: config.segment.name.clone(),
            within: config.timeout,
        }
    }

    /// By which a device is known to be ours, and this volume's.
    fn backend(&self, record: &Record) -> String {
        format!("archipelago:{}:{}", self.node, record.id)
    }

    fn dial(&self, record: &Record) -> Result<Dialed, ErrorReport> {
        let export = record.volume().parse().map_err(failed(record))?;
        let socket = self.socket.clone();
        let uri = Uri {
            place: Place::Unix { socket },
            export,
        };
        dial(&uri, CONNECTIONS, self.within).map_err(failed(record))
    }

    fn options(&self, record: &Record) -> AttachOptions {
        AttachOptions {
            index: record.number,
            backend: Some(self.backend(record)),
            request_timeout: None, // KERNELNBD-2
            ..AttachOptions::default()
        }
    }

    fn is_ours(&self, record: &Record, number: u32) -> bool {
        let told = Path::new("/sys/block").join(format!("nbd{number}/backend"));
        is_told(&told, &self.backend(record))
    }
}

fn failed<E: Display>(record: &Record) -> impl FnOnce(E) -> ErrorReport {
    let volume = record.volume().to_owned();
    move |error| {
        ErrorReport::new(
            ErrorCode::Failed,
            format!("the NBD device of {volume}: {error}"),
            "`vlmc showmapped` shows what is attached, `dmesg` what the kernel says of it",
        )
    }
}

/// What the kernel does not tell is not ours.
fn is_told(told: &Path, backend: &str) -> bool {
    fs::read_to_string(told).is_ok_and(|told| told.trim() == backend)
}

fn too_old(record: &Record) -> ErrorReport {
    ErrorReport::new(
        ErrorCode::Unsupported,
        format!(
            "the NBD device of {}: this kernel does not tell to whom it belongs",
            record.volume()
        ),
        "Linux 5.14 or newer does; use --type nbd-socket",
    )
}

/// A kernel that does not let us takes half a minute.
fn quicken(number: u32) {
    let path = format!("/sys/block/nbd{number}/queue/io_timeout");
    let written = fs::write(&path, BEAT_MS);
    tracing::debug!(path, ?written, "asks again sooner what was lost");
}

fn is_connected(kernel: &mut KernelNbd, number: u32) -> Result<bool, KernelError> {
    let all = kernel.status(None)?;
    let device = all.iter().find(|device| device.index == number);
    Ok(device.is_some_and(|device| device.is_connected))
}

impl Devices for NbdDevices {
    fn free_number(&self, least: u32) -> Result<u32, ErrorReport> {
        let list = || KernelNbd::open()?.status(None);
        let all = list().map_err(|error| {
            let message = format!("the NBD devices of the kernel cannot be listed: {error}");
            ErrorReport::new(ErrorCode::Failed, message, "use --type nbd-socket")
        })?;
        let is_taken = |number: &u32| {
            let mut connected = all.iter().filter(|device| device.is_connected);
            connected.any(|device| device.index == *number)
        };
        let free = (least..u32::MAX).find(|number| !is_taken(number));
        Ok(free.unwrap_or(least))
    }

    fn ensure(&self, record: &Record, _bridge: &dyn Bridge) -> Result<(), Ensured> {
        let number = record.number.ok_or(Ensured::Taken)?;
        let mut kernel = KernelNbd::open().map_err(failed(record))?;
        if !is_connected(&mut kernel, number).map_err(failed(record))? {
            let dialed = self.dial(record)?;
            return match kernel.connect(&dialed, &self.options(record)) {
                Ok(number) if !self.is_ours(record, number) => {
                    let gone = kernel.disconnect(number); // KERNELNBD-3
                    tracing::debug!(number, ?gone, "the kernel does not tell whose it is");
                    Err(too_old(record).into())
                }
                Ok(number) => {
                    quicken(number);
                    Ok(())
                }
                Err(KernelError::Busy { .. }) => Err(Ensured::Taken),
                Err(error) => Err(failed(record)(error).into()),
            };
        }
        if !self.is_ours(record, number) {
            return Err(Ensured::Taken);
        }
        let dialed = self.dial(record)?;
        let reconnected = kernel.reconnect(number, &dialed, &self.options(record));
        Ok(reconnected.map_err(failed(record))?) // KERNELNBD-1
    }

    fn resize(&self, record: &Record, size_bytes: u64) -> Result<(), ErrorReport> {
        let Some(number) = record.number else {
            return Ok(());
        };
        // What the server allows, a connection learns when it is made.
        let mut kernel = KernelNbd::open().map_err(failed(record))?;
        let backend = self.backend(record);
        let resized = kernel.resize(number, size_bytes, Some(&backend));
        resized.map_err(failed(record))
    }

    fn remove(&self, record: &Record) -> Result<(), ErrorReport> {
        let Some(number) = record.number else {
            return Ok(());
        };
        let mut kernel = KernelNbd::open().map_err(failed(record))?;
        let is_connected = is_connected(&mut kernel, number).map_err(failed(record))?;
        if !is_connected || !self.is_ours(record, number) {
            return Ok(());
        }
        match kernel.disconnect(number) {
            Ok(()) | Err(KernelError::NotConnected { .. }) => Ok(()),
            Err(error) => Err(failed(record)(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// KERNELNBD-3
    #[test]
    fn a_device_of_which_the_kernel_tells_nothing_is_not_ours() {
        let directory = tempfile::tempdir().expect("a directory");
        let told = directory.path().join("backend");
        assert!(!is_told(&told, "archipelago:a:b"), "Linux before 5.14");
        for (text, is_ours) in [("archipelago:a:b\n", true), ("archipelago:a:c\n", false)] {
            fs::write(&told, text).expect("written");
            assert_eq!(is_told(&told, "archipelago:a:b"), is_ours);
        }
    }
}
