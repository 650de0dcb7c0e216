//! What all operations share.
//!
//! # Invariants
//! * **ENGINE-1** A failed write fails its scope (STORE-5); a full store does not (F21). What is answered is on all OSDs that have
//!   the object, so a sync of a scope that is well has nothing to do (STORE-2).

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
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
use super::turns::Turns;
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
    failed: RefCell<HashSet<Scope>>,
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
            failed: RefCell::default(),
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

    /// Makes an object that is not there, with its name in the index first (INDEX-1).
    pub(super) async fn make_object(
        &self,
        name: &ObjectName,
        object: &std::ffi::CStr,
        making: WriteOperation,
    ) -> Result<(), Errno> {
        let _turn = self.turns.at(name.as_bytes()).await; // NAMETURN-1
        self.index.add(name).await.map_err(|error| error.errno())?;
        self.pool.change(object, making).await.result.map(drop)
    }

    /// Nothing is under way any more, and nobody need have us fenced.
    pub async fn leave(&self) -> Result<(), StoreError> {
        self.instance.end(&self.pool).await.map_err(store_error)
    }

    /// Passes on how a write under this scope ended (ENGINE-1).
    pub(super) fn note<T>(
        &self,
        scope: Scope,
        done: Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if let Err(StoreError::Io(errno)) = &done {
            tracing::error!(scope = scope.0, %errno, "a write failed");
            self.failed.borrow_mut().insert(scope);
        }
        done
    }

    pub fn sync(&self, scope: Scope) -> Result<(), StoreError> {
        match self.failed.borrow().contains(&scope) {
            true => Err(StoreError::Failed),
            false => Ok(()),
        }
    }

    pub fn heal(&self, scope: Scope) {
        self.failed.borrow_mut().remove(&scope);
    }
}

fn open(cluster: &Arc<Cluster>, options: &RadosdOptions) -> Result<Rc<Pool>, RadosdError> {
    let nul = |_| RadosdError::Nul {
        text: options.namespace.clone(),
    };
    let namespace = CString::new(options.namespace.as_str()).map_err(nul)?;
    Pool::open(cluster, &options.pool, &namespace)
}

/// What an errno of the cluster's means for our users. Those that mean something else there than here are plain failures (STORE-4).
pub(super) fn store_error(errno: Errno) -> StoreError {
    match errno {
        Errno::NOENT => StoreError::NotFound,
        Errno::NOSPC | Errno::DQUOT | Errno::FBIG => StoreError::NoSpace,
        Errno::SHUTDOWN => {
            tracing::error!(
                "the cluster refuses this instance: another one has taken over, or a lock of ours was broken"
            );
            StoreError::Io(errno)
        }
        other => StoreError::Io(other),
    }
}
