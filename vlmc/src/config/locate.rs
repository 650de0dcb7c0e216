//! Which files make up the configuration.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::environment::Environment;
use super::merge::RawConfig;
use super::problem::{ConfigError, Problem};

/// The largest file that is read: a configuration is a page, not a disk.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Reads the files: the one asked for (it must be there), or what there is in the usual places.
pub fn read(asked: Option<&Path>, environment: &Environment) -> Result<RawConfig, ConfigError> {
    let mut raw = RawConfig::default();
    for (path, must_be_there) in files(asked, environment)? {
        match read_file(&path) {
            Ok(bytes) => match String::from_utf8(bytes) {
                Ok(text) => raw.add(path, &text),
                Err(_) => raw.problems.push(not_text(&path)),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound && !must_be_there => {}
            Err(source) => return Err(ConfigError::Unreadable { path, source }),
        }
    }
    Ok(raw)
}

fn files(
    asked: Option<&Path>,
    environment: &Environment,
) -> Result<Vec<(PathBuf, bool)>, ConfigError> {
    if let Some(path) = asked {
        return Ok(vec![(path.to_owned(), true)]);
    }
    let dir = environment.config_dir();
    let mut files = vec![(dir.join("archipelago.toml"), false)];
    let more = fragments(&dir.join("conf.d"))?;
    files.extend(more.into_iter().map(|path| (path, true)));
    Ok(files)
}

/// `conf.d/*.toml`, sorted by name. No directory, no files.
fn fragments(dir: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable {
        path: dir.to_owned(),
        source,
    };
    let listing = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listing => listing.map_err(unreadable)?,
    };
    let mut paths = Vec::new();
    for entry in listing {
        let path = entry.map_err(unreadable)?.path();
        let is_hidden = path
            .file_name()
            .is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        if !is_hidden && path.extension().is_some_and(|ending| ending == "toml") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// Refuses what is not a plain file of reasonable size: a directory, a pipe, a disk.
pub fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let about = fs::metadata(path)?;
    if !about.is_file() {
        return Err(io::Error::other("it is not a plain file"));
    }
    if about.len() > FILE_BYTES_MAX {
        return Err(io::Error::other("it is larger than 1 MiB"));
    }
    fs::read(path)
}

fn not_text(path: &Path) -> Problem {
    let place = super::place::Place {
        file: std::sync::Arc::new(path.to_owned()),
        line: 1,
    };
    Problem {
        place: Some(place),
        key: String::new(),
        what: "not UTF-8 text".into(),
        remedy: "save it as UTF-8".into(),
    }
}
