//! What the configuration takes from the process and the machine, as a value: tests make their own.

use std::path::{Path, PathBuf};

const PASSWD_FILE: &str = "/etc/passwd";

/// Who asks, and where their files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    pub uid: u32,
    /// Where the machine's configuration lies: `/etc/archipelago`.
    pub etc_dir: PathBuf,
    /// `/etc/passwd` and `/etc/group`.
    pub passwd_file: PathBuf,
    pub group_file: PathBuf,
    /// `$XDG_CONFIG_HOME`, or `.config` below the home directory.
    pub config_home: PathBuf,
    /// `$XDG_STATE_HOME`, or `.local/state` below the home directory.
    pub state_home: PathBuf,
    /// `$XDG_RUNTIME_DIR`, if there is one.
    pub runtime_dir: Option<PathBuf>,
}

impl Environment {
    pub fn of_process() -> Self {
        let uid = rustix::process::geteuid().as_raw();
        // Relative paths in these variables are to be ignored, says their specification.
        let variable = |name: &str| {
            let path = std::env::var_os(name).map(PathBuf::from);
            path.filter(|path| path.is_absolute())
        };
        // Never a place that somebody else could make.
        let home = variable("HOME")
            .or_else(|| super::accounts::home(Path::new(PASSWD_FILE), uid))
            .unwrap_or_else(|| "/nonexistent".into());
        Self {
            uid,
            etc_dir: "/etc/archipelago".into(),
            passwd_file: PASSWD_FILE.into(),
            group_file: "/etc/group".into(),
            config_home: variable("XDG_CONFIG_HOME").unwrap_or_else(|| home.join(".config")),
            state_home: variable("XDG_STATE_HOME").unwrap_or_else(|| home.join(".local/state")),
            runtime_dir: variable("XDG_RUNTIME_DIR"),
        }
    }

    pub fn is_root(&self) -> bool {
        self.uid == 0
    }

    /// The directory of the configuration file and of `conf.d`.
    pub fn config_dir(&self) -> PathBuf {
        if self.is_root() {
            self.etc_dir.clone()
        } else {
            self.config_home.join("archipelago")
        }
    }

    /// What is kept: objects, maps, logs.
    pub fn state_dir(&self) -> PathBuf {
        if self.is_root() {
            "/var/lib/archipelago".into()
        } else {
            self.state_home.join("archipelago")
        }
    }

    pub fn log_dir(&self) -> PathBuf {
        if self.is_root() {
            "/var/log/archipelago".into()
        } else {
            self.state_dir().join("log")
        }
    }

    /// Sockets and locks, gone at the next boot.
    pub fn run_dir(&self) -> PathBuf {
        match &self.runtime_dir {
            _ if self.is_root() => "/run/archipelago".into(),
            Some(dir) => dir.join("archipelago"),
            None => format!("/tmp/archipelago-{}", self.uid).into(),
        }
    }

    pub fn segment_name(&self) -> String {
        if self.is_root() {
            "archipelago".into()
        } else {
            format!("archipelago-{}", self.uid)
        }
    }
}
