//! What is asked of the blocker.

use std::ops::Range;

use archipelago_runtime::local::Permit;
use xseg::{Buffer, Draft, Errno, Incoming, OpCode, Reply, flags};

use super::core::Composer;
use super::lent::is_lent;
use super::volume::Volume;
use crate::error::ComposeError;
use crate::pure::Source;

/// Make an object longer: a blocker's own operation.
const EXTEND: OpCode = OpCode(200);

/// A range of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectRange {
    pub source: Source,
    pub block: u64,
    pub bytes: Range<u64>,
}

impl ObjectRange {
    pub fn len(&self) -> u64 {
        self.bytes.end - self.bytes.start
    }

    pub fn name(&self) -> String {
        self.source.object_name(self.block)
    }

    /// Puts it into a request.
    pub fn put(&self, volume: &Volume, draft: &mut Draft) -> Result<(), ComposeError> {
        draft.set_target(self.name().as_bytes())?;
        draft.set_extent(self.bytes.start, self.len());
        let mut scope = [0; 8];
        scope.copy_from_slice(&volume.id[..8]);
        draft.set_handle(u64::from_le_bytes(scope)); // for whom it is made durable (D2)
        Ok(())
    }

    /// What a blocker's refusal is; of what the map names, "there is no such object" is damage (F37).
    pub fn refused(&self, action: &'static str, errno: Errno) -> ComposeError {
        let object = self.name();
        match errno {
            Errno::NOENT => ComposeError::Damaged {
                object,
                why: "it is missing",
            },
            errno => ComposeError::Blocker {
                action,
                object,
                errno,
            },
        }
    }

    /// A read that ends early is damage, and never taken for zeros (F28).
    pub fn whole(&self, reply: &Reply, action: &'static str) -> Result<(), ComposeError> {
        match reply.result() {
            Err(errno) => Err(self.refused(action, errno)),
            Ok(done) if done == self.len() => Ok(()),
            Ok(_) => Err(ComposeError::Damaged {
                object: self.name(),
                why: "it ends too early",
            }),
        }
    }
}

impl Composer {
    async fn object_draft(
        &self,
        op: OpCode,
        volume: &Volume,
        range: &ObjectRange,
    ) -> Result<(Permit<'_>, Draft), ComposeError> {
        let permit = self.blocker_permits.acquire(1).await;
        let mut draft = self.station.draft(op).await?;
        range.put(volume, &mut draft)?;
        Ok((permit, draft))
    }

    async fn send(&self, draft: Draft) -> Result<Reply, ComposeError> {
        Ok(self.station.call(draft, self.options.blocker).await?)
    }

    /// Writes bytes of the request, from `from` on (W1).
    pub async fn write_view(
        &self,
        volume: &Volume,
        range: &ObjectRange,
        request: &Incoming,
        from: u64,
    ) -> Result<(), ComposeError> {
        let (_permit, mut draft) = self.object_draft(OpCode::WRITE, volume, range).await?;
        if is_lent(request) {
            draft.set_flags(flags::LENT);
        }
        draft.view(request, from, range.len())?;
        range.whole(&self.send(draft).await?, "write")
    }

    /// Writes the first bytes of a buffer of ours, which comes back.
    pub async fn write_buffer(
        &self,
        volume: &Volume,
        range: &ObjectRange,
        buffer: Buffer,
    ) -> Result<Buffer, ComposeError> {
        let (_permit, mut draft) = self.object_draft(OpCode::WRITE, volume, range).await?;
        draft.attach(buffer, range.len())?;
        let mut reply = self.send(draft).await?;
        range.whole(&reply, "write")?;
        reply.take_buffer().ok_or(ComposeError::Moved)
    }

    /// Reads into the first bytes of a buffer of ours.
    pub async fn read_buffer(
        &self,
        volume: &Volume,
        range: &ObjectRange,
        buffer: Buffer,
    ) -> Result<Buffer, ComposeError> {
        let (_permit, mut draft) = self.object_draft(OpCode::READ, volume, range).await?;
        draft.attach(buffer, range.len())?;
        let mut reply = self.send(draft).await?;
        range.whole(&reply, "read")?;
        reply.take_buffer().ok_or(ComposeError::Moved)
    }

    pub async fn write_zeros(
        &self,
        volume: &Volume,
        range: &ObjectRange,
    ) -> Result<(), ComposeError> {
        let (_permit, draft) = self
            .object_draft(OpCode::WRITE_ZEROES, volume, range)
            .await?;
        let done = self.send(draft).await?.result();
        done.map(drop)
            .map_err(|errno| range.refused("write zeros to", errno))
    }

    /// Makes the new object of a block as long as a block.
    pub async fn make_object(
        &self,
        volume: &Volume,
        source: Source,
        block: u64,
    ) -> Result<(), ComposeError> {
        let range = ObjectRange {
            source,
            block,
            bytes: 0..volume.shape.object_bytes(),
        };
        let (_permit, draft) = self.object_draft(EXTEND, volume, &range).await?;
        let done = self.send(draft).await?.result();
        done.map(drop).map_err(|errno| range.refused("make", errno))
    }
}
