//! From a name to a volume that is attached.
//!
//! # Invariants
//! * **ATTACH-1** A name is attached once at a time; whoever needs it meanwhile waits for that.
//! * **ATTACH-2** Before this incarnation uses a volume for the first time, its predecessors' I/O has ended and the mapper
//!   has voided their grants (S7).
//! * **ATTACH-3** The mapper never hears a detach after an attach that was meant to follow it.

use std::cell::RefCell;
use std::rc::Rc;

use archipelago_protocol::{Attached, Had, MapHead, VolumeIdBytes};
use archipelago_runtime::local;

use super::core::{Composer, Name};
use super::volume::{Asked, Volume};
use crate::error::ComposeError;

/// What a name stands for.
#[derive(Debug, Default)]
pub struct NameEntry {
    volume: RefCell<Option<Rc<Volume>>>,
    /// ATTACH-1
    turn: local::Mutex<()>,
}

impl NameEntry {
    /// The volume, if what we know of it is good enough for I/O, and was told under the lease of now (UNDER-1).
    fn ready(&self, composer: &Composer) -> Option<Rc<Volume>> {
        let volume = self.volume.borrow();
        let is_ready =
            |volume: &&Rc<Volume>| volume.is_ready() && composer.is_of_now(volume.told());
        volume.as_ref().filter(is_ready).cloned()
    }

    /// The volume that it stands for, or stood for.
    pub fn id(&self) -> Option<VolumeIdBytes> {
        let volume = self.volume.borrow();
        volume.as_ref().map(|volume| volume.id)
    }

    pub fn stands_for(&self, volume: &Rc<Volume>) -> bool {
        let own = self.volume.borrow();
        own.as_ref().is_some_and(|own| Rc::ptr_eq(own, volume))
    }
}

/// One request that uses a volume: it is not idle meanwhile.
#[derive(Debug)]
pub struct Visit<'a> {
    composer: &'a Composer,
    pub volume: Rc<Volume>,
}

impl<'a> Visit<'a> {
    fn new(composer: &'a Composer, volume: Rc<Volume>) -> Self {
        volume.active.set(volume.active.get() + 1);
        Self { composer, volume }
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        self.volume.active.set(self.volume.active.get() - 1);
        self.composer.look_whether_idle(&self.volume);
    }
}

/// An attach that is under way (ATTACH-3).
struct Attaching<'a>(&'a Composer);

impl<'a> Attaching<'a> {
    async fn begin(composer: &'a Composer) -> Self {
        while composer.is_detaching.get() {
            composer.detached.notified().await;
        }
        composer.attaching.set(composer.attaching.get() + 1);
        Self(composer)
    }
}

impl Drop for Attaching<'_> {
    fn drop(&mut self) {
        self.0.attaching.set(self.0.attaching.get() - 1);
    }
}

impl Composer {
    /// The volume of this name, attached. `anew`: the mapper is asked what the name stands for now.
    pub async fn visit(&self, name: &Name, anew: bool) -> Result<Visit<'_>, ComposeError> {
        let entry = {
            let mut names = self.names.borrow_mut();
            match names.get(name) {
                Some(entry) => entry.clone(),
                None => names.entry(name.clone()).or_default().clone(),
            }
        };
        let found = if anew { None } else { entry.ready(self) };
        if let Some(volume) = found {
            return Ok(Visit::new(self, volume));
        }
        let attached = self.attach(name, &entry, anew).await;
        if attached.is_err() && entry.volume.borrow().is_none() && Rc::strong_count(&entry) == 2 {
            self.names.borrow_mut().remove(name); // names that stand for nothing are not kept
        }
        attached
    }

    async fn attach(
        &self,
        name: &Name,
        entry: &Rc<NameEntry>,
        anew: bool,
    ) -> Result<Visit<'_>, ComposeError> {
        let _turn = entry.turn.lock().await;
        let found = if anew { None } else { entry.ready(self) };
        if let Some(volume) = found {
            return Ok(Visit::new(self, volume));
        }
        let attaching = Attaching::begin(self).await;
        let asked = self.what_was_had(name, entry);
        let (attached, head) = self.ask_attach(name, asked.had).await?;
        let known = self.volumes.borrow().get(&attached.id).cloned();
        let volume = match known {
            Some(volume) => {
                volume.attached(&attached, &head, asked);
                volume
            }
            None => self.meet(name, (attached, head), asked.had).await?,
        };
        self.note_had(&volume);
        *entry.volume.borrow_mut() = Some(volume.clone());
        let visit = Visit::new(self, volume);
        drop(attaching);
        Ok(visit)
    }

    /// What we, or our predecessors, had under this name, and by which token (COMPOSE-4). It may stand for another one now.
    fn what_was_had(&self, name: &Name, entry: &NameEntry) -> Asked {
        let before = entry.volume.borrow();
        let volumes = self.volumes.borrow();
        let is_known = |before: &&Rc<Volume>| volumes.contains_key(&before.id);
        match before.as_ref().filter(is_known) {
            Some(before) => Asked {
                had: before.had(),
                closings: Some(before.closings()),
            },
            None => Asked {
                had: self.had_by_predecessors(name),
                closings: None,
            },
        }
    }

    /// A volume that we do not know. What we had of it in an earlier life is over (ATTACH-2).
    async fn meet(
        &self,
        name: &Name,
        told: (Attached, MapHead),
        had: Had,
    ) -> Result<Rc<Volume>, ComposeError> {
        let id = told.0.id;
        let _meeting = self.meeting.lock().await;
        if let Some(volume) = self.volumes.borrow().get(&id) {
            return Ok(volume.clone()); // somebody was faster, by another name
        }
        let mut now = told;
        if !self.met.borrow().contains(&id) {
            self.orphans_ended().await;
            self.ask_detach(&id).await?;
            if self.orphaned_grants_ended(&id).await {
                self.ask_detach(&id).await?; // they were granted to nobody
            }
            now = self.ask_attach(name, had).await?;
        }
        let (attached, head) = now;
        self.met.borrow_mut().insert(attached.id);
        let cached_blocks_max = self.options.cached_blocks_max;
        let volume = Rc::new(Volume::new(&attached, &head, had, cached_blocks_max));
        let mut volumes = self.volumes.borrow_mut();
        volumes.insert(attached.id, volume.clone());
        Ok(volume)
    }
}
