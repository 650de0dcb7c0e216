//! From words to a command, or to what should be printed instead.

use std::ffi::OsString;

use archipelago_protocol::ErrorCode;
use clap::Parser;
use clap::error::ErrorKind;

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
        Err(error) => error,
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
        let text = text.to_string();
        let message = text.trim_start_matches("error: ").trim_end();
        let report = ErrorReport::new(ErrorCode::Invalid, message, "");
        return Err(output.finish(Err(report)));
    }
    let written = if output.is_coloured {
        write!(output.stderr, "{}", text.ansi())
    } else {
        write!(output.stderr, "{text}")
    };
    let _ = written.and_then(|()| output.stderr.flush());
    Err(ErrorCode::Invalid.exit_code())
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
