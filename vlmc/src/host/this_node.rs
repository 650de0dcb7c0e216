//! This machine as a node: processes by the supervisor, volumes by the mapper.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use archipelago_protocol::{ErrorCode, VolumeName, VolumeSize, users};
use xseg::{Lease, Segment, SegmentError, boot_ns};

use super::error::HostError;
use super::hints::Hints;
use super::in_use;
use super::log_levels::{self, Told};
use super::paused;
use super::segment;
use crate::attach::{Attacher, Records};
use crate::cli::{
    Attachment, CreateRequest, CreateSource, ErrorReport, Finding, Node, NodeStatus, Quickstart,
    RoleState, RoleStatus, Scope, Volumes,
};
use crate::config::{Config, Environment};
use crate::log::{self, Levels, Outlets};
use crate::supervisor::{FENCED_EXIT_CODE, LocalNode, SignalOrders};
use crate::volumes::PortVolumes;

/// The volume that `quickstart` makes.
const FIRST_VOLUME: &str = "first";
const FIRST_BYTES: u64 = 1 << 30;

/// How long a volume may take to be attached again while others wait for their turn.
const QUICK: Duration = Duration::from_secs(3);
/// How long the I/O of a host that was killed may keep its port.
const LAST_IO: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Who started, who died: the supervisor always says at least that.
const LEVEL_OF_SUPERVISOR: u8 = 2;

/// How long the shortest of the leases is in force yet that blockers keep here.
fn lease_left_ms(config: &Config, segment: &Segment) -> Option<u64> {
    let ports = config.roles.iter().map(|role| role.ports.start);
    let ports = ports.filter_map(|port| segment.geometry().port(port));
    let leases = ports.map(|port| segment.lease(port));
    let kept = leases.filter(|lease| *lease != Lease::NONE);
    let now_ns = boot_ns();
    kept.map(|lease| lease.left_ns(now_ns) / 1_000_000).min()
}

#[derive(Clone, Debug)]
pub struct ThisNode {
    environment: Environment,
    hints: Hints,
    processes: LocalNode,
}

impl ThisNode {
    pub fn new(environment: Environment, program: PathBuf, config_file: Option<PathBuf>) -> Self {
        Self {
            environment: environment.clone(),
            hints: Hints::new(&program, config_file.as_deref()),
            processes: LocalNode::new(environment, program, config_file),
        }
    }

    fn attached(config: &Config) -> Result<Vec<Attachment>, ErrorReport> {
        Records::of(config).attachments()
    }
}

/// Those of some volumes, or all.
fn reattach(
    config: &Config,
    leave_devices: bool,
    only: Option<&[String]>,
) -> Result<Vec<(String, ErrorReport)>, ErrorReport> {
    let attacher = Attacher::new(config, config.timeout);
    let mut volumes = PortVolumes::new(config, config.timeout);
    let mut info = |volume: &str| {
        let name = volume.parse().map_err(|_| {
            let message = format!("{volume:?} is no name of a volume");
            ErrorReport::new(ErrorCode::Invalid, message, "")
        })?;
        volumes.info(&name)
    };
    attacher.reattach(&mut info, leave_devices, only)
}

/// In the names of udev's links.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"#+-.:=@_".contains(&byte)
}

/// A tool may still have a port in it: the next start joins the segment, or makes a new one.
fn destroy_segment(config: &Config) -> Result<(), ErrorReport> {
    let begun = Instant::now();
    loop {
        let (port, pid) = match segment::destroy(config) {
            Err(HostError::Segment {
                source: SegmentError::InUse { port, pid, .. },
                ..
            }) if config.segment.dynports > port.get() => (port.get(), pid),
            // Or it is nobody's any more, and the next start makes it anew.
            Ok(()) | Err(_) => return Ok(()),
        };
        // The I/O of one that had to be killed takes a moment to end.
        if !Path::new(&format!("/proc/{pid}")).exists() && begun.elapsed() < LAST_IO {
            std::thread::sleep(LOOK_AGAIN);
            continue;
        }
        return Err(ErrorReport::new(
            ErrorCode::Busy,
            format!(
                "process {pid} still has port {port} of the segment, and is no host of {}",
                config.run_dir.display()
            ),
            format!("was the run directory replaced while it ran? `kill {pid}` stops it"),
        ));
    }
}

impl Node for ThisNode {
    fn start(&mut self, config: &Config, scope: &Scope) -> Result<Vec<RoleStatus>, ErrorReport> {
        self.processes.start(config, scope)
    }

    fn stop(&mut self, config: &Config, scope: &Scope) -> Result<Vec<RoleStatus>, ErrorReport> {
        LocalNode::client(config)?; // whose node is it?
        in_use::check_stop(config, scope, &Self::attached(config)?)?;
        let roles = self.processes.stop(config, scope)?;
        if scope.role.is_none() {
            // Whoever has started it again meanwhile needs it.
            LocalNode::while_unsupervised(config, || destroy_segment(config))?.transpose()?;
        }
        Ok(roles)
    }

    fn restart(&mut self, config: &Config, scope: &Scope) -> Result<Vec<RoleStatus>, ErrorReport> {
        LocalNode::client(config)?;
        in_use::check_restart(config, scope)?;
        self.processes.restart(config, scope)
    }

    fn status(&mut self, config: &Config) -> Result<NodeStatus, ErrorReport> {
        let (supervisor_pid, mut roles) = self.processes.status(config)?;
        let mut lease_ms = None;
        if let Ok(segment) = segment::join(config) {
            lease_ms = lease_left_ms(config, &segment);
            for status in &mut roles {
                let port = config.role(&status.role).map(|role| role.ports.start);
                let report = port.and_then(|port| segment.report_port(port).ok());
                // What is open is held as well, and is no work.
                let open = port.and_then(|port| segment.geometry().port(port));
                let open = open.map_or(0, |port| users(&segment, port).len() as u64);
                let held = report.map(|report| u64::from(report.held));
                status.inflight = held.map(|held| held.saturating_sub(open));
            }
            let running = roles
                .iter_mut()
                .filter(|status| status.state == RoleState::Running);
            let running = running.filter_map(|status| Some((config.role(&status.role)?, status)));
            let (asked, statuses): (Vec<_>, Vec<_>) = running.unzip();
            for (status, told) in statuses
                .into_iter()
                .zip(log_levels::levels(&segment, &asked))
            {
                match told {
                    Told::Level(level) => status.log_level = Some(level),
                    Told::Nothing => status.state = RoleState::Hung,
                    Told::NotAsked => {}
                }
            }
        }
        for status in &mut roles {
            status.paused_since = paused::since(config, &status.role, status.pid);
            if status.paused_since.is_some() && status.state == RoleState::Running {
                status.state = RoleState::Paused;
            }
        }
        let attached = Self::attached(config)?;
        let all_run = roles.iter().all(|role| role.state == RoleState::Running);
        let lost = all_run.then(|| PortVolumes::new(config, QUICK).lost());
        let lost = lost.and_then(Result::ok).unwrap_or_default();
        Ok(NodeStatus {
            lease_ms,
            lost: lost.into_iter().map(|lost| lost.problem).collect(),
            supervisor_pid,
            segment: config.segment.name.clone(),
            roles,
            attached: attached
                .into_iter()
                .map(|attachment| attachment.volume)
                .collect(),
        })
    }

    fn quickstart(&mut self, config: &Config) -> Result<Quickstart, ErrorReport> {
        let roles = self.start(config, &Scope::default())?;
        if let Some(failed) = roles.iter().find(|role| role.state != RoleState::Running) {
            let why = failed.message.clone().unwrap_or_default();
            return Err(ErrorReport::new(
                ErrorCode::Unavailable,
                format!("the role {} is {}: {why}", failed.role, failed.state.name()),
                format!("look into {}", config.log_dir.display()),
            ));
        }
        let name = VolumeName::new(FIRST_VOLUME).expect("a good name");
        let request = CreateRequest {
            volume: name,
            source: CreateSource::Blank,
            size: Some(VolumeSize::from_bytes(FIRST_BYTES).expect("a good size")),
            object_bytes: None,
        };
        let is_new = match PortVolumes::new(config, config.timeout).create(&request) {
            Ok(_) => true,
            Err(error) if error.code == ErrorCode::Exists => false,
            Err(error) => return Err(error),
        };
        let socket = config.nbd.socket.display();
        let uri = format!("nbd+unix:///{FIRST_VOLUME}?socket={socket}");
        let (archipelago, vlmc) = (self.hints.words("archipelago"), self.hints.words("vlmc"));
        Ok(Quickstart {
            roles: roles.into_iter().map(|role| role.role).collect(),
            volume: FIRST_VOLUME.into(),
            size: FIRST_BYTES,
            is_new,
            next: vec![
                format!("nbdinfo '{uri}'"),
                format!("qemu-img info '{uri}'"),
                format!("nbdcopy disk.img '{uri}'"),
                format!("qemu-system-x86_64 -drive file='{uri}',format=raw,if=virtio"),
                format!("{vlmc} snapshot {FIRST_VOLUME} monday"),
                format!("{archipelago} status"),
                format!("{archipelago} stop"),
            ],
            uri,
        })
    }

    fn doctor(&mut self, config: &Config) -> Result<Vec<Finding>, ErrorReport> {
        Ok(super::doctor::findings(config, &self.environment))
    }

    fn log_level(&mut self, config: &Config, role: &str, level: u8) -> Result<(), ErrorReport> {
        let role = config.role(role).ok_or_else(|| {
            let message = format!("there is no role \"{}\"", role.escape_debug());
            ErrorReport::new(
                ErrorCode::NotFound,
                message,
                "`archipelago status` lists them",
            )
        })?;
        log_levels::change(config, role, level)
    }

    fn host(&mut self, config: &Config, name: &str) -> Result<(), ErrorReport> {
        let ended = super::run(config, name);
        if let Err(error @ HostError::Fenced { .. }) = ended {
            tracing::error!("{error}");
            // No error of a user's: the supervisor alone is told (TENURE-1).
            std::process::exit(FENCED_EXIT_CODE);
        }
        Ok(ended?)
    }

    fn reattach(&mut self, config: &Config, leave_devices: bool) -> Result<usize, ErrorReport> {
        let level = config.log_level().max(LEVEL_OF_SUPERVISOR);
        log::begin(
            &Levels::new(level, Vec::new()),
            &Outlets::new(&log::supervisor_file(config), []),
        );
        let quick = Config {
            timeout: config.timeout.min(QUICK),
            ..config.clone()
        };
        // Those that hang have their time when the others are there again (ATTACHMENT-3).
        let slow = match reattach(&quick, leave_devices, None) {
            Ok(failed) => Some(failed.into_iter().map(|(volume, _)| volume).collect()),
            Err(error) => {
                tracing::debug!(%error, "all are tried with more patience");
                None
            }
        };
        let slow: Option<Vec<String>> = slow;
        let failed = reattach(config, leave_devices, slow.as_deref())?;
        for (volume, error) in &failed {
            tracing::error!(volume, %error, "is not attached again");
        }
        let attached = Records::of(config).all()?.len();
        match failed.first() {
            None => Ok(attached),
            Some((volume, error)) => {
                let message = format!(
                    "{} of {} volumes are not attached again, {volume} among them: {}",
                    failed.len(),
                    attached,
                    error.message
                );
                Err(ErrorReport::new(error.code, message, error.remedy.clone()))
            }
        }
    }

    fn device_name(&mut self, config: &Config, device: &str) -> Result<String, ErrorReport> {
        let path = format!("/dev/{device}");
        let attached = Self::attached(config)?;
        let is_it = |one: &&Attachment| one.device.as_deref() == Some(path.as_str());
        match attached.iter().find(is_it) {
            // udev would put something else in the place of other characters, and two volumes could have one name.
            Some(attachment) if attachment.volume.bytes().all(is_plain) => {
                Ok(attachment.volume.clone())
            }
            _ => Err(ErrorReport::new(
                ErrorCode::NotFound,
                format!("{} is not mapped by archipelago", path.escape_debug()),
                "`vlmc showmapped` shows what is",
            )),
        }
    }

    fn supervise(
        &mut self,
        config: &Config,
        host: Option<&str>,
        leave_devices: bool,
    ) -> Result<(), ErrorReport> {
        let level = config.log_level().max(LEVEL_OF_SUPERVISOR);
        let outlets = Outlets::new(&log::supervisor_file(config), []);
        log::begin(&Levels::new(level, Vec::new()), &outlets);
        let orders = SignalOrders::new(outlets)
            .map_err(|error| ErrorReport::new(ErrorCode::Failed, error.to_string(), ""))?;
        let prepare = || Ok(segment::prepare(config)?);
        self.processes
            .supervise(config, (host, leave_devices), Some(&orders), prepare)
    }
}
