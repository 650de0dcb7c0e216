use thiserror::Error;

/// An address that is not of the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{len_bytes} bytes at {at:#x} are not in the guest's memory")]
pub struct Outside {
    pub at: u64,
    pub len_bytes: u64,
}

/// Memory by the guest's addresses. It may change at any time.
pub trait GuestMemory {
    /// Is all of this inside?
    fn check(&self, at: u64, len_bytes: u64) -> Result<(), Outside>;

    fn read(&self, at: u64, bytes: &mut [u8]) -> Result<(), Outside>;

    fn write(&self, at: u64, bytes: &[u8]) -> Result<(), Outside>;

    /// An index that the other side publishes things with (acquire). `at` must be even.
    fn load_u16(&self, at: u64) -> Result<u16, Outside>;

    /// An index that publishes what was written before (release). `at` must be even.
    fn store_u16(&self, at: u64, value: u16) -> Result<(), Outside>;
}
