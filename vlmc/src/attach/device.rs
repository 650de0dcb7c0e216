//! What a kind of block device of the kernel has to be able to do.

use super::bridge::Bridge;
use super::record::Record;
use crate::cli::ErrorReport;

/// All of this takes a privileged process, which the bridge is not.
pub(super) trait Devices: std::fmt::Debug {
    /// A number that no device has, from `least` on.
    fn free_number(&self, least: u32) -> Result<u32, ErrorReport>;

    /// Makes what the record says true: the device is there, is ours, and the bridge serves it. What is true already is left
    /// alone; a device that lost its server gets it back with all requests that wait (S8).
    fn ensure(&self, record: &Record, bridge: &dyn Bridge) -> Result<(), Ensured>;

    /// The kernel and its users see another size.
    fn resize(&self, record: &Record, size_bytes: u64) -> Result<(), ErrorReport>;

    /// Takes it away, if it is ours. What is gone is no error.
    fn remove(&self, record: &Record) -> Result<(), ErrorReport>;
}

/// Why a device is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ensured {
    /// Somebody else has a device of this number: another one will do.
    Taken,
    Failed(ErrorReport),
}

impl From<ErrorReport> for Ensured {
    fn from(report: ErrorReport) -> Self {
        Self::Failed(report)
    }
}
