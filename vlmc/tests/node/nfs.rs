//! Nodes of several machines over a directory of an NFS server.
//!
//! A kernel is needed that serves NFS, and that may be cut off from itself: a guest's. In it run the tests of `nfs_inside.rs`, from this very
//! program; the machines are those of `nfs_machines.rs`.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use archipelago_guest::{Drive, Guest};

use crate::nfs_inside::IN_GUEST;
use crate::random::number;
use crate::support::must;

const SCRIPT: &str = "
    set -e
    mkfs.ext4 -q /dev/vda
    mkdir -p /export /var/lib/nfs/v4recovery
    mount -t ext4 /dev/vda /export
    mount -t nfsd nfsd /proc/fs/nfsd
    node --nocapture --test-threads=1 nfs_inside::";
/// Names one of them, by its beginning.
const ONLY: &str = "NFS_ONLY";
/// The one that a drill wants, with more rounds than the others leave time for.
const STORM: &str = "what_clients";
const ROUNDS: &str = "NODES_ROUNDS";
/// Where all is emulated.
const ROUND_AT_MOST: Duration = Duration::from_secs(30);

/// Most of a program is what debuggers want to know.
fn without_debug_information(program: &str, to: PathBuf) -> PathBuf {
    must("strip", &["-o", to.to_str().unwrap(), program]);
    to
}

/// L1 to L4, F46, F47, F49, F52
#[test]
fn what_holds_over_a_directory_holds_over_nfs() {
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name);
    let disk = place("disk");
    File::create(&disk).unwrap().set_len(1 << 30).unwrap();
    let mut script = format!("export {IN_GUEST}=1\n");
    let mut guest = Guest::new();
    let own = std::env::current_exe().unwrap();
    for (name, path) in [
        ("archipelago", env!("CARGO_BIN_EXE_archipelago")),
        ("vlmc", env!("CARGO_BIN_EXE_vlmc")),
        ("node", own.to_str().unwrap()),
    ] {
        guest = guest.program(without_debug_information(path, place(name)));
        // The tests find them where they were built.
        let built_in = Path::new(path).parent().unwrap().display();
        script += &format!("mkdir -p {built_in} && ln -s /usr/local/bin/{name} {path}\n");
    }
    for variable in ["NODE_SEED", ROUNDS, "NODES"] {
        if std::env::var_os(variable).is_some() {
            script += &format!("export {variable}={}\n", number(variable, 0));
        }
    }
    script += SCRIPT;
    let mut deadline = Duration::from_secs(900);
    if std::env::var_os(ROUNDS).is_some() {
        script += STORM;
        deadline += ROUND_AT_MOST * number(ROUNDS, 0) as u32;
    } else {
        script += &std::env::var(ONLY).unwrap_or_default();
    }
    for program in ["ip", "mount", "nsenter", "unshare", "mkfs.ext4"] {
        guest = guest.program(program);
    }
    for module in ["ext4", "md5", "nfsd", "nfsv4", "veth"] {
        guest = guest.module(module);
    }
    // Nobody takes this machine's power away: what the server syncs need not be synced once more.
    let drive = Drive::raw(&disk).back_option("cache.no-flush=on");
    let guest = guest.drive(drive).memory_mib(1536);
    let guest = guest.deadline(deadline);
    let outcome = guest.run(&script).unwrap();
    assert_eq!(outcome.status, 0, "{outcome}");
    assert_eq!(outcome.complaints(), Vec::<&str>::new(), "{outcome}");
}
