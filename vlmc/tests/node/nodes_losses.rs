//! Locks that pass on while nobody of their owner looks, or nobody can tell whose they were.

use rustix::process::Signal;

use crate::kills::kill;
use crate::nbd::{Ask, Client, Outcome};
use crate::nodes::{begin_write, reads, signal, writes};
use crate::stores;
use crate::support::{Node, until};

/// LOST-3, LOST-1, COMPOSE-4: with writes that were answered and not flushed, by a mapper that nobody can ask any more.
#[test]
fn who_flushes_after_the_mapper_died_and_the_lock_passed_on_is_refused() {
    if stores::fences() {
        return; // all of the node begins anew, and what it answered is on disk
    }
    for is_held in [true, false] {
        let one = Node::started("node = \"one\"\n[hosts]\nisolate = true\n");
        let two = Node::beside(&one, "two", "");
        one.vlmc(&["create", "disk", "--size", "64"]).ok();
        let client = Client::connect(&one.path("run/nbd.sock"), "disk").unwrap();
        let (mut client, written) = begin_write(client, 1).join().unwrap();
        assert!(matches!(written, Outcome::Done(_)));
        let status = one.archipelago(&["--json", "status"]).json();
        let supervisor = [status["supervisor_pid"].as_i64().unwrap() as i32];
        let mapper = one.pid_of("mapperd").unwrap();
        signal(&supervisor, Signal::STOP);
        kill(mapper);
        two.vlmc(&["unlock", "--fence", "disk"]).ok();
        writes(&two, 3, "0 64k");
        if !is_held {
            two.vlmc(&["close", "disk"]).ok();
        }
        signal(&supervisor, Signal::CONT);
        for ask in [Ask::Flush, Ask::Flush] {
            let flushed = client.ask_all(&[ask]).pop();
            assert!(matches!(flushed, Some(Outcome::Refused(_))), "{flushed:?}");
        }
        let (client, written) = begin_write(client, 2).join().unwrap();
        assert!(matches!(written, Outcome::Refused(_)), "{written:?}");
        let locks = one.vlmc(&["--json", "locks"]).json();
        assert_eq!(locks["lost"][0]["volume"], "disk", "{locks}");
        reads(&one, 3, "0 64k");
        drop(client);
        until("nobody is there any more who used it", || {
            one.vlmc(&["--json", "locks"]).json()["lost"] == serde_json::json!([])
        });
        if is_held {
            two.vlmc(&["close", "disk"]).ok();
        }
        writes(&one, 5, "0 4k");
        reads(&two, 5, "0 4k");
    }
}

fn is_done(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Done(_))
}

/// FENCE-3, LOST-1, F53: the owner lives, works, and learns of it; other volumes of the same node only pause.
#[test]
fn a_damaged_lock_is_broken_though_its_owner_works_and_nobody_else_is_disturbed() {
    if stores::fences() {
        return;
    }
    let one = Node::started("node = \"one\"\n");
    let two = Node::beside(&one, "two", "");
    let connect = |volume: &str| Client::connect(&one.path("run/nbd.sock"), volume).unwrap();
    let mut clients = Vec::new();
    for volume in ["disk", "other"] {
        one.vlmc(&["create", volume, "--size", "64"]).ok();
        let (client, written) = begin_write(connect(volume), 1).join().unwrap();
        assert!(is_done(&written));
        clients.push(client);
    }
    let [mut client, mut other] = <[Client; 2]>::try_from(clients).ok().unwrap();
    let id = one.vlmc(&["--json", "info", "disk"]).json()["volume"]["id"].clone();
    let lock = format!("maps/locks/lock+{}", id.as_str().unwrap());
    let states = std::fs::read_dir(one.path(&lock)).unwrap();
    for state in states {
        std::fs::write(state.unwrap().path(), b"garbage").unwrap();
    }
    two.vlmc(&["--json", "open", "disk"]).fails(5, "locked");
    std::thread::scope(|scope| {
        let broken = scope.spawn(|| two.vlmc(&["unlock", "-f", "disk"]).ok());
        while !broken.is_finished() {
            let data = vec![2; 4096];
            let written = other.ask_all(&[Ask::Write { at: 0, data }]).pop().unwrap();
            assert!(is_done(&written), "{written:?}");
        }
        let said = broken.join().unwrap();
        assert!(said.contains("at risk"), "{said}");
    });
    writes(&two, 3, "0 64k");
    // From before the lock was free on.
    let flushed = client.ask_all(&[Ask::Flush]).pop().unwrap();
    assert!(!is_done(&flushed), "{flushed:?}");
    let flushed = other.ask_all(&[Ask::Flush]).pop().unwrap();
    assert!(is_done(&flushed), "{flushed:?}");
    let lost = one.vlmc(&["--json", "locks"]).json()["lost"].clone();
    assert_eq!(lost.as_array().map(Vec::len), Some(1), "{lost}");
    assert_eq!(lost[0]["volume"], "disk", "{lost}");
    reads(&one, 3, "0 64k");
    drop(client);
    until("nobody is there any more who used it", || {
        one.vlmc(&["--json", "locks"]).json()["lost"] == serde_json::json!([])
    });
}

/// LOST-3: what was had is of a volume, and not of its name.
#[test]
fn a_volume_of_the_name_of_one_that_is_gone_is_nobodys_loss() {
    let node = Node::started("node = \"one\"\n");
    for pattern in 1..4 {
        node.vlmc(&["create", "disk", "--size", "64"]).ok();
        writes(&node, pattern, "0 64k");
        reads(&node, pattern, "0 64k");
        node.vlmc(&["remove", "disk"]).ok();
    }
    node.vlmc(&["create", "disk", "--size", "64"]).ok();
    writes(&node, 4, "0 64k");
    node.vlmc(&["rename", "disk", "other"]).ok();
    node.vlmc(&["create", "disk", "--size", "64"]).ok();
    writes(&node, 5, "0 64k");
    reads(&node, 5, "0 64k");
    node.vlmc(&["remove", "disk"]).ok();
    node.vlmc(&["rename", "other", "disk"]).ok();
    reads(&node, 4, "0 64k");
    writes(&node, 6, "0 64k");
    let locks = node.vlmc(&["--json", "locks"]).json();
    assert_eq!(locks["lost"], serde_json::json!([]), "{locks}");
}
