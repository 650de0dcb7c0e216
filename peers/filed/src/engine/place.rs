//! Where the bytes of a request are: in its buffer, or in memory that its asker lends beside it.

use archipelago_runtime::{Borrowed, Handle, Memory, Station};
use archipelago_store::StoreError;
use rustix::io::Errno;
use xseg::{Data, Incoming, flags};

/// What every device takes: offsets, lengths and addresses of I/O past the page cache are multiples of it.
pub(super) const DIRECT_ALIGNMENT: usize = 4096;

/// A payload.
#[derive(Clone, Debug)]
pub(super) struct Place<'a> {
    data: Data<'a>,
    lent: Option<Borrowed>,
}

impl<'a> Place<'a> {
    /// Where what is read goes. What is lent is used if whoever asked will look there (LOAN-1).
    pub fn to_read(handle: &Handle, data: Data<'a>) -> Self {
        let lent = handle.lent(data).filter(Borrowed::is_known);
        Self { data, lent }
    }

    /// Where what is written comes from (LOAN-2).
    pub fn to_write(
        handle: &Handle,
        request: &Incoming,
        data: Data<'a>,
    ) -> Result<Self, StoreError> {
        if request.request().flags & flags::LENT == 0 {
            return Ok(Self::of(data));
        }
        let lent = Some(handle.lent(data).ok_or(StoreError::Invalid)?);
        Ok(Self { data, lent })
    }

    pub fn is_lent(&self) -> bool {
        self.lent.is_some()
    }

    /// Bytes that are in the buffer, whatever is lent.
    pub fn of(data: Data<'a>) -> Self {
        Self { data, lent: None }
    }

    /// The request's own buffer.
    pub fn in_buffer(&self) -> Self {
        Self::of(self.data)
    }

    /// Does a device take it as it is cut? The buffer need not be asked: it is in one piece.
    pub fn is_cut_for_devices(&self) -> bool {
        let lent = self.lent.as_ref();
        lent.is_none_or(|lent| lent.is_aligned(DIRECT_ALIGNMENT))
    }

    /// Has what is lent in the buffer as well.
    pub fn bring_into_buffer(&self) -> Result<Self, Errno> {
        if let Some(lent) = &self.lent {
            lent.read_to(self.data)?;
        }
        Ok(self.in_buffer())
    }

    /// For an operation: so many bytes, from one on.
    pub fn memory(&self, station: &Station, from: u64, len: u64) -> Result<Memory, Errno> {
        match &self.lent {
            // It is over: nobody is there any more to be answered.
            Some(lent) => lent
                .part(from, len)
                .and_then(|part| part.memory())
                .ok_or(Errno::CANCELED),
            None => {
                let part = self.data.part(from, len).map_err(|error| error.errno())?;
                Ok(station.memory(part))
            }
        }
    }

    /// All of it was read.
    pub fn land(&self) {
        if let Some(lent) = &self.lent {
            lent.land();
        }
    }

    pub fn len(&self) -> u64 {
        self.data.len()
    }

    /// Where the buffer lies.
    pub fn address(&self) -> u64 {
        self.data.address().addr() as u64
    }
}
