//! Users and groups by name, from the local files. Accounts that live elsewhere are given by number.

use std::path::Path;

use anyhow::{Context, Result};

use crate::exit::Failure;

/// The number of a user.
pub fn user(name: &str) -> Result<u32> {
    number(name, Path::new("/etc/passwd"), "user")
}

/// The number of a group.
pub fn group(name: &str) -> Result<u32> {
    number(name, Path::new("/etc/group"), "group")
}

fn number(name: &str, file: &Path, kind: &str) -> Result<u32> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    find(name, &String::from_utf8_lossy(&bytes)).ok_or_else(|| {
        let file = file.display();
        Failure::Usage(format!(
            "there is no {kind} {name:?} in {file}: give the number"
        ))
        .into()
    })
}

/// Both files have the name first and the number third.
fn find(name: &str, lines: &str) -> Option<u32> {
    lines.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_third_field_of_the_line_that_begins_with_the_name_is_the_number() {
        let lines = "root:x:0:0::/root:/bin/sh\nroots:x:7:\nbroken\narchipelago:x:995:a,b\n";
        assert_eq!(find("root", lines), Some(0));
        assert_eq!(find("archipelago", lines), Some(995));
        assert_eq!(find("broken", lines), None);
        assert_eq!(find("nobody", lines), None);
    }
}
