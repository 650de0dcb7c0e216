//! Historic settings as settings of today, line by line.

use super::legacy::{LegacyConfig, LegacyRole, LegacySetting, LegacyValue};
use crate::config::{RoleKind, SETTINGS};

/// What becomes of the value of a setting.
#[derive(Clone, Copy)]
enum Shape {
    Number,
    /// Permission bits, octal in a text.
    Mode,
    Truth,
    Text,
}

/// Settings that are kept, with the key of today after the dot if it differs from the old one.
const GLOBALS: &[(&str, Shape)] = &[
    ("USER", Shape::Text),
    ("GROUP", Shape::Text),
    ("UMASK", Shape::Mode),
    ("SEGMENT_PORTS", Shape::Number),
    ("SEGMENT_DYNPORTS", Shape::Number),
    ("SEGMENT_SIZE", Shape::Number),
    ("XSEGBD_START", Shape::Number),
    ("XSEGBD_END", Shape::Number),
    ("VTOOL_START", Shape::Number),
    ("VTOOL_END", Shape::Number),
];

const OF_ROLES: &[(&str, Shape)] = &[
    ("portno_start", Shape::Number),
    ("portno_end", Shape::Number),
    ("log_level", Shape::Number),
    ("nr_ops", Shape::Number),
    ("nr_threads", Shape::Number),
    ("umask", Shape::Mode),
    ("logfile", Shape::Text),
    ("archip_dir", Shape::Text),
    ("lock_dir", Shape::Text),
    ("fdcache", Shape::Number),
    ("direct", Shape::Truth),
    ("pool", Shape::Text),
    ("cephx_id", Shape::Text),
    ("blockerb_port", Shape::Number),
    ("blockerm_port", Shape::Number),
    ("blocker_port", Shape::Number),
    ("mapper_port", Shape::Number),
];

/// Settings that have no use any more, and why.
const DROPPED: &[(&str, &str)] = &[
    (
        "BLKTAP_ENABLED",
        "blktap is gone: volumes are attached over NBD or ublk",
    ),
    (
        "ORDER",
        "it was never read: roles start in the order of `roles`",
    ),
    (
        "prefix",
        "objects have names of their own, one format for all stores",
    ),
    (
        "unique_str",
        "who holds a lock is known by node and deployment",
    ),
    ("pithos_migrate", "the old layout of Pithos is not read"),
    ("logging_conf", "logs go to the journal, or to logfile"),
    (
        "socket_path",
        "poold is gone: clients join the segment themselves",
    ),
    ("pidfile", "the supervisor knows its processes by locks"),
    ("threshold", "peers decide by themselves when to sleep"),
    ("nr_threads", "this kind of peer has no threads to count"),
    ("type", "given in `roles`"),
];

/// The lines of the new file, and what was dropped.
#[derive(Debug, Default)]
pub struct Translation {
    pub lines: Vec<String>,
    pub dropped: Vec<String>,
}

impl Translation {
    fn drop(&mut self, what: &str, line: usize, why: &str) {
        let note = format!("{what} (line {line}): {why}");
        self.lines.push(format!("# dropped: {note}"));
        self.dropped.push(note);
    }

    fn blank(&mut self) {
        self.lines.push(String::new());
    }
}

pub fn translate(config: &LegacyConfig) -> Translation {
    let mut translation = Translation::default();
    let kinds: Vec<(&LegacyRole, Option<RoleKind>)> = config
        .roles
        .iter()
        .map(|role| (role, kind_of(config, role)))
        .collect();
    // Top-level keys must come before the first table.
    for setting in &config.globals {
        global(&mut translation, setting);
    }
    if !kinds.is_empty() {
        roles(&mut translation, &kinds);
    }
    for (name, settings) in &config.role_settings {
        translation.blank();
        let Some((_, kind)) = kinds.iter().find(|(role, _)| role.name == *name) else {
            let line = settings.first().map_or(1, |setting| setting.line);
            let what = format!("the settings of {}", escaped(name));
            translation.drop(&what, line, "it is not among the roles");
            continue;
        };
        if let Some(kind) = kind {
            translation.lines.push(format!("[role.{}]", key(name)));
            for setting in settings {
                of_role(&mut translation, setting, *kind);
            }
        } else {
            let line = settings.first().map_or(1, |setting| setting.line);
            let what = format!("the settings of {}", escaped(name));
            translation.drop(&what, line, "there are no peers of its type any more");
        }
    }
    translation
}

fn kind_of(config: &LegacyConfig, role: &LegacyRole) -> Option<RoleKind> {
    let own = config
        .role_settings
        .iter()
        .find(|(name, _)| *name == role.name);
    let in_settings = own.and_then(|(_, settings)| {
        let setting = settings.iter().find(|setting| setting.key == "type")?;
        match &setting.value {
            LegacyValue::Text(text) => RoleKind::from_name(text),
            _ => None,
        }
    });
    let in_list = role.kind.as_deref().and_then(RoleKind::from_name);
    in_list.or(in_settings)
}

fn global(translation: &mut Translation, setting: &LegacySetting) {
    match GLOBALS.iter().find(|(key, _)| *key == setting.key) {
        Some((key, shape)) => line(translation, key, *shape, setting),
        None => dropped(translation, setting),
    }
}

/// As the guide's pairs: the type stands beside the name.
fn roles(translation: &mut Translation, kinds: &[(&LegacyRole, Option<RoleKind>)]) {
    let mut pairs = Vec::new();
    for (role, kind) in kinds {
        match kind {
            Some(kind) => pairs.push(format!("[{}, \"{kind}\"]", toml_text(&role.name))),
            None => {
                let what = format!("the role {}", escaped(&role.name));
                let why = "there are no peers of its type any more, or it has none";
                translation.drop(&what, role.line, why);
            }
        }
    }
    translation
        .lines
        .push(format!("roles = [{}]", pairs.join(", ")));
}

fn of_role(translation: &mut Translation, setting: &LegacySetting, kind: RoleKind) {
    // 0.4 spelt some keys with dashes.
    let name = setting.key.replace('-', "_");
    match OF_ROLES.iter().find(|(key, _)| *key == name) {
        Some((key, shape)) if fits(key, kind) => line(translation, key, *shape, setting),
        Some(_) => {
            let what = shown(setting);
            translation.drop(
                &what,
                setting.line,
                &format!("a {kind} has no such setting"),
            );
        }
        None if name == "type" => {}
        None => dropped(translation, setting),
    }
}

/// Does this kind of role have the setting?
fn fits(key: &str, kind: RoleKind) -> bool {
    match key {
        "archip_dir" | "lock_dir" | "fdcache" | "direct" => kind == RoleKind::FileBlocker,
        "pool" | "cephx_id" => kind == RoleKind::RadosBlocker,
        "blockerb_port" | "blockerm_port" => kind == RoleKind::Mapperd,
        "blocker_port" | "mapper_port" => kind == RoleKind::Vlmcd,
        _ => SETTINGS
            .iter()
            .any(|s| s.key.strip_prefix("role.*.") == Some(key)),
    }
}

fn dropped(translation: &mut Translation, setting: &LegacySetting) {
    let name = setting.key.replace('-', "_");
    let known = DROPPED
        .iter()
        .find(|(key, _)| key.eq_ignore_ascii_case(&name));
    let why = known.map_or("no such setting is known", |(_, why)| why);
    translation.drop(&shown(setting), setting.line, why);
}

fn line(translation: &mut Translation, key: &str, shape: Shape, setting: &LegacySetting) {
    match value(shape, &setting.value) {
        Some(value) => translation.lines.push(format!("{key} = {value}")),
        None => {
            let why = match shape {
                Shape::Number => "it is no number",
                Shape::Mode => "it is no octal number",
                Shape::Truth => "it is neither true nor false",
                Shape::Text => "it is no plain text",
            };
            translation.drop(&shown(setting), setting.line, why);
        }
    }
}

fn value(shape: Shape, value: &LegacyValue) -> Option<String> {
    match (shape, value) {
        (Shape::Number, LegacyValue::Integer(number)) => {
            i64::try_from(*number).ok().map(|number| number.to_string())
        }
        (Shape::Number, LegacyValue::Text(text)) => {
            text.parse::<i64>().ok().map(|number| number.to_string())
        }
        (Shape::Mode, LegacyValue::Integer(mode)) => {
            let mode = u32::try_from(*mode).ok().filter(|mode| *mode <= 0o777)?;
            Some(format!("\"{mode:03o}\""))
        }
        // 007, 0o007 and 7 are the same.
        (Shape::Mode, LegacyValue::Text(text)) => {
            let lower = text.to_ascii_lowercase();
            let digits = lower.strip_prefix("0o").unwrap_or(&lower);
            let mode = u32::from_str_radix(digits, 8)
                .ok()
                .filter(|mode| *mode <= 0o777)?;
            Some(format!("\"{mode:03o}\""))
        }
        (Shape::Truth, LegacyValue::Boolean(truth)) => Some(truth.to_string()),
        (Shape::Truth, LegacyValue::Text(text)) => match text.to_lowercase().as_str() {
            "1" | "yes" | "true" | "on" => Some("true".into()),
            "0" | "no" | "false" | "off" => Some("false".into()),
            _ => None,
        },
        (Shape::Text, LegacyValue::Text(text)) => {
            let is_plain = !text.is_empty() && !text.chars().any(char::is_control);
            is_plain.then(|| toml_text(text))
        }
        _ => None,
    }
}

fn shown(setting: &LegacySetting) -> String {
    format!("{} = {}", escaped(&setting.key), setting.value)
}

fn escaped(text: &str) -> String {
    text.escape_debug().to_string()
}

/// A text as TOML writes it: as JSON does, but for DEL.
fn toml_text(text: &str) -> String {
    serde_json::Value::from(text)
        .to_string()
        .replace('\u{7f}', "\\u007f")
}

/// A name as part of a table's name; quoted unless it is plain.
fn key(name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.chars().all(is_bare) {
        name.to_owned()
    } else {
        toml_text(name)
    }
}
