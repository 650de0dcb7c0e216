//! The order of the steps, with devices and a bridge that fail where they are told to. ATTACHMENT-1 to ATTACHMENT-5.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use archipelago_protocol::VolumeInfo;
use tempfile::TempDir;

use super::*;
use crate::attach::call::{BridgeAnswer, Served, Shape};
use crate::cli::AttachKind;
use crate::config::{self, Environment};

/// Devices by their numbers, and whose they are.
#[derive(Clone, Debug, Default)]
struct FakeDevices {
    present: Rc<RefCell<BTreeMap<u32, String>>>,
    /// Numbers that cannot be made, or be taken away.
    stuck: Rc<Cell<Option<u32>>>,
}

fn broken() -> ErrorReport {
    ErrorReport::new(ErrorCode::Failed, "broken", "")
}

impl Devices for FakeDevices {
    fn free_number(&self, least: u32) -> Result<u32, ErrorReport> {
        Ok(least)
    }

    fn ensure(&self, record: &Record, bridge: &dyn Bridge) -> Result<(), Ensured> {
        let number = record.number.expect("a device has a number");
        if self.stuck.get() == Some(number) {
            return Err(broken().into());
        }
        let owner = self.present.borrow().get(&number).cloned();
        if owner.is_some_and(|owner| owner != record.volume()) {
            return Err(Ensured::Taken);
        }
        bridge.serve(record, None)?;
        let volume = record.volume().to_owned();
        self.present.borrow_mut().insert(number, volume);
        Ok(())
    }

    fn resize(&self, _: &Record, _: u64) -> Result<(), ErrorReport> {
        Ok(())
    }

    fn remove(&self, record: &Record) -> Result<(), ErrorReport> {
        let number = record.number.expect("a device has a number");
        if self.stuck.get() == Some(number) {
            return Err(broken());
        }
        self.present.borrow_mut().remove(&number);
        Ok(())
    }
}

#[derive(Clone, Debug, Default)]
struct FakeBridge {
    served: Rc<RefCell<Vec<String>>>,
    is_broken: Rc<Cell<bool>>,
}

impl Bridge for FakeBridge {
    fn serve(&self, record: &Record, _: Option<Shape>) -> Result<u32, ErrorReport> {
        if self.is_broken.get() {
            return Err(broken());
        }
        self.served.borrow_mut().push(record.volume().to_owned());
        Ok(1)
    }

    fn end(&self, volume: &str) -> Result<(), ErrorReport> {
        self.served.borrow_mut().retain(|served| served != volume);
        Ok(())
    }

    fn resized(&self, _: &str) -> Result<(), ErrorReport> {
        Ok(())
    }

    fn look(&self, _: &str) -> Result<Served, ErrorReport> {
        Err(broken())
    }

    fn report(&self) -> Result<BridgeAnswer, ErrorReport> {
        Ok(BridgeAnswer::default())
    }
}

struct Bench {
    _directory: TempDir,
    config: Config,
    devices: FakeDevices,
    bridge: FakeBridge,
}

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("a.toml");
        let dir = directory.path().display();
        let text = format!(
            "run_dir = \"{dir}/run\"\nstate_dir = \"{dir}/state\"\n[segment]\nname = \"archipelago-no-such-node\"\n"
        );
        std::fs::write(&file, text).expect("written");
        let config = config::load(Some(&file), &environment(directory.path())).expect("good");
        Self {
            _directory: directory,
            config,
            devices: FakeDevices::default(),
            bridge: FakeBridge::default(),
        }
    }

    fn attacher(&self) -> Attacher<'_> {
        Attacher {
            ublk: Box::new(self.devices.clone()),
            nbd: Box::new(self.devices.clone()),
            bridge: Box::new(self.bridge.clone()),
            links: Links::at(self.config.run_dir.join("links")),
            ..Attacher::new(&self.config, Duration::from_secs(10))
        }
    }

    fn wish(&self, volume: &str, kind: Kind) -> Result<Attachment, ErrorReport> {
        let wish = Wish {
            volume: volume.to_owned(),
            id: info(volume).id,
            kind,
            is_read_only: false,
        };
        self.attacher().attach_alone(&wish, &info(volume))
    }

    fn reattach(&self) -> Vec<String> {
        let mut look = |volume: &str| Ok(info(volume));
        let failed = self
            .attacher()
            .reattach(&mut look, false, None)
            .expect("done");
        failed.into_iter().map(|(volume, _)| volume).collect()
    }

    fn volumes(&self) -> Vec<String> {
        let records = Records::of(&self.config).all().expect("read").into_iter();
        records.map(|record| record.volume().to_owned()).collect()
    }
}

fn environment(dir: &Path) -> Environment {
    Environment {
        uid: 1000,
        etc_dir: dir.join("etc"),
        passwd_file: dir.join("passwd"),
        group_file: dir.join("group"),
        config_home: dir.join("config"),
        state_home: dir.join("state"),
        runtime_dir: None,
    }
}

fn info(volume: &str) -> VolumeInfo {
    VolumeInfo {
        name: volume.to_owned(),
        id: format!("id of {volume}"),
        size: 1 << 20,
        is_snapshot: false,
        object_bytes: 1 << 20,
        grain_bytes: 1 << 16,
        parent: None,
        created: 0,
        lock: None,
        is_open: false,
    }
}

#[test]
fn a_volume_is_attached_once_and_the_number_of_another_device_is_passed_over() {
    let bench = Bench::new();
    let stranger = (0, "of somebody else".to_owned());
    bench.devices.present.borrow_mut().extend([stranger]);
    let attachment = bench.wish("a", Kind::Ublk).expect("attached");
    assert_eq!(attachment.device.as_deref(), Some("/dev/ublkb1"));
    let link = attachment.link.expect("a stable name");
    let leads_to = std::fs::read_link(&link).expect("a link");
    assert_eq!(leads_to, Path::new("/dev/ublkb1"));
    let again = bench.wish("a", Kind::VhostUser).expect_err("it is");
    assert_eq!(again.code, ErrorCode::Busy);
    for called in ["/dev/ublkb1", "a"] {
        let gone = bench.attacher().detach(called);
        assert_eq!(gone.is_ok(), bench.volumes().is_empty(), "{gone:?}");
        bench.wish("a", Kind::Ublk).expect("and again");
    }
    bench.attacher().detach(&link).expect("gone");
    assert!(std::fs::read_link(&link).is_err());
    assert!(bench.bridge.served.borrow().is_empty());
    assert_eq!(bench.devices.present.borrow().len(), 1, "the stranger's");
    let unknown = bench.attacher().detach("a").expect_err("gone");
    assert_eq!(unknown.code, ErrorCode::NotFound);
}

/// ATTACHMENT-1
#[test]
fn what_cannot_be_made_leaves_nothing_and_what_cannot_be_taken_away_keeps_its_record() {
    let bench = Bench::new();
    bench.devices.stuck.set(Some(0));
    bench
        .wish("a", Kind::Ublk)
        .expect_err("it fails, and so does its removal");
    assert_eq!(bench.volumes(), ["a"]);
    bench.devices.stuck.set(None);
    assert!(bench.reattach().is_empty(), "what was begun is finished");
    assert_eq!(bench.devices.present.borrow().len(), 1);
    bench.attacher().detach("a").expect("gone");
    assert!(bench.volumes().is_empty());
    assert!(bench.devices.present.borrow().is_empty());
}

/// ATTACHMENT-3
#[test]
fn one_that_cannot_be_attached_again_keeps_no_other_waiting() {
    let bench = Bench::new();
    for volume in ["a", "b", "c"] {
        // The fake says "taken" for the others' numbers.
        bench.wish(volume, Kind::Ublk).expect("attached");
    }
    bench.wish("guest", Kind::VhostUser).expect("attached");
    bench.bridge.served.borrow_mut().clear();
    bench.devices.stuck.set(Some(1));
    assert_eq!(bench.reattach(), ["b"]);
    assert_eq!(*bench.bridge.served.borrow(), ["a", "c", "guest"]);
    assert_eq!(bench.volumes(), ["a", "b", "c", "guest"]);
}

/// ATTACHMENT-3: who is tried once more does not disturb those who are well.
#[test]
fn those_alone_are_attached_again_that_are_asked_for() {
    let bench = Bench::new();
    for volume in ["a", "b", "c"] {
        bench.wish(volume, Kind::VhostUser).expect("attached");
    }
    let lost = Wish {
        volume: "lost".into(),
        id: info("lost").id,
        kind: Kind::VhostUser,
        is_read_only: false,
    };
    Wishes::of(&bench.config).put(&lost).expect("wished");
    let mut look = |volume: &str| Ok(info(volume));
    for (only, expected) in [(&["b"][..], &["b"][..]), (&["lost"], &["lost"]), (&[], &[])] {
        bench.bridge.served.borrow_mut().clear();
        let only: Vec<String> = only.iter().map(ToString::to_string).collect();
        let failed = bench
            .attacher()
            .reattach(&mut look, false, Some(&only))
            .expect("done");
        assert!(failed.is_empty());
        assert_eq!(*bench.bridge.served.borrow(), expected);
    }
}

/// ATTACHMENT-4
#[test]
fn after_a_boot_what_was_wished_for_comes_back_and_the_rest_is_forgotten() {
    let bench = Bench::new();
    for volume in ["wished", "other"] {
        bench.wish(volume, Kind::Ublk).expect("attached");
    }
    let wishes = Wishes::of(&bench.config);
    let wish = |volume: &str| Wish {
        volume: volume.to_owned(),
        id: info(volume).id,
        kind: Kind::Ublk,
        is_read_only: true,
    };
    wishes.put(&wish("wished")).expect("wished");
    let records = Records::of(&bench.config);
    for mut record in records.all().expect("read") {
        record.boot = "another".into();
        records.put(&record).expect("put");
    }
    bench.devices.present.borrow_mut().clear();
    assert!(bench.reattach().is_empty());
    let all = records.all().expect("read");
    assert_eq!(bench.volumes(), ["wished"]);
    assert!(all[0].attachment.is_read_only, "as it was wished for");
    bench.attacher().detach("wished").expect("gone");
    assert!(wishes.all().expect("read").is_empty(), "for good");
    // One whose volume is gone can be forgotten, too.
    wishes.put(&wish("lost")).expect("wished");
    bench.attacher().detach("lost").expect("forgotten");
    assert!(wishes.all().expect("read").is_empty());
}

/// ATTACHMENT-4
#[test]
fn what_was_wished_for_outlives_another_wish_that_comes_to_nothing() {
    let bench = Bench::new();
    let attach = |kind| {
        let request = MapRequest {
            volume: "a".parse().expect("a name"),
            kind,
            is_read_only: false,
            is_persistent: true,
        };
        bench.attacher().attach(&request, &info("a"))
    };
    let wished = || {
        let all = Wishes::of(&bench.config).all().expect("read").into_iter();
        all.map(|wish| wish.kind).collect::<Vec<_>>()
    };
    bench.bridge.is_broken.set(true);
    attach(AttachKind::VhostUser).expect_err("broken");
    assert!(wished().is_empty(), "it came to nothing");
    attach(AttachKind::NbdSocket).expect("attached");
    let again = attach(AttachKind::VhostUser).expect_err("it is attached");
    assert_eq!(again.code, ErrorCode::Busy);
    assert_eq!(wished(), [Kind::NbdSocket]);
    let records = Records::of(&bench.config);
    records.remove("a").expect("as after a boot");
    attach(AttachKind::VhostUser).expect_err("broken");
    assert_eq!(wished(), [Kind::NbdSocket]);
}

#[test]
fn devices_are_left_alone_where_that_is_asked() {
    let bench = Bench::new();
    bench.wish("a", Kind::Nbd).expect("attached");
    bench.wish("guest", Kind::VhostUser).expect("attached");
    bench.bridge.served.borrow_mut().clear();
    let mut look = |volume: &str| Ok(info(volume));
    let failed = bench
        .attacher()
        .reattach(&mut look, true, None)
        .expect("done");
    assert!(failed.is_empty());
    assert_eq!(*bench.bridge.served.borrow(), ["guest"]);
    assert!(!AttachKind::NbdSocket.needs_machine() && AttachKind::Auto.needs_machine());
}

/// ATTACHMENT-5
#[test]
fn another_volume_of_the_same_name_is_not_served_in_its_place() {
    let bench = Bench::new();
    bench.wish("a", Kind::VhostUser).expect("attached");
    let wish = Wish {
        volume: "b".into(),
        id: "of before".into(),
        kind: Kind::Ublk,
        is_read_only: false,
    };
    Wishes::of(&bench.config).put(&wish).expect("wished");
    bench.bridge.served.borrow_mut().clear();
    let mut look = |volume: &str| {
        let id = "another".into();
        Ok(VolumeInfo { id, ..info(volume) })
    };
    let failed = bench
        .attacher()
        .reattach(&mut look, false, None)
        .expect("done");
    let volumes: Vec<&str> = failed.iter().map(|(volume, _)| volume.as_str()).collect();
    assert_eq!(volumes, ["a", "b"]);
    assert!(bench.bridge.served.borrow().is_empty());
    assert!(bench.devices.present.borrow().is_empty());
    let attacher = bench.attacher();
    attacher.check_free("", "b").expect_err("it is wished for");
    attacher.check_free("", "a").expect_err("it is mapped");
    attacher.check_free("", "c").expect("it is neither");
}
