//! What the objects are called that the mapper keeps in the store for maps.

use archipelago_store::{ObjectName, Scope};

use crate::map::VolumeId;

/// The group of all directory entries.
pub const NAME_GROUP: &[u8] = b"name";

fn object(text: &str) -> ObjectName {
    ObjectName::new(text.as_bytes()).expect("short, and without NUL")
}

/// The directory entry of a volume's name. Named by hash: any name that a volume may have fits.
pub fn entry(name: &str) -> ObjectName {
    object(&format!("name/{}", blake3::hash(name.as_bytes()).to_hex()))
}

/// The group of all directory entries of content.
pub const HASH_GROUP: &[u8] = b"hash";

/// Who makes content at this moment.
pub const MAKING_GROUP: &[u8] = b"making";

pub fn making(id: VolumeId) -> ObjectName {
    object(&format!("making/{id}"))
}

/// Who looks for content that nobody names.
pub const COLLECTING_GROUP: &[u8] = b"collecting";

pub fn collecting(id: VolumeId) -> ObjectName {
    object(&format!("collecting/{id}"))
}

/// The directory entry of content, whose name is its hash.
pub fn hash(digits: &str) -> ObjectName {
    object(&format!("hash/{digits}"))
}

pub fn head_group(id: VolumeId) -> Vec<u8> {
    format!("head/{id}").into_bytes()
}

pub fn head(id: VolumeId, token: u64, number: u64) -> ObjectName {
    object(&format!("head/{id}/{token:016x}.{number:016x}"))
}

pub fn edge_group(parent: VolumeId) -> Vec<u8> {
    format!("edge/{parent}").into_bytes()
}

pub fn edge(parent: VolumeId, child: VolumeId) -> ObjectName {
    object(&format!("edge/{parent}/{child}"))
}

pub fn page_group(id: VolumeId) -> Vec<u8> {
    format!("page/{id}").into_bytes()
}

pub fn pages(id: VolumeId, number: u64) -> ObjectName {
    object(&format!("page/{id}/{number:016x}"))
}

pub fn log_group(id: VolumeId) -> Vec<u8> {
    format!("log/{id}").into_bytes()
}

pub fn log(id: VolumeId, token: u64, number: u64) -> ObjectName {
    object(&format!("log/{id}/{token:016x}.{number:016x}"))
}

/// What waits to be given back, or to lose its last child.
pub const TRASH_GROUP: &[u8] = b"trash";

pub fn trash(id: VolumeId) -> ObjectName {
    object(&format!("trash/{id}"))
}

/// The locks that administrators hold.
pub const HELD_GROUP: &[u8] = b"held";

/// There while an administrator holds the lock.
pub fn held(id: VolumeId) -> ObjectName {
    object(&format!("held/{id}"))
}

/// The snapshots of a volume that are being made.
pub fn draft_group(of: VolumeId) -> Vec<u8> {
    format!("draft/{of}").into_bytes()
}

pub fn draft(of: VolumeId, snapshot: VolumeId) -> ObjectName {
    object(&format!("draft/{of}/{snapshot}"))
}

pub fn lock(id: VolumeId) -> ObjectName {
    object(&format!("lock/{id}"))
}

/// The last part of a name, as the numbers that it is made of.
pub fn numbers(name: &ObjectName) -> Option<(u64, u64)> {
    let text = std::str::from_utf8(name.as_bytes()).ok()?;
    let (high, low) = text.rsplit('/').next()?.split_once('.')?;
    Some((hex(high)?, hex(low)?))
}

/// The number that is the last part of a name.
pub fn number(name: &ObjectName) -> Option<u64> {
    let text = std::str::from_utf8(name.as_bytes()).ok()?;
    hex(text.rsplit('/').next()?)
}

/// The volume id that is the last part of a name.
pub fn last_id(name: &ObjectName) -> Option<VolumeId> {
    let text = std::str::from_utf8(name.as_bytes()).ok()?;
    text.rsplit('/').next()?.parse().ok()
}

fn hex(text: &str) -> Option<u64> {
    let is_plain = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_plain.then(|| u64::from_str_radix(text, 16).ok())?
}

/// For whom a volume's objects are written: its number among the dirty ones (D2).
pub fn scope(id: VolumeId) -> Scope {
    let mut word = [0; 8];
    word.copy_from_slice(&id.as_bytes()[..8]);
    Scope(u64::from_le_bytes(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_ids_are_found_again_in_names() {
        let id = VolumeId::new([7; 16]).unwrap();
        assert_eq!(numbers(&head(id, 3, u64::MAX)), Some((3, u64::MAX)));
        assert_eq!(numbers(&log(id, 0, 9)), Some((0, 9)));
        assert_eq!(number(&pages(id, 77)), Some(77));
        assert_eq!(
            last_id(&edge(id, VolumeId::new([9; 16]).unwrap())),
            Some(VolumeId::new([9; 16]).unwrap())
        );
        assert_eq!(head(id, 1, 2).group(), head_group(id));
        assert_eq!(log(id, 1, 2).group(), log_group(id));
        assert_eq!(pages(id, 1).group(), page_group(id));
        assert_eq!(edge(id, id).group(), edge_group(id));
        assert_eq!(entry("x").group(), NAME_GROUP);
        assert_eq!(numbers(&ObjectName::new(b"head/x/+1.2").unwrap()), None);
        assert_eq!(number(&ObjectName::new(b"page/x/zz").unwrap()), None);
    }
}
