//! Making segments (F17, F62, F64).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use xseg::{CreateOptions, Geometry, JoinOptions, Place, SegmentError};

use crate::support::{Parent, Room, WorkerOptions, directory, is_root, small};

fn large() -> Geometry {
    Geometry::new(64, 16, 1024)
        .and_then(|geometry| geometry.with_buffers(1 << 20, 256))
        .unwrap()
}

#[test]
fn names_that_could_lead_elsewhere_are_no_names() {
    let long = "x".repeat(201);
    for name in ["", ".", "..", ".hidden", "a/b", "/abs", "nul\0", &long] {
        let error = Place::named(name).unwrap_err();
        assert!(
            matches!(error, SegmentError::BadName { .. }),
            "{name:?}: {error}"
        );
    }
    assert!(Place::named(&"x".repeat(200)).is_ok());
}

#[test]
fn a_second_creation_finds_the_first_and_leaves_it_alone() {
    let room = Room::new();
    let error = CreateOptions::new(small())
        .create(room.place())
        .unwrap_err();
    assert!(matches!(error, SegmentError::Exists { .. }), "{error}");
    assert_eq!(room.join().identity(), room.segment.identity());
}

#[test]
fn a_directory_that_is_not_there_is_told() {
    let directory = directory();
    let place = Place::within(&directory.path().join("missing"), "segment").unwrap();
    let error = CreateOptions::new(small()).create(&place).unwrap_err();
    assert!(matches!(error, SegmentError::NotFound { .. }), "{error}");
}

/// CREATE-2: asking for too much fails at once, and nobody is killed for it.
#[test]
fn a_segment_that_does_not_fit_says_what_it_needs_and_what_there_is() {
    let huge = Geometry::new(64, 16, 1024)
        .and_then(|geometry| geometry.with_buffers(8 << 20, 130_000)) // about 1 TiB
        .unwrap();
    let directory = directory();
    let place = Place::within(directory.path(), "segment").unwrap();
    for error in [
        CreateOptions::new(huge).create(&place).unwrap_err(),
        CreateOptions::new(huge).create_private().unwrap_err(),
    ] {
        let SegmentError::NoSpace {
            needed, available, ..
        } = error
        else {
            panic!("{error}");
        };
        assert_eq!(needed, huge.size_bytes());
        assert!(available < needed);
    }
    assert!(!place.path().exists());
}

/// A small file system of one's own, unmounted when dropped.
struct Mount(tempfile::TempDir);

impl Mount {
    fn new(options: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(directory.path());
        assert!(mount.status().unwrap().success());
        Self(directory)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

/// CREATE-2, on a file system that is really small. Only root can mount one; the test above is for everybody.
#[test]
fn on_a_full_file_system_creation_fails_and_what_fits_is_whole() {
    if !is_root() {
        println!("only root can mount a small file system: passed over");
        return;
    }
    let mount = Mount::new("size=8m");
    let place = Place::within(mount.0.path(), "segment").unwrap();
    let error = CreateOptions::new(large()).create(&place).unwrap_err();
    assert!(matches!(error, SegmentError::NoSpace { .. }), "{error}");
    assert!(!place.path().exists());

    let segment = CreateOptions::new(small()).create(&place).unwrap();
    // All of it is there already: what else lives there cannot take a page of it away.
    let left = fs::write(mount.0.path().join("filler"), vec![1; 16 << 20]);
    assert!(left.is_err());
    let port = segment.bind(0, &Default::default()).unwrap();
    while let Ok(buffer) = port.buffer(1) {
        buffer.data().fill(7);
        std::mem::forget(buffer);
    }
}

/// CREATE-3
#[test]
fn the_mode_is_what_was_asked_for_whatever_the_umask() {
    for umask in ["000", "077", "777"] {
        let directory = directory();
        let place = Place::within(directory.path(), "segment").unwrap();
        let worker = WorkerOptions::in_place(&place)
            .arg(umask)
            .start("create_under_umask");
        worker.finish();
        let mode = |name: &str| {
            let metadata = fs::metadata(directory.path().join(name)).unwrap();
            metadata.permissions().mode() & 0o7777
        };
        assert_eq!(mode("segment"), 0o660, "umask {umask}");
        assert_eq!(mode("segment-0600"), 0o600, "umask {umask}");
        // Bits for everybody are not given, whoever asks for them.
        assert_eq!(mode("segment-0666"), 0o660, "umask {umask}");
    }
}

pub fn create_under_umask(parent: &mut Parent) {
    let mask = u32::from_str_radix(parent.args()[0], 8).unwrap();
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(mask));
    CreateOptions::new(small()).create(parent.place()).unwrap();
    for (suffix, mode) in [("-0600", 0o600), ("-0666", 0o666)] {
        let name = format!("segment{suffix}");
        let place = Place::within(parent.place().path().parent().unwrap(), &name).unwrap();
        CreateOptions::new(small())
            .mode(mode)
            .create(&place)
            .unwrap();
    }
}

/// CREATE-1 (F17): there is no instant at which a half-made segment bears the name.
#[test]
fn a_creator_that_is_killed_leaves_nothing_or_a_whole_segment() {
    for delay_us in (0..60).map(|step| step * 400) {
        let directory = directory();
        let place = Place::within(directory.path(), "segment").unwrap();
        let mut worker = WorkerOptions::in_place(&place).start("create_large");
        worker.expect("go");
        std::thread::sleep(std::time::Duration::from_micros(delay_us));
        worker.kill();
        let left: Vec<_> = fs::read_dir(directory.path()).unwrap().collect();
        assert!(left.len() <= usize::from(place.path().exists()), "{left:?}");
        match JoinOptions::new().join(&place) {
            Ok(segment) => assert_eq!(segment.geometry(), &large()),
            Err(SegmentError::NotFound { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

pub fn create_large(parent: &mut Parent) {
    parent.say("go");
    let _segment = CreateOptions::new(large()).create(parent.place());
    parent.wait_for_death();
}
