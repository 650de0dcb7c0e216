//! The NBD driver of a guest's kernel as the client, and `examples/nbd_device.rs` as the server.

use std::path::PathBuf;

use archipelago_guest::{Guest, Outcome};

fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let directory = test
        .ancestors()
        .nth(2)
        .expect("it is in target/PROFILE/deps");
    directory.join("examples/nbd_device")
}

const SCRIPT: &str = r#"
set -e
trap '[ $? = 0 ] || cat /tmp/server.log' EXIT
serve() {
    rm -f /tmp/server.log # that of the server before says that it is serving, too
    nbd_device serve /tmp/socket "$1" /tmp/disk >/tmp/server.log 2>&1 &
    server=$!
    until grep -qs serving /tmp/server.log; do sleep 0.1; done
}
fail() {
    echo "FAILED: $*"
    exit 1
}
"#;

fn run(guest: &Guest, script: &str) -> Outcome {
    let guest = guest.clone().module("nbd").program(program());
    let outcome = guest
        .memory_mib(1024)
        .run(&format!("{SCRIPT}{script}"))
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(outcome.status, 0, "{outcome}");
    outcome
}

#[test]
fn a_file_system_lives_on_an_export_and_grows_with_it() {
    let guest = Guest::new()
        .module("ext4")
        .program("mkfs.ext4")
        .program("resize2fs")
        .program("fsck.ext4");
    let script = r#"
        serve 128
        nbd_device connect /tmp/socket --export other && fail "there is no such export"
        index=$(nbd_device connect /tmp/socket --connections 2)
        [ "$index" = 0 ] || fail "index $index"
        nbd_device connect /tmp/socket --index 0 && fail "connected twice"
        nbd_device status
        [ "$(cat /sys/block/nbd0/backend)" = example ] || fail backend
        [ $(cat /sys/block/nbd0/size) = 262144 ] || fail size
        [ $(cat /sys/block/nbd0/queue/logical_block_size) = 512 ] || fail "block size"
        [ "$(cat /sys/block/nbd0/queue/write_cache)" = "write back" ] || fail cache
        mkfs.ext4 -q /dev/nbd0
        mount -t ext4 /dev/nbd0 /mnt
        dd if=/dev/urandom of=/tmp/data bs=1M count=40 2>/dev/null
        cp /tmp/data /mnt/data; cp /tmp/data /mnt/gone
        sync; echo 3 >/proc/sys/vm/drop_caches
        cmp /tmp/data /mnt/data || fail data
        before=$(du -k /tmp/disk | cut -f1)
        rm /mnt/gone; sync; fstrim /mnt; sync
        [ $((before - $(du -k /tmp/disk | cut -f1))) -gt 30000 ] || fail "fstrim gave back too little"
        nbd_device disconnect 0 && fail "a mounted device was disconnected"

        # Another size: the server is another one by then, as after a restart. A write waits for it meanwhile.
        kill -9 $server; wait $server || true
        dd if=/tmp/data of=/mnt/waiting bs=1M count=4 oflag=direct 2>/dev/null &
        waiting=$!
        sleep 1
        serve 256
        nbd_device reconnect 0 /tmp/socket --connections 2 --backend wrong && fail "reconnected by another"
        nbd_device reconnect 0 /tmp/socket --connections 2
        [ $(cat /sys/block/nbd0/size) = 524288 ] || fail "not grown"
        resize2fs /dev/nbd0
        echo 3 >/proc/sys/vm/drop_caches
        wait $waiting || fail "the write that waited"
        cmp -n 4194304 /tmp/data /mnt/waiting || fail "what waited"
        cmp /tmp/data /mnt/data || fail "data after growing"
        [ $(df -m /mnt | awk 'END { print $2 }') -gt 200 ] || fail "file system has not grown"
        umount /mnt
        fsck.ext4 -fn /dev/nbd0 || fail fsck
        nbd_device resize 0 128
        [ $(cat /sys/block/nbd0/size) = 262144 ] || fail "not smaller"
        nbd_device disconnect 0
        [ $(cat /sys/block/nbd0/size) = 0 ] || fail "still there"
        nbd_device reconnect 0 /tmp/socket && fail "there is nothing to reconnect"
        kill $server
    "#;
    let outcome = run(&guest, script);
    let says = |words: &str| assert!(outcome.output.contains(words), "{words}: {outcome}");
    says("the server has no export other");
    says("/dev/nbd0 is in use by another export");
    says("DeviceStatus { index: 0, is_connected: true }");
    says("/dev/nbd0 is in use: mounted at /mnt");
    says("/dev/nbd0 is not connected, or to something else");
    assert_eq!(outcome.complaints(), [""; 0], "{outcome}");
}

#[test]
fn servers_that_are_killed_under_a_verified_load_cost_no_error() {
    let script = r#"
        serve 128
        nbd_device connect /tmp/socket --connections 1
        echo 3000 >/sys/block/nbd0/queue/io_timeout # what a dead connection has not answered is asked again then
        fio --name=load --filename=/dev/nbd0 --rw=randwrite --bsrange=4k-64k --size=32M --numjobs=2 --time_based --runtime=20 \
            --offset_increment=64M --ioengine=libaio --direct=1 --iodepth=16 --verify=crc32c --verify_backlog=256 \
            --verify_fatal=1 --output=/tmp/fio.log &
        load=$!
        rounds=0
        while [ $rounds -lt 3 ]; do
            sleep 1
            kill -0 $load 2>/dev/null || break
            kill -9 $server
            wait $server || true
            serve 128
            nbd_device reconnect 0 /tmp/socket --connections 1
            rounds=$((rounds + 1))
            # What was in flight is asked again only now: the load has to get on before the next death.
            sleep 4
        done
        echo "$rounds servers were killed"
        wait $load || { cat /tmp/fio.log; fail load; }
        [ $rounds -gt 1 ] || fail "the load was over too early"
        nbd_device disconnect 0
        kill $server
    "#;
    let outcome = run(&Guest::new().program("fio"), script);
    assert_eq!(outcome.complaints(), [""; 0], "{outcome}");
}

#[test]
fn a_kernel_without_the_driver_and_a_user_without_rights_are_told_so() {
    let script = r#"
        rmmod nbd
        nbd_device status && fail "there is no driver"
        insmod /guest/modules/nbd.ko
        serve 64
        chmod 777 /tmp/socket
        setpriv --reuid 65534 --clear-groups nbd_device connect /tmp/socket && fail "not by anybody"
        nbd_device disconnect 3 || fail "what is not connected need not be disconnected"
        kill $server
    "#;
    let outcome = run(&Guest::new().program("setpriv"), script);
    let says = |words: &str| assert!(outcome.output.contains(words), "{words}: {outcome}");
    says("`modprobe nbd`");
    says("connecting the device needs root");
}
