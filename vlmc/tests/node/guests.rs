//! Virtual machines whose disks are volumes of a node, attached by `vlmc map`.

use std::time::Duration;

use archipelago_guest::{Drive, Guest, Running};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Node, must, until};

/// A disk of a few megabytes is filled with a pattern again and again, read back and compared; then comes its file system.
const LOAD: &str = r#"
    set -e
    mkfs.ext4 -q /dev/vda
    mount -t ext4 /dev/vda /mnt
    echo ready
    fio --name=load --directory=/mnt --size=8m --rw=randrw --bsrange=512-64k --ioengine=psync --direct=1 \
        --verify=crc32c --verify_fatal=1 --fsync=16 --time_based --runtime=40 --loops=1000 --eta=never --output=/tmp/fio \
        || { cat /tmp/fio; exit 1; }
    cp /bin/busybox /mnt/copy
    cmp /bin/busybox /mnt/copy
    umount /mnt
    fsck.ext4 -fn /dev/vda
    echo whole
"#;

fn with_tools(guest: Guest) -> Guest {
    let tools = ["mkfs.ext4", "fsck.ext4", "fio"];
    let guest = tools.into_iter().fold(guest, Guest::program);
    let guest = guest.module("virtio_blk").module("ext4").memory_mib(512);
    guest.deadline(Duration::from_secs(550))
}

/// The bridges' host dies, and the guest knows nothing of it.
fn kill_again_and_again(node: &Node, running: &Running, times: u32) {
    running.wait_for("ready").unwrap();
    for _ in 0..times {
        std::thread::sleep(Duration::from_secs(3));
        let pid = node.pid_of("vlmcd").expect("it runs");
        kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
        until("it is started again", || {
            node.pid_of("vlmcd").is_some_and(|new| new != pid)
        });
    }
}

/// S8, F85: the front end keeps what is in flight, and hands it to the next server.
#[test]
fn a_guest_on_vhost_user_does_not_notice_that_its_server_dies() {
    let node = Node::started("");
    node.vlmc(&["create", "disk", "--size", "256"]).ok();
    let mapped = node.vlmc(&["--json", "map", "disk", "--type", "vhost-user"]);
    let socket = mapped.json()["attachment"]["socket"]
        .as_str()
        .unwrap()
        .to_owned();
    let drive = Drive::vhost_user(&socket).reconnecting(1);
    let running = with_tools(Guest::new()).drive(drive).start(LOAD).unwrap();
    kill_again_and_again(&node, &running, 4);
    let shown = node.vlmc(&["--json", "showmapped"]).json();
    assert_eq!(shown["attachments"][0]["kind"], "vhost-user", "{shown}");
    let outcome = running.wait().unwrap();
    assert_eq!(outcome.status, 0, "{outcome}");
    assert!(outcome.output.contains("whole"), "{outcome}");
    assert_eq!(outcome.complaints(), Vec::<&str>::new(), "{outcome}");
    until("the guest has left", || {
        node.vlmc(&["unmap", "disk"]).code == 0
    });
    must("nbdinfo", &["--size", &node.uri("disk")]);
}

/// The same over NBD: QEMU connects again, and asks again for what was not answered.
#[test]
fn a_guest_on_the_export_does_not_notice_that_its_server_dies() {
    let node = Node::started("");
    node.vlmc(&["create", "disk", "--size", "256"]).ok();
    node.vlmc(&["map", "disk", "--type", "nbd-socket"]).ok();
    let drive = Drive::nbd(node.path("run/nbd.sock"), "disk").reconnecting(30);
    let running = with_tools(Guest::new()).drive(drive).start(LOAD).unwrap();
    kill_again_and_again(&node, &running, 4);
    let outcome = running.wait().unwrap();
    assert_eq!(outcome.status, 0, "{outcome}");
    assert!(outcome.output.contains("whole"), "{outcome}");
    assert_eq!(outcome.complaints(), Vec::<&str>::new(), "{outcome}");
}

/// DESK-1, DESK-2, F82
#[test]
fn a_guest_whose_disk_is_mapped_read_only_cannot_write_to_it() {
    let node = Node::started("");
    node.vlmc(&["create", "disk", "--size", "64"]).ok();
    let mapped = node.vlmc(&["--json", "map", "disk", "-r", "--type", "vhost-user"]);
    let attachment = mapped.json()["attachment"].clone();
    let drive = Drive::vhost_user(attachment["socket"].as_str().unwrap());
    node.archipelago(&["reattach"]).ok(); // what is served already stays as it is
    let guest = Guest::new().module("virtio_blk").drive(drive);
    let script =
        "cat /sys/block/vda/ro; dd if=/bin/busybox of=/dev/vda bs=4096 count=1 oflag=direct";
    let outcome = guest.run(script).unwrap();
    assert!(outcome.output.starts_with("1\n"), "{outcome}");
    assert_ne!(outcome.status, 0, "{outcome}");
}

#[test]
fn a_guest_sees_its_disk_grow_and_keeps_it_from_being_taken_away() {
    let node = Node::started("");
    node.vlmc(&["create", "disk", "--size", "64"]).ok();
    let mapped = node.vlmc(&["--json", "map", "disk", "--type", "vhost-user"]);
    let socket = mapped.json()["attachment"]["socket"]
        .as_str()
        .unwrap()
        .to_owned();
    let script = "
        cat /sys/block/vda/size
        echo ready
        for i in $(seq 600); do
            [ $(cat /sys/block/vda/size) = 262144 ] && break
            sleep 0.1
        done
        cat /sys/block/vda/size
        dd if=/bin/busybox of=/dev/vda bs=4096 seek=32000 count=16 oflag=direct";
    let guest = Guest::new()
        .module("virtio_blk")
        .drive(Drive::vhost_user(&socket));
    let running = guest.start(script).unwrap();
    running.wait_for("ready").unwrap();
    node.vlmc(&["--json", "unmap", "disk"]).fails(5, "busy");
    node.vlmc(&["--json", "remove", "disk"]).fails(5, "busy");
    node.vlmc(&["resize", "disk", "--size", "128"]).ok();
    let outcome = running.wait().unwrap();
    assert_eq!(outcome.status, 0, "{outcome}");
    assert!(
        outcome.output.starts_with("131072\nready\n262144\n"),
        "{outcome}"
    );
}

/// What docs/attach.md says of QEMU: it takes what is printed, and finds the disk.
#[test]
fn what_is_printed_for_qemu_is_what_it_takes() {
    let node = Node::started("");
    for (volume, kind) in [("a", "vhost-user"), ("b", "nbd-socket")] {
        node.vlmc(&["create", volume, "--size", "8"]).ok();
        node.vlmc(&["map", volume, "--type", kind]).ok();
        let shown = |form| {
            node.vlmc(&["unmap", volume]).ok();
            node.vlmc(&["map", volume, "--type", kind, "--print", form])
                .ok()
        };
        let options = shown("qemu");
        let qemu = "qemu-system-x86_64 -accel tcg -display none -nodefaults -monitor stdio -S";
        let script = format!("(echo info qtree; echo quit) | {qemu} {}", options.trim());
        let said = must("sh", &["-c", &script]);
        assert!(
            said.contains("virtio-blk") || said.contains("vhost-user-blk"),
            "{said}"
        );
    }
}
