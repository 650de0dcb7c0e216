//! What a lock's file says.

use archipelago_store::{LockOwner, LockRecord, ObjectName};

use crate::layout::{escape, unescape};

const FIRST_LINE: &str = "archipelago lock 1";

/// The text of a state: held by somebody, or free. It is for people too.
pub(super) fn write_state(name: &ObjectName, token: u64, holder: Option<&LockRecord>) -> String {
    let mut text = format!("{FIRST_LINE}\nlock {}\n", escape(name.as_bytes()));
    text += &format!("token {token}\n");
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

/// Who holds it, by this text; `None` if it is not exactly what [`write_state`] writes for this lock and token (F53).
pub(super) fn read_state(text: &[u8], name: &ObjectName, token: u64) -> Option<Option<LockRecord>> {
    let text = std::str::from_utf8(text).ok()?;
    let mut lines = text.lines().skip(3);
    let holder = match lines.next()? {
        "free" => None,
        held => Some(LockRecord {
            token,
            since: held.strip_prefix("held since ")?.parse().ok()?,
            owner: LockOwner {
                node: part(lines.next()?, "node ")?,
                deployment: part(lines.next()?, "deployment ")?,
            },
        }),
    };
    (write_state(name, token, holder.as_ref()) == text).then_some(holder)
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

    #[test]
    fn a_state_with_any_damage_is_none() {
        let record = LockRecord {
            owner: LockOwner {
                node: "n/1\n".into(),
                deployment: "d".into(),
            },
            token: 7,
            since: 1_700_000_000,
        };
        let text = write_state(&name(), 7, Some(&record)).into_bytes();
        assert_eq!(read_state(&text, &name(), 7), Some(Some(record)));
        assert_eq!(read_state(&text, &name(), 8), None, "copied from elsewhere");
        for at in 0..text.len() {
            let mut damaged = text.clone();
            damaged[at] ^= 1;
            assert_eq!(read_state(&damaged, &name(), 7), None, "byte {at}");
            assert_eq!(read_state(&text[..at], &name(), 7), None, "cut at {at}");
        }
        let free = write_state(&name(), 9, None);
        assert_eq!(read_state(free.as_bytes(), &name(), 9), Some(None));
    }

    proptest! {
        #[test]
        fn any_owner_can_be_written(node in ".{1,80}", deployment in ".{1,80}", since in any::<u64>()) {
            let owner = LockOwner { node, deployment };
            let record = LockRecord { owner, token: 3, since };
            let text = write_state(&name(), 3, Some(&record));
            prop_assert_eq!(read_state(text.as_bytes(), &name(), 3), Some(Some(record)));
        }
    }
}
