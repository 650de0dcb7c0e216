//! What a host may open: what its roles are made of, and nothing else, whatever it is talked into (P3).
//!
//! Done once the privileges are gone and the segment is mapped, and before there is a second thread or a ring: threads and
//! the kernel's workers inherit it.
//!
//! # Invariants
//! * **CONFINE-1** A confined thread, and whatever it starts, opens no file outside of the places given, by whatever call.
//! * **CONFINE-2** A kernel that cannot do it, or not so that links between directories still work, stops nobody.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, PathFdError,
    Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError,
};

use super::roles::companions;
use crate::attach::Wishes;
use crate::config::{Config, RoleConfig, RoleSettings, TlsConfig};

/// The newest rules that we know the meaning of; older kernels do what they can.
const NEWEST: ABI = ABI::V5;
/// Peers tell by `/proc` who lives, a node is known by its machine's number, a panic looks up names of functions, and what is written past the
/// page cache depends on the device.
const READ: [&str; 6] = [
    "/proc",
    "/etc/machine-id",
    "/var/lib/dbus/machine-id",
    "/proc/self/exe",
    "/sys/dev/block",
    "/sys/devices",
];

/// What librados needs: the library with its relatives, its plugins, Ceph's configuration and keys, and the names of other machines.
const READ_FOR_RADOS: [&str; 11] = [
    "/usr/lib",
    "/lib",
    "/lib64",
    "/etc/ld.so.cache",
    "/etc/ceph",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/resolv.conf",
    "/dev/urandom",
    "/usr/share/ceph",
];

/// Where a host works.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Places {
    /// Directories in which it does what it likes.
    own: Vec<PathBuf>,
    /// Log files, which come and go.
    logs: Vec<PathBuf>,
    read: Vec<PathBuf>,
    /// Where devices are opened that come later. Whose they are, and so which may be opened, is said by their owners and modes.
    devices: Vec<PathBuf>,
}

/// Where a file is, and where the link leads that it may be: it is renewed by another file of its name, which a permission for
/// the present one would not hold for.
fn directories_of(file: &Path) -> impl Iterator<Item = PathBuf> {
    let target = file.canonicalize().ok();
    let both = [Some(file.to_owned()), target];
    let both = both.into_iter().flatten();
    both.filter_map(|file| Some(file.parent()?.to_owned()))
}

#[derive(Debug, thiserror::Error)]
pub enum ConfinementError {
    #[error("{path:?} cannot be opened: {source}")]
    Path { path: PathBuf, source: PathFdError },
    #[error("the kernel refuses: {0}")]
    Refused(#[from] RulesetError),
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Confined {
    Yes,
    /// The kernel has no such thing, or an early one.
    NotHere,
}

impl Places {
    pub fn of(config: &Config, host: &str, roles: &[&RoleConfig]) -> Self {
        let mut places = Self {
            own: vec![config.run_dir.clone()],
            logs: vec![crate::log::host_file(config, host)],
            read: READ.map(PathBuf::from).into(),
            devices: Vec::new(),
        };
        let bridges = config.nbd_composer();
        if bridges.is_some_and(|composer| roles.iter().any(|role| role.name == composer.name)) {
            places.devices.push("/dev".into());
            // Who is to be kept from writing stands there (MAPPED-1).
            let wishes = Wishes::of(config);
            places.read.extend(wishes.directory().map(Path::to_owned));
        }
        for file in config.nbd.tls.iter().flat_map(TlsConfig::files) {
            places.read.extend(directories_of(file));
        }
        if let Some(directory) = config.nbd.socket.parent() {
            places.own.push(directory.to_owned());
        }
        for role in roles {
            places.logs.push(role.logfile.clone());
            places.add_those_of(&role.settings);
            for companion in companions(config, role) {
                places.add_those_of(&companion.settings);
            }
        }
        places
    }

    fn add_those_of(&mut self, settings: &RoleSettings) {
        match settings {
            RoleSettings::FileBlocker {
                archip_dir,
                lock_dir,
                ..
            } => {
                self.own.push(archip_dir.clone());
                if !lock_dir.starts_with(archip_dir) {
                    self.own.push(lock_dir.clone());
                }
            }
            RoleSettings::RadosBlocker { ceph_conf, .. } => {
                self.read.extend(READ_FOR_RADOS.map(PathBuf::from));
                // Its keys lie beside it.
                let beside = ceph_conf.as_deref().and_then(Path::parent);
                self.read.extend(beside.map(Path::to_owned));
            }
            RoleSettings::Mapperd { .. } | RoleSettings::Vlmcd { .. } => {}
        }
    }

    /// Confines the present thread, for good.
    pub fn confine(&self) -> Result<Confined, ConfinementError> {
        let all = AccessFs::from_all(NEWEST);
        let handled = Ruleset::default()
            // Without it files could not be linked from one directory into another any more (CONFINE-2).
            .set_compatibility(CompatLevel::HardRequirement)
            .handle_access(AccessFs::Refer);
        let Ok(ruleset) = handled else {
            return Ok(Confined::NotHere);
        };
        let mut ruleset = ruleset
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(all)?
            .create()?;
        for path in &self.own {
            ruleset = allow(ruleset, path, all & !AccessFs::Execute)?;
        }
        for path in &self.logs {
            ruleset = allow_log(ruleset, path)?;
        }
        for path in &self.read {
            if path.exists() {
                ruleset = allow(ruleset, path, AccessFs::ReadFile | AccessFs::ReadDir)?;
            }
        }
        for path in &self.devices {
            let access = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::IoctlDev;
            ruleset = allow(ruleset, path, access)?;
        }
        ruleset.restrict_self()?;
        Ok(Confined::Yes)
    }
}

fn allow(
    ruleset: RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, ConfinementError> {
    let opened = PathFd::new(path).map_err(|source| ConfinementError::Path {
        path: path.to_owned(),
        source,
    })?;
    let access = if path.is_dir() {
        access
    } else {
        access & AccessFs::from_file(NEWEST)
    };
    Ok(ruleset.add_rule(PathBeneath::new(opened, access))?)
}

/// A regular log file is moved away and made anew by whoever rotates logs; a device is only written. One whose place is
/// missing cannot be written: that has been said when it was opened, and is no reason not to start.
fn allow_log(ruleset: RulesetCreated, path: &Path) -> Result<RulesetCreated, ConfinementError> {
    let is_device = path.exists() && !path.is_file();
    if is_device {
        return allow(ruleset, path, AccessFs::WriteFile.into());
    }
    match path.parent() {
        Some(directory) if directory.is_dir() => {
            let access = AccessFs::WriteFile | AccessFs::MakeReg;
            allow(ruleset, directory, access)
        }
        _ => Ok(ruleset),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};

    fn is_refused<T>(done: std::io::Result<T>) -> bool {
        done.is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied)
    }

    /// CONFINE-1, CONFINE-2. Confinement is a thread's, and so of a thread of this test alone.
    #[test]
    fn a_confined_thread_works_in_its_places_and_opens_nothing_elsewhere() {
        let directory = tempfile::tempdir().expect("a directory");
        let [own, other, logs] = ["own", "other", "logs"].map(|name| directory.path().join(name));
        for path in [&own, &other, &logs] {
            fs::create_dir(path).expect("made");
            fs::write(path.join("file"), "text").expect("written");
        }
        let places = Places {
            own: vec![own.clone()],
            logs: vec![logs.join("a.log"), "/dev/null".into(), "/none/b.log".into()],
            read: READ.map(PathBuf::from).into(),
            devices: Vec::new(),
        };
        let confined = std::thread::spawn(move || {
            if places.confine().expect("confined") == Confined::NotHere {
                return false;
            }
            fs::create_dir_all(own.join("a/b")).expect("own");
            fs::write(own.join("a/b/new"), "text").expect("own");
            fs::hard_link(own.join("a/b/new"), own.join("linked")).expect("own");
            fs::rename(own.join("linked"), own.join("a/renamed")).expect("own");
            fs::write(logs.join("a.log"), "line").expect("a log");
            fs::write("/dev/null", "line").expect("a log");
            fs::read_to_string("/proc/self/stat").expect("who lives");
            assert!(is_refused(fs::read(logs.join("file"))));
            assert!(is_refused(fs::remove_file(logs.join("file"))));
            assert!(is_refused(fs::read(other.join("file"))));
            assert!(is_refused(fs::write(other.join("file"), "")));
            assert!(is_refused(fs::write(other.join("new"), "")));
            assert!(is_refused(fs::remove_file(other.join("file"))));
            assert!(is_refused(fs::read_dir(&other)));
            assert!(is_refused(File::open("/etc/passwd")));
            std::os::unix::fs::symlink(other.join("file"), own.join("way-out")).expect("own");
            assert!(is_refused(fs::read(own.join("way-out"))));
            let child = std::process::Command::new("/bin/true").status();
            assert!(is_refused(child));
            let below = std::thread::spawn(|| is_refused(File::open("/etc/passwd")));
            below.join().expect("a thread")
        });
        let confined = confined.join().expect("a thread");
        assert!(
            File::open("/etc/passwd").is_ok(),
            "only that thread is confined"
        );
        assert!(confined, "this kernel has no landlock: nothing was tested");
    }

    #[test]
    fn a_place_of_ones_own_that_is_missing_is_an_error_that_names_it() {
        let places = Places {
            own: vec!["/none/at/all".into()],
            ..Places::default()
        };
        let error = places.confine().expect_err("missing");
        assert!(error.to_string().contains("/none/at/all"), "{error}");
    }
}
