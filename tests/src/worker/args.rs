//! What a worker is told when it starts.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

use clap::ValueEnum;

/// What a worker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Role {
    ServerA,
    ServerB,
    /// Its requests pass the interposer.
    ServerC,
    Composer,
    Interposer,
    Client,
    Settler,
    /// Looks at everything all the time.
    Inspector,
    /// Damages the segment.
    Flipper,
    /// One of a crowd.
    Member,
}

impl Role {
    /// The servers that a composer's parts go to.
    pub const SERVERS: [Role; 3] = [Role::ServerA, Role::ServerB, Role::ServerC];
    /// How many static ports a segment has for these roles.
    pub const STATIC_PORTS: u32 = 5;

    /// The static port of the role, if it has one.
    pub fn port(self) -> Option<u32> {
        match self {
            Role::ServerA => Some(0),
            Role::ServerB => Some(1),
            Role::ServerC => Some(2),
            Role::Composer => Some(3),
            Role::Interposer => Some(4),
            Role::Client | Role::Settler | Role::Inspector | Role::Flipper | Role::Member => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Role::ServerA => "server-a",
            Role::ServerB => "server-b",
            Role::ServerC => "server-c",
            Role::Composer => "composer",
            Role::Interposer => "interposer",
            Role::Client => "client",
            Role::Settler => "settler",
            Role::Inspector => "inspector",
            Role::Flipper => "flipper",
            Role::Member => "member",
        }
    }
}

/// How a worker sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SleepKind {
    /// On the port's futex.
    Futex,
    /// In an io_uring.
    Ring,
    /// In an io_uring, with the helper thread of older kernels.
    Helper,
}

impl SleepKind {
    pub const ALL: [SleepKind; 3] = [SleepKind::Futex, SleepKind::Ring, SleepKind::Helper];

    pub fn name(self) -> &'static str {
        match self {
            SleepKind::Futex => "futex",
            SleepKind::Ring => "ring",
            SleepKind::Helper => "helper",
        }
    }
}

/// What a worker makes of things that must not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Manner {
    /// It reports them.
    Strict,
    /// It goes on: somebody damages the segment on purpose.
    Tolerant,
}

/// Where a worker is to die.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KillPoint {
    pub name: String,
    /// At which passage, from 1.
    pub pass: u32,
}

impl FromStr for KillPoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, pass) = text
            .rsplit_once(':')
            .ok_or("a kill point is NAME:PASS".to_owned())?;
        Ok(Self {
            name: name.into(),
            pass: pass.parse().map_err(|error| format!("{pass:?}: {error}"))?,
        })
    }
}

/// The arguments of a worker process.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct WorkerArgs {
    /// The directory of the segment.
    #[arg(long)]
    pub directory: PathBuf,
    /// The name of the segment.
    #[arg(long)]
    pub name: String,
    #[arg(long)]
    pub role: Role,
    /// Tells this worker's messages from all others'.
    #[arg(long)]
    pub id: u64,
    #[arg(long)]
    pub seed: u64,
    #[arg(long)]
    pub sleep: SleepKind,
    #[arg(long)]
    pub manner: Manner,
    /// For a client: how many requests it has under way.
    #[arg(long, default_value_t = 1)]
    pub window: usize,
    /// For a client: after how many answers it leaves.
    #[arg(long)]
    pub answers_max: Option<u64>,
    /// Where it dies.
    #[arg(long)]
    pub kill_point: Option<KillPoint>,
}

impl WorkerArgs {
    /// As words of a command line.
    pub fn to_words(&self) -> Vec<OsString> {
        let mut words: Vec<OsString> = Vec::new();
        let mut add = |flag: &str, value: OsString| words.extend([flag.into(), value]);
        let value_name = |value: Option<clap::builder::PossibleValue>| {
            let value = value.expect("no value of these types is hidden");
            OsString::from(value.get_name())
        };
        add("--directory", self.directory.clone().into());
        add("--name", self.name.clone().into());
        add("--role", value_name(self.role.to_possible_value()));
        add("--id", self.id.to_string().into());
        add("--seed", self.seed.to_string().into());
        add("--sleep", value_name(self.sleep.to_possible_value()));
        add("--manner", value_name(self.manner.to_possible_value()));
        add("--window", self.window.to_string().into());
        if let Some(max) = self.answers_max {
            add("--answers-max", max.to_string().into());
        }
        if let Some(KillPoint { name, pass }) = &self.kill_point {
            add("--kill-point", format!("{name}:{pass}").into());
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        worker: WorkerArgs,
    }

    #[test]
    fn arguments_survive_the_command_line() {
        let args = WorkerArgs {
            directory: "/dev/shm/somewhere".into(),
            name: "segment".into(),
            role: Role::ServerB,
            id: 5,
            seed: 77,
            sleep: SleepKind::Ring,
            manner: Manner::Tolerant,
            window: 16,
            answers_max: Some(9),
            kill_point: Some(KillPoint {
                name: "send.after-mark".into(),
                pass: 3,
            }),
        };
        let words = std::iter::once("worker".into()).chain(args.to_words());
        assert_eq!(Line::parse_from(words).worker, args);
    }
}
