//! HASH: work that takes as long as it takes, told of a piece at a time.
//!
//! Whoever asks is answered soon: with the hash, or with how far it is. It is the snapshot that work is known by, so whoever
//! asks again finds what was begun, and two who ask for one wait for the same.
//!
//! # Invariants
//! * **HASHING-1** No request waits for work that takes long: an answer comes within the time that any call has.
//! * **HASHING-2** A snapshot is hashed once at a time; a failure is told to somebody who asks, and then forgotten.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use archipelago_protocol::HashAnswer;
use archipelago_runtime::local::Notify;
use xseg::Incoming;

use super::answer::{Answer, target_name};
use super::mapperd::Mapperd;
use crate::engine::{MapError, Progress};
use crate::map::VolumeId;

/// So long an answer is waited for before it is told how far the work is.
const ANSWER_AFTER: Duration = Duration::from_millis(500);
/// Hashes that are kept for whoever asks again; those that were asked for first are forgotten first.
const ENDED_MAX: usize = 64;

/// One snapshot that is being hashed, or was.
#[derive(Debug, Default)]
struct Work {
    progress: Progress,
    outcome: RefCell<Option<Result<String, MapError>>>,
    ended: Notify,
}

/// All that is being hashed, and what was hashed lately.
#[derive(Debug, Default)]
pub struct Hashing {
    works: RefCell<BTreeMap<VolumeId, Rc<Work>>>,
}

impl Hashing {
    /// Is nothing being hashed?
    pub fn is_idle(&self) -> bool {
        let works = self.works.borrow();
        works.values().all(|work| work.outcome.borrow().is_some())
    }

    fn find(&self, id: VolumeId) -> Option<Rc<Work>> {
        self.works.borrow().get(&id).cloned()
    }

    fn forget(&self, id: VolumeId) {
        self.works.borrow_mut().remove(&id);
    }

    fn begin(&self, id: VolumeId) -> Rc<Work> {
        let mut works = self.works.borrow_mut();
        if works.len() >= ENDED_MAX {
            works.retain(|_, work| work.outcome.borrow().is_none());
        }
        let work = Rc::new(Work::default());
        works.insert(id, work.clone());
        work
    }
}

impl Mapperd {
    pub(super) async fn hash(&self, request: &Incoming) -> Result<Answer, MapError> {
        let name = target_name(request)?;
        let head = self.mapper.find(&name).await?.head;
        self.check_snapshot_of(request, &head).await?;
        let work = match self.known_work(head.id).await? {
            Some(work) => work,
            None => self.begin_hashing(head.id, name)?,
        };
        let ended = work.ended.notified();
        if work.outcome.borrow().is_none() {
            let _ = self.handle.timeout(ANSWER_AFTER, ended).await; // whichever comes first
        }
        let outcome = work.outcome.borrow().clone();
        let hash = match outcome {
            Some(Err(error)) => {
                self.hashing.forget(head.id);
                return Err(error);
            }
            Some(Ok(hash)) => Some(hash),
            None => None,
        };
        Answer::json(&HashAnswer {
            hash,
            done: work.progress.done_blocks.get(),
            total: work.progress.total_blocks.get(),
        })
    }

    /// What was begun for this snapshot, unless the content that came of it was removed since.
    async fn known_work(&self, id: VolumeId) -> Result<Option<Rc<Work>>, MapError> {
        let Some(work) = self.hashing.find(id) else {
            return Ok(None);
        };
        let outcome = work.outcome.borrow().clone();
        if let Some(Ok(hash)) = outcome {
            match self.mapper.find_hash(&hash).await {
                Err(MapError::NoContent { .. }) => {
                    self.hashing.forget(id);
                    return Ok(None);
                }
                found => drop(found?),
            }
        }
        Ok(Some(work))
    }

    fn begin_hashing(&self, id: VolumeId, name: String) -> Result<Rc<Work>, MapError> {
        let me = self.me.upgrade().ok_or(MapError::Stopping)?;
        if let Some(work) = self.hashing.find(id) {
            return Ok(work);
        }
        let work = self.hashing.begin(id);
        let begun = work.clone();
        drop(self.handle.spawn(async move {
            let outcome = me.mapper.hash(&name, &begun.progress).await;
            if let Err(error) = &outcome {
                tracing::debug!(name, %error, "not hashed");
            }
            *begun.outcome.borrow_mut() = Some(outcome);
            begun.ended.notify_all();
            me.hashed.notify_all();
        }));
        Ok(work)
    }

    /// Gives up what is being hashed or collected, and waits until it is.
    pub(super) async fn stop_hashing(&self) {
        self.mapper.give_up_hashing();
        loop {
            let hashed = self.hashed.notified();
            if self.hashing.is_idle() && self.collecting.is_idle() {
                return;
            }
            hashed.await;
        }
    }
}
