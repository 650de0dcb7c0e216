//! How directories of stores are mounted that other machines keep: nodes that share one see what the others wrote only if nothing is
//! remembered of it.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use super::doctor::finding;
use crate::cli::{Finding, Grade};
use crate::config::{Config, RoleSettings};

pub(super) fn findings(config: &Config) -> Vec<Finding> {
    let Ok(mounts) = fs::read("/proc/self/mountinfo") else {
        return Vec::new(); // without /proc nobody can tell
    };
    let mut findings = Vec::new();
    for role in &config.roles {
        let RoleSettings::FileBlocker {
            archip_dir,
            lock_dir,
            ..
        } = &role.settings
        else {
            continue;
        };
        let mut places = vec![archip_dir];
        places.extend(Some(lock_dir).filter(|locks| !locks.starts_with(archip_dir)));
        for place in places {
            // One that is not there yet is on no server.
            let Ok(place) = fs::canonicalize(place) else {
                continue;
            };
            findings.extend(Mount::of(&mounts, &place).and_then(|mount| mount.finding(&role.name)));
        }
    }
    findings
}

/// A line of mountinfo.
#[derive(Debug)]
struct Mount {
    at: PathBuf,
    kind: String,
    options: Vec<String>,
}

impl Mount {
    /// Where the path lies: of those mounted over each other the last one counts.
    fn of(mounts: &[u8], path: &Path) -> Option<Self> {
        let above = mounts
            .split(|byte| *byte == b'\n')
            .filter_map(Self::parse)
            .filter(|mount| path.starts_with(&mount.at));
        above.max_by_key(|mount| mount.at.components().count())
    }

    fn parse(line: &[u8]) -> Option<Self> {
        let mut fields = line.split(|byte| *byte == b' ');
        let at = unescaped(fields.nth(4)?);
        // Optional fields end with a hyphen.
        fields.find(|field| *field == b"-")?;
        let text = |field: &[u8]| String::from_utf8_lossy(field).into_owned();
        let kind = text(fields.next()?);
        let options = text(fields.nth(1)?);
        Some(Self {
            at: PathBuf::from(OsString::from_vec(at)),
            kind,
            options: options.split(',').map(str::to_owned).collect(),
        })
    }

    fn has(&self, option: &str) -> bool {
        self.options.iter().any(|own| own == option)
    }

    /// What is wrong for nodes that share it.
    fn finding(&self, role: &str) -> Option<Finding> {
        if !matches!(self.kind.as_str(), "nfs" | "nfs4") {
            return None;
        }
        let check = format!("NFS of {role}");
        let remembers_nothing =
            self.has("noac") || self.has("acregmax=0") && self.has("acdirmax=0");
        let wanted = [
            (remembers_nothing, "noac"),
            (self.has("lookupcache=none"), "lookupcache=none"),
            (self.has("hard"), "hard"),
        ];
        let missing: Vec<&str> = wanted
            .iter()
            .filter(|(is_there, _)| !is_there)
            .map(|(_, option)| *option)
            .collect();
        let at = self.at.display();
        Some(if missing.is_empty() {
            let message = format!("{at} is mounted as nodes that share it need it");
            finding(&check, Grade::Good, message, "")
        } else {
            let missing = missing.join(",");
            let message = format!(
                "{at} is mounted without {missing}: nodes that share it may not see what the others wrote, or lose writes to a time-out"
            );
            let remedy = format!(
                "mount it with -o {missing} on every machine; docs/multi-host.md says what else NFS wants"
            );
            finding(&check, Grade::Bad, message, &remedy)
        })
    }
}

/// Spaces, tabs, line ends and backslashes are three octal digits behind a backslash.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut at = 0;
    while at < field.len() {
        let digits = field.get(at + 1..at + 4).filter(|_| field[at] == b'\\');
        let octal = digits
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        bytes.push(octal.unwrap_or(field[at]));
        at += if octal.is_some() { 4 } else { 1 };
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mounts(options: &str) -> String {
        format!(
            "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n\
             90 22 0:52 / /srv/my\\040store rw,relatime shared:7 master:2 - nfs4 server:/export rw,{options}\n\
             91 90 0:53 / /srv/my\\040store/inner rw - tmpfs none rw\n"
        )
    }

    fn grade(options: &str, path: &str) -> Option<(Grade, String)> {
        let mount = Mount::of(mounts(options).as_bytes(), Path::new(path))?;
        let found = mount.finding("blockerb")?;
        Some((found.grade, found.remedy))
    }

    #[test]
    fn a_server_of_files_is_named_when_it_is_mounted_in_another_way_than_nodes_need() {
        let path = "/srv/my store/blocks";
        for good in [
            "vers=4.2,hard,noac,lookupcache=none",
            "acregmin=0,acregmax=0,acdirmin=0,acdirmax=0,hard,lookupcache=none",
        ] {
            assert_eq!(grade(good, path), Some((Grade::Good, String::new())));
        }
        for (bad, wanted) in [
            ("vers=4.2,hard", "-o noac,lookupcache=none "),
            ("soft,noac,lookupcache=none", "-o hard "),
            ("hard,noac,lookupcache=pos", "-o lookupcache=none "),
        ] {
            let (grade, remedy) = grade(bad, path).unwrap_or_else(|| panic!("{bad}"));
            assert_eq!(grade, Grade::Bad, "{bad}");
            assert!(remedy.contains(wanted), "{remedy}");
        }
    }

    #[test]
    fn other_file_systems_are_nobodys_business() {
        for path in ["/srv/my store/inner/x", "/srv/my", "/", "/srv/my storeroom"] {
            assert_eq!(grade("soft", path), None, "{path}");
        }
        assert!(Mount::parse(b"").is_none());
        assert!(Mount::parse(b"1 2 3 4 /x rw - nfs").is_none());
    }
}
