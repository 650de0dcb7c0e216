//! The words of a segment, from outside: what a hostile or a broken peer would write.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// A segment's file, without any of the library.
pub struct Words {
    file: File,
}

impl Words {
    pub fn open(path: &Path) -> Self {
        let file = File::options().read(true).write(true).open(path).unwrap();
        Self { file }
    }

    pub fn u32(&self, at: u64) -> u32 {
        let mut bytes = [0; 4];
        self.file.read_exact_at(&mut bytes, at).unwrap();
        u32::from_ne_bytes(bytes)
    }

    pub fn u64(&self, at: u64) -> u64 {
        let mut bytes = [0; 8];
        self.file.read_exact_at(&mut bytes, at).unwrap();
        u64::from_ne_bytes(bytes)
    }

    pub fn set_u32(&self, at: u64, value: u32) {
        self.set_bytes(at, &value.to_ne_bytes());
    }

    pub fn set_u64(&self, at: u64, value: u64) {
        self.set_bytes(at, &value.to_ne_bytes());
    }

    pub fn set_bytes(&self, at: u64, bytes: &[u8]) {
        self.file.write_all_at(bytes, at).unwrap();
    }
}
