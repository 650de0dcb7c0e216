//! Roles with ranges of ports answer at all of them, as one.

use std::time::Duration;

use archipelago_runtime::{Handle, Reactor, ReactorOptions};
use xseg::{BindOptions, Errno, JoinOptions, OpCode, Place, Segment};

use crate::support::Node;

const RANGES: [(&str, u32, u32); 4] = [
    ("blockerb", 700, 702),
    ("blockerm", 710, 711),
    ("mapperd", 720, 723),
    ("vlmcd", 730, 732),
];
/// Neighbours are named by ports in the midst of their ranges.
const NEIGHBOURS: &str = "\
[role.mapperd]
portno_start = 720
portno_end = 723
blockerb_port = 701
blockerm_port = 711
[role.vlmcd]
portno_start = 730
portno_end = 732
blocker_port = 702
mapper_port = 723
";

fn with_ranges(hosts: &str) -> Node {
    let node = Node::new(&format!("{hosts}{NEIGHBOURS}"));
    let mut text = std::fs::read_to_string(node.config()).unwrap();
    for (role, start, end) in &RANGES[..2] {
        let header = format!("[role.{role}]\n");
        let ports = format!("{header}portno_start = {start}\nportno_end = {end}\n");
        text = text.replace(&header, &ports);
    }
    std::fs::write(node.config(), text).unwrap();
    node.archipelago(&["start"]).ok();
    node
}

fn segment(node: &Node) -> Segment {
    let status = node.archipelago(&["--json", "status"]).json();
    let name = status["segment"].as_str().unwrap().to_owned();
    JoinOptions::new()
        .join(&Place::named(&name).unwrap())
        .unwrap()
}

async fn ask(handle: &Handle, number: u32, op: OpCode) -> Result<u64, Errno> {
    let station = handle.station();
    let port = station.segment().geometry().port(number).unwrap();
    let mut draft = station.draft(op).await.unwrap();
    draft.set_target(b"disk").unwrap();
    draft.set_deadline_ns(handle.after_ns(Duration::from_secs(30)));
    let reply = station.call(draft, port).await.unwrap();
    reply.result().map(|_| reply.args()[0])
}

/// PORTER-1
#[test]
fn a_role_answers_at_all_of_its_ports_as_one() {
    for hosts in ["", "[hosts]\nisolate = true\n"] {
        let node = with_ranges(hosts);
        node.vlmc(&["create", "disk", "--size", "64"]).ok();
        node.archipelago(&["log-level", "mapperd", "1"]).ok();
        let segment = segment(&node);
        let port = segment.bind_dynamic(&BindOptions::default()).unwrap();
        let reactor = Reactor::new(port, &ReactorOptions::default()).unwrap();
        let handle = reactor.handle();
        reactor.block_on(async move {
            for (role, start, end) in RANGES {
                for number in start..=end {
                    let unknown = ask(&handle, number, OpCode(0x7777)).await;
                    assert_eq!(unknown, Err(Errno::OPNOTSUPP), "{role} at {number}");
                    let level = ask(&handle, number, OpCode::LOG_LEVEL).await;
                    let expected = if role == "mapperd" { 1 } else { 2 };
                    assert_eq!(level, Ok(expected), "{role} at {number}");
                    if role == "vlmcd" {
                        let size = ask(&handle, number, OpCode::INFO).await;
                        assert_eq!(size, Ok(64 << 20), "{role} at {number}");
                    }
                }
            }
        });
        for (role, start, end) in RANGES {
            // All but the notices, of which each door answers its own.
            let passed_on = |number| {
                segment
                    .report_port(number)
                    .unwrap()
                    .stats
                    .get(xseg::Counter::PassedOn)
            };
            assert!(
                (start + 1..=end).all(|number| passed_on(number) > 0),
                "{role}"
            );
            assert_eq!(passed_on(start), 0, "{role}");
        }
    }
}
