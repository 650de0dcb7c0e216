//! The folder and the file of an object.
//!
//! A folder is `aa/bb` below `objects`, from the hash of the object's group: a group lies in one folder, so that it can
//! be listed by reading one directory. A file is named by its object; a name that gets too long for a file is
//! replaced by `%%` and its hash, and a neighbour, the *sidecar*, holds the name.
//!
//! # Invariants
//! * **PLACE-1** An object has one place, and a place has one object.
//! * **PLACE-2** No file name is longer than 246 bytes, so NAME_MAX never binds.

use archipelago_store::ObjectName;

use super::escape::{escape, unescape};

/// Longer escapes are replaced by a hash. With the sidecar's ending this stays below NAME_MAX, 255.
const ESCAPED_BYTES_MAX: usize = 240;
const HASHED: &str = "%%";
const SIDECAR: &str = ".name";
/// Hexadecimal digits of a hash.
const HASH_DIGITS: usize = 64;

/// A directory of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Folder(u16);

impl Folder {
    /// Of all objects of a group.
    pub fn of_group(group: &[u8]) -> Self {
        let hash = blake3::hash(group);
        Self(u16::from_be_bytes([hash.as_bytes()[0], hash.as_bytes()[1]]))
    }

    /// The one that lies there, by the names of the two directories.
    pub fn at(outer: &[u8], inner: &[u8]) -> Option<Self> {
        let number = |name: &[u8]| u8::from_str_radix(std::str::from_utf8(name).ok()?, 16).ok();
        let folder = Self(u16::from_be_bytes([number(outer)?, number(inner)?]));
        let is_exact = folder.outer().as_bytes() == outer && folder.inner().as_bytes() == inner;
        is_exact.then_some(folder)
    }

    /// The directory that it lies in.
    pub fn outer(self) -> String {
        format!("{:02x}", self.0 >> 8)
    }

    /// Its own name in there.
    pub fn inner(self) -> String {
        format!("{:02x}", self.0 & 0xff)
    }

    pub fn path(self) -> String {
        format!("{:02x}/{:02x}", self.0 >> 8, self.0 & 0xff)
    }
}

/// The neighbour that holds a long name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sidecar {
    pub file: String,
}

/// Where an object lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub folder: Folder,
    pub file: String,
    pub sidecar: Option<Sidecar>,
}

impl Place {
    pub fn of(name: &ObjectName) -> Self {
        let folder = Folder::of_group(name.group());
        let escaped = escape(name.as_bytes());
        if escaped.len() <= ESCAPED_BYTES_MAX {
            return Self {
                folder,
                file: escaped,
                sidecar: None,
            };
        }
        let file = format!("{HASHED}{}", blake3::hash(name.as_bytes()).to_hex());
        let sidecar = Sidecar {
            file: format!("{file}{SIDECAR}"),
        };
        Self {
            folder,
            file,
            sidecar: Some(sidecar),
        }
    }

    /// Below `objects`.
    pub fn path(&self) -> String {
        format!("{}/{}", self.folder.path(), self.file)
    }
}

/// What a file in a folder is, by its name alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FileName {
    Object(ObjectName),
    /// The sidecar of this name says which object it is.
    Hashed(Sidecar),
    /// A sidecar, or somebody else's (F100).
    Other,
}

impl FileName {
    pub fn of(file: &[u8]) -> Self {
        if let Some(hash) = file.strip_prefix(HASHED.as_bytes()) {
            let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            return match std::str::from_utf8(hash) {
                Ok(text) if hash.len() == HASH_DIGITS && hash.iter().all(is_digit) => {
                    Self::Hashed(Sidecar {
                        file: format!("{HASHED}{text}{SIDECAR}"),
                    })
                }
                _ => Self::Other,
            };
        }
        if file.len() > ESCAPED_BYTES_MAX {
            return Self::Other;
        }
        unescape(file)
            .and_then(|name| ObjectName::new(&name).ok())
            .map_or(Self::Other, Self::Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(bytes: &[u8]) -> ObjectName {
        ObjectName::new(bytes).unwrap()
    }

    #[test]
    fn a_group_lies_in_one_folder() {
        let place = Place::of(&name(b"page/1f/2.7"));
        assert_eq!(place.folder, Place::of(&name(b"page/1f/9.9")).folder);
        assert_eq!(place.folder, Folder::of_group(b"page/1f"));
        assert_eq!(place.file, "page+1f+2.7");
        let (path, folder) = (place.path(), place.folder);
        assert_eq!(path, format!("{}/page+1f+2.7", folder.path()));
        assert_eq!(
            folder.path(),
            format!("{}/{}", folder.outer(), folder.inner())
        );
        let found = Folder::at(folder.outer().as_bytes(), folder.inner().as_bytes());
        assert_eq!(found, Some(folder));
        for foreign in [&b"1"[..], b"FF", b"+1", b"001", b"zz", b"", b"\xff\xff"] {
            assert_eq!(Folder::at(foreign, b"00"), None, "{foreign:?}");
            assert_eq!(Folder::at(b"00", foreign), None, "{foreign:?}");
        }
    }

    proptest! {
        #[test]
        fn place_1_a_file_name_leads_back_to_its_object(
            bytes in prop::collection::vec(1..=255_u8, 1..=255),
            plain in any::<bool>(),
        ) {
            let bytes = if plain { vec![b'a'; bytes.len()] } else { bytes };
            let place = Place::of(&name(&bytes)); // PLACE-1
            prop_assert!(place.file.len() <= 240); // PLACE-2
            match FileName::of(place.file.as_bytes()) {
                FileName::Object(found) => prop_assert_eq!(found, name(&bytes)),
                FileName::Hashed(sidecar) => {
                    prop_assert!(sidecar.file.len() <= 246);
                    prop_assert_eq!(FileName::of(sidecar.file.as_bytes()), FileName::Other);
                    prop_assert_eq!(Some(sidecar), place.sidecar);
                }
                FileName::Other => prop_assert!(false, "{} is not found again", place.file),
            }
        }

        #[test]
        fn foreign_file_names_are_nobodys(file in prop::collection::vec(any::<u8>(), 0..300)) {
            if let FileName::Object(object) = FileName::of(&file) {
                prop_assert_eq!(Place::of(&object).file.into_bytes(), file); // PLACE-1
            }
        }
    }
}
