//! Peers that die by SIGKILL: what is found, and what cleans it up.

use serde_json::Value;

use crate::harness::{Run, Running, Site};

fn findings(run: &Run) -> Vec<Value> {
    let mut objects = run.objects();
    objects.retain(|object| object["kind"] == "finding");
    objects
}

#[test]
fn a_killed_peer_is_found_and_settled() {
    let site = Site::with_segment();
    site.serve(0, &[]).kill();
    let run = site.run_json(&["verify"]);
    run.fails(8, "damaged");
    let found = findings(&run);
    assert_eq!(found.len(), 1, "{run:?}");
    assert_eq!(
        (&found[0]["finding"], &found[0]["port"]),
        (&"dead-port".into(), &0.into())
    );
    assert_eq!(site.object(&["report", "0"])["state"], "dead");
    assert_eq!(site.object(&["settle"])["ports"], 1);
    assert_eq!(site.object(&["report", "0"])["state"], "vacant");
    site.run(&["verify"]).ok();
}

#[test]
fn verify_fix_settles_and_looks_again() {
    let site = Site::with_segment();
    site.serve(0, &[]).kill();
    site.serve(1, &[]).kill();
    let run = site.run_json(&["verify", "--fix"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(run.objects()[0]["ports"], 2);
    assert_eq!(run.objects()[1]["kind"], "clean");
}

#[test]
fn a_ping_of_a_dead_port_times_out() {
    let site = Site::with_segment();
    site.serve(0, &[]).kill();
    for _ in 0..2 {
        site.run_json(&["ping", "0", "--timeout", "1"])
            .fails(7, "timeout");
        site.run(&["settle"]).ok(); // the second one finds the port vacant
    }
}

#[test]
fn recovering_a_port_answers_who_waits_there_with_an_error() {
    let site = Site::with_segment();
    site.serve(0, &[]).kill();
    let client = site.waiting_client(&["info", "0", "x"], "inbox");
    let recovered = site.object(&["recoverport", "0"]);
    assert_eq!(
        (&recovered["held"], &recovered["waiting"]),
        (&0.into(), &1.into())
    );
    client.finish().fails(1, "io");
    site.run(&["verify"]).ok();
    assert_eq!(site.object(&["report"])["requests"]["free"], 64);
}

#[test]
fn recovering_a_port_answers_what_the_dead_one_held() {
    let site = Site::with_segment();
    let server = site.serve(0, &["--stall"]);
    let client = site.waiting_client(&["info", "0", "x"], "held");
    server.kill();
    let run = site.run_json(&["verify", "--fix"]);
    run.fails(8, "damaged");
    assert_eq!(findings(&run)[0]["finding"], "waiting-request");
    let recovered = site.object(&["recoverport", "0"]);
    assert_eq!(
        (&recovered["held"], &recovered["waiting"]),
        (&1.into(), &0.into())
    );
    client.finish().fails(1, "io");
    site.run(&["verify"]).ok();
}

#[test]
fn one_request_of_many_can_be_failed() {
    let site = Site::with_segment();
    let server = site.serve(0, &["--stall"]);
    let chosen = site.waiting_client(&["info", "0", "chosen"], "held");
    let other = site.waiting_client(&["info", "0", "other"], "held");
    server.kill();
    let run = site.run_json(&["inspect", "0"]);
    let index_of = |target: &str| {
        let records = run.objects();
        let record = records.iter().find(|record| record["target"] == target);
        record.expect("it is held")["request"].to_string()
    };
    site.run(&["failreq", &index_of("chosen")]).ok();
    chosen.finish().fails(1, "io");
    assert_eq!(site.count_in(0, "held"), 1);
    // The other one is redone by the next incarnation.
    let _server = site.serve(0, &[]);
    assert_eq!(other.finish().code, 0);
}

#[test]
fn only_what_a_dead_peer_holds_can_be_failed() {
    let site = Site::with_segment();
    site.run_json(&["failreq", "0"]).fails(3, "not-found");
    site.run_json(&["failreq", "64"]).fails(3, "not-found");
    let _server = site.serve(0, &["--stall"]);
    let _client = site.waiting_client(&["info", "0", "x"], "held");
    let record = &site.run_json(&["inspect", "0"]).objects()[0];
    let index = record["request"].to_string();
    site.run_json(&["failreq", &index]).fails(5, "busy");
}

#[test]
fn a_killed_clients_requests_are_freed_when_they_are_answered() {
    let site = Site::with_segment();
    let server = site.serve(0, &["--stall"]);
    site.waiting_client(&["info", "0", "x"], "held").kill();
    site.run(&["verify", "--fix"]).ok();
    assert_eq!(site.object(&["report"])["requests"]["held"], 1);
    server.kill();
    site.object(&["recoverport", "0"]);
    assert_eq!(site.object(&["report"])["requests"]["free"], 64);
    site.run(&["verify"]).ok();
}

#[test]
fn a_dynamic_port_is_recovered_by_settling_it() {
    let site = Site::with_segment();
    let _server = site.serve(0, &["--stall"]);
    let client = site.waiting_client(&["info", "0", "x"], "held");
    let ports = site.run_json(&["reportall"]).objects();
    let label = |port: &&Value| port["label"] == "xseg op";
    let port = ports.iter().find(label).expect("it has a port")["port"].to_string();
    client.kill();
    assert_eq!(site.object(&["recoverport", &port])["ports"], 1);
    assert_eq!(site.object(&["report", &port])["state"], "free");
}

#[test]
fn a_port_that_nobody_ever_had_stays_as_it_is() {
    let site = Site::with_segment();
    assert_eq!(site.object(&["recoverport", "5"])["waiting"], 0);
    assert_eq!(site.object(&["report", "5"])["state"], "free");
}

#[test]
fn everything_that_looks_works_when_all_peers_are_dead() {
    let site = Site::with_segment();
    let servers = [site.serve(0, &["--stall"]), site.serve(1, &[])];
    let client = site.waiting_client(&["info", "0", "x"], "held");
    servers.into_iter().for_each(Running::kill);
    client.kill();
    let index = site.run_json(&["inspect", "0"]).objects()[0]["request"].to_string();
    for args in [
        &["report"][..],
        &["report", "0"],
        &["report", "15"],
        &["reportall"],
        &["inspect", "0"],
        &["inspect", "15"],
        &["request", &index],
        &["route", "0"],
        &["signal", "0"],
        &["top", "--once", "--interval", "0.01"],
    ] {
        site.run(args).ok();
        site.run_json(args).ok();
    }
    assert_eq!(site.run(&["verify"]).code, 8);
    let port = &site.object(&["report", "0"]);
    assert_eq!((&port["state"], &port["held"]), (&"dead".into(), &1.into()));
    assert_eq!(port["counters"]["accepted"], 1);
    site.run(&["destroy"]).ok();
}
