//! A segment in a directory of its own, gone with the test.

use std::path::Path;

use tempfile::TempDir;
use xseg::{CreateOptions, DEFAULT_DIRECTORY, Geometry, JoinOptions, Place, Port, PortId, Segment};

/// Four static and four dynamic ports, 64 requests, and buffers of most sizes.
pub fn small() -> Geometry {
    let counts = [
        (4, 64),
        (8, 32),
        (16, 16),
        (32, 8),
        (64, 8),
        (128, 4),
        (1024, 2),
    ];
    counts
        .into_iter()
        .try_fold(
            Geometry::new(8, 4, 64).unwrap(),
            |geometry, (kib, count)| geometry.with_buffers(kib << 10, count),
        )
        .unwrap()
}

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A named segment and the directory that it lies in.
pub struct Room {
    pub segment: Segment,
    directory: TempDir,
}

impl Room {
    pub fn new() -> Self {
        Self::of(small())
    }

    pub fn of(geometry: Geometry) -> Self {
        let directory = directory();
        let place = Place::within(directory.path(), "segment").unwrap();
        Self {
            segment: CreateOptions::new(geometry).create(&place).unwrap(),
            directory,
        }
    }

    pub fn place(&self) -> &Place {
        self.segment.place()
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Joins it once more, as another process would.
    pub fn join(&self) -> Segment {
        JoinOptions::new().join(self.place()).unwrap()
    }

    /// The number as a port of this segment.
    pub fn port(&self, number: u32) -> PortId {
        self.segment.geometry().port(number).unwrap()
    }

    pub fn bind(&self, number: u32) -> Port {
        self.segment.bind(number, &Default::default()).unwrap()
    }

    pub fn bind_dynamic(&self) -> Port {
        self.segment.bind_dynamic(&Default::default()).unwrap()
    }
}

/// A directory for segments that users without rights can enter as well.
pub fn directory() -> TempDir {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::Builder::new()
        .prefix("xseg-test-")
        .tempdir_in(DEFAULT_DIRECTORY)
        .unwrap();
    let open_to_all = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(directory.path(), open_to_all).unwrap();
    directory
}
