//! Why the supervisor, or asking it, failed.

use std::io;
use std::path::PathBuf;

use archipelago_protocol::ErrorCode;

use crate::cli::{ErrorReport, code_of};

/// With what it was about.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SupervisorError {
    #[error("a supervisor runs already in {}{}", directory.display(), pid_text(*pid))]
    AlreadyRunning {
        directory: PathBuf,
        pid: Option<u32>,
    },
    #[error("the host {host} runs already{}", pid_text(*pid))]
    HostRunning { host: String, pid: Option<u32> },
    #[error("the host {host} runs (pid {pid}), and the configuration has none of that name")]
    Stranger { host: String, pid: u32 },
    #[error("there is no host {host}")]
    UnknownHost { host: String },
    #[error("no supervisor runs in {}", directory.display())]
    NotRunning { directory: PathBuf },
    #[error("the supervisor in {} does not answer", directory.display())]
    NoAnswer { directory: PathBuf },
    #[error("the supervisor in {} was told to end, and has not ended yet", directory.display())]
    StillEnding { directory: PathBuf },
    #[error("the supervisor ended at once ({status}); its last words: {last_words}")]
    EndedAtOnce { status: String, last_words: String },
    #[error("the host {host} did not stop, not even when killed: its device may hang")]
    DoesNotStop { host: String },
    #[error("{action} {}: {source}", path.display())]
    System {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

fn pid_text(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
}

impl SupervisorError {
    pub(super) fn system(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::System {
            action,
            path,
            source,
        }
    }

    pub fn code(&self) -> ErrorCode {
        match self {
            // Its own code: who started it in vain can tell that another was faster.
            Self::AlreadyRunning { .. } => ErrorCode::Exists,
            Self::HostRunning { .. } | Self::Stranger { .. } => ErrorCode::Busy,
            Self::UnknownHost { .. } => ErrorCode::NotFound,
            Self::NotRunning { .. } | Self::EndedAtOnce { .. } => ErrorCode::Unavailable,
            Self::NoAnswer { .. } | Self::StillEnding { .. } | Self::DoesNotStop { .. } => {
                ErrorCode::Timeout
            }
            Self::System { source, .. } => code_of(source),
        }
    }

    fn remedy(&self) -> &'static str {
        match self {
            Self::AlreadyRunning { .. } => {
                "`archipelago status` shows what runs, `archipelago stop` stops it"
            }
            Self::HostRunning { .. } => "let the supervisor start and stop hosts",
            Self::Stranger { .. } => "`archipelago stop` stops it, then start again",
            Self::UnknownHost { .. } => {
                "`archipelago restart` makes the supervisor read the configuration again"
            }
            Self::NotRunning { .. } => "`archipelago start`",
            Self::NoAnswer { .. } => "look at its process; killing it leaves the hosts running",
            Self::StillEnding { .. } => "`archipelago status` shows what it waits for",
            Self::EndedAtOnce { .. } => "correct what it says, then start again",
            Self::DoesNotStop { .. } => "look at the kernel's log for the device",
            Self::System { .. } => "check the rights of that path: `archipelago config check`",
        }
    }
}

impl From<SupervisorError> for ErrorReport {
    fn from(error: SupervisorError) -> Self {
        Self::new(error.code(), error.to_string(), error.remedy())
    }
}
