//! The way in: files, merged and resolved.

use std::path::Path;

use super::environment::Environment;
use super::locate;
use super::model::Config;
use super::problem::ConfigError;
use super::resolve;

/// Reads and checks the configuration. Directories are checked by those who need them.
pub fn load(asked: Option<&Path>, environment: &Environment) -> Result<Config, ConfigError> {
    resolve::resolve(locate::read(asked, environment)?, environment)
}

/// The same for a text that is in no file yet; `name` stands in messages.
pub fn load_text(name: &str, text: &str, environment: &Environment) -> Result<Config, ConfigError> {
    let mut raw = super::merge::RawConfig::default();
    raw.add(name.into(), text);
    resolve::resolve(raw, environment)
}
