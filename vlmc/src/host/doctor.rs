//! A look at what the node needs, with the way out where something is wrong.

use std::path::Path;

use super::{bridges, doctor_locks, doctor_mounts, doctor_processes};
use crate::cli::{Finding, Grade};
use crate::config::{Config, Environment, Problem, RoleSettings, TlsConfig, directories};

pub(super) fn finding(check: &str, grade: Grade, message: String, remedy: &str) -> Finding {
    Finding {
        check: check.to_owned(),
        grade,
        message,
        remedy: if grade == Grade::Good {
            String::new()
        } else {
            remedy.to_owned()
        },
    }
}

pub(super) fn findings(config: &Config, environment: &Environment) -> Vec<Finding> {
    let mut findings = vec![io_uring(), shared_memory(config), devices()];
    findings.extend(places(config, environment));
    for role in &config.roles {
        if let RoleSettings::FileBlocker { archip_dir, .. } = &role.settings {
            findings.push(space(&role.name, archip_dir));
        }
    }
    findings.extend(doctor_mounts::findings(config));
    findings.extend(config.nbd.tls.as_ref().map(encryption));
    findings.push(segment(config));
    findings.extend(doctor_processes::findings(config));
    findings.extend(doctor_locks::findings(config));
    findings
}

/// The directories, as `config check` looks at them.
fn places(config: &Config, environment: &Environment) -> Vec<Finding> {
    let problems = directories::check(config, environment);
    if problems.is_empty() {
        let message = "may be used, or made".into();
        return vec![finding("directories", Grade::Good, message, "")];
    }
    let bad = |problem: Problem| {
        let message = format!("{}: {}", problem.key, problem.what);
        finding("directories", Grade::Bad, message, &problem.remedy)
    };
    problems.into_iter().map(bad).collect()
}

fn io_uring() -> Finding {
    let setting = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled");
    let value = setting.map_or(String::new(), |value| value.trim().to_owned());
    let limit = rustix::process::getrlimit(rustix::process::Resource::Memlock).current;
    match value.as_str() {
        "2" => finding(
            "io_uring",
            Grade::Note,
            "the kernel forbids io_uring; threads do its work, slower".into(),
            "sysctl kernel.io_uring_disabled=0",
        ),
        _ if limit == Some(0) && !rustix::process::geteuid().is_root() => finding(
            "io_uring",
            Grade::Note,
            "no memory may be locked; on new kernels there is no io_uring then".into(),
            "ulimit -l 8192, or LimitMEMLOCK= in the unit",
        ),
        _ => finding("io_uring", Grade::Good, "may be used".into(), ""),
    }
}

fn shared_memory(config: &Config) -> Finding {
    let free = rustix::fs::statvfs("/dev/shm").map(|stat| stat.f_bavail * stat.f_frsize);
    let wanted = config.segment.size_bytes;
    match free {
        Ok(free) if free < wanted => finding(
            "shared memory",
            Grade::Note,
            format!(
                "{} MiB are free in /dev/shm, the segment needs {} MiB",
                free >> 20,
                wanted >> 20
            ),
            "fine if the segment is there already; else make size in [segment] smaller, or remount /dev/shm larger",
        ),
        Ok(free) => finding(
            "shared memory",
            Grade::Good,
            format!("{} MiB free", free >> 20),
            "",
        ),
        Err(error) => finding(
            "shared memory",
            Grade::Bad,
            format!("/dev/shm: {error}"),
            "mount a tmpfs there",
        ),
    }
}

fn devices() -> Finding {
    let there: Vec<&str> = ["/dev/ublk-control", "/dev/nbd0"]
        .into_iter()
        .filter(|path| Path::new(path).exists())
        .collect();
    let message = if there.is_empty() {
        "the kernel has neither ublk nor NBD: volumes are reached by their NBD sockets".into()
    } else {
        format!("there: {}", there.join(", "))
    };
    finding("block devices", Grade::Good, message, "")
}

fn space(role: &str, directory: &Path) -> Finding {
    let check = format!("space of {role}");
    match rustix::fs::statvfs(directory) {
        Ok(stat) => {
            let (free, all) = (stat.f_bavail * stat.f_frsize, stat.f_blocks * stat.f_frsize);
            let percent = (free * 100).checked_div(all).unwrap_or(100);
            let grade = match percent {
                0..2 => Grade::Bad,
                2..10 => Grade::Note,
                _ => Grade::Good,
            };
            let message = format!("{} GiB free of {} GiB ({percent} %)", free >> 30, all >> 30);
            finding(
                &check,
                grade,
                message,
                "remove volumes or snapshots, or enlarge the file system",
            )
        }
        Err(error) => finding(
            &check,
            Grade::Note,
            format!("{}: {error}", directory.display()),
            "`archipelago start` makes it",
        ),
    }
}

/// As the server would read them now.
fn encryption(tls: &TlsConfig) -> Finding {
    let check = "encryption of NBD";
    match bridges::load_tls(tls) {
        Ok(_) => finding(check, Grade::Good, "its files can be used".into(), ""),
        Err(error) => finding(
            check,
            Grade::Bad,
            error.to_string(),
            "correct the files, then send SIGHUP to the supervisor (`systemctl reload archipelago`)",
        ),
    }
}

fn segment(config: &Config) -> Finding {
    match super::join(config) {
        Ok(segment) => {
            let geometry = segment.geometry();
            let message = format!(
                "{} of {} MiB, {} ports, {} requests",
                config.segment.name,
                geometry.size_bytes() >> 20,
                geometry.ports(),
                geometry.requests()
            );
            finding("segment", Grade::Good, message, "")
        }
        Err(error) => finding("segment", Grade::Note, error.message, &error.remedy),
    }
}
