//! One file as a flat list: the dotted name of each setting, its value, its line.
//!
//! Nothing is decided here but what TOML itself decides. Reading goes on after an error, so that one run shows all of
//! them; tables become dotted names, so that the schema, the merging of files and the messages need no tree.

use std::path::PathBuf;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::place::{Place, line_at};
use super::problem::Problem;

/// A value with nothing of TOML's about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Text(String),
    Integer(i128),
    Boolean(bool),
    List(Vec<Value>),
    /// What no setting is made of: a date, a fraction.
    Other(&'static str),
}

impl Value {
    /// What a message calls it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Integer(_) => "a number",
            Self::Boolean(_) => "true or false",
            Self::List(_) => "a list",
            Self::Other(kind) => kind,
        }
    }
}

/// One setting as it stands in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// As written: `segment.ports`, `SEGMENT_PORTS`.
    pub key: String,
    pub value: Value,
    pub place: Place,
}

/// Deeper tables hold no setting: their name alone is reported.
const DEPTH_MAX: usize = 4;

/// Reads `text`. What can be read is returned beside what is wrong.
pub fn parse(file: &Arc<PathBuf>, text: &str) -> (Vec<Entry>, Vec<Problem>) {
    let place = |offset| Place {
        file: Arc::clone(file),
        line: line_at(text, offset),
    };
    let (table, errors) = DeTable::parse_recoverable(text);
    let problems: Vec<Problem> = errors
        .iter()
        .map(|error| Problem {
            place: Some(place(error.span().map_or(0, |span| span.start))),
            key: String::new(),
            what: format!("not TOML: {}", error.message()),
            remedy: "write `key = value` or `[table]`, texts in double quotes".into(),
        })
        .collect();
    // What the parser guessed after a mistake must not be judged as if it had been written.
    if !problems.is_empty() {
        return (Vec::new(), problems);
    }
    let mut entries = Vec::new();
    flatten("", table.get_ref(), 1, &mut |key, offset, value| {
        entries.push(Entry {
            key,
            value,
            place: place(offset),
        });
    });
    entries.sort_by_key(|entry| entry.place.line);
    (entries, problems)
}

/// The depth is bounded, whatever the file holds.
fn flatten(
    prefix: &str,
    table: &DeTable<'_>,
    depth: usize,
    found: &mut dyn FnMut(String, usize, Value),
) {
    for (name, value) in table {
        let key = if prefix.is_empty() {
            name.get_ref().to_string()
        } else {
            format!("{prefix}.{}", name.get_ref())
        };
        match value.get_ref() {
            DeValue::Table(inner) if depth < DEPTH_MAX => flatten(&key, inner, depth + 1, found),
            other => found(key, name.span().start, value_of(other)),
        }
    }
}

fn value_of(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Boolean(truth) => Value::Boolean(*truth),
        DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix())
            .map_or(Value::Other("a number of too many digits"), Value::Integer),
        DeValue::Float(_) => Value::Other("a number with a fraction"),
        DeValue::Datetime(_) => Value::Other("a date"),
        DeValue::Table(_) => Value::Other("a table"),
        DeValue::Array(items) => Value::List(items.iter().map(item_of).collect()),
    }
}

/// Lists of lists are as deep as settings go: `roles` of the guide are pairs.
fn item_of(item: &Spanned<DeValue<'_>>) -> Value {
    match item.get_ref() {
        DeValue::Array(items) => Value::List(
            items
                .iter()
                .map(|inner| match inner.get_ref() {
                    DeValue::Array(_) => Value::Other("a list of lists of lists"),
                    other => value_of(other),
                })
                .collect(),
        ),
        other => value_of(other),
    }
}
