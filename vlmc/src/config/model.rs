//! The configuration as the rest of the program uses it: complete, typed, consistent.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::accounts::Account;
use super::place::Origin;
use super::port_range::PortRange;
use super::role::{RoleConfig, RoleKind};

/// Made by [`super::load`] only: what is in here has passed all checks but those of the directories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Whom peers become when root starts them; nobody else for other users.
    pub user: Option<Account>,
    pub group: Option<Account>,
    /// The user's own group, which peers become where no other is configured.
    pub primary_group: Option<u32>,
    pub umask: u32,
    /// What this node is called in locks; the machine's own name and number if nothing is said.
    pub node: Option<String>,
    pub run_dir: PathBuf,
    pub log_dir: PathBuf,
    /// What outlives the machine's run, but objects.
    pub state_dir: PathBuf,
    pub trash_ttl: Duration,
    pub timeout: Duration,
    pub segment: SegmentConfig,
    /// Ports for attachments of bridges.
    pub bridges: PortRange,
    /// Ports that are kept free for tools.
    pub tools: PortRange,
    /// In the order in which they start.
    pub roles: Vec<RoleConfig>,
    /// One process a role, whatever `hosts` was going to be.
    pub isolate: bool,
    /// Each role is on exactly one host. A host starts when its first role would.
    pub hosts: Vec<HostConfig>,
    /// How long a host looks for more to do before it sleeps, while that pays.
    pub look: Duration,
    pub nbd: NbdConfig,
    /// The kernel's own memory is read and written for its block devices, where the driver can.
    pub ublk_zero_copy: bool,
    /// Where each setting comes from, by its dotted name.
    pub origins: BTreeMap<String, Origin>,
}

impl Config {
    pub fn role(&self, name: &str) -> Option<&RoleConfig> {
        self.roles.iter().find(|role| role.name == name)
    }

    /// What processes log that belongs to no role: as much as the most talkative one.
    pub fn log_level(&self) -> u8 {
        let levels = self.roles.iter().map(|role| role.log_level);
        levels.max().unwrap_or_default()
    }

    /// Where the role that has this port is at home: its first port. Peers speak to that, whichever was configured, so that
    /// they know it again (S7).
    pub fn home_port(&self, port: u32) -> u32 {
        let owner = self.roles.iter().find(|role| role.ports.contains(port));
        owner.map_or(port, |role| role.ports.start)
    }

    /// The composer beside which the NBD server runs, at the first port of the bridges: there is one, beside the first.
    pub fn nbd_composer(&self) -> Option<&RoleConfig> {
        let mut roles = self.roles.iter();
        roles.find(|role| role.kind() == RoleKind::Vlmcd)
    }

    /// One process has the bridges, their composer and a blocker of files.
    pub fn has_files_beside_bridges(&self) -> bool {
        let composer = self.nbd_composer();
        let host = composer.and_then(|composer| self.host_of(&composer.name));
        let is_filed = |name: &String| {
            let role = self.role(name);
            role.is_some_and(|role| role.kind() == RoleKind::FileBlocker)
        };
        host.is_some_and(|host| host.roles.iter().any(is_filed))
    }

    pub fn host(&self, name: &str) -> Option<&HostConfig> {
        self.hosts.iter().find(|host| host.name == name)
    }

    /// The host that runs a role.
    pub fn host_of(&self, role: &str) -> Option<&HostConfig> {
        let runs = |host: &&HostConfig| host.roles.iter().any(|name| name == role);
        self.hosts.iter().find(runs)
    }
}

/// The shared-memory segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentConfig {
    pub name: String,
    pub ports: u32,
    /// The first dynamic port; as many static ones are below it.
    pub dynports: u32,
    pub size_bytes: u64,
}

/// A process and its roles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostConfig {
    pub name: String,
    pub roles: Vec<String>,
}

/// The NBD export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NbdConfig {
    pub socket: PathBuf,
    pub listen: Option<SocketAddr>,
    pub connections_max: u32,
    pub requests_max: u32,
    /// Payloads of all clients together.
    pub memory_max: u64,
    pub handshake_timeout: Duration,
    pub stall_timeout: Duration,
    /// Whether clients are told which exports there are.
    pub list: bool,
    /// Encryption, if there is what it needs.
    pub tls: Option<TlsConfig>,
    /// Other machines may be spoken to in the clear.
    pub allow_plain: bool,
}

/// How the NBD export is encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsConfig {
    /// Files in PEM format.
    Certificates {
        certificate: PathBuf,
        key: PathBuf,
        /// Who signs the certificates that clients must show; none: they need not show one.
        client_authorities: Option<PathBuf>,
    },
    /// Users, and the secret that the server and each of them have.
    SharedKeys { file: PathBuf },
}

impl TlsConfig {
    /// All files that it is read from.
    pub fn files(&self) -> Vec<&Path> {
        match self {
            Self::Certificates {
                certificate,
                key,
                client_authorities,
            } => {
                let own = [Some(certificate), Some(key), client_authorities.as_ref()];
                own.into_iter().flatten().map(PathBuf::as_path).collect()
            }
            Self::SharedKeys { file } => vec![file],
        }
    }
}
