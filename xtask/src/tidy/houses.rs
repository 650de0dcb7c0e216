//! `mod.rs` and `lib.rs` are the doors of a house: they say what is inside, and hold nothing themselves.

use super::source::{Source, Violation};

const DOORS: &[&str] = &["mod.rs", "lib.rs"];

/// What begins an item that belongs into a file named after it.
const ITEMS: &[&str] = &[
    "fn",
    "struct",
    "enum",
    "union",
    "trait",
    "impl",
    "impl<",
    "static",
    "macro_rules!",
];

/// What may stand before the word that says what an item is.
const QUALIFIERS: &[&str] = &["pub", "const", "async", "unsafe", "extern", "\"C\""];

pub fn check(source: &Source, violations: &mut Vec<Violation>) {
    if !DOORS.contains(&source.file_name()) {
        return;
    }
    for (line, text) in source.production() {
        if let Some(item) = item_in(text) {
            let what = format!(
                "`{item}` in {}: move it to a file named after it, and `use` it here",
                source.file_name()
            );
            violations.push(source.violation(line, what));
        }
    }
}

/// The item that this line begins, if it is of the kinds above.
fn item_in(line: &str) -> Option<&str> {
    let word = line
        .split_whitespace()
        .find(|word| !QUALIFIERS.contains(word) && !word.starts_with("pub("))?;
    ITEMS
        .iter()
        .find(|item| word == **item || (item.ends_with('<') && word.starts_with(**item)))
        .map(|item| item.trim_end_matches('<'))
}
