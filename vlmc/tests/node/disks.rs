//! Volumes as disks of real clients.

use std::process::Command;

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

#[test]
fn images_are_copied_in_and_out_and_clones_diverge_from_what_they_came_from() {
    let node = Node::started("");
    let (one, other) = (node.path("one.img"), node.path("other.img"));
    image(&one, 64 << 20, 1);
    image(&other, 64 << 20, 2);
    let (one, other) = (one.to_str().unwrap(), other.to_str().unwrap());
    node.vlmc(&["create", "disk", "--size", "64"]).ok();
    let disk = node.uri("disk");
    must("nbdcopy", &["--flush", one, &disk]);
    must(
        "qemu-img",
        &["compare", "-f", "raw", "-F", "raw", one, &disk],
    );
    node.vlmc(&["snapshot", "disk", "monday"]).ok();
    node.vlmc(&["create", "copy", "--snap", "monday"]).ok();
    let copy = node.uri("copy");
    must(
        "qemu-img",
        &["compare", "-f", "raw", "-F", "raw", one, &copy],
    );
    // The original diverges, then the clone.
    must(
        "qemu-img",
        &["convert", "-n", "-f", "raw", "-O", "raw", other, &disk],
    );
    must(
        "qemu-img",
        &["compare", "-f", "raw", "-F", "raw", other, &disk],
    );
    must(
        "qemu-img",
        &["compare", "-f", "raw", "-F", "raw", one, &copy],
    );
    must(
        "qemu-io",
        &[
            "-f",
            "raw",
            "-c",
            "write -P 7 1M 100k",
            "-c",
            "discard 2M 1M",
            "-c",
            "write -z 5M 300k",
            "-c",
            "flush",
            &copy,
        ],
    );
    must(
        "qemu-io",
        &[
            "-f",
            "raw",
            "-r",
            "-c",
            "read -P 7 1M 100k",
            "-c",
            "read -P 0 2M 1M",
            "-c",
            "read -P 0 5M 300k",
            &copy,
        ],
    );
    must(
        "qemu-img",
        &[
            "compare",
            "-f",
            "raw",
            "-F",
            "raw",
            one,
            &node.uri("monday"),
        ],
    );
    must(
        "qemu-img",
        &["compare", "-f", "raw", "-F", "raw", other, &disk],
    );
    let out = node.path("out.img");
    let out = out.to_str().unwrap();
    must("nbdcopy", &[&node.uri("monday"), out]);
    must("cmp", &[one, out]);
    let map = must("nbdinfo", &["--map", &disk]);
    assert!(map.contains("hole"), "{map}");
    assert!(node.names().contains(&"monday".to_owned()));
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
    must(
        "qemu-io",
        &["-f", "raw", "-c", &write, "-c", "flush", &node.uri("huge")],
    );
    node.vlmc(&["snapshot", "huge", "far"]).ok();
    node.vlmc(&["create", "twin", "--snap", "far"]).ok();
    must(
        "qemu-io",
        &["-f", "raw", "-r", "-c", &read, &node.uri("twin")],
    );
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
            "--size=32M",
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
