//! `archipelago config check|show|convert`.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use archipelago_protocol::ErrorCode;
use serde_json::json;

use super::answer::Answer;
use super::archipelago_args::ConfigCommand;
use super::error_report::ErrorReport;
use crate::config::{
    self, Config, ConfigError, Environment, Origin, Problem, convert, directories,
};

pub fn run(
    command: &ConfigCommand,
    file: Option<&Path>,
    environment: &Environment,
) -> Result<Answer, ErrorReport> {
    match command {
        ConfigCommand::Check => {
            let config = config::load(file, environment).map_err(|error| report(&error))?;
            let problems = directories::check(&config, environment);
            if !problems.is_empty() {
                return Err(report(&ConfigError::Invalid { problems }));
            }
            let roles: Vec<&str> = config.roles.iter().map(|role| role.name.as_str()).collect();
            let mut text = format!(
                "The configuration is fine: {} roles, {} hosts\n",
                roles.len(),
                config.hosts.len()
            );
            let overrides = overrides(&config);
            for note in &overrides {
                text.push_str(&format!("Note: {note}\n"));
            }
            let json = json!({ "valid": true, "roles": roles, "overrides": overrides });
            Ok(Answer::new(json, text))
        }
        ConfigCommand::Show => {
            let config = config::load(file, environment).map_err(|error| report(&error))?;
            Ok(Answer::new(
                config::show_json(&config),
                config::show_toml(&config),
            ))
        }
        ConfigCommand::Convert { old, output } => convert_file(old, output.as_deref(), environment),
    }
}

/// Settings that several files give: the last one counts, and somebody may wonder.
fn overrides(config: &Config) -> Vec<String> {
    let given = config.origins.iter().filter(
        |(_, origin)| matches!(origin, Origin::File { overridden, .. } if !overridden.is_empty()),
    );
    given
        .map(|(key, origin)| format!("{key}: {origin}"))
        .collect()
}

/// What is wrong with a configuration, as an error of a command.
pub fn report(error: &ConfigError) -> ErrorReport {
    match error {
        ConfigError::Unreadable { path, source } => ErrorReport::new(
            code_of(source),
            format!("cannot read {}: {source}", path.display()),
            "name a file that is there with --config",
        ),
        invalid => ErrorReport::new(
            ErrorCode::Invalid,
            format!("the configuration is wrong\n{invalid}"),
            "correct these lines; `archipelago config check` looks again",
        ),
    }
}

/// The code of an error of the system.
pub fn code_of(error: &io::Error) -> ErrorCode {
    let errno = error
        .raw_os_error()
        .map(rustix::io::Errno::from_raw_os_error);
    errno.map_or(ErrorCode::Failed, ErrorCode::from_errno)
}

fn convert_file(
    old: &Path,
    output: Option<&Path>,
    environment: &Environment,
) -> Result<Answer, ErrorReport> {
    let name = old.display().to_string();
    let unreadable = |error: &io::Error| {
        ErrorReport::new(
            code_of(error),
            format!("cannot read {name}: {error}"),
            "name the historic file",
        )
    };
    let bytes = config::read_file(old).map_err(|error| unreadable(&error))?;
    let text = String::from_utf8(bytes).map_err(|_| {
        ErrorReport::new(
            ErrorCode::Invalid,
            format!("{name} is not UTF-8 text"),
            "save it as UTF-8",
        )
    })?;
    let new_name = output.map_or("output".into(), |path| path.display().to_string());
    let converted = convert::convert(&name, &text, &new_name, environment).map_err(|error| {
        let message = format!("{name}: line {}: {}", error.line, error.what);
        ErrorReport::new(ErrorCode::Invalid, message, error.remedy)
    })?;
    if let Some(path) = output {
        write_new(path, &converted.toml)?;
    }
    let problems: Vec<String> = converted.problems.iter().map(Problem::to_string).collect();
    let mut json = json!({ "dropped": converted.dropped, "problems": problems });
    let mut text = if output.is_none() {
        json["toml"] = json!(converted.toml);
        converted.toml
    } else {
        json["written"] = json!(new_name);
        let mut text = format!("Written: {new_name}\n");
        for note in &converted.dropped {
            text.push_str(&format!("Dropped: {note}\n"));
        }
        text
    };
    // Comments, so that stdout stays a file that loads once its lines are corrected.
    for problem in &problems {
        text.push_str(&format!("# to correct: {problem}\n"));
    }
    let mut answer = Answer::new(json, text);
    answer.exit_code = u8::from(!problems.is_empty());
    Ok(answer)
}

/// A file that is there may be somebody's configuration: it is not overwritten.
fn write_new(path: &Path, text: &str) -> Result<(), ErrorReport> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o644);
    let written = options.open(path).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| {
        let message = format!("cannot write {}: {error}", path.display());
        ErrorReport::new(
            code_of(&error),
            message,
            "name a file that does not exist, in a directory of yours",
        )
    })
}
