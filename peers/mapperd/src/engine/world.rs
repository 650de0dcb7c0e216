//! What the engine needs of the world around it: stores, composers, a clock, chance.

use std::collections::BTreeSet;
use std::rc::Rc;

use archipelago_protocol::Recall;
use archipelago_runtime::local::Mutex;
use archipelago_store::{LockOwner, Store};

use super::error::MapError;
use super::names;
use super::pages::Pages;
use crate::map::{BootId, VolumeId};

/// Who holds delegations: the number of a composer's port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ComposerId(pub u32);

/// Who uses a volume: a port, and the serial number of what it asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId {
    pub port: u32,
    pub serial: u64,
}

/// A composer did not answer in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoAnswer(pub ComposerId);

/// The world of a mapper.
#[allow(async_fn_in_trait)]
pub trait World: std::fmt::Debug + 'static {
    type Store: Store + std::fmt::Debug + 'static;

    fn maps(&self) -> &Rc<Self::Store>;
    fn data(&self) -> &Rc<Self::Store>;
    fn owner(&self) -> &LockOwner;
    fn boot(&self) -> BootId;
    fn now_seconds(&self) -> u64;
    fn random_id(&self) -> VolumeId;

    /// Above all epochs and numbers of grants that an earlier mapper of this boot used: clocks do.
    fn first_epoch(&self) -> u64 {
        1
    }

    /// Who may hold delegations that an earlier mapper gave.
    fn composers(&self) -> BTreeSet<ComposerId> {
        BTreeSet::new()
    }

    /// Who uses what is called so, through any composer.
    fn users(&self, name: &str) -> BTreeSet<UserId> {
        let _ = name;
        BTreeSet::new()
    }

    /// Which of the mappers of its owner it is.
    fn instance(&self) -> u32 {
        0
    }

    /// Under which lease our locks are: another one from when the last one was lost on, which is when a lock of ours may have been
    /// broken. 0 where the store refuses what others write late.
    fn lease_generation(&self) -> u64 {
        0
    }

    /// Is the lease of this generation in force?
    fn is_lease_in_force(&self, generation: u64) -> bool {
        let _ = generation;
        true
    }

    /// Lets others have their turn, and the disk: long work that nobody waits for asks for this between its pieces.
    async fn pause(&self) {}

    /// Tells a composer to give up what it was told, and waits until it has. One that is gone has.
    async fn recall(
        &self,
        composer: ComposerId,
        volume: VolumeId,
        recall: Recall,
    ) -> Result<(), NoAnswer>;
}

/// The world, and what is kept of the store for maps.
#[derive(Debug)]
pub struct Base<W: World> {
    pub world: W,
    pub pages: Pages<W::Store>,
    /// HELD-3
    pub(super) holding: Mutex<()>,
}

impl<W: World> Base<W> {
    pub fn new(world: W, pages_max: usize) -> Self {
        let pages = Pages::new(world.maps().clone(), pages_max);
        Self {
            world,
            pages,
            holding: Mutex::new(()),
        }
    }

    pub fn maps(&self) -> &W::Store {
        self.world.maps()
    }

    /// What was written for the volume, and every deletion, is durable when this returns.
    pub async fn sync_maps(&self, id: VolumeId) -> Result<(), MapError> {
        let synced = self.maps().sync(names::scope(id)).await;
        synced.map_err(|source| MapError::Store {
            action: "sync",
            object: format!("the map of volume {id}"),
            source,
        })
    }

    /// The same for its objects.
    pub async fn sync_data(&self, id: VolumeId) -> Result<(), MapError> {
        let synced = self.data().sync(names::scope(id)).await;
        synced.map_err(|source| MapError::Store {
            action: "sync",
            object: format!("the objects of volume {id}"),
            source,
        })
    }

    /// Whoever asked for it knows that something failed: from now on the stores are asked again (D3).
    pub async fn believe(&self, id: VolumeId) -> Result<(), MapError> {
        for store in [self.maps(), self.data()] {
            let healed = store.heal(names::scope(id)).await;
            healed.map_err(|source| MapError::Store {
                action: "trust again",
                object: format!("what was written for volume {id}"),
                source,
            })?;
        }
        Ok(())
    }

    pub fn data(&self) -> &W::Store {
        self.world.data()
    }
}
