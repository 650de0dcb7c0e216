//! How a script ended.

use std::fmt;

/// What a script left.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Its exit status.
    pub status: i32,
    /// All that it and its programs said, errors too.
    pub output: String,
    /// What the kernel said at the console: warnings and worse.
    pub console: String,
}

/// What a kernel says when something went wrong inside of it.
const COMPLAINTS: &[&str] = &[
    "WARNING: ",
    "BUG: ",
    "Oops",
    "Kernel panic",
    "blocked for more than",
    "soft lockup",
    "rcu_sched detected stalls",
    "general protection fault",
    "I/O error",
];

impl Outcome {
    /// What the kernel complained of, I/O errors among it.
    pub fn complaints(&self) -> Vec<&str> {
        complaints(&self.console)
    }
}

/// What a kernel complained of at its console.
pub fn complaints(console: &str) -> Vec<&str> {
    let is_complaint = |line: &&str| COMPLAINTS.iter().any(|one| line.contains(one));
    console.lines().filter(is_complaint).collect()
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            status,
            output,
            console,
        } = self;
        write!(
            f,
            "status {status}\n== output\n{output}\n== console\n{console}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_went_wrong_is_a_complaint() {
        let console = "[ 1.0] EXT4-fs (vda): mounted\n[ 2.0] I/O error, dev ublkb0, sector 8\n";
        let outcome = Outcome {
            status: 0,
            output: String::new(),
            console: console.to_owned(),
        };
        assert_eq!(
            outcome.complaints(),
            ["[ 2.0] I/O error, dev ublkb0, sector 8"]
        );
    }
}
