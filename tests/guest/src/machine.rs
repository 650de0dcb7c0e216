//! The machine that a guest sees, in QEMU's words.
//!
//! An ordinary PC rather than QEMU's small machine for guests: that one has no clock by which a kernel could measure the
//! processor's, and hangs at boot now and then where the machine below is busy. Never with hardware acceleration: tests are
//! to see the same everywhere, and a nested one may begin and then hang.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::drive::Drive;

/// What it has.
#[derive(Clone, Debug)]
pub struct Machine {
    pub memory_mib: u32,
    pub processors: u32,
    pub drives: Vec<Drive>,
    pub qmp: Option<PathBuf>,
    pub kernel_arguments: Vec<String>,
    pub qemu_arguments: Vec<String>,
    /// What the guest says is not for the eyes of whoever runs this.
    pub is_quiet: bool,
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            memory_mib: 512,
            processors: 2,
            drives: Vec::new(),
            qmp: None,
            kernel_arguments: Vec::new(),
            qemu_arguments: Vec::new(),
            is_quiet: false,
        }
    }
}

/// Where a guest's files are while it runs.
#[derive(Debug)]
pub struct Places {
    pub kernel: PathBuf,
    pub initramfs: PathBuf,
    /// What the kernel says.
    pub console: PathBuf,
    /// What becomes of the script.
    pub status: PathBuf,
}

impl Places {
    pub fn new(kernel: PathBuf, directory: &Path) -> Self {
        Self {
            kernel,
            initramfs: directory.join("initramfs"),
            console: directory.join("console"),
            status: directory.join("status"),
        }
    }
}

impl Machine {
    /// QEMU's arguments. The words of the script are at its standard input and output.
    pub fn arguments(&self, places: &Places) -> Vec<OsString> {
        let shares_memory = self.drives.iter().any(Drive::shares_memory);
        let machine = if shares_memory {
            "pc,memory-backend=ram"
        } else {
            "pc"
        };
        let memory = self.memory_mib.to_string();
        let processors = self.processors.to_string();
        let mut arguments: Vec<OsString> = Vec::new();
        let mut add = |words: &[&str]| arguments.extend(words.iter().map(OsString::from));
        add(&["-nodefaults", "-no-user-config", "-no-reboot"]);
        add(&["-display", "none", "-machine", machine]);
        add(&["-accel", "tcg,thread=multi", "-cpu", "max"]);
        add(&["-m", &memory, "-smp", &processors]);
        if shares_memory {
            let backend = format!("memory-backend-memfd,id=ram,size={memory}M,share=on");
            add(&["-object", &backend]);
        }
        let file = |id: &str, path: &Path| format!("file,id={id},path={}", path.display());
        add(&["-chardev", &file("console", &places.console)]);
        add(&["-chardev", &file("status", &places.status)]);
        add(&["-chardev", "stdio,id=words,signal=off"]);
        add(&["-serial", "chardev:console"]);
        add(&["-device", "virtio-serial-pci,max_ports=4,addr=0x4"]);
        add(&["-device", "virtserialport,nr=1,chardev=words"]);
        add(&["-device", "virtserialport,nr=2,chardev=status"]);
        add(&["-device", "virtio-rng-pci,addr=0x5"]);
        for (index, drive) in self.drives.iter().enumerate() {
            for argument in drive.arguments(index) {
                add(&[&argument]);
            }
        }
        if let Some(qmp) = &self.qmp {
            let socket = format!("unix:{},server=on,wait=off", qmp.display());
            add(&["-qmp", &socket]);
        }
        // A kernel that is in trouble goes down, and the test hears of it.
        let mut words =
            "console=ttyS0 loglevel=4 panic=-1 oops=panic random.trust_cpu=on mitigations=off"
                .to_owned();
        for argument in &self.kernel_arguments {
            words += &format!(" {argument}");
        }
        add(&["-append", &words]);
        for argument in &self.qemu_arguments {
            add(&[argument]);
        }
        arguments.extend(["-kernel".into(), places.kernel.clone().into()]);
        arguments.extend(["-initrd".into(), places.initramfs.clone().into()]);
        arguments
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(machine: &Machine) -> String {
        let places = Places::new("/k".into(), Path::new("/d"));
        let arguments = machine.arguments(&places);
        let arguments: Vec<_> = arguments.iter().map(|one| one.to_string_lossy()).collect();
        arguments.join(" ")
    }

    #[test]
    fn memory_is_shared_only_with_those_who_need_it() {
        let mut machine = Machine::default();
        machine.drives.push(Drive::raw("/r"));
        assert!(!arguments(&machine).contains("share=on"));
        machine.drives.push(Drive::vhost_user("/v"));
        let arguments = arguments(&machine);
        assert!(arguments.contains("pc,memory-backend=ram"), "{arguments}");
        assert!(arguments.contains("size=512M,share=on"), "{arguments}");
        assert!(
            arguments.contains("chardev=drive1,addr=0x11"),
            "{arguments}"
        );
    }

    #[test]
    fn no_accelerator_is_used_but_emulation() {
        let arguments = arguments(&Machine::default());
        assert!(!arguments.contains("kvm"), "{arguments}");
        assert_eq!(arguments.matches("-accel").count(), 1);
    }
}
