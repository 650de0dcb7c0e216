//! Requests by hand and in bulk, answered by `serve`.

use crate::harness::Site;

#[test]
fn a_port_that_is_served_answers_pings() {
    let site = Site::with_segment();
    let _server = site.serve(3, &[]);
    let run = site.run_json(&["ping", "3", "--count", "3", "--interval", "0.001"]);
    let sequence: Vec<_> = run
        .objects()
        .iter()
        .map(|pong| pong["sequence"].as_u64())
        .collect();
    assert_eq!(sequence, [Some(1), Some(2), Some(3)], "{run:?}");
}

#[test]
fn what_was_written_is_read_back() {
    let site = Site::with_segment();
    let _server = site.serve(0, &["--pattern", "memory"]);
    // More than one block, and no multiple of one.
    let bytes: Vec<u8> = (0..10_000_u32)
        .map(|index| b'a' + (index % 23) as u8)
        .collect();
    let written = site.run_with_input(&["write", "0", "thing", "--block", "4K"], &bytes);
    assert_eq!(written.ok(), "wrote 10000 bytes to \"thing\" from 0\n");
    let read = site.run(&["read", "0", "thing", "--block", "4K"]).ok();
    assert_eq!(read.as_bytes(), bytes);
    let part = site
        .run(&["read", "0", "thing", "--offset", "23", "--length", "3"])
        .ok();
    assert_eq!(part, "abc");
    assert_eq!(site.object(&["info", "0", "thing"])["done"], 10_000);
    site.run(&["delete", "0", "thing"]).ok();
    let error = site
        .run_json(&["delete", "0", "thing"])
        .fails(3, "not-found");
    assert_eq!(error["errno"], 2);
}

#[test]
fn without_a_memory_reads_see_offsets_and_everything_has_four_gibibytes() {
    let site = Site::with_segment();
    let _server = site.serve(0, &[]);
    assert_eq!(
        site.run(&["info", "0", "any"]).ok(),
        "info any: 4294967296\n"
    );
    let piece = site.object(&["read", "0", "any", "--offset", "16", "--length", "9"]);
    assert_eq!(piece["data_hex"], "100000000000000018");
}

#[test]
fn every_short_form_reaches_its_peer() {
    let site = Site::with_segment();
    let _server = site.serve(0, &["--count", "9"]);
    for command in ["delete", "acquire", "release", "hash", "flush"] {
        site.run(&[command, "0", "a"]).ok();
    }
    for command in ["copy", "clone", "snapshot"] {
        let answer = site.object(&[command, "0", "a", "b", "--length", "7"]);
        assert_eq!(
            (&answer["op"], &answer["done"]),
            (&command.into(), &7.into())
        );
    }
    site.run(&["discard", "0", "a", "--length", "4K"]).ok();
}

#[test]
fn any_operation_can_be_sent_by_name_and_by_number() {
    let site = Site::with_segment();
    let _server = site.serve(0, &[]);
    let answer = site.object(&[
        "op",
        "rename",
        "0",
        "old",
        "--snapshot",
        "new",
        "--arg",
        "5",
    ]);
    assert_eq!(answer["op"], "rename");
    assert!(
        answer.get("args").is_none(),
        "they came back as they went: {answer}"
    );
    let answer = site.object(&["op", "999", "0", "--length", "3"]);
    assert_eq!(
        (&answer["op"], &answer["done"]),
        (&"operation 999".into(), &3.into())
    );
    let data = site
        .run(&["op", "read", "0", "x", "--reply", "8", "--offset", "8"])
        .ok();
    assert_eq!(data.as_bytes(), 8_u64.to_le_bytes());
    let sent = site.run_with_input(&["op", "write-full", "0", "x", "--data", "-"], b"12345");
    assert_eq!(sent.ok(), "write-full x: 5\n");
}

#[test]
fn a_peers_error_becomes_the_exit_code() {
    let site = Site::with_segment();
    for (errno, code, json_code) in [
        ("EIO", 1, "io"),
        ("ENOENT", 3, "not-found"),
        ("EEXIST", 4, "exists"),
        ("EBUSY", 5, "busy"),
        ("28", 6, "no-space"),
        ("ETIMEDOUT", 7, "timeout"),
        ("EACCES", 10, "permission"),
        ("EOPNOTSUPP", 1, "unsupported"),
    ] {
        let server = site.serve(0, &["--fail", errno, "--count", "1"]);
        site.run_json(&["info", "0", "x"]).fails(code, json_code);
        assert_eq!(server.finish().code, 0);
    }
}

#[test]
fn random_objects_are_checked_when_they_are_read_back() {
    let site = Site::with_segment();
    let _server = site.serve(0, &["--pattern", "memory"]);
    let rnd = |act, seed| site.run_json(&["rnd", act, "0", "--loops", "200", "--seed", seed]);
    assert_eq!(rnd("write", "1").code, 0);
    let read = rnd("read", "1");
    assert_eq!(read.code, 0, "{read:?}");
    let tally = &read.objects()[0];
    assert_eq!(
        (&tally["received"], &tally["mismatched"]),
        (&200.into(), &0.into())
    );
    rnd("read", "2").fails(3, "not-found");
    assert_eq!(rnd("delete", "1").code, 0);
    rnd("delete", "1").fails(3, "not-found");
}

#[test]
fn random_objects_that_hold_something_else_are_noticed() {
    let site = Site::with_segment();
    let _server = site.serve(0, &["--pattern", "zero"]);
    let read = site.run_json(&["rnd", "read", "0", "--loops", "5"]);
    read.fails(8, "damaged");
    assert_eq!(read.objects()[0]["mismatched"], 5);
}

#[test]
fn more_at_a_time_than_there_is_room_for_takes_turns() {
    let site = Site::with_segment();
    let _server = site.serve(0, &["--pattern", "memory"]);
    // 40 buffers, 64 requests.
    let args = [
        "rnd",
        "write",
        "0",
        "--loops",
        "500",
        "--concurrency",
        "1000",
    ];
    assert_eq!(site.object(&args)["received"], 500);
}

#[test]
fn a_bench_counts_what_it_did() {
    let site = Site::with_segment();
    let _server = site.serve(0, &[]);
    for op in ["ping", "read", "write"] {
        let measured = site.object(&[
            "bench",
            "0",
            "--op",
            op,
            "--seconds",
            "0.1",
            "--concurrency",
            "4",
        ]);
        assert_eq!(measured["op"], op);
        assert!(measured["requests"].as_u64() > Some(0), "{measured}");
        assert_eq!(measured["failed"], 0);
    }
}

#[test]
fn nobody_is_bound_where_nobody_ever_was() {
    let site = Site::with_segment();
    for args in [
        &["ping", "5"][..],
        &["read", "5", "x", "--length", "1"],
        &["bench", "5"],
    ] {
        site.run_json(args).fails(9, "unavailable");
    }
}

#[test]
fn a_port_is_served_by_one_at_a_time() {
    let site = Site::with_segment();
    let _server = site.serve(0, &[]);
    site.run_json(&["serve", "0"]).fails(5, "busy");
    site.run_json(&["recoverport", "0"]).fails(5, "busy");
    site.run_json(&["settle", "0"]).fails(5, "busy");
}

#[test]
fn what_a_target_holds_longer_than_a_buffer_is_refused_in_one_request() {
    let site = Site::with_segment();
    let _server = site.serve(0, &[]);
    site.run_json(&["read", "0", "x", "--length", "1", "--block", "16M"])
        .fails(2, "usage");
    // The segment has no such buffers at all.
    site.run_json(&["read", "0", "x", "--block", "1M"])
        .fails(6, "exhausted");
}
