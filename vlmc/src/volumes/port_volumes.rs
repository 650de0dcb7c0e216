//! Volumes of the node that runs.

use std::time::Duration;

use archipelago_protocol::{
    CHILDREN, CreateCall, ErrorCode, GcAnswer, GcCall, HashAnswer, LOCK, LOCKS, ListAnswer,
    ListCall, LockInfo, LocksAnswer, LocksCall, LostInfo, RemoveCall, RenameCall, ResizeCall,
    UNLOCK, UnlockAnswer, UnlockCall, VolumeInfo, VolumeName, VolumeRef,
};
use rustix::rand::{GetRandomFlags, getrandom};
use serde::Serialize;
use serde::de::DeserializeOwned;
use xseg::{OpCode, flags};

use super::asking::{Ask, Whom, ask};
use crate::attach::Attacher;
use crate::cli::{
    Attachment, Breaking, CloneRequest, Collecting, CreateRequest, CreateSource, ErrorReport,
    MapRequest, Progress, ResizeRequest, Volumes,
};
use crate::config::Config;

/// Pages of a listing: an end, should the mapper never say that there is one.
const PAGES_MAX: u32 = 100_000;

/// The volumes behind the configured mapper.
#[derive(Clone, Debug)]
pub struct PortVolumes<'a> {
    config: &'a Config,
    timeout: Duration,
}

/// A call without a text.
const NOTHING: Option<&()> = None;

impl<'a> PortVolumes<'a> {
    pub fn new(config: &'a Config, timeout: Duration) -> Self {
        Self { config, timeout }
    }

    fn ask<T: DeserializeOwned>(
        &self,
        words: &Ask<'_>,
        call: Option<&impl Serialize>,
    ) -> Result<T, ErrorReport> {
        ask(self.config, self.timeout, Whom::Mapper, words, call)
    }

    fn of_volume<'b>(op: OpCode, volume: &'b VolumeRef) -> Ask<'b> {
        Ask {
            snapshot: volume.volume.as_ref().map_or("", VolumeName::as_str),
            ..Ask::new(op, volume.name.as_str())
        }
    }

    /// Refuses what must not happen to a volume that is attached here.
    fn check_not_mapped(&mut self, volume: &VolumeRef) -> Result<(), ErrorReport> {
        // Of one that cannot be asked for, as one that is damaged, only the name is known.
        let id = self.info(volume).map(|info| info.id).unwrap_or_default();
        self.attacher().check_free(&id, &volume.to_string())
    }

    /// What was taken from this node: asks nothing of the store.
    pub fn lost(&self) -> Result<Vec<LostInfo>, ErrorReport> {
        let call = LocksCall {
            lost_only: true,
            ..LocksCall::default()
        };
        let answer: LocksAnswer = self.ask(&Ask::new(LOCKS, ""), Some(&call))?;
        Ok(answer.lost)
    }

    fn attacher(&self) -> Attacher<'_> {
        Attacher::new(self.config, self.timeout)
    }
}

impl Volumes for PortVolumes<'_> {
    fn map(&mut self, request: &MapRequest) -> Result<Attachment, ErrorReport> {
        let info = self.info(&request.volume)?;
        self.attacher().attach(request, &info)
    }

    fn unmap(&mut self, device: &str) -> Result<(), ErrorReport> {
        self.attacher().detach(device)
    }

    fn attachments(&mut self) -> Result<Vec<Attachment>, ErrorReport> {
        self.attacher().attachments()
    }

    fn create(&mut self, request: &CreateRequest) -> Result<VolumeInfo, ErrorReport> {
        let mut call = CreateCall {
            size: request.size.map(|size| size.bytes()),
            object_bytes: request.object_bytes,
            ..CreateCall::default()
        };
        match &request.source {
            CreateSource::Blank => {}
            CreateSource::Snapshot(snapshot) => call.origin = Some(snapshot.to_string()),
            CreateSource::Hash(hash) => call.hash = Some(hash.clone()),
        }
        self.ask(
            &Ask::new(OpCode::CREATE, request.volume.as_str()),
            Some(&call),
        )
    }

    fn snapshot(&mut self, volume: &VolumeName, snapshot: &VolumeName) -> Result<(), ErrorReport> {
        let words = Ask {
            snapshot: snapshot.as_str(),
            ..Ask::new(OpCode::SNAPSHOT, volume.as_str())
        };
        self.ask::<serde_json::Value>(&words, NOTHING).map(drop)
    }

    fn remove(&mut self, volume: &VolumeRef) -> Result<(), ErrorReport> {
        self.check_not_mapped(volume)?;
        self.ask::<()>(&Self::of_volume(OpCode::REMOVE, volume), NOTHING)
    }

    fn remove_hash(&mut self, hash: &str) -> Result<(), ErrorReport> {
        let call = RemoveCall {
            hash: Some(hash.to_owned()),
        };
        self.ask::<()>(&Ask::new(OpCode::REMOVE, ""), Some(&call))
    }

    fn list(&mut self) -> Result<ListAnswer, ErrorReport> {
        let mut all = ListAnswer::default();
        for _ in 0..PAGES_MAX {
            let call = ListCall {
                after: all.last().map(str::to_owned),
            };
            let page: ListAnswer = self.ask(&Ask::new(OpCode::LIST, ""), Some(&call))?;
            let is_last = !page.more || page.last().is_none();
            all.volumes.extend(page.volumes);
            all.damaged.extend(page.damaged);
            if is_last {
                return Ok(all);
            }
        }
        Err(ErrorReport::new(
            ErrorCode::Failed,
            "the list of volumes has no end",
            "",
        ))
    }

    fn info(&mut self, volume: &VolumeRef) -> Result<VolumeInfo, ErrorReport> {
        self.ask(&Self::of_volume(OpCode::INFO, volume), NOTHING)
    }

    fn open(&mut self, volume: &VolumeName) -> Result<(), ErrorReport> {
        let words = Ask::new(OpCode::OPEN, volume.as_str());
        self.ask::<serde_json::Value>(&words, NOTHING).map(drop)
    }

    fn close(&mut self, volume: &VolumeName) -> Result<(), ErrorReport> {
        self.ask::<()>(&Ask::new(OpCode::CLOSE, volume.as_str()), NOTHING)
    }

    fn lock(&mut self, volume: &VolumeName) -> Result<(), ErrorReport> {
        let words = Ask::new(LOCK, volume.as_str());
        self.ask::<serde_json::Value>(&words, NOTHING).map(drop)
    }

    fn unlock(
        &mut self,
        volume: &VolumeName,
        breaking: Breaking,
    ) -> Result<Vec<LockInfo>, ErrorReport> {
        let words = Ask {
            flags: match breaking {
                Breaking::OwnOnly => 0,
                Breaking::Anybodys | Breaking::Fenced | Breaking::Anyway => flags::FORCE,
            },
            ..Ask::new(UNLOCK, volume.as_str())
        };
        let call = UnlockCall {
            anyway: breaking == Breaking::Anyway,
            fenced: breaking == Breaking::Fenced,
            node: None,
        };
        let answer: UnlockAnswer = self.ask(&words, Some(&call))?;
        Ok(answer.broken)
    }

    fn evict_node(&mut self, node: &str) -> Result<Vec<LockInfo>, ErrorReport> {
        let call = UnlockCall {
            node: Some(node.to_owned()),
            ..UnlockCall::default()
        };
        let answer: UnlockAnswer = self.ask(&Ask::new(UNLOCK, ""), Some(&call))?;
        Ok(answer.broken)
    }

    fn rename(&mut self, volume: &VolumeName, new_name: &VolumeName) -> Result<(), ErrorReport> {
        self.check_not_mapped(&volume.clone().into())?;
        let call = RenameCall {
            to: new_name.as_str().to_owned(),
        };
        let words = Ask::new(OpCode::RENAME, volume.as_str());
        self.ask::<serde_json::Value>(&words, Some(&call)).map(drop)
    }

    fn resize(&mut self, request: &ResizeRequest) -> Result<(), ErrorReport> {
        let call = ResizeCall {
            size: request.size.bytes(),
            allow_shrink: request.allow_shrink,
        };
        let volume: VolumeRef = request.volume.clone().into();
        // Who uses it would lose what they have there; their kernel may not even learn of it.
        if request.allow_shrink && call.size < self.info(&volume)?.size {
            self.check_not_mapped(&volume)?;
        }
        let words = Ask::new(OpCode::RESIZE, request.volume.as_str());
        self.ask::<serde_json::Value>(&words, Some(&call))?;
        let attacher = Attacher::new(self.config, self.timeout);
        let mut node = self.clone();
        let mut look = |_: &str| node.info(&volume);
        let told = attacher.resized(request.volume.as_str(), &mut look);
        told.map_err(|error| {
            let message = format!(
                "the volume is resized, but those who use it do not know: {}",
                error.message
            );
            ErrorReport { message, ..error }
        })
    }

    /// It takes as long as it takes: asked again and again, the mapper tells how far it is. Each answer has the time-out.
    fn hash(
        &mut self,
        snapshot: &VolumeRef,
        progress: &mut Progress,
    ) -> Result<String, ErrorReport> {
        loop {
            let words = Self::of_volume(OpCode::HASH, snapshot);
            let answer: HashAnswer = self.ask(&words, NOTHING)?;
            if let Some(hash) = answer.hash {
                return Ok(hash);
            }
            if answer.total > 0 {
                progress.report(answer.done, answer.total);
            }
        }
    }

    /// Like a hash: asked again with the same number, the mapper tells how far it is.
    fn gc(&mut self, what: Collecting, progress: &mut Progress) -> Result<GcAnswer, ErrorReport> {
        let mut number = [0; 8];
        getrandom(&mut number, GetRandomFlags::empty()).map_err(|error| {
            ErrorReport::new(ErrorCode::Failed, format!("no random number: {error}"), "")
        })?;
        let call = GcCall {
            number: u64::from_le_bytes(number),
            dry_run: what == Collecting::DryRun,
        };
        loop {
            let answer: GcAnswer = self.ask(&Ask::new(OpCode::GC, ""), Some(&call))?;
            if answer.is_done {
                return Ok(answer);
            }
            progress.count(answer.looked_at, "objects looked at");
        }
    }

    fn clone_volume(&mut self, request: &CloneRequest) -> Result<VolumeInfo, ErrorReport> {
        let call = CreateCall {
            size: request.size.map(|size| size.bytes()),
            origin: Some(request.source.to_string()),
            ..CreateCall::default()
        };
        self.ask(
            &Ask::new(OpCode::CLONE, request.volume.as_str()),
            Some(&call),
        )
    }

    fn locks(&mut self) -> Result<LocksAnswer, ErrorReport> {
        let mut all = LocksAnswer::default();
        for _ in 0..PAGES_MAX {
            let call = LocksCall {
                after: all.locks.last().map(|lock| lock.volume.clone()),
                lost_only: false,
            };
            let page: LocksAnswer = self.ask(&Ask::new(LOCKS, ""), Some(&call))?;
            let is_last = !page.more || page.locks.is_empty();
            all.locks.extend(page.locks);
            all.lost = page.lost;
            if is_last {
                return Ok(all);
            }
        }
        Err(ErrorReport::new(
            ErrorCode::Failed,
            "the list of locks has no end",
            "",
        ))
    }

    fn children(&mut self, volume: &VolumeRef) -> Result<Vec<VolumeInfo>, ErrorReport> {
        let answer: ListAnswer = self.ask(&Self::of_volume(CHILDREN, volume), NOTHING)?;
        Ok(answer.volumes)
    }
}
