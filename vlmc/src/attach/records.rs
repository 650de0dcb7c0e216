//! What is attached on this node: a file for each, which outlives every process until `unmap`.

use std::fs::{self, File};
use std::time::{Duration, Instant};

use archipelago_protocol::ErrorCode;

use super::notes::{Notes, failed};
use super::record::Record;
use crate::cli::{Attachment, ErrorReport};
use crate::config::Config;
use crate::supervisor::file_lock;

const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// The attachments of a node.
#[derive(Clone, Debug)]
pub struct Records {
    notes: Notes<Record>,
}

impl Records {
    pub fn of(config: &Config) -> Self {
        Self {
            notes: Notes::new(config.run_dir.join("mapped")),
        }
    }

    /// Whoever attaches or detaches does so alone, until the file is dropped.
    pub fn lock(&self, timeout: Duration) -> Result<File, ErrorReport> {
        let path = self.notes.directory().with_extension("lock");
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(failed(directory))?;
        }
        let file = file_lock::open(&path).map_err(failed(&path))?;
        let begun = Instant::now();
        while !file_lock::take(&file) {
            if begun.elapsed() > timeout {
                return Err(ErrorReport::new(
                    ErrorCode::Timeout,
                    "another command is attaching or detaching volumes, and does not end",
                    format!("`fuser {}` tells which", path.display()),
                ));
            }
            std::thread::sleep(LOOK_AGAIN);
        }
        Ok(file)
    }

    /// By the names of the volumes.
    pub fn all(&self) -> Result<Vec<Record>, ErrorReport> {
        let all = self.notes.all()?.into_iter().map(Record::understood);
        let mut all: Vec<Record> = all.collect();
        all.sort_by(|one, other| one.volume().cmp(other.volume()));
        Ok(all)
    }

    pub fn attachments(&self) -> Result<Vec<Attachment>, ErrorReport> {
        let all = self.all()?.into_iter();
        Ok(all.map(|record| record.attachment).collect())
    }

    /// The one of this volume, by whatever name it is called. One that cannot be understood is an error (NOTES-3).
    pub fn find(&self, id: &str, name: &str) -> Result<Option<Record>, ErrorReport> {
        if let Some(record) = self.notes.find(name)? {
            return Ok(Some(record.understood()));
        }
        let is_it = |one: &Record| one.volume() == name || (one.id == id && !id.is_empty());
        Ok(self.all()?.into_iter().find(is_it))
    }

    pub fn put(&self, record: &Record) -> Result<(), ErrorReport> {
        self.notes.put(record.volume(), record)
    }

    pub fn remove(&self, volume: &str) -> Result<(), ErrorReport> {
        self.notes.remove(volume)
    }
}
