//! What is said of locks: who has them, which were broken, and what that puts at risk.

use archipelago_protocol::{LockInfo, LocksAnswer, rfc3339};
use serde_json::json;

use super::answer::Answer;
use super::table::Table;
use super::volumes::Breaking;

pub(super) fn locks(found: LocksAnswer) -> Answer {
    let LocksAnswer {
        mut locks, lost, ..
    } = found;
    locks.sort_by(|left, right| left.volume.cmp(&right.volume));
    let json = json!({ "locks": locks, "lost": lost });
    let mut table = Table::new(&[
        "VOLUME",
        "NODE",
        "DEPLOYMENT",
        "OURS",
        "LIVES",
        ">LEASE",
        ">TOKEN",
        "SINCE",
    ]);
    for lock in locks {
        let lives = match lock.lives {
            _ if lock.is_being_broken => "being broken",
            Some(true) => "yes",
            Some(false) => "no",
            None => "unknown",
        };
        let volume = if lock.in_trash {
            format!("{} (removed)", lock.volume)
        } else {
            lock.volume
        };
        table.row([
            volume,
            lock.node,
            lock.deployment,
            if lock.is_ours { "yes" } else { "no" }.to_owned(),
            lives.to_owned(),
            lock.lease_ms.map_or_else(|| "-".to_owned(), lease),
            lock.token.to_string(),
            rfc3339(lock.since),
        ]);
    }
    let mut text = table.render();
    for one in &lost {
        text += &format!("lost: {}\n      try: {}\n", one.problem, one.remedy);
    }
    Answer::new(json, text)
}

pub(super) fn unlocked(volume: &str, broken: &[LockInfo], breaking: Breaking) -> Answer {
    let json = json!({ "done": "unlock", "volume": volume, "broken": broken });
    let mut text = "Volume unlocked".to_owned();
    for lock in broken {
        text += &format!("\n{}\n{}", was_broken(lock), at_risk(breaking));
    }
    Answer::new(json, text)
}

pub(super) fn evicted(node: &str, broken: &[LockInfo]) -> Answer {
    let json = json!({ "done": "evict-node", "node": node, "broken": broken });
    if broken.is_empty() {
        let text = format!("Node {node} has no locks (`vlmc locks` shows who has)");
        return Answer::new(json, text);
    }
    let mut lines: Vec<String> = broken.iter().map(was_broken).collect();
    lines.push(at_risk(Breaking::Anybodys).to_owned());
    lines.push(format!(
        "Locks of node {node} that were broken: {}",
        broken.len()
    ));
    Answer::new(json, lines.join("\n"))
}

/// How long it is in force, unless it is seen again until then.
fn lease(left_ms: u64) -> String {
    match left_ms {
        0 => "run out".to_owned(),
        left_ms => tenths(left_ms),
    }
}

/// In seconds.
pub(super) fn tenths(ms: u64) -> String {
    format!("{}.{} s", ms / 1000, ms % 1000 / 100)
}

fn was_broken(lock: &LockInfo) -> String {
    format!(
        "broken: the lock on {} of {} on {}, held since {} (token {})",
        lock.volume,
        lock.deployment,
        lock.node,
        rfc3339(lock.since),
        lock.token
    )
}

/// D1, M6, F49
fn at_risk(breaking: Breaking) -> &'static str {
    match breaking {
        Breaking::Fenced => {
            "at risk: what it answered and had not flushed, if its machine died; what it was asked and has not answered may be done or not"
        }
        Breaking::Anyway => {
            "at risk: what it writes from now on until it finds out, and what it answered and had not flushed, if its machine died"
        }
        Breaking::Anybodys | Breaking::OwnOnly => {
            "at risk: what it answered and had not flushed, if its machine died and not only its processes; what was flushed is there"
        }
    }
}
