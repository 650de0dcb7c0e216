//! Invariants have ids, and each id has a test.
//!
//! An id is a word in capitals, a dash and a number. The header of the module that keeps the invariant defines
//! it, in bold, below a heading "Invariants". Code and tests cite it by writing it. One id has one definition,
//! and at least one test source that cites it. An id that looks like one of these but is not defined is a
//! leftover of an invariant that is gone.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{Source, Violation, has_word};

const HEADING: &str = "# Invariants";

struct Definition<'a> {
    source: &'a Source,
    line: usize,
}

pub fn check(sources: &[Source], violations: &mut Vec<Violation>) {
    let rust: Vec<&Source> = sources.iter().filter(|source| source.is_rust()).collect();
    let mut definitions: BTreeMap<&str, Definition<'_>> = BTreeMap::new();
    for source in &rust {
        for (line, id) in definitions_in(source) {
            if let Some(first) = definitions.get(id) {
                let what = format!("{id} is defined in {} already: renumber", first.source.path);
                violations.push(source.violation(line, what));
            } else {
                definitions.insert(id, Definition { source, line });
            }
        }
    }
    for (id, Definition { source, line }) in &definitions {
        let cites = |source: &&Source| source.tests().any(|(_, text)| has_word(text, id));
        if !rust.iter().any(cites) {
            let what =
                format!("no test cites {id}: write one that fails without it, and name it there");
            violations.push(source.violation(*line, what));
        }
    }
    let families: BTreeSet<&str> = definitions.keys().map(|id| family(id)).collect();
    for source in rust {
        for (line, text) in source.lines() {
            for id in ids_in(text) {
                if families.contains(family(id)) && !definitions.contains_key(id) {
                    let what = format!("no header defines {id}: cite one that is there");
                    violations.push(source.violation(line, what));
                }
            }
        }
    }
}

/// The ids that the header defines: `**ID**` in the section about invariants.
fn definitions_in(source: &Source) -> Vec<(usize, &str)> {
    source
        .lines()
        .map_while(|(line, text)| Some((line, text.strip_prefix("//!")?.trim())))
        .skip_while(|(_, text)| *text != HEADING)
        .skip(1)
        .take_while(|(_, text)| !text.starts_with("# "))
        .flat_map(|(line, text)| bold_in(text).map(move |bold| (line, bold)))
        .filter(|(_, bold)| is_id(bold))
        .collect()
}

fn bold_in(text: &str) -> impl Iterator<Item = &str> {
    text.split("**").skip(1).step_by(2)
}

fn ids_in(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '-')
        .map(|word| word.trim_matches('-'))
        .filter(|word| is_id(word))
}

fn is_id(word: &str) -> bool {
    word.split_once('-').is_some_and(|(family, number)| {
        !family.is_empty()
            && family.chars().all(|c| c.is_ascii_uppercase())
            && !number.is_empty()
            && number.chars().all(|c| c.is_ascii_digit())
    })
}

fn family(id: &str) -> &str {
    id.split('-').next().unwrap_or(id)
}
