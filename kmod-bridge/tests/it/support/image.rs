//! A disk image to copy.

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// 64 MiB with data, holes and odd edges.
pub fn image(directory: &Path) -> PathBuf {
    let path = directory.join("image");
    let file = std::fs::File::create(&path).unwrap();
    file.set_len(64 << 20).unwrap();
    let mut word = 0x9e37_79b9_7f4a_7c15_u64;
    let noise: Vec<u8> = (0..5 << 20)
        .map(|_| {
            word ^= word << 13;
            word ^= word >> 7;
            word ^= word << 17;
            word as u8
        })
        .collect();
    for at in [
        0,
        (9 << 20) + 777,
        (30 << 20) + 4096,
        (64 << 20) - noise.len() as u64,
    ] {
        file.write_all_at(&noise, at).unwrap();
    }
    path
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
