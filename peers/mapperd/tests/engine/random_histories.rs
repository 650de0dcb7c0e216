//! Random histories: after each, every volume and snapshot says what the model says, and the stores hold what the
//! maps name and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use archipelago_mapperd::engine::{CreateOptions, MapError, Mapper, Origin, Progress, World};
use archipelago_mapperd::map::VolumeId;
use archipelago_store::sim::{SimRandom, block_on};

use crate::client::{GRAIN_BYTES, SECTORS, Sub, read_from, read_sub, shape, write_sub};
use crate::model::Model;
use crate::seeds::seeds;
use crate::space::leaks;
use crate::world::{COMPOSER, SimWorld, crashed, killed, mapper_of};

type Content = (u64, BTreeMap<u64, Sub>);

struct History {
    random: SimRandom,
    mapper: Option<Mapper<SimWorld>>,
    models: BTreeMap<String, Model>,
    /// Content that has a name: of so many bytes, with these sub-blocks.
    hashes: BTreeMap<String, Content>,
    next_name: u64,
    next_value: u64,
}

impl History {
    fn new(seed: u64) -> Self {
        Self {
            random: SimRandom::new(seed),
            mapper: Some(mapper_of(SimWorld::new(seed))),
            models: BTreeMap::new(),
            hashes: BTreeMap::new(),
            next_name: 0,
            next_value: 1,
        }
    }

    fn mapper(&self) -> &Mapper<SimWorld> {
        self.mapper.as_ref().unwrap()
    }

    fn id(&self) -> VolumeId {
        self.mapper().base().world.random_id()
    }

    fn name(&mut self) -> String {
        self.next_name += 1;
        format!("volume {}", self.next_name)
    }

    fn one(&mut self, is_snapshot: bool) -> Option<String> {
        let names: Vec<&String> = self
            .models
            .iter()
            .filter(|(_, model)| model.is_snapshot == is_snapshot)
            .map(|(name, _)| name)
            .collect();
        if names.is_empty() {
            return None;
        }
        let index = self.random.below(names.len() as u64) as usize;
        Some(names[index].clone())
    }

    /// A size of a few blocks, of a tree with several levels, or of a petabyte.
    fn size(&mut self) -> u64 {
        let blocks = match self.random.below(4) {
            0 => 1 << 34,
            1 => 1000,
            _ => 1 + self.random.below(6),
        };
        blocks * shape().object_bytes() - self.random.below(3) * GRAIN_BYTES as u64
    }

    /// A sub-block, near to where others are.
    fn place(&mut self, name: &str) -> u64 {
        let count = self.models[name].count();
        let near = [0, 30, count / 2, count.saturating_sub(20)][self.random.below(4) as usize];
        (near + self.random.below(40)) % count
    }

    async fn step(&mut self) -> Result<(), MapError> {
        let choice = self.random.below(114);
        print!("{choice} ");
        if choice >= 67 {
            println!();
        }
        match choice {
            0..4 => self.create().await?,
            4..40 => self.write().await?,
            40..50 => self.discard().await?,
            50..56 => self.snapshot().await?,
            56..62 => self.clone_one().await?,
            62..67 => self.remove().await?,
            67..70 => self.rename().await?,
            70..74 => self.resize().await?,
            74..80 => self.flush().await?,
            80..86 => self.mapper().tidy(0).await,
            86..89 => self.mapper().empty_trash(0).await?,
            89..92 => self.close().await?,
            92..95 => self.mapper = self.mapper.take().map(killed),
            95..98 => self.crash().await?,
            100..105 => self.hash().await?,
            105..110 => self.clone_hash().await?,
            110..114 => self.remove_hash().await?,
            _ => {
                self.mapper().close_all().await?;
                self.mapper = self.mapper.take().map(killed);
            }
        }
        Ok(())
    }

    async fn create(&mut self) -> Result<(), MapError> {
        let (name, bytes, id) = (self.name(), self.size(), self.id());
        let options = CreateOptions {
            size: Some(bytes),
            origin: None,
            shape: shape(),
        };
        self.mapper().create(&name, id, &options).await?;
        let model = Model {
            bytes,
            ..Model::default()
        };
        self.models.insert(name, model);
        Ok(())
    }

    async fn write(&mut self) -> Result<(), MapError> {
        let Some(name) = self.one(false) else {
            return self.create().await;
        };
        let volume = self.mapper().open(&name, false).await?;
        let first = self.place(&name);
        println!("write {name} ({}) from {first}", volume.id);
        for sub in first..first + 1 + self.random.below(20) {
            if sub >= self.models[&name].count() {
                break;
            }
            let value = [self.next_value; SECTORS];
            self.next_value += 1;
            write_sub(self.mapper(), &volume, sub, &value).await?;
            self.models.get_mut(&name).unwrap().set(sub, value);
        }
        Ok(())
    }

    async fn discard(&mut self) -> Result<(), MapError> {
        let Some(name) = self.one(false) else {
            return Ok(());
        };
        let volume = self.mapper().open(&name, false).await?;
        let first = self.place(&name);
        let count = self.models[&name].count();
        let last = match self.random.below(4) {
            0 => count,
            _ => (first + self.random.below(60)).min(count),
        };
        let grain = GRAIN_BYTES as u64;
        println!("discard {name} {first}..{last}");
        volume
            .discard(Some(COMPOSER), first * grain, (last - first) * grain)
            .await?;
        let model = self.models.get_mut(&name).unwrap();
        let gone: Vec<u64> = model.subs.range(first..last).map(|(sub, _)| *sub).collect();
        gone.into_iter()
            .for_each(|sub| model.set(sub, [0; SECTORS]));
        Ok(())
    }

    async fn snapshot(&mut self) -> Result<(), MapError> {
        let Some(name) = self.one(false) else {
            return Ok(());
        };
        let (snapshot, id) = (self.name(), self.id());
        println!("snapshot {name} to {snapshot} ({id})");
        self.mapper().snapshot(&name, &snapshot, id).await?;
        let model = self.models.get_mut(&name).unwrap();
        model.before.clear();
        let copy = Model {
            is_snapshot: true,
            ..model.clone()
        };
        self.models.insert(snapshot, copy);
        Ok(())
    }

    async fn clone_one(&mut self) -> Result<(), MapError> {
        let is_snapshot = !self.random.one_in(4);
        let Some(from) = self.one(is_snapshot) else {
            return Ok(());
        };
        let (name, id) = (self.name(), self.id());
        let mut copy = self.models[&from].clone();
        copy.is_snapshot = false;
        copy.before.clear();
        let grows = self.random.one_in(3);
        copy.bytes += if grows { 300 << 16 } else { 0 };
        let options = CreateOptions {
            size: grows.then_some(copy.bytes),
            origin: Some(Origin::Any(from.clone())),
            shape: shape(),
        };
        println!("clone {from} to {name} ({id})");
        self.mapper().create(&name, id, &options).await?;
        // A volume is flushed before it is cloned.
        self.models.get_mut(&from).unwrap().before.clear();
        self.models.insert(name, copy);
        Ok(())
    }

    async fn remove(&mut self) -> Result<(), MapError> {
        let is_snapshot = self.random.one_in(2);
        let Some(name) = self.one(is_snapshot) else {
            return Ok(());
        };
        println!("remove {name}");
        self.mapper().remove(&name).await?;
        self.models.remove(&name);
        Ok(())
    }

    /// Equal contents have equal hashes, and no others have.
    async fn hash(&mut self) -> Result<(), MapError> {
        let Some(name) = self.one(true) else {
            return Ok(());
        };
        let hash = self.mapper().hash(&name, &Progress::default()).await?;
        println!("hash {name}: {hash}");
        let model = &self.models[&name];
        let content = (model.bytes, model.subs.clone());
        for (other, known) in &self.hashes {
            assert_eq!(*other == hash, *known == content, "{other} and {hash}");
        }
        self.hashes.insert(hash, content);
        Ok(())
    }

    fn one_hash(&mut self) -> Option<String> {
        let count = self.hashes.len() as u64;
        let index = self.random.below(count.max(1)) as usize;
        self.hashes.keys().nth(index).cloned()
    }

    async fn clone_hash(&mut self) -> Result<(), MapError> {
        let Some(hash) = self.one_hash() else {
            return self.hash().await;
        };
        let (mut bytes, subs) = self.hashes[&hash].clone();
        let grows = self.random.one_in(3);
        bytes += if grows { 300 << 16 } else { 0 };
        let (name, id) = (self.name(), self.id());
        println!("clone {hash} to {name} ({id})");
        let options = CreateOptions {
            size: grows.then_some(bytes),
            origin: Some(Origin::Hash(hash)),
            shape: shape(),
        };
        self.mapper().create(&name, id, &options).await?;
        let model = Model {
            bytes,
            subs,
            ..Model::default()
        };
        self.models.insert(name, model);
        Ok(())
    }

    async fn remove_hash(&mut self) -> Result<(), MapError> {
        let Some(hash) = self.one_hash() else {
            return Ok(());
        };
        println!("remove {hash}");
        self.mapper().remove_hash(&hash).await?;
        self.hashes.remove(&hash);
        Ok(())
    }

    async fn rename(&mut self) -> Result<(), MapError> {
        let is_snapshot = self.random.one_in(3);
        let Some(name) = self.one(is_snapshot) else {
            return Ok(());
        };
        let to = self.name();
        self.mapper().rename(&name, &to).await?;
        let model = self.models.remove(&name).unwrap();
        self.models.insert(to, model);
        Ok(())
    }

    async fn resize(&mut self) -> Result<(), MapError> {
        let Some(name) = self.one(false) else {
            return Ok(());
        };
        let bytes = self.size();
        println!("resize {name} to {bytes}");
        self.mapper().resize(&name, bytes, true).await?;
        let model = self.models.get_mut(&name).unwrap();
        model.bytes = bytes;
        let end = model.count();
        model.subs.retain(|sub, _| *sub < end);
        // A resize is durable, and all before it.
        model.before.clear();
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), MapError> {
        let Some(name) = self.one(false) else {
            return Ok(());
        };
        self.mapper().open(&name, false).await?.flush().await?;
        self.models.get_mut(&name).unwrap().before.clear();
        Ok(())
    }

    async fn close(&mut self) -> Result<(), MapError> {
        let Some(name) = self.one(false) else {
            return Ok(());
        };
        match self.mapper().close(&name).await {
            Err(MapError::NotOpen { .. }) => Ok(()),
            closed => {
                closed?;
                self.models.get_mut(&name).unwrap().before.clear();
                Ok(())
            }
        }
    }

    async fn crash(&mut self) -> Result<(), MapError> {
        let seed = self.random.number();
        self.mapper = self.mapper.take().map(|mapper| crashed(mapper, seed));
        let names: Vec<String> = self.models.keys().cloned().collect();
        for name in names {
            if self.models[&name].is_snapshot {
                continue;
            }
            let volume = self.mapper().open(&name, false).await?;
            let model = &self.models[&name];
            let subs: BTreeSet<u64> = model
                .subs
                .keys()
                .chain(model.before.keys())
                .copied()
                .collect();
            for sub in subs {
                let found = read_sub(self.mapper(), &volume, sub).await?;
                println!(
                    "after the crash: {name} ({}), sub-block {sub}: {:?}",
                    volume.id,
                    volume.block(sub / 16).await?
                );
                self.models
                    .get_mut(&name)
                    .unwrap()
                    .check_after_crash(sub, found);
            }
            self.models.get_mut(&name).unwrap().before.clear();
        }
        Ok(())
    }

    async fn open_all(&self) {
        for (name, _) in self.models.iter().filter(|(_, model)| !model.is_snapshot) {
            self.mapper().open(name, false).await.unwrap();
        }
    }

    /// Every volume and snapshot says what the model says.
    async fn check_contents(&self) -> Result<(), MapError> {
        let names = self.mapper().base().entries().await?;
        let names: Vec<String> = names.into_iter().map(|record| record.name).collect();
        for hash in self.hashes.keys() {
            self.mapper().find_hash(hash).await?;
        }
        for (name, model) in &self.models {
            assert!(names.contains(name), "{name} is not listed");
            let loaded = self.mapper().find(name).await?;
            assert_eq!(loaded.head.flags.snapshot, model.is_snapshot);
            assert_eq!(loaded.head.size_bytes, model.bytes, "{name}");
            let near = model
                .subs
                .keys()
                .flat_map(|sub| [sub.saturating_sub(1), *sub, sub + 1]);
            let subs: BTreeSet<u64> = near.filter(|sub| *sub < model.count()).collect();
            let a_block = u64::from(shape().subs());
            for sub in subs {
                let (block, in_block) = (sub / a_block, (sub % a_block) as u16);
                let map = self
                    .mapper()
                    .base()
                    .view(loaded.head.id)
                    .await?
                    .block(self.mapper().base(), block)
                    .await?;
                let found =
                    read_from(self.mapper(), map.source_at(in_block), block, in_block).await?;
                assert_eq!(found, model.sub(sub), "{name}, sub-block {sub}");
            }
        }
        Ok(())
    }
}

fn run(seed: u64, steps: u64) {
    block_on(async {
        let mut history = History::new(seed);
        let mut had_crash = false;
        for _ in 0..steps {
            let boot = history.mapper().base().world.boot_number();
            history
                .step()
                .await
                .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            had_crash |= history.mapper().base().world.boot_number() != boot;
        }
        // Those that were open when their mapper was killed: their journals tell what is to be given back.
        history.open_all().await;
        history.mapper().close_all().await.unwrap();
        history
            .check_contents()
            .await
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        history.mapper().empty_trash(0).await.unwrap();
        history.mapper().close_all().await.unwrap();
        history
            .check_contents()
            .await
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        if !had_crash {
            let leaks = leaks(history.mapper()).await;
            assert_eq!(leaks, Vec::<String>::new(), "seed {seed}");
        }
    });
}

/// VOL-1, VOL-2, SNAP-1, SPACE-1, SPACE-2, SPACE-5, FOLD-1, DIR-1, MAPPER-2, HASH-1, HASH-2
#[test]
fn after_random_histories_all_volumes_say_what_they_should_and_no_space_is_lost() {
    let seeds = seeds(20);
    for seed in seeds {
        println!("SIM_SEED={seed}");
        run(seed, 80);
    }
}
