//! Users learn from CHANGELOG.md what the next release brings.

use super::source::{Source, Violation};

const FILE: &str = "CHANGELOG.md";
const SECTION: &str = "## Unreleased";

pub fn check(sources: &[Source], violations: &mut Vec<Violation>) {
    let has_section = |source: &Source| source.lines().any(|(_, text)| text.trim_end() == SECTION);
    match sources.iter().find(|source| source.path == FILE) {
        Some(source) if has_section(source) => {}
        Some(source) => {
            let what = format!("no `{SECTION}` section: add one above the last release");
            violations.push(source.violation(1, what));
        }
        None => {
            let what = format!("no such file: write one for users, with a section `{SECTION}`");
            violations.push(Source::new(FILE, "").violation(1, what));
        }
    }
}
