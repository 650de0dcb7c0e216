use std::path::PathBuf;

use rustix::io::Errno;

/// Why a device is not served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    #[error("cannot open {path}: {source}{}", advice(*.source))]
    Open {
        path: PathBuf,
        #[source]
        source: Errno,
    },
    #[error("cannot map the descriptors of queue {queue}: {source}; was the recovery begun?")]
    Map {
        queue: u16,
        #[source]
        source: Errno,
    },
    #[error("the driver refuses tag {tag} of queue {queue}: {source}")]
    Command {
        queue: u16,
        tag: u16,
        #[source]
        source: Errno,
    },
}

fn advice(errno: Errno) -> &'static str {
    match errno {
        Errno::BUSY => "; another process serves it",
        Errno::ACCESS | Errno::PERM => "; it was not given to this user",
        _ => "",
    }
}
