//! Guests that boot.

use std::time::Duration;

use archipelago_guest::{Cache, Drive, Guest, GuestError, Release};

#[test]
fn a_script_runs_and_its_output_and_status_come_back() {
    let outcome = Guest::new()
        .file("/etc/greeting", "good morning\n")
        .run("cat /etc/greeting; uname -r; echo trouble >&2; exit 7")
        .unwrap();
    assert_eq!(outcome.status, 7, "{outcome}");
    let lines: Vec<&str> = outcome.output.lines().collect();
    assert_eq!(lines.len(), 3, "{outcome}");
    assert_eq!((lines[0], lines[2]), ("good morning", "trouble"));
    assert!(lines[1].starts_with("6.12."), "{outcome}");
    assert!(outcome.complaints().is_empty(), "{outcome}");
}

#[test]
fn the_newest_kernel_and_its_programs_are_newer() {
    let guest = Guest::new().release(Release::Newest).module("ublk_drv");
    let outcome = guest.run("uname -r; ls /dev/ublk-control").unwrap();
    assert_eq!(outcome.status, 0, "{outcome}");
    let version: Vec<u32> = outcome
        .output
        .split(['.', '+'])
        .map_while(|number| number.parse().ok())
        .collect();
    assert!(version[..2] >= [6, 16][..], "{outcome}");
    let cache = Cache::find(Release::Newest).unwrap();
    for program in ["nbdinfo", "nbdcopy", "qemu-img", "qemu-io"] {
        let said = cache.program(program).unwrap().arg("--version").output();
        let said = said.unwrap();
        assert!(said.status.success(), "{program}: {said:?}");
    }
    cache.program("no-such-program").unwrap_err();
}

#[test]
fn modules_programs_and_drives_are_there_and_what_is_written_stays() {
    let directory = tempfile::tempdir().unwrap();
    let disk = directory.path().join("disk");
    std::fs::File::create(&disk)
        .unwrap()
        .set_len(64 << 20)
        .unwrap();
    let guest = Guest::new()
        .module("ublk_drv")
        .module_with("nbd", "nbds_max=3")
        .module("ext4")
        .program("mkfs.ext4")
        .program("fsck.ext4")
        .drive(Drive::raw(&disk));
    let outcome = guest
        .run(
            "set -e
            ls -d /dev/ublk-control
            ls -d /dev/nbd* | wc -l
            mkfs.ext4 -q /dev/vda
            mount -t ext4 /dev/vda /mnt
            echo kept >/mnt/file
            umount /mnt",
        )
        .unwrap();
    assert_eq!(outcome.status, 0, "{outcome}");
    assert!(
        outcome.output.contains("/dev/ublk-control\n3\n"),
        "{outcome}"
    );
    let outcome = guest
        .run("fsck.ext4 -fn /dev/vda >&2 && mount -t ext4 -o ro /dev/vda /mnt && cat /mnt/file")
        .unwrap();
    assert_eq!(outcome.status, 0, "{outcome}");
    assert!(outcome.output.ends_with("kept\n"), "{outcome}");
}

#[test]
fn a_program_of_this_machine_comes_before_an_applet_of_its_name() {
    let guest = Guest::new().program("setpriv");
    let outcome = guest
        .run("setpriv --reuid 65534 --clear-groups id -u")
        .unwrap();
    assert_eq!(
        (outcome.status, outcome.output.as_str()),
        (0, "65534\n"),
        "{outcome}"
    );
}

#[test]
fn a_script_that_hangs_is_ended_at_its_deadline() {
    let guest = Guest::new().deadline(Duration::from_secs(60));
    match guest.run("echo waiting; sleep 1000") {
        Err(GuestError::Deadline { tail, .. }) => assert!(tail.contains("waiting"), "{tail}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn host_and_guest_talk_while_the_script_runs() {
    let mut running = Guest::new()
        .start("echo what next; read word; echo you said $word")
        .unwrap();
    running.wait_for("what next").unwrap();
    running.say("forward\n").unwrap();
    let outcome = running.wait().unwrap();
    assert_eq!(outcome.output, "what next\nyou said forward\n");
    assert_eq!(outcome.status, 0);
}

#[test]
fn a_guest_whose_kernel_dies_is_told_from_one_that_ends() {
    match Guest::new().run("echo c >/proc/sysrq-trigger") {
        Err(GuestError::Down { tail }) => assert!(tail.contains("panic"), "{tail}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_missing_is_named_before_anything_starts() {
    let guest = Guest::new().module("no-such-module");
    let error = guest.run("true").unwrap_err().to_string();
    assert!(error.contains("no_such_module"), "{error}");
    let error = Guest::new().program("no-such-program").run("true");
    assert!(
        matches!(error, Err(GuestError::NoProgram { .. })),
        "{error:?}"
    );
}
