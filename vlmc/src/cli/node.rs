//! What `archipelago` needs done, without saying how.

use serde::Serialize;

use super::error_report::ErrorReport;
use crate::config::Config;

/// Who does it: the machine, or a fake in tests.
pub trait Node {
    /// All hosts, or the one of a role. Answers when they are ready.
    fn start(&mut self, config: &Config, scope: &Scope) -> Result<Vec<RoleStatus>, ErrorReport>;
    fn stop(&mut self, config: &Config, scope: &Scope) -> Result<Vec<RoleStatus>, ErrorReport>;
    fn restart(&mut self, config: &Config, scope: &Scope) -> Result<Vec<RoleStatus>, ErrorReport>;
    fn status(&mut self, config: &Config) -> Result<NodeStatus, ErrorReport>;
    /// Starts everything and makes a first volume.
    fn quickstart(&mut self, config: &Config) -> Result<Quickstart, ErrorReport>;
    fn doctor(&mut self, config: &Config) -> Result<Vec<Finding>, ErrorReport>;
    fn log_level(&mut self, config: &Config, role: &str, level: u8) -> Result<(), ErrorReport>;
    /// Makes the attachments true again after a start of what serves them; gives how many there are.
    fn reattach(&mut self, config: &Config, leave_devices: bool) -> Result<usize, ErrorReport>;
    /// The volume that a device of the kernel is.
    fn device_name(&mut self, config: &Config, device: &str) -> Result<String, ErrorReport>;
    /// Runs a host until it is told to stop.
    fn host(&mut self, config: &Config, name: &str) -> Result<(), ErrorReport>;
    /// Runs the supervisor until it is told to stop; at first it starts all hosts, or one.
    fn supervise(
        &mut self,
        config: &Config,
        host: Option<&str>,
        leave_devices: bool,
    ) -> Result<(), ErrorReport>;
}

/// What `start`, `stop` and `restart` are about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Everything if there is none.
    pub role: Option<String>,
    /// Whoever uses volumes may lose them for a while.
    pub is_forced: bool,
    /// Devices of the kernel are left alone.
    pub is_user_only: bool,
}

/// How a role is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RoleState {
    Running,
    /// It runs, and waits for its store, which does not answer.
    Paused,
    Starting,
    Stopping,
    Stopped,
    /// Its process lives, and does not answer.
    Hung,
    /// It died again and again, and is left alone.
    Failed,
}

impl RoleState {
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Starting => "starting",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Hung => "hung",
            Self::Failed => "failed",
        }
    }
}

/// A role, the process that runs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RoleStatus {
    pub role: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub host: String,
    pub state: RoleState,
    pub pid: Option<u32>,
    pub uptime_seconds: Option<u64>,
    /// How often its host was started again since `start`.
    pub restarts: u32,
    /// Requests in flight, if that is known.
    pub inflight: Option<u64>,
    /// Since when its store has not answered, in seconds since 1970, if it does not.
    pub paused_since: Option<u64>,
    /// What it logs now, if its host tells: 0 errors ... 3 everything.
    pub log_level: Option<u8>,
    /// Why it does not run, if it should.
    pub message: Option<String>,
}

/// The node as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NodeStatus {
    /// Of the supervisor.
    pub supervisor_pid: Option<u32>,
    pub segment: String,
    pub roles: Vec<RoleStatus>,
    /// Volumes that are attached.
    pub attached: Vec<String>,
    /// How long the lease is in force yet under which this node has locks in a directory, in milliseconds; it is prolonged all the time.
    pub lease_ms: Option<u64>,
    /// Volumes that were taken from this node while clients used them here, and why.
    pub lost: Vec<String>,
}

/// What `quickstart` did, and what to do next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Quickstart {
    /// They run.
    pub roles: Vec<String>,
    pub volume: String,
    pub size: u64,
    /// It was not there before.
    pub is_new: bool,
    /// Of the volume's export.
    pub uri: String,
    /// Whole commands, for a shell.
    pub next: Vec<String>,
}

/// Something that `doctor` looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub check: String,
    pub grade: Grade,
    pub message: String,
    /// Empty if all is well.
    pub remedy: String,
}

/// How good it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grade {
    Good,
    /// Works, but could work better.
    Note,
    Bad,
}

impl Grade {
    pub fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Note => "note",
            Self::Bad => "bad",
        }
    }
}
