//! What workers and their controller say to each other: lines on the worker's standard input and output, so that
//! nothing of it depends on the segment under test.

use std::fmt;
use std::str::FromStr;

/// From a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// Its port is bound.
    Ready { port: u32 },
    /// Its first answer was given at this monotonic time.
    First { at_ns: u64 },
    /// So far, and the slowest answer (in microseconds) since the last such report.
    Progress {
        sent: u64,
        answered: u64,
        slowest_us: u64,
    },
    /// A paused client has all its answers.
    Drained { sent: u64, answered: u64 },
    /// Something that must not be.
    Violation { kind: Violation, text: String },
    /// Its loop turned. So many things that must not be has it seen (in a segment that is damaged on purpose).
    Beat { oddities: u64 },
}

/// What must not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Violation {
    /// No answer came.
    Lost,
    /// More than one answer came.
    Duplicated,
    /// The content is not what it should be.
    Corrupted,
    /// An error was answered.
    Failed,
    /// Something came that nobody asked for.
    Stray,
    /// A process ended by itself.
    Ended,
    /// A record or buffer is nobody's and not free.
    Leaked,
    /// The segment's own verification found something.
    Finding,
    /// Something that was waited for did not happen.
    Liveness,
}

impl Violation {
    pub const ALL: [(Violation, &'static str); 9] = [
        (Violation::Lost, "lost"),
        (Violation::Duplicated, "duplicated"),
        (Violation::Corrupted, "corrupted"),
        (Violation::Failed, "failed"),
        (Violation::Stray, "stray"),
        (Violation::Ended, "ended"),
        (Violation::Leaked, "leaked"),
        (Violation::Finding, "finding"),
        (Violation::Liveness, "liveness"),
    ];

    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

/// To a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Send nothing new.
    Pause,
    Resume,
    /// Finish what is in hand, give the port back, and end.
    Leave,
}

impl Command {
    const ALL: [(Command, &'static str); 3] = [
        (Command::Pause, "pause"),
        (Command::Resume, "resume"),
        (Command::Leave, "leave"),
    ];
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::ALL[*self as usize].1)
    }
}

/// A line that is no message of ours.
#[derive(Debug, PartialEq, Eq)]
pub struct NotUnderstood;

impl FromStr for Command {
    type Err = NotUnderstood;

    fn from_str(line: &str) -> Result<Self, NotUnderstood> {
        let found = Self::ALL.iter().find(|(_, name)| *name == line.trim());
        found.map(|(command, _)| *command).ok_or(NotUnderstood)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready { port } => write!(f, "ready {port}"),
            Self::First { at_ns } => write!(f, "first {at_ns}"),
            Self::Progress {
                sent,
                answered,
                slowest_us,
            } => write!(f, "progress {sent} {answered} {slowest_us}"),
            Self::Drained { sent, answered } => write!(f, "drained {sent} {answered}"),
            Self::Violation { kind, text } => {
                write!(f, "violation {} {}", kind.name(), text.replace('\n', " "))
            }
            Self::Beat { oddities } => write!(f, "beat {oddities}"),
        }
    }
}

impl FromStr for Report {
    type Err = NotUnderstood;

    fn from_str(line: &str) -> Result<Self, NotUnderstood> {
        let line = line.trim();
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let numbers: Vec<u64> = rest
            .split(' ')
            .map_while(|word| word.parse().ok())
            .collect();
        match (verb, numbers.as_slice()) {
            ("ready", [port]) => Ok(Self::Ready { port: *port as u32 }),
            ("first", [at_ns]) => Ok(Self::First { at_ns: *at_ns }),
            ("progress", [sent, answered, slowest_us]) => Ok(Self::Progress {
                sent: *sent,
                answered: *answered,
                slowest_us: *slowest_us,
            }),
            ("drained", [sent, answered]) => Ok(Self::Drained {
                sent: *sent,
                answered: *answered,
            }),
            ("beat", [oddities]) => Ok(Self::Beat {
                oddities: *oddities,
            }),
            ("violation", _) => {
                let (kind, text) = rest.split_once(' ').ok_or(NotUnderstood)?;
                let known = Violation::ALL.iter().find(|(_, name)| *name == kind);
                Ok(Self::Violation {
                    kind: known.ok_or(NotUnderstood)?.0,
                    text: text.into(),
                })
            }
            _ => Err(NotUnderstood),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_and_commands_survive_the_line() {
        let reports = [
            Report::Ready { port: 7 },
            Report::First { at_ns: 123 },
            Report::Progress {
                sent: 3,
                answered: 2,
                slowest_us: 9,
            },
            Report::Drained {
                sent: 5,
                answered: 5,
            },
            Report::Violation {
                kind: Violation::Stray,
                text: "request 4 of client 2".into(),
            },
            Report::Beat { oddities: 8 },
        ];
        for report in reports {
            assert_eq!(report.to_string().parse(), Ok(report));
        }
        for (command, _) in Command::ALL {
            assert_eq!(command.to_string().parse(), Ok(command));
        }
        assert_eq!("nonsense 1".parse::<Report>(), Err(NotUnderstood));
    }

    #[test]
    fn violations_stand_where_their_names_say() {
        for (index, (kind, _)) in Violation::ALL.iter().enumerate() {
            assert_eq!(*kind as usize, index);
        }
    }
}
