//! Lock files: `flock`s that the kernel drops with whoever holds them.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{FlockOperation, OFlags};

/// Opens a lock file, for its owner only. A link would lead to a file of somebody else's choice (F96).
pub fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    options
        .mode(0o600)
        .custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    options.open(path)
}

/// Takes the lock, unless it is held. Those who only look hold it for a moment: that is waited for.
pub fn take(file: &File) -> bool {
    const TRIES: u32 = 50;
    const PAUSE: Duration = Duration::from_millis(4);
    (0..TRIES).any(|_| {
        let taken = rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive).is_ok();
        if !taken {
            std::thread::sleep(PAUSE);
        }
        taken
    })
}

/// Does nobody hold the lock? It is asked for in common, so that those who look do not see each other.
pub fn is_free(file: &File) -> bool {
    let is_free = rustix::fs::flock(file, FlockOperation::NonBlockingLockShared).is_ok();
    if is_free {
        // The moment ends here, not when the file is closed.
        let _ = rustix::fs::flock(file, FlockOperation::Unlock);
    }
    is_free
}
