//! A directory of small things, each in a file of its own.
//!
//! # Invariants
//! * **NOTES-1** A note is whole or not there, whenever whoever writes it dies; and one that was put is there after a power loss.
//! * **NOTES-2** Root believes notes of root's only, and writes where nobody else can have put a link: the directory lies in one that
//!   belongs to the hosts' user (P3).
//! * **NOTES-3** Who asks for one note is told when it is there and cannot be understood: that is not the same as none.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use archipelago_protocol::ErrorCode;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::geteuid;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cli::ErrorReport;

/// Longest part of a file name that is made of a note's name.
const DIGITS_MAX: usize = 200;

/// Notes about what has a name, of one kind.
#[derive(Clone, Debug)]
pub(super) struct Notes<T> {
    directory: PathBuf,
    kind: PhantomData<T>,
}

impl<T: Serialize + DeserializeOwned> Notes<T> {
    pub fn new(directory: PathBuf) -> Self {
        Self {
            directory,
            kind: PhantomData,
        }
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The directory as a path that leads to it whatever becomes of its name; `None`: it is not there.
    fn open(&self) -> Result<Option<Opened>, ErrorReport> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
        let opened = match rustix::fs::open(&self.directory, flags, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(None),
            opened => opened.map_err(|errno| failed(&self.directory)(errno.into()))?,
        };
        let about = rustix::fs::fstat(&opened);
        let about = about.map_err(|errno| failed(&self.directory)(errno.into()))?;
        let is_trusted = about.st_uid == 0 || about.st_uid == geteuid().as_raw();
        if !is_trusted {
            return Err(ErrorReport::new(
                ErrorCode::Permission,
                format!("{} belongs to somebody else", self.directory.display()),
                "remove it, and attach the volumes again",
            )); // NOTES-2
        }
        let path = PathBuf::from(format!("/proc/self/fd/{}", opened.as_raw_fd()));
        Ok(Some(Opened {
            directory: opened,
            path,
        }))
    }

    fn make(&self) -> Result<Opened, ErrorReport> {
        if let Some(opened) = self.open()? {
            return Ok(opened);
        }
        self.make_directory().map_err(failed(&self.directory))?;
        let gone = || io::Error::from(io::ErrorKind::NotFound);
        let opened = self.open()?;
        let opened = opened.ok_or_else(|| failed(&self.directory)(gone()))?;
        // Hosts read it, as whoever they are, whatever the mask of this process is. By the descriptor, whose owner was looked at: what
        // has the name by now may be a link (NOTES-2).
        let mode = Mode::from_raw_mode(0o755);
        let changed = rustix::fs::fchmod(&opened.directory, mode);
        changed.map_err(|errno| failed(&self.directory)(errno.into()))?;
        Ok(opened)
    }

    fn make_directory(&self) -> io::Result<()> {
        if let Some(parent) = self.directory.parent() {
            fs::create_dir_all(parent)?;
        }
        match fs::create_dir(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            made => made,
        }
    }

    /// The note about `name` (NOTES-3).
    pub fn find(&self, name: &str) -> Result<Option<T>, ErrorReport> {
        let Some(opened) = self.open()? else {
            return Ok(None);
        };
        let file = file_name(name);
        let path = self.directory.join(&file);
        let text = match fs::read(opened.path.join(&file)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text.map_err(failed(&path))?,
        };
        serde_json::from_slice(&text).map(Some).map_err(|error| {
            ErrorReport::new(
                ErrorCode::Integrity,
                format!("{} cannot be understood: {error}", path.display()),
                "remove that file, and map the volume again",
            )
        })
    }

    pub fn all(&self) -> Result<Vec<T>, ErrorReport> {
        let Some(opened) = self.open()? else {
            return Ok(Vec::new());
        };
        let entries = fs::read_dir(&opened.path).map_err(failed(&self.directory))?;
        let mut all = Vec::new();
        for entry in entries {
            let path = entry.map_err(failed(&self.directory))?.path();
            if path.extension().is_some() {
                continue; // one that was never finished (NOTES-1)
            }
            let text = match fs::read(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                text => text.map_err(failed(&path))?,
            };
            match serde_json::from_slice(&text) {
                Ok(note) => all.push(note),
                Err(error) => tracing::warn!(?path, %error, "is passed over: it is none of ours"),
            }
        }
        Ok(all)
    }

    pub fn put(&self, name: &str, note: &T) -> Result<(), ErrorReport> {
        let opened = self.make()?;
        let name = file_name(name);
        let file = self.directory.join(&name);
        let text = serde_json::to_vec(note).map_err(|error| failed(&file)(error.into()))?;
        let fresh = opened.path.join(format!("{name}.new"));
        let write = || {
            let _ = fs::remove_file(&fresh); // of one that died here
            let mut written = File::create_new(&fresh)?;
            written.write_all(&text)?;
            written.set_permissions(fs::Permissions::from_mode(0o644))?;
            written.sync_all()?;
            fs::rename(&fresh, opened.path.join(&name))?;
            File::open(&opened.path)?.sync_all()
        };
        write().map_err(failed(&file))
    }

    pub fn remove(&self, name: &str) -> Result<(), ErrorReport> {
        let Some(opened) = self.open()? else {
            return Ok(());
        };
        let remove = || {
            fs::remove_file(opened.path.join(file_name(name)))?;
            File::open(&opened.path)?.sync_all()
        };
        match remove() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(failed(&self.directory)),
        }
    }
}

/// A directory that cannot be exchanged for another one while this is there.
struct Opened {
    directory: OwnedFd,
    path: PathBuf,
}

/// Any name fits: files are named by the hexadecimal digits of what they are about, or by their hash.
fn file_name(name: &str) -> String {
    let digits: String = name.bytes().map(|byte| format!("{byte:02x}")).collect();
    match digits.len() <= DIGITS_MAX {
        true => digits,
        false => format!("{:016x}-{}", fnv(name), &digits[..DIGITS_MAX / 2]),
    }
}

pub(super) fn failed(path: &Path) -> impl FnOnce(io::Error) -> ErrorReport {
    let path = path.display().to_string();
    move |error| {
        let code = match error.kind() {
            io::ErrorKind::PermissionDenied => ErrorCode::Permission,
            io::ErrorKind::StorageFull => ErrorCode::NoSpace,
            _ => ErrorCode::Failed,
        };
        ErrorReport::new(
            code,
            format!("{path}: {error}"),
            "look at its owner and mode, and whether its file system is full",
        )
    }
}

pub(super) fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// NOTES-1
    #[test]
    fn a_note_that_was_not_finished_is_no_note() {
        let directory = tempfile::tempdir().expect("a directory");
        let notes = Notes::<u32>::new(directory.path().join("notes"));
        assert!(notes.all().expect("none yet").is_empty());
        notes.put("one", &1).expect("put");
        notes.put("one", &11).expect("replaced");
        fs::write(notes.directory().join("aa.new"), "2").expect("written");
        fs::write(notes.directory().join("bb"), "3 apples").expect("written");
        assert_eq!(notes.all().expect("read"), [11]);
        notes.remove("one").expect("removed");
        notes.remove("one").expect("gone is gone");
        assert!(notes.all().expect("read").is_empty());
    }

    /// NOTES-3
    #[test]
    fn a_note_that_cannot_be_understood_is_not_taken_for_none() {
        let directory = tempfile::tempdir().expect("a directory");
        let notes = Notes::<u32>::new(directory.path().join("notes"));
        assert_eq!(notes.find("one").expect("no directory"), None);
        notes.put("one", &1).expect("put");
        assert_eq!(notes.find("one").expect("read"), Some(1));
        assert_eq!(notes.find("two").expect("none"), None);
        let file = notes.directory().join(file_name("one"));
        for damaged in ["", "1 apple"] {
            fs::write(&file, damaged).expect("written");
            let error = notes.find("one").expect_err("damaged");
            assert!(error.message.contains(&file.display().to_string()));
            assert_eq!(notes.find("two").expect("another's"), None);
        }
    }

    #[test]
    fn names_of_any_length_have_files_of_their_own() {
        let directory = tempfile::tempdir().expect("a directory");
        let notes = Notes::<u32>::new(directory.path().to_owned());
        let long = "v".repeat(511);
        for (number, name) in [(1, "../x"), (2, "a@b"), (3, &long), (4, &long[1..])] {
            notes.put(name, &number).expect("put");
        }
        let mut all = notes.all().expect("read");
        all.sort_unstable();
        assert_eq!(all, [1, 2, 3, 4]);
    }

    /// NOTES-2
    #[test]
    fn a_link_in_the_place_of_the_directory_is_not_followed() {
        let directory = tempfile::tempdir().expect("a directory");
        let elsewhere = directory.path().join("elsewhere");
        fs::create_dir(&elsewhere).expect("made");
        let place = directory.path().join("notes");
        std::os::unix::fs::symlink(&elsewhere, &place).expect("a link");
        let notes = Notes::<u32>::new(place.clone());
        notes.put("one", &1).expect_err("it is a link");
        notes.all().expect_err("it is a link");
        assert_eq!(fs::read_dir(&elsewhere).expect("there").count(), 0);
        fs::remove_file(&place).expect("removed");
        notes.put("one", &1).expect("put");
        let mode = fs::metadata(&place).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o755);
    }
}
