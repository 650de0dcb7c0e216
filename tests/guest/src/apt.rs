//! Packages of Debian, fetched and unpacked without being installed.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::GuestError;

/// Debian's signatures, as each installation has them.
const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// Which of the machine's sources says where Debian is.
const OWN_SUITE: &str = "bookworm";

/// apt with the machine's own lists of packages, or with lists of other releases.
#[derive(Debug, Default)]
pub(crate) struct Apt {
    options: Vec<OsString>,
}

impl Apt {
    /// With the suites of other releases of Debian, from where the machine has its own. It believes that nothing is installed. Its lists and
    /// all else that it keeps lie in `work`.
    pub fn of_suites(suites: &[&str], work: &Path) -> Result<Self, GuestError> {
        let targets = Command::new("apt-get")
            .args(["indextargets", "--format", "$(CODENAME) $(REPO_URI)"])
            .output();
        let targets = output(targets, "apt-get indextargets")?;
        let debian = place_of(OWN_SUITE, &targets)
            .map_or("http://deb.debian.org/debian/", |place| place)
            .to_owned();
        let lines = suites
            .iter()
            .map(|suite| format!("deb [signed-by={KEYS} target=Packages] {debian} {suite} main\n"));
        let write = |name: &str, text: String| {
            let path = work.join(name);
            fs::write(&path, text).map_err(GuestError::file(&path))?;
            Ok::<PathBuf, GuestError>(path)
        };
        let list = write("suites.list", lines.collect())?;
        let status = write("status", String::new())?;
        for place in ["state/lists/partial", "cache/archives/partial"] {
            let place = work.join(place);
            fs::create_dir_all(&place).map_err(GuestError::file(&place))?;
        }
        let mut options = Vec::new();
        for (name, value) in [
            ("Dir::Etc::SourceList", &*list),
            ("Dir::Etc::SourceParts", Path::new("/dev/null")),
            ("Dir::Etc::Preferences", Path::new("/dev/null")),
            ("Dir::Etc::PreferencesParts", Path::new("/dev/null")),
            ("Dir::State", &*work.join("state")),
            ("Dir::State::status", &*status),
            ("Dir::Cache", &*work.join("cache")),
        ] {
            let mut option = OsString::from(format!("{name}="));
            option.push(value);
            options.extend(["-o".into(), option]);
        }
        let apt = Self { options };
        apt.get(&["--quiet", "update"], work)?;
        Ok(apt)
    }

    /// What a package depends on, or stands for.
    pub fn depends(&self, package: &str) -> Result<Vec<String>, GuestError> {
        let said = Command::new("apt-cache")
            .args(&self.options)
            .args(["depends", package])
            .output();
        let said = output(said, "apt-cache depends")?;
        Ok(dependencies(&said))
    }

    /// Unpacks packages into a directory.
    pub fn unpack(&self, packages: &[&str], tree: &Path) -> Result<(), GuestError> {
        let work =
            tempfile::tempdir_in(tree.parent().unwrap_or(tree)).map_err(GuestError::file(tree))?;
        let mut wanted = vec!["--quiet", "download"];
        wanted.extend(packages);
        self.get(&wanted, work.path())?;
        unpack_all(work.path(), tree)
    }

    /// Unpacks packages and all that they depend on into a directory.
    pub fn unpack_with_dependencies(
        &self,
        packages: &[&str],
        work: &Path,
        tree: &Path,
    ) -> Result<(), GuestError> {
        let mut wanted = vec![
            "--quiet",
            "--yes",
            "--no-install-recommends",
            "--download-only",
            "install",
        ];
        wanted.extend(packages);
        self.get(&wanted, work)?;
        unpack_all(&work.join("cache/archives"), tree)
    }

    fn get(&self, arguments: &[&str], directory: &Path) -> Result<(), GuestError> {
        // apt's own user need not be able to write there, nor we where apt has its locks.
        let done = Command::new("apt-get")
            .args(["-o", "APT::Sandbox::User=", "-o", "Debug::NoLocking=1"])
            .args(&self.options)
            .args(arguments)
            .current_dir(directory)
            .output();
        output(done, "apt-get").map(drop)
    }
}

fn unpack_all(packages: &Path, tree: &Path) -> Result<(), GuestError> {
    for package in entries(packages)? {
        if package.extension().is_some_and(|end| end == "deb") {
            run(Command::new("dpkg-deb").arg("-x").args([&*package, tree]))?;
        }
    }
    Ok(())
}

/// Where a suite comes from, by apt's list of what it reads.
fn place_of<'a>(suite: &str, targets: &'a str) -> Option<&'a str> {
    targets.lines().find_map(|line| {
        let (codename, place) = line.split_once(' ')?;
        (codename == suite).then_some(place)
    })
}

fn dependencies(said: &str) -> Vec<String> {
    let lines = said.lines();
    let packages = lines.filter_map(|line| line.trim().strip_prefix("Depends: "));
    packages.map(str::to_owned).collect()
}

pub(crate) fn entries(directory: &Path) -> Result<Vec<PathBuf>, GuestError> {
    let entries = fs::read_dir(directory).map_err(GuestError::file(directory))?;
    let paths: Result<Vec<_>, _> = entries.map(|entry| entry.map(|one| one.path())).collect();
    paths.map_err(GuestError::file(directory))
}

/// What it said, if it succeeded.
pub(crate) fn run(command: &mut Command) -> Result<String, GuestError> {
    let program = command.get_program().to_string_lossy().into_owned();
    output(command.output(), &program)
}

fn output(
    done: std::io::Result<std::process::Output>,
    program: &str,
) -> Result<String, GuestError> {
    let done = done.map_err(|source| GuestError::Start {
        program: program.to_owned(),
        source,
    })?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    Err(GuestError::Command {
        command: program.to_owned(),
        said: String::from_utf8_lossy(&done.stderr).trim().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_comes_from_where_the_machine_has_its_own() {
        let targets = "bookworm-security http://one/debian-security/\n\
                       bookworm http://other/debian/\nbookworm http://third/debian/\n";
        assert_eq!(place_of("bookworm", targets), Some("http://other/debian/"));
        assert_eq!(place_of("sid", targets), None);
    }

    #[test]
    fn what_a_package_depends_on_is_read() {
        let said = "linux-image-6.12-cloud-amd64\n  Depends: linux-image-6.12.9-cloud-amd64\n Suggests: x\n";
        assert_eq!(dependencies(said), ["linux-image-6.12.9-cloud-amd64"]);
    }
}
