//! Stable names of devices: `/dev/archipelago/VOLUME` leads to whatever the kernel calls the device.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::config::Config;

const DIRECTORY: &str = "/dev/archipelago";

/// Where the names are.
#[derive(Clone, Debug)]
pub(super) struct Links {
    directory: PathBuf,
}

impl Links {
    /// Those of the usual node; another one of the same machine has a directory of its own within.
    pub fn of(config: &Config) -> Self {
        match config.segment.name.as_str() {
            "archipelago" => Self::at(DIRECTORY),
            other => Self::at(Path::new(DIRECTORY).join(".nodes").join(other)),
        }
    }

    pub fn at(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
        }
    }

    /// The stable name of a volume's device.
    pub fn path(&self, volume: &str) -> PathBuf {
        self.directory.join(volume)
    }

    /// Makes it, and gives it. A machine where that is not allowed has only the kernel's name.
    pub fn make(&self, volume: &str, device: &str) -> Option<String> {
        match self.try_make(volume, device) {
            Ok(()) => self.path(volume).to_str().map(str::to_owned),
            Err(error) => {
                tracing::debug!(volume, device, %error, "no stable name");
                None
            }
        }
    }

    fn try_make(&self, volume: &str, device: &str) -> io::Result<()> {
        fs::create_dir_all(&self.directory)?;
        let fresh = self
            .directory
            .join(".new")
            .join(std::process::id().to_string());
        fs::create_dir_all(self.directory.join(".new"))?;
        let _ = fs::remove_file(&fresh); // of one that died here
        symlink(device, &fresh)?;
        fs::rename(&fresh, self.path(volume))
    }

    /// Takes it away, unless it leads elsewhere meanwhile.
    pub fn remove(&self, volume: &str, device: &str) {
        let link = self.path(volume);
        if fs::read_link(&link).is_ok_and(|leads_to| leads_to == Path::new(device)) {
            let removed = fs::remove_file(&link);
            tracing::debug!(?link, ?removed, "the stable name is gone");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_follows_its_volume_to_another_device() {
        let directory = tempfile::tempdir().expect("a directory");
        let links = Links::at(directory.path().join("archipelago"));
        links.try_make("a", "/dev/ublkb0").expect("made");
        links.try_make("a", "/dev/ublkb7").expect("made again");
        let leads_to = fs::read_link(links.path("a")).expect("a link");
        assert_eq!(leads_to, Path::new("/dev/ublkb7"));
        let names = fs::read_dir(&links.directory).expect("there");
        assert_eq!(names.count(), 2, "the link, and a place for new ones");
        links.remove("a", "/dev/ublkb0");
        assert!(fs::read_link(links.path("a")).is_ok(), "it leads elsewhere");
        links.remove("a", "/dev/ublkb7");
        assert!(fs::read_link(links.path("a")).is_err());
    }
}
