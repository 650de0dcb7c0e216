//! What this machine has for attaching volumes.

use std::fs::OpenOptions;
use std::path::Path;
use std::process::{Command, Stdio};

const UBLK_CONTROL: &str = "/dev/ublk-control";
const NBD_MODULE: &str = "/sys/module/nbd";

/// Why something is not to be had, if it is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Machine {
    pub no_ublk: Option<String>,
    pub no_nbd: Option<String>,
}

impl Machine {
    /// Root has the kernel's modules loaded.
    pub fn look() -> Self {
        let is_root = rustix::process::geteuid().is_root();
        if is_root && !Path::new(UBLK_CONTROL).exists() {
            load("ublk_drv");
        }
        if is_root && !Path::new(NBD_MODULE).exists() {
            load("nbd");
        }
        Self {
            no_ublk: no_ublk(is_root),
            no_nbd: no_nbd(is_root),
        }
    }

    /// Of `--user`: devices of the kernel are left alone.
    pub fn without_devices() -> Self {
        let why = Some("devices of the kernel are left alone (--user)".to_owned());
        Self {
            no_ublk: why.clone(),
            no_nbd: why,
        }
    }
}

/// One that is not there is noticed by what it does not bring.
fn load(module: &str) {
    let mut modprobe = Command::new("modprobe");
    modprobe.arg("--quiet").arg(module).stdin(Stdio::null());
    let loaded = modprobe
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    tracing::debug!(module, ?loaded, "asked for");
}

fn no_ublk(is_root: bool) -> Option<String> {
    if !is_root {
        // The kernel kills the server of an ordinary user's device that takes half a minute for a request, and a host serves others,
        // too.
        return Some("only root attaches block devices of the kernel".into());
    }
    let opened = OpenOptions::new().read(true).write(true).open(UBLK_CONTROL);
    match opened {
        Ok(_) => None,
        Err(error) => Some(format!(
            "{UBLK_CONTROL}: {error} (the kernel's module ublk_drv, Linux 6.1 or newer)"
        )),
    }
}

fn no_nbd(is_root: bool) -> Option<String> {
    if !Path::new(NBD_MODULE).exists() {
        return Some("the kernel has no NBD client (its module nbd)".into());
    }
    (!is_root).then(|| "only root attaches NBD devices of the kernel".to_owned())
}
