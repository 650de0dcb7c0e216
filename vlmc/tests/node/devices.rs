//! A whole node within a machine of its own, whose kernel has volumes as block devices: what `vlmc map` makes of them, and what
//! becomes of them when what serves them dies.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use archipelago_guest::{Drive, Guest, Outcome, Release};
use tempfile::TempDir;

const CONFIG: &str = r#"
run_dir = "/run/archipelago"
log_dir = "/store/log"
state_dir = "/store/state"
[segment]
name = "archipelago"
size = "64MiB"
[role.blockerb]
archip_dir = "/store/blocks"
[role.blockerm]
archip_dir = "/store/maps"
"#;

/// What the scripts have in common: a node that runs, on a disk of its own.
const SCRIPT: &str = r#"
set -e
failed() {
    status=$?
    [ $status = 0 ] && return
    cat /store/log/*.log | tail -n 60
    exit $status
}
trap failed EXIT
fail() {
    echo "FAILED: $*"
    exit 1
}
export HOME=/root
mkdir -p /store /run /dev/shm /etc/archipelago
fsck.ext4 -fn /dev/vda >/dev/null 2>&1 || mkfs.ext4 -q /dev/vda
mount -t ext4 /dev/vda /store
pid_of() {
    archipelago --json status | sed 's/},{/}\n{/g' | grep "\"role\":\"$1\"" | sed 's/.*"pid":\([0-9]*\).*/\1/'
}
kill_bridges() {
    pid=$(pid_of vlmcd)
    kill -9 $pid
    for i in $(seq 300); do
        new=$(pid_of vlmcd)
        [ -n "$new" ] && [ "$new" != "$pid" ] && return
        sleep 0.1
    done
    fail "the host was not started again"
}
archipelago start
"#;

struct Machine {
    directory: TempDir,
    guest: Guest,
}

impl Machine {
    fn new() -> Self {
        Self::with_sectors(512)
    }

    /// Its disk has sectors of so many bytes.
    fn with_sectors(bytes: u32) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let disk = directory.path().join("store");
        File::create(&disk).unwrap().set_len(4 << 30).unwrap();
        let drive = Drive::raw(&disk)
            .option(&format!("physical_block_size={bytes}"))
            .option(&format!("logical_block_size={bytes}"));
        let guest = Guest::new()
            .memory_mib(1536)
            .deadline(Duration::from_secs(550))
            .file("/etc/archipelago/archipelago.toml", CONFIG)
            .program(env!("CARGO_BIN_EXE_archipelago"))
            .program(env!("CARGO_BIN_EXE_vlmc"))
            .module("virtio_blk")
            .module("ext4")
            .program("mkfs.ext4")
            .program("fsck.ext4")
            .program("fio")
            .drive(drive);
        Self { directory, guest }
    }

    fn with(mut self, change: impl FnOnce(Guest) -> Guest) -> Self {
        self.guest = change(self.guest);
        self
    }

    #[track_caller]
    fn run(&self, script: &str) -> Outcome {
        let outcome = self.guest.run(&format!("{SCRIPT}{script}"));
        let outcome = outcome.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(outcome.status, 0, "{outcome}");
        assert_eq!(outcome.complaints(), [""; 0], "{outcome}");
        assert!(Path::new(&self.directory.path().join("store")).exists());
        outcome
    }
}

/// What is done with a device of any kind, made of the volume `disk` of 512 MiB: `$device` is its name.
const LIFE: &str = r#"
    case $device in /dev/ublkb*|/dev/nbd*) ;; *) fail "no device: $device" ;; esac
    [ "$(readlink /dev/archipelago/disk)" = $device ] || fail "no stable name"
    name=${device#/dev/}
    [ $(cat /sys/block/$name/size) = 1048576 ] || fail "size $(cat /sys/block/$name/size)"
    [ "$(archipelago device-name $name)" = disk ] || fail "whose device?"
    $mkfs $device
    mount -t $type $device /mnt
    vlmc unmap $device && fail "a mounted device was taken away"
    vlmc remove disk && fail "a mapped volume was removed"
    fio --name=load --directory=/mnt --size=16m --rw=randrw --bsrange=4k-64k --ioengine=psync --direct=1 --fsync=32 \
        --verify=crc32c --verify_fatal=1 --time_based --runtime=30 --loops=1000 --eta=never --output=/tmp/fio.log &
    load=$!
    for round in 1 2 3; do
        sleep 4
        kill_bridges
    done
    archipelago restart
    wait $load || { cat /tmp/fio.log; fail "load"; }
    archipelago reattach
    vlmc showmapped
    cp /usr/local/bin/vlmc /mnt/copy && sync && echo 3 >/proc/sys/vm/drop_caches && cmp /usr/local/bin/vlmc /mnt/copy
    dd if=/dev/urandom of=/mnt/big bs=1M count=64 2>/dev/null
    sync
    before=$(du -s -k /store/blocks | cut -f1)
    rm /mnt/big
    sync
    fstrim /mnt
    sync
    for i in $(seq 50); do
        after=$(du -s -k /store/blocks | cut -f1)
        [ $((before - after)) -gt 50000 ] && break
        sleep 0.2
    done
    [ $((before - after)) -gt 50000 ] || fail "fstrim gave back too little: $before $after"
    umount /mnt
    $fsck $device
"#;

const END: &str = r#"
    vlmc unmap $device
    [ ! -e /dev/archipelago/disk ] || fail "the stable name is left"
    [ "$(vlmc showmapped)" = "No volumes mapped" ] || fail "still mapped"
    vlmc remove disk
    archipelago stop
    echo finished
"#;

fn life(make: &str, type_: &str, mkfs: &str, fsck: &str) -> String {
    format!(
        "vlmc create disk --size 512\ndevice=$({make})\ntype={type_}\nmkfs=\"{mkfs}\"\nfsck=\"{fsck}\"\n{LIFE}"
    )
}

/// UBLK-1, ATTACHMENT-2, S8, F87, F82
#[test]
fn an_ext4_on_ublk_outlives_its_server_and_gives_space_back() {
    let machine = Machine::new().with(|guest| guest.module("ublk_drv"));
    let script = life("vlmc map disk", "ext4", "mkfs.ext4 -q", "fsck.ext4 -fn");
    let outcome = machine.run(&format!("{script}{END}"));
    assert!(outcome.output.contains("finished"), "{outcome}");
}

/// UBLK-1, S8: a kernel years younger, which can have its device grow.
#[test]
fn an_ext4_on_ublk_sees_its_volume_grow_where_the_kernel_can() {
    let machine = Machine::new().with(|guest| {
        let guest = guest.release(Release::Newest).program("resize2fs");
        guest.module("ublk_drv")
    });
    let make = "vlmc map disk --type ublk";
    let script = life(make, "ext4", "mkfs.ext4 -q", "fsck.ext4 -fn");
    let grow = r#"
        mount -t ext4 $device /mnt
        fio --name=load --directory=/mnt --size=16m --rw=randrw --bs=4k --ioengine=psync --direct=1 --verify=crc32c \
            --verify_fatal=1 --time_based --runtime=10 --loops=1000 --eta=never --output=/tmp/fio.log &
        load=$!
        sleep 3
        vlmc resize disk --size 768
        [ $(cat /sys/block/$name/size) = 1572864 ] || fail "size $(cat /sys/block/$name/size)"
        resize2fs $device
        [ $(df -m /mnt | tail -n 1 | tr -s ' ' | cut -d ' ' -f 2) -gt 600 ] || fail "the file system did not grow"
        kill_bridges
        wait $load || { cat /tmp/fio.log; fail "load while it grew"; }
        [ $(cat /sys/block/$name/size) = 1572864 ] || fail "size $(cat /sys/block/$name/size) after a recovery"
        umount /mnt
        # Where nothing lies yet of what was added.
        dd if=/dev/urandom of=/tmp/new bs=1M count=4
        dd if=/tmp/new of=$device bs=1M seek=700 conv=fsync
        echo 3 >/proc/sys/vm/drop_caches
        dd if=$device of=/tmp/read bs=1M skip=700 count=4
        cmp /tmp/new /tmp/read
        fsck.ext4 -fn $device
    "#;
    let outcome = machine.run(&format!("{script}{grow}{END}"));
    assert!(outcome.output.contains("finished"), "{outcome}");
}

/// CARRIER-1, LOAN-1, LOAN-2, S8: long requests are read and written where the kernel has them, whatever memory that is, and however the
/// server ends; else they are copied, which shows in what the server's process has read and written by itself.
#[test]
fn a_ublk_device_is_served_without_copies_where_the_kernel_can() {
    let machine = Machine::with_sectors(4096).with(|guest| {
        let guest = guest.release(Release::Newest).module("ublk_drv");
        guest.program("blkdiscard")
    });
    let script = r#"
        config=/etc/archipelago/archipelago.toml
        cp $config /tmp/config
        dd if=/dev/urandom of=/tmp/data bs=1M count=32 2>/dev/null
        by_itself() {
            sum=0
            for count in $(sed -n 's/^[rw]char: //p' /proc/$(pid_of vlmcd)/io); do sum=$((sum + count)); done
            echo $sum
        }
        there_and_back() {
            before=$(by_itself)
            dd if=/tmp/data of=$device bs=1M oflag=direct seek=64 2>/dev/null
            dd if=$device bs=1M count=32 iflag=direct skip=64 2>/dev/null | cmp - /tmp/data || fail "read something else"
            moved=$(($(by_itself) - before))
        }
        for direct in false true; do
            sed "/^\[role.blockerb\]/a direct = $direct" /tmp/config >$config
            printf '[ublk]\nzero_copy = false\n' >>$config
            archipelago restart
            vlmc create disk --size 512
            device=$(vlmc map disk --type ublk)
            there_and_back
            [ $moved -gt 67000000 ] || fail "only $moved bytes were copied"
            vlmc unmap $device
            sed -i 's/^zero_copy.*/zero_copy = true/' $config
            archipelago restart
            device=$(vlmc map disk --type ublk)
            there_and_back
            [ $moved -lt 33000000 ] || fail "$moved bytes were copied"

            # Holes, sectors, and memory that is cut oddly; the server is killed meanwhile.
            blkdiscard -o 68157440 -l 1048576 $device
            { dd if=/tmp/data bs=1M count=1; dd if=/dev/zero bs=1M count=1; dd if=/tmp/data bs=1M skip=2; } 2>/dev/null >/tmp/holed
            dd if=$device bs=1M count=32 iflag=direct skip=64 2>/dev/null | cmp - /tmp/holed || fail "a hole"
            fio --filename=$device --ioengine=libaio --direct=1 --verify=crc32c --verify_fatal=1 --verify_backlog=64 \
                --time_based --runtime=20 --loops=1000 --eta=never --output=/tmp/fio.log \
                --name=odd --rw=randwrite --bsrange=512-66048 --blockalign=512 --iodepth=8 --size=24m --offset=128m \
                --name=pieces --rw=randwrite --bs=32k --mem_align=512 --iodepth=4 --size=16m --offset=160m \
                --name=long --rw=randwrite --bsrange=16k-1m --iodepth=4 --size=64m --offset=192m &
            load=$!
            for round in 1 2 3; do
                sleep 4
                kill_bridges
            done
            wait $load || { cat /tmp/fio.log; fail "load"; }
            dd if=$device bs=1M count=32 iflag=direct skip=64 2>/dev/null | cmp - /tmp/holed || fail "changed by others"
            vlmc unmap $device
            vlmc remove disk
        done
        archipelago stop
        echo finished
    "#;
    let outcome = machine.run(script);
    assert!(outcome.output.contains("finished"), "{outcome}");
}

/// KERNELNBD-1, KERNELNBD-2, S8: the kernel's own client, which waits for its connection.
#[test]
fn an_xfs_on_the_kernels_nbd_outlives_its_server_and_sees_its_volume_grow() {
    let tools = |guest: Guest| {
        let guest = ["mkfs.xfs", "xfs_repair", "xfs_growfs"]
            .into_iter()
            .fold(guest, Guest::program);
        guest.module("nbd").module("xfs")
    };
    let machine = Machine::new().with(tools);
    let make = "vlmc map disk --type nbd";
    let script = life(make, "xfs", "mkfs.xfs -q -f", "xfs_repair -n");
    let grow = r#"
        mount -t xfs $device /mnt
        vlmc resize disk --size 768
        for i in $(seq 100); do [ $(cat /sys/block/$name/size) = 1572864 ] && break; sleep 0.1; done
        [ $(cat /sys/block/$name/size) = 1572864 ] || fail "size $(cat /sys/block/$name/size)"
        xfs_growfs /mnt
        [ $(df -m /mnt | tail -n 1 | tr -s ' ' | cut -d ' ' -f 2) -gt 600 ] || fail "the file system did not grow"
        umount /mnt
        # Where nothing lies yet of what was added.
        dd if=/dev/urandom of=/tmp/new bs=1M count=4
        dd if=/tmp/new of=$device bs=1M seek=700 conv=fsync
        echo 3 >/proc/sys/vm/drop_caches
        dd if=$device of=/tmp/read bs=1M skip=700 count=4
        cmp /tmp/new /tmp/read
        xfs_repair -n $device
    "#;
    let outcome = machine.run(&format!("{script}{grow}{END}"));
    assert!(outcome.output.contains("finished"), "{outcome}");
}

/// ATTACHMENT-4
#[test]
fn what_is_to_stay_attached_is_there_again_after_a_boot() {
    let machine = Machine::new().with(|guest| guest.module("ublk_drv").module("nbd"));
    machine.run(
        "for volume in kept other nbd; do vlmc create $volume --size 64; done
        vlmc map kept --persist
        vlmc map nbd --type nbd --persist
        vlmc map other
        [ $(vlmc showmapped | wc -l) = 4 ] || fail shown
        mkfs.ext4 -q /dev/archipelago/kept
        sync",
    );
    let outcome = machine.run(
        "for i in $(seq 200); do [ $(vlmc showmapped | wc -l) = 3 ] && break; sleep 0.1; done
        vlmc showmapped
        fsck.ext4 -fn /dev/archipelago/kept
        cmp -n 65536 /dev/archipelago/nbd /dev/zero
        [ ! -e /dev/archipelago/other ] || fail other
        vlmc unmap kept
        # By the same host, which served it just now (ORPHAN-1).
        again=$(vlmc map kept)
        fsck.ext4 -fn $again
        dd if=/dev/zero of=$again bs=1M count=1 seek=40 conv=fsync
        vlmc unmap kept
        vlmc unmap nbd
        archipelago restart
        archipelago reattach
        vlmc showmapped
        [ \"$(vlmc showmapped)\" = 'No volumes mapped' ] || fail 'still wished for'
        archipelago stop
        echo finished",
    );
    assert!(outcome.output.contains("finished"), "{outcome}");
}
