//! The command line of `archipelago`.

use std::path::PathBuf;

use archipelago_protocol::ErrorCode;
use clap::{Parser, Subcommand, ValueEnum};
use clap_complete::engine::ArgValueCandidates;

use super::complete::role_candidates;

/// The archipelago of this node: its peers, its configuration.
#[derive(Clone, Debug, Parser)]
#[command(name = "archipelago", version, after_help = ErrorCode::exit_code_help(), disable_help_subcommand = true)]
pub struct ArchipelagoArgs {
    /// Configuration file instead of the usual ones
    #[arg(short, long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Only the user-space peers: devices of the kernel are left alone, those that wait to be served again among them
    #[arg(short, long, global = true)]
    pub user: bool,
    /// One JSON object on stdout, errors included
    #[arg(long, global = true)]
    pub json: bool,
    #[command(subcommand)]
    pub command: ArchipelagoCommand,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum ArchipelagoCommand {
    /// Start all peers, or the host of one role
    ///
    /// Roles that share a process (a host of the configuration) start together; the answer says with whom.
    Start {
        #[arg(add = ArgValueCandidates::new(role_candidates))]
        role: Option<String>,
    },
    /// Stop all peers, or the host of one role
    ///
    /// Refused while volumes are mapped or clients are connected, unless --force is said: NBD clients lose their connection then
    /// and must reconnect after the next start; what they wrote and were answered is kept.
    Stop {
        /// Even if volumes are mapped or clients are connected: NBD clients lose their connections
        #[arg(short, long)]
        force: bool,
        #[arg(add = ArgValueCandidates::new(role_candidates))]
        role: Option<String>,
    },
    /// Stop and start, all peers or the host of one role
    ///
    /// NBD clients lose their connection when the host that serves them is restarted, and must reconnect; what they wrote and
    /// were answered is kept. While any is connected that needs --force. When another host is restarted they only wait.
    Restart {
        /// Even if clients are connected: NBD clients lose their connections
        #[arg(short, long)]
        force: bool,
        #[arg(add = ArgValueCandidates::new(role_candidates))]
        role: Option<String>,
    },
    /// Show what runs; exits with 0 only if everything does, the supervisor included
    Status,
    /// Start with defaults, make a first volume, and say what to do next
    Quickstart,
    /// Look for what is wrong with this machine, and say how to mend it
    Doctor,
    /// The configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Change the log level of a running role: 0 errors ... 3 everything
    ///
    /// The change holds as long as the role's host runs, and `archipelago status` shows it. Once the host was restarted
    /// the configured log_level holds again.
    LogLevel {
        #[arg(add = ArgValueCandidates::new(role_candidates))]
        role: String,
        #[arg(value_parser = clap::value_parser!(u8).range(0..=3))]
        level: u8,
    },
    /// Print the completions of both commands for a shell
    Completions { shell: Shell },
    /// Write the manual pages of both commands
    Man {
        /// Directory to write them to
        directory: PathBuf,
    },
    /// Attach again what was attached, and what is to be attached at each start; the supervisor calls it
    #[command(hide = true)]
    Reattach,
    /// Print the volume that a device of the kernel is, for udev; nothing, and 3, if it is none of ours
    #[command(hide = true)]
    DeviceName {
        /// As the kernel calls it: ublkb0, nbd0
        device: String,
    },
    /// Run a host; the supervisor starts it
    #[command(hide = true)]
    Host { name: String },
    /// Run the supervisor in the foreground
    #[command(hide = true)]
    Supervise {
        /// Start only this host
        #[arg(long)]
        host: Option<String>,
    },
}

/// What to do with the configuration.
#[derive(Clone, Debug, Subcommand)]
pub enum ConfigCommand {
    /// Check it, directories included
    Check,
    /// Show all settings, and where each comes from
    Show,
    /// Read a file of the historic system and write it anew
    Convert {
        old: PathBuf,
        /// File to write; it must not exist [default: stdout]
        #[arg(short, long, value_name = "NEW")]
        output: Option<PathBuf>,
    },
}

/// Shells with completions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    Bash,
    Elvish,
    Fish,
    Powershell,
    Zsh,
}

impl Shell {
    pub fn name(self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::Elvish => "elvish",
            Self::Fish => "fish",
            Self::Powershell => "powershell",
            Self::Zsh => "zsh",
        }
    }
}
