//! Volumes of the node that runs.

use std::time::Duration;

use archipelago_nbd::{Place, Uri};
use archipelago_protocol::{
    CHILDREN, CreateCall, ErrorCode, GcAnswer, GcCall, HashAnswer, LOCK, LOCKS, ListAnswer,
    ListCall, LockInfo, LocksAnswer, RemoveCall, RenameCall, ResizeCall, UNLOCK, VolumeInfo,
    VolumeName, VolumeRef,
};
use rustix::rand::{GetRandomFlags, getrandom};
use serde::Serialize;
use serde::de::DeserializeOwned;
use xseg::{OpCode, flags};

use super::asking::{Ask, ask};
use super::attachments::Attachments;
use super::clients::Clients;
use crate::cli::{
    AttachKind, Attachment, Breaking, CloneRequest, Collecting, CreateRequest, CreateSource,
    ErrorReport, MapRequest, Progress, ResizeRequest, Volumes,
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
        ask(self.config, self.timeout, words, call)
    }

    fn of_volume<'b>(op: OpCode, volume: &'b VolumeRef) -> Ask<'b> {
        Ask {
            snapshot: volume.volume.as_ref().map_or("", VolumeName::as_str),
            ..Ask::new(op, volume.name.as_str())
        }
    }

    /// Refuses what must not happen to a volume that is attached here.
    fn check_not_mapped(&mut self, volume: &VolumeRef) -> Result<(), ErrorReport> {
        let attachments = Attachments::of(self.config);
        // Of one that cannot be asked for, as one that is damaged, only the name is known.
        let id = match attachments.all()?.is_empty() {
            true => return Ok(()),
            false => self.info(volume).map(|info| info.id).unwrap_or_default(),
        };
        match attachments.find(&id, &volume.to_string())? {
            None => Ok(()),
            Some(attachment) => Err(ErrorReport::new(
                ErrorCode::Busy,
                format!("{volume} is mapped as {}", attachment.address()),
                format!("`vlmc unmap '{}'` unmaps it", attachment.address()),
            )),
        }
    }

    fn uri(&self, volume: &VolumeRef) -> Result<String, ErrorReport> {
        let export = volume.to_string().parse().map_err(|_| {
            ErrorReport::new(
                ErrorCode::Invalid,
                format!("{volume} cannot be the name of an export"),
                "",
            )
        })?;
        let place = Place::Unix {
            socket: self.config.nbd.socket.clone(),
        };
        Ok(Uri { place, export }.to_string())
    }
}

impl Volumes for PortVolumes<'_> {
    fn map(&mut self, request: &MapRequest) -> Result<Attachment, ErrorReport> {
        if request.kind == AttachKind::Ublk {
            return Err(ErrorReport::new(
                ErrorCode::Unsupported,
                "volumes are not attached over ublk by this version",
                "use --type nbd",
            ));
        }
        let info = self.info(&request.volume)?;
        self.check_not_mapped(&request.volume)?;
        let volume = request.volume.to_string();
        let is_read_only = request.is_read_only || info.is_snapshot;
        let attachment = Attachment {
            kind: "nbd".into(),
            device: None,
            socket: Some(self.config.nbd.socket.display().to_string()),
            uri: Some(self.uri(&request.volume)?),
            is_read_only,
            clients: Clients::of(self.config).count(&volume),
            volume,
        };
        let attachments = Attachments::of(self.config);
        attachments.add(&info.id, attachment.clone())?;
        // Whoever comes from now on cannot write; those who are there already may.
        if request.is_read_only
            && !info.is_snapshot
            && let Err(used) = Clients::check_unused(self.config, &attachment.volume)
        {
            attachments.remove(&attachment.volume)?;
            return Err(used);
        }
        Ok(attachment)
    }

    fn unmap(&mut self, device: &str) -> Result<(), ErrorReport> {
        let attachments = Attachments::of(self.config);
        let all = attachments.all()?;
        let is_meant = |attachment: &&Attachment| {
            attachment.address() == device || attachment.volume == device
        };
        match all.iter().find(is_meant) {
            Some(attachment) => {
                Clients::check_unused(self.config, &attachment.volume)?;
                attachments.remove(&attachment.volume)
            }
            None => Err(ErrorReport::new(
                ErrorCode::NotFound,
                format!("{} is not mapped by archipelago", device.escape_debug()),
                "`vlmc showmapped` shows what is",
            )),
        }
    }

    fn attachments(&mut self) -> Result<Vec<Attachment>, ErrorReport> {
        let clients = Clients::of(self.config);
        let all = Attachments::of(self.config).all()?.into_iter();
        Ok(all.map(|one| clients.count_into(one)).collect())
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

    fn unlock(&mut self, volume: &VolumeName, breaking: Breaking) -> Result<(), ErrorReport> {
        let words = Ask {
            flags: match breaking {
                Breaking::OwnOnly => 0,
                Breaking::Anybodys => flags::FORCE,
            },
            ..Ask::new(UNLOCK, volume.as_str())
        };
        self.ask::<()>(&words, NOTHING)
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
        let words = Ask::new(OpCode::RESIZE, request.volume.as_str());
        self.ask::<serde_json::Value>(&words, Some(&call)).map(drop)
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

    fn locks(&mut self) -> Result<Vec<LockInfo>, ErrorReport> {
        let answer: LocksAnswer = self.ask(&Ask::new(LOCKS, ""), NOTHING)?;
        Ok(answer.locks)
    }

    fn children(&mut self, volume: &VolumeRef) -> Result<Vec<VolumeInfo>, ErrorReport> {
        let answer: ListAnswer = self.ask(&Self::of_volume(CHILDREN, volume), NOTHING)?;
        Ok(answer.volumes)
    }
}
