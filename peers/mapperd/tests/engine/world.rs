//! A world without ports: two simulated stores, a clock that stands, composers that hold nothing but what they do.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use archipelago_mapperd::engine::{Base, ComposerId, Mapper, NoAnswer, UserId, World};
use archipelago_mapperd::map::{BootId, VolumeId};
use archipelago_protocol::Recall;
use archipelago_store::sim::{SimStore, yield_now};
use archipelago_store::{LockOwner, Store};

/// Each mapper has one of its own, as a clock would give it.
static FIRST_EPOCHS: AtomicU64 = AtomicU64::new(1);

pub const COMPOSER: ComposerId = ComposerId(500);

#[derive(Debug)]
pub struct SimWorld {
    is_one: bool,
    maps: Rc<SimStore>,
    data: Rc<SimStore>,
    owner: LockOwner,
    boot: BootId,
    next_id: Cell<u64>,
    /// What composers do with what they were told, by number.
    operations: RefCell<BTreeSet<(ComposerId, u64)>>,
    next_operation: Cell<u64>,
    /// Those of the deployment.
    composers: RefCell<BTreeSet<ComposerId>>,
    recalls: RefCell<Vec<(ComposerId, Recall)>>,
    /// Who uses the volumes, whatever they are called.
    users: RefCell<BTreeSet<UserId>>,
    /// Its generation, and whether it is in force.
    lease: Cell<(u64, bool)>,
}

/// A composer does something with what it was told, until this is dropped.
#[derive(Debug)]
pub struct Operation<'a> {
    world: &'a SimWorld,
    key: (ComposerId, u64),
}

impl Drop for Operation<'_> {
    fn drop(&mut self) {
        self.world.operations.borrow_mut().remove(&self.key);
    }
}

impl SimWorld {
    pub fn new(seed: u64) -> Self {
        Self::over(SimStore::new(seed), SimStore::new(seed + 1), 1, 1)
    }

    /// These ask the mapper.
    pub fn serve(&self, composers: &[ComposerId]) {
        self.composers.borrow_mut().extend(composers);
    }

    /// Who was asked to give up what.
    pub fn recalls(&self) -> Vec<(ComposerId, Recall)> {
        self.recalls.borrow().clone()
    }

    /// A client begins to use a volume, or stops.
    pub fn set_used(&self, serial: u64, is_used: bool) {
        let user = UserId { port: 9, serial };
        let mut users = self.users.borrow_mut();
        if is_used {
            users.insert(user);
        } else {
            users.remove(&user);
        }
    }

    /// Somebody takes the lease away, and waits until it has run out.
    pub fn end_lease(&self) {
        self.lease.set((self.lease.get().0, false));
    }

    /// Another one begins, if the last one is over.
    pub fn begin_lease(&self) {
        let (generation, is_in_force) = self.lease.get();
        if !is_in_force {
            self.lease.set((generation + 1, true));
        }
    }

    /// Maps and data in one store, which dies as a whole.
    pub fn in_one(seed: u64) -> Self {
        Self::over_one(SimStore::new(seed), 1, 1)
    }

    pub fn over_one(store: SimStore, boot: u8, first_id: u64) -> Self {
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
            operations: RefCell::default(),
            next_operation: Cell::new(0),
            composers: RefCell::default(),
            recalls: RefCell::default(),
            users: RefCell::default(),
            lease: Cell::new((1, true)),
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

    pub fn begin_operation(&self, composer: ComposerId) -> Operation<'_> {
        let number = self.next_operation.get();
        self.next_operation.set(number + 1);
        let key = (composer, number);
        self.operations.borrow_mut().insert(key);
        Operation { world: self, key }
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

    fn first_epoch(&self) -> u64 {
        FIRST_EPOCHS.fetch_add(1000, Ordering::Relaxed)
    }

    fn composers(&self) -> BTreeSet<ComposerId> {
        self.composers.borrow().clone()
    }

    fn users(&self, _: &str) -> BTreeSet<UserId> {
        self.users.borrow().clone()
    }

    fn lease_generation(&self) -> u64 {
        self.lease.get().0
    }

    fn is_lease_in_force(&self, generation: u64) -> bool {
        self.lease.get() == (generation, true)
    }

    /// Whoever waits for the lease has it seen to in the meantime.
    async fn pause(&self) {
        self.begin_lease();
        yield_now().await;
    }

    /// Answered when all that the composer began before is ended.
    async fn recall(
        &self,
        composer: ComposerId,
        _: VolumeId,
        recall: Recall,
    ) -> Result<(), NoAnswer> {
        self.recalls.borrow_mut().push((composer, recall));
        let begun: Vec<_> = self.operations.borrow().iter().copied().collect();
        let is_running =
            |key: &(ComposerId, u64)| key.0 == composer && self.operations.borrow().contains(key);
        yield_now().await;
        while begun.iter().any(is_running) {
            yield_now().await;
        }
        Ok(())
    }
}

pub fn mapper_of(world: SimWorld) -> Mapper<SimWorld> {
    Mapper::new(Rc::new(Base::new(world, 64)))
}

/// Another node of the same stores.
pub fn beside(mapper: &Mapper<SimWorld>, node: &str) -> Mapper<SimWorld> {
    let world = &mapper.base().world;
    node_over(world.maps(), world.data(), world.next_id(), node)
}

pub fn node_over(maps: &SimStore, data: &SimStore, next_id: u64, node: &str) -> Mapper<SimWorld> {
    // Ids are drawn far from those that others draw.
    let next_id = next_id + 1000;
    mapper_of(SimWorld::over(maps.clone(), data.clone(), 1, next_id).owned_by(node))
}

/// The mapper is killed; the machine goes on.
#[expect(clippy::needless_pass_by_value, reason = "it is dead from then on")]
pub fn killed(mapper: Mapper<SimWorld>) -> Mapper<SimWorld> {
    killed_now(&mapper)
}

pub fn killed_now(mapper: &Mapper<SimWorld>) -> Mapper<SimWorld> {
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
#[expect(clippy::needless_pass_by_value, reason = "it is dead from then on")]
pub fn crashed(mapper: Mapper<SimWorld>, seed: u64) -> Mapper<SimWorld> {
    crashed_now(&mapper, seed)
}

pub fn crashed_now(mapper: &Mapper<SimWorld>, seed: u64) -> Mapper<SimWorld> {
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
