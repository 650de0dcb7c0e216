//! What administrators ask.

use archipelago_protocol::{
    CreateCall, Damaged, ListAnswer, ListCall, LockInfo, RemoveCall, RenameCall, ResizeCall,
    VolumeInfo,
};
use xseg::{Incoming, OpCode};

use super::answer::{Answer, call, name, target_name};
use super::mapperd::Mapperd;
use crate::engine::{CreateOptions, MapError, Origin, World};
use crate::map::{Head, Shape, VolumeId};

/// Volumes in one page of a listing.
const LIST_MAX: usize = 500;
/// Objects of 4 MiB in sub-blocks of 4 KiB.
const OBJECT_BITS: u8 = 22;
const GRAIN_BITS: u8 = 12;

impl Mapperd {
    pub(super) async fn create(&self, request: &Incoming) -> Result<Answer, MapError> {
        let target = target_name(request)?;
        let call: CreateCall = call(request)?;
        let origin = match (&call.origin, &call.hash) {
            (None, None) => None,
            (Some(origin), None) => Some(self.origin(request.request().op, origin).await?),
            (None, Some(hash)) => Some(Origin::Hash(checked_hash(hash)?)),
            (Some(_), Some(_)) => {
                return Err(MapError::Invalid {
                    what: "the call",
                    why: "a volume begins as a snapshot or as content, not as both".into(),
                });
            }
        };
        let options = CreateOptions {
            size: call.size,
            origin,
            shape: shape(call.object_bytes, call.grain_bytes)?,
        };
        self.mapper
            .create(&target, self.id_for(request), &options)
            .await?;
        self.told(&target).await
    }

    /// The origin by its name, or as `V@S`.
    async fn origin(&self, op: OpCode, origin: &str) -> Result<Origin, MapError> {
        let (volume, origin) = match origin.split_once('@') {
            Some((volume, snapshot)) => (Some(name(Some(volume))?), name(Some(snapshot))?),
            None => (None, name(Some(origin))?),
        };
        if let Some(volume) = volume {
            let loaded = self.mapper.find(&origin).await?;
            self.check_is_of(&loaded.head, &volume).await?;
        }
        Ok(if op == OpCode::CLONE {
            Origin::Any(origin)
        } else {
            Origin::Snapshot(origin)
        })
    }

    /// The snapshot is one of this volume: it lies on the way from the volume to its oldest ancestor.
    pub(super) async fn check_is_of(&self, snapshot: &Head, volume: &str) -> Result<(), MapError> {
        let mut at = self.mapper.find(volume).await?.head.parent;
        // As long as there are heads: a circle would be an end as well (F44).
        for _ in 0..1 << 20 {
            let Some(id) = at else { break };
            if id == snapshot.id {
                return Ok(());
            }
            at = self
                .mapper
                .base()
                .load(id)
                .await?
                .and_then(|loaded| loaded.head.parent);
        }
        Err(MapError::NotFound {
            name: format!("{volume}@{}", snapshot.name),
        })
    }

    /// A request that is asked again makes the same volume.
    fn id_for(&self, request: &Incoming) -> VolumeId {
        let [low, high] = request.operation_id();
        let number = u128::from(low) | u128::from(high) << 64;
        let random = || self.mapper.base().world.random_id();
        VolumeId::new(number.to_be_bytes()).unwrap_or_else(random)
    }

    async fn told_if_there(&self, name: &str) -> Result<Option<VolumeInfo>, MapError> {
        match self.mapper.base().find(name).await? {
            None => Ok(None),
            Some(loaded) => Ok(Some(self.tell(&loaded.head).await?)),
        }
    }

    async fn told(&self, name: &str) -> Result<Answer, MapError> {
        let head = self.mapper.find(name).await?.head;
        Answer::json(&self.tell(&head).await?)
    }

    async fn tell(&self, head: &Head) -> Result<VolumeInfo, MapError> {
        let parent = match head.parent {
            None => None,
            Some(parent) => self.mapper.base().load(parent).await?,
        };
        let parent = parent
            .map(|parent| parent.head)
            .filter(|parent| !parent.flags.nameless);
        Ok(VolumeInfo {
            name: head.name.clone(),
            id: head.id.to_string(),
            size: head.size_bytes,
            is_snapshot: head.flags.snapshot,
            object_bytes: head.shape.object_bytes(),
            grain_bytes: head.shape.grain_bytes(),
            parent: parent.map(|parent| parent.name),
            created: head.created_seconds,
            lock: self.lock_of(head).await?,
            is_open: self.mapper.open_volume(head.id).is_some(),
        })
    }

    async fn lock_of(&self, head: &Head) -> Result<Option<LockInfo>, MapError> {
        let record = self.mapper.base().lock_record(head.id).await?;
        Ok(record.map(|record| self.lock_info(&head.name, &record)))
    }

    pub(super) async fn snapshot(&self, request: &Incoming) -> Result<Answer, MapError> {
        let volume = target_name(request)?;
        let snapshot = name(request.snapshot().as_str())?;
        self.mapper
            .snapshot(&volume, &snapshot, self.id_for(request))
            .await?;
        self.told(&snapshot).await
    }

    pub(super) async fn remove(&self, request: &Incoming) -> Result<Answer, MapError> {
        let call: RemoveCall = call(request)?;
        if let Some(hash) = &call.hash {
            return self.remove_hash(request, hash).await;
        }
        let target = target_name(request)?;
        let found = match self.mapper.find(&target).await {
            // Our predecessor did it (S6).
            Err(MapError::NotFound { .. }) if request.request().redelivered => {
                return Ok(Answer::default());
            }
            found => found?.head,
        };
        let volume = request.snapshot();
        if !volume.as_bytes().is_empty() {
            self.check_is_of(&found, &name(volume.as_str())?).await?;
        }
        let _alone = self.let_go(&found).await?;
        self.mapper.remove(&target).await?;
        self.wake_emptying();
        Ok(Answer::default())
    }

    async fn remove_hash(&self, request: &Incoming, hash: &str) -> Result<Answer, MapError> {
        match self.mapper.remove_hash(&checked_hash(hash)?).await {
            // Our predecessor did it (S6).
            Err(MapError::NoContent { .. }) if request.request().redelivered => {}
            removed => removed?,
        }
        self.wake_emptying();
        Ok(Answer::default())
    }

    pub(super) async fn rename(&self, request: &Incoming) -> Result<Answer, MapError> {
        let from = target_name(request)?;
        let call: RenameCall = super::answer::required(request)?;
        let to = name(Some(&call.to))?;
        if request.request().redelivered && self.mapper.find(&from).await.is_err() {
            return self.told(&to).await;
        }
        // What clients ask for by the old name may be another volume's soon.
        let _alone = match self.mapper.find(&from).await {
            Ok(found) => Some(self.let_go(&found.head).await?),
            Err(_) => None, // it may have been renamed already
        };
        self.mapper.rename(&from, &to).await?;
        self.told(&to).await
    }

    pub(super) async fn resize(&self, request: &Incoming) -> Result<Answer, MapError> {
        let target = target_name(request)?;
        let call: ResizeCall = super::answer::required(request)?;
        let head = self.mapper.find(&target).await?.head;
        // A client that stays sees the size that it saw (F83): what it has must not be cut off.
        let _alone = if call.allow_shrink && call.size < head.size_bytes {
            Some(self.let_go(&head).await?)
        } else {
            None
        };
        self.mapper
            .resize(&target, call.size, call.allow_shrink)
            .await?;
        self.wake_tidy();
        self.told(&target).await
    }

    pub(super) async fn info(&self, request: &Incoming) -> Result<Answer, MapError> {
        let target = target_name(request)?;
        let head = self.mapper.find(&target).await?.head;
        let volume = request.snapshot();
        if !volume.as_bytes().is_empty() {
            self.check_is_of(&head, &name(volume.as_str())?).await?;
        }
        Answer::json(&self.tell(&head).await?)
    }

    pub(super) async fn list(&self, request: &Incoming) -> Result<Answer, MapError> {
        let call: ListCall = call(request)?;
        let after = call.after.unwrap_or_default();
        let room = request.data().map_or(0, |data| data.len());
        let mut answer = ListAnswer::default();
        let mut bytes = 64;
        for entry in self.mapper.base().entries().await? {
            if entry.name <= after {
                continue;
            }
            let found = match self.told_if_there(&entry.name).await {
                Ok(None) => continue,
                Ok(Some(info)) => Ok(info),
                // One that is damaged does not hide the others.
                Err(error) if error.is_damage() => Err(Damaged {
                    name: entry.name,
                    problem: error.to_string(),
                }),
                Err(error) => return Err(error),
            };
            let text = match &found {
                Ok(info) => serde_json::to_vec(info),
                Err(damaged) => serde_json::to_vec(damaged),
            };
            bytes += text.map_or(0, |text| text.len() as u64 + 1);
            let listed = answer.volumes.len() + answer.damaged.len();
            if listed == LIST_MAX || (bytes > room && listed > 0) {
                answer.more = true;
                break;
            }
            match found {
                Ok(info) => answer.volumes.push(info),
                Err(damaged) => answer.damaged.push(damaged),
            }
        }
        Answer::json(&answer)
    }

    pub(super) async fn open(&self, request: &Incoming) -> Result<Answer, MapError> {
        let target = target_name(request)?;
        self.mapper.open(&target, false).await?;
        self.told(&target).await
    }

    /// Gives all back, the lock that somebody holds as well.
    pub(super) async fn close(&self, request: &Incoming) -> Result<Answer, MapError> {
        let target = target_name(request)?;
        let id = self.mapper.find(&target).await?.head.id;
        if self.mapper.holds_lock(id).await? {
            self.mapper.base().let_go(id).await?;
        }
        self.mapper.close(&target).await?;
        Ok(Answer::default())
    }

    pub(super) async fn lock(&self, request: &Incoming) -> Result<Answer, MapError> {
        let target = target_name(request)?;
        self.mapper.lock(&target).await?;
        self.told(&target).await
    }

    pub(super) async fn children(&self, request: &Incoming) -> Result<Answer, MapError> {
        let head = self.mapper.find(&target_name(request)?).await?.head;
        let mut answer = ListAnswer::default();
        for child in self.mapper.base().children(head.id).await? {
            if let Some(loaded) = self.mapper.base().load_left(child).await?
                && !loaded.head.flags.nameless
            {
                answer.volumes.push(self.tell(&loaded.head).await?);
            }
        }
        Answer::json(&answer)
    }
}

/// 64 hexadecimal digits, in lower case: they become a part of an object's name.
fn checked_hash(text: &str) -> Result<String, MapError> {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if text.len() == 64 && text.bytes().all(is_digit) {
        return Ok(text.to_owned());
    }
    Err(MapError::Invalid {
        what: "the hash",
        why: "it has not 64 hexadecimal digits in lower case".into(),
    })
}

fn shape(object_bytes: Option<u64>, grain_bytes: Option<u64>) -> Result<Shape, MapError> {
    let bits = |what, bytes: Option<u64>, usual: u8| match bytes {
        None => Ok(usual),
        Some(bytes) if bytes.is_power_of_two() => Ok(bytes.trailing_zeros() as u8),
        Some(bytes) => Err(MapError::Invalid {
            what,
            why: format!("{bytes} bytes are no power of two"),
        }),
    };
    let object_bits = bits("the object size", object_bytes, OBJECT_BITS)?;
    let smallest = object_bits.saturating_sub(10).max(GRAIN_BITS);
    let grain_bits = bits("the grain", grain_bytes, smallest)?;
    Shape::new(object_bits, grain_bits).map_err(|error| MapError::Invalid {
        what: "the object size",
        why: error.to_string(),
    })
}
