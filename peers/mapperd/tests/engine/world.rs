//! A world without ports: two simulated stores, a clock that stands, composers that hold nothing.

use std::cell::Cell;
use std::rc::Rc;

use archipelago_mapperd::engine::{Base, ComposerId, Mapper, NoAnswer, World};
use archipelago_mapperd::map::{BootId, VolumeId};
use archipelago_protocol::Recall;
use archipelago_store::sim::SimStore;
use archipelago_store::{LockOwner, Store};

pub const COMPOSER: ComposerId = ComposerId(500);

#[derive(Debug)]
pub struct SimWorld {
    is_one: bool,
    maps: Rc<SimStore>,
    data: Rc<SimStore>,
    owner: LockOwner,
    boot: BootId,
    next_id: Cell<u64>,
    recalls: Cell<u64>,
}

impl SimWorld {
    pub fn new(seed: u64) -> Self {
        Self::over(SimStore::new(seed), SimStore::new(seed + 1), 1, 1)
    }

    /// Maps and data in one store, which dies as a whole.
    pub fn in_one(seed: u64) -> Self {
        Self::over_one(SimStore::new(seed), 1, 1)
    }

    fn over_one(store: SimStore, boot: u8, first_id: u64) -> Self {
        Self {
            is_one: true,
            ..Self::over(store.clone(), store, boot, first_id)
        }
    }

    pub fn over(maps: SimStore, data: SimStore, boot: u8, first_id: u64) -> Self {
        Self {
            is_one: false,
            maps: Rc::new(maps),
            data: Rc::new(data),
            owner: LockOwner {
                node: "node".into(),
                deployment: "deployment".into(),
            },
            boot: BootId([boot; 16]),
            next_id: Cell::new(first_id),
            recalls: Cell::new(0),
        }
    }

    pub fn owned_by(mut self, node: &str) -> Self {
        self.owner.node = node.into();
        self
    }

    pub fn boot_number(&self) -> u8 {
        self.boot.0[0]
    }

    pub fn next_id(&self) -> u64 {
        self.next_id.get()
    }

    pub fn recalls(&self) -> u64 {
        self.recalls.get()
    }
}

impl World for SimWorld {
    type Store = SimStore;

    fn maps(&self) -> &Rc<SimStore> {
        &self.maps
    }

    fn data(&self) -> &Rc<SimStore> {
        &self.data
    }

    fn owner(&self) -> &LockOwner {
        &self.owner
    }

    fn boot(&self) -> BootId {
        self.boot
    }

    fn now_seconds(&self) -> u64 {
        1000
    }

    fn random_id(&self) -> VolumeId {
        let number = self.next_id.get();
        self.next_id.set(number + 1);
        let mut bytes = [0xab; 16];
        // The first half is a volume's scope: it differs, as random numbers do.
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        VolumeId::new(bytes).unwrap()
    }

    async fn recall(&self, _: ComposerId, _: VolumeId, _: Recall) -> Result<(), NoAnswer> {
        self.recalls.set(self.recalls.get() + 1);
        archipelago_store::sim::yield_now().await;
        Ok(())
    }
}

pub fn mapper_of(world: SimWorld) -> Mapper<SimWorld> {
    Mapper::new(Rc::new(Base::new(world, 64)))
}

/// The mapper is killed; the machine goes on.
pub fn killed(mapper: Mapper<SimWorld>) -> Mapper<SimWorld> {
    let world = &mapper.base().world;
    if world.is_one {
        let (boot, id) = (world.boot_number(), world.next_id());
        return mapper_of(SimWorld::over_one(world.maps.survive(), boot, id));
    }
    let next = SimWorld::over(
        world.maps.survive(),
        world.data.survive(),
        world.boot_number(),
        world.next_id(),
    );
    mapper_of(next)
}

/// The machine loses its power.
pub fn crashed(mapper: Mapper<SimWorld>, seed: u64) -> Mapper<SimWorld> {
    let world = &mapper.base().world;
    let mut random = archipelago_store::sim::SimRandom::new(seed);
    let next = SimWorld::over(
        world.maps.crash(&mut random),
        world.data.crash(&mut random),
        world.boot_number() + 1,
        world.next_id(),
    );
    mapper_of(next)
}

/// All objects of a store, by name.
pub async fn objects_of(store: &SimStore) -> Vec<archipelago_store::ObjectName> {
    let mut names = Vec::new();
    for group in store.groups().await.unwrap() {
        names.extend(store.list(&group, None, usize::MAX).await.unwrap().names);
    }
    names
}
