//! The journal of systemd: it reads what its services write to stderr, and takes a level from the start of each line.

use std::os::fd::AsFd;

use tracing::Level;

/// Names the descriptor that leads to the journal, by device and inode: one that was redirected since does not.
const VARIABLE: &str = "JOURNAL_STREAM";

/// Does stderr lead to the journal?
pub fn stderr_is_journal() -> bool {
    let named = std::env::var(VARIABLE).unwrap_or_default();
    is_named(&named, std::io::stderr())
}

fn is_named(named: &str, descriptor: impl AsFd) -> bool {
    let Ok(about) = rustix::fs::fstat(descriptor) else {
        return false;
    };
    named == format!("{}:{}", about.st_dev, about.st_ino)
}

/// The start of a line of this level, as syslog counts.
pub(super) fn prefix(level: Level) -> &'static str {
    match level {
        Level::ERROR => "<3>",
        Level::WARN => "<4>",
        Level::INFO => "<6>",
        _ => "<7>",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn the_journal_is_the_descriptor_that_it_names_and_no_other() {
        let file = tempfile::tempfile().expect("a file");
        let about = file.metadata().expect("facts");
        let name = format!("{}:{}", about.dev(), about.ino());
        assert!(is_named(&name, &file));
        let other = tempfile::tempfile().expect("a file");
        assert!(!is_named(&name, &other));
        assert!(!is_named("", &file) && !is_named("8:", &file));
    }
}
