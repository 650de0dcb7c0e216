//! All rules over all files of the checkout.

use std::fs;

use anyhow::{Context, Result, bail};

use super::source::{Source, Violation};
use super::{changelog, headers, houses, invariants, length, words};
use crate::command::Outcome;
use crate::tree;

/// Checks the checkout and prints each violation as `path:line: what, and the way out`.
pub fn run() -> Result<Outcome> {
    let sources = sources()?;
    let violations = check(&sources);
    for violation in &violations {
        println!("{violation}");
    }
    if !violations.is_empty() {
        bail!("{} violations of the rules of src/tidy", violations.len());
    }
    println!("{} files are tidy", sources.len());
    Ok(Outcome::Passed)
}

/// All violations, in the order of paths and lines.
pub fn check(sources: &[Source]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for source in sources {
        headers::check(source, &mut violations);
        length::check(source, &mut violations);
        words::check(source, &mut violations);
        houses::check(source, &mut violations);
    }
    invariants::check(sources, &mut violations);
    changelog::check(sources, &mut violations);
    violations.sort();
    violations
}

/// All files of the checkout that are text.
pub fn sources() -> Result<Vec<Source>> {
    let top = tree::top();
    let mut sources = Vec::new();
    for path in tree::files()? {
        let bytes =
            fs::read(top.join(&path)).with_context(|| format!("cannot read {}", path.display()))?;
        if let Ok(text) = String::from_utf8(bytes) {
            sources.push(Source::new(path.to_string_lossy(), text));
        }
    }
    Ok(sources)
}
