//! A file as the rules see it: lines, split into production and tests.

use std::fmt;

/// Names of files that hold tests only.
const TEST_FILES: &[&str] = &["tests.rs", "loom.rs", "loom_models.rs"];

/// A text file of the checkout.
#[derive(Debug)]
pub struct Source {
    /// Relative to the top of the checkout.
    pub path: String,
    lines: Vec<String>,
    /// How many lines come before the tests: all of them if there are none.
    production_count: usize,
}

/// A place that breaks a rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    path: String,
    line: usize,
    /// What is wrong, and the way out.
    what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, what } = self;
        write!(f, "{path}:{line}: {what}")
    }
}

impl Source {
    pub fn new(path: impl Into<String>, text: impl AsRef<str>) -> Self {
        let path = path.into();
        let lines: Vec<String> = text.as_ref().lines().map(str::to_owned).collect();
        let production_count = if is_test_file(&path) {
            0
        } else {
            tests_start(&lines).unwrap_or(lines.len())
        };
        Self {
            path,
            lines,
            production_count,
        }
    }

    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    pub fn is_markdown(&self) -> bool {
        self.path.ends_with(".md")
    }

    /// The name without directories.
    pub fn file_name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// All lines with their numbers, from 1.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(self.lines.iter().map(String::as_str))
    }

    /// The lines before the tests.
    pub fn production(&self) -> impl Iterator<Item = (usize, &str)> {
        self.lines().take(self.production_count)
    }

    /// The lines of the tests: all of a test file's.
    pub fn tests(&self) -> impl Iterator<Item = (usize, &str)> {
        self.lines().skip(self.production_count)
    }

    pub fn violation(&self, line: usize, what: impl Into<String>) -> Violation {
        Violation {
            path: self.path.clone(),
            line,
            what: what.into(),
        }
    }
}

fn is_test_file(path: &str) -> bool {
    path.split('/')
        .any(|part| part == "tests" || TEST_FILES.contains(&part))
}

/// The index of the attribute above the first inline module that is compiled for tests only.
fn tests_start(lines: &[String]) -> Option<usize> {
    (0..lines.len()).find(|&index| {
        is_test_attribute(&lines[index])
            && lines[index + 1..]
                .iter()
                .find(|line| !line.starts_with("#["))
                .is_some_and(|line| line.starts_with("mod ") && line.ends_with('{'))
    })
}

fn is_test_attribute(line: &str) -> bool {
    line.starts_with("#[cfg(test)]") || line.starts_with("#[cfg(all(test,")
}

/// Does `text` contain `word` with no letter, digit, `_` or `-` right before or after it?
pub fn has_word(text: &str, word: &str) -> bool {
    let joins = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    text.match_indices(word).any(|(start, _)| {
        let before = text[..start].chars().next_back();
        let after = text[start + word.len()..].chars().next();
        !before.is_some_and(joins) && !after.is_some_and(joins)
    })
}
