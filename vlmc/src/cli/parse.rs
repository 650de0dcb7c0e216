//! From words to a command, or to what should be printed instead.

use std::ffi::OsString;

use archipelago_protocol::ErrorCode;
use clap::Parser;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::error_report::ErrorReport;
use super::output::Output;

/// Parses the words of a command line, the program's name first. What cannot be parsed is answered here: help and
/// version on stdout with exit code 0, mistakes on stderr (or as JSON, if `--json` is among the words) with 2.
pub fn parse<A: Parser>(words: Vec<OsString>, output: &mut Output<'_>) -> Result<A, u8> {
    let words = modern(words);
    let words_json = words.iter().skip(1).take_while(|word| *word != "--");
    output.is_json = words_json.into_iter().any(|word| word == "--json");
    let error = match A::try_parse_from(words) {
        Ok(args) => return Ok(args),
        Err(error) => without_hidden(error, &A::command()),
    };
    let asked = matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    );
    let text = error.render();
    if asked {
        // Nobody is there to be told that nobody listens.
        let _ = write!(output.stdout, "{text}").and_then(|()| output.stdout.flush());
        return Err(0);
    }
    if output.is_json {
        return Err(output.finish(Err(report(&error))));
    }
    let written = if output.is_coloured {
        write!(output.stderr, "{}", text.ansi())
    } else {
        write!(output.stderr, "{text}")
    };
    let _ = written.and_then(|()| output.stderr.flush());
    Err(ErrorCode::Invalid.exit_code())
}

/// A mistake in one line, and the way out.
fn report(error: &clap::Error) -> ErrorReport {
    let text = error.render().to_string();
    let mut parts = text.split("\n\n");
    let one_line = |part: &str| part.split_whitespace().collect::<Vec<_>>().join(" ");
    let usage = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("Usage: "));
    let program = usage.map(|usage| {
        let is_name = |word: &&str| !word.starts_with(['[', '<', '-']);
        usage
            .split_whitespace()
            .take_while(is_name)
            .collect::<Vec<_>>()
            .join(" ")
    });
    let help = match program {
        Some(program) if !program.is_empty() => format!("`{program} --help` shows how to say it"),
        _ => "--help shows how to say it".into(),
    };
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return ErrorReport::new(ErrorCode::Invalid, "a command is missing", help);
    }
    let message = one_line(parts.next().unwrap_or_default());
    let message = message.trim_start_matches("error: ");
    let tip = parts.find_map(|part| part.trim().strip_prefix("tip: ").map(one_line));
    let remedy = tip.unwrap_or(help);
    ErrorReport::new(ErrorCode::Invalid, message, remedy)
}

/// Commands that are for our own processes are not offered.
fn without_hidden(mut error: clap::Error, command: &clap::Command) -> clap::Error {
    let Some(ContextValue::Strings(names)) = error.get(ContextKind::ValidSubcommand) else {
        return error;
    };
    let is_hidden = |name: &String| {
        let found = command.find_subcommand(name);
        found.is_some_and(clap::Command::is_hide_set)
    };
    let names = names.iter().filter(|name| !is_hidden(name)).cloned();
    let names = ContextValue::Strings(names.collect());
    error.insert(ContextKind::ValidSubcommand, names);
    error
}

/// `-ro` of the historic `map` would be read as `-r -o`.
fn modern(words: Vec<OsString>) -> Vec<OsString> {
    let mut is_map = false;
    let mut is_over = false;
    let modern_word = |word: OsString| {
        is_map |= word == "map";
        is_over |= word == "--";
        if is_map && !is_over && word == "-ro" {
            "--read-only".into()
        } else {
            word
        }
    };
    words.into_iter().map(modern_word).collect()
}
