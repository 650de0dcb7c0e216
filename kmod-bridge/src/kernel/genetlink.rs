//! Messages of generic netlink: which command of which family, and attributes.
//!
//! ```text
//! length u32 | type u16 | flags u16 | sequence u32 | port u32     a family's number is its type
//!     command u8 | version u8 | u16 | attributes ...
//! ```
//! # Invariants
//! * **GENETLINK-1** What the kernel sends is taken apart within its bounds; what is of another call is passed over.

use rustix::io::Errno;

use super::attribute::Attributes;

const HEADER_BYTES: usize = 16;
const FAMILY_HEADER_BYTES: usize = 4;

const REQUEST: u16 = 1;
const ACKNOWLEDGE: u16 = 4;

/// Types of messages that are no family's.
const ERROR: u16 = 2;
const FAMILY_MIN: u16 = 16;

/// The family that knows the others.
pub const CONTROL_FAMILY: u16 = 16;

/// A call: answered by messages of its family, if it has something to say, and by an acknowledgement at last.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    pub family: u16,
    pub command: u8,
    pub attributes: &'a Attributes,
}

/// What a message says to a call.
#[derive(Debug, PartialEq, Eq)]
pub enum Said<'a> {
    /// The attributes of an answer.
    Answer(&'a [u8]),
    /// The call is over.
    Done(Result<(), Errno>),
}

impl Call<'_> {
    pub fn to_bytes(self, sequence: u32) -> Vec<u8> {
        let attributes = self.attributes.as_bytes();
        let len = HEADER_BYTES + FAMILY_HEADER_BYTES + attributes.len();
        let version = 1;
        let mut bytes = Vec::with_capacity(len);
        bytes.extend((len as u32).to_ne_bytes());
        bytes.extend(self.family.to_ne_bytes());
        bytes.extend((REQUEST | ACKNOWLEDGE).to_ne_bytes());
        bytes.extend(sequence.to_ne_bytes());
        bytes.extend([0; 4]); // the kernel knows who we are
        bytes.extend([self.command, version, 0, 0]);
        bytes.extend(attributes);
        bytes
    }
}

/// What a datagram of the kernel's says to the call with that number (GENETLINK-1).
pub fn said(mut rest: &[u8], sequence: u32) -> impl Iterator<Item = Said<'_>> {
    let messages = std::iter::from_fn(move || {
        let len = u32::from_ne_bytes(rest.get(..4)?.try_into().ok()?) as usize;
        let message = rest.get(..len).filter(|_| len >= HEADER_BYTES)?;
        rest = rest.get(len.next_multiple_of(4)..).unwrap_or(&[]);
        Some(message)
    });
    messages.filter_map(move |message| {
        let kind = u16::from_ne_bytes(message[4..6].try_into().ok()?);
        let found = u32::from_ne_bytes(message[8..12].try_into().ok()?);
        let payload = &message[HEADER_BYTES..];
        match kind {
            _ if found != sequence => None,
            ERROR => {
                let code = i32::from_ne_bytes(payload.get(..4)?.try_into().ok()?);
                Some(Said::Done(match code {
                    0 => Ok(()),
                    code => Err(Errno::from_raw_os_error(code.saturating_neg())),
                }))
            }
            FAMILY_MIN.. => Some(Said::Answer(payload.get(FAMILY_HEADER_BYTES..)?)),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(kind: u16, sequence: u32, payload: &[u8]) -> Vec<u8> {
        let mut bytes = ((HEADER_BYTES + payload.len()) as u32)
            .to_ne_bytes()
            .to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend([0; 2]);
        bytes.extend(sequence.to_ne_bytes());
        bytes.extend([0; 4]);
        bytes.extend(payload);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn a_call_is_a_message_of_its_family() {
        let mut attributes = Attributes::default();
        attributes.put32(1, 5);
        let call = Call {
            family: 33,
            command: 2,
            attributes: &attributes,
        };
        let bytes = call.to_bytes(9);
        assert_eq!(bytes[..4], 28_u32.to_ne_bytes());
        assert_eq!(bytes[4..6], 33_u16.to_ne_bytes());
        assert_eq!(bytes[6..8], 5_u16.to_ne_bytes());
        assert_eq!(bytes[8..12], 9_u32.to_ne_bytes());
        assert_eq!(bytes[16..20], [2, 1, 0, 0]);
        assert_eq!(bytes[20..], *attributes.as_bytes());
    }

    #[test]
    fn answers_and_the_end_are_told_from_what_is_of_another_call() {
        // GENETLINK-1
        let mut datagram = message(33, 8, b"1..0other");
        datagram.extend(message(33, 9, b"1..0own"));
        datagram.extend(message(ERROR, 9, &(-17_i32).to_ne_bytes()));
        datagram.extend(message(ERROR, 9, &0_i32.to_ne_bytes()));
        let found: Vec<_> = said(&datagram, 9).collect();
        let expected = [
            Said::Answer(b"own"),
            Said::Done(Err(Errno::EXIST)),
            Said::Done(Ok(())),
        ];
        assert_eq!(found, expected);
    }

    proptest! {
        #[test]
        fn no_datagram_is_more_than_nonsense(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            // GENETLINK-1
            let sequence = bytes.get(8..12).map_or(0, |word| u32::from_ne_bytes(word.try_into().unwrap()));
            prop_assert!(said(&bytes, sequence).count() <= bytes.len() / HEADER_BYTES);
        }
    }
}
