//! What a composer answers, checked: it is another process, and may be wrong (S4).

use archipelago_protocol::{
    CHANGE_BYTES, Change as VolumeChange, EXTENT_BYTES, Extent as VolumeExtent,
};
use xseg::{Errno, Reply};

use crate::{Change, DiskFacts, Extent, Features};

const READ_ONLY: u64 = 1 << 0;

/// What INFO tells: size, flags, preferred block size.
pub(super) fn facts(reply: &Reply, description: String) -> Result<DiskFacts, Errno> {
    reply.result()?;
    let [size_bytes, flags, ..] = reply.args();
    Ok(DiskFacts {
        size_bytes,
        features: Features {
            read_only: flags & READ_ONLY != 0,
            ..Features::ALL
        },
        description,
    })
}

/// All bytes, or an error: a short answer is never taken for a whole one (F28).
pub(super) fn whole(reply: &Reply, len_bytes: u64) -> Result<(), Errno> {
    if reply.result()? == len_bytes {
        Ok(())
    } else {
        Err(Errno::IO)
    }
}

/// The bytes of `done` things in the data.
fn counted(reply: &Reply, each_bytes: usize) -> Result<Vec<u8>, Errno> {
    let count = reply.result()?;
    let data = reply.data().ok_or(Errno::IO)?;
    let len_bytes = count
        .checked_mul(each_bytes as u64)
        .filter(|len_bytes| *len_bytes <= data.len())
        .ok_or(Errno::IO)?;
    let mut bytes = vec![0; len_bytes as usize];
    data.read(0, &mut bytes).map_err(|error| error.errno())?;
    Ok(bytes)
}

/// The changes since a snapshot, `done` of them.
pub(super) fn changes(reply: &Reply) -> Result<Vec<Change>, Errno> {
    let bytes = counted(reply, CHANGE_BYTES)?;
    let told = VolumeChange::read_all(&bytes).map_err(|_| Errno::IO)?;
    let changes = told.into_iter().map(|change| Change {
        len_bytes: change.bytes,
        is_changed: change.is_changed,
    });
    Ok(changes.collect())
}

/// The extents of a block status, `done` of them.
pub(super) fn extents(reply: &Reply) -> Result<Vec<Extent>, Errno> {
    let bytes = counted(reply, EXTENT_BYTES)?;
    let told = VolumeExtent::read_all(&bytes).map_err(|_| Errno::IO)?;
    let extents = told.into_iter().map(|extent| {
        if extent.is_hole {
            Extent::hole(extent.bytes)
        } else {
            Extent::data(extent.bytes)
        }
    });
    Ok(extents.collect())
}
