//! Who holds locks: this machine, and this deployment on it (L1).

use archipelago_store::LockOwner;

use crate::config::Config;

/// Files that name the machine for good.
const MACHINE_FILES: [&str; 2] = ["/etc/machine-id", "/var/lib/dbus/machine-id"];
/// Digits of the machine's number that stand beside its name: two machines may have one name (F52).
const DIGITS: usize = 12;

/// The owner as which this node takes locks. The segment's name tells deployments of one machine apart: there is one of
/// each name.
pub fn owner(config: &Config) -> LockOwner {
    LockOwner {
        node: config.node.clone().unwrap_or_else(node),
        deployment: config.segment.name.clone(),
    }
}

fn node() -> String {
    let host = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    let read = |file: &&str| std::fs::read_to_string(file).ok();
    let id: String = MACHINE_FILES
        .iter()
        .find_map(read)
        .unwrap_or_default()
        .chars()
        .filter(char::is_ascii_hexdigit)
        .take(DIGITS)
        .collect();
    if id.is_empty() {
        host
    } else {
        format!("{host}/{id}")
    }
}
