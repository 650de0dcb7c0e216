//! Reading and writing: straight between the segment's buffers and librados (W1).
//!
//! # Invariants
//! * **DATA-1** An object that is written comes into being with its name in the index: a write in place asserts that the object is there.

use archipelago_runtime::Memory;
use archipelago_store::{ObjectName, Scope, StoreError, range_end};
use rustix::io::Errno;
use xseg::{Incoming, Request, flags};

use super::core::{Engine, store_error};
use super::names;
use crate::librados::WriteOperation;

/// Of a write as long as this it is asked first whether its object is there, before the bytes travel in vain.
const LONG_WRITE_BYTES: usize = 64 << 10;

/// Where in the object. No object is longer than a file can be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    pub offset: u64,
    pub len: u64,
}

impl Range {
    /// Where a request says, if its payload is as long.
    pub fn of(request: &Incoming) -> Result<Self, StoreError> {
        let said = request.request();
        let Request { offset, length, .. } = said;
        range_end(offset, length)?;
        if said.flags & flags::LENT != 0 {
            return Err(StoreError::Invalid); // librados takes one piece of memory (LOAN-2)
        }
        if length > request.data().map_or(0, |data| data.len()) {
            return Err(StoreError::Invalid);
        }
        Ok(Self {
            offset,
            len: length,
        })
    }
}

/// How a whole object is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Making {
    Replacing,
    Exclusive,
}

fn valid(name: &[u8]) -> Result<ObjectName, StoreError> {
    ObjectName::new(name).map_err(|_| StoreError::Invalid)
}

impl Engine {
    /// The first `len` bytes of the request's payload; `None` if that is none.
    fn payload(&self, request: &Incoming, len: u64) -> Result<Option<Memory>, StoreError> {
        if len == 0 {
            return Ok(None);
        }
        let data = request.data().ok_or(StoreError::Invalid)?;
        let part = data.part(0, len).map_err(|_| StoreError::Invalid)?;
        Ok(Some(self.station.memory(part)))
    }

    /// Reads into the request's payload. The number of bytes is less than asked for only at the object's end.
    pub async fn read(
        &self,
        request: &Incoming,
        name: &[u8],
        range: Range,
    ) -> Result<u64, StoreError> {
        let object = names::object(name)?;
        let Some(memory) = self.payload(request, range.len)? else {
            let looked = self.pool.look(&object, self.pool.asking().stat()).await;
            return looked.result.map(|_| 0).map_err(store_error);
        };
        let read = self.pool.read(&object, range.offset, memory).await;
        let count = read.result.map_err(store_error)?;
        Ok(count as u64)
    }

    /// Writes the request's payload in place.
    pub async fn write(
        &self,
        request: &Incoming,
        scope: Scope,
        name: &[u8],
        range: Range,
    ) -> Result<u64, StoreError> {
        let object = names::object(name)?;
        let mut memory = self.payload(request, range.len)?;
        let mut writing = |operation: WriteOperation| match &mut memory {
            Some(memory) => operation.write_memory(memory, range.offset),
            None => operation.create_if_missing(),
        };
        let is_short = (range.len as usize) < LONG_WRITE_BYTES;
        let written = if is_short || self.is_there(&object).await? {
            let operation = writing(self.pool.writing().assert_exists()); // DATA-1
            self.pool.change(&object, operation).await.result.map(drop)
        } else {
            Err(Errno::NOENT)
        };
        let written = match written {
            Err(Errno::NOENT) => {
                let making = writing(self.pool.writing());
                self.make_object(&valid(name)?, &object, making).await
            }
            other => other,
        };
        self.note(scope, written.map_err(store_error))?;
        Ok(range.len)
    }

    async fn is_there(&self, object: &std::ffi::CStr) -> Result<bool, StoreError> {
        let looked = self.pool.look(object, self.pool.asking().stat()).await;
        match looked.result {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(store_error(errno)),
        }
    }

    /// Makes a whole object of the request's payload (STORE-3).
    pub async fn make(
        &self,
        request: &Incoming,
        name: &ObjectName,
        len: u64,
        how: Making,
    ) -> Result<(), StoreError> {
        let object = names::object(name.as_bytes())?;
        let mut memory = self.payload(request, len)?;
        let mut filling = |operation: WriteOperation| match &mut memory {
            Some(memory) => operation.write_full_memory(memory),
            None => operation.write_full(&[]),
        };
        if how == Making::Exclusive {
            let making = filling(self.pool.writing().create_exclusive());
            return match self.make_object(name, &object, making).await {
                Err(Errno::EXIST) => Err(StoreError::Exists),
                made => made.map_err(store_error),
            };
        }
        let replacing = filling(self.pool.writing().assert_exists());
        let replacing = replacing.remove_attribute(names::RESERVED);
        match self.pool.change(&object, replacing).await.result {
            Err(Errno::NOENT) => {
                let making = filling(self.pool.writing());
                let made = self.make_object(name, &object, making).await;
                made.map_err(store_error)
            }
            replaced => replaced.map(drop).map_err(store_error),
        }
    }
}
