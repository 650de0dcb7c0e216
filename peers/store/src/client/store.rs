//! The contract, by requests to a blocker.

use std::ops::Range;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::io::Errno;

use super::asking::{NONSENSE, lock_result, number, payload, record, refused};
use super::blocker::BlockerClient;
use crate::contract::{Listing, LockOwner, LockRecord, ObjectStat, OwnerLife, Scope, Store};
use crate::error::StoreError;
use crate::name::ObjectName;
use crate::range::range_end;
use crate::wire::{Call, OWNER_PART_BYTES_MAX, decode_strings, encode_owner, life_of};

/// Room for an owner in an answer.
const OWNER_BYTES_MAX: u64 = 2 * (1 + OWNER_PART_BYTES_MAX as u64);

fn owner_payload(owner: &LockOwner) -> Result<Vec<u8>, StoreError> {
    let mut encoded = encode_owner(owner).map_err(|_| StoreError::Invalid)?;
    encoded.resize(OWNER_BYTES_MAX as usize, 0);
    Ok(encoded)
}

fn now_s() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

impl BlockerClient {
    /// A page of names: the names, and whether there are more.
    async fn page(&self, call: &Call) -> Result<(Vec<Vec<u8>>, bool), StoreError> {
        let (room, len) = self.part_room(self.transfer_bytes).await?;
        let reply = self.ask(call, room, len).await?;
        let count = number(&reply)?;
        let [more, bytes, ..] = reply.args();
        let encoded = payload(&reply, bytes)?;
        let strings = decode_strings(&encoded).map_err(|_| NONSENSE)?;
        if strings.len() as u64 != count {
            return Err(NONSENSE);
        }
        Ok((strings.iter().map(|one| one.to_vec()).collect(), more != 0))
    }
}

impl Store for BlockerClient {
    async fn read(
        &self,
        name: &ObjectName,
        offset: u64,
        into: &mut [u8],
    ) -> Result<usize, StoreError> {
        range_end(offset, into.len() as u64)?;
        let mut done = 0;
        loop {
            let rest = into.len() - done;
            let (room, len) = self.part_room(rest as u64).await?;
            let call = Call::Read {
                name: name.clone(),
                offset: offset + done as u64,
                len,
            };
            let reply = self.ask(&call, room, len).await?;
            let count = number(&reply)?.min(len) as usize;
            if let Some(data) = reply.data() {
                let part = &mut into[done..done + count];
                data.read(0, part).map_err(|error| refused(&error))?;
            }
            done += count;
            if done == into.len() || count as u64 != len {
                return Ok(done);
            }
        }
    }

    async fn write(
        &self,
        scope: Scope,
        name: &ObjectName,
        offset: u64,
        data: &[u8],
    ) -> Result<(), StoreError> {
        range_end(offset, data.len() as u64)?;
        let mut done = 0;
        loop {
            let rest = &data[done..];
            let (room, len) = self.part_room(rest.len() as u64).await?;
            let part = &rest[..len as usize];
            if let Some(room) = &room {
                room.data()
                    .write(0, part)
                    .map_err(|error| refused(&error))?;
            }
            let call = Call::Write {
                scope,
                name: name.clone(),
                offset: offset + done as u64,
                len,
                durable: false,
            };
            number(&self.ask(&call, room, len).await?)?;
            done += part.len();
            if done == data.len() {
                return Ok(());
            }
        }
    }

    async fn write_full(&self, name: &ObjectName, data: &[u8]) -> Result<(), StoreError> {
        let call = Call::WriteFull {
            name: name.clone(),
            len: data.len() as u64,
        };
        let filled = self.filled(data).await?;
        let reply = self.ask(&call, filled, data.len() as u64).await?;
        number(&reply).map(drop)
    }

    async fn create_exclusive(&self, name: &ObjectName, data: &[u8]) -> Result<(), StoreError> {
        let call = Call::CreateExclusive {
            name: name.clone(),
            len: data.len() as u64,
        };
        let filled = self.filled(data).await?;
        let reply = self.ask(&call, filled, data.len() as u64).await?;
        number(&reply).map(drop)
    }

    async fn extend(
        &self,
        scope: Scope,
        name: &ObjectName,
        size: u64,
        reserve: bool,
    ) -> Result<(), StoreError> {
        let name = name.clone();
        let call = Call::Extend {
            scope,
            name,
            size,
            reserve,
        };
        self.ask_number(&call).await.map(drop)
    }

    async fn copy(
        &self,
        scope: Scope,
        from: &ObjectName,
        to: &ObjectName,
        len: u64,
    ) -> Result<u64, StoreError> {
        let call = Call::Copy {
            scope,
            from: from.clone(),
            to: to.clone(),
            len,
        };
        self.ask_number(&call).await
    }

    async fn delete(&self, name: &ObjectName) -> Result<(), StoreError> {
        let name = name.clone();
        self.ask_number(&Call::Delete { name }).await.map(drop)
    }

    async fn punch(
        &self,
        scope: Scope,
        name: &ObjectName,
        offset: u64,
        len: u64,
    ) -> Result<(), StoreError> {
        let name = name.clone();
        let call = Call::Punch {
            scope,
            name,
            offset,
            len,
        };
        self.ask_number(&call).await.map(drop)
    }

    async fn stat(&self, name: &ObjectName) -> Result<ObjectStat, StoreError> {
        let name = name.clone();
        let reply = self.ask(&Call::Stat { name }, None, 0).await?;
        number(&reply)?;
        let [size, allocated, ..] = reply.args();
        Ok(ObjectStat { size, allocated })
    }

    async fn data_in(&self, name: &ObjectName, part: Range<u64>) -> Result<u64, StoreError> {
        let call = Call::DataIn {
            name: name.clone(),
            offset: part.start,
            len: part.end.saturating_sub(part.start),
        };
        self.ask_number(&call).await
    }

    async fn list(
        &self,
        group: &[u8],
        after: Option<&ObjectName>,
        max: usize,
    ) -> Result<Listing, StoreError> {
        let call = Call::List {
            group: group.to_vec(),
            after: after.cloned(),
            max: max as u64,
        };
        let (names, more) = self.page(&call).await?;
        let names = names.iter().map(|name| ObjectName::new(name));
        let names: Result<Vec<ObjectName>, _> = names.collect();
        let names = names.map_err(|_| NONSENSE)?;
        Ok(Listing { names, more })
    }

    async fn groups(&self) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut all: Vec<Vec<u8>> = Vec::new();
        loop {
            let after = all.last().cloned();
            let (page, more) = self.page(&Call::Groups { after }).await?;
            let is_empty = page.is_empty();
            all.extend(page);
            if !more {
                return Ok(all);
            }
            if is_empty {
                return Err(NONSENSE); // or this would go on for ever
            }
        }
    }

    async fn hash(&self, name: &ObjectName) -> Result<[u8; 32], StoreError> {
        let name = name.clone();
        let reply = self.ask(&Call::Hash { name }, None, 0).await?;
        number(&reply)?;
        let mut hash = [0; 32];
        for (part, word) in hash.chunks_exact_mut(8).zip(reply.args()) {
            part.copy_from_slice(&word.to_le_bytes());
        }
        Ok(hash)
    }

    async fn sync(&self, scope: Scope) -> Result<(), StoreError> {
        self.ask_number(&Call::Sync { scope }).await.map(drop)
    }

    async fn heal(&self, scope: Scope) -> Result<(), StoreError> {
        self.ask_number(&Call::Heal { scope }).await.map(drop)
    }

    async fn lock(
        &self,
        name: &ObjectName,
        owner: &LockOwner,
        wait: bool,
    ) -> Result<LockRecord, StoreError> {
        let call = Call::Lock {
            name: name.clone(),
            since: now_s(),
            wait,
        };
        let owner = owner_payload(owner)?;
        loop {
            let filled = self.filled(&owner).await?;
            let reply = self.ask_patiently(&call, filled, OWNER_BYTES_MAX).await?;
            match lock_result(&reply) {
                Ok(()) => return record(&reply)?.ok_or(NONSENSE),
                // The blocker stops: its next incarnation is asked.
                Err(StoreError::Io(Errno::AGAIN)) if wait => {}
                Err(error) => return Err(error),
            }
        }
    }

    async fn unlock(
        &self,
        name: &ObjectName,
        owner: &LockOwner,
        force: bool,
    ) -> Result<(), StoreError> {
        let name = name.clone();
        let filled = self.filled(&owner_payload(owner)?).await?;
        let call = Call::Unlock { name, force };
        lock_result(&self.ask(&call, filled, OWNER_BYTES_MAX).await?)
    }

    async fn break_lock(&self, name: &ObjectName, owner: &LockOwner) -> Result<(), StoreError> {
        self.break_by(Call::BreakLock { name: name.clone() }, name, owner)
            .await
    }

    async fn fence_lock(&self, name: &ObjectName, owner: &LockOwner) -> Result<(), StoreError> {
        self.break_by(Call::FenceLock { name: name.clone() }, name, owner)
            .await
    }

    async fn owner_life(&self, name: &ObjectName) -> Result<OwnerLife, StoreError> {
        let call = Call::OwnerLife { name: name.clone() };
        match self.ask_number(&call).await {
            Ok(number) => Ok(life_of(number)),
            Err(StoreError::Io(Errno::OPNOTSUPP)) => Ok(OwnerLife::Unknown),
            Err(error) => Err(error),
        }
    }

    async fn forget_lock(&self, name: &ObjectName, owner: &LockOwner) -> Result<(), StoreError> {
        let name = name.clone();
        let filled = self.filled(&owner_payload(owner)?).await?;
        let call = Call::ForgetLock { name };
        lock_result(&self.ask(&call, filled, OWNER_BYTES_MAX).await?)
    }

    async fn lock_owner(&self, name: &ObjectName) -> Result<Option<LockRecord>, StoreError> {
        let name = name.clone();
        let room = self.room(OWNER_BYTES_MAX).await?;
        let call = Call::LockOwner { name };
        let reply = self.ask(&call, room, OWNER_BYTES_MAX).await?;
        number(&reply)?;
        record(&reply)
    }
}

impl BlockerClient {
    async fn break_by(
        &self,
        call: Call,
        name: &ObjectName,
        owner: &LockOwner,
    ) -> Result<(), StoreError> {
        let filled = self.filled(&owner_payload(owner)?).await?;
        match lock_result(&self.ask(&call, filled, OWNER_BYTES_MAX).await?) {
            // It can do no more than any other break does.
            Err(StoreError::Io(Errno::OPNOTSUPP)) => self.unlock(name, owner, true).await,
            broken => broken,
        }
    }
}
