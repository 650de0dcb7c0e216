//! Short runs of the harness programs, so that the ordinary test command covers crashes, corruption and scale.

use std::process::Command;

fn run(program: &str, args: &[&str]) {
    let output = Command::new(program)
        .args(args)
        .output()
        .expect("the harness program starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{program} {args:?}: {}\n{}\n{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    );
}

#[test]
fn nothing_is_lost_doubled_damaged_or_leaked_when_sixty_workers_are_killed() {
    run(
        env!("CARGO_BIN_EXE_crash-xseg"),
        &["--kills", "60", "--json"],
    );
}

#[test]
fn nobody_crashes_or_hangs_while_the_tables_are_damaged() {
    run(
        env!("CARGO_BIN_EXE_fuzz-segment"),
        &["--seconds", "5", "--json"],
    );
}

#[test]
fn a_device_minds_no_front_end_and_no_guest() {
    run(
        env!("CARGO_BIN_EXE_fuzz-vhost"),
        &["--cases", "25000", "--seconds", "240", "--json"],
    );
}

#[test]
fn a_device_minds_no_guest_that_changes_what_it_reads() {
    run(
        env!("CARGO_BIN_EXE_fuzz-vhost"),
        &["--cases", "3000", "--seconds", "120", "--race", "--json"],
    );
}

#[test]
fn sixty_four_processes_on_two_thousand_ports_leave_nothing_behind() {
    run(
        env!("CARGO_BIN_EXE_crash-xseg"),
        &["crowd", "--members", "64", "--ports", "2000"],
    );
}
