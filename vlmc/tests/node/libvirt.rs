//! Disks as libvirt has them: what `vlmc map --print libvirt-xml` prints, in a machine that libvirt starts.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, geteuid, kill_process};

use crate::support::{Node, until};

/// `nobody`: as root libvirt wants users and groups of its packages for the whole machine.
const USER: u32 = 65534;

/// No daemon, and nothing of the machine's own configuration.
const SETTINGS: &str = "security_driver = \"none\"\nnamespaces = []\ncgroup_controllers = []\nstdio_handler = \"file\"\n";

fn domain(disks: &str) -> String {
    format!(
        "<domain type='qemu'><name>machine</name><memory unit='MiB'>128</memory><vcpu>1</vcpu>\n\
         <memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>\n\
         <os><type arch='x86_64' machine='pc'>hvm</type></os>\n<devices>\n{disks}</devices></domain>\n"
    )
}

/// libvirt's driver and its one machine.
struct Libvirt {
    process: Child,
    said: PathBuf,
}

impl Libvirt {
    fn start(directory: &Path, domain: &str) -> Self {
        let (etc, description) = (directory.join("etc"), directory.join("machine.xml"));
        fs::create_dir_all(&etc).unwrap();
        fs::write(etc.join("qemu.conf"), SETTINGS).unwrap();
        fs::write(&description, domain).unwrap();
        let said = directory.join("said");
        let output = File::create(&said).unwrap();
        let mut command = Command::new("virt-qemu-run");
        if geteuid().is_root() {
            for path in [directory, &etc] {
                chown(path, Some(USER), Some(USER)).unwrap();
            }
            command = Command::new("setpriv");
            let user = USER.to_string();
            command.args(["--reuid", &user, "--regid", &user, "--clear-groups", "--"]);
            command.arg("virt-qemu-run");
        }
        command.args(["--verbose", "--root"]).arg(directory);
        command
            .arg(description)
            .env("HOME", directory)
            .env("XDG_RUNTIME_DIR", directory)
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output);
        let process = command
            .spawn()
            .expect("the Debian package libvirt-daemon-driver-qemu is installed");
        Self { process, said }
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.said).unwrap()
    }

    fn is_running(&mut self) -> bool {
        let ended = self.process.try_wait().unwrap();
        assert!(ended.is_none(), "{}", self.said());
        self.said().contains("guest running")
    }
}

impl Drop for Libvirt {
    /// With its machine.
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.process), Signal::INT);
        let _ = self.process.wait();
    }
}

#[test]
fn libvirt_starts_a_machine_with_the_disks_that_are_printed_for_it() {
    let node = Node::started("");
    let mut disks = String::new();
    for (volume, kind, target) in [("a", "vhost-user", "'vda'"), ("b", "nbd-socket", "'vdb'")] {
        node.vlmc(&["create", volume, "--size", "8"]).ok();
        let xml = node.vlmc(&["map", volume, "--type", kind, "--print", "libvirt-xml"]);
        disks += &xml.ok().replace("'vda'", target);
    }
    // Its user is in no group of ours.
    let run_dir = node.path("run");
    for path in [node.path(""), run_dir.clone()] {
        fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    }
    for entry in fs::read_dir(run_dir).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "sock")
        {
            fs::set_permissions(path, Permissions::from_mode(0o666)).unwrap();
        }
    }
    let mut libvirt = Libvirt::start(&node.path("libvirt"), &domain(&disks));
    until("the machine runs", || libvirt.is_running());
    node.vlmc(&["--json", "unmap", "a"]).fails(5, "busy");
    node.vlmc(&["--json", "unmap", "b"]).fails(5, "busy");
    drop(libvirt);
    for volume in ["a", "b"] {
        until("nobody has the disk", || {
            node.vlmc(&["unmap", volume]).code == 0
        });
    }
}
