//! Fetching kernels, busybox and programs from Debian.
//!
//! # Invariants
//! * **FETCH-1** What is in the cache is whole: it is made beside its place, and appears there by one rename.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::apt::{Apt, entries, run};
use crate::cache::{Cache, Release};
use crate::error::GuestError;
use crate::image::Packed;

/// The newest 6.12 of Debian 12's security suite, in the flavour for virtual machines: the smallest with ublk and NBD.
const KERNEL: &str = "linux-image-6.12-cloud-amd64";
const BUSYBOX: &str = "busybox-static";

/// Where there are later releases than Debian 12's: of the kernel, and of what speaks NBD.
const NEWEST_SUITES: [&str; 2] = ["trixie", "trixie-backports"];
const NEWEST_KERNEL: &str = "linux-image-cloud-amd64/trixie-backports";
const NEWEST_PROGRAMS: [&str; 2] = ["libnbd-bin", "qemu-utils"];

/// Fetches what guests are made of, and later programs, as far as it is not there. Needs apt, its lists of packages, and no rights but
/// to the cache.
///
/// # Errors
/// If apt does not have it, or the cache cannot be written.
pub fn fetch() -> Result<(), GuestError> {
    for release in [Release::Usual, Release::Newest] {
        if Cache::find(release).is_err() {
            fetch_into(&Cache::own_place(), release, |work| make(release, work))?;
        }
    }
    Ok(())
}

fn fetch_into(
    place: &Path,
    release: Release,
    make: impl FnOnce(&Path) -> Result<PathBuf, GuestError>,
) -> Result<Cache, GuestError> {
    fs::create_dir_all(place).map_err(GuestError::file(place))?;
    let lock_path = place.join("lock");
    let lock = File::create(&lock_path).map_err(GuestError::file(&lock_path))?;
    lock.lock().map_err(GuestError::file(&lock_path))?; // until the file is closed
    if let Some(cache) = Cache::at(place, release) {
        return Ok(cache); // another process was quicker
    }
    let work = tempfile::tempdir_in(place).map_err(GuestError::file(place))?;
    let made = make(work.path())?;
    Cache::put(place, release, &made) // FETCH-1
}

/// Makes all of it within a directory.
fn make(release: Release, work: &Path) -> Result<PathBuf, GuestError> {
    let made = work.join("made");
    fs::create_dir(&made).map_err(GuestError::file(&made))?;
    let (apt, kernel) = match release {
        Release::Usual => (Apt::default(), KERNEL),
        Release::Newest => (Apt::of_suites(&NEWEST_SUITES, work)?, NEWEST_KERNEL),
    };
    let tree = work.join("tree");
    let kernel = packages_of_kernel(&apt, kernel)?;
    let mut packages: Vec<&str> = kernel.iter().map(String::as_str).collect();
    packages.push(BUSYBOX);
    apt.unpack(&packages, &tree)?;
    take_kernel(&tree, &made.join("vmlinux"))?;
    take_modules(&tree, &made.join("modules"))?;
    let busybox = made.join("busybox");
    let found = ["bin/busybox", "usr/bin/busybox"].map(|name| tree.join(name));
    let found = found.iter().find(|path| path.is_file());
    let found = found.ok_or_else(|| missing(&tree, "busybox-static has no busybox"))?;
    fs::copy(found, &busybox).map_err(GuestError::file(&busybox))?;
    if release == Release::Newest {
        apt.unpack_with_dependencies(&NEWEST_PROGRAMS, work, &made.join("programs"))?;
    }
    // Others read it.
    fs::set_permissions(&made, Permissions::from_mode(0o755)).map_err(GuestError::file(&made))?;
    Ok(made)
}

/// The packages behind the name that is the same for all releases. Later ones have the image and the modules in packages of their own.
fn packages_of_kernel(apt: &Apt, name: &str) -> Result<Vec<String>, GuestError> {
    let mut found = apt.depends(name)?;
    found.retain(|package| package.starts_with("linux-image-"));
    let Some(kernel) = found.pop() else {
        return Err(GuestError::Command {
            command: format!("apt-cache depends {name}"),
            said: "no such package: `apt-get update`, with Debian 12's security suite among the sources"
                .to_owned(),
        });
    };
    let mut packages = apt.depends(&kernel)?;
    packages.retain(|package| {
        ["linux-base-", "linux-binary-", "linux-modules-"]
            .iter()
            .any(|start| package.starts_with(start))
    });
    packages.push(kernel);
    Ok(packages)
}

/// The image lies beside the modules in later releases.
fn take_kernel(tree: &Path, to: &Path) -> Result<(), GuestError> {
    let places = [tree.join("boot"), modules(tree)?];
    let images = places
        .iter()
        .filter(|place| place.is_dir())
        .map(|place| entries(place));
    let images: Vec<PathBuf> = images.collect::<Result<Vec<_>, _>>()?.concat();
    let image = images
        .iter()
        .find(|path| named(path).starts_with("vmlinuz"));
    let image = image.ok_or_else(|| missing(tree, "the package has no kernel"))?;
    let bytes = fs::read(image).map_err(GuestError::file(image))?;
    let packed = Packed::find(&bytes).map_err(|what| missing(image, what))?;
    let kernel = packed.unpack().map_err(GuestError::file(image))?;
    fs::write(to, kernel).map_err(GuestError::file(to))
}

fn take_modules(tree: &Path, to: &Path) -> Result<(), GuestError> {
    let from = modules(tree)?;
    fs::rename(&from, to).map_err(GuestError::file(to))?;
    let release = to.join("release");
    fs::write(&release, named(&from)).map_err(GuestError::file(&release))?;
    // A run reads some of them: unpacked once is cheaper than each time.
    run(Command::new("find")
        .arg(to)
        .args(["-name", "*.ko.xz", "-exec", "xz", "-d", "{}", "+"]))?;
    Ok(())
}

/// Those of the one release that was unpacked.
fn modules(tree: &Path) -> Result<PathBuf, GuestError> {
    let all = ["lib/modules", "usr/lib/modules"].map(|name| tree.join(name));
    let all = all.iter().find(|path| path.is_dir());
    let all = all.ok_or_else(|| missing(tree, "the package has no modules"))?;
    entries(all)?
        .pop()
        .ok_or_else(|| missing(all, "no modules"))
}

fn named(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

fn missing(path: &Path, what: &'static str) -> GuestError {
    GuestError::NotAKernel {
        path: path.to_owned(),
        what,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fetch_that_fails_leaves_nothing_and_one_that_does_not_is_not_repeated() {
        // FETCH-1
        let place = tempfile::tempdir().unwrap();
        let half = |work: &Path| {
            fs::write(work.join("vmlinux"), "half").unwrap();
            Err(missing(work, "no more"))
        };
        fetch_into(place.path(), Release::Usual, half).unwrap_err();
        assert!(Cache::at(place.path(), Release::Usual).is_none());
        let whole = |work: &Path| {
            let made = work.join("made");
            fs::create_dir(&made).unwrap();
            fs::write(made.join("busybox"), "whole").unwrap();
            Ok(made)
        };
        let cache = fetch_into(place.path(), Release::Usual, whole).unwrap();
        assert_eq!(fs::read_to_string(cache.busybox()).unwrap(), "whole");
        fetch_into(place.path(), Release::Usual, |_| panic!("it is there")).unwrap();
    }
}
