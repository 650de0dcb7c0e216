//! Names of objects.

/// The longest name, in bytes.
pub const OBJECT_NAME_BYTES_MAX: usize = 255;

/// A valid name of an object: 1 to 255 bytes, any but NUL. What stands before its last `/` is its group.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName(Box<[u8]>);

/// Bytes that cannot name an object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadObjectName {
    #[error("the name of an object is empty")]
    Empty,
    #[error("the name of an object has {0} bytes, 255 are the most")]
    TooLong(usize),
    #[error("the name of an object has a NUL at byte {0}")]
    Nul(usize),
}

impl ObjectName {
    pub fn new(bytes: &[u8]) -> Result<Self, BadObjectName> {
        if bytes.is_empty() {
            return Err(BadObjectName::Empty);
        }
        if bytes.len() > OBJECT_NAME_BYTES_MAX {
            return Err(BadObjectName::TooLong(bytes.len()));
        }
        match bytes.iter().position(|byte| *byte == 0) {
            Some(at) => Err(BadObjectName::Nul(at)),
            None => Ok(Self(bytes.into())),
        }
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// What stands before the last `/`, without it; empty if there is none.
    pub fn group(&self) -> &[u8] {
        match self.0.iter().rposition(|byte| *byte == b'/') {
            Some(at) => &self.0[..at],
            None => &[],
        }
    }
}

/// Names are found by their bytes, without making one.
impl std::borrow::Borrow<[u8]> for ObjectName {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Display for ObjectName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.escape_ascii().fmt(f)
    }
}

impl std::fmt::Debug for ObjectName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_to_255_bytes_without_nul() {
        assert_eq!(ObjectName::new(b""), Err(BadObjectName::Empty));
        assert_eq!(ObjectName::new(b"a\0b"), Err(BadObjectName::Nul(1)));
        assert_eq!(
            ObjectName::new(&[b'x'; 256]),
            Err(BadObjectName::TooLong(256))
        );
        assert!(ObjectName::new(&[b'x'; 255]).is_ok());
    }

    #[test]
    fn a_name_is_found_by_its_bytes() {
        let name = ObjectName::new(b"a/b").unwrap();
        let names = std::collections::HashSet::from([name.clone()]);
        assert_eq!(names.get(&b"a/b"[..]), Some(&name));
        assert_eq!(names.get(&b"a/c"[..]), None);
    }

    #[test]
    fn the_group_is_what_stands_before_the_last_slash() {
        let group = |name: &[u8]| ObjectName::new(name).unwrap().group().to_vec();
        assert_eq!(group(b"a/b/c"), b"a/b");
        assert_eq!(group(b"alone"), b"");
        assert_eq!(group(b"/x"), b"");
    }
}
