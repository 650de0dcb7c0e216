//! Locks, as the mapper sees them: of whom does nobody live, and what was taken from this node.

use std::collections::BTreeMap;
use std::time::Duration;

use archipelago_protocol::{LockInfo, LocksAnswer, rfc3339};

use super::doctor::finding;
use crate::cli::{Finding, Grade, Volumes};
use crate::config::Config;
use crate::volumes::PortVolumes;

/// A mapper that runs answers sooner, unless its store hangs: then others say so.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Volumes that are named.
const NAMED_MAX: usize = 5;

pub(super) fn findings(config: &Config) -> Vec<Finding> {
    match PortVolumes::new(config, ANSWER_WITHIN).locks() {
        Ok(found) => of(&found),
        Err(_) => Vec::new(), // the mapper does not run: nothing is known of locks
    }
}

fn of(found: &LocksAnswer) -> Vec<Finding> {
    let mut findings = Vec::new();
    for lost in &found.lost {
        let message = format!("{} ({} clients are refused)", lost.problem, lost.clients);
        findings.push(finding("lost volumes", Grade::Bad, message, &lost.remedy));
    }
    for lock in found.locks.iter().filter(|lock| lock.is_being_broken) {
        let LockInfo { volume, node, .. } = lock;
        let message = format!(
            "the lock of {node} on {volume} is being broken: nobody has it until whoever does that has waited for what {node} may still answer"
        );
        let remedy = format!("if that takes longer than a minute, `vlmc unlock -f {volume}`");
        findings.push(finding("locks", Grade::Note, message, &remedy));
    }
    if found.locks.iter().any(|lock| lock.lease_ms == Some(0)) {
        let message = "the lease of this node has run out: nothing is answered until its store of maps says that it was not taken away";
        let remedy =
            "look whether that store answers, and whether its blocker runs (`archipelago status`)";
        findings.push(finding("lease", Grade::Bad, message.into(), remedy));
    }
    let mut dead: BTreeMap<(&str, &str), Vec<&LockInfo>> = BTreeMap::new();
    for lock in found.locks.iter().filter(|lock| lock.lives == Some(false)) {
        let owner = (lock.node.as_str(), lock.deployment.as_str());
        dead.entry(owner).or_default().push(lock);
    }
    for ((node, deployment), locks) in &dead {
        let named: Vec<String> = locks
            .iter()
            .take(NAMED_MAX)
            .map(|lock| format!("{} (since {})", lock.volume, rfc3339(lock.since)))
            .collect();
        let others = locks.len() - named.len();
        let more = if others > 0 {
            format!(" and {others} more")
        } else {
            String::new()
        };
        let message = format!(
            "{deployment} on {node} does not live (no process holds its file in locks/.owners), and has the locks of {}{more}",
            named.join(", ")
        );
        let remedy =
            format!("start it again, or, if it is gone for good, `vlmc evict-node {node}`");
        findings.push(finding("locks", Grade::Note, message, &remedy));
    }
    if dead.is_empty() {
        let ours = found.locks.iter().filter(|lock| lock.is_ours).count();
        let others = found.locks.len() - ours;
        let message = format!("{ours} of this node, {others} of others, none of somebody dead");
        findings.push(finding("locks", Grade::Good, message, ""));
    }
    findings
}

#[cfg(test)]
mod tests {
    use archipelago_protocol::LostInfo;

    use super::*;

    fn lock(volume: &str, node: &str, lives: Option<bool>) -> LockInfo {
        LockInfo {
            volume: volume.into(),
            node: node.into(),
            deployment: "d".into(),
            since: 1_000_000_000,
            token: 1,
            is_ours: node == "here",
            lives,
            is_being_broken: false,
            lease_ms: None,
            in_trash: false,
        }
    }

    #[test]
    fn who_does_not_live_is_named_with_what_it_has() {
        let mut found = LocksAnswer {
            locks: vec![
                lock("a", "here", Some(true)),
                lock("b", "there", Some(true)),
                lock("c", "far", None),
            ],
            ..LocksAnswer::default()
        };
        let all = of(&found);
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].grade, Grade::Good);
        assert!(all[0].message.starts_with("1 of this node, 2 of others"));
        let names: Vec<String> = (0..7).map(|number| format!("v{number}")).collect();
        let dead = names.iter().map(|name| lock(name, "gone", Some(false)));
        found.locks.extend(dead);
        found.lost = vec![LostInfo {
            volume: "x".into(),
            problem: "x was taken".into(),
            remedy: "disconnect".into(),
            clients: 2,
        }];
        let all = of(&found);
        assert_eq!(all.len(), 2);
        assert_eq!((all[0].grade, all[1].grade), (Grade::Bad, Grade::Note));
        assert!(all[0].message.contains("x was taken (2 clients"));
        let message = &all[1].message;
        assert!(message.contains("d on gone does not live"), "{message}");
        assert!(
            message.contains("v0 (since 2001-") && message.ends_with(" and 2 more"),
            "{message}"
        );
        assert!(all[1].remedy.contains("vlmc evict-node gone"));
    }

    #[test]
    fn locks_that_are_being_broken_and_a_lease_that_has_run_out_are_told() {
        let broken = LockInfo {
            is_being_broken: true,
            ..lock("a", "there", Some(true))
        };
        let ours = LockInfo {
            lease_ms: Some(0),
            ..lock("b", "here", Some(true))
        };
        let all = of(&LocksAnswer {
            locks: vec![broken, ours],
            ..LocksAnswer::default()
        });
        let grades: Vec<Grade> = all.iter().map(|one| one.grade).collect();
        assert_eq!(grades, [Grade::Note, Grade::Bad, Grade::Good]);
        assert!(
            all[0]
                .message
                .starts_with("the lock of there on a is being broken")
        );
        assert!(all[0].remedy.contains("vlmc unlock -f a"));
        assert!(all[1].message.contains("has run out"));
    }
}
