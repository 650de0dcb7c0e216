//! What a lock's object says.

use archipelago_store::wire::{decode_strings, push_string};
use archipelago_store::{LockOwner, LockRecord};

use super::record;

const KIND: [u8; 4] = *b"ALlk";
const NUMBERS_BYTES: usize = 16;
const STRINGS_BYTES_MAX: usize = 4 * 256;

/// Who has the lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Holder {
    pub owner: LockOwner,
    /// By which the cluster knows the instance that took it: who breaks the lock has it refused.
    pub address: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LockState {
    /// The last one that anybody got.
    pub token: u64,
    pub since: u64,
    pub holder: Option<Holder>,
    /// The greatest token whose owner lost it by force. What that had begun may be done yet, by who takes over its work.
    pub broken: u64,
}

impl LockState {
    /// Never taken, or forgotten.
    pub const NEW: Self = Self {
        token: 0,
        since: 0,
        holder: None,
        broken: 0,
    };

    pub fn record(&self) -> Option<LockRecord> {
        let holder = self.holder.as_ref()?;
        Some(LockRecord {
            owner: holder.owner.clone(),
            token: self.token,
            since: self.since,
            broken: self.broken,
        })
    }

    /// Builds that know of no broken locks take the record of one for damaged: held by somebody unknown.
    pub fn encode(&self) -> Vec<u8> {
        let mut strings = Vec::new();
        let mut push = |text: &[u8]| {
            let fits = push_string(&mut strings, text, STRINGS_BYTES_MAX);
            assert!(fits, "the wire brings no longer ones");
        };
        if let Some(Holder { owner, address }) = &self.holder {
            for text in [&owner.node, &owner.deployment, address] {
                push(text.as_bytes());
            }
        }
        if self.broken > 0 {
            push(&self.broken.to_le_bytes());
        }
        let content = [
            &self.token.to_le_bytes()[..],
            &self.since.to_le_bytes(),
            &strings,
        ];
        record::seal(KIND, &content.concat())
    }

    /// `None` if it is damaged, or of a format that we do not know.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let content = record::open(KIND, bytes).ok()?;
        let (numbers, strings) = content.split_at_checked(NUMBERS_BYTES)?;
        let (token, since) = numbers.split_at(8);
        let mut texts = decode_strings(strings).ok()?;
        let broken = match texts.len() {
            1 | 4 => u64::from_le_bytes(texts.pop()?.try_into().ok()?),
            _ => 0,
        };
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
        let holder = match texts[..] {
            [] => None,
            [node, deployment, address] => Some(Holder {
                owner: LockOwner {
                    node: text(node)?,
                    deployment: text(deployment)?,
                },
                address: text(address)?,
            }),
            _ => return None,
        };
        Some(Self {
            token: u64::from_le_bytes(token.try_into().ok()?),
            since: u64::from_le_bytes(since.try_into().ok()?),
            holder,
            broken,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_read_back_and_a_damaged_one_is_none() {
        let free = LockState {
            token: 9,
            since: 3,
            holder: None,
            broken: 0,
        };
        let held = LockState {
            holder: Some(Holder {
                owner: LockOwner {
                    node: "n".repeat(255),
                    deployment: "d\n".into(),
                },
                address: "127.0.0.1:0/7".into(),
            }),
            ..free.clone()
        };
        let broken = |state: &LockState| LockState {
            broken: 8,
            ..state.clone()
        };
        for state in [broken(&free), broken(&held), free, held] {
            let encoded = state.encode();
            assert_eq!(LockState::decode(&encoded), Some(state));
            for at in 0..encoded.len() {
                let mut damaged = encoded.clone();
                damaged[at] ^= 0x40;
                assert_eq!(LockState::decode(&damaged), None);
                assert_eq!(LockState::decode(&encoded[..at]), None);
            }
        }
    }
}
