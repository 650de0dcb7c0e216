//! The `ipc` benchmark end to end, as small as it gets: it reports every contender, and no
//! peer outlives it.
//!
//! Peers share the standard error of the benchmark. Reading that to its end therefore waits
//! for all of them, and a peer left behind shows as a test that times out.

use std::io::Read;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(60);

fn start(arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_archipelago-bench"))
        .arg("ipc")
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the benchmark has just been built")
}

/// What the benchmark and its peers complained of, once the last of them is gone.
fn complaints(mut stderr: ChildStderr) -> String {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut text = String::new();
        stderr
            .read_to_string(&mut text)
            .expect("complaints are text");
        // Nobody listens any more if the test has lost its patience.
        let _ = sender.send(text);
    });
    receiver
        .recv_timeout(PATIENCE)
        .expect("a process was left behind")
}

#[test]
fn every_contender_is_measured() {
    let mut bench = start(&[
        "--json",
        "--repetitions",
        "1",
        "--iterations",
        "50",
        "--messages",
        "500",
    ]);
    let mut report = String::new();
    bench
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut report)
        .unwrap();
    assert_eq!(complaints(bench.stderr.take().unwrap()), "");
    assert!(bench.wait().unwrap().success());

    let rows: Vec<Value> = report
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for (contender, carries_messages) in [
        ("bare word", false),
        ("pipe", true),
        ("unix socket", true),
        ("xseg", true),
    ] {
        for mode in ["sleeping", "spinning"] {
            let row = rows
                .iter()
                .find(|row| row["contender"] == contender && row["mode"] == mode)
                .unwrap();
            assert!(row["p50_ns"].as_f64() > Some(0.0), "{row}");
            assert!(row["p50_ns"].as_f64() <= row["p99_ns"].as_f64(), "{row}");
            assert!(row["ratio"].as_f64() > Some(0.0), "{row}");
            assert_eq!(row["throughput_1_to_1"].is_f64(), carries_messages, "{row}");
            assert_eq!(row["throughput_4_to_1"].is_f64(), carries_messages, "{row}");
        }
    }
}

#[test]
fn peers_die_with_a_killed_benchmark() {
    // This peer waits for a word in memory and for nothing else, so only its parent's death
    // can end it.
    let mut bench = start(&["--only", "bare word", "--iterations", "1000000000"]);
    thread::sleep(Duration::from_millis(300));
    bench.kill().unwrap();
    bench.wait().unwrap();
    assert_eq!(complaints(bench.stderr.take().unwrap()), "");
}

#[test]
fn an_unknown_contender_is_refused() {
    let mut bench = start(&["--only", "telepathy"]);
    assert!(!bench.wait().unwrap().success());
    assert!(complaints(bench.stderr.take().unwrap()).contains("telepathy"));
}
