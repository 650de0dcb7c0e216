//! The file system that a guest has in memory.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::cache::Cache;
use crate::cpio::Archive;
use crate::error::GuestError;
use crate::modules::Modules;
use crate::program;

/// The first process of a guest.
const INIT: &str = include_str!("init.sh");

/// Where programs are in the guest, whatever they are on this machine.
const PROGRAMS: &str = "/usr/local/bin";

/// Programs of every guest: the shell of the script.
const SHELL: &str = "dash";

/// Modules of every guest: its own disks.
const MODULES: &[&str] = &["virtio_blk"];

/// What goes into it.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    pub programs: Vec<PathBuf>,
    /// Names, and what each is told.
    pub modules: Vec<(String, String)>,
    pub files: Vec<(String, Vec<u8>)>,
}

impl Contents {
    /// The archive, with that script.
    pub fn pack(&self, cache: &Cache, script: &str) -> Result<Vec<u8>, GuestError> {
        let mut archive = Archive::default();
        for directory in [
            "/dev", "/proc", "/sys", "/run", "/tmp", "/root", "/mnt", "/etc",
        ] {
            archive.directory(directory);
        }
        archive.file("/init", 0o755, INIT.as_bytes());
        archive.file("/bin/busybox", 0o755, &read(&cache.busybox())?);
        archive.file(
            "/etc/passwd",
            0o644,
            b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n",
        );
        archive.file("/etc/group", 0o644, b"root:x:0:\nnogroup:x:65534:\n");
        archive.file("/guest/script", 0o644, script.as_bytes());
        self.pack_modules(cache, &mut archive)?;
        self.pack_programs(&mut archive)?;
        for (path, contents) in &self.files {
            archive.file(path, 0o644, contents);
        }
        Ok(archive.finish())
    }

    fn pack_modules(&self, cache: &Cache, archive: &mut Archive) -> Result<(), GuestError> {
        let all = Modules::of(&cache.modules())?;
        let own = MODULES.iter().map(|name| (*name).to_owned());
        let named = self.modules.iter().map(|(name, _)| name.clone());
        let wanted: Vec<String> = own.chain(named).collect();
        let mut order = String::new();
        for (name, contents) in all.in_order(&wanted)? {
            archive.file(&format!("/guest/modules/{name}.ko"), 0o644, &contents);
            let told = self
                .modules
                .iter()
                .find(|(one, _)| one.replace('-', "_") == name);
            let told = told.map_or("", |(_, told)| told);
            order += &format!("{name} {told}\n");
        }
        archive.file("/guest/order", 0o644, order.as_bytes());
        Ok(())
    }

    fn pack_programs(&self, archive: &mut Archive) -> Result<(), GuestError> {
        let mut libraries = BTreeSet::new();
        let shell = PathBuf::from(SHELL);
        for name in self.programs.iter().chain([&shell]) {
            let program = program::find(name)?;
            let name = program.file_name().unwrap_or_default().to_string_lossy();
            archive.file(&format!("{PROGRAMS}/{name}"), 0o755, &read(&program)?);
            libraries.extend(program::libraries(&program)?);
        }
        for library in libraries {
            archive.file(&library.to_string_lossy(), 0o755, &read(&library)?);
        }
        Ok(())
    }
}

fn read(path: &Path) -> Result<Vec<u8>, GuestError> {
    fs::read(path).map_err(GuestError::file(path))
}
