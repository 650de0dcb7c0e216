//! The checkout: where its top is, where builds go, and which files it holds.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Directories that hold no source of ours.
const FOREIGN: &[&str] = &[".git", "target"];

/// The top of the checkout.
pub fn top() -> PathBuf {
    // Cargo sets the variable for everything it runs, so a checkout that was moved needs no rebuild.
    let package = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    let top = package
        .parent()
        .expect("the package is a directory of the checkout");
    top.to_path_buf()
}

/// A build directory of its own, for builds whose flags would throw away the usual one's contents.
pub fn target_directory(name: &str) -> PathBuf {
    let usual = env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    top().join(usual).join(name)
}

/// All regular files of the checkout, sorted, as paths relative to its top.
pub fn files() -> Result<Vec<PathBuf>> {
    let top = top();
    let mut found = Vec::new();
    let mut directories = vec![top.clone()];
    while let Some(directory) = directories.pop() {
        let entries = fs::read_dir(&directory)
            .with_context(|| format!("cannot list {}", directory.display()))?;
        for entry in entries {
            let entry = entry.with_context(|| format!("cannot list {}", directory.display()))?;
            let kind = entry.file_type().context("cannot stat a file")?;
            let path = entry.path();
            if kind.is_dir() && !is_foreign(&path) {
                directories.push(path);
            } else if kind.is_file() {
                let relative = path.strip_prefix(&top).unwrap_or(&path);
                found.push(relative.to_path_buf());
            }
        }
    }
    found.sort();
    Ok(found)
}

fn is_foreign(directory: &Path) -> bool {
    FOREIGN.iter().any(|name| directory.ends_with(name))
}
