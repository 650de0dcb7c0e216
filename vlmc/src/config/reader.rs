//! Typed access to the raw settings. A wrong value is noted, its default goes on, and the next one is read: one run
//! shows everything that is wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use archipelago_protocol::parse_bytes;

use super::document::Value;
use super::merge::{RawConfig, RawSetting};
use super::place::Origin;
use super::problem::Problem;

/// The raw settings, what was read of them, and what is wrong.
#[derive(Debug)]
pub struct Reader {
    settings: BTreeMap<String, RawSetting>,
    used: BTreeSet<String>,
    pub origins: BTreeMap<String, Origin>,
    pub problems: Vec<Problem>,
}

impl Reader {
    pub fn new(raw: RawConfig) -> Self {
        Self {
            settings: raw.settings,
            used: BTreeSet::new(),
            origins: BTreeMap::new(),
            problems: raw.problems,
        }
    }

    /// Is the setting in a file?
    pub fn has(&self, key: &str) -> bool {
        self.settings.contains_key(key)
    }

    /// The value as it stands, with its origin noted.
    pub fn take(&mut self, key: &str) -> Option<Value> {
        let setting = self.settings.get(key)?;
        self.used.insert(key.to_owned());
        self.origins.insert(key.to_owned(), setting.origin());
        Some(setting.value.clone())
    }

    /// Notes why a setting that no file has is what it is.
    pub fn note_default(&mut self, key: &str, why: &'static str) {
        self.origins
            .entry(key.to_owned())
            .or_insert(Origin::Default(why));
    }

    pub fn problem(&mut self, key: &str, what: impl Into<String>, remedy: impl Into<String>) {
        self.problems.push(Problem {
            place: self.settings.get(key).map(|setting| setting.place.clone()),
            key: key.to_owned(),
            what: what.into(),
            remedy: remedy.into(),
        });
    }

    fn wrong_kind(&mut self, key: &str, value: &Value, wanted: &str) {
        self.problem(
            key,
            format!("is {}", value.kind()),
            format!("give {wanted}"),
        );
    }

    /// Names of the settings below a prefix that nobody has read.
    pub fn unused(&self) -> Vec<String> {
        let keys = self.settings.keys();
        keys.filter(|key| !self.used.contains(*key))
            .cloned()
            .collect()
    }

    /// The names that follow `prefix` and a dot.
    pub fn names_below(&self, prefix: &str) -> Vec<String> {
        let below = self
            .settings
            .keys()
            .filter_map(|key| key.strip_prefix(prefix)?.strip_prefix('.'));
        below.map(str::to_owned).collect()
    }

    pub fn text(&mut self, key: &str) -> Option<String> {
        match self.take(key)? {
            Value::Text(text) if !text.is_empty() && !text.chars().any(char::is_control) => {
                Some(text)
            }
            Value::Text(_) => {
                self.problem(
                    key,
                    "is empty or has control characters",
                    "give a plain text",
                );
                None
            }
            other => {
                self.wrong_kind(key, &other, "a text in double quotes");
                None
            }
        }
    }

    pub fn text_or(&mut self, key: &str, default: &str, why: &'static str) -> String {
        self.text(key).unwrap_or_else(|| {
            self.note_default(key, why);
            default.to_owned()
        })
    }

    /// A text that is one of a few words.
    pub fn word_or(
        &mut self,
        key: &str,
        words: &[&'static str],
        default: &'static str,
    ) -> &'static str {
        if let Some(text) = self.text(key) {
            if let Some(word) = words.iter().find(|word| **word == text) {
                return word;
            }
            self.problem(
                key,
                format!("{text:?} is unknown"),
                format!("give one of {}", words.join(", ")),
            );
        }
        self.note_default(key, "built in");
        default
    }

    pub fn number(&mut self, key: &str, range: RangeInclusive<u32>) -> Option<u32> {
        let remedy = format!("give a number from {} to {}", range.start(), range.end());
        match self.take(key)? {
            Value::Integer(number) => {
                let number32 = u32::try_from(number).ok().filter(|n| range.contains(n));
                if number32.is_none() {
                    self.problem(key, format!("{number} is out of range"), remedy);
                }
                number32
            }
            other => {
                self.problem(key, format!("is {}", other.kind()), remedy);
                None
            }
        }
    }

    pub fn number_or(
        &mut self,
        key: &str,
        range: RangeInclusive<u32>,
        default: u32,
        why: &'static str,
    ) -> u32 {
        self.number(key, range).unwrap_or_else(|| {
            self.note_default(key, why);
            default
        })
    }

    pub fn boolean_or(&mut self, key: &str, default: bool) -> bool {
        match self.take(key) {
            Some(Value::Boolean(truth)) => return truth,
            Some(other) => self.wrong_kind(key, &other, "true or false, without quotes"),
            None => {}
        }
        self.note_default(key, "built in");
        default
    }

    /// An absolute path without `..`.
    pub fn path(&mut self, key: &str) -> Option<PathBuf> {
        let path = PathBuf::from(self.text(key)?);
        let climbs = path
            .components()
            .any(|part| part == std::path::Component::ParentDir);
        if path.is_absolute() && !climbs {
            return Some(path);
        }
        self.problem(
            key,
            "is not a whole path",
            "begin it with / and leave out ..",
        );
        None
    }

    pub fn path_or(&mut self, key: &str, default: PathBuf) -> PathBuf {
        self.path(key).unwrap_or_else(|| {
            self.note_default(key, "the usual place");
            default
        })
    }

    /// Bytes; a bare number counts MiB.
    pub fn size_or(
        &mut self,
        key: &str,
        range: RangeInclusive<u64>,
        default: u64,
        why: &'static str,
    ) -> u64 {
        let text = match self.take(key) {
            Some(Value::Integer(number)) => Some(number.to_string()),
            Some(Value::Text(text)) => Some(text),
            Some(other) => {
                self.wrong_kind(key, &other, "a number of MiB, or a text such as \"2 GiB\"");
                None
            }
            None => None,
        };
        let limits = [*range.start(), *range.end()].map(archipelago_protocol::format_bytes);
        let between = format!("give {} to {}", limits[0], limits[1]);
        match text.as_deref().map(parse_bytes) {
            Some(Ok(bytes)) if range.contains(&bytes) => return bytes,
            Some(Ok(_)) => self.problem(key, "is out of range", between),
            Some(Err(error)) => self.problem(key, error.to_string(), between),
            None => {}
        }
        self.note_default(key, why);
        default
    }

    /// Permission bits: octal in a text, or a number as TOML writes it (0o007).
    pub fn mode_or(&mut self, key: &str, default: u32) -> u32 {
        let mode = match self.take(key) {
            Some(Value::Text(text)) => {
                let digits = text.trim_start_matches("0o");
                u32::from_str_radix(digits, 8).map_or(Some(u32::MAX), Some)
            }
            Some(Value::Integer(number)) => Some(u32::try_from(number).unwrap_or(u32::MAX)),
            Some(other) => {
                self.wrong_kind(key, &other, "permission bits such as \"007\"");
                None
            }
            None => None,
        };
        match mode {
            Some(mode) if mode <= 0o777 => return mode,
            Some(_) => self.problem(
                key,
                "is no set of permission bits",
                "give \"000\" to \"777\", octal",
            ),
            None => {}
        }
        self.note_default(key, "built in");
        default
    }

    /// A bare number counts seconds.
    pub fn duration_or(
        &mut self,
        key: &str,
        range: RangeInclusive<u64>,
        default_s: u64,
    ) -> Duration {
        let remedy = format!(
            "give {} s to {} s, such as 30, \"30s\", \"5m\", \"12h\" or \"7d\"",
            range.start(),
            range.end()
        );
        let seconds = match self.take(key) {
            Some(Value::Integer(number)) => Some(u64::try_from(number).ok()),
            Some(Value::Text(text)) => Some(seconds_in(&text)),
            Some(other) => {
                self.wrong_kind(key, &other, "seconds, or a text such as \"5m\"");
                None
            }
            None => None,
        };
        match seconds {
            Some(Some(seconds)) if range.contains(&seconds) => return Duration::from_secs(seconds),
            Some(_) => self.problem(key, "is no length of time in range", remedy),
            None => {}
        }
        self.note_default(key, "built in");
        Duration::from_secs(default_s)
    }

    /// A list of texts.
    pub fn words(&mut self, key: &str) -> Option<Vec<String>> {
        let value = self.take(key)?;
        let Value::List(items) = &value else {
            self.wrong_kind(key, &value, "a list of names, such as [\"a\", \"b\"]");
            return None;
        };
        let mut words = Vec::new();
        for item in items {
            match item {
                Value::Text(text) => words.push(text.clone()),
                other => self.wrong_kind(key, other, "names in double quotes in the list"),
            }
        }
        Some(words)
    }
}

/// `30`, `30s`, `5m`, `12h`, `7d`.
fn seconds_in(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits_end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let factor = match text[digits_end..].trim_start() {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86400,
        _ => return None,
    };
    text[..digits_end].parse::<u64>().ok()?.checked_mul(factor)
}
