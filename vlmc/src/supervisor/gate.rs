//! The lock that makes one supervisor the only one of a run directory (F19).

use std::fs::File;
use std::io::{self, Write};

use super::error::SupervisorError;
use super::file_lock;
use super::run_dir::RunDir;

/// Held as long as this lives; the kernel drops it with the process, however that ends.
#[derive(Debug)]
pub struct Gate {
    _file: File,
}

impl Gate {
    /// Takes the gate, or says who has it.
    pub fn take(run_dir: &RunDir) -> Result<Self, SupervisorError> {
        let path = run_dir.gate();
        let opened = file_lock::open(&path);
        let mut file = opened.map_err(SupervisorError::system("cannot open", &path))?;
        if !file_lock::take(&file) {
            return Err(SupervisorError::AlreadyRunning {
                directory: run_dir.path().to_owned(),
                pid: holder(run_dir),
            });
        }
        let written = file
            .set_len(0)
            .and_then(|()| write!(file, "{}", std::process::id()));
        written.map_err(SupervisorError::system("cannot write", path))?;
        Ok(Self { _file: file })
    }

    /// Does a supervisor run?
    pub fn is_taken(run_dir: &RunDir) -> Result<bool, SupervisorError> {
        let path = run_dir.gate();
        match File::open(&path) {
            Ok(file) => Ok(!file_lock::is_free(&file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(SupervisorError::system("cannot open", path)(error)),
        }
    }
}

/// Who wrote last into the gate: the holder, if there is one.
pub(super) fn holder(run_dir: &RunDir) -> Option<u32> {
    std::fs::read_to_string(run_dir.gate())
        .ok()?
        .trim()
        .parse()
        .ok()
}
