//! Files stay small enough to be read in one go. Tests do not count.

use super::source::{Source, Violation};

const PRODUCTION_LINES_MAX: usize = 600;

pub fn check(source: &Source, violations: &mut Vec<Violation>) {
    let count = source.production().count();
    if source.is_rust() && count > PRODUCTION_LINES_MAX {
        let what = format!(
            "{count} lines before the tests: split the file, {PRODUCTION_LINES_MAX} are the limit"
        );
        violations.push(source.violation(PRODUCTION_LINES_MAX + 1, what));
    }
}
