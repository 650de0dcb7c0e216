//! Guests with an operating system: their file systems are on a volume, and outlive the bridges.

use std::sync::atomic::Ordering;
use std::time::Duration;

use archipelago_guest::{Drive, Guest, Monitor, Outcome};
use serde_json::json;

use crate::bridge::{Bridge, QUEUES};
use crate::volume::{Seen, VOLUME_BYTES, Volume};

fn guest(volume: &Volume) -> Guest {
    let queues = format!("num-queues={QUEUES}");
    let drive = Drive::vhost_user(volume.socket()).reconnecting(1);
    Guest::new()
        .program("fio")
        .program("mkfs.ext4")
        .program("fsck.ext4")
        .module("ext4")
        .drive(drive.option(&queues))
}

/// Another one, which has the volume in use and waits.
fn follow(volume: &Volume) -> Bridge {
    let before = Seen::count(&volume.seen.opens);
    let bridge = Bridge::begin(volume);
    while Seen::count(&volume.seen.opens) == before {
        std::thread::sleep(Duration::from_millis(1));
    }
    bridge
}

fn assert_well(outcome: &Outcome) {
    assert_eq!(outcome.status, 0, "{outcome}");
    assert!(outcome.complaints().is_empty(), "{outcome}");
}

#[test]
fn a_file_system_on_a_volume_is_made_used_grown_and_checked() {
    // VHOST-7
    let volume = Volume::new();
    let mut bridge = Bridge::start(&volume);
    let guest = guest(&volume);
    let mut running = guest
        .start(
            "set -e
            cd /sys/block/vda
            echo size $(cat size) serial $(cat serial) queues $(ls mq | wc -l)
            echo blocks $(cat queue/logical_block_size) $(cat queue/physical_block_size)
            echo discard $(cat queue/discard_granularity) zeroes $(cat queue/write_zeroes_max_bytes)
            echo cache $(cat queue/write_cache)
            mkfs.ext4 -q -E nodiscard /dev/vda
            mount -t ext4 /dev/vda /mnt
            fio --name=v --directory=/mnt --size=16m --rw=randwrite --bsrange=4k-64k --numjobs=2 \\
                --ioengine=libaio --iodepth=8 --direct=1 --verify=crc32c --fsync=64 --group_reporting >&2
            rm /mnt/v.0.0
            fstrim /mnt
            umount /mnt
            fsck.ext4 -fn /dev/vda >&2
            echo checked
            read size
            until [ $(cat size) = $size ]; do usleep 20000; done
            echo grown to $(cat size)",
        )
        .unwrap();
    running.wait_for("checked").unwrap();
    bridge.tell(&format!("resize {}", 2 * VOLUME_BYTES));
    running
        .say(&format!("{}\n", 2 * VOLUME_BYTES / 512))
        .unwrap();
    let outcome = running.wait().unwrap();
    assert_well(&outcome);
    let said = |words: &str| assert!(outcome.output.contains(words), "{words}: {outcome}");
    said(&format!(
        "size {} serial a-serial-number",
        VOLUME_BYTES / 512
    ));
    said("queues 2"); // one for each processor, of four
    said("blocks 512 4096");
    said("discard 4096 zeroes 1073741824");
    said("cache write back");
    said(&format!("grown to {}", 2 * VOLUME_BYTES / 512));
    assert!(Seen::count(&volume.seen.flushes) > 0);
    assert!(
        Seen::count(&volume.seen.discards) > 0,
        "fstrim came through"
    );
}

#[test]
fn a_guest_does_not_notice_that_bridges_are_killed_during_its_writes() {
    // S7, S8, INFLIGHT-1, VHOST-1
    const KILLS: usize = 5;
    let volume = Volume::new();
    let mut bridge = Bridge::start(&volume);
    let qmp = volume.directory.path().join("qmp.sock");
    let mut running = guest(&volume)
        .qmp(&qmp)
        .start(
            "set -e
            mkfs.ext4 -q /dev/vda
            mount -t ext4 /dev/vda /mnt
            echo ready
            until [ -e /run/over ]; do
                fio --name=v --directory=/mnt --size=8m --rw=randwrite --bsrange=4k-128k --numjobs=2 \\
                    --ioengine=libaio --iodepth=8 --direct=1 --verify=crc32c --fsync=64 >&2
            done &
            read over
            touch /run/over
            wait $!
            umount /mnt
            fsck.ext4 -fn /dev/vda >&2",
        )
        .unwrap();
    running.wait_for("ready").unwrap();
    for kill in 0..KILLS {
        let seen = &volume.seen;
        seen.wait_for_writes(20);
        // Some are surely in flight, and come to an end only after the bridge is dead.
        seen.is_held.store(true, Ordering::SeqCst);
        seen.wait_for_writes(3);
        bridge.kill();
        let mut next = follow(&volume);
        // What the dead one had asked last may have come after its death, and before its successor's first word.
        let before = Seen::count(&seen.before_open);
        if kill % 2 == 1 {
            next.kill(); // while it waits
            next = follow(&volume);
        }
        assert_eq!(Seen::count(&seen.writes), before, "S7");
        seen.is_held.store(false, Ordering::SeqCst);
        next.hear("ready");
        if kill % 2 == 0 {
            // While it does again what the first had in flight, or before.
            seen.wait_for_writes(1);
            next.kill();
            next = Bridge::start(&volume);
        }
        bridge = next;
    }
    // One that leaves in peace is no different.
    volume.seen.wait_for_writes(20);
    bridge.tell("drain");
    bridge.hear("drained");
    drop(bridge);
    let _bridge = Bridge::start(&volume);
    volume.seen.wait_for_writes(20);
    // Rings are stopped in the middle of everything, and go on where they were.
    let mut monitor = Monitor::connect(&qmp).unwrap();
    let mut execute = |command| monitor.execute(command, &json!({})).unwrap();
    for _ in 0..5 {
        execute("stop");
        let still = Seen::count(&volume.seen.writes);
        execute("query-status");
        assert_eq!(Seen::count(&volume.seen.writes), still, "VHOST-2");
        execute("cont");
        volume.seen.wait_for_writes(20);
    }
    running.say("over\n").unwrap();
    let outcome = running.wait().unwrap();
    assert_well(&outcome);
}
