//! What an answer that is not a success means: one table for the wire, the shell and scripts.
//!
//! A request's record has room for an errno. Scripts read a name from `--json`, shells an exit code. All three are
//! columns of the one table in this file, so that they cannot drift apart.
//!
//! # Invariants
//! * **CODE-1** Each code has an errno and a name of its own, and is found again by either.
//! * **CODE-2** Every errno that a machine can report stands for exactly one code, and every exit code but 0 is
//!   between 1 and 10.

use std::fmt;

use rustix::io::Errno;

/// Why something was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ErrorCode {
    /// Something that no other code describes, input and output errors among it.
    Failed,
    /// What was asked for makes no sense: a name, a size, an option.
    Invalid,
    /// The other side does not know how to do this.
    Unsupported,
    NotFound,
    Exists,
    /// In use here: attached, open, or changing right now.
    Busy,
    /// Another owner holds the lock.
    Locked,
    NoSpace,
    Timeout,
    /// A checksum or a structure is wrong: what is stored is not what was written.
    Integrity,
    /// Whoever should answer is not there.
    Unavailable,
    Permission,
    /// A write to what only can be read: a snapshot, a read-only attachment.
    ReadOnly,
    /// Given up by whoever asked.
    Cancelled,
}

/// A row of the table.
struct Row {
    code: ErrorCode,
    errno: Errno,
    exit_code: u8,
    name: &'static str,
    about: &'static str,
}

const fn row(
    code: ErrorCode,
    errno: Errno,
    exit_code: u8,
    name: &'static str,
    about: &'static str,
) -> Row {
    Row {
        code,
        errno,
        exit_code,
        name,
        about,
    }
}

/// Names and exit codes are promises to scripts: rows are added, never changed.
const TABLE: [Row; 14] = {
    use ErrorCode as Code;
    [
        row(Code::Failed, Errno::IO, 1, "failed", "any other failure"),
        row(
            Code::Unsupported,
            Errno::OPNOTSUPP,
            1,
            "unsupported",
            "not possible with what is installed or running",
        ),
        row(
            Code::Cancelled,
            Errno::CANCELED,
            1,
            "cancelled",
            "given up before it was done",
        ),
        row(
            Code::Invalid,
            Errno::INVAL,
            2,
            "invalid",
            "a name, a size or an option is wrong",
        ),
        row(
            Code::NotFound,
            Errno::NOENT,
            3,
            "not-found",
            "no such volume, snapshot, device or role",
        ),
        row(Code::Exists, Errno::EXIST, 4, "exists", "the name is taken"),
        row(
            Code::Busy,
            Errno::BUSY,
            5,
            "busy",
            "attached, open or being changed",
        ),
        row(
            Code::Locked,
            Errno::NOLCK,
            5,
            "locked",
            "another owner holds the lock",
        ),
        row(
            Code::NoSpace,
            Errno::NOSPC,
            6,
            "no-space",
            "the store, the segment or a quota is full",
        ),
        row(
            Code::Timeout,
            Errno::TIMEDOUT,
            7,
            "timeout",
            "no answer in time; it may still be done",
        ),
        row(
            Code::Integrity,
            Errno::BADMSG,
            8,
            "integrity",
            "stored data is damaged",
        ),
        row(
            Code::Unavailable,
            Errno::NOTCONN,
            9,
            "unavailable",
            "archipelago, or a part of it, is not running",
        ),
        row(
            Code::Permission,
            Errno::ACCESS,
            10,
            "permission",
            "not allowed for this user",
        ),
        row(
            Code::ReadOnly,
            Errno::ROFS,
            10,
            "read-only",
            "it can only be read",
        ),
    ]
};

impl ErrorCode {
    /// All codes, in the order of their exit codes.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.code)
    }

    fn row(self) -> &'static Row {
        TABLE
            .iter()
            .find(|row| row.code == self)
            .expect("each code has a row: CODE-1")
    }

    /// What the request's record carries.
    pub fn errno(self) -> Errno {
        self.row().errno
    }

    /// What the shell gets.
    pub fn exit_code(self) -> u8 {
        self.row().exit_code
    }

    /// What scripts find in `error.code` of `--json`.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// One line for the table in `--help`.
    pub fn about(self) -> &'static str {
        self.row().about
    }

    pub fn from_name(name: &str) -> Option<Self> {
        TABLE
            .iter()
            .find(|row| row.name == name)
            .map(|row| row.code)
    }

    /// What an errno from the wire or the system means. Quotas and file size limits count as lack of space (F22).
    pub fn from_errno(errno: Errno) -> Self {
        if let Some(row) = TABLE.iter().find(|row| row.errno == errno) {
            return row.code;
        }
        match errno {
            Errno::DQUOT | Errno::FBIG | Errno::NOMEM => Self::NoSpace,
            Errno::PERM => Self::Permission,
            Errno::AGAIN | Errno::TXTBSY | Errno::INPROGRESS => Self::Busy,
            Errno::NXIO | Errno::NODEV | Errno::NOTDIR => Self::NotFound,
            Errno::TIME => Self::Timeout,
            Errno::CONNREFUSED
            | Errno::CONNRESET
            | Errno::PIPE
            | Errno::SHUTDOWN
            | Errno::HOSTDOWN
            | Errno::HOSTUNREACH => Self::Unavailable,
            Errno::NOSYS | Errno::NOTTY => Self::Unsupported,
            Errno::NAMETOOLONG | Errno::RANGE | Errno::OVERFLOW | Errno::TOOBIG => Self::Invalid,
            Errno::ILSEQ | Errno::UCLEAN => Self::Integrity,
            Errno::INTR => Self::Cancelled,
            _ => Self::Failed,
        }
    }

    /// The exit codes with their names, as `--help` prints them.
    pub fn exit_code_help() -> String {
        let mut text = String::from("Exit codes (and error.code of --json):\n   0  done\n");
        for row in &TABLE {
            text.push_str(&format!(
                "  {:>2}  {:<12} {}\n",
                row.exit_code, row.name, row.about
            ));
        }
        text
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// A match without a wildcard: a new code fails to compile here until it is in the table's count.
    fn ordinal(code: ErrorCode) -> usize {
        match code {
            ErrorCode::Failed => 0,
            ErrorCode::Invalid => 1,
            ErrorCode::Unsupported => 2,
            ErrorCode::NotFound => 3,
            ErrorCode::Exists => 4,
            ErrorCode::Busy => 5,
            ErrorCode::Locked => 6,
            ErrorCode::NoSpace => 7,
            ErrorCode::Timeout => 8,
            ErrorCode::Integrity => 9,
            ErrorCode::Unavailable => 10,
            ErrorCode::Permission => 11,
            ErrorCode::ReadOnly => 12,
            ErrorCode::Cancelled => 13,
        }
    }

    /// CODE-1
    #[test]
    fn each_code_is_found_again_by_its_errno_and_by_its_name() {
        let ordinals: BTreeSet<usize> = ErrorCode::all().map(ordinal).collect();
        assert_eq!(ordinals, (0..14).collect());
        for code in ErrorCode::all() {
            assert_eq!(ErrorCode::from_errno(code.errno()), code);
            assert_eq!(ErrorCode::from_name(code.name()), Some(code));
            assert_eq!(code.to_string(), code.name());
        }
    }

    /// CODE-2, F22
    #[test]
    fn every_errno_stands_for_a_code_with_an_exit_code_from_one_to_ten() {
        for raw in 1..=4095 {
            let code = ErrorCode::from_errno(Errno::from_raw_os_error(raw));
            assert!((1..=10).contains(&code.exit_code()), "errno {raw}: {code}");
        }
        for errno in [Errno::DQUOT, Errno::FBIG] {
            assert_eq!(ErrorCode::from_errno(errno), ErrorCode::NoSpace);
        }
    }

    #[test]
    fn the_help_lists_every_code_once_and_the_exit_codes_in_order() {
        let help = ErrorCode::exit_code_help();
        let numbers: Vec<u8> = help
            .lines()
            .skip(1)
            .filter_map(|line| line.split_whitespace().next()?.parse().ok())
            .collect();
        assert_eq!(numbers.len(), 1 + TABLE.len());
        assert!(numbers.is_sorted());
        assert!(help.contains(" 3  not-found "));
    }
}
