//! What must not be written: leftovers, letters that look like others, paths of one machine, broad imports.

use super::source::{Source, Violation, has_word};

/// Notes to oneself that were meant to go. Spelled in pieces, or this file would not be tidy.
const LEFTOVER_WORDS: &[&str] = &[concat!("FIX", "ME"), concat!("XX", "X")];
const LEFTOVER_CODE: &[&str] = &[
    concat!("to", "do!"),
    concat!("unimple", "mented!"),
    concat!("#[ig", "nore"),
];

/// Where developers' machines keep their files.
const MACHINE_PATHS: &[&str] = &[concat!("/wo", "rk/"), concat!("/fa", "rm/")];

/// Letters outside ASCII that Rust files may contain.
const LETTERS_ALLOWED: &[char] = &[];

const BROAD_IMPORT: &str = "use super::*";

pub fn check(source: &Source, violations: &mut Vec<Violation>) {
    for (line, text) in source.lines() {
        if let Some(path) = MACHINE_PATHS.iter().find(|path| text.contains(**path)) {
            let what = format!("`{path}` is a path of one machine: make it relative, or an option");
            violations.push(source.violation(line, what));
        }
        if !source.is_markdown() {
            check_leftovers(source, line, text, violations);
        }
        if source.is_rust() {
            check_letters(source, line, text, violations);
        }
    }
    for (line, text) in source.production() {
        if source.is_rust() && is_broad_import(text) {
            let what = format!("`{BROAD_IMPORT}` outside tests: name what you use");
            violations.push(source.violation(line, what));
        }
    }
}

fn is_broad_import(line: &str) -> bool {
    line.trim_start().starts_with(BROAD_IMPORT)
}

fn check_leftovers(source: &Source, line: usize, text: &str, violations: &mut Vec<Violation>) {
    if let Some(word) = LEFTOVER_WORDS.iter().find(|word| has_word(text, word)) {
        let what = format!("{word} is left over: do it, or write it where plans are kept");
        violations.push(source.violation(line, what));
    }
    let code = LEFTOVER_CODE.iter().find(|code| text.contains(**code));
    if let (Some(code), true) = (code, source.is_rust()) {
        let what = format!("`{code}` is left over: finish the code or the test, or remove it");
        violations.push(source.violation(line, what));
    }
}

fn check_letters(source: &Source, line: usize, text: &str, violations: &mut Vec<Violation>) {
    let foreign = |c: &char| !c.is_ascii() && !LETTERS_ALLOWED.contains(c);
    if let Some(letter) = text.chars().find(foreign) {
        let escape = letter.escape_unicode();
        let what = format!("a letter outside ASCII, {escape}: write it in ASCII, or as an escape");
        violations.push(source.violation(line, what));
    }
}
