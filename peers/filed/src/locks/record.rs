//! What a lock's file says.

use archipelago_store::{LockOwner, LockRecord, ObjectName};

use crate::layout::{escape, unescape};

const FIRST_LINE: &str = "archipelago lock 1";

/// What a state says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    pub holder: Option<LockRecord>,
    /// The greatest number of a state that was taken from its owner by force.
    pub broken: u64,
}

/// The text of a state: held by somebody, or free. It is for people too. That a lock was broken stands there if it was: a program
/// that does not know of it takes the state for damaged, and nobody's lock (M9).
pub(super) fn write_state(
    name: &ObjectName,
    token: u64,
    holder: Option<&LockRecord>,
    broken: u64,
) -> String {
    let mut text = format!("{FIRST_LINE}\nlock {}\n", escape(name.as_bytes()));
    text += &format!("token {token}\n");
    if broken > 0 {
        text += &format!("broken {broken}\n");
    }
    match holder {
        None => text += "free\n",
        Some(record) => {
            text += &format!("held since {}\n", record.since);
            text += &format!("node {}\n", escape(record.owner.node.as_bytes()));
            let deployment = escape(record.owner.deployment.as_bytes());
            text += &format!("deployment {deployment}\n");
        }
    }
    let checksum = blake3::hash(text.as_bytes()).to_hex();
    text + &format!("checksum {checksum}\n")
}

/// What this text says; `None` if it is not exactly what [`write_state`] writes for this lock and token (F53).
pub(super) fn read_state(text: &[u8], name: &ObjectName, token: u64) -> Option<State> {
    let text = std::str::from_utf8(text).ok()?;
    let mut lines = text.lines().skip(3);
    let mut line = lines.next()?;
    let mut broken = 0;
    if let Some(number) = line.strip_prefix("broken ") {
        broken = number.parse().ok()?;
        line = lines.next()?;
    }
    let holder = match line {
        "free" => None,
        held => Some(LockRecord {
            token,
            since: held.strip_prefix("held since ")?.parse().ok()?,
            owner: LockOwner {
                node: part(lines.next()?, "node ")?,
                deployment: part(lines.next()?, "deployment ")?,
            },
            broken,
        }),
    };
    let is_exact = write_state(name, token, holder.as_ref(), broken) == text;
    is_exact.then_some(State { holder, broken })
}

fn part(line: &str, key: &str) -> Option<String> {
    let bytes = unescape(line.strip_prefix(key)?.as_bytes())?;
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name() -> ObjectName {
        ObjectName::new(b"lock/1f").unwrap()
    }

    fn is_held(record: &LockRecord) -> Option<State> {
        Some(State {
            holder: Some(record.clone()),
            broken: record.broken,
        })
    }

    #[test]
    fn a_state_with_any_damage_is_none() {
        for broken in [0, 5] {
            any_damage_is_seen(broken);
        }
    }

    fn any_damage_is_seen(broken: u64) {
        let record = LockRecord {
            owner: LockOwner {
                node: "n/1\n".into(),
                deployment: "d".into(),
            },
            token: 7,
            since: 1_700_000_000,
            broken,
        };
        let text = write_state(&name(), 7, Some(&record), broken).into_bytes();
        assert_eq!(read_state(&text, &name(), 7), is_held(&record));
        assert_eq!(read_state(&text, &name(), 8), None, "copied from elsewhere");
        for at in 0..text.len() {
            let mut damaged = text.clone();
            damaged[at] ^= 1;
            assert_eq!(read_state(&damaged, &name(), 7), None, "byte {at}");
            assert_eq!(read_state(&text[..at], &name(), 7), None, "cut at {at}");
        }
        let free = write_state(&name(), 9, None, broken);
        let holder = None;
        let state = Some(State { holder, broken });
        assert_eq!(read_state(free.as_bytes(), &name(), 9), state);
    }

    proptest! {
        #[test]
        fn any_owner_can_be_written(
            node in ".{1,80}", deployment in ".{1,80}", since in any::<u64>(), broken in any::<u64>(),
        ) {
            let owner = LockOwner { node, deployment };
            let record = LockRecord { owner, token: 3, since, broken };
            let text = write_state(&name(), 3, Some(&record), broken);
            prop_assert_eq!(read_state(text.as_bytes(), &name(), 3), is_held(&record));
        }
    }
}
