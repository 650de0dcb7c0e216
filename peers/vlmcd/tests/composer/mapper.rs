//! The naive mapper as a peer: grants, recalls, and moods.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use archipelago_protocol::{
    ATTACH, Attached, ChangedBy, CommitCall, DETACH, GrantCall, GrantHead, MAP_DISCARD,
    MAP_GIVE_UP, Recall, RecallKind,
};
use archipelago_runtime::{Handle, Peer, Station, local::Notify};
use archipelago_store::{MemStore, ObjectName, Scope, Store};
use xseg::{Errno, Incoming, OpCode};

use crate::naive::{Grant, Volume, runs_of};
use crate::world::Random;

/// What a mapper does now and then, in 1000 cases.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moods {
    pub stale: u64,
    pub wide: u64,
    /// It dies, and its successor is asked.
    pub dies: u64,
    /// The longest delay of an answer that was made.
    pub delay_us: u64,
}

pub struct Mapper {
    pub handle: Handle,
    pub station: Rc<Station>,
    pub store: MemStore,
    pub volumes: RefCell<BTreeMap<String, Volume>>,
    pub moods: Cell<Moods>,
    pub random: Random,
    pub asked: RefCell<BTreeMap<u16, u64>>,
    /// By which token the composer said last, with each operation, that it had the volume.
    pub had: RefCell<BTreeMap<u16, u64>>,
    /// Commits that asked for a grant to be adopted.
    pub adopted: RefCell<u64>,
    moved: Notify,
    held_answers: Cell<Option<OpCode>>,
    let_go: Notify,
    next_grant: Cell<u64>,
}

impl Mapper {
    pub fn new(handle: &Handle, station: Rc<Station>, store: MemStore, seed: u64) -> Rc<Self> {
        Rc::new(Self {
            handle: handle.clone(),
            station,
            store,
            volumes: RefCell::default(),
            moods: Cell::default(),
            random: Random::new(seed),
            asked: RefCell::default(),
            had: RefCell::default(),
            adopted: RefCell::default(),
            moved: Notify::new(),
            held_answers: Cell::new(None),
            let_go: Notify::new(),
            next_grant: Cell::new(1),
        })
    }

    pub fn had_by(&self, op: OpCode) -> u64 {
        self.had.borrow().get(&op.0).copied().unwrap_or(0)
    }

    pub fn count_of(&self, op: OpCode) -> u64 {
        self.asked.borrow().get(&op.0).copied().unwrap_or(0)
    }

    pub fn add(&self, name: &str, volume: Volume) {
        self.volumes.borrow_mut().insert(name.into(), volume);
    }

    pub fn with<T>(&self, name: &str, look: impl FnOnce(&mut Volume) -> T) -> T {
        look(
            self.volumes
                .borrow_mut()
                .get_mut(name)
                .expect("it is there"),
        )
    }

    fn name_of(&self, id: &[u8]) -> Option<String> {
        let volumes = self.volumes.borrow();
        let found = volumes.iter().find(|(_, volume)| volume.id == *id);
        found.map(|(name, _)| name.clone())
    }

    /// Answers to this operation are made, and do not arrive before it is over.
    pub fn hold_answers(&self, op: Option<OpCode>) {
        self.held_answers.set(op);
        self.let_go.notify_all();
    }

    async fn travel(&self, op: OpCode) {
        self.delay().await;
        while self.held_answers.get() == Some(op) {
            self.let_go.notified().await;
        }
    }

    async fn delay(&self) {
        let longest = self.moods.get().delay_us;
        if longest > 0 {
            let us = self.random.below(longest + 1);
            self.handle.sleep(Duration::from_micros(us)).await;
        }
    }

    fn is_in_the_mood(&self, of_1000: u64) -> bool {
        self.random.below(1000) < of_1000
    }

    /// Tells all composers but one, and waits for them.
    pub async fn recall(
        &self,
        name: &str,
        kind: RecallKind,
        range: (u64, u64),
        except: u32,
    ) -> Result<(), Errno> {
        let (id, epoch, composers) = self.with(name, |volume| {
            (volume.id, volume.epoch, volume.composers.clone())
        });
        for composer in composers.into_iter().filter(|composer| *composer != except) {
            let recall = Recall {
                epoch,
                kind,
                first_block: range.0,
                blocks: range.1,
            };
            let mut draft = self.station.draft(OpCode::RECALL).await.unwrap();
            draft.set_target(&id).unwrap();
            draft.set_args(recall.to_args());
            let to = self.station.segment().geometry().port(composer).unwrap();
            self.station.call(draft, to).await.unwrap().result()?;
        }
        Ok(())
    }

    /// A recall of words that may be nonsense, to one composer.
    pub async fn recall_raw(
        &self,
        op: OpCode,
        composer: u32,
        id: &[u8],
        args: [u64; 4],
    ) -> Result<u64, Errno> {
        let mut draft = self.station.draft(op).await.unwrap();
        draft.set_target(id).unwrap();
        draft.set_args(args);
        let to = self.station.segment().geometry().port(composer).unwrap();
        self.station.call(draft, to).await.unwrap().result()
    }

    /// Another composer's discard, from its recall on.
    pub async fn discard_beside(&self, name: &str, bytes: std::ops::Range<u64>) {
        self.with(name, |volume| volume.epoch += 1);
        let all = (0, u64::MAX);
        self.recall(name, RecallKind::Forget, all, u32::MAX)
            .await
            .unwrap();
        self.with(name, |volume| {
            volume.void(|_, _| true);
            volume.discard(bytes);
        });
        self.moved.notify_all();
    }

    /// Freezes a volume's state as another one.
    pub async fn snapshot(&self, name: &str, snapshot: &str, id: u8) {
        self.with(name, |volume| {
            volume.holds += 1;
            volume.epoch += 1;
        });
        let all = (0, u64::MAX);
        self.recall(name, RecallKind::Forget, all, u32::MAX)
            .await
            .unwrap();
        let frozen = self.with(name, |volume| {
            volume.void(|_, _| true);
            let mut frozen = Volume::new(id, volume.size);
            frozen.blocks = volume.blocks.clone();
            frozen.is_read_only = true;
            frozen.floor = u64::MAX;
            volume.floor = volume.next_stamp - 1;
            volume.holds -= 1;
            frozen
        });
        self.add(snapshot, frozen);
        self.moved.notify_all();
    }

    /// Gives back what nobody names: objects are deleted, parts of them punched.
    pub async fn reclaim(&self, name: &str) {
        let displaced = self.with(name, |volume| {
            volume.orphans.clear();
            volume.displaced.clone()
        });
        let all = (0, u64::MAX);
        self.recall(name, RecallKind::Quiesce, all, u32::MAX)
            .await
            .unwrap();
        for (block, source) in displaced {
            let mut is_used = [false; 16];
            for volume in self.volumes.borrow().values() {
                for (sub, other) in volume.block(block).iter().enumerate() {
                    is_used[sub] |= *other == Some(source);
                }
                for grant in volume.grants.values() {
                    if grant.block == block && grant.source == source {
                        grant
                            .subs
                            .clone()
                            .for_each(|sub| is_used[usize::from(sub)] = true);
                    }
                }
            }
            let object = object_name(source, block);
            if is_used.iter().all(|used| !used) {
                let _ = self.store.delete(&object).await;
            }
            for sub in (0..16_u64).filter(|sub| !is_used[*sub as usize]) {
                let _ = self.store.punch(Scope(0), &object, sub * 4096, 4096).await;
            }
            self.with(name, |volume| volume.displaced.remove(&(block, source)));
        }
        self.moved.notify_all();
    }

    /// Grants wait until it is over.
    pub fn hold_grants(&self, name: &str, are_held: bool) {
        self.with(name, |volume| volume.holds = u32::from(are_held));
        self.moved.notify_all();
    }

    async fn attach(&self, mut request: Incoming) {
        let name = request.target().as_str().unwrap_or_default().to_owned();
        let composer = request.args()[0] as u32;
        let found = {
            let mut volumes = self.volumes.borrow_mut();
            volumes.get_mut(&name).map(|volume| {
                volume.composers.insert(composer);
                (volume.id, volume.head(0), volume.token, volume.is_lost)
            })
        };
        let Some((id, head, token, is_lost)) = found else {
            return request.fail(Errno::NOENT);
        };
        let attached = Attached {
            id,
            // It has seen that the lock is its own.
            lease: self.station.segment().lease(self.station.id()).generation(),
            token,
            is_lost,
        };
        let told = attached.to_bytes();
        request.data().unwrap().write(0, &told).unwrap();
        request.set_answer_args(head.to_args());
        self.travel(ATTACH).await;
        request.answer(told.len() as u64);
    }

    async fn read(&self, name: &str, mut request: Incoming) {
        let (first, count) = (request.request().offset, request.request().length);
        let room = request.data().unwrap().len();
        let (head, bytes, told) = self.with(name, |volume| {
            let (bytes, told, runs) = volume.runs(first..first + count, room);
            (volume.head(runs), bytes, told)
        });
        request.data().unwrap().write(0, &bytes).unwrap();
        request.set_answer_args(head.to_args());
        self.travel(OpCode::MAP_READ).await; // what was told may be old when it arrives
        request.answer(told);
    }

    async fn grant(&self, name: &str, mut request: Incoming) {
        let call = GrantCall::from_args(request.args()).unwrap();
        let asked = call.from..call.from + call.count;
        if self.is_in_the_mood(self.moods.get().stale) {
            return request.fail(Errno::STALE);
        }
        let is_moody = self.is_in_the_mood(self.moods.get().wide);
        let subs = loop {
            // What other composers may write in place is neither moved nor copied.
            let writable = |subs: std::ops::Range<u16>| {
                self.with(name, |volume| {
                    volume.composers.len() > 1 && volume.has_writable(call.block, subs)
                })
            };
            if writable(asked.clone()) {
                return request.fail(Errno::STALE);
            }
            let wants_all = is_moody && !writable(0..16);
            let subs = if wants_all { 0..16 } else { asked.clone() };
            if !self.with(name, |volume| volume.must_wait(call.block, &subs)) {
                break subs;
            }
            self.moved.notified().await;
        };
        let (head, bytes) = self.with(name, |volume| {
            let map = volume.block(call.block);
            let (source, is_fresh) = volume.target(call.block);
            let number = self.next_grant.replace(self.next_grant.get() + 1);
            let runs = runs_of(call.block, &map, subs.clone());
            let grant = Grant {
                composer: call.composer,
                block: call.block,
                subs: subs.clone(),
                source,
            };
            volume.grant(number, grant);
            let head = GrantHead {
                grant: number,
                epoch: volume.epoch,
                stamp: source.1,
                is_fresh,
                from: subs.start,
                count: subs.end - subs.start,
                runs: runs.len() as u16,
            };
            let mut bytes = Vec::new();
            runs.iter().for_each(|run| run.write(&mut bytes));
            (head, bytes)
        });
        request.data().unwrap().write(0, &bytes).unwrap();
        request.set_answer_args(head.to_args());
        self.travel(OpCode::MAP_WRITE).await;
        request.answer(0);
    }

    async fn commit(&self, name: &str, mut request: Incoming) {
        let call = CommitCall::from_args(request.args()).unwrap();
        let is_moody = self.is_in_the_mood(self.moods.get().stale);
        let dies = self.is_in_the_mood(self.moods.get().dies);
        let committed = self.with(name, |volume| {
            if dies {
                volume.die();
            }
            if call.adopts != 0 && call.adopts == volume.adopts {
                let words = request.request();
                let from = words.length as u16;
                let orphan = Grant {
                    composer: call.composer,
                    block: words.offset,
                    subs: from..from + (words.length >> 16) as u16,
                    source: (volume.id, words.handle),
                };
                volume.adopt(call.grant, orphan);
                *self.adopted.borrow_mut() += 1;
            }
            let grant = volume.grants.get(&call.grant).cloned();
            let grant = grant.filter(|grant| grant.composer == call.composer)?;
            if is_moody {
                volume.void(|number, _| number == call.grant);
                return None;
            }
            volume.grants.remove(&call.grant);
            volume.assign(grant.block, grant.subs.clone(), Some(grant.source));
            volume.epoch += u64::from(volume.composers.len() > 1);
            Some((grant.block, volume.epoch))
        });
        self.moved.notify_all();
        let Some((block, epoch)) = committed else {
            let adopts = self.with(name, |volume| volume.adopts);
            request.set_answer_args([0, 0, 0, adopts]);
            return request.fail(Errno::STALE);
        };
        if self.with(name, |volume| volume.composers.len()) > 1 {
            let range = (block, 1);
            self.recall(name, RecallKind::Forget, range, call.composer)
                .await
                .unwrap();
        }
        let token = self.with(name, |volume| volume.token);
        request.set_answer_args(ChangedBy { epoch, token }.to_args());
        self.travel(OpCode::MAP_COMMIT).await;
        request.answer(0);
    }

    async fn discard(&self, name: &str, mut request: Incoming) {
        let (offset, length) = (request.request().offset, request.request().length);
        let composer = request.args()[0] as u32;
        self.with(name, |volume| {
            volume.holds += 1;
            volume.epoch += 1;
        });
        let all = (0, u64::MAX);
        self.recall(name, RecallKind::Forget, all, composer)
            .await
            .unwrap();
        let epoch = self.with(name, |volume| {
            volume.void(|_, grant| grant.composer != composer);
            volume.discard(offset..offset + length);
            volume.holds -= 1;
            volume.epoch
        });
        self.moved.notify_all();
        let token = self.with(name, |volume| volume.token);
        request.set_answer_args(ChangedBy { epoch, token }.to_args());
        self.delay().await;
        request.answer(0);
    }

    fn detach(&self, name: &str, request: Incoming) {
        let composer = request.args()[0] as u32;
        self.with(name, |volume| {
            volume.composers.remove(&composer);
            volume.void(|_, grant| grant.composer == composer);
        });
        self.moved.notify_all();
        request.answer(0);
    }

    fn give_up(&self, name: &str, request: Incoming) {
        let call = CommitCall::from_args(request.args()).unwrap();
        self.with(name, |volume| volume.void(|number, _| number == call.grant));
        self.moved.notify_all();
        request.answer(0);
    }
}

pub fn object_name((birth, stamp): crate::naive::Source, block: u64) -> ObjectName {
    let birth: String = birth.iter().map(|byte| format!("{byte:02x}")).collect();
    ObjectName::new(format!("{birth}/{stamp:016x}/{block:016x}").as_bytes()).unwrap()
}

impl Peer for Mapper {
    async fn handle(&self, request: Incoming) {
        let op = request.request().op;
        *self.asked.borrow_mut().entry(op.0).or_default() += 1;
        if matches!(op, ATTACH | OpCode::FLUSH) {
            self.had.borrow_mut().insert(op.0, request.args()[1]);
        }
        self.delay().await;
        if op == ATTACH {
            return self.attach(request).await;
        }
        let Some(name) = self.name_of(request.target().as_bytes()) else {
            return request.fail(Errno::BADFD);
        };
        let composer = match op {
            OpCode::MAP_WRITE | OpCode::MAP_COMMIT => None,
            _ => Some(request.args()[0] as u32),
        };
        let is_known = |composer| self.with(&name, |volume| volume.composers.contains(&composer));
        if op == OpCode::MAP_READ && !composer.is_some_and(is_known) {
            return request.fail(Errno::BADFD);
        }
        match op {
            DETACH => self.detach(&name, request),
            OpCode::MAP_READ => self.read(&name, request).await,
            OpCode::MAP_WRITE => self.grant(&name, request).await,
            OpCode::MAP_COMMIT => self.commit(&name, request).await,
            MAP_GIVE_UP => self.give_up(&name, request),
            MAP_DISCARD => self.discard(&name, request).await,
            OpCode::FLUSH => request.answer(0),
            _ => request.unsupported(),
        }
    }

    fn notice(&self, notice: Incoming) {
        notice.unsupported();
    }
}
