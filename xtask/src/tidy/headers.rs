//! Every Rust file that is not tiny says at its head what it holds.

use super::source::{Source, Violation};

/// Longer files need a header.
const LINES_WITHOUT_HEADER_MAX: usize = 80;

pub fn check(source: &Source, violations: &mut Vec<Violation>) {
    let starts_with_header = source
        .lines()
        .next()
        .is_some_and(|(_, line)| line.starts_with("//!"));
    let count = source.lines().count();
    if source.is_rust() && count > LINES_WITHOUT_HEADER_MAX && !starts_with_header {
        let what = format!(
            "{count} lines without a `//!` header: say what the file holds, and its invariants"
        );
        violations.push(source.violation(1, what));
    }
}
