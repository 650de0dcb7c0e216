//! Looking at live ports, and changing how requests reach them.

use crate::harness::Site;

#[test]
fn top_prints_an_object_for_each_port() {
    let site = Site::with_segment();
    let _server = site.serve(0, &[]);
    site.run(&["ping", "0"]).ok();
    let run = site.run_json(&["top", "--once", "--interval", "0.05"]);
    assert_eq!(run.code, 0, "{run:?}");
    let rows = run.objects();
    assert_eq!(
        rows.len(),
        1,
        "a port that nobody has and that did nothing is left out"
    );
    assert_eq!(
        (&rows[0]["port"], &rows[0]["state"]),
        (&0.into(), &"alive".into())
    );
    for field in [
        "accepted", "answered", "failed", "sent", "replies", "p50_ns", "p99_ns", "held",
    ] {
        assert!(rows[0][field].is_number(), "{field}: {rows:?}");
    }
    assert!(rows[0]["asleep"].is_boolean());
}

#[test]
fn top_is_a_plain_table_when_its_output_is_no_terminal() {
    let site = Site::with_segment();
    let _server = site.serve(0, &[]);
    let table = site.run(&["top", "--once", "--interval", "0.01"]).ok();
    assert!(
        table.contains("PORT") && table.contains("xseg serve"),
        "{table}"
    );
    assert!(!table.contains('\x1b'), "{table}");
}

#[test]
fn a_report_counts_what_a_port_did() {
    let site = Site::with_segment();
    let _server = site.serve(0, &[]);
    site.run(&["info", "0", "x"]).ok();
    let port = site.object(&["report", "0"]);
    assert_eq!(
        (&port["state"], &port["label"]),
        (&"alive".into(), &"xseg serve".into())
    );
    assert_eq!(port["counters"]["answered"], 1);
    let text = site.run(&["report", "0"]).ok();
    assert!(
        text.contains("static") && text.contains("answered     1"),
        "{text}"
    );
    let all = site.run_json(&["reportall"]).objects();
    assert_eq!(all[0]["kind"], "segment");
    assert_eq!(
        all.len(),
        3,
        "the segment, the server, the client that left"
    );
}

#[test]
fn requests_go_by_way_of_another_port_and_straight_again() {
    let site = Site::with_segment();
    let _server = site.serve(0, &[]);
    // It answers in the stead of port 0.
    let _between = site.serve(1, &["--fail", "EBUSY"]);
    assert_eq!(site.object(&["route", "0", "--via", "1"])["via"], 1);
    site.run_json(&["info", "0", "x"]).fails(5, "busy");
    assert_eq!(site.object(&["report", "0"])["via"], 1);
    assert!(site.object(&["route", "0", "--direct"])["via"].is_null());
    site.run(&["info", "0", "x"]).ok();
    site.run_json(&["route", "0", "--via", "0"])
        .fails(2, "invalid");
    site.run_json(&["route", "0", "--via", "99"])
        .fails(2, "invalid");
}

#[test]
fn a_ring_changes_nothing_for_its_hearer() {
    let site = Site::with_segment();
    let _server = site.serve(0, &[]);
    assert!(site.object(&["signal", "0"])["was_asleep"].is_boolean());
    site.run(&["ping", "0"]).ok();
    site.run_json(&["signal", "16"]).fails(2, "invalid");
}
