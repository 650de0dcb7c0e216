//! One host as the supervisor sees it.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Where a host is in its life. Times are the caller's, from a start of its choice.
///
/// ```text
///          spawn               ready
///   Down --------> Starting ----------> Running
///    ^  ^             |  \                 |
///    |  |        exit |   +--> Stopping <--+ (no longer wanted: SIGTERM, later SIGKILL)
///    |  |             v            |
///    |  +--- exit ----|------------+
///    |                v
///    |             Waiting --(often within a short time)--> Failed
///    +--- start again, by hand -----------------------------+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    Down,
    Starting {
        since: Duration,
    },
    Running,
    /// It died; the next one is started then.
    Waiting {
        until: Duration,
    },
    Stopping {
        since: Duration,
        is_killed: bool,
    },
    /// It died too often.
    Failed,
}

impl Phase {
    /// Is there a process?
    pub fn is_alive(self) -> bool {
        matches!(
            self,
            Self::Starting { .. } | Self::Running | Self::Stopping { .. }
        )
    }
}

/// Kept by the machine.
#[derive(Clone, Debug)]
pub(super) struct Host {
    pub name: String,
    pub is_wanted: bool,
    pub phase: Phase,
    /// Recent ones.
    pub deaths: VecDeque<Duration>,
    pub restarts: u32,
    pub message: Option<String>,
}

impl Host {
    pub fn new(name: String) -> Self {
        Self {
            name,
            is_wanted: false,
            phase: Phase::Down,
            deaths: VecDeque::new(),
            restarts: 0,
            message: None,
        }
    }
}
