//! Volumes that are not there, and what was asked of them.

use crate::attach::Kind;
use archipelago_protocol::{
    GcAnswer, GcOrphan, ListAnswer, LockInfo, LocksAnswer, LostInfo, VolumeInfo, VolumeName,
    VolumeRef,
};

use crate::cli::*;

/// Answers with fixed volumes, or with an error; remembers what it was asked.
#[derive(Default)]
pub struct Fake {
    pub asked: Vec<String>,
    pub error: Option<ErrorReport>,
}

impl Fake {
    fn did(&mut self, what: impl std::fmt::Debug) -> Result<(), ErrorReport> {
        self.asked.push(format!("{what:?}"));
        self.error.clone().map_or(Ok(()), Err)
    }
}

fn lock(volume: &str) -> LockInfo {
    LockInfo {
        volume: volume.into(),
        node: "alpha".into(),
        deployment: "d0".into(),
        since: 1_000_000_000,
        token: 7,
        is_ours: true,
        lives: Some(true),
        is_being_broken: false,
        lease_ms: Some(4321),
        in_trash: false,
    }
}

fn volume(name: &str, size: u64) -> VolumeInfo {
    VolumeInfo {
        name: name.into(),
        id: "00112233445566778899aabbccddeeff".into(),
        size,
        is_snapshot: name.contains("snap"),
        object_bytes: 4 << 20,
        grain_bytes: 64 << 10,
        parent: name.contains("clone").then(|| "snap-1".into()),
        created: 951_782_400,
        lock: name.starts_with("vm").then(|| lock(name)),
        is_open: name.starts_with("vm"),
    }
}

fn attachment() -> Attachment {
    Attachment {
        volume: "vm".into(),
        kind: Kind::NbdSocket,
        device: None,
        link: None,
        socket: Some("/run/a,b/nbd.sock".into()),
        uri: Some("nbd+unix:///vm?socket=/run/a,b/nbd.sock".into()),
        is_read_only: true,
        clients: 2,
    }
}

impl Volumes for Fake {
    fn map(&mut self, request: &MapRequest) -> Result<Attachment, ErrorReport> {
        self.did(("map", request)).map(|()| attachment())
    }
    fn unmap(&mut self, device: &str) -> Result<(), ErrorReport> {
        self.did(("unmap", device))
    }
    fn attachments(&mut self) -> Result<Vec<Attachment>, ErrorReport> {
        self.did("attachments").map(|()| vec![attachment()])
    }
    fn create(&mut self, request: &CreateRequest) -> Result<VolumeInfo, ErrorReport> {
        self.did(("create", request))
            .map(|()| volume("vm", 1 << 30))
    }
    fn snapshot(&mut self, volume: &VolumeName, snapshot: &VolumeName) -> Result<(), ErrorReport> {
        self.did(("snapshot", volume.as_str(), snapshot.as_str()))
    }
    fn remove(&mut self, volume: &VolumeRef) -> Result<(), ErrorReport> {
        self.did(("remove", volume.to_string()))
    }
    fn gc(&mut self, what: Collecting, _: &mut Progress) -> Result<GcAnswer, ErrorReport> {
        self.did(("gc", what)).map(|()| GcAnswer {
            is_done: true,
            looked_at: 9,
            found: 3,
            bytes: 8192,
            orphans: vec![GcOrphan {
                object: "page/x".into(),
                bytes: 4096,
            }],
            notes: vec!["content is not judged".into()],
        })
    }
    fn remove_hash(&mut self, hash: &str) -> Result<(), ErrorReport> {
        self.did(("remove_hash", hash))
    }
    fn list(&mut self) -> Result<ListAnswer, ErrorReport> {
        let volumes = [
            ("vm-2", 1536 << 20),
            ("snap-1", 10 << 30),
            ("clone", 1 << 50),
            ("\u{e9}", 512),
        ];
        self.did("list").map(|()| ListAnswer {
            volumes: volumes.map(|(name, size)| volume(name, size)).to_vec(),
            ..ListAnswer::default()
        })
    }
    fn info(&mut self, name: &VolumeRef) -> Result<VolumeInfo, ErrorReport> {
        self.did(("info", name.to_string()))
            .map(|()| volume("vm", 1 << 30))
    }
    fn open(&mut self, volume: &VolumeName) -> Result<(), ErrorReport> {
        self.did(("open", volume.as_str()))
    }
    fn close(&mut self, volume: &VolumeName) -> Result<(), ErrorReport> {
        self.did(("close", volume.as_str()))
    }
    fn lock(&mut self, volume: &VolumeName) -> Result<(), ErrorReport> {
        self.did(("lock", volume.as_str()))
    }
    fn unlock(
        &mut self,
        volume: &VolumeName,
        breaking: Breaking,
    ) -> Result<Vec<LockInfo>, ErrorReport> {
        let broken = (breaking != Breaking::OwnOnly).then(|| lock(volume.as_str()));
        self.did(("unlock", volume.as_str(), breaking))
            .map(|()| broken.into_iter().collect())
    }
    fn evict_node(&mut self, node: &str) -> Result<Vec<LockInfo>, ErrorReport> {
        let broken = (node == "alpha").then(|| vec![lock("vm-2"), lock("vm-10")]);
        self.did(("evict_node", node))
            .map(|()| broken.unwrap_or_default())
    }
    fn rename(&mut self, volume: &VolumeName, new_name: &VolumeName) -> Result<(), ErrorReport> {
        self.did(("rename", volume.as_str(), new_name.as_str()))
    }
    fn resize(&mut self, request: &ResizeRequest) -> Result<(), ErrorReport> {
        self.did(("resize", request))
    }
    fn hash(
        &mut self,
        snapshot: &VolumeRef,
        progress: &mut Progress,
    ) -> Result<String, ErrorReport> {
        progress.report(1, 2);
        self.did(("hash", snapshot.to_string()))
            .map(|()| "ab".repeat(32))
    }
    fn clone_volume(&mut self, request: &CloneRequest) -> Result<VolumeInfo, ErrorReport> {
        self.did(("clone", request))
            .map(|()| volume("clone", 1 << 30))
    }
    fn locks(&mut self) -> Result<LocksAnswer, ErrorReport> {
        self.did("locks").map(|()| LocksAnswer {
            locks: vec![lock("vm-2"), lock("vm-10")],
            lost: vec![LostInfo {
                volume: "vm-3".into(),
                problem: "vm-3 was taken from this node".into(),
                remedy: "disconnect its clients".into(),
                clients: 2,
            }],
            more: false,
        })
    }
    fn children(&mut self, of: &VolumeRef) -> Result<Vec<VolumeInfo>, ErrorReport> {
        self.did(("children", of.to_string()))
            .map(|()| vec![volume("clone", 1 << 30)])
    }
}
