//! A server of NFS, and machines that mount what it exports: all on the kernel that runs this, which is a guest's.
//!
//! A machine is a set of namespaces: a network of its own, by which the server takes it for another client, with locks, delegations and caches
//! of its own; a name of its own, mounts and a segment's directory of its own, and an id of its boot, so that its nodes take others
//! for nodes of other machines. Its cable can be pulled.
//!
//! The server needs no programs: what they would tell the kernel is written here.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::stores;
use crate::support::{Node, must};

/// What the server exports.
const EXPORT: &str = "/export";
/// Where a machine has it.
const MOUNTED: &str = "/srv";
/// A client that was silent for so long may lose what it has; clients that were there before a restart have so long to claim it.
pub const SERVER_LEASE_S: u32 = 10;
const THREADS: u32 = 8;
const MACHINES_MAX: u32 = 60;
/// For ever, as the kernel's caches count.
const FOR_EVER: &str = "2147483647";
/// Any port, no check of subtrees, an id of its own; not asynchronous, and root is root.
const EXPORT_FLAGS: u32 = 0x2 | 0x400 | 0x2000;
/// As docs/multi-host.md wants it; and a connection that is dead is given up within seconds.
const OPTIONS: &str = "vers=4.2,proto=tcp,sec=sys,hard,timeo=50,retrans=2,noac,lookupcache=none";

static MACHINES: AtomicU32 = AtomicU32::new(1);

#[track_caller]
fn tell(file: &str, words: &str) {
    fs::write(file, format!("{words}\n"))
        .unwrap_or_else(|error| panic!("{words:?} to {file}: {error}"));
}

/// The one server.
#[derive(Debug)]
pub struct Server;

impl Server {
    /// The server, which runs from the first time on.
    pub fn get() -> &'static Self {
        static SERVER: OnceLock<Server> = OnceLock::new();
        SERVER.get_or_init(|| {
            let seconds = SERVER_LEASE_S.to_string();
            tell("/proc/fs/nfsd/nfsv4leasetime", &seconds);
            tell("/proc/fs/nfsd/nfsv4gracetime", &seconds);
            tell("/proc/fs/nfsd/versions", "-3 +4 -4.0 +4.1 +4.2");
            Self.start();
            tell("/proc/fs/nfsd/v4_end_grace", "Y"); // nobody was there before
            Self
        })
    }

    fn start(&self) {
        let caches = "/proc/net/rpc";
        for number in 1..=MACHINES_MAX {
            let address = format!("nfsd {} {FOR_EVER} all\n", client_address(number));
            tell(&format!("{caches}/auth.unix.ip/channel"), &address);
        }
        let export = format!("all {EXPORT} {FOR_EVER} {EXPORT_FLAGS} 65534 65534 0");
        tell(&format!("{caches}/nfsd.export/channel"), &export);
        let by_id = format!("all 1 \\x00000000 {FOR_EVER} {EXPORT}");
        tell(&format!("{caches}/nfsd.fh/channel"), &by_id);
        tell("/proc/fs/nfsd/portlist", "tcp 2049");
        tell("/proc/fs/nfsd/threads", &THREADS.to_string());
    }

    /// It ends, does something, and begins anew: it knows its clients, and nothing of what they had open and locked.
    pub fn restart(&self, meanwhile: impl FnOnce()) {
        tell("/proc/fs/nfsd/threads", "0");
        meanwhile();
        self.start();
    }
}

fn server_address(number: u32) -> String {
    format!("10.0.{number}.1")
}

fn client_address(number: u32) -> String {
    format!("10.0.{number}.2")
}

/// One of the machines.
#[derive(Debug)]
pub struct Machine {
    number: u32,
    /// Its namespaces are those of this process, which ends with us.
    first: Child,
}

impl Machine {
    /// One that has a directory of the export mounted. Those of the same `boot` take what others of it wrote for their own machine's.
    pub fn begin(name: &str, directory: &str, boot: u32) -> Self {
        Server::get();
        let number = MACHINES.fetch_add(1, Ordering::Relaxed);
        assert!(number <= MACHINES_MAX, "the server does not know so many");
        let mut first = Command::new("unshare")
            .args(["--net", "--mount", "--uts", "--"])
            .args(["sh", "-c", "echo ready; exec cat >/dev/null"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        let stdout = first.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut said).unwrap();
        assert_eq!(said, "ready\n");
        let machine = Self { number, first };
        machine.connect();
        machine.set_up(name, directory, boot);
        machine
    }

    fn connect(&self) {
        let (pid, cable) = (self.first.id().to_string(), self.cable());
        let ip = |words: &str| must("ip", &words.split(' ').collect::<Vec<_>>());
        ip(&format!(
            "link add {cable} type veth peer name eth0 netns {pid}"
        ));
        let server = server_address(self.number);
        ip(&format!("address add {server}/24 dev {cable}"));
        ip(&format!("link set {cable} up"));
        let client = client_address(self.number);
        self.run(&format!("ip address add {client}/24 dev eth0"));
        self.run("ip link set eth0 up");
    }

    fn set_up(&self, name: &str, directory: &str, boot: u32) {
        fs::create_dir_all(format!("{EXPORT}/{directory}")).unwrap();
        let boot_id = format!("/tmp/boot-{}", self.number);
        fs::write(
            &boot_id,
            format!("{boot:08x}-0000-4000-8000-000000000000\n"),
        )
        .unwrap();
        self.run(&format!("hostname {name}"));
        self.run(&format!(
            "mount --bind {boot_id} /proc/sys/kernel/random/boot_id"
        ));
        self.run("mount -t tmpfs tmpfs /dev/shm");
        fs::create_dir_all(MOUNTED).unwrap();
        let (server, client) = (server_address(self.number), client_address(self.number));
        self.run(&format!(
            "mount -i -t nfs4 -o {OPTIONS},addr={server},clientaddr={client} {server}:/{directory} {MOUNTED}"
        ));
    }

    /// What begins a program there.
    pub fn beginner(&self) -> Vec<String> {
        let pid = self.first.id();
        let words = format!("nsenter --target {pid} --net --mount --uts --");
        words.split(' ').map(str::to_owned).collect()
    }

    #[track_caller]
    fn run(&self, words: &str) -> String {
        let beginner = self.beginner();
        let words: Vec<&str> = beginner[1..]
            .iter()
            .map(String::as_str)
            .chain(words.split(' '))
            .collect();
        must(&beginner[0], &words)
    }

    /// The server's end of it.
    fn cable(&self) -> String {
        format!("cable{}", self.number)
    }

    /// From now on no packet comes through.
    pub fn cut_off(&self) {
        must("ip", &["link", "set", &self.cable(), "down"]);
    }

    pub fn connect_again(&self) {
        must("ip", &["link", "set", &self.cable(), "up"]);
    }

    /// A node that keeps its objects in what is mounted, and does not run.
    pub fn node(&self, name: &str) -> Node {
        let place = |place: &std::path::Path| {
            let store = place.file_name().and_then(|name| name.to_str()).unwrap();
            stores::directory_settings(&std::path::Path::new(MOUNTED).join(store))
        };
        Node::with_blockers(&format!("node = \"{name}\"\n"), place).begun_by(self.beginner())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Its end of the cable goes with its network, and that with its mounts.
        drop(self.first.stdin.take());
        let _ = self.first.wait();
    }
}
