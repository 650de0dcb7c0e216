//! Making, showing and destroying a segment, and every way in which that is refused.

use std::fs::{self, File, OpenOptions, Permissions};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::harness::{PROGRAM, SMALL, Site};

#[test]
fn a_segment_is_created_reported_and_destroyed() {
    let site = Site::new();
    let created = site.object(&[&["create"], &SMALL[..]].concat());
    assert_eq!(created["ports"], 16);
    assert_eq!(created["buffers"], 40);
    let report = site.object(&["report"]);
    assert_eq!(report["size_bytes"], created["size_bytes"]);
    assert_eq!(report["requests"]["free"], 64);
    assert_eq!(report["ports"]["static"], 8);
    assert_eq!(report["buffers"][0]["bytes"], 4096);
    assert_eq!(report["buffers"][0]["free"], 32);
    assert!(site.run(&["reportall"]).ok().contains("64 of 64 free"));
    assert_eq!(site.run(&["verify"]).ok(), "no findings\n");
    site.run(&["destroy"]).ok();
    assert!(!site.path().exists());
}

#[test]
fn a_bare_size_is_in_mebibytes_and_becomes_the_files_size() {
    let site = Site::new();
    let args = [
        "create",
        "--size",
        "8",
        "--ports",
        "16",
        "--static-ports",
        "8",
        "--requests",
        "64",
    ];
    let created = site.object(&args);
    let bytes = created["size_bytes"].as_u64().expect("a number");
    assert!(bytes <= 8 << 20 && bytes > 4 << 20, "{bytes}");
    assert_eq!(fs::metadata(site.path()).expect("it is there").len(), bytes);
}

#[test]
fn the_mode_is_what_was_asked_for() {
    let site = Site::new();
    site.run(&[&["create", "--mode", "0600"], &SMALL[..]].concat())
        .ok();
    let mode = fs::metadata(site.path()).expect("it is there").mode();
    assert_eq!(mode & 0o7777, 0o600);
    let run = site.run_json(&["create", "--mode", "0666"]);
    run.fails(2, "usage");
}

#[test]
fn the_environment_names_the_segment_and_the_option_overrides_it() {
    let site = Site::with_segment();
    let mut command = Command::new(PROGRAM);
    command.args(["report", "--dir"]).arg(site.directory());
    command.env("ARCHIPELAGO_SEGMENT", "test");
    assert!(command.output().expect("it starts").status.success());
    command.args(["-s", "another"]);
    assert_eq!(command.output().expect("it starts").status.code(), Some(3));
}

#[test]
fn a_missing_segment_is_not_found() {
    let site = Site::new();
    for args in [
        &["report"][..],
        &["destroy"],
        &["verify"],
        &["ping", "0"],
        &["top", "--once"],
    ] {
        let error = site.run_json(args).fails(3, "not-found");
        assert_eq!(error["errno"], 2, "{args:?}");
    }
}

#[test]
fn a_second_one_of_the_same_name_is_refused() {
    let site = Site::with_segment();
    site.run_json(&["create"]).fails(4, "exists");
}

#[test]
fn what_does_not_begin_as_a_segment_is_left_alone_unless_forced() {
    let site = Site::new();
    fs::write(site.path(), vec![7; 8192]).expect("it can be written");
    for command in ["report", "verify", "destroy"] {
        site.run_json(&[command]).fails(8, "no-segment");
    }
    assert!(site.path().exists());
    site.run(&["destroy", "--force"]).ok();
    assert!(!site.path().exists());
}

#[test]
fn a_truncated_segment_is_told_from_a_whole_one() {
    let site = Site::with_segment();
    let file = OpenOptions::new().write(true).open(site.path());
    let file = file.expect("it is there");
    for length in [4096, 100, 0] {
        file.set_len(length).expect("it can be cut");
        site.run_json(&["report"]).fails(8, "no-segment");
    }
}

#[test]
fn a_damaged_header_is_damage() {
    let site = Site::with_segment();
    let file = OpenOptions::new().write(true).open(site.path());
    // The first byte of the stored size.
    file.expect("it is there")
        .write_all_at(&[1], 16)
        .expect("it can be written");
    site.run_json(&["report"]).fails(8, "damaged");
}

#[test]
fn a_directory_and_a_symbolic_link_are_no_segments() {
    let site = Site::with_segment();
    let aside = site.directory().join("aside");
    fs::rename(site.path(), &aside).expect("it can be moved");
    std::os::unix::fs::symlink(&aside, site.path()).expect("it can be linked");
    site.run_json(&["report"]).fails(2, "invalid");
    fs::remove_file(site.path()).expect("the link is there");
    fs::create_dir(site.path()).expect("it can be made");
    site.run_json(&["report"]).fails(2, "invalid");
}

#[test]
fn a_stranger_has_no_permission() {
    let site = Site::with_segment();
    let am_root = fs::metadata(site.path()).expect("it is there").uid() == 0;
    if !am_root {
        fs::set_permissions(site.path(), Permissions::from_mode(0o000)).expect("it is ours");
        site.run_json(&["report"]).fails(10, "permission");
        return;
    }
    // Root may do everything, so somebody else runs a copy that they can reach. Another process makes it: a file that
    // a thread of ours had open for writing, when another one forked, could not be run (ETXTBSY).
    let copy = site.directory().join("xseg");
    let copied = Command::new("cp").arg(PROGRAM).arg(&copy).status();
    assert!(copied.expect("there is a cp").success());
    let reachable = Permissions::from_mode(0o755);
    fs::set_permissions(site.directory(), reachable).expect("it is ours");
    let copy = copy.to_str().expect("a plain path");
    for command in ["report", "destroy"] {
        let mut command = site.command(copy, &[command, "--json"]);
        let output = command.uid(65534).gid(65534).output().expect("it starts");
        assert_eq!(output.status.code(), Some(10), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("\"permission\""));
    }
}

#[test]
fn a_segment_that_is_in_use_is_destroyed_only_by_force() {
    let site = Site::with_segment();
    let server = site.serve(0, &[]);
    site.run_json(&["destroy"]).fails(5, "busy");
    site.run(&["destroy", "--force"]).ok();
    // It was told, and leaves by itself.
    assert_eq!(server.finish().code, 0);
}

#[test]
fn a_wrong_command_line_is_told_from_a_failure() {
    let site = Site::with_segment();
    for args in [
        &["report", "--bogus"][..],
        &["create", "--size", "many"],
        &["nothing"],
    ] {
        site.run_json(args).fails(2, "usage");
    }
    site.run_json(&["report", "16"]).fails(2, "invalid");
    site.run_json(&["op", "nonsense", "0"]).fails(2, "invalid");
    let help = site.run(&["--help"]).ok();
    assert!(help.contains("Exit codes:"), "{help}");
}

#[test]
fn output_that_nobody_reads_is_no_failure() {
    let site = Site::with_segment();
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = site.command(PROGRAM, &["reportall"]);
    let output = command.stdout(writer).output().expect("it starts");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[test]
fn output_that_cannot_be_written_is_a_failure() {
    let site = Site::with_segment();
    let Ok(full) = File::create("/dev/full") else {
        return; // this system has none
    };
    let mut command = site.command(PROGRAM, &["report"]);
    let output = command.stdout(full).output().expect("it starts");
    assert_eq!(output.status.code(), Some(6), "{output:?}");
}
