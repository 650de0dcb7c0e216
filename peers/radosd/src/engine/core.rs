//! What all operations share.
//!
//! # Invariants
//! * **ENGINE-1** A failed write fails its scope (STORE-5); a full store does not (F21). What is answered is on all OSDs that have
//!   the object, so a sync of a scope that is well has nothing to do (STORE-2).
//! * **ENGINE-2** A write whose time was over fails its scope until it is known that it will not happen any more (STORE-7, LATE-1). Until
//!   then no lock is taken or given back, and we do not leave: whoever comes next has us fenced.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::CString;
use std::rc::Rc;
use std::sync::Arc;

use archipelago_runtime::{Handle, Station};
use archipelago_store::{ObjectName, Scope, StoreError};
use rustix::io::Errno;

use super::identity::Identity;
use super::index::Index;
use super::instance::Instance;
use super::locking::Locks;
use super::settling::Tries;
use super::turns::Turns;
use super::vigils::Vigils;
use super::waiting::wait;
use crate::error::RadosdError;
use crate::librados::{Cluster, Pool, WriteOperation};
use crate::options::RadosdOptions;

#[derive(Debug)]
pub(crate) struct Engine {
    pub handle: Handle,
    pub station: Rc<Station>,
    pub(super) pool: Rc<Pool>,
    /// Where else those write who rely on our locks.
    pub(super) companions: Vec<Rc<Pool>>,
    pub identity: Identity,
    pub(super) instance: Instance,
    pub(super) index: Index,
    pub(super) locks: Locks,
    pub(super) turns: Turns,
    pub(super) vigils: Rc<Vigils>,
    pub(super) failed: RefCell<HashMap<Scope, Failure>>,
    /// ENGINE-2
    pub(super) settling: Tries,
}

/// Why a scope is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Something of it may still happen.
    Late,
    Failed,
}

impl Engine {
    /// Connects, which blocks, makes the store if it is not there, and has our predecessor fenced.
    pub fn begin(
        handle: &Handle,
        station: &Rc<Station>,
        options: &RadosdOptions,
    ) -> Result<Self, RadosdError> {
        let cluster = Cluster::connect(options)?;
        let pool = open(&cluster, options)?;
        let companion = |companion: &RadosdOptions| match companion.is_connected_like(options) {
            true => open(&cluster, companion),
            false => open(&Cluster::connect(companion)?, companion),
        };
        let companions = options.companions.iter().map(companion);
        let companions = companions.collect::<Result<_, _>>()?;
        let identity = wait(Identity::find(&pool, options))?;
        let instance = wait(Instance::begin(&pool, options))?;
        pool.refusal.is_quiet.set(options.is_quiet_when_fenced);
        tracing::info!(
            pool = options.pool,
            namespace = options.namespace,
            address = instance.address,
            "a store in RADOS is open"
        );
        Ok(Self {
            handle: handle.clone(),
            station: station.clone(),
            index: Index::new(pool.clone(), identity.index_parts, instance.nonce()),
            locks: Locks::default(),
            turns: Turns::default(),
            vigils: Rc::default(),
            failed: RefCell::default(),
            settling: Tries::default(),
            identity,
            instance,
            companions,
            pool,
        })
    }

    /// Counts what the cluster has answered.
    pub fn heard(&self) -> Rc<Cell<u64>> {
        self.pool.heard.clone()
    }

    /// Until the cluster has refused us: then somebody else serves, or has broken a lock of ours.
    pub async fn refused(&self) {
        self.pool.refusal.wait().await;
    }

    /// Listens to what others say of us, for as long as we serve.
    pub async fn keep_listening(&self) {
        self.instance.listen(&self.pool, &self.handle).await;
    }

    /// Makes an object that is not there, with its name in the index first (INDEX-1).
    pub(super) async fn make_object(
        &self,
        name: &ObjectName,
        object: &std::ffi::CStr,
        making: WriteOperation,
    ) -> Result<(), Errno> {
        let _turn = self.turns.at(name.as_bytes()).await; // NAMETURN-1
        self.index.add(name).await.map_err(cluster_errno)?;
        self.pool.change(object, making).await.result.map(drop)
    }

    /// Nothing is under way any more, and nobody need have us fenced.
    pub async fn leave(&self) -> Result<(), StoreError> {
        self.settle().await?; // ENGINE-2
        self.instance.is_leaving.set(true);
        self.instance.end(&self.pool).await.map_err(store_error)
    }

    /// Passes on how a write under this scope ended (ENGINE-1).
    pub(super) fn note<T>(
        &self,
        scope: Scope,
        done: Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut failed = self.failed.borrow_mut();
        match &done {
            Err(StoreError::Io(errno)) => {
                tracing::error!(scope = scope.0, %errno, "a write failed");
                failed.insert(scope, Failure::Failed);
            }
            // If nothing is late, all that it asked for is known not to have happened.
            Err(StoreError::Late) if !self.pool.late.is_empty() => {
                tracing::error!(scope = scope.0, "the time of a write was over");
                failed.entry(scope).or_insert(Failure::Late);
            }
            _ => {}
        }
        done
    }

    pub fn sync(&self, scope: Scope) -> Result<(), StoreError> {
        match self.failed.borrow().get(&scope) {
            Some(Failure::Failed) => Err(StoreError::Failed),
            Some(Failure::Late) => Err(StoreError::Late),
            None => Ok(()),
        }
    }

    pub async fn heal(&self, scope: Scope) -> Result<(), StoreError> {
        self.settle().await?;
        self.failed.borrow_mut().remove(&scope);
        Ok(())
    }
}

fn open(cluster: &Arc<Cluster>, options: &RadosdOptions) -> Result<Rc<Pool>, RadosdError> {
    let nul = |_| RadosdError::Nul {
        text: options.namespace.clone(),
    };
    let namespace = CString::new(options.namespace.as_str()).map_err(nul)?;
    Pool::open(cluster, &options.pool, &namespace)
}

/// What the cluster said, of what [`store_error`] made of it.
fn cluster_errno(error: StoreError) -> Errno {
    match error {
        StoreError::Late => Errno::TIMEDOUT, // it stays late (ENGINE-2)
        other => other.errno(),
    }
}

/// What an errno of the cluster's means for our users. Those that mean something else there than here are plain failures (STORE-4).
pub(super) fn store_error(errno: Errno) -> StoreError {
    match errno {
        Errno::NOENT => StoreError::NotFound,
        Errno::NOSPC | Errno::DQUOT | Errno::FBIG => StoreError::NoSpace,
        Errno::TIMEDOUT => StoreError::Late,
        Errno::SHUTDOWN => {
            tracing::error!(
                "the cluster refuses this instance: another one has taken over, or a lock of ours was broken"
            );
            StoreError::Io(errno)
        }
        other => StoreError::Io(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ENGINE-2: what was late on the way to an object, in its index, is late.
    #[test]
    fn an_error_that_goes_back_to_an_errno_stays_what_it_is() {
        for errno in [Errno::TIMEDOUT, Errno::NOENT, Errno::NOSPC, Errno::SHUTDOWN] {
            let error = store_error(errno);
            assert_eq!(store_error(cluster_errno(error.clone())), error);
        }
    }
}
