//! What things are called in the pool.

use std::ffi::CString;

use archipelago_store::{LockOwner, OBJECT_NAME_BYTES_MAX, ObjectName, StoreError};

/// Says which store this is.
pub(super) const IDENTITY: &std::ffi::CStr = c"archipelago";

/// What was reserved of an object, in bytes: 8, the least significant first.
pub(super) const RESERVED: &std::ffi::CStr = c"reserved";

/// An object of the store. Bytes that come from outside are looked at here.
pub(super) fn object(name: &[u8]) -> Result<CString, StoreError> {
    if name.is_empty() || name.len() > OBJECT_NAME_BYTES_MAX {
        return Err(StoreError::Invalid);
    }
    CString::new([b"o.", name].concat()).map_err(|_| StoreError::Invalid)
}

/// A key of an index: a name as it is.
pub(super) fn key(name: &ObjectName) -> CString {
    without_nul(name.as_bytes().to_vec())
}

pub(super) fn lock(name: &ObjectName) -> CString {
    without_nul([b"l.", name.as_bytes()].concat())
}

/// Who is there of a deployment. The length keeps names with slashes apart.
pub(super) fn attendance(owner: &LockOwner) -> CString {
    let LockOwner { node, deployment } = owner;
    let name = format!("n.{}/{node}/{deployment}", node.len());
    without_nul(name.replace('\0', "?").into_bytes())
}

/// A part of a group's index.
pub(super) fn index(part: u32, group: &[u8]) -> CString {
    let mut name = format!("i.{part:x}.").into_bytes();
    name.extend_from_slice(group);
    without_nul(name)
}

/// A part of the index of groups.
pub(super) fn groups(part: u32) -> CString {
    without_nul(format!("g.{part:x}").into_bytes())
}

/// A group's key there: no key is empty, and the name of a group may be.
pub(super) fn group_key(group: &[u8]) -> CString {
    without_nul([b"=", group].concat())
}

fn without_nul(bytes: Vec<u8>) -> CString {
    CString::new(bytes).expect("names of objects and groups have no NUL")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_outside_are_looked_at() {
        for bad in [&b""[..], b"a\0b", &[b'x'; 256]] {
            assert_eq!(object(bad), Err(StoreError::Invalid));
        }
        assert_eq!(object(b"a/\xff").unwrap().as_bytes(), b"o.a/\xff");
        assert_eq!(group_key(b"").as_bytes(), b"=");
        assert_eq!(index(31, b"a/b").as_bytes(), b"i.1f.a/b");
    }
}
