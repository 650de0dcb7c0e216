//! A guest before it runs.

use std::path::PathBuf;
use std::time::Duration;

use crate::cache::{Cache, Release};
use crate::drive::Drive;
use crate::error::GuestError;
use crate::initramfs::Contents;
use crate::machine::Machine;
use crate::outcome::Outcome;
use crate::running::Running;

/// Enough for a boot and a script of a minute on a machine that has ten times as much to do.
const DEADLINE: Duration = Duration::from_secs(400);

/// What a guest is to be.
#[derive(Clone, Debug)]
pub struct Guest {
    contents: Contents,
    machine: Machine,
    deadline: Duration,
    release: Release,
}

impl Default for Guest {
    fn default() -> Self {
        Self::new()
    }
}

impl Guest {
    pub fn new() -> Self {
        Self {
            contents: Contents::default(),
            machine: Machine::default(),
            deadline: DEADLINE,
            release: Release::Usual,
        }
    }

    /// With another kernel than the usual one.
    #[must_use]
    pub fn release(mut self, release: Release) -> Self {
        self.release = release;
        self
    }

    /// Its memory, in which its file system is too. 512 unless it is said.
    #[must_use]
    pub fn memory_mib(mut self, memory_mib: u32) -> Self {
        self.machine.memory_mib = memory_mib;
        self
    }

    /// Two unless it is said.
    #[must_use]
    pub fn processors(mut self, count: u32) -> Self {
        self.machine.processors = count;
        self
    }

    /// When it is ended if its script is not done; from its start.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// A program of this machine, by path or by name; it is in the guest's PATH by the name of its file, and comes before an
    /// applet of busybox of that name.
    #[must_use]
    pub fn program(mut self, program: impl Into<PathBuf>) -> Self {
        self.contents.programs.push(program.into());
        self
    }

    /// A module that is loaded before the script begins, with those that it needs.
    #[must_use]
    pub fn module(self, name: &str) -> Self {
        self.module_with(name, "")
    }

    /// The same, and what it is told: `nbds_max=4`.
    #[must_use]
    pub fn module_with(mut self, name: &str, arguments: &str) -> Self {
        let module = (name.to_owned(), arguments.to_owned());
        self.contents.modules.push(module);
        self
    }

    /// A file at an absolute path of the guest.
    #[must_use]
    pub fn file(mut self, path: &str, contents: impl Into<Vec<u8>>) -> Self {
        self.contents.files.push((path.to_owned(), contents.into()));
        self
    }

    /// One more disk: /dev/vda, /dev/vdb, ...
    #[must_use]
    pub fn drive(mut self, drive: Drive) -> Self {
        self.machine.drives.push(drive);
        self
    }

    /// Where QEMU listens for its own protocol.
    #[must_use]
    pub fn qmp(mut self, socket: impl Into<PathBuf>) -> Self {
        self.machine.qmp = Some(socket.into());
        self
    }

    /// More for the kernel's command line.
    #[must_use]
    pub fn kernel_argument(mut self, argument: &str) -> Self {
        self.machine.kernel_arguments.push(argument.to_owned());
        self
    }

    /// One more argument of QEMU's.
    #[must_use]
    pub fn qemu_argument(mut self, argument: &str) -> Self {
        self.machine.qemu_arguments.push(argument.to_owned());
        self
    }

    /// What it says is not shown as it comes, only kept.
    #[must_use]
    pub fn quiet(mut self) -> Self {
        self.machine.is_quiet = true;
        self
    }

    /// Runs the script to its end.
    ///
    /// # Errors
    /// If something is missing, if the guest went down by itself, or was not done in time. A script that fails is none: its
    /// status is in the outcome.
    pub fn run(&self, script: &str) -> Result<Outcome, GuestError> {
        self.start(script)?.wait()
    }

    /// A machine that boots nothing: it waits at a socket for a guest that was begun like this one, and goes on with its script.
    ///
    /// # Errors
    /// If something is missing.
    pub fn receive(&self, socket: impl Into<PathBuf>, script: &str) -> Result<Running, GuestError> {
        let cache = Cache::find(self.release)?;
        let initramfs = self.contents.pack(&cache, script)?;
        let mut machine = self.machine.clone();
        let from = format!("unix:{}", socket.into().display());
        let arguments = ["-incoming".to_owned(), from];
        machine.qemu_arguments.extend(arguments);
        Running::boot(&machine, &cache, &initramfs, self.deadline)
    }

    /// Begins to run the script: to do something on this machine meanwhile.
    ///
    /// The guest ends with the thread that called this, at the latest.
    ///
    /// # Errors
    /// If something is missing, or the guest does not get as far as the script.
    pub fn start(&self, script: &str) -> Result<Running, GuestError> {
        let cache = Cache::find(self.release)?;
        let initramfs = self.contents.pack(&cache, script)?;
        Running::start(&self.machine, &cache, &initramfs, self.deadline)
    }
}
