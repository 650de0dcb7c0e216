//! Archives as the kernel unpacks them at boot: cpio's `newc` form.
//!
//! # Invariants
//! * **CPIO-1** Before a file come the directories that it is in, once each: the kernel makes none by itself.

use std::collections::BTreeSet;

/// An archive that grows.
#[derive(Debug, Default)]
pub struct Archive {
    bytes: Vec<u8>,
    directories: BTreeSet<String>,
    count: u32,
}

const DIRECTORY: u32 = 0o040_755;
const FILE: u32 = 0o100_000;
const TRAILER: &str = "TRAILER!!!";

impl Archive {
    /// A regular file, at an absolute path.
    pub fn file(&mut self, path: &str, permissions: u32, contents: &[u8]) {
        self.parents(path);
        self.entry(path, FILE | permissions, contents);
    }

    pub fn directory(&mut self, path: &str) {
        self.parents(path);
        if self.directories.insert(path.to_owned()) {
            self.entry(path, DIRECTORY, &[]);
        }
    }

    /// The archive, whole.
    pub fn finish(mut self) -> Vec<u8> {
        self.entry(TRAILER, 0, &[]);
        self.bytes
    }

    /// CPIO-1
    fn parents(&mut self, path: &str) {
        let slashes = path.match_indices('/').map(|(at, _)| at);
        for at in slashes.filter(|at| *at > 0) {
            let parent = &path[..at];
            if self.directories.insert(parent.to_owned()) {
                self.entry(parent, DIRECTORY, &[]);
            }
        }
    }

    fn entry(&mut self, path: &str, mode: u32, contents: &[u8]) {
        self.count += 1;
        let name = path.trim_start_matches('/');
        let len = u32::try_from(contents.len()).expect("no file of a guest has 4 GiB");
        let link_count = 1;
        // Inode, mode, owner, group, links, time, length, device (2), special device (2), length of the name, checksum.
        let name_len = name.len() as u32 + 1;
        let fields = [
            self.count, mode, 0, 0, link_count, 0, len, 0, 0, 0, 0, name_len, 0,
        ];
        self.bytes.extend(b"070701");
        for field in fields {
            self.bytes.extend(format!("{field:08x}").bytes());
        }
        self.bytes.extend(name.bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(contents);
        self.pad();
    }

    fn pad(&mut self) {
        let len = self.bytes.len().next_multiple_of(4);
        self.bytes.resize(len, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names, modes and contents, read back by the field positions of the form.
    fn entries(mut bytes: &[u8]) -> Vec<(String, u32, Vec<u8>)> {
        let mut found = Vec::new();
        loop {
            let field = |at: usize| {
                let text = std::str::from_utf8(&bytes[6 + 8 * at..14 + 8 * at]).unwrap();
                u32::from_str_radix(text, 16).unwrap() as usize
            };
            assert_eq!(&bytes[..6], b"070701");
            let (mode, len, name_len) = (field(1), field(6), field(11));
            let name = String::from_utf8(bytes[110..110 + name_len - 1].to_vec()).unwrap();
            let from = (110 + name_len).next_multiple_of(4);
            let contents = bytes[from..from + len].to_vec();
            bytes = &bytes[(from + len).next_multiple_of(4)..];
            if name == TRAILER {
                assert!(bytes.is_empty());
                return found;
            }
            found.push((name, mode as u32, contents));
        }
    }

    #[test]
    fn directories_come_before_what_is_in_them_and_once() {
        // CPIO-1
        let mut archive = Archive::default();
        archive.file("/usr/bin/one", 0o755, b"12345");
        archive.file("/usr/bin/two", 0o644, b"");
        archive.directory("/usr");
        let whole = archive.finish();
        let expected = [
            ("usr", DIRECTORY, &b""[..]),
            ("usr/bin", DIRECTORY, b""),
            ("usr/bin/one", 0o100_755, b"12345"),
            ("usr/bin/two", 0o100_644, b""),
        ];
        let expected: Vec<_> = expected
            .iter()
            .map(|(name, mode, contents)| ((*name).to_owned(), *mode, contents.to_vec()))
            .collect();
        assert_eq!(entries(&whole), expected);
    }
}
