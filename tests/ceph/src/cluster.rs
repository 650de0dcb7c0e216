//! A cluster that runs.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::configuration::{self, Facts};
use crate::daemon::Daemon;
use crate::error::ClusterError;
use crate::keys;
use crate::options::ClusterOptions;
use crate::tools;

const MONITOR: &str = "mon.a";
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// How long a daemon may take to be where it should be. A machine that builds at the same time is slow.
const PATIENCE: Duration = Duration::from_secs(120);

/// Monitors and OSDs. Dropped, all of them are killed.
#[derive(Debug)]
pub struct Cluster {
    // The order matters: daemons end before their files go.
    daemons: BTreeMap<String, Daemon>,
    directory: PathBuf,
    osds: usize,
    _temporary: Option<TempDir>,
}

impl Cluster {
    pub(crate) fn start(options: &ClusterOptions) -> Result<Self, ClusterError> {
        let (directory, temporary) = make_directory(options)?;
        let id = fresh_id()?;
        let ports = (free_port()?, free_port()?);
        let facts = Facts {
            directory: &directory,
            id: &id,
            ports,
            options,
        };
        let file = directory.join("ceph.conf");
        fs::write(&file, configuration::text(&facts)).map_err(ClusterError::file(&file))?;
        keys::make(&directory.join("keyring"), options.osds)?;
        let mut cluster = Self {
            daemons: BTreeMap::new(),
            directory,
            osds: options.osds,
            _temporary: temporary,
        };
        cluster.make_monitor(&id, ports)?;
        cluster.make_osds()?;
        cluster.wait_for_osds(options.osds)?;
        Ok(cluster)
    }

    /// The configuration file, which also says where the keys are.
    pub fn conf(&self) -> PathBuf {
        self.directory.join("ceph.conf")
    }

    /// Where all of it lies.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    fn folder(&self, name: &str) -> Result<PathBuf, ClusterError> {
        let folder = self.directory.join(name);
        fs::create_dir(&folder).map_err(ClusterError::file(&folder))?;
        Ok(folder)
    }

    fn make_monitor(&mut self, id: &str, (second, first): (u16, u16)) -> Result<(), ClusterError> {
        let map = self.directory.join("monmap");
        let address = format!("[v2:127.0.0.1:{second},v1:127.0.0.1:{first}]");
        tools::run(
            Command::new("monmaptool")
                .args(["--create", "--fsid", id, "--addv", "a", &address])
                .arg(&map),
        )?;
        self.folder(MONITOR)?;
        let (map, keyring) = (map.display(), self.directory.join("keyring"));
        let (map, keyring) = (map.to_string(), keyring.display().to_string());
        let further = ["--mkfs", "--monmap", &map, "--keyring", &keyring];
        Daemon::start(&self.directory, MONITOR, &further)?.finish()?;
        self.run(MONITOR)
    }

    /// They are formatted while the monitor comes up.
    fn make_osds(&mut self) -> Result<(), ClusterError> {
        let (mut formatting, mut lines) = (Vec::new(), String::new());
        for number in 0..self.osds {
            let (name, id) = (format!("osd.{number}"), fresh_id()?);
            self.folder(&name)?;
            let further = ["--mkfs", "--osd-uuid", &id, "--no-mon-config"];
            formatting.push(Daemon::start(&self.directory, &name, &further)?);
            lines.push_str(&format!("osd new {id} {number}\n"));
        }
        self.commands(&lines)?;
        for daemon in formatting {
            daemon.finish()?;
        }
        (0..self.osds).try_for_each(|number| self.run(&format!("osd.{number}")))
    }

    fn run(&mut self, name: &str) -> Result<(), ClusterError> {
        let daemon = Daemon::start(&self.directory, name, &[])?;
        self.daemons.insert(name.to_owned(), daemon);
        Ok(())
    }

    fn client(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.arg("--conf").arg(self.conf());
        command
    }

    /// Asks the monitor, as its administrator.
    ///
    /// # Errors
    /// If it refuses, or does not answer for long.
    pub fn ceph(&self, args: &[&str]) -> Result<String, ClusterError> {
        let mut command = self.client("ceph");
        let limit = PATIENCE.as_secs().to_string();
        command.args(["--connect-timeout", &limit]).args(args);
        tools::run(&mut command)
    }

    /// What an OSD has counted, as JSON.
    ///
    /// # Errors
    /// If it does not run, or the cluster's directory has too long a name for a socket.
    pub fn counters(&self, osd: &str) -> Result<String, ClusterError> {
        self.daemon(osd)?;
        let socket = self.directory.join(format!("{osd}.asok"));
        let mut command = Command::new("ceph");
        command.arg("--admin-daemon").arg(socket);
        tools::run(command.args(["perf", "dump"]))
    }

    /// Commands for the monitor, a line each.
    fn commands(&self, lines: &str) -> Result<(), ClusterError> {
        let mut command = self.client("ceph");
        let limit = PATIENCE.as_secs().to_string();
        command.args(["--connect-timeout", &limit]);
        tools::finish(&mut command, lines.as_bytes()).map(drop)
    }

    /// Calls Ceph's tool for objects, as the administrator.
    ///
    /// # Errors
    /// If it fails.
    pub fn rados(&self, args: &[&str]) -> Result<String, ClusterError> {
        tools::run(self.client("rados").args(args))
    }

    /// Makes a pool, and waits until it takes writes.
    ///
    /// # Errors
    /// If the cluster refuses.
    pub fn create_pool(&self, name: &str) -> Result<(), ClusterError> {
        self.commands(&format!(
            "osd pool create {name} 8 8 replicated\nosd pool application enable {name} archipelago\n"
        ))?;
        let probe = ["--pool", name, "create", "probe"];
        self.rados(&probe)?;
        self.rados(&["--pool", name, "rm", "probe"]).map(drop)
    }

    fn daemon(&self, name: &str) -> Result<&Daemon, ClusterError> {
        let missing = || ClusterError::NoDaemon {
            name: name.to_owned(),
        };
        self.daemons.get(name).ok_or_else(missing)
    }

    /// Crashes a daemon.
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn kill(&mut self, name: &str) -> Result<(), ClusterError> {
        self.daemon(name)?;
        self.daemons.remove(name);
        Ok(())
    }

    /// Has it hang.
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn pause(&self, name: &str) -> Result<(), ClusterError> {
        self.daemon(name)?.signal(Signal::STOP);
        Ok(())
    }

    /// Ends its hanging.
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn resume(&self, name: &str) -> Result<(), ClusterError> {
        self.daemon(name)?.signal(Signal::CONT);
        Ok(())
    }

    /// Starts a daemon again that was killed, and waits for it.
    ///
    /// # Errors
    /// If it does not come up.
    pub fn revive(&mut self, name: &str) -> Result<(), ClusterError> {
        self.run(name)?;
        if name == MONITOR {
            return self.ceph(&["mon", "stat"]).map(drop);
        }
        let osds = self.daemons.keys().filter(|name| *name != MONITOR).count();
        self.wait_for_osds(osds)
    }

    fn wait_for_osds(&mut self, wanted: usize) -> Result<(), ClusterError> {
        let end = Instant::now() + PATIENCE;
        let up = format!("\"num_up_osds\":{wanted},");
        while !self
            .ceph(&["osd", "stat", "--format", "json"])?
            .contains(&up)
        {
            self.daemons
                .values_mut()
                .try_for_each(Daemon::expect_alive)?;
            if Instant::now() > end {
                return Err(ClusterError::Late {
                    what: format!("that {wanted} OSDs are up"),
                    seconds: PATIENCE.as_secs(),
                });
            }
            thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }
}

fn make_directory(options: &ClusterOptions) -> Result<(PathBuf, Option<TempDir>), ClusterError> {
    if let Some(directory) = &options.directory {
        fs::create_dir(directory).map_err(ClusterError::file(directory))?;
        return Ok((directory.clone(), None));
    }
    let temporary = tempfile::tempdir().map_err(ClusterError::file("a temporary directory"))?;
    Ok((temporary.path().to_owned(), Some(temporary)))
}

fn fresh_id() -> Result<String, ClusterError> {
    const SOURCE: &str = "/proc/sys/kernel/random/uuid";
    let id = fs::read_to_string(SOURCE).map_err(ClusterError::file(SOURCE))?;
    Ok(id.trim_end().to_owned())
}

/// A port that nobody listens at.
fn free_port() -> Result<u16, ClusterError> {
    let listener = TcpListener::bind(("127.0.0.1", 0));
    let address = listener.and_then(|listener| listener.local_addr());
    let address = address.map_err(ClusterError::file("a free port of 127.0.0.1"))?;
    Ok(address.port())
}
