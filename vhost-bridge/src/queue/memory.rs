use thiserror::Error;

/// Why bytes of a guest are not reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum MemoryFault {
    /// An address that is not of the guest.
    #[error("{len_bytes} bytes at {at:#x} are not in the guest's memory")]
    Outside { at: u64, len_bytes: u64 },
    /// The front end took away what it had shared.
    #[error(
        "the guest's memory at {at:#x} is gone: its file was shortened, or its pages are broken"
    )]
    Lost { at: u64 },
}

/// Memory by the guest's addresses. It may change at any time.
pub trait GuestMemory {
    /// Is all of this inside?
    fn check(&self, at: u64, len_bytes: u64) -> Result<(), MemoryFault>;

    fn read(&self, at: u64, bytes: &mut [u8]) -> Result<(), MemoryFault>;

    fn write(&self, at: u64, bytes: &[u8]) -> Result<(), MemoryFault>;

    /// An index that the other side publishes things with (acquire). `at` must be even.
    fn load_u16(&self, at: u64) -> Result<u16, MemoryFault>;

    /// An index that publishes what was written before (release). `at` must be even.
    fn store_u16(&self, at: u64, value: u16) -> Result<(), MemoryFault>;
}
