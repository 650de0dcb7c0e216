//! Netlink's attributes: a length, a type, a payload, padding; a payload may be attributes again.
//!
//! # Invariants
//! * **ATTRIBUTE-1** What is taken apart is never read past its end, and every step goes forward.

/// Says that a payload is made of attributes.
const NESTED: u16 = 1 << 15;
const TYPE_MASK: u16 = 0x3fff;
const HEADER_BYTES: usize = 4;

/// Attributes in the order in which they were put.
#[derive(Clone, Debug, Default)]
pub struct Attributes {
    bytes: Vec<u8>,
}

impl Attributes {
    pub fn put(&mut self, kind: u16, payload: &[u8]) {
        let len = HEADER_BYTES + payload.len();
        let len = u16::try_from(len).expect("names and lists of sockets are short");
        self.bytes.extend(len.to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(payload);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    pub fn put32(&mut self, kind: u16, value: u32) {
        self.put(kind, &value.to_ne_bytes());
    }

    pub fn put64(&mut self, kind: u16, value: u64) {
        self.put(kind, &value.to_ne_bytes());
    }

    /// The kernel's strings end with a zero.
    pub fn put_text(&mut self, kind: u16, text: &str) {
        let mut bytes = text.as_bytes().to_vec();
        bytes.push(0);
        self.put(kind, &bytes);
    }

    pub fn put_nested(&mut self, kind: u16, inner: &Self) {
        self.put(kind | NESTED, &inner.bytes);
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// An attribute as it was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute<'a> {
    pub kind: u16,
    pub payload: &'a [u8],
}

impl Attribute<'_> {
    pub fn word16(&self) -> Option<u16> {
        Some(u16::from_ne_bytes(self.payload.try_into().ok()?))
    }

    pub fn word32(&self) -> Option<u32> {
        Some(u32::from_ne_bytes(self.payload.try_into().ok()?))
    }
}

/// The attributes in a payload, up to the first that makes no sense (ATTRIBUTE-1).
pub fn attributes(mut rest: &[u8]) -> impl Iterator<Item = Attribute<'_>> {
    std::iter::from_fn(move || {
        let len = usize::from(u16::from_ne_bytes(rest.get(..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(rest.get(2..4)?.try_into().ok()?);
        let payload = rest.get(HEADER_BYTES..len)?;
        rest = rest.get(len.next_multiple_of(4)..).unwrap_or(&[]);
        Some(Attribute {
            kind: kind & TYPE_MASK,
            payload,
        })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_was_put_is_found_again() {
        let mut inner = Attributes::default();
        inner.put32(1, 7);
        let mut outer = Attributes::default();
        outer.put_text(10, "ab");
        outer.put_nested(7, &inner);
        outer.put64(2, 1 << 40);
        let found: Vec<_> = attributes(outer.as_bytes()).collect();
        let kinds: Vec<u16> = found.iter().map(|one| one.kind).collect();
        assert_eq!(kinds, [10, 7, 2]);
        assert_eq!(found[0].payload, b"ab\0");
        let nested = attributes(found[1].payload).next().unwrap();
        assert_eq!((nested.kind, nested.word32()), (1, Some(7)));
        assert_eq!(found[2].payload, (1_u64 << 40).to_ne_bytes());
        assert_eq!(outer.as_bytes().len() % 4, 0);
    }

    proptest! {
        #[test]
        fn no_bytes_are_read_past_their_end_or_for_ever(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            // ATTRIBUTE-1
            let payloads: usize = attributes(&bytes).map(|one| one.payload.len() + HEADER_BYTES).sum();
            prop_assert!(payloads <= bytes.len());
        }
    }
}
