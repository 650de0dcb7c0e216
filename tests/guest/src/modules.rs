//! The kernel's modules, and what each needs.
//!
//! # Invariants
//! * **MODULES-1** A module comes behind all that it depends on, and once.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::GuestError;

/// All modules of a kernel, by name.
#[derive(Debug)]
pub struct Modules {
    release: String,
    files: BTreeMap<String, PathBuf>,
    built_in: BTreeSet<String>,
}

impl Modules {
    /// Those below a directory, which has what Debian has in `/lib/modules/RELEASE`, unpacked.
    pub fn of(directory: &Path) -> Result<Self, GuestError> {
        let read = |name: &str| {
            let path = directory.join(name);
            fs::read_to_string(&path).map_err(GuestError::file(path))
        };
        let built_in = read("modules.builtin")?;
        let mut modules = Self {
            release: read("release")?.trim().to_owned(),
            built_in: built_in
                .lines()
                .map(|line| name_of(Path::new(line)))
                .collect(),
            files: BTreeMap::new(),
        };
        let mut directories = vec![directory.to_owned()];
        while let Some(directory) = directories.pop() {
            let entries = fs::read_dir(&directory).map_err(GuestError::file(&directory))?;
            for entry in entries {
                let path = entry.map_err(GuestError::file(&directory))?.path();
                if path.is_dir() {
                    directories.push(path);
                } else if path.extension().is_some_and(|end| end == "ko") {
                    modules.files.insert(name_of(&path), path);
                }
            }
        }
        Ok(modules)
    }

    /// The files of these modules and of what they need, in the order in which they can be loaded. What is part of the kernel
    /// is passed over.
    pub fn in_order(&self, wanted: &[String]) -> Result<Vec<(String, Vec<u8>)>, GuestError> {
        let mut order = Vec::new();
        let mut seen = BTreeSet::new();
        // A module is looked at twice: its dependencies go on top of it first, then it is taken.
        let mut stack: Vec<(String, Option<Vec<u8>>)> = Vec::new();
        for name in wanted {
            stack.push((name.replace('-', "_"), None));
            while let Some((name, contents)) = stack.pop() {
                if let Some(contents) = contents {
                    order.push((name, contents));
                    continue;
                }
                if self.built_in.contains(&name) || !seen.insert(name.clone()) {
                    continue;
                }
                let path = self.files.get(&name).ok_or_else(|| GuestError::NoModule {
                    name: name.clone(),
                    release: self.release.clone(),
                })?;
                let contents = fs::read(path).map_err(GuestError::file(path))?;
                let needed = depends(&contents);
                stack.push((name, Some(contents)));
                stack.extend(needed.into_iter().map(|name| (name, None)));
            }
        }
        Ok(order) // MODULES-1
    }
}

/// Modules are called by the names of their files, in which a dash is as good as an underscore.
fn name_of(path: &Path) -> String {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    name.replace('-', "_")
}

/// What a module says that it needs: the list behind `depends=` among the strings that it has about itself.
fn depends(module: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(at) = module.windows(KEY.len()).position(|window| window == KEY) else {
        return Vec::new();
    };
    let list = &module[at + KEY.len()..];
    let end = list
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(list.len());
    String::from_utf8_lossy(&list[..end])
        .split(',')
        .filter(|name| !name.is_empty())
        .map(|name| name.replace('-', "_"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(modules: &[(&str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let kernel = directory.path().join("kernel/fs");
        fs::create_dir_all(&kernel).unwrap();
        for (name, needs) in modules {
            let contents = format!("\x7fELF\0license=GPL\0depends={needs}\0rest");
            fs::write(kernel.join(format!("{name}.ko")), contents).unwrap();
        }
        fs::write(
            directory.path().join("modules.builtin"),
            "kernel/lib/crc32c.ko\n",
        )
        .unwrap();
        fs::write(directory.path().join("release"), "6.12-test\n").unwrap();
        directory
    }

    fn order(directory: &tempfile::TempDir, wanted: &[&str]) -> Result<Vec<String>, GuestError> {
        let wanted: Vec<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
        let found = Modules::of(directory.path()).unwrap().in_order(&wanted)?;
        Ok(found.into_iter().map(|(name, _)| name).collect())
    }

    #[test]
    fn what_a_module_needs_is_loaded_before_it_and_once() {
        // MODULES-1
        let modules = [
            ("top", "left-one,right,crc32c"),
            ("left-one", "base"),
            ("right", "base"),
            ("base", ""),
            ("other", ""),
        ];
        let directory = sample(&modules);
        let order = order(&directory, &["top", "base", "right"]).unwrap();
        let at = |name: &str| order.iter().position(|one| one == name).unwrap();
        assert_eq!(order.len(), 4, "{order:?}");
        assert!(at("base") < at("left_one") && at("base") < at("right"));
        assert_eq!(at("top"), 3);
    }

    #[test]
    fn a_module_that_is_not_there_is_named() {
        let directory = sample(&[("one", "none-such")]);
        let error = order(&directory, &["one"]).unwrap_err().to_string();
        assert_eq!(error, "the kernel 6.12-test has no module none_such");
        assert_eq!(
            order(&directory, &["crc32c"]).unwrap(),
            Vec::<String>::new()
        );
    }
}
