//! What administrators ask of locks: who has them, whether he lives, and to take them from who does not.
//!
//! # Invariants
//! * **EVICT-1** No lock of a node is broken as long as one of those who have its locks lives.

use std::collections::BTreeMap;

use archipelago_protocol::{LockInfo, LocksAnswer, LocksCall, LostInfo, UnlockAnswer, UnlockCall};
use archipelago_store::LockRecord;
use xseg::{Incoming, flags};

use super::answer::{Answer, call, target_name};
use super::mapperd::Mapperd;
use crate::engine::{Force, MapError, World};
use crate::map::VolumeId;

impl Mapperd {
    pub(super) async fn unlock(&self, request: &Incoming) -> Result<Answer, MapError> {
        let call: UnlockCall = call(request)?;
        if let Some(node) = &call.node {
            return Answer::json(&self.evict(node).await?);
        }
        let name = target_name(request)?;
        let force = if call.anyway {
            Force::Anyway
        } else if call.fenced {
            Force::Fenced
        } else if request.request().flags & flags::FORCE != 0 {
            Force::IfDead
        } else {
            Force::No
        };
        let id = self.mapper.find(&name).await?.head.id;
        let before = self.mapper.base().lock_record(id).await?;
        let broken = before
            .map(|record| self.lock_info(&name, &record))
            .filter(|lock| !lock.is_ours);
        match self.mapper.unlock_id(id, &name, force).await {
            // The mapper that died with this request may have done it.
            Err(MapError::NotLocked { .. }) if request.request().redelivered => {}
            unlocked => unlocked?,
        }
        Answer::json(&UnlockAnswer {
            broken: broken.into_iter().collect(),
        })
    }

    /// Breaks all locks of a node that does not live (EVICT-1).
    async fn evict(&self, node: &str) -> Result<UnlockAnswer, MapError> {
        if self.mapper.base().world.owner().node == node {
            return Err(MapError::Invalid {
                what: "the node",
                why: format!("{node} is this one, and lives"),
            });
        }
        let mut theirs = self.all_locks().await?;
        theirs.retain(|(_, lock)| lock.node == node);
        if let Some((_, living)) = theirs.iter().find(|(_, lock)| lock.lives == Some(true)) {
            return Err(MapError::OwnerLives {
                name: living.volume.clone(),
                owner: format!("{} on {}", living.deployment, living.node),
                since: Some(living.since),
            });
        }
        let names = theirs.iter().map(|(id, lock)| (*id, lock.volume.as_str()));
        // Each break looks for itself once more (LOCK-6).
        let outcomes = self.mapper.unlock_all(names, Force::IfDead).await;
        let mut answer = UnlockAnswer::default();
        for ((_, lock), outcome) in theirs.into_iter().zip(outcomes) {
            match outcome {
                Ok(()) => answer.broken.push(lock),
                Err(MapError::NotLocked { .. }) => {} // somebody else did it
                Err(error) => return Err(error),
            }
        }
        self.wake_emptying();
        Ok(answer)
    }

    pub(super) async fn locks(&self, request: &Incoming) -> Result<Answer, MapError> {
        let call: LocksCall = call(request)?;
        let mut answer = LocksAnswer {
            lost: self.lost(),
            ..LocksAnswer::default()
        };
        if call.lost_only {
            return Answer::json(&answer);
        }
        let after = call.after.unwrap_or_default();
        let room = request.data().map_or(0, |data| data.len());
        let mut bytes = 64 + text_bytes(&answer);
        for (_, lock) in self.all_locks().await? {
            if lock.volume <= after {
                continue;
            }
            bytes += text_bytes(&lock) + 1;
            if bytes > room && !answer.locks.is_empty() {
                answer.more = true;
                break;
            }
            answer.locks.push(lock);
        }
        Answer::json(&answer)
    }

    fn lost(&self) -> Vec<LostInfo> {
        let info = |lost: crate::engine::Lost| LostInfo {
            problem: lost.error.to_string(),
            remedy: lost.error.remedy(),
            clients: lost.users.len() as u64,
            volume: lost.name,
        };
        self.mapper.lost().into_iter().map(info).collect()
    }

    /// By the names of the volumes: also those of volumes that are damaged, or in the trash.
    async fn all_locks(&self) -> Result<Vec<(VolumeId, LockInfo)>, MapError> {
        let base = self.mapper.base();
        let mut names = BTreeMap::new();
        for id in base.trash().await? {
            names.insert(id, (id.to_string(), true));
        }
        for entry in base.entries().await? {
            names.insert(entry.id, (entry.name, false));
        }
        let mut locks = Vec::new();
        let mut lives = BTreeMap::new();
        for (id, (name, in_trash)) in names {
            let Some(record) = base.lock_record(id).await? else {
                continue;
            };
            let mut lock = self.lock_info(&name, &record);
            lock.in_trash = in_trash;
            if !lock.is_ours {
                let owner = (lock.node.clone(), lock.deployment.clone());
                lock.lives = match lives.get(&owner) {
                    Some(known) => *known,
                    None => base.owner_lives(id).await?,
                };
                lives.insert(owner, lock.lives);
            }
            locks.push((id, lock));
        }
        locks.sort_by(|(_, left), (_, right)| left.volume.cmp(&right.volume));
        Ok(locks)
    }

    pub(super) fn lock_info(&self, volume: &str, record: &LockRecord) -> LockInfo {
        let world = &self.mapper.base().world;
        let is_ours = record.is_of(world.owner());
        LockInfo {
            volume: volume.to_owned(),
            node: record.owner.node.clone(),
            deployment: record.owner.deployment.clone(),
            since: record.since,
            token: record.token,
            is_ours,
            lives: is_ours.then_some(true),
            is_being_broken: record.is_being_broken(),
            lease_ms: world.lease_left_ms().filter(|_| is_ours),
            in_trash: false,
        }
    }
}

fn text_bytes(value: &impl serde::Serialize) -> u64 {
    serde_json::to_vec(value).map_or(0, |text| text.len() as u64)
}
