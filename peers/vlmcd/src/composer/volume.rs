//! A volume as its composer knows it.
//!
//! # Invariants
//! * **COMPOSE-1** What is cached was fresh when it was put there, and is forgotten when it is recalled (EPOCH-1).
//! * **COMPOSE-3** What is told without the lock (L2) is not kept: each use asks anew, and what was read by it counts only if
//!   it is told once more afterwards.
//! * **COMPOSE-4** By which token we had the volume is remembered until we are told that it was closed in good order, that it is ours by another
//!   one, or that nobody is deceived any more: mappers that come after those who told us learn it from us (LOST-3).
//! * **COMPOSE-2** I/O is begun with a map in the same step in which the map was looked up: so a recall that comes later
//!   waits for it (UNDERWAY-1).

use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::rc::Rc;

use archipelago_protocol::{Attached, Had, MapHead, VolumeIdBytes};
use archipelago_runtime::local::Notify;
use xseg::Lease;

use crate::pure::{
    Assigned, BlockCache, BlockMap, ClaimId, ClaimMode, Claims, Epochs, QuestionId, Shape, Source,
    Underway,
};

#[derive(Debug)]
pub struct Volume {
    pub id: VolumeIdBytes,
    pub shape: Shape,
    state: RefCell<State>,
    claims: RefCell<Claims>,
    released: Notify,
    underway: RefCell<Underway>,
    ended: Notify,
    /// OPENs of it that are held.
    pub users: Cell<u64>,
    /// Requests that are being handled.
    pub active: Cell<u32>,
    told: Cell<Told>,
    /// COMPOSE-4; 0 if we had it not.
    had: Cell<u64>,
    /// How often it was closed: what was told before that does not say that we have it.
    closings: Cell<u64>,
    pub idle_since_ns: Cell<u64>,
}

/// Under what the mapper told us of the volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// The lease of its node.
    pub lease: u64,
    /// The token of its lock; 0 without the lock.
    pub token: u64,
}

impl Told {
    /// Of no volume.
    pub fn of(lease: Lease) -> Self {
        Self {
            lease: lease.generation(),
            token: 0,
        }
    }
}

/// What the mapper was told when it was asked of the volume.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// What we had under this name.
    pub had: Had,
    /// How often that had been closed, if it was known.
    pub closings: Option<u64>,
}

impl Asked {
    /// What of it is about this volume: another one may have got the name.
    fn of(self, id: &VolumeIdBytes) -> (u64, Option<u64>) {
        match self.had.id == *id {
            true => (self.had.token, self.closings),
            false => (0, None),
        }
    }
}

/// No lease has it.
const NEVER: u64 = u64::MAX;

#[derive(Debug)]
struct State {
    size: u64,
    is_read_only: bool,
    is_attached: bool,
    /// The size may have changed since it was told.
    is_old: bool,
    /// Somebody else has its lock: nothing is kept.
    is_foreign: bool,
    epochs: Epochs,
    cache: BlockCache,
}

impl Volume {
    /// `had` is what our predecessors had, as far as that is known.
    pub fn new(attached: &Attached, head: &MapHead, had: Had, cached_blocks_max: usize) -> Self {
        let volume = Self {
            id: attached.id,
            shape: Shape::of(head),
            state: RefCell::new(State {
                size: 0,
                is_read_only: true,
                is_attached: false,
                is_old: true,
                is_foreign: false,
                epochs: Epochs::default(),
                cache: BlockCache::new(cached_blocks_max),
            }),
            claims: RefCell::default(),
            released: Notify::new(),
            underway: RefCell::default(),
            ended: Notify::new(),
            users: Cell::new(0),
            active: Cell::new(0),
            told: Cell::new(Told { lease: 0, token: 0 }),
            had: Cell::new(0),
            closings: Cell::new(0),
            idle_since_ns: Cell::new(0),
        };
        volume.had.set(had.token_of(&attached.id));
        let asked = Asked {
            had,
            closings: None,
        };
        volume.attached(attached, head, asked);
        volume
    }

    /// The mapper knows that we have it.
    pub fn attached(&self, attached: &Attached, head: &MapHead, asked: Asked) {
        if self.told.get().token != attached.token && self.told.get().token != 0 {
            self.lose(); // another one may have had it since: what we know is old (COMPOSE-1)
        }
        self.told.set(Told {
            lease: attached.lease,
            token: attached.token,
        });
        let (had, closings) = asked.of(&self.id);
        let is_new = closings.is_none_or(|closings| closings == self.closings.get());
        let is_known = [0, had].contains(&self.had.get());
        if is_new && is_known && !attached.is_lost {
            self.had.set(attached.token); // COMPOSE-4
        }
        let mut state = self.state.borrow_mut();
        state.is_attached = true;
        state.hear(head);
        state.is_old = head.epoch < state.epochs.newest();
    }

    /// Is what we know of it as a whole good enough for I/O?
    pub fn is_ready(&self) -> bool {
        let state = self.state.borrow();
        state.is_attached && !state.is_old
    }

    pub fn told(&self) -> Told {
        self.told.get()
    }

    /// COMPOSE-4
    pub fn had(&self) -> Had {
        Had {
            id: self.id,
            token: self.had.get(),
        }
    }

    pub fn closings(&self) -> u64 {
        self.closings.get()
    }

    /// A change that was asked for when the volume had been closed so often was made under this token. The oldest one counts. Tells
    /// whether this is the first.
    pub fn hear_token(&self, token: u64, closings: u64) -> bool {
        let is_first = self.closings.get() == closings && self.had.get() == 0 && token != 0;
        if is_first {
            self.had.set(token);
        }
        is_first
    }

    /// It was closed in good order.
    pub fn close(&self) {
        self.lose();
        self.had.set(0);
        self.closings.set(self.closings.get() + 1);
    }

    /// The mapper is asked once more before it is used again.
    pub fn ask_whose_lock(&self) {
        let told = self.told.get();
        self.told.set(Told {
            lease: NEVER,
            ..told
        });
    }

    pub fn is_attached(&self) -> bool {
        self.state.borrow().is_attached
    }

    pub fn is_idle(&self) -> bool {
        self.users.get() == 0 && self.active.get() == 0
    }

    pub fn size(&self) -> u64 {
        self.state.borrow().size
    }

    pub fn is_read_only(&self) -> bool {
        self.state.borrow().is_read_only
    }

    /// May what was just told have changed already (COMPOSE-3)?
    pub fn is_foreign(&self) -> bool {
        self.state.borrow().is_foreign
    }

    pub fn is_writable(&self, source: &Source) -> bool {
        self.state.borrow().epochs.is_writable(&self.id, source)
    }

    pub fn cached(&self, block: u64) -> Option<Rc<BlockMap>> {
        self.state.borrow_mut().cache.get(block)
    }

    /// The mapper is asked about these blocks from now on, until the question is dropped.
    pub fn ask(&self, blocks: Range<u64>) -> Question<'_> {
        Question {
            id: self.state.borrow_mut().epochs.ask(blocks),
            volume: self,
        }
    }

    /// Takes in what the mapper answered, if it is fresh (COMPOSE-1).
    pub fn take_in(
        &self,
        question: &Question<'_>,
        head: &MapHead,
        first_block: u64,
        maps: &mut [Rc<BlockMap>],
    ) -> bool {
        self.put_commits(question, first_block, maps);
        let mut state = self.state.borrow_mut();
        let is_fresh = state.epochs.is_fresh(question.id, head.epoch);
        if !is_fresh {
            state.epochs.hear_epoch(head.epoch);
            return false;
        }
        state.hear(head);
        if !head.is_kept() {
            return true; // COMPOSE-3
        }
        for (block, map) in (first_block..).zip(maps.iter()) {
            state.cache.insert(block, map.clone());
        }
        true
    }

    /// The mapper granted an object of ours.
    pub fn hear_grant(&self, epoch: u64, stamp: u64) {
        let mut state = self.state.borrow_mut();
        state.epochs.hear_grant(epoch, stamp);
    }

    /// A grant was committed: the map says so, if nothing else happened.
    pub fn committed(
        &self,
        question: &Question<'_>,
        epoch: u64,
        place: (u64, Range<u16>),
        source: Source,
    ) {
        let (block, subs) = place;
        let mut state = self.state.borrow_mut();
        state.epochs.hear_epoch(epoch);
        if state.epochs.is_recalled(question.id) {
            state.cache.forget(block);
            state.epochs.change(&(block..block + 1));
            return;
        }
        state.cache.assign(block, subs.clone(), source);
        let assigned = Assigned {
            block,
            subs,
            source,
        };
        state.epochs.assign(&assigned);
    }

    /// What we committed while the question was on its way counts over what was told (EPOCH-5).
    pub fn put_commits(
        &self,
        question: &Question<'_>,
        first_block: u64,
        maps: &mut [Rc<BlockMap>],
    ) {
        let state = self.state.borrow();
        for assigned in state.epochs.assigned(question.id) {
            let place = assigned.block.checked_sub(first_block);
            let map = place.and_then(|place| maps.get_mut(usize::try_from(place).ok()?));
            if let Some(map) = map {
                Rc::make_mut(map).assign(assigned.subs.clone(), assigned.source);
            }
        }
    }

    /// We have changed the map of these blocks.
    pub fn changed(&self, blocks: &Range<u64>, epoch: u64) {
        let mut state = self.state.borrow_mut();
        state.cache.forget_range(blocks);
        state.epochs.change(blocks);
        state.epochs.hear_epoch(epoch);
    }

    pub fn forget(&self, block: u64) {
        self.state.borrow_mut().cache.forget(block);
    }

    /// The mapper takes back what it said about these blocks.
    pub fn recall(&self, epoch: u64, blocks: &Range<u64>) {
        let mut state = self.state.borrow_mut();
        let is_all = blocks.start == 0 && blocks.end >= self.shape.blocks(&(0..state.size)).end;
        state.is_old |= is_all && epoch > state.epochs.newest();
        state.epochs.recall(epoch, blocks);
        state.cache.forget_range(blocks);
    }

    /// The volume is not attached any more.
    pub fn lose(&self) {
        let mut state = self.state.borrow_mut();
        state.is_attached = false;
        state.epochs.reset();
        state.cache.forget_range(&(0..u64::MAX));
    }

    /// I/O begins (COMPOSE-2).
    pub fn begin_io(&self) -> IoGuard<'_> {
        IoGuard {
            time: self.underway.borrow_mut().begin(),
            volume: self,
        }
    }

    /// Does the grant of the question still hold?
    pub fn holds(&self, question: &Question<'_>, epoch: u64) -> bool {
        self.state.borrow().epochs.grant_holds(question.id, epoch)
    }

    /// The same, if the grant of the question still holds.
    pub fn begin_granted(&self, question: &Question<'_>, epoch: u64) -> Option<IoGuard<'_>> {
        let holds = self.state.borrow().epochs.grant_holds(question.id, epoch);
        holds.then(|| self.begin_io())
    }

    /// What was begun till now is to be waited for: see `is_over`.
    pub fn mark(&self) -> u64 {
        self.underway.borrow_mut().recall()
    }

    pub fn is_over(&self, mark: u64) -> bool {
        self.underway.borrow().is_over(mark)
    }

    /// Waits for all that was begun before the mark.
    pub async fn over(&self, mark: u64) {
        while !self.is_over(mark) {
            self.ended.notified().await;
        }
    }

    /// Waits for a range of sub-blocks, counted from the volume's first.
    pub async fn claim(&self, subs: Range<u64>, mode: ClaimMode) -> ClaimGuard<'_> {
        let id = self.claims.borrow_mut().ask(subs, mode);
        let guard = ClaimGuard { volume: self, id };
        while !self.claims.borrow_mut().is_granted(id) {
            self.released.notified().await;
        }
        guard
    }
}

impl State {
    fn hear(&mut self, head: &MapHead) {
        if head.epoch >= self.epochs.newest() {
            self.size = head.size;
            self.is_read_only = head.is_read_only;
        }
        self.is_foreign = !head.is_kept();
        self.epochs.hear(head.epoch, head.floor);
    }
}

/// A question that is on its way.
#[derive(Debug)]
pub struct Question<'a> {
    volume: &'a Volume,
    id: QuestionId,
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        self.volume.state.borrow_mut().epochs.close(self.id);
    }
}

/// I/O that a recall waits for.
#[derive(Debug)]
#[must_use = "dropped, the I/O counts as ended"]
pub struct IoGuard<'a> {
    volume: &'a Volume,
    time: u64,
}

impl Drop for IoGuard<'_> {
    fn drop(&mut self) {
        if self.volume.underway.borrow_mut().end(self.time) {
            self.volume.ended.notify_all();
        }
    }
}

/// A range that is ours to write.
#[derive(Debug)]
#[must_use = "dropped, the range is given back"]
pub struct ClaimGuard<'a> {
    volume: &'a Volume,
    id: ClaimId,
}

impl Drop for ClaimGuard<'_> {
    fn drop(&mut self) {
        if self.volume.claims.borrow_mut().release(self.id) {
            self.volume.released.notify_all();
        }
    }
}
