//! The driver of a guest's kernel, and `examples/ublk_device.rs` as its server.

use std::path::PathBuf;

use archipelago_guest::{Guest, Outcome, Release};

/// The server, which cargo builds with the tests.
fn server() -> PathBuf {
    let test = std::env::current_exe().expect("/proc is there");
    let directory = test
        .ancestors()
        .nth(2)
        .expect("it is in target/PROFILE/deps");
    directory.join("examples/ublk_device")
}

/// What the scripts have in common: `serve` takes over as the server of device 0, which has a file behind it.
const SCRIPT: &str = r#"
set -e
trap '[ $? = 0 ] || cat /tmp/server.log' EXIT
serve() {
    ublk_device serve "$@" >>/tmp/server.log 2>&1 &
    server=$!
}
fail() {
    echo "FAILED: $*"
    exit 1
}
"#;

fn guest() -> Guest {
    let guest = Guest::new().module("ublk_drv").program(server());
    guest.memory_mib(1024)
}

fn run(guest: &Guest, script: &str) -> Outcome {
    let outcome = guest
        .run(&format!("{SCRIPT}{script}"))
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(outcome.status, 0, "{outcome}");
    outcome
}

fn clean(outcome: &Outcome) {
    assert_eq!(outcome.complaints(), [""; 0], "{outcome}");
}

#[test]
fn a_file_system_lives_on_a_device_whose_server_has_no_rights() {
    let guest = guest()
        .module("ext4")
        .program("mkfs.ext4")
        .program("fsck.ext4")
        .program("setpriv");
    let script = r#"
        touch /tmp/disk && chown 65534 /tmp/disk
        shape=$(ublk_device add --queues 2 --user 65534 256)
        [ "$shape" = "0 2 64" ] || fail "shape $shape"
        setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all \
            ublk_device serve $shape 256 --file /tmp/disk >>/tmp/server.log 2>&1 &
        ublk_device start 0 $!
        [ $(cat /sys/block/ublkb0/size) = 524288 ] || fail size
        [ "$(cat /sys/block/ublkb0/queue/write_cache)" = "write back" ] || fail cache
        [ $(cat /sys/block/ublkb0/queue/fua) = 1 ] || fail fua
        [ $(cat /sys/block/ublkb0/queue/max_hw_sectors_kb) = 1024 ] || fail length
        [ $(ls /sys/block/ublkb0/mq | wc -l) = 2 ] || fail queues
        mkfs.ext4 -q /dev/ublkb0
        mount -t ext4 /dev/ublkb0 /mnt
        for file in 1 2 3 4; do dd if=/dev/urandom of=/tmp/$file bs=1M count=16 2>/dev/null; done
        for file in 1 2 3 4; do dd if=/tmp/$file of=/mnt/$file bs=1M conv=fsync 2>/dev/null & copies="$copies $!"; done
        wait $copies
        sync; echo 3 >/proc/sys/vm/drop_caches
        for file in 1 2 3 4; do cmp /tmp/$file /mnt/$file || fail "file $file"; done
        before=$(du -k /tmp/disk | cut -f1)
        rm /mnt/[123]; sync; fstrim /mnt; sync
        after=$(du -k /tmp/disk | cut -f1)
        [ $((before - after)) -gt 40000 ] || fail "fstrim gave back too little: $before $after"
        ublk_device stop 0 && fail "a mounted device was stopped"
        umount /mnt
        fsck.ext4 -fn /dev/ublkb0 || fail fsck
        ublk_device stop 0
        wait
        ublk_device delete 0
        [ "$(ublk_device list)" = "[]" ] || fail "left over: $(ublk_device list)"
        ls /dev/ublk[bc]* && fail "left over"
        cat /tmp/server.log
    "#;
    let outcome = run(&guest, script);
    assert!(
        outcome
            .output
            .contains("/dev/ublkb0 is in use: mounted at /mnt"),
        "{outcome}"
    );
    clean(&outcome);
}

#[test]
fn servers_that_are_killed_under_a_verified_load_cost_no_error() {
    // DEVICE-1
    let guest = guest().program("fio");
    let script = r#"
        shape=$(ublk_device add --queues 2 128)
        serve $shape 128 --file /tmp/disk
        ublk_device start 0 $server
        fio --name=load --filename=/dev/ublkb0 --rw=randwrite --bsrange=4k-64k --size=32M --loops=3 --numjobs=2 \
            --offset_increment=64M --ioengine=libaio --direct=1 --iodepth=16 --verify=crc32c --verify_backlog=256 \
            --verify_fatal=1 --output=/tmp/fio.log &
        load=$!
        rounds=0
        while [ $rounds -lt 6 ]; do
            sleep 1
            kill -0 $load 2>/dev/null || break
            ublk_device begin 0 --within-ms 1 2>/dev/null && fail "a server that lives was taken for dead"
            kill -9 $server
            wait $server || true
            ublk_device begin 0
            serve $shape 128 --file /tmp/disk
            ublk_device end 0 $server
            rounds=$((rounds + 1))
        done
        echo "$rounds servers were killed"
        wait $load || { cat /tmp/fio.log; fail load; }
        [ $rounds -gt 1 ] || fail "the load was over too early"
        ublk_device stop 0
        wait $server
        ublk_device delete 0
    "#;
    clean(&run(&guest, script));
}

#[test]
fn a_device_is_what_its_disk_is() {
    // DEVICE-2
    let script = r#"
        ublk_device features
        shape=$(ublk_device add --read-only 64)
        serve $shape 64 --read-only
        ublk_device start 0 $server
        [ $(cat /sys/block/ublkb0/ro) = 1 ] || fail "not read only"
        dd if=/dev/zero of=/dev/ublkb0 bs=4k count=1 2>/dev/null && fail "written to"
        dd if=/dev/ublkb0 of=/dev/null bs=1M 2>/dev/null || fail "not read"
        ublk_device info 0
        ublk_device resize 0 128 && fail "resized"
        ublk_device stop 0; wait $server; ublk_device delete 0

        # In memory, that the blocks of it come and go.
        shape=$(ublk_device add 64)
        serve $shape 64
        ublk_device start 0 $server
        dd if=/dev/urandom of=/tmp/data bs=1M count=8 2>/dev/null
        dd if=/tmp/data of=/dev/ublkb0 bs=512 oflag=direct count=1000 seek=3 2>/dev/null
        dd if=/tmp/data of=/dev/ublkb0 bs=1M oflag=direct seek=1 2>/dev/null
        dd if=/dev/ublkb0 bs=512 skip=3 count=1000 iflag=direct 2>/dev/null | cmp -n 512000 - /tmp/data || fail sectors
        dd if=/dev/ublkb0 bs=1M skip=1 count=8 iflag=direct 2>/dev/null | cmp - /tmp/data || fail megabytes
        blkdiscard -o 2097152 -l 1048576 /dev/ublkb0
        dd if=/dev/ublkb0 bs=1M skip=2 count=1 iflag=direct 2>/dev/null | cmp -n 1048576 - /dev/zero || fail discarded
        blkdiscard -z -o 4194304 -l 512 /dev/ublkb0
        dd if=/dev/ublkb0 bs=512 skip=8192 count=1 iflag=direct 2>/dev/null | cmp -n 512 - /dev/zero || fail zeroed
        ublk_device stop 0; wait $server; ublk_device delete 0

        # On a file system that is too small for it: errors are told, and the device goes on.
        mkdir /small && mount -t tmpfs -o size=8m tmpfs /small
        shape=$(ublk_device add 64)
        serve $shape 64 --file /small/disk
        ublk_device start 0 $server
        dd if=/tmp/data of=/dev/ublkb0 bs=1M count=4 oflag=direct 2>/dev/null || fail "has room"
        dd if=/dev/zero of=/dev/ublkb0 bs=1M seek=4 count=16 oflag=direct && fail "has no room"
        dd if=/dev/ublkb0 bs=1M count=4 iflag=direct 2>/dev/null | cmp -n 4194304 - /tmp/data || fail "goes on"
        ublk_device stop 0; wait $server; ublk_device delete 0
        ublk_device info 0 && fail "it is gone"
        true
    "#;
    let outcome = run(&guest().program("blkdiscard"), script);
    let says = |words: &str| assert!(outcome.output.contains(words), "{words}: {outcome}");
    says("0x1fe\n");
    says("Linux 6.16 can");
    says("there is no device 0");
    says("is_read_only: true");
    says("No space left on device");
}

/// CARRIER-1: who gives no numbers for the memory of requests has them copied, and one server of that kind after one of the other.
#[test]
fn a_device_whose_memory_could_be_registered_needs_no_server_that_does_it() {
    let script = r#"
        for number in 0 1; do
            shape=$(ublk_device add --registered --queues 2 64)
            [ "${shape%% *}" = $number ] || fail "shape $shape"
            serve $shape 64 --file /tmp/disk$number
            ublk_device start $number $server
            eval "server$number=$server"
        done
        ublk_device info 0
        dd if=/dev/urandom of=/tmp/data bs=1M count=16 2>/dev/null
        there_and_back() {
            for number in 0 1; do
                dd if=/tmp/data of=/dev/ublkb$number bs=1M seek=$1 oflag=direct 2>/dev/null || fail "not written to $number"
                dd if=/dev/ublkb$number bs=1M skip=$1 count=16 iflag=direct 2>/dev/null | cmp - /tmp/data || fail "data of $number"
            done
        }
        there_and_back 0
        kill -9 $server0; wait $server0 || true
        ublk_device begin 0
        serve 0 2 64 64 --file /tmp/disk0 --registered
        ublk_device end 0 $server
        server0=$server
        there_and_back 20
        kill -9 $server0; wait $server0 || true
        ublk_device begin 0
        serve 0 2 64 64 --file /tmp/disk0
        ublk_device end 0 $server
        there_and_back 40
        for number in 0 1; do ublk_device stop $number; done
        wait
        for number in 0 1; do ublk_device delete $number; done
        [ "$(ublk_device list)" = "[]" ] || fail "left over"
    "#;
    let outcome = run(&guest().release(Release::Newest), script);
    assert!(outcome.output.contains("DriverFeatures("), "{outcome}");
    let told = outcome.output.split("DriverFeatures(").nth(1).unwrap();
    let features: u64 = told[..told.find(')').unwrap()].parse().unwrap();
    assert!(features & 1 << 11 != 0, "{outcome}");
    clean(&outcome);
}

#[test]
fn an_ordinary_user_may_have_a_device_where_the_control_device_is_theirs() {
    let script = r#"
        user() { setpriv --reuid 1000 --regid 1000 --clear-groups "$@"; }
        user ublk_device add 64 && fail "without being allowed"
        chmod 666 /dev/ublk-control
        # What a udev rule does as soon as there is a device: its file is its owner's.
        (until chown 1000 /dev/ublkc0 2>/dev/null; do sleep 0.05; done) &
        rule=$!
        user ublk_device add 64 || fail "not added"
        wait $rule
        setpriv --reuid 1000 --regid 1000 --clear-groups             ublk_device serve 0 1 64 64 --buffer-bytes 1048576 >>/tmp/server.log 2>&1 &
        server=$!
        user ublk_device start 0 $server
        dd if=/dev/urandom of=/tmp/data bs=1M count=20 2>/dev/null
        dd if=/tmp/data of=/dev/ublkb0 bs=1M oflag=direct 2>/dev/null
        dd if=/tmp/data of=/dev/ublkb0 bs=1M seek=30 2>/dev/null; sync; echo 3 >/proc/sys/vm/drop_caches
        for at in 0 30; do
            dd if=/dev/ublkb0 bs=1M skip=$at count=20 2>/dev/null | cmp - /tmp/data || fail "data at $at"
        done
        user ublk_device info 0
        user ublk_device begin 0 --within-ms 1 && fail "it has no recovery"
        setpriv --reuid 2000 --clear-groups ublk_device delete 0 && fail "deleted by somebody else"
        ublk_device stop 0; wait $server
        user ublk_device delete 0
        [ "$(ublk_device list)" = "[]" ] || fail "left over"
    "#;
    let outcome = run(&guest().program("setpriv"), script);
    assert!(outcome.output.contains("owner: 1000"), "{outcome}");
    clean(&outcome);
}

#[test]
fn a_recovery_that_is_cut_off_is_begun_once_more() {
    let script = r#"
        shape=$(ublk_device add 64)
        serve $shape 64 --file /tmp/disk
        ublk_device start 0 $server
        dd if=/dev/urandom of=/tmp/data bs=1M count=4 2>/dev/null
        dd if=/tmp/data of=/dev/ublkb0 bs=1M oflag=direct 2>/dev/null
        dd if=/dev/zero of=/dev/ublkb0 bs=1M count=1 seek=10 oflag=direct 2>/dev/null
        kill -9 $server; wait $server || true
        dd if=/dev/ublkb0 of=/tmp/back bs=1M count=4 iflag=direct 2>/dev/null & reader=$!

        ublk_device begin 0             # whoever begins it dies, and the next one does not know
        ublk_device begin 0
        serve $shape 64 --file /tmp/disk
        sleep 1                         # it fetches, and dies before the recovery is ended
        kill -9 $server; wait $server || true
        ublk_device begin 0
        serve $shape 64 --file /tmp/disk
        ublk_device end 0 $server
        wait $reader || fail "not read"
        cmp /tmp/data /tmp/back || fail "read something else"
        ublk_device begin 0 --within-ms 1 && fail "its server lives"

        # A server that ends in good order leaves its device to the next one, too.
        kill -9 $server; wait $server || true
        ublk_device begin 0
        serve $shape 64 --file /tmp/disk --seconds 2
        ublk_device end 0 $server
        wait $server || fail "it did not end in good order"
        dd if=/dev/ublkb0 bs=1M count=4 iflag=direct 2>/dev/null | cmp - /tmp/data & reader=$!
        ublk_device begin 0
        serve $shape 64 --file /tmp/disk
        ublk_device end 0 $server
        wait $reader || fail "read something else from the last one"
        ublk_device stop 0; wait $server; ublk_device delete 0
    "#;
    let outcome = run(&guest(), script);
    let says = |words: &str| assert!(outcome.output.contains(words), "{words}: {outcome}");
    says("device 0 is live: its server has not died");
    clean(&outcome);
}

#[test]
fn a_device_that_nobody_serves_is_given_up_in_time_and_can_be_removed() {
    let script = r#"
        shape=$(ublk_device add 64)
        ublk_device start 0 1 --within-ms 500 && fail "started"

        # Never started, and its server is dead: whether another one is taken depends on how far that came, so it is made anew.
        serve $shape 64
        sleep 1
        kill -9 $server; wait $server || true
        ublk_device begin 0 --within-ms 1 && fail "there is nothing to recover"
        serve $shape 64 --seconds 3
        wait $server || true
        ublk_device delete 0
        shape=$(ublk_device add 64)
        [ "$shape" = "0 1 64" ] || fail "its number is not free: $shape"
        ublk_device serve $shape 64 & server=$!
        ublk_device start 0 $server
        ublk_device serve $shape 64 && fail "served twice"
        kill -9 $server; wait $server || true
        # The kernel waits for another server; who removes the device need not.
        dd if=/dev/ublkb0 of=/dev/null bs=4k count=1 iflag=direct & reader=$!
        sleep 1
        ublk_device info 0
        ublk_device delete 0
        wait $reader && fail "read from nothing"
        [ "$(ublk_device list)" = "[]" ] || fail "left over"
    "#;
    let outcome = run(&guest(), script);
    let says = |words: &str| assert!(outcome.output.contains(words), "{words}: {outcome}");
    says("was not done within 500ms");
    says("another process serves it");
    says("state: Quiesced");
}
