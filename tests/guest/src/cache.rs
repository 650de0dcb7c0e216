//! Where kernels, busybox and programs are kept between runs: outside of the checkout, and of what `cargo clean` takes away.
//!
//! `ARCHIPELAGO_GUEST_CACHE` names another place. Else root has one for the whole machine, which others read, and whoever
//! is not root may have one of their own.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::GuestError;

/// Which releases of Debian's a cache holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// The kernel that guests boot unless it is said.
    Usual,
    /// A kernel, and clients of NBD, that are years younger than Debian 12.
    Newest,
}

impl Release {
    /// Counted up when what is kept changes its form.
    fn form(self) -> &'static str {
        match self {
            Self::Usual => "form-1",
            Self::Newest => "newest-1",
        }
    }
}

/// What a guest is made of.
#[derive(Clone, Debug)]
pub struct Cache {
    directory: PathBuf,
}

impl Cache {
    /// The one to read.
    ///
    /// # Errors
    /// If nothing was fetched yet.
    pub fn find(release: Release) -> Result<Self, GuestError> {
        let places = places();
        let found = places.iter().find_map(|place| Self::at(place, release));
        found.ok_or(GuestError::NoKernel { looked_in: places })
    }

    /// The one in a place, if it is there.
    pub(crate) fn at(place: &Path, release: Release) -> Option<Self> {
        let directory = place.join(release.form());
        directory.is_dir().then_some(Self { directory })
    }

    /// Puts one into a place.
    pub(crate) fn put(place: &Path, release: Release, made: &Path) -> Result<Self, GuestError> {
        let directory = place.join(release.form());
        fs::rename(made, &directory).map_err(GuestError::file(&directory))?;
        Ok(Self { directory })
    }

    /// Where this user may put one.
    pub(crate) fn own_place() -> PathBuf {
        places().swap_remove(0)
    }

    /// The kernel, as QEMU boots it.
    pub fn kernel(&self) -> PathBuf {
        self.directory.join("vmlinux")
    }

    /// Its modules, unpacked.
    pub fn modules(&self) -> PathBuf {
        self.directory.join("modules")
    }

    /// Linked statically.
    pub fn busybox(&self) -> PathBuf {
        self.directory.join("busybox")
    }

    /// A program of the release, to run on this machine: it brings the libraries that it was linked with.
    ///
    /// # Errors
    /// If the release is the usual one, or the program is none of those that were fetched.
    pub fn program(&self, name: &str) -> Result<Command, GuestError> {
        let tree = self.directory.join("programs");
        let program = tree.join("usr/bin").join(name);
        if !program.is_file() {
            return Err(GuestError::NoProgram {
                name: program.display().to_string(),
            });
        }
        let libraries = tree.join("usr/lib/x86_64-linux-gnu");
        let mut command = Command::new(libraries.join("ld-linux-x86-64.so.2"));
        command.arg("--library-path").args([&libraries, &program]);
        Ok(command)
    }
}

/// The user's own comes first.
fn places() -> Vec<PathBuf> {
    let machine = Path::new("/var/cache").join(NAME);
    if let Some(named) = env::var_os("ARCHIPELAGO_GUEST_CACHE") {
        return vec![named.into()];
    }
    if is_root() {
        return vec![machine];
    }
    let home = || Some(PathBuf::from(env::var_os("HOME")?).join(".cache"));
    let own = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(home);
    own.map(|own| own.join(NAME))
        .into_iter()
        .chain([machine])
        .collect()
}

const NAME: &str = "archipelago-guest";

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    // The owner of /proc/self is our effective user.
    std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}
