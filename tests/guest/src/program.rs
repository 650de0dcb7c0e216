//! Programs of this machine that a guest is to have, with the shared libraries that they need.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::GuestError;

/// Where programs are beside PATH: an ordinary user's lacks these on Debian.
const SYSTEM_DIRECTORIES: &[&str] = &["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// The file of a program, by path or by name.
pub fn find(name: &Path) -> Result<PathBuf, GuestError> {
    let missing = || GuestError::NoProgram {
        name: name.display().to_string(),
    };
    if name.components().count() > 1 {
        return if name.is_file() {
            Ok(name.to_owned())
        } else {
            Err(missing())
        };
    }
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(SYSTEM_DIRECTORIES.iter().map(PathBuf::from))
        .map(|directory| directory.join(name))
        .find(|file| file.is_file())
        .ok_or_else(missing)
}

/// The shared libraries of a program, and what loads them; none if it needs none.
pub fn libraries(program: &Path) -> Result<Vec<PathBuf>, GuestError> {
    let contents = fs::read(program).map_err(GuestError::file(program))?;
    if !contents.starts_with(b"\x7fELF") {
        return Ok(Vec::new()); // a script
    }
    let output = Command::new("ldd").arg(program).output();
    let output = output.map_err(|source| GuestError::Start {
        program: "ldd".to_owned(),
        source,
    })?;
    let listed = listed(&String::from_utf8_lossy(&output.stdout));
    listed.map_err(|name| GuestError::NoProgram {
        name: format!("{name}, a library of {}", program.display()),
    })
}

/// What ldd lists: `name => /path (address)`, `/path (address)`, and what the kernel brings, which has no path.
fn listed(text: &str) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    for line in text.lines().map(str::trim) {
        let (name, place) = line.split_once(" => ").unwrap_or((line, line));
        if place.starts_with("not found") {
            return Err(name.to_owned());
        }
        let path = place.split_once(" (").map(|(path, _)| path);
        found.extend(path.filter(|path| path.starts_with('/')).map(PathBuf::from));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_those_with_a_path() {
        let text = "\tlinux-vdso.so.1 (0x7ffd)\n\tlibc.so.6 => /lib/x/libc.so.6 (0x7f)\n\t/lib64/ld-linux.so.2 (0x7f)\n";
        assert_eq!(
            listed(text).unwrap(),
            [
                PathBuf::from("/lib/x/libc.so.6"),
                PathBuf::from("/lib64/ld-linux.so.2")
            ]
        );
        assert_eq!(
            listed("\tstatically linked\n").unwrap(),
            Vec::<PathBuf>::new()
        );
        assert_eq!(listed("\tlibx.so => not found\n").unwrap_err(), "libx.so");
    }

    #[test]
    fn a_program_is_found_by_name_and_by_path() {
        let shell = find(Path::new("sh")).unwrap();
        assert_eq!(find(&shell).unwrap(), shell);
        assert!(!libraries(&shell).unwrap().is_empty());
        for name in ["no-such-program", "/no/such/program"] {
            let error = find(Path::new(name)).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }
}
