//! The directories that the configuration names: are they usable, and make those that are missing.
//!
//! A directory may be missing if the one above it is there; the usual ones are made with all above them. Checked by
//! what needs them (`config check`, `start`, `doctor`), not by each command.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD};

use super::environment::Environment;
use super::model::Config;
use super::problem::{Problem, place_of};
use super::role::RoleSettings;

/// A directory, and the setting that names it.
struct Directory {
    key: String,
    path: PathBuf,
    /// It is, or is below, one that is ours by default.
    is_usual: bool,
}

/// What is wrong with the directories, for this process and for the user that peers become.
pub fn check(config: &Config, environment: &Environment) -> Vec<Problem> {
    let mut problems = Vec::new();
    for directory in directories(config, environment) {
        if let Err((what, remedy)) = check_one(config, &directory) {
            problems.push(problem(config, &directory.key, what, remedy));
        }
    }
    problems
}

/// Makes the directories that are missing, owned by the user that peers become.
pub fn prepare(config: &Config, environment: &Environment) -> Result<(), Problem> {
    for directory in directories(config, environment) {
        let made = make(config, &directory).map_err(|error| {
            let path = directory.path.display();
            let what = format!("{path} cannot be made: {error}");
            problem(
                config,
                &directory.key,
                what,
                "make it, or name another".into(),
            )
        });
        made?;
    }
    if let Some(problem) = check(config, environment).into_iter().next() {
        return Err(problem);
    }
    check_run_dir(config)
}

fn directories(config: &Config, environment: &Environment) -> Vec<Directory> {
    let usual = [
        environment.state_dir(),
        environment.run_dir(),
        environment.log_dir(),
    ];
    let directory = |key: String, path: &Path| Directory {
        is_usual: usual.iter().any(|usual| path.starts_with(usual)),
        key,
        path: path.to_owned(),
    };
    let mut directories = vec![
        directory("run_dir".into(), &config.run_dir),
        directory("log_dir".into(), &config.log_dir),
    ];
    // The supervisor's directory is looked at above.
    let sockets = config.nbd.socket.parent();
    if let Some(sockets) = sockets.filter(|place| *place != config.run_dir) {
        directories.push(directory("nbd.socket".into(), sockets));
    }
    for role in &config.roles {
        // A device, or the like, needs no place to be made in.
        let is_made = role.logfile.is_file() || !role.logfile.exists();
        let place = role.logfile.parent().filter(|_| is_made);
        if let Some(place) = place.filter(|place| *place != config.log_dir) {
            directories.push(directory(format!("role.{}.logfile", role.name), place));
        }
        if let RoleSettings::FileBlocker {
            archip_dir,
            lock_dir,
            ..
        } = &role.settings
        {
            let key = |setting: &str| format!("role.{}.{setting}", role.name);
            directories.push(directory(key("archip_dir"), archip_dir));
            // Below archip_dir the role makes it by itself.
            if !lock_dir.starts_with(archip_dir) {
                directories.push(directory(key("lock_dir"), lock_dir));
            }
        }
    }
    directories
}

fn check_one(config: &Config, directory: &Directory) -> Result<(), (String, String)> {
    let path = directory.path.display();
    match fs::metadata(&directory.path) {
        Ok(about) if !about.is_dir() => Err((
            format!("{path} is not a directory"),
            "move it away, or name another".into(),
        )),
        Ok(about) => check_rights(config, &directory.path, &about),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let parent = directory.path.parent().unwrap_or(Path::new("/"));
            if directory.is_usual || parent.is_dir() {
                return Ok(());
            }
            Err((
                format!("{path} is missing, and so is {}", parent.display()),
                format!("make it: mkdir -p {path}"),
            ))
        }
        Err(error) => Err((
            format!("{path} cannot be looked at: {error}"),
            "correct the rights of what is above it, or name another".into(),
        )),
    }
}

/// Root may write anywhere; then the user that it becomes must be able to.
fn check_rights(
    config: &Config,
    path: &Path,
    about: &fs::Metadata,
) -> Result<(), (String, String)> {
    let refused = |who: &str, remedy: String| {
        Err((
            format!("{} is not writable for {who}", path.display()),
            remedy,
        ))
    };
    match &config.user {
        Some(user) if rustix::process::geteuid().is_root() && user.id != 0 => {
            let mode = about.permissions().mode();
            let group = config.group.as_ref();
            let bits = if about.uid() == user.id {
                mode >> 6
            } else if group.is_some_and(|group| group.id == about.gid()) {
                mode >> 3
            } else {
                mode
            };
            if bits & 0o3 == 0o3 {
                return Ok(());
            }
            refused(
                &user.name,
                format!("chown {} {}", user.name, path.display()),
            )
        }
        _ => {
            let access = Access::WRITE_OK | Access::EXEC_OK;
            if rustix::fs::accessat(CWD, path, access, AtFlags::EACCESS).is_ok() {
                return Ok(());
            }
            refused("you", "correct its rights, or name another".into())
        }
    }
}

fn make(config: &Config, directory: &Directory) -> io::Result<()> {
    if directory.path.is_dir() {
        return Ok(());
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(directory.is_usual);
    // Nobody else reads objects (F97); the group may enter the directory of sockets.
    let has_sockets = ["run_dir", "nbd.socket"].contains(&directory.key.as_str());
    let mode = if config.group.is_some() && has_sockets {
        0o750
    } else {
        0o700
    };
    builder.mode(mode).create(&directory.path)?;
    if rustix::process::geteuid().is_root() {
        let user = config.user.as_ref().map(|user| user.id);
        let group = config.group.as_ref().map(|group| group.id);
        std::os::unix::fs::chown(&directory.path, user, group)?;
    }
    Ok(())
}

/// In a place where anybody may make files, the directory must be one that nobody else could have made or can change:
/// whoever is about to speak to a socket in it asks first. A directory that is missing deceives nobody.
pub fn check_run_dir(config: &Config) -> Result<(), Problem> {
    let path = &config.run_dir;
    let wrong = |what: &str, remedy: String| {
        let what = format!("{} {what}", path.display());
        Err(problem(config, "run_dir", what, remedy))
    };
    let about = match fs::symlink_metadata(path) {
        Ok(about) => about,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return wrong(&format!("cannot be looked at: {error}"), "make it".into()),
    };
    let us = rustix::process::geteuid().as_raw();
    let owners = [Some(us), config.user.as_ref().map(|user| user.id)];
    if !about.is_dir() {
        return wrong(
            "is not a directory",
            format!("remove it: rm {}", path.display()),
        );
    }
    if !owners.contains(&Some(about.uid())) {
        return wrong(
            "belongs to somebody else",
            "set run_dir to a directory of your own".into(),
        );
    }
    if about.mode() & 0o022 != 0 {
        return wrong(
            "can be written by others",
            format!("chmod go-w {}", path.display()),
        );
    }
    Ok(())
}

fn problem(config: &Config, key: &str, what: String, remedy: String) -> Problem {
    Problem {
        place: place_of(config, key),
        key: key.to_owned(),
        what,
        remedy,
    }
}
