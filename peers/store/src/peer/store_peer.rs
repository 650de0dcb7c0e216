//! Any store, behind a port.

use std::rc::Rc;

use archipelago_runtime::{Handle, Peer};
use xseg::{Incoming, OpCode};

use super::answer::{
    answer_done, answer_error, answer_hash, answer_holder, answer_lock, answer_names, answer_stat,
    owner_of, refuse_lock,
};
use super::waiting::WaitingRoom;
use crate::contract::{LockOwner, LockRecord, Scope, Store};
use crate::error::StoreError;
use crate::name::ObjectName;
use crate::wire::{Call, Head, life_number};

/// A blocker that keeps its objects in `S`: in memory, say. Payloads are copied.
#[derive(Debug)]
pub struct StorePeer<S> {
    store: Rc<S>,
    waiting: WaitingRoom,
}

impl<S: Store + 'static> StorePeer<S> {
    pub fn new(handle: &Handle, store: S) -> Self {
        Self {
            store: Rc::new(store),
            waiting: WaitingRoom::new(handle),
        }
    }

    /// Sends all waiting lock requests away, so that the service can be drained (P2).
    pub fn close(&self) {
        self.waiting.close();
    }

    async fn read(&self, request: Incoming, name: &ObjectName, offset: u64, len: u64) {
        let mut bytes = vec![0; len as usize];
        let read = self.store.read(name, offset, &mut bytes).await;
        let done = read.and_then(|count| {
            if let Some(data) = request.data() {
                let written = data.write(0, &bytes[..count]);
                written.map_err(|error| StoreError::from(error.errno()))?;
            }
            Ok(count as u64)
        });
        answer_done(request, done);
    }

    async fn write(&self, request: Incoming, call: Call) {
        let bytes = payload(&request);
        let len = bytes.len() as u64;
        let written = match call {
            Call::Write {
                scope,
                name,
                offset,
                durable,
                ..
            } => {
                let written = self.store.write(scope, &name, offset, &bytes).await;
                match written {
                    Ok(()) if durable => self.store.sync(scope).await,
                    other => other,
                }
            }
            Call::WriteFull { name, .. } => self.store.write_full(&name, &bytes).await,
            Call::CreateExclusive { name, .. } => self.store.create_exclusive(&name, &bytes).await,
            Call::Zero {
                scope,
                name,
                offset,
                len,
            } => self.zero(scope, &name, offset, len).await,
            _ => Err(StoreError::Invalid),
        };
        answer_done(request, written.map(|()| len));
    }

    /// As a write of zeros.
    async fn zero(
        &self,
        scope: Scope,
        name: &ObjectName,
        offset: u64,
        len: u64,
    ) -> Result<(), StoreError> {
        let extended = if len == 0 { 0 } else { offset + len }; // checked by the decoder
        self.store.extend(scope, name, extended, false).await?;
        self.store.punch(scope, name, offset, len).await
    }

    async fn change(&self, request: Incoming, call: Call) {
        let store = &self.store;
        let done = match call {
            Call::Extend {
                scope,
                name,
                size,
                reserve,
            } => store.extend(scope, &name, size, reserve).await.map(|()| 0),
            Call::Copy {
                scope,
                from,
                to,
                len,
            } => store.copy(scope, &from, &to, len).await,
            Call::Delete { name } => match store.delete(&name).await {
                // Our predecessor did it (S6).
                Err(StoreError::NotFound) if request.request().redelivered => Ok(0),
                deleted => deleted.map(|()| 0),
            },
            Call::Punch {
                scope,
                name,
                offset,
                len,
            } => store.punch(scope, &name, offset, len).await.map(|()| 0),
            Call::Sync { scope } => store.sync(scope).await.map(|()| 0),
            Call::Heal { scope } => store.heal(scope).await.map(|()| 0),
            _ => Err(StoreError::Invalid),
        };
        answer_done(request, done);
    }

    async fn list(&self, request: Incoming, call: Call) {
        match call {
            Call::List { group, after, max } => {
                let max = usize::try_from(max).unwrap_or(usize::MAX);
                match self.store.list(&group, after.as_ref(), max).await {
                    Ok(listing) => {
                        let names = listing.names.iter().map(ObjectName::as_bytes);
                        answer_names(request, names, listing.more);
                    }
                    Err(error) => answer_error(request, &error),
                }
            }
            Call::Groups { after } => match self.store.groups().await {
                Ok(mut groups) => {
                    groups.retain(|group| after.as_ref().is_none_or(|after| group > after));
                    answer_names(request, groups.iter().map(Vec::as_slice), false);
                }
                Err(error) => answer_error(request, &error),
            },
            _ => request.unsupported(),
        }
    }

    async fn lock(&self, request: Incoming, call: Call) {
        if let Call::LockOwner { name } = &call {
            match self.store.lock_owner(name).await {
                Ok(holder) => answer_holder(request, holder.as_ref()),
                Err(error) => answer_error(request, &error),
            }
            return;
        }
        let owner = match owner_of(&request) {
            Ok(owner) => owner,
            Err(error) => return request.fail(error.errno()),
        };
        match call {
            Call::Lock { name, wait, .. } => self.take(request, name, owner, wait).await,
            Call::Unlock { name, force } => {
                let given = self.store.unlock(&name, &owner, force).await;
                let given = match given {
                    Err(StoreError::NotLocked) if request.request().redelivered => Ok(()),
                    other => other,
                };
                self.answer_given(request, &name, given).await;
            }
            Call::BreakLock { name } => {
                let broken = self.store.break_lock(&name, &owner).await;
                self.answer_given(request, &name, broken).await;
            }
            Call::FenceLock { name } => {
                let broken = self.store.fence_lock(&name, &owner).await;
                self.answer_given(request, &name, broken).await;
            }
            Call::ForgetLock { name } => {
                let given = self.store.forget_lock(&name, &owner).await;
                self.answer_given(request, &name, given).await;
            }
            _ => request.unsupported(),
        }
    }

    async fn answer_given(
        &self,
        request: Incoming,
        name: &ObjectName,
        given: Result<(), StoreError>,
    ) {
        match given {
            Ok(()) => request.answer(0),
            Err(error) => {
                let holder = self.store.lock_owner(name).await.unwrap_or(None);
                refuse_lock(request, &error, holder.as_ref());
            }
        }
    }

    async fn take(&self, request: Incoming, name: ObjectName, owner: LockOwner, wait: bool) {
        let taken = self.store.lock(&name, &owner, false).await;
        if wait && matches!(taken, Err(StoreError::Locked { .. })) {
            let store = self.store.clone();
            let work = async move { store.lock(&name, &owner, true).await };
            self.waiting.admit(request, work, |request, taken| {
                answer_taken(request, taken, None);
            });
            return;
        }
        let holder = match &taken {
            Err(_) => self.store.lock_owner(&name).await.unwrap_or(None),
            Ok(_) => None,
        };
        answer_taken(request, taken, holder.as_ref());
    }
}

fn answer_taken(
    request: Incoming,
    taken: Result<LockRecord, StoreError>,
    holder: Option<&LockRecord>,
) {
    match taken {
        Ok(record) => answer_lock(request, &record),
        Err(error) => refuse_lock(request, &error, holder),
    }
}

/// The bytes that a request brings.
fn payload(request: &Incoming) -> Vec<u8> {
    let Some(data) = request.data() else {
        return Vec::new();
    };
    let len = data.len().min(request.request().length);
    let mut bytes = vec![0; len as usize];
    data.read(0, &mut bytes)
        .expect("a part of the data as long as they are");
    bytes
}

impl<S: Store + 'static> Peer for StorePeer<S> {
    async fn handle(&self, request: Incoming) {
        let call = match Head::of(&request).decode() {
            Ok(call) => call,
            Err(error) => return request.fail(error.errno()),
        };
        match call {
            Call::Read { name, offset, len } => self.read(request, &name, offset, len).await,
            Call::Stat { name } => answer_stat(request, self.store.stat(&name).await),
            Call::DataIn { name, offset, len } => {
                let part = offset..offset.saturating_add(len);
                answer_done(request, self.store.data_in(&name, part).await);
            }
            Call::Hash { name } => answer_hash(request, self.store.hash(&name).await),
            Call::OwnerLife { name } => {
                let life = self.store.owner_life(&name).await;
                answer_done(request, life.map(life_number));
            }
            Call::Write { .. }
            | Call::WriteFull { .. }
            | Call::CreateExclusive { .. }
            | Call::Zero { .. } => self.write(request, call).await,
            Call::List { .. } | Call::Groups { .. } => self.list(request, call).await,
            Call::Lock { .. }
            | Call::Unlock { .. }
            | Call::ForgetLock { .. }
            | Call::BreakLock { .. }
            | Call::FenceLock { .. }
            | Call::LockOwner { .. } => {
                self.lock(request, call).await;
            }
            other => self.change(request, other).await,
        }
    }

    fn notice(&self, notice: Incoming) {
        match notice.request().op {
            OpCode::CANCEL => {
                let found = self.waiting.call_off(&notice);
                notice.answer(u64::from(found));
            }
            _ => notice.unsupported(),
        }
    }
}
