//! What both historic forms say, in one shape.

use std::fmt;

/// A value of either form; INI has texts only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LegacyValue {
    Text(String),
    Integer(i128),
    Boolean(bool),
    Nothing,
    /// Lists and tuples.
    List(Vec<LegacyValue>),
    Dict(Vec<(LegacyValue, LegacyValue)>),
}

impl fmt::Display for LegacyValue {
    /// For a comment: one line, not too long.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => {
                let short: String = text.chars().take(60).collect();
                let dots = if short.len() < text.len() { "..." } else { "" };
                write!(f, "\"{}\"{dots}", short.escape_debug())
            }
            Self::Integer(number) => write!(f, "{number}"),
            Self::Boolean(truth) => write!(f, "{truth}"),
            Self::Nothing => write!(f, "None"),
            Self::List(items) => write!(f, "a list of {}", items.len()),
            Self::Dict(items) => write!(f, "a dictionary of {}", items.len()),
        }
    }
}

/// A name and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegacySetting {
    pub key: String,
    pub value: LegacyValue,
    pub line: usize,
}

/// A role as listed; INI gives the type among the role's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegacyRole {
    pub name: String,
    pub kind: Option<String>,
    /// Where it stands.
    pub line: usize,
}

/// A whole file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LegacyConfig {
    /// By the guide's names in capitals.
    pub globals: Vec<LegacySetting>,
    pub roles: Vec<LegacyRole>,
    /// Settings by the name of the role.
    pub role_settings: Vec<(String, Vec<LegacySetting>)>,
}
