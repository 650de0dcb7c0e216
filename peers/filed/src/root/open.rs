//! Opening a directory as a store.

use std::path::Path;
use std::sync::Arc;

use rustix::io::Errno;

use super::beneath::Directory;
use super::folders::Objects;
use super::identity::Identity;
use super::reserve::Reserve;
use super::temporary::Temporary;
use crate::error::FiledError;
use crate::locks::LockFolder;
use crate::options::FiledOptions;

const OBJECTS: &str = "objects";
const TEMPORARY: &str = "tmp";
const LOCKS: &str = "locks";

/// A store's directory.
#[derive(Debug)]
pub(crate) struct Root {
    pub objects: Objects,
    pub locks: LockFolder,
    pub identity: Identity,
    /// `None`: nothing is kept back.
    pub reserve: Option<Reserve>,
}

impl Root {
    /// Looks whether the directory is the store that it should be, and clears away what dead incarnations left.
    pub fn open(options: &FiledOptions) -> Result<Self, FiledError> {
        let path = options.archip_dir.as_path();
        let top = Directory::configured(path).map_err(failed("open", path))?;
        let found = Identity::find(&top, path, options.identity)?;
        if found.is_none() && has_entries(&top).map_err(failed("read", path))? {
            return Err(FiledError::NoIdentity { path: path.into() });
        }
        let temporary = top.make_directory(TEMPORARY);
        let temporary = temporary.and_then(Temporary::begin);
        let temporary = Arc::new(temporary.map_err(failed("prepare", &path.join(TEMPORARY)))?);
        if found.is_none() {
            let made = Identity::make(&top, &temporary, options.identity);
            made.map_err(failed("create the identity of", path))?;
        }
        let identity = Identity::find(&top, path, options.identity)?;
        let identity = identity.ok_or(FiledError::NoIdentity { path: path.into() })?;
        let objects = top.make_directory(OBJECTS);
        let objects = objects.map_err(failed("open", &path.join(OBJECTS)))?;
        let locks = match &options.lock_dir {
            Some(path) => Directory::configured(path).map_err(failed("open", path))?,
            None => {
                let locks = top.make_directory(LOCKS);
                locks.map_err(failed("open", &path.join(LOCKS)))?
            }
        };
        let locks = LockFolder::open(locks).map_err(failed("prepare the locks of", path))?;
        let reserve = match options.reserve_bytes {
            0 => None,
            bytes => match Reserve::open(&top, bytes) {
                Ok(reserve) => Some(reserve),
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "no space is kept back");
                    None
                }
            },
        };
        top.sync().map_err(failed("sync", path))?;
        Ok(Self {
            objects: Objects::new(objects, &temporary).map_err(failed("look at", path))?,
            locks,
            identity,
            reserve,
        })
    }

    /// Gives a part of what was kept back. Tells whether there was any.
    pub fn give_reserve(&self) -> bool {
        let Some(reserve) = &self.reserve else {
            return false;
        };
        tracing::warn!("the store is full: what was kept back is being used");
        reserve.give().unwrap_or(false)
    }

    /// Makes everything durable that was ever written to the file system.
    pub fn sync_all(&self) -> Result<(), Errno> {
        rustix::io::retry_on_intr(|| rustix::fs::syncfs(self.objects.directory()))
    }
}

fn failed(call: &'static str, path: &Path) -> impl FnOnce(Errno) -> FiledError {
    let path = path.to_path_buf();
    move |source| FiledError::System { call, path, source }
}

/// Are there objects, or what may be objects?
fn has_entries(top: &Directory) -> Result<bool, Errno> {
    let objects = match top.open_directory(OBJECTS) {
        Ok(objects) => objects,
        Err(Errno::NOENT) => return Ok(false),
        Err(errno) => return Err(errno),
    };
    let mut any = false;
    objects.read(|_, _| any = true)?;
    Ok(any)
}
