//! Volumes as disks of real clients.

use std::process::Command;

use crate::stores;
use crate::support::{Node, must};

/// Bytes that are not all alike.
fn image(path: &std::path::Path, bytes: usize, seed: u64) {
    let mut state = seed;
    let data: Vec<u8> = (0..bytes / 8)
        .flat_map(|word| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            // A third of it is zero, in stretches.
            let zero = (word >> 14) % 3 == 0;
            (if zero { 0 } else { state }).to_le_bytes()
        })
        .collect();
    std::fs::write(path, data).unwrap();
}

#[track_caller]
fn same(image: &str, uri: &str) {
    let formats = ["compare", "-f", "raw", "-F", "raw"];
    must("qemu-img", &[&formats[..], &[image, uri]].concat());
}

#[track_caller]
fn qemu_io(uri: &str, commands: &[&str]) {
    let commands: Vec<&str> = commands.iter().flat_map(|said| ["-c", said]).collect();
    let said = must("qemu-io", &[&["-f", "raw"], &commands[..], &[uri]].concat());
    assert!(!said.contains("Pattern verification failed"), "{said}");
}

#[test]
fn images_are_copied_in_and_out_and_clones_diverge_from_what_they_came_from() {
    let node = Node::started("");
    let (one, other) = (node.path("one.img"), node.path("other.img"));
    let mib = stores::fewer(64, 16);
    image(&one, mib << 20, 1);
    image(&other, mib << 20, 2);
    let (one, other) = (one.to_str().unwrap(), other.to_str().unwrap());
    node.vlmc(&["create", "disk", "--size", &mib.to_string()])
        .ok();
    let (disk, copy, monday) = (node.uri("disk"), node.uri("copy"), node.uri("monday"));
    must("nbdcopy", &["--flush", one, &disk]);
    same(one, &disk);
    node.vlmc(&["snapshot", "disk", "monday"]).ok();
    node.vlmc(&["create", "copy", "--snap", "monday"]).ok();
    same(one, &copy);
    // The original diverges, then the clone.
    let convert = ["convert", "-n", "-f", "raw", "-O", "raw", other, &disk];
    must("qemu-img", &convert);
    same(other, &disk);
    same(one, &copy);
    let changes = [
        "write -P 7 1M 100k",
        "discard 2M 1M",
        "write -z 5M 300k",
        "flush",
    ];
    qemu_io(&copy, &changes);
    qemu_io(
        &copy,
        &["read -P 7 1M 100k", "read -P 0 2M 1M", "read -P 0 5M 300k"],
    );
    same(one, &monday);
    same(other, &disk);
    let out = node.path("out.img");
    must("nbdcopy", &[&monday, out.to_str().unwrap()]);
    must("cmp", &[one, out.to_str().unwrap()]);
    let map = must("nbdinfo", &["--map", &disk]);
    assert!(map.contains("hole"), "{map}");
}

#[test]
fn a_file_system_on_a_volume_survives_a_restart_of_the_node() {
    let node = Node::started("");
    node.vlmc(&["create", "disk", "--size", "64"]).ok();
    let file = node.path("fs.img");
    let file = file.to_str().unwrap();
    must("truncate", &["--size=64M", file]);
    must(
        "mkfs.ext4",
        &["-q", "-F", "-d", env!("CARGO_MANIFEST_DIR"), file],
    );
    must(
        "qemu-img",
        &[
            "convert",
            "-n",
            "-f",
            "raw",
            "-O",
            "raw",
            file,
            &node.uri("disk"),
        ],
    );
    node.archipelago(&["restart"]).ok();
    let back = node.path("back.img");
    let back = back.to_str().unwrap();
    must("nbdcopy", &[&node.uri("disk"), back]);
    must("cmp", &[file, back]);
    must("e2fsck", &["-f", "-n", back]);
}

/// 1 PiB, written at its far end.
#[test]
fn a_petabyte_is_made_written_at_its_end_snapshot_cloned_and_removed() {
    let node = Node::started("");
    node.vlmc(&["create", "huge", "--size", "1P"]).ok();
    let at = ((1_u64 << 50) - (1 << 20)).to_string();
    let (write, read) = (format!("write -P 9 {at} 1M"), format!("read -P 9 {at} 1M"));
    qemu_io(&node.uri("huge"), &[&write, "flush"]);
    node.vlmc(&["snapshot", "huge", "far"]).ok();
    node.vlmc(&["create", "twin", "--snap", "far"]).ok();
    qemu_io(&node.uri("twin"), &[&read]);
    for name in ["twin", "far", "huge"] {
        node.vlmc(&["remove", name]).ok();
    }
    assert!(node.names().is_empty());
}

#[test]
fn fio_finds_what_it_wrote() {
    let node = Node::started("");
    node.vlmc(&["create", "disk", "--size", "64"]).ok();
    let uri = format!("--uri={}", node.uri("disk"));
    let output = Command::new("fio")
        .args([
            "--name=verified",
            "--ioengine=nbd",
            &uri,
            "--rw=randwrite",
            "--bs=4k",
            &format!("--size={}M", stores::fewer(32, 6)),
        ])
        .args([
            "--iodepth=16",
            "--verify=crc32c",
            "--verify_fatal=1",
            "--fsync=64",
        ])
        .current_dir(node.path(""))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}
