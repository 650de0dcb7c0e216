//! The programs that tests call, the library that a feature needs, and that a Rust toolchain does not bring along.
//!
//! The table below is the only list of them: the CI script, the test command and the README all come here.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::command::{self, Outcome};

/// A program, or a file of this path, and how to get it on Debian.
#[derive(Debug, PartialEq, Eq)]
struct Prerequisite {
    program: &'static str,
    package: &'static str,
    why: &'static str,
    need: Need,
}

#[derive(Debug, PartialEq, Eq)]
enum Need {
    /// Tests fail without it.
    Required,
    /// Tests that call it say so and pass when it is missing.
    Optional,
}

const PREREQUISITES: &[Prerequisite] = &[
    Prerequisite {
        program: "losetup",
        package: "mount",
        why: "a slow or failing loop device below a segment or a store",
        need: Need::Optional,
    },
    Prerequisite {
        program: "mount",
        package: "mount",
        why: "file systems that nobody else sees: a full store, a machine that has nothing yet",
        need: Need::Required,
    },
    Prerequisite {
        program: "nbdinfo",
        package: "libnbd-bin",
        why: "NBD exports as libnbd sees them, and nbdcopy",
        need: Need::Required,
    },
    Prerequisite {
        program: "nbdsh",
        package: "python3-libnbd",
        why: "NBD requests one by one",
        need: Need::Required,
    },
    Prerequisite {
        program: "qemu-img",
        package: "qemu-utils",
        why: "NBD exports as QEMU sees them: qemu-img, qemu-io, qemu-nbd",
        need: Need::Required,
    },
    Prerequisite {
        program: "qemu-system-x86_64",
        package: "qemu-system-x86",
        why: "machines with volumes as their disks, and kernels with volumes as their devices",
        need: Need::Required,
    },
    Prerequisite {
        program: "qemu-storage-daemon",
        package: "qemu-system-common",
        why: "a rival of vhost-user disks in their benchmark",
        need: Need::Required,
    },
    Prerequisite {
        program: "virt-qemu-run",
        package: "libvirt-daemon-driver-qemu",
        why: "the disks that are printed for libvirt, in a machine that it starts",
        need: Need::Required,
    },
    Prerequisite {
        program: "fio",
        package: "fio",
        why: "a verified load on a volume",
        need: Need::Required,
    },
    Prerequisite {
        program: "nbdkit",
        package: "nbdkit",
        why: "a rival of the NBD server in its benchmark",
        need: Need::Optional,
    },
    Prerequisite {
        program: "mkfs.ext4",
        package: "e2fsprogs",
        why: "a file system on a volume",
        need: Need::Required,
    },
    Prerequisite {
        program: "mkfs.xfs",
        package: "xfsprogs",
        why: "another file system on a volume, which grows with it",
        need: Need::Required,
    },
    Prerequisite {
        program: "ceph-mon",
        package: "ceph-mon",
        why: "the monitor of a small Ceph cluster",
        need: Need::Required,
    },
    Prerequisite {
        program: "ceph-osd",
        package: "ceph-osd",
        why: "the OSDs of a small Ceph cluster",
        need: Need::Required,
    },
    Prerequisite {
        program: "ceph",
        package: "ceph-common",
        why: "the commands of a small Ceph cluster, and librados",
        need: Need::Required,
    },
    Prerequisite {
        program: "setpriv",
        package: "util-linux",
        why: "processes with another user, group or resource limit; unshare: with mounts of their own",
        need: Need::Required,
    },
    Prerequisite {
        program: "ip",
        package: "iproute2",
        why: "networks of machines that share a server of files",
        need: Need::Required,
    },
    Prerequisite {
        program: "strip",
        package: "binutils",
        why: "programs in a guest, without what only debuggers want",
        need: Need::Required,
    },
    Prerequisite {
        program: "openssl",
        package: "openssl",
        why: "certificates that are renewed",
        need: Need::Required,
    },
    Prerequisite {
        program: "/usr/include/openssl/ssl.h",
        package: "libssl-dev",
        why: "the feature tls-psk",
        need: Need::Required,
    },
    Prerequisite {
        program: "pkg-config",
        package: "pkgconf",
        why: "where OpenSSL is, for the feature tls-psk",
        need: Need::Required,
    },
    Prerequisite {
        program: "xz",
        package: "xz-utils",
        why: "the modules of the guests' kernel",
        need: Need::Required,
    },
    Prerequisite {
        program: "zstd",
        package: "zstd",
        why: "the guests' kernel",
        need: Need::Required,
    },
];

/// Installs what is missing if we may; else names it, and fails if tests cannot do without it. Then the guests' kernel.
pub fn ensure() -> Result<()> {
    programs()?;
    guest()?;
    Ok(())
}

/// The kernel that guests boot: where it is not there, and apt's lists are not either, they are had first if we may.
pub fn guest() -> Result<Outcome> {
    let fetched = archipelago_guest::fetch();
    if fetched.is_err() && may_install() {
        update()?;
        archipelago_guest::fetch()?;
    } else {
        fetched?;
    }
    Ok(Outcome::Passed)
}

fn programs() -> Result<()> {
    let mut missing = missing(PREREQUISITES);
    if missing.is_empty() {
        return Ok(());
    }
    if may_install() {
        update()?;
        // One that cannot be had does not keep the others away.
        for need in [Need::Required, Need::Optional] {
            let wanted: Vec<_> = missing
                .iter()
                .copied()
                .filter(|one| one.need == need)
                .collect();
            if let Err(error) = install(&wanted) {
                eprintln!("warning: {error:#}");
            }
        }
        missing.retain(|wanted| !is_there(wanted));
    }
    for wanted in &missing {
        println!("missing: {}", advice(wanted));
    }
    if missing.iter().any(|wanted| wanted.need == Need::Required) {
        bail!(
            "tests need programs that are not installed; as root: {}",
            apt_get_line(&missing)
        );
    }
    if !missing.is_empty() {
        println!("to have them, as root: {}", apt_get_line(&missing));
    }
    Ok(())
}

fn missing(table: &'static [Prerequisite]) -> Vec<&'static Prerequisite> {
    table.iter().filter(|wanted| !is_there(wanted)).collect()
}

fn is_there(wanted: &Prerequisite) -> bool {
    let path = Path::new(wanted.program);
    match path.is_absolute() {
        true => path.is_file(),
        false => command::find(wanted.program).is_some(),
    }
}

fn may_install() -> bool {
    // The owner of /proc/self is our effective user.
    let is_root = fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0);
    is_root && command::find("apt-get").is_some()
}

fn update() -> Result<()> {
    let mut update = Command::new("apt-get");
    update.args(["update", "--quiet", "--quiet"]);
    command::run(update.env("DEBIAN_FRONTEND", "noninteractive"))
}

fn install(missing: &[&Prerequisite]) -> Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    let Err(error) = apt_get(install_args(missing)) else {
        return Ok(());
    };
    // A package of a newer release than the archive's can keep out all that is built beside it: QEMU's are of one version, or none.
    let mut simulated = install_args(missing);
    simulated.push("--simulate");
    let strangers = strangers(PREREQUISITES);
    if strangers.is_empty() || output("apt-get", &simulated).is_some() {
        return Err(error); // something else was in the way
    }
    eprintln!(
        "{error:#}; once more, with the archive's own {}",
        strangers.join(", ")
    );
    let mut args = install_args(missing);
    args.push("--allow-downgrades");
    args.extend(strangers.iter().map(String::as_str));
    apt_get(args)
}

fn apt_get(args: Vec<&str>) -> Result<()> {
    let mut install = Command::new("apt-get");
    install.args(args);
    command::run(install.env("DEBIAN_FRONTEND", "noninteractive"))
}

fn install_args(missing: &[&Prerequisite]) -> Vec<&'static str> {
    let mut packages: Vec<_> = missing.iter().map(|wanted| wanted.package).collect();
    packages.sort_unstable();
    packages.dedup();
    // What is there may come from elsewhere, and other things need it.
    let mut args = vec!["install", "--yes", "--no-install-recommends", "--no-remove"];
    args.extend(packages);
    args
}

/// Those of the table's packages that are installed in a version newer than all of the archive's, as `package=version` of its newest.
fn strangers(table: &[Prerequisite]) -> Vec<String> {
    let mut packages: Vec<_> = table.iter().map(|wanted| wanted.package).collect();
    packages.sort_unstable();
    packages.dedup();
    let stranger = |package: &str| {
        let format = "--showformat=${db:Status-Status} ${Version}";
        let shown = output("dpkg-query", &["--show", format, package])?;
        let installed = shown.strip_prefix("installed ")?;
        let archive = output("apt-cache", &["madison", package])?;
        let version = archives_own(&archive, installed)?;
        output("dpkg", &["--compare-versions", installed, "gt", version])?;
        Some(format!("{package}={version}"))
    };
    packages.into_iter().filter_map(stranger).collect()
}

/// The newest of the versions that `apt-cache madison` lists, unless what is installed is among them.
fn archives_own<'a>(madison: &'a str, installed: &str) -> Option<&'a str> {
    let version = |line: &'a str| line.split('|').nth(1).map(str::trim);
    let mut versions = madison.lines().filter_map(version);
    let is_known = installed.is_empty() || versions.clone().any(|version| version == installed);
    if is_known { None } else { versions.next() }
}

/// What a program prints, if it is there and succeeds.
fn output(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok()?;
    let is_success = output.status.success();
    is_success.then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn apt_get_line(missing: &[&Prerequisite]) -> String {
    format!("apt-get {}", install_args(missing).join(" "))
}

fn advice(wanted: &Prerequisite) -> String {
    let Prerequisite {
        program,
        package,
        why,
        need,
    } = wanted;
    let without = match need {
        Need::Required => "tests fail without it",
        Need::Optional => "tests that need it are passed over",
    };
    format!("{program} (Debian package {package}), for {why}: {without}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &[Prerequisite] = &[
        Prerequisite {
            program: "sh",
            package: "dash",
            why: "scripts",
            need: Need::Required,
        },
        Prerequisite {
            program: "no-such-program-b",
            package: "tools",
            why: "b",
            need: Need::Optional,
        },
        Prerequisite {
            program: "no-such-program-a",
            package: "tools",
            why: "a",
            need: Need::Required,
        },
    ];

    #[test]
    fn only_what_is_not_installed_is_missing() {
        let programs: Vec<_> = missing(SAMPLE)
            .iter()
            .map(|wanted| wanted.program)
            .collect();
        assert_eq!(programs, ["no-such-program-b", "no-such-program-a"]);
    }

    #[test]
    fn a_package_that_brings_two_programs_is_named_once() {
        assert_eq!(
            apt_get_line(&missing(SAMPLE)),
            "apt-get install --yes --no-install-recommends --no-remove tools"
        );
    }

    #[test]
    fn only_a_version_that_the_archive_does_not_have_is_replaced_by_its_newest() {
        let madison =
            " tools | 1:7.2-7u18 | archive main\n tools | 1:7.2-7u15 | archive security\n";
        assert_eq!(archives_own(madison, "1:10.0-2"), Some("1:7.2-7u18"));
        assert_eq!(archives_own(madison, "1:7.2-7u15"), None);
        assert_eq!(archives_own(madison, ""), None);
        assert_eq!(archives_own("", "1:10.0-2"), None);
    }

    #[test]
    fn advice_says_what_for_and_what_happens_without_it() {
        assert_eq!(
            advice(&SAMPLE[1]),
            "no-such-program-b (Debian package tools), for b: tests that need it are passed over"
        );
    }

    #[test]
    fn the_table_names_each_program_once() {
        let mut programs: Vec<_> = PREREQUISITES.iter().map(|wanted| wanted.program).collect();
        programs.sort_unstable();
        let count = programs.len();
        programs.dedup();
        assert_eq!(programs.len(), count);
    }
}
