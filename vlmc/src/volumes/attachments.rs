//! What is attached on this node: a file for each, which outlives every process until `unmap`.

use std::fs;
use std::io;
use std::path::PathBuf;

use archipelago_protocol::ErrorCode;
use serde::{Deserialize, Serialize};

use crate::cli::{Attachment, ErrorReport};
use crate::config::Config;

/// What is written of one.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    /// The volume's id: it may be called by several names.
    #[serde(default)]
    id: String,
    #[serde(flatten)]
    attachment: Attachment,
}

/// The attachments of a node.
#[derive(Clone, Debug)]
pub struct Attachments {
    directory: PathBuf,
}

impl Attachments {
    pub fn of(config: &Config) -> Self {
        Self {
            directory: config.run_dir.join("mapped"),
        }
    }

    fn failed(&self) -> impl FnOnce(io::Error) -> ErrorReport {
        let directory = self.directory.display().to_string();
        move |error| {
            ErrorReport::new(
                ErrorCode::Failed,
                format!("{directory}: {error}"),
                "look at the directory's owner and mode",
            )
        }
    }

    /// Any name fits: files are named by the hexadecimal digits of a volume's name, or by their hash.
    fn file(&self, volume: &str) -> PathBuf {
        let digits: String = volume.bytes().map(|byte| format!("{byte:02x}")).collect();
        let name = if digits.len() <= 200 {
            digits
        } else {
            format!("{:016x}-{}", fnv(volume), &digits[..100])
        };
        self.directory.join(name)
    }

    pub fn all(&self) -> Result<Vec<Attachment>, ErrorReport> {
        Ok(self.kept()?.into_iter().map(|one| one.attachment).collect())
    }

    /// The one of this volume, by whatever name it is called.
    pub fn find(&self, id: &str, name: &str) -> Result<Option<Attachment>, ErrorReport> {
        let is_it = |one: &Kept| one.attachment.volume == name || (one.id == id && !id.is_empty());
        let found = self.kept()?.into_iter().find(is_it);
        Ok(found.map(|one| one.attachment))
    }

    fn kept(&self) -> Result<Vec<Kept>, ErrorReport> {
        let entries = match fs::read_dir(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(self.failed())?,
        };
        let mut all = Vec::new();
        for entry in entries {
            let path = entry.map_err(self.failed())?.path();
            let text = match fs::read(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                text => text.map_err(self.failed())?,
            };
            // One that was cut off by a crash is nobody's.
            if let Ok(attachment) = serde_json::from_slice::<Kept>(&text) {
                all.push(attachment);
            }
        }
        all.sort_by(|one: &Kept, other| one.attachment.volume.cmp(&other.attachment.volume));
        Ok(all)
    }

    pub fn add(&self, id: &str, attachment: Attachment) -> Result<(), ErrorReport> {
        let file = self.file(&attachment.volume);
        let kept = Kept {
            id: id.to_owned(),
            attachment,
        };
        fs::create_dir_all(&self.directory).map_err(self.failed())?;
        let text = serde_json::to_vec(&kept).map_err(|error| self.failed()(error.into()))?;
        let fresh = file.with_extension("new");
        fs::write(&fresh, text).map_err(self.failed())?;
        fs::rename(&fresh, &file).map_err(self.failed())
    }

    pub fn remove(&self, volume: &str) -> Result<(), ErrorReport> {
        match fs::remove_file(self.file(volume)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(self.failed()),
        }
    }
}

fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
