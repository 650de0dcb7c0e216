//! The programs that tests call and that a Rust toolchain does not bring along.
//!
//! The table below is the only list of them: the CI script, the test command and the README all come here.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use anyhow::{Result, bail};

use crate::command;

/// A program, and how to get it on Debian.
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
        why: "a machine with a volume as its disk",
        need: Need::Optional,
    },
    Prerequisite {
        program: "fio",
        package: "fio",
        why: "a verified load on a volume",
        need: Need::Required,
    },
    Prerequisite {
        program: "mkfs.ext4",
        package: "e2fsprogs",
        why: "a file system on a volume",
        need: Need::Required,
    },
    Prerequisite {
        program: "setpriv",
        package: "util-linux",
        why: "processes with another user, group or resource limit; unshare: with mounts of their own",
        need: Need::Required,
    },
];

/// Installs what is missing if we may; else names it, and fails if tests cannot do without it.
pub fn ensure() -> Result<()> {
    let mut missing = missing(PREREQUISITES);
    if missing.is_empty() {
        return Ok(());
    }
    if may_install() {
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
        missing.retain(|wanted| command::find(wanted.program).is_none());
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
    table
        .iter()
        .filter(|wanted| command::find(wanted.program).is_none())
        .collect()
}

fn may_install() -> bool {
    // The owner of /proc/self is our effective user.
    let is_root = fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0);
    is_root && command::find("apt-get").is_some()
}

fn install(missing: &[&Prerequisite]) -> Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    let mut update = Command::new("apt-get");
    update.args(["update", "--quiet", "--quiet"]);
    command::run(update.env("DEBIAN_FRONTEND", "noninteractive"))?;
    let mut install = Command::new("apt-get");
    install.args(install_args(missing));
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
