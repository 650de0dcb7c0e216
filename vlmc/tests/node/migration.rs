//! A virtual machine goes from node to node while it works: its memory by QEMU, its disk by the store (L4).

use std::path::Path;
use std::time::Duration;

use archipelago_guest::{Drive, Guest, Monitor, Outcome, Running};
use serde_json::json;

use crate::support::{Node, until};

/// Rounds of writes that are read back and compared, until it is told that there were enough; then comes the file system.
const LOAD: &str = r#"
    set -e
    mkfs.ext4 -q /dev/vda
    mount -t ext4 /dev/vda /mnt
    exec 3<&0
    (read word <&3 && echo "$word" > /tmp/enough) &
    until [ -e /tmp/enough ]; do
        fio --name=load --directory=/mnt --size=2m --rw=randrw --bsrange=512-64k --ioengine=psync --direct=1 \
            --verify=crc32c --verify_fatal=1 --fsync=16 --eta=never --output=/tmp/fio \
            || { cat /tmp/fio; exit 1; }
        echo round
    done
    cp /bin/busybox /mnt/copy
    cmp /bin/busybox /mnt/copy
    umount /mnt
    fsck.ext4 -fn /dev/vda
    echo whole
"#;

/// Moves the guest, and waits until it is gone.
fn migrate(qmp: &Path, to: &Path) {
    let mut monitor = Monitor::connect(qmp).unwrap();
    let mut execute = |command, arguments| monitor.execute(command, &arguments).unwrap();
    // However slow the machine is, it ends.
    let patient = json!({ "downtime-limit": 60_000, "max-bandwidth": 1_u64 << 32 });
    execute("migrate-set-parameters", patient);
    let uri = format!("unix:{}", to.display());
    execute("migrate", json!({ "uri": uri }));
    until("the guest's memory is there", || {
        let now = execute("query-migrate", json!({}));
        assert_ne!(now["status"], "failed", "{now}");
        now["status"] == "completed"
    });
}

fn guest_of(node: &Node, qmp: &Path) -> Guest {
    let drive = Drive::nbd(node.path("run/nbd.sock"), "disk").reconnecting(60);
    let tools = ["mkfs.ext4", "fsck.ext4", "fio"];
    let guest = tools.into_iter().fold(Guest::new(), Guest::program);
    let guest = guest.module("virtio_blk").module("ext4").memory_mib(512);
    let guest = guest.processors(1).drive(drive).qmp(qmp);
    guest.deadline(Duration::from_secs(550))
}

/// What the guest has said so far, and its kernel.
fn outcome_of(running: &Running) -> Outcome {
    Outcome {
        status: 0,
        output: running.output(),
        console: running.console(),
    }
}

/// L4: what the recipe in docs/multi-host.md says, step by step.
#[test]
fn a_guest_goes_from_node_to_node_and_does_not_notice() {
    let one = Node::started("node = \"one\"\n");
    let two = Node::beside(&one, "two", "");
    one.vlmc(&["create", "disk", "--size", "32"]).ok();
    let (qmp, there) = (one.path("qmp"), two.path("incoming"));
    let mut source = guest_of(&one, &qmp).start(LOAD).unwrap();
    source.wait_for("round").unwrap();
    // Both have it attached: the one there is read without the lock.
    let mut target = guest_of(&two, &two.path("qmp"))
        .receive(&there, LOAD)
        .unwrap();
    until("it waits for the guest", || there.exists());
    let locks = || two.vlmc(&["--json", "locks"]).json()["locks"][0].clone();
    assert_eq!(locks()["node"], "one");
    migrate(&qmp, &there);
    // Whatever it writes there waits for this.
    assert_eq!(locks()["node"], "one");
    one.vlmc(&["close", "disk"]).ok();
    target.wait_for("round").unwrap();
    assert_eq!(locks()["node"], "two");
    source.cut_power();
    let left = outcome_of(&source);
    assert_eq!(left.complaints(), Vec::<&str>::new(), "{left}");
    target.say("enough\n").unwrap();
    let outcome = target.wait().unwrap();
    assert_eq!(outcome.status, 0, "{outcome}");
    assert!(outcome.output.contains("whole"), "{outcome}");
    assert_eq!(outcome.complaints(), Vec::<&str>::new(), "{outcome}");
    two.vlmc(&["close", "disk"]).ok();
    one.vlmc(&["open", "disk"]).ok();
}
