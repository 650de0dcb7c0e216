//! The roles: which there are, their ports, what each kind needs.
//!
//! Two rounds: first names, kinds and ports of all roles, then the settings of each, since a mapper's blocker, if it is
//! not named, is found among the others.

use std::path::Path;

use super::document::Value;
use super::environment::Environment;
use super::port_range::PortRange;
use super::reader::Reader;
use super::role::{BackendLoss, RoleConfig, RoleKind, RoleSettings, SyncKind};
use super::schema;

const NAME_BYTES_MAX: usize = 32;
/// More roles than this are a mistake, and would be slow to check against each other.
const ROLES_MAX: usize = 256;
const NR_OPS_MAX: u32 = 1 << 16;
/// An OSD that died is noticed within half a minute: who waits less gets errors for nothing.
/// A lease's term: shorter ones would run out whenever a machine is busy, longer ones keep others waiting who break a lock.
const LEASE_S: std::ops::RangeInclusive<u64> = 1..=60;
const LEASE_DEFAULT_S: u64 = 5;
const BACKEND_TIMEOUT_S: std::ops::RangeInclusive<u64> = 1..=86_400;
const BACKEND_TIMEOUT_DEFAULT_S: u64 = 60;

/// The roles that a node has if nobody says otherwise: name, kind, ports.
const USUAL: [(&str, RoleKind, PortRange); 4] = [
    (
        "blockerb",
        RoleKind::FileBlocker,
        PortRange {
            start: 1000,
            end: 1000,
        },
    ),
    (
        "blockerm",
        RoleKind::FileBlocker,
        PortRange {
            start: 1002,
            end: 1002,
        },
    ),
    (
        "mapperd",
        RoleKind::Mapperd,
        PortRange {
            start: 1001,
            end: 1001,
        },
    ),
    (
        "vlmcd",
        RoleKind::Vlmcd,
        PortRange {
            start: 500,
            end: 500,
        },
    ),
];

/// What the first round finds.
struct Outline {
    name: String,
    kind: RoleKind,
    ports: PortRange,
}

pub fn roles(reader: &mut Reader, environment: &Environment, log_dir: &Path) -> Vec<RoleConfig> {
    let names = names(reader);
    let outlines: Vec<Outline> = names
        .into_iter()
        .filter_map(|(name, kind)| outline(reader, name, kind))
        .collect();
    outlines
        .iter()
        .map(|role| RoleConfig {
            settings: settings(reader, environment, role, &outlines),
            ..common(reader, log_dir, role)
        })
        .collect()
}

/// Names of roles and hosts stand in file names and on command lines.
pub fn is_plain_name(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(is_plain)
}

/// `roles`: names, or the guide's pairs of name and type.
fn names(reader: &mut Reader) -> Vec<(String, Option<String>)> {
    const SHAPE: &str =
        "give names in order: roles = [\"blockerb\", \"blockerm\", \"mapperd\", \"vlmcd\"]";
    let items = match reader.take("roles") {
        Some(Value::List(items)) if items.len() <= ROLES_MAX => items,
        Some(other) => {
            let what = format!("is {}, or too long", other.kind());
            reader.problem("roles", what, SHAPE);
            Vec::new()
        }
        None => {
            reader.note_default("roles", "what a node with a directory needs");
            let usual = USUAL.iter().map(|(name, ..)| Value::Text((*name).into()));
            usual.collect()
        }
    };
    if items.is_empty() && reader.has("roles") {
        reader.problem("roles", "names no role", SHAPE);
    }
    let mut names: Vec<(String, Option<String>)> = Vec::new();
    for item in items {
        let (name, kind) = match item {
            Value::Text(name) => (name, None),
            Value::List(pair) => match <[Value; 2]>::try_from(pair) {
                Ok([Value::Text(name), Value::Text(kind)]) => (name, Some(kind)),
                _ => {
                    reader.problem("roles", "has a list that is no pair of texts", SHAPE);
                    continue;
                }
            },
            other => {
                reader.problem("roles", format!("has {} in it", other.kind()), SHAPE);
                continue;
            }
        };
        if !is_plain_name(&name) {
            let what = format!("{name:?} is no name for a role");
            let remedy =
                "begin with a small letter, then small letters, digits, '-' and '_', at most 32";
            reader.problem("roles", what, remedy);
        } else if names.iter().any(|(other, _)| *other == name) {
            reader.problem("roles", format!("{name} is there twice"), "name it once");
        } else {
            names.push((name, kind));
        }
    }
    names
}

fn outline(reader: &mut Reader, name: String, kind_given: Option<String>) -> Option<Outline> {
    let usual = USUAL.iter().find(|(usual, ..)| *usual == name);
    let key = |setting: &str| format!("role.{name}.{setting}");
    let kind_key = key("type");
    let kind_text = reader.text(&kind_key).or(kind_given);
    reader.note_default(&kind_key, "by the role's name, or its pair in roles");
    let kind = match kind_text.as_deref() {
        Some(text) => {
            let kind = RoleKind::from_name(text);
            if kind.is_none() {
                let near = schema::nearest_word(text, RoleKind::NAMES);
                let remedy = match near {
                    Some(word) => format!("did you mean {word}?"),
                    None => format!("give one of {}", RoleKind::NAMES.join(", ")),
                };
                let what = format!("there is no type {text:?}");
                if reader.has(&kind_key) {
                    reader.problem(&kind_key, what, remedy);
                } else {
                    missing(reader, &kind_key, what, remedy);
                }
            }
            kind?
        }
        None => match usual {
            Some((_, kind, _)) => *kind,
            None => {
                let remedy = format!(
                    "write [role.{name}] type = \"...\": one of {}",
                    RoleKind::NAMES.join(", ")
                );
                missing(
                    reader,
                    &kind_key,
                    format!("the role {name} has no type"),
                    remedy,
                );
                return None;
            }
        },
    };
    let (start_key, end_key) = (key("portno_start"), key("portno_end"));
    let all = || 0..=PortRange::LAST;
    let start_given = reader.number(&start_key, all());
    let end_given = reader.number(&end_key, all());
    let (start, end) = match (start_given, usual) {
        (Some(start), _) => (start, end_given.unwrap_or(start)),
        (None, Some((.., ports))) => (ports.start, end_given.unwrap_or(ports.end)),
        (None, None) => {
            if !reader.has(&start_key) {
                let remedy = format!("write [role.{name}] portno_start = a free port");
                missing(
                    reader,
                    &start_key,
                    format!("the role {name} has no port"),
                    remedy,
                );
            }
            return None;
        }
    };
    reader.note_default(&start_key, "the usual port");
    reader.note_default(&end_key, "the usual port, or the first one");
    if start > end {
        let what = format!("the ports end at {end}, before they start at {start}");
        reader.problem(&end_key, what, format!("give {start} or more"));
        return None;
    }
    let ports = PortRange { start, end };
    Some(Outline { name, kind, ports })
}

/// A problem of a setting that is not there: it is shown where the roles are.
fn missing(reader: &mut Reader, key: &str, what: String, remedy: String) {
    reader.problem("roles", what, remedy);
    if let Some(problem) = reader.problems.last_mut() {
        key.clone_into(&mut problem.key);
    }
}

/// What every role has; `settings` are filled in by the caller.
fn common(reader: &mut Reader, log_dir: &Path, role: &Outline) -> RoleConfig {
    let key = |setting: &str| format!("role.{}.{setting}", role.name);
    let nr_ops = if role.kind.is_blocker() { 128 } else { 512 };
    let level = reader.number_or(&key("log_level"), 0..=3, 2, "built in");
    RoleConfig {
        name: role.name.clone(),
        ports: role.ports,
        log_level: u8::try_from(level).expect("0 to 3, by the range above"),
        nr_ops: reader.number_or(&key("nr_ops"), 1..=NR_OPS_MAX, nr_ops, "built in"),
        nr_threads: reader.number_or(&key("nr_threads"), 1..=1024, 4, "built in"),
        umask: reader.mode_or(&key("umask"), 0o007),
        logfile: reader.path_or(&key("logfile"), log_dir.join(format!("{}.log", role.name))),
        // Replaced at once.
        settings: RoleSettings::Vlmcd {
            blocker_port: 0,
            mapper_port: 0,
        },
    }
}

fn settings(
    reader: &mut Reader,
    environment: &Environment,
    role: &Outline,
    all: &[Outline],
) -> RoleSettings {
    let key = |setting: &str| format!("role.{}.{setting}", role.name);
    let blocker = |reader: &mut Reader, setting: &str, usual: &str| {
        let named = all.iter().find(|r| r.name == usual && r.kind.is_blocker());
        let found = named.or_else(|| all.iter().find(|r| r.kind.is_blocker()));
        port(reader, &key(setting), found, "a blocker", &role.name)
    };
    match role.kind {
        RoleKind::FileBlocker => file_blocker(reader, environment, role),
        RoleKind::RadosBlocker => rados_blocker(reader, role),
        RoleKind::Mapperd => RoleSettings::Mapperd {
            blockerb_port: blocker(reader, "blockerb_port", "blockerb"),
            blockerm_port: blocker(reader, "blockerm_port", "blockerm"),
        },
        RoleKind::Vlmcd => {
            let mapper = all.iter().find(|r| r.kind == RoleKind::Mapperd);
            RoleSettings::Vlmcd {
                blocker_port: blocker(reader, "blocker_port", "blockerb"),
                mapper_port: port(reader, &key("mapper_port"), mapper, "a mapper", &role.name),
            }
        }
    }
}

fn rados_blocker(reader: &mut Reader, role: &Outline) -> RoleSettings {
    let key = |setting: &str| format!("role.{}.{setting}", role.name);
    let usual = if role.name == "blockerm" {
        "maps"
    } else {
        "blocks"
    };
    let on_backend_loss = reader.word_or(&key("on_backend_loss"), &BackendLoss::NAMES, "pause");
    RoleSettings::RadosBlocker {
        pool: reader.text_or(&key("pool"), usual, "built in"),
        cephx_id: reader.text(&key("cephx_id")),
        namespace: reader.text_or(&key("namespace"), &role.name, "built in"),
        ceph_conf: reader.path(&key("ceph_conf")),
        on_backend_loss: match on_backend_loss {
            "error" => BackendLoss::Error,
            _ => BackendLoss::Pause,
        },
        backend_timeout: reader.duration_or(
            &key("backend_timeout"),
            BACKEND_TIMEOUT_S,
            BACKEND_TIMEOUT_DEFAULT_S,
        ),
    }
}

fn file_blocker(reader: &mut Reader, environment: &Environment, role: &Outline) -> RoleSettings {
    let key = |setting: &str| format!("role.{}.{setting}", role.name);
    let folder = match role.name.as_str() {
        "blockerb" => "blocks",
        "blockerm" => "maps",
        other => other,
    };
    let archip_dir = reader.path_or(&key("archip_dir"), environment.state_dir().join(folder));
    let sync = match reader.word_or(&key("sync"), &SyncKind::NAMES, "auto") {
        "fdatasync" => SyncKind::Fdatasync,
        "syncfs" => SyncKind::Syncfs,
        _ => SyncKind::Auto,
    };
    RoleSettings::FileBlocker {
        lock_dir: reader.path_or(&key("lock_dir"), archip_dir.join("locks")),
        archip_dir,
        fdcache: reader.number_or(&key("fdcache"), 16..=1 << 20, 512, "built in"),
        direct: reader.boolean_or(&key("direct"), false),
        sync,
        lease: reader.duration_or(&key("lease"), LEASE_S, LEASE_DEFAULT_S),
    }
}

/// A port of another role: as given, or the first of the role that is meant.
fn port(
    reader: &mut Reader,
    key: &str,
    usual: Option<&Outline>,
    what_for: &str,
    role: &str,
) -> u32 {
    if let Some(port) = reader.number(key, 0..=PortRange::LAST) {
        return port;
    }
    reader.note_default(key, "the port of the role that it needs");
    let Some(usual) = usual else {
        if !reader.has(key) {
            let what = format!("the role {role} needs {what_for}, and there is none");
            missing(reader, key, what, "add such a role to roles".into());
        }
        return 0;
    };
    usual.ports.start
}

/// Settings of roles that do not exist, or that have no such setting.
pub fn report_unused(roles: &[RoleConfig], reader: &mut Reader) {
    for key in reader.unused() {
        let Some(name) = key.split('.').nth(1).filter(|_| key.starts_with("role.")) else {
            continue;
        };
        let known = reader
            .origins
            .keys()
            .any(|k| k.starts_with(&format!("role.{name}.")));
        match roles.iter().find(|role| role.name == name) {
            Some(role) => {
                let what = format!("a {} has no such setting", role.kind());
                reader.problem(&key, what, "remove it, or change the role's type");
            }
            // The role itself is wrong, and has been reported.
            None if known => {}
            None => {
                let names = roles.iter().map(|role| role.name.as_str());
                let remedy = match schema::nearest_word(name, names) {
                    Some(near) => format!("did you mean role.{near}? else add {name:?} to roles"),
                    None => format!("add {name:?} to roles, or remove it"),
                };
                reader.problem(&key, format!("there is no role {name}"), remedy);
            }
        }
    }
}
