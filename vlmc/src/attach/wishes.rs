//! What is to be attached after each start, a reboot of the machine included: `vlmc map --persist`.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::notes::Notes;
use super::record::Kind;
use crate::cli::ErrorReport;
use crate::config::Config;

/// That a volume is to be attached, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    pub volume: String,
    /// The volume's id: another one that is called so later is not what was wished for.
    #[serde(default)]
    pub id: String,
    pub kind: Kind,
    pub is_read_only: bool,
}

/// All that are to be attached. Unlike the records, they outlive the machine's run. Nodes of one machine have segments of
/// different names, and so wishes of their own.
#[derive(Clone, Debug)]
pub struct Wishes {
    notes: Notes<Wish>,
}

impl Wishes {
    pub fn of(config: &Config) -> Self {
        Self::at(config.state_dir.join("persist").join(&config.segment.name))
    }

    fn at(directory: PathBuf) -> Self {
        Self {
            notes: Notes::new(directory),
        }
    }

    /// Where they lie, if there are any: for whoever may open nothing else.
    pub fn directory(&self) -> Option<&Path> {
        let directory = self.notes.directory();
        directory.is_dir().then_some(directory)
    }

    /// By the names of the volumes.
    pub fn all(&self) -> Result<Vec<Wish>, ErrorReport> {
        let mut all = self.notes.all()?;
        all.sort_by(|one, other| one.volume.cmp(&other.volume));
        Ok(all)
    }

    pub fn find(&self, volume: &str) -> Result<Option<Wish>, ErrorReport> {
        self.notes.find(volume)
    }

    pub fn put(&self, wish: &Wish) -> Result<(), ErrorReport> {
        self.notes.put(&wish.volume, wish)
    }

    pub fn remove(&self, volume: &str) -> Result<(), ErrorReport> {
        self.notes.remove(volume)
    }
}
