//! How to say our commands in the shell that the user has: what is printed can be pasted.

use std::ffi::OsStr;
use std::path::Path;

/// The programs' directory, where the shell does not look by itself, and the configuration that was named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hints {
    /// With its slash, or nothing.
    before: String,
    after: String,
}

impl Hints {
    pub fn new(program: &Path, config_file: Option<&Path>) -> Self {
        Self::with_path(program, config_file, std::env::var_os("PATH").as_deref())
    }

    fn with_path(program: &Path, config_file: Option<&Path>, path: Option<&OsStr>) -> Self {
        let home = program.parent().filter(|home| home.is_absolute());
        let is_found = |home: &&Path| {
            let mut places = path.into_iter().flat_map(std::env::split_paths);
            let found = places.find(|place| place.join("archipelago").exists());
            let canonical = |path: &Path| path.canonicalize().ok();
            found.is_some_and(|found| {
                canonical(&found.join("archipelago")) == canonical(&home.join("archipelago"))
            })
        };
        let config_file = config_file.and_then(|file| std::path::absolute(file).ok());
        Self {
            before: match home.filter(|home| !is_found(home)) {
                Some(home) => format!("{}/", home.display()),
                None => String::new(),
            },
            after: config_file.map_or(String::new(), |file| {
                format!(" -c {}", quoted(&file.display().to_string()))
            }),
        }
    }

    /// A program, and what it needs to know.
    pub fn words(&self, program: &str) -> String {
        format!(
            "{}{}",
            quoted(&format!("{}{program}", self.before)),
            self.after
        )
    }
}

/// As one word of a shell.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:,=@%".contains(c);
    if word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_said_so_that_the_users_shell_finds_them() {
        let dir = tempfile::tempdir().expect("a directory");
        let bin = dir.path().join("bin");
        std::fs::create_dir(&bin).expect("made");
        let program = bin.join("archipelago");
        std::fs::write(&program, "").expect("written");
        let hints = |path: &str, file: Option<&str>| {
            Hints::with_path(&program, file.map(Path::new), Some(OsStr::new(path)))
        };
        let full = format!("{}/vlmc", bin.display());
        assert_eq!(hints("/nowhere", None).words("vlmc"), full);
        let there = format!("/nowhere:{}", bin.display());
        assert_eq!(hints(&there, None).words("vlmc"), "vlmc");
        assert_eq!(
            hints(&there, Some("/etc/a.toml")).words("vlmc"),
            "vlmc -c /etc/a.toml"
        );
        assert_eq!(
            hints(&there, Some("/it's here/a.toml")).words("vlmc"),
            "vlmc -c '/it'\\''s here/a.toml'"
        );
    }
}
