//! Where lines go: the journal, else a role's lines to its log file and all others to stderr.
//!
//! # Invariants
//! * **OUTLET-1** A log that cannot be opened or written stops nobody: its lines go to stderr instead, or nowhere.
//! * **OUTLET-2** After [`Outlets::reopen`] lines go to the files that have the configured names then (logrotate).

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use archipelago_runtime::Tenant;
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

use super::files::open;
use super::journal;

/// The outlets of a process.
#[derive(Debug)]
pub struct Outlets {
    is_journal: bool,
    /// The file that stderr is, if it is one of ours.
    own: Option<PathBuf>,
    /// In the order of the tenants.
    roles: Vec<Outlet>,
}

#[derive(Debug)]
struct Outlet {
    role: String,
    path: PathBuf,
    file: Mutex<Option<File>>,
}

impl Outlet {
    fn file(&self) -> MutexGuard<'_, Option<File>> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says why not, if not; what was open stays open then.
    fn open(&self) -> io::Result<()> {
        *self.file() = Some(open(&self.path)?);
        Ok(())
    }
}

impl Outlets {
    /// `own` is where stderr leads to, if whoever started us had it lead to a log file; `roles` are names and log files.
    pub fn new(own: &Path, roles: impl IntoIterator<Item = (String, PathBuf)>) -> Arc<Self> {
        let outlet = |(role, path)| Outlet {
            role,
            path,
            file: Mutex::default(),
        };
        let outlets = Self {
            is_journal: journal::stderr_is_journal(),
            own: is_stderr(own).then(|| own.to_owned()),
            roles: roles.into_iter().map(outlet).collect(),
        };
        Arc::new(outlets)
    }

    pub fn is_journal(&self) -> bool {
        self.is_journal
    }

    /// Opens the log files, or opens them anew.
    pub fn reopen(&self) {
        if self.is_journal {
            return;
        }
        if let Some(own) = &self.own {
            let opened = open(own).and_then(|file| {
                rustix::stdio::dup2_stderr(&file)?;
                Ok(rustix::stdio::dup2_stdout(&file)?)
            });
            if let Err(error) = opened {
                tracing::warn!(path = %own.display(), %error, "the log file cannot be opened anew");
            }
        }
        for outlet in &self.roles {
            if let Err(error) = outlet.open() {
                let path = outlet.path.display();
                tracing::warn!(role = outlet.role, %path, %error, "the log file cannot be opened");
            }
        }
    }

    /// One line, whole, to where it belongs (OUTLET-1).
    fn write(&self, tenant: Tenant, level: Level, line: &[u8]) {
        let index = usize::from(tenant.0).checked_sub(1);
        let outlet = index.and_then(|index| self.roles.get(index));
        if self.is_journal {
            let mut whole = journal::prefix(level).as_bytes().to_vec();
            if let Some(outlet) = outlet {
                whole.extend_from_slice(outlet.role.as_bytes());
                whole.extend_from_slice(b": ");
            }
            whole.extend_from_slice(line);
            let _ = io::stderr().write_all(&whole);
            return;
        }
        let written = outlet.is_some_and(|outlet| {
            let file = outlet.file();
            file.as_ref()
                .is_some_and(|mut file| file.write_all(line).is_ok())
        });
        if !written {
            let _ = io::stderr().write_all(line);
        }
    }
}

/// Does stderr lead to this file?
fn is_stderr(path: &Path) -> bool {
    let (Ok(one), Ok(other)) = (rustix::fs::stat(path), rustix::fs::fstat(io::stderr())) else {
        return false;
    };
    (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
}

/// For the subscriber.
#[derive(Clone, Debug)]
pub(super) struct Sink(pub Arc<Outlets>);

impl<'a> MakeWriter<'a> for Sink {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line {
            outlets: &self.0,
            level: Level::INFO,
        }
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Line<'a> {
        Line {
            outlets: &self.0,
            level: *metadata.level(),
        }
    }
}

/// The subscriber writes a line at a time.
#[derive(Debug)]
pub(super) struct Line<'a> {
    outlets: &'a Outlets,
    level: Level,
}

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.outlets.write(Tenant::present(), self.level, line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outlets(files: &[(&str, PathBuf)]) -> Arc<Outlets> {
        let files = files
            .iter()
            .map(|(role, path)| ((*role).into(), path.clone()));
        Outlets::new(Path::new("/nonexistent"), files)
    }

    fn read(path: &Path) -> String {
        std::fs::read_to_string(path).unwrap_or_default()
    }

    /// OUTLET-2
    #[test]
    fn lines_go_to_the_file_of_their_role_also_after_a_rotation() {
        let directory = tempfile::tempdir().expect("a directory");
        let [one, two, old] = ["one.log", "two.log", "one.log.1"].map(|n| directory.path().join(n));
        let outlets = outlets(&[("one", one.clone()), ("two", two.clone())]);
        outlets.reopen();
        outlets.write(Tenant(1), Level::INFO, b"first\n");
        outlets.write(Tenant(2), Level::INFO, b"other\n");
        std::fs::rename(&one, &old).expect("rotated");
        outlets.write(Tenant(1), Level::INFO, b"second\n");
        outlets.reopen();
        outlets.write(Tenant(1), Level::INFO, b"third\n");
        assert_eq!(read(&old), "first\nsecond\n");
        assert_eq!(read(&one), "third\n");
        assert_eq!(read(&two), "other\n");
    }

    /// OUTLET-1
    #[test]
    fn a_log_that_cannot_be_opened_or_written_stops_nobody() {
        let directory = tempfile::tempdir().expect("a directory");
        let pipe = directory.path().join("pipe");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0)
            .expect("a pipe");
        let outlets = outlets(&[
            ("directory", directory.path().to_owned()),
            ("full", "/dev/full".into()),
            ("pipe", pipe),
        ]);
        outlets.reopen();
        let sink = Sink(outlets);
        for tenant in 0..5 {
            let written = Tenant(tenant).within(|| sink.make_writer().write_all(b"a line\n"));
            written.expect("never an error");
        }
    }
}
