//! The file of users and their keys.
//!
//! ```text
//! alice:6a2c...    a line each: a name, and 16 to 64 bytes in hexadecimal, as GnuTLS' psktool writes them
//! ```
//! # Invariants
//! * **PSK-1** A file that anybody can read is refused, and so is one in which any line makes no sense: nobody is let in, or locked out,
//!   by a slip.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::error::TlsError;

/// More is no file of users.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// What clients and libraries agree on.
const USER_BYTES_MAX: usize = 127;
/// Shorter ones can be guessed.
const KEY_BYTES_MIN: usize = 16;
const KEY_BYTES_MAX: usize = 64;

/// Others have no business with it.
const MODE_OF_OTHERS: u32 = 0o007;

/// Keys by users. Never printed.
pub(super) struct Users(BTreeMap<String, Vec<u8>>);

impl Users {
    pub fn key_of(&self, user: &[u8]) -> Option<&[u8]> {
        let user = std::str::from_utf8(user).ok()?;
        self.0.get(user).map(Vec::as_slice)
    }
}

/// Reads all of them.
pub(super) fn read(path: &Path) -> Result<Users, TlsError> {
    let failed = |error: std::io::Error| TlsError::Users {
        path: path.to_owned(),
        why: format!("it cannot be read: {error}"),
    };
    let file = File::open(path).map_err(failed)?;
    // Of the file that is read, whatever its name is given to meanwhile.
    let mode = file.metadata().map_err(failed)?.mode();
    if mode & MODE_OF_OTHERS != 0 {
        let why = format!(
            "its mode is {:03o}: who can read it can be anybody in it; chmod o= it, and make new keys if others have read it",
            mode & 0o777
        );
        let path = path.to_owned();
        return Err(TlsError::Users { path, why });
    }
    let mut text = String::new();
    let mut limited = file.take(FILE_BYTES_MAX);
    limited.read_to_string(&mut text).map_err(failed)?;
    parse(&text).map_err(|why| TlsError::Users {
        path: path.to_owned(),
        why,
    })
}

fn parse(text: &str) -> Result<Users, String> {
    if text.len() as u64 >= FILE_BYTES_MAX {
        return Err("it is larger than 1 MiB".into());
    }
    let mut users = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        if line.is_empty() {
            continue;
        }
        let in_line = |what: &str| format!("line {}: {what}", index + 1);
        let (user, key) = line
            .split_once(':')
            .ok_or_else(|| in_line("a line is a name, a colon and a key in hexadecimal"))?;
        let is_name = (1..=USER_BYTES_MAX).contains(&user.len())
            && !user.starts_with('#')
            && !user.chars().any(char::is_control);
        if !is_name {
            return Err(in_line(
                "a name has 1 to 127 bytes, no control characters, and does not begin with #",
            ));
        }
        let key = bytes_of(key).filter(|key| (KEY_BYTES_MIN..=KEY_BYTES_MAX).contains(&key.len()));
        let key =
            key.ok_or_else(|| in_line("a key has 32 to 128 hexadecimal digits, two a byte"))?;
        if users.insert(user.to_owned(), key).is_some() {
            return Err(in_line("this name has a key already"));
        }
    }
    match users.is_empty() {
        true => Err("it has no users: `psktool -u NAME -p FILE` adds one".into()),
        false => Ok(Users(users)),
    }
}

fn bytes_of(digits: &str) -> Option<Vec<u8>> {
    let value = |digit: u8| char::from(digit).to_digit(16);
    let pairs = digits.as_bytes().chunks(2);
    pairs
        .map(|pair| match pair {
            [high, low] => u8::try_from(value(*high)? << 4 | value(*low)?).ok(),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const KEY: &str = "000102030405060708090a0b0c0d0e0F";

    #[test]
    fn users_have_the_keys_of_their_lines() {
        let text = format!("alice:{KEY}\n\nb ob:{KEY}ff");
        let users = parse(&text).map_err(|why| panic!("{why}")).unwrap();
        let key: Vec<u8> = (0..16).collect();
        assert_eq!(users.key_of(b"alice"), Some(&key[..]));
        assert_eq!(users.key_of(b"b ob").map(<[u8]>::len), Some(17));
        assert_eq!(users.key_of(b"carol"), None);
        assert_eq!(users.key_of(b"\xff"), None);
    }

    #[test]
    fn a_slip_anywhere_is_refused_with_its_line() {
        // PSK-1
        for (line, said) in [
            ("alice", "a colon"),
            (&format!("bob:{KEY}")[..], "already"),
            (&format!(":{KEY}"), "a name has"),
            (&format!("#616c:{KEY}"), "a name has"),
            (&format!("a\tb:{KEY}"), "a name has"),
            (&format!("{}:{KEY}", "x".repeat(128)), "a name has"),
            ("alice:00", "a key has"),
            (&format!("alice:{KEY}0"), "a key has"),
            (&format!("alice:{KEY}0g"), "a key has"),
            (&format!("alice:{KEY} "), "a key has"),
            (&format!("alice:{}", KEY.repeat(5)), "a key has"),
        ] {
            let why = parse(&format!("bob:{KEY}\n{line}\n")).err();
            let why = why.unwrap_or_else(|| panic!("{line} is taken"));
            assert!(why.starts_with("line 2: ") && why.contains(said), "{why}");
            assert!(!why.contains(KEY), "keys are not printed");
        }
        assert!(parse("\n").is_err());
        assert!(parse(&format!("alice:{KEY}\n").repeat(100_000)).is_err());
    }

    #[test]
    fn a_file_that_anybody_can_read_is_refused() {
        // PSK-1
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys.psk");
        std::fs::write(&path, format!("alice:{KEY}\n")).unwrap();
        let set = |mode| std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        for mode in [0o600, 0o640, 0o400] {
            set(mode);
            assert!(read(&path).is_ok(), "{mode:o}");
        }
        for mode in [0o644, 0o604, 0o602, 0o601] {
            set(mode);
            let error = read(&path).err().unwrap().to_string();
            assert!(error.contains("chmod o="), "{error}");
        }
        let missing = read(&directory.path().join("none")).err().unwrap();
        assert!(missing.to_string().contains("none"), "{missing}");
    }
}
