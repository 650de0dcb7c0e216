//! The files of a configuration, one over the other.
//!
//! Files come in their order; the later one wins. Who said something before is kept, so that `config show` and
//! messages can name both places.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::document::{self, Value};
use super::place::{Origin, Place};
use super::problem::Problem;
use super::schema;

/// A setting after all files have spoken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawSetting {
    pub value: Value,
    pub place: Place,
    pub overridden: Vec<Place>,
}

impl RawSetting {
    pub fn origin(&self) -> Origin {
        Origin::File {
            place: self.place.clone(),
            overridden: self.overridden.clone(),
        }
    }
}

/// What the files say, by the names of the schema; nothing of it is checked but that the names exist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawConfig {
    pub settings: BTreeMap<String, RawSetting>,
    pub problems: Vec<Problem>,
}

impl RawConfig {
    /// Lays a file over what there is.
    pub fn add(&mut self, file: PathBuf, text: &str) {
        let file = Arc::new(file);
        let (entries, problems) = document::parse(&file, text);
        self.problems.extend(problems);
        for document::Entry { key, value, place } in entries {
            match schema::find(&key) {
                Some((_, key)) => self.insert(key, value, place),
                None => self.problems.push(unknown(&key, &value, place)),
            }
        }
    }

    fn insert(&mut self, key: String, value: Value, place: Place) {
        let mut overridden = Vec::new();
        if let Some(earlier) = self.settings.get(&key) {
            // TOML refuses a name twice in one file; here it was its other name.
            if earlier.place.file == place.file {
                self.problems.push(Problem {
                    what: format!("given twice, here and in line {}", earlier.place.line),
                    remedy: "keep one of the two (the names in capitals are other names)".into(),
                    place: Some(place),
                    key,
                });
                return;
            }
            overridden.clone_from(&earlier.overridden);
            overridden.push(earlier.place.clone());
        }
        let setting = RawSetting {
            value,
            place,
            overridden,
        };
        self.settings.insert(key, setting);
    }
}

fn unknown(key: &str, value: &Value, place: Place) -> Problem {
    let is_section = schema::SETTINGS
        .iter()
        .any(|setting| setting.key.starts_with(&format!("{key}.")));
    let (what, remedy) = if is_section {
        let what = format!("is {}, but it is a section", value.kind());
        (what, format!("write [{key}] and the settings below it"))
    } else {
        let remedy = match schema::nearest(key) {
            Some(name) => format!("did you mean {name}?"),
            None => "remove it; `archipelago config show` lists all settings".into(),
        };
        ("unknown setting".to_owned(), remedy)
    };
    Problem {
        place: Some(place),
        key: key.to_owned(),
        what,
        remedy,
    }
}
