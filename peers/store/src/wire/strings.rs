//! Byte strings in a payload, each after its length in one byte.

use super::error::WireError;
use crate::contract::LockOwner;

/// The longest name of a node or of a deployment.
pub const OWNER_PART_BYTES_MAX: usize = 255;

/// Appends a string if it leaves `into` at `bytes_max` or less. A string has at most 255 bytes.
pub fn push_string(into: &mut Vec<u8>, string: &[u8], bytes_max: usize) -> bool {
    let Ok(len) = u8::try_from(string.len()) else {
        return false;
    };
    if into.len() + 1 + string.len() > bytes_max {
        return false;
    }
    into.push(len);
    into.extend_from_slice(string);
    true
}

/// As many of the strings as fit into `bytes_max`, encoded, and how many those are.
pub fn fit_strings<'a>(
    strings: impl IntoIterator<Item = &'a [u8]>,
    bytes_max: usize,
) -> (Vec<u8>, usize) {
    let mut encoded = Vec::new();
    let fitting = strings
        .into_iter()
        .take_while(|string| push_string(&mut encoded, string, bytes_max))
        .count();
    (encoded, fitting)
}

/// All strings of a payload.
pub fn decode_strings(bytes: &[u8]) -> Result<Vec<&[u8]>, WireError> {
    let (mut strings, mut rest) = (Vec::new(), bytes);
    while let Some((len, after)) = rest.split_first() {
        let at = bytes.len() - rest.len();
        let len = usize::from(*len);
        let (string, after) = after
            .split_at_checked(len)
            .ok_or(WireError::Strings { at })?;
        strings.push(string);
        rest = after;
    }
    Ok(strings)
}

/// A lock's owner as payload.
pub fn encode_owner(owner: &LockOwner) -> Result<Vec<u8>, WireError> {
    let mut encoded = Vec::new();
    for part in [&owner.node, &owner.deployment] {
        if part.is_empty() || !push_string(&mut encoded, part.as_bytes(), usize::MAX) {
            return Err(WireError::Owner);
        }
    }
    Ok(encoded)
}

/// The owner that a payload names: its first two strings.
pub fn decode_owner(bytes: &[u8]) -> Result<LockOwner, WireError> {
    let (node, rest) = owner_part(bytes)?;
    let (deployment, _) = owner_part(rest)?;
    Ok(LockOwner { node, deployment })
}

fn owner_part(bytes: &[u8]) -> Result<(String, &[u8]), WireError> {
    let (len, rest) = bytes.split_first().ok_or(WireError::Owner)?;
    let part = rest.split_at_checked(usize::from(*len));
    let (part, rest) = part.ok_or(WireError::Owner)?;
    match std::str::from_utf8(part) {
        Ok(text) if !text.is_empty() => Ok((text.to_owned(), rest)),
        _ => Err(WireError::Owner),
    }
}
