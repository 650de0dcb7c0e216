//! Every setting there is: its name, the admin guide's name for it, what it does, whether it does it by itself.
//!
//! The one list behind unknown-key errors, the comments of `config show`, and the manual page. `*` stands for the
//! name of a role or of a host.
//!
//! # Invariants
//! * **CFG-1** Every setting of the admin guide is in the list under the guide's own name.

/// Does a setting act, or is it kept for those who know it while something else decides?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    Effective,
    /// Checked and shown, but what happens follows from something else: the text of the setting says from what.
    Derived,
}

/// One setting.
#[derive(Debug)]
pub struct Setting {
    /// Dotted.
    pub key: &'static str,
    /// The name that the guide has for it where that differs; accepted at the top of a file.
    pub guide: Option<&'static str>,
    pub effect: Effect,
    pub about: &'static str,
}

const fn setting(key: &'static str, about: &'static str) -> Setting {
    Setting {
        key,
        guide: None,
        effect: Effect::Effective,
        about,
    }
}

const fn named(key: &'static str, guide: &'static str, about: &'static str) -> Setting {
    Setting {
        key,
        guide: Some(guide),
        effect: Effect::Effective,
        about,
    }
}

const fn derived(mut setting: Setting) -> Setting {
    setting.effect = Effect::Derived;
    setting
}

/// In the order in which `config show` prints them.
pub const SETTINGS: &[Setting] = &[
    named(
        "user",
        "USER",
        "user that peers run as when started by root",
    ),
    named(
        "group",
        "GROUP",
        "group that peers run as, and that may use the segment",
    ),
    named(
        "umask",
        "UMASK",
        "permission bits that log files of the roles do not get; objects, sockets and the segment have modes of their own",
    ),
    setting(
        "node",
        "name of this node in locks, for nodes that share a store: each has one of its own; the machine's name and number if not given",
    ),
    setting("run_dir", "sockets, locks and process ids"),
    setting("log_dir", "log files of the roles"),
    setting(
        "state_dir",
        "what a reboot must not forget: the volumes that `vlmc map --persist` attaches",
    ),
    setting(
        "trash_ttl",
        "how long a removed volume is kept before its space is given back",
    ),
    setting("timeout", "how long vlmc waits for an answer"),
    setting(
        "roles",
        "the peers of this node, in the order in which they start",
    ),
    setting(
        "segment.name",
        "name of the shared-memory segment in /dev/shm",
    ),
    named(
        "segment.ports",
        "SEGMENT_PORTS",
        "number of ports in the segment",
    ),
    named(
        "segment.dynports",
        "SEGMENT_DYNPORTS",
        "the first dynamic port: roles have ports below it, tools get ports from it on",
    ),
    named(
        "segment.size",
        "SEGMENT_SIZE",
        "size of the segment; a bare number counts MiB",
    ),
    named(
        "bridges.start",
        "XSEGBD_START",
        "first port for attachments of bridges, the NBD server's; roles keep out of the range",
    ),
    named(
        "bridges.end",
        "XSEGBD_END",
        "last port for attachments of bridges",
    ),
    derived(named(
        "tools.start",
        "VTOOL_START",
        "first port kept free for tools; derived: tools bind dynamic ports now",
    )),
    derived(named(
        "tools.end",
        "VTOOL_END",
        "last port kept free for tools; derived: tools bind dynamic ports now",
    )),
    setting(
        "role.*.type",
        "file_blocker, rados_blocker, mapperd or vlmcd",
    ),
    setting("role.*.portno_start", "first port of the role"),
    setting(
        "role.*.portno_end",
        "last port of the role, which answers at all of them, as one",
    ),
    setting(
        "role.*.log_level",
        "0 errors, 1 warnings, 2 information, 3 everything",
    ),
    setting(
        "role.*.nr_ops",
        "requests that the role has in flight at most",
    ),
    setting(
        "role.*.nr_threads",
        "I/O workers where the kernel's ring cannot do the work",
    ),
    derived(setting(
        "role.*.umask",
        "permission bits that files of the role do not get; derived: objects are for user and group alone, 0660",
    )),
    setting(
        "role.*.logfile",
        "where the role logs when there is no journal",
    ),
    setting("role.*.archip_dir", "directory of the objects"),
    setting(
        "role.*.lock_dir",
        "directory of the locks; below archip_dir if not given",
    ),
    setting("role.*.fdcache", "file descriptors kept open"),
    setting("role.*.direct", "bypass the page cache"),
    setting(
        "role.*.sync",
        "auto, fdatasync or syncfs: how a flush reaches the disk",
    ),
    setting(
        "role.*.lease",
        "for how long this node may answer after it saw that none of its locks is being broken",
    ),
    setting("role.*.pool", "RADOS pool of the objects"),
    setting("role.*.cephx_id", "name by which the role is known to Ceph"),
    setting(
        "role.*.namespace",
        "namespace of the pool; the role's name if not given",
    ),
    setting(
        "role.*.ceph_conf",
        "Ceph's configuration file; where Ceph looks for it if not given",
    ),
    setting(
        "role.*.on_backend_loss",
        "pause or error: what I/O does while the cluster does not answer",
    ),
    setting(
        "role.*.backend_timeout",
        "how long I/O waits for the cluster before it fails, with on_backend_loss = \"error\"",
    ),
    setting("role.*.blockerb_port", "port of the blocker for data"),
    setting(
        "role.*.blockerm_port",
        "port of the blocker for maps and locks",
    ),
    setting("role.*.blocker_port", "port of the blocker for data"),
    setting("role.*.mapper_port", "port of the mapper"),
    setting("hosts.isolate", "one process for each role"),
    setting(
        "hosts.look_us",
        "how many microseconds a process looks for more to do before it sleeps, while that mostly pays; 0 never looks",
    ),
    setting("hosts.*", "a process, and the roles that it runs"),
    setting("nbd.socket", "unix socket of the NBD export"),
    setting(
        "nbd.listen",
        "address and port of the NBD export over TCP; off if not given",
    ),
    setting("nbd.connections_max", "NBD clients at a time"),
    setting("nbd.requests_max", "requests in flight of one NBD client"),
    setting(
        "nbd.memory_max",
        "payloads in flight of all NBD clients together; a bare number counts MiB. Half of it is parts of their own for nbd.connections_max clients; whose request does not fit waits",
    ),
    setting(
        "nbd.handshake_timeout",
        "how long an NBD client may take to choose an export",
    ),
    setting(
        "nbd.stall_timeout",
        "how long an NBD client may take for the rest of a request, or for its answers; between requests it may be silent for ever",
    ),
    setting(
        "nbd.list",
        "NBD clients are told the names of all exports when they ask",
    ),
    setting(
        "nbd.tls_certificate",
        "certificate of the NBD export, and those that lead to its authority (PEM): NBD over TCP is encrypted then",
    ),
    setting("nbd.tls_key", "private key of the NBD export (PEM)"),
    setting(
        "nbd.tls_client_ca",
        "authorities (PEM) of which NBD clients must show a certificate; anybody may connect if not given",
    ),
    setting(
        "nbd.tls_psk_file",
        "users of the NBD export and their keys, as psktool writes them (user:hexkey), instead of certificates; only in programs built with the feature tls-psk",
    ),
    setting(
        "nbd.allow_plain",
        "other machines may use the NBD export without encryption: only for networks that nobody else listens to",
    ),
    setting(
        "ublk.zero_copy",
        "files are read into, and written from, the kernel's own memory for long requests of ublk devices, where the kernel can (Linux 6.19), and one process has all roles",
    ),
];

/// The setting that a name as written stands for, and its name in this schema.
pub fn find(written: &str) -> Option<(&'static Setting, String)> {
    if let Some(setting) = SETTINGS.iter().find(|s| s.guide == Some(written)) {
        return Some((setting, setting.key.to_owned()));
    }
    // The exact name first: `hosts.isolate` is no host.
    let exact = SETTINGS.iter().find(|setting| setting.key == written);
    let setting = exact.or_else(|| SETTINGS.iter().find(|s| matches(s.key, written)))?;
    Some((setting, written.to_owned()))
}

fn matches(pattern: &str, written: &str) -> bool {
    let mut parts = written.split('.');
    let same = pattern
        .split('.')
        .all(|want| parts.next().is_some_and(|part| want == "*" || want == part));
    pattern.contains('*') && same && parts.next().is_none()
}

/// The known name that is most like an unknown one, if any is like it at all.
pub fn nearest(written: &str) -> Option<String> {
    let parts: Vec<&str> = written.split('.').collect();
    let instance = |key: &str| -> String {
        let named = key
            .split('.')
            .zip(parts.iter().copied().chain([""].into_iter().cycle()));
        let names: Vec<&str> = named
            .map(|(want, given)| if want == "*" { given } else { want })
            .collect();
        names.join(".")
    };
    SETTINGS
        .iter()
        .flat_map(|setting| {
            [
                Some(instance(setting.key)),
                setting.guide.map(str::to_owned),
            ]
        })
        .flatten()
        .filter(|name| !name.ends_with('.') && name != written)
        .map(|name| (distance(&name, written), name))
        .filter(|(distance, name)| *distance <= (name.len() / 4).clamp(1, 3))
        .min()
        .map(|(_, name)| name)
}

/// The word of a list that is most like a given one.
pub fn nearest_word<'a>(given: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    words
        .into_iter()
        .map(|word| (distance(word, given), word))
        .filter(|(distance, word)| *distance <= (word.len() / 3).max(1))
        .min()
        .map(|(_, word)| word)
}

/// Letters to insert, drop, change or swap. Long texts are not like anything.
fn distance(left: &str, right: &str) -> usize {
    const LETTERS_MAX: usize = 80;
    let left: Vec<char> = left.to_lowercase().chars().collect();
    let right: Vec<char> = right.to_lowercase().chars().collect();
    if left.len() > LETTERS_MAX || right.len() > LETTERS_MAX {
        return usize::MAX;
    }
    let mut rows = vec![(0..=right.len()).collect::<Vec<usize>>()];
    for i in 1..=left.len() {
        let mut row = vec![i];
        for j in 1..=right.len() {
            let change = usize::from(left[i - 1] != right[j - 1]);
            let mut best = (rows[i - 1][j] + 1)
                .min(row[j - 1] + 1)
                .min(rows[i - 1][j - 1] + change);
            let swapped =
                i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1];
            if swapped {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[left.len()][right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CFG-1
    #[test]
    fn every_setting_of_the_guide_is_found_under_the_guides_name() {
        let top = [
            "SEGMENT_PORTS",
            "SEGMENT_SIZE",
            "SEGMENT_DYNPORTS",
            "XSEGBD_START",
            "XSEGBD_END",
            "VTOOL_START",
            "VTOOL_END",
            "USER",
            "GROUP",
            "UMASK",
            "roles",
        ];
        let of_roles = [
            "portno_start",
            "portno_end",
            "log_level",
            "nr_ops",
            "nr_threads",
            "archip_dir",
            "lock_dir",
            "fdcache",
            "direct",
            "pool",
            "cephx_id",
            "blockerb_port",
            "blockerm_port",
            "blocker_port",
            "mapper_port",
            "umask",
            "logfile",
        ];
        for name in top {
            assert!(find(name).is_some(), "{name}");
        }
        for name in of_roles {
            assert!(find(&format!("role.any.{name}")).is_some(), "{name}");
        }
        assert!(find("segment").is_none() && find("role.x.y").is_none() && find("a.b.c").is_none());
    }

    #[test]
    fn names_with_a_slip_find_what_was_meant() {
        let meant = |name: &str| nearest(name).unwrap_or_default();
        assert_eq!(meant("segment.prots"), "segment.ports");
        assert_eq!(meant("SEGMENT_PORT"), "SEGMENT_PORTS");
        assert_eq!(meant("role.blockerb.archipdir"), "role.blockerb.archip_dir");
        assert_eq!(meant("rolse"), "roles");
        assert_eq!(nearest("entirely_other"), None);
        assert_eq!(nearest(&"x".repeat(100_000)), None);
        assert_eq!(
            nearest_word("mapper", ["file_blocker", "mapperd"]),
            Some("mapperd")
        );
    }
}
