//! The peer: requests in, answers out.

use std::rc::Rc;

use archipelago_runtime::{Handle, Peer, Service, Station, Taking};
use archipelago_store::peer::{
    WaitingRoom, answer_done, answer_error, answer_hash, answer_holder, answer_lock, answer_names,
    answer_stat, owner_of, refuse_lock,
};
use archipelago_store::wire::{Call, Head, life_number};
use archipelago_store::{LockOwner, ObjectName, Scope, StoreError};
use xseg::{Errno, Incoming, OpCode, flags};

use crate::engine::{Engine, Range, Wish};
use crate::error::FiledError;
use crate::locks::Force;
use crate::options::FiledOptions;
use crate::root::Publication;

/// A store in a directory, behind a port.
#[derive(Debug)]
pub struct Filed {
    pub(crate) engine: Rc<Engine>,
    waiting: WaitingRoom,
    _takes_loans: Taking,
}

impl Filed {
    /// Opens the store, which blocks, and serves it at `station`.
    pub fn serve(
        handle: &Handle,
        station: &Rc<Station>,
        options: &FiledOptions,
    ) -> Result<(Rc<Self>, Service), FiledError> {
        let filed = Rc::new(Self {
            engine: Rc::new(Engine::begin(handle, station, options)?),
            waiting: WaitingRoom::new(handle),
            _takes_loans: handle.take_loans(station.id(), None),
        });
        let service = handle.serve(station, options.nr_ops, filed.clone());
        Ok((filed, service))
    }

    /// The store's uuid.
    pub fn identity(&self) -> u128 {
        self.engine.root.identity.uuid
    }

    /// Sends those away who wait for locks: they ask the next incarnation. To be called before the service is drained.
    pub fn close(&self) {
        self.waiting.close();
    }

    /// Makes everything durable: for the end, after the service was drained (P2).
    pub async fn flush(&self) -> Result<(), StoreError> {
        self.engine.sync_everything().await
    }

    /// Reads and writes, which are most of all requests: nothing is allocated for them if their file is open.
    async fn transfer(&self, request: Incoming) {
        let done = match request.request().op {
            OpCode::READ => self.read(&request).await,
            _ => self.write(&request).await,
        };
        answer_done(request, done);
    }

    async fn read(&self, request: &Incoming) -> Result<u64, StoreError> {
        let range = Range::of(request)?;
        let name = request.target();
        self.engine.read(request, name.as_bytes(), range).await
    }

    async fn write(&self, request: &Incoming) -> Result<u64, StoreError> {
        let (range, scope) = (Range::of(request)?, Scope(request.request().handle));
        let name = request.target();
        let written = self.engine.write(request, scope, name.as_bytes(), range);
        let file = written.await?;
        if request.request().flags & flags::FUA != 0 {
            self.engine.settle_for(scope, &file).await?;
        }
        Ok(range.len)
    }

    async fn make(&self, request: Incoming, name: &ObjectName, len: u64, how: Publication) {
        let made = self.engine.make(&request, name, len, how).await;
        answer_done(request, made.map(|()| len));
    }

    async fn change(&self, request: Incoming, call: Call) {
        let engine = &self.engine;
        let done = match call {
            Call::Extend {
                scope,
                name,
                size,
                reserve,
            } => engine.extend(scope, &name, size, reserve).await.map(|()| 0),
            Call::Copy {
                scope,
                from,
                to,
                len,
            } => engine.copy(scope, &from, &to, len).await,
            Call::Delete { name } => match engine.delete(&name).await {
                // Our predecessor did it (S6).
                Err(StoreError::NotFound) if request.request().redelivered => Ok(0),
                deleted => deleted.map(|()| 0),
            },
            Call::Zero {
                scope,
                name,
                offset,
                len,
            } => {
                let range = Range { offset, len };
                engine.zero(scope, &name, range).await.map(|()| len)
            }
            Call::Punch {
                scope,
                name,
                offset,
                len,
            } => {
                let range = Range { offset, len };
                engine.punch(scope, &name, range).await.map(|()| 0)
            }
            Call::Sync { scope } => engine.sync(scope).await.map(|()| 0),
            Call::Heal { scope } => {
                engine.heal(scope);
                Ok(0)
            }
            _ => Err(StoreError::Invalid),
        };
        answer_done(request, done);
    }

    async fn ask(&self, request: Incoming, call: Call) {
        let engine = &self.engine;
        match call {
            Call::Stat { name } => answer_stat(request, engine.stat(&name).await),
            Call::DataIn { name, offset, len } => {
                let part = offset..offset.saturating_add(len);
                answer_done(request, engine.data_in(&name, part).await);
            }
            Call::Hash { name } => answer_hash(request, engine.hash(&name).await),
            Call::List { group, after, max } => match engine.list(group, after, max).await {
                Ok(listing) => {
                    let names = listing.names.iter().map(ObjectName::as_bytes);
                    answer_names(request, names, listing.more);
                }
                Err(error) => answer_error(request, &error),
            },
            Call::Groups { after } => match engine.groups(after).await {
                Ok(groups) => answer_names(request, groups.iter().map(Vec::as_slice), false),
                Err(error) => answer_error(request, &error),
            },
            Call::OwnerLife { name } => {
                let life = engine.owner_life(&name).await;
                answer_done(request, life.map(life_number));
            }
            Call::LockOwner { name } => match engine.lock_holder(&name).await {
                Ok(holder) => answer_holder(request, holder.as_ref()),
                Err(error) => answer_error(request, &error),
            },
            _ => request.unsupported(),
        }
    }

    async fn lock(&self, request: Incoming, name: ObjectName, since: u64, wait: bool) {
        let owner = match owner_of(&request) {
            Ok(owner) => owner,
            Err(error) => return request.fail(error.errno()),
        };
        let wish = Wish { name, owner, since };
        if wait {
            let engine = self.engine.clone();
            let work = |leave| async move { engine.wait_for_lock(&wish, &leave).await };
            self.waiting
                .admit_with(request, work, |request, taken| match taken {
                    Ok(record) => answer_lock(request, &record),
                    Err(error) => refuse_lock(request, &error, None),
                });
            return;
        }
        match self.engine.lock(&wish).await {
            Ok(record) => answer_lock(request, &record),
            Err(error) => self.refuse(request, &wish.name, &error).await,
        }
    }

    async fn unlock(&self, request: Incoming, name: ObjectName) {
        let owner = match owner_of(&request) {
            Ok(owner) => owner,
            Err(error) => return request.fail(error.errno()),
        };
        match self.engine.unlock(&name, &owner).await {
            Ok(()) => request.answer(0),
            // Our predecessor may have done it, and another one may have the lock since (S6).
            Err(StoreError::NotLocked | StoreError::Locked { .. })
                if request.request().redelivered =>
            {
                request.answer(0);
            }
            Err(error) => self.refuse(request, &name, &error).await,
        }
    }

    /// It may take a while, and does not count among our requests meanwhile.
    async fn break_lock(&self, request: Incoming, name: ObjectName, force: Force) {
        let owner = match owner_of(&request) {
            Ok(owner) => owner,
            Err(error) => return request.fail(error.errno()),
        };
        if request.request().redelivered {
            return self.break_again(request, &name, &owner).await;
        }
        let engine = self.engine.clone();
        let lock = name.clone();
        let work = |leave| async move { engine.break_lock(&lock, &owner, force, &leave).await };
        let engine = self.engine.clone();
        self.waiting
            .admit_with(request, work, move |request, broken| {
                let Err(error) = broken else {
                    return request.answer(0);
                };
                let handle = engine.handle.clone();
                let _goes_on = handle.spawn(async move {
                    refuse(&engine, request, &name, &error).await;
                });
            });
    }

    /// Our predecessor may have done it, and another one may have the lock since (S6): ours is given back if we have it
    /// still, and nobody else's is broken for a break that may have happened long ago.
    async fn break_again(&self, request: Incoming, name: &ObjectName, owner: &LockOwner) {
        match self.engine.unlock(name, owner).await {
            Ok(()) | Err(StoreError::NotLocked) => request.answer(0),
            Err(StoreError::Locked { .. }) => request.fail(Errno::AGAIN),
            Err(error) => request.fail(error.errno()),
        }
    }

    async fn forget_lock(&self, request: Incoming, name: ObjectName) {
        let owner = match owner_of(&request) {
            Ok(owner) => owner,
            Err(error) => return request.fail(error.errno()),
        };
        match self.engine.forget_lock(&name, &owner).await {
            Ok(()) => request.answer(0),
            Err(error) => self.refuse(request, &name, &error).await,
        }
    }

    async fn refuse(&self, request: Incoming, name: &ObjectName, error: &StoreError) {
        refuse(&self.engine, request, name, error).await;
    }
}

/// With who holds the lock, if that is why.
async fn refuse(engine: &Engine, request: Incoming, name: &ObjectName, error: &StoreError) {
    let holder = match error {
        StoreError::Locked { .. } => engine.lock_holder(name).await.unwrap_or(None),
        _ => None,
    };
    refuse_lock(request, error, holder.as_ref());
}

impl Peer for Filed {
    async fn handle(&self, request: Incoming) {
        if matches!(request.request().op, OpCode::READ | OpCode::WRITE) {
            return self.transfer(request).await;
        }
        let call = match Head::of(&request).decode() {
            Ok(call) => call,
            Err(error) => return request.fail(error.errno()),
        };
        match call {
            Call::WriteFull { name, len } => {
                self.make(request, &name, len, Publication::Replacing).await;
            }
            Call::CreateExclusive { name, len } => {
                self.make(request, &name, len, Publication::Exclusive).await;
            }
            Call::Lock { name, since, wait } => self.lock(request, name, since, wait).await,
            Call::Unlock { name, force: false } => self.unlock(request, name).await,
            Call::Unlock { name, force: true } => {
                self.break_lock(request, name, Force::IfDead).await;
            }
            Call::BreakLock { name } => self.break_lock(request, name, Force::Anyway).await,
            Call::FenceLock { name } => self.break_lock(request, name, Force::Fenced).await,
            Call::ForgetLock { name } => self.forget_lock(request, name).await,
            Call::Stat { .. }
            | Call::DataIn { .. }
            | Call::Hash { .. }
            | Call::List { .. }
            | Call::Groups { .. }
            | Call::LockOwner { .. }
            | Call::OwnerLife { .. } => self.ask(request, call).await,
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
