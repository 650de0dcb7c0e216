//! What a process said last, when it is gone.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The end of a log is looked at, however long it is.
const TAIL_BYTES: u64 = 4096;
/// An error, and the way out.
const LINES_MAX: usize = 2;

/// The last lines of a log, in one; nothing if there are none.
pub fn last_words(log_file: &Path) -> Option<String> {
    let file = File::open(log_file).ok()?;
    let end = file.metadata().ok()?.len();
    let start = end.saturating_sub(TAIL_BYTES);
    let mut tail = vec![0; usize::try_from(end - start).ok()?];
    file.read_exact_at(&mut tail, start).ok()?;
    let text = String::from_utf8_lossy(&tail);
    let mut lines: Vec<&str> = text.lines().map(str::trim).rev().take(LINES_MAX).collect();
    lines.reverse();
    let words = lines.join(" / ");
    (!words.is_empty()).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_found_at_the_end_of_any_log() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("log");
        assert_eq!(last_words(&path), None);
        for (text, expected) in [
            (String::new(), None),
            ("one\n".into(), Some("one")),
            ("one\n  two\nthree\nfour".into(), Some("three / four")),
            (format!("{}\nb\nc\nd\n", "a".repeat(10_000)), Some("c / d")),
        ] {
            std::fs::write(&path, text).expect("written");
            assert_eq!(last_words(&path).as_deref(), expected);
        }
    }
}
