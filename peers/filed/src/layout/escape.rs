//! Object names as file names.
//!
//! Letters, digits, `.`, `_` and `-` stand for themselves, but for a leading `.`; `/` becomes `+`; every other byte
//! becomes `%` and two hexadecimal digits.
//!
//! # Invariants
//! * **ESCAPE-1** No two names have the same escape, and none has one that is `.`, `..`, hidden, or contains a slash.
//! * **ESCAPE-2** What is not exactly the escape of a name is not read as one (F100).

const DIGITS: &[u8; 16] = b"0123456789ABCDEF";

fn is_plain(byte: u8, is_first: bool) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-') || (byte == b'.' && !is_first)
}

/// The file name of an object name, as long as it gets.
pub(crate) fn escape(name: &[u8]) -> String {
    let mut escaped = String::with_capacity(name.len());
    for (at, byte) in name.iter().enumerate() {
        if is_plain(*byte, at == 0) {
            escaped.push(char::from(*byte));
        } else if *byte == b'/' {
            escaped.push('+');
        } else {
            escaped.push('%');
            escaped.push(char::from(DIGITS[usize::from(byte >> 4)]));
            escaped.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
    escaped
}

/// The object name that a file name stands for; `None` if [`escape`] would not have made it.
pub(crate) fn unescape(file: &[u8]) -> Option<Vec<u8>> {
    let mut name = Vec::with_capacity(file.len());
    let mut rest = file;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match *byte {
            b'+' => name.push(b'/'),
            b'%' => {
                let (digits, after) = rest.split_first_chunk::<2>()?;
                rest = after;
                name.push(digit(digits[0])? << 4 | digit(digits[1])?);
            }
            byte => name.push(byte),
        }
    }
    (escape(&name).as_bytes() == file).then_some(name) // ESCAPE-2
}

fn digit(character: u8) -> Option<u8> {
    let at = DIGITS.iter().position(|digit| *digit == character)?;
    Some(at as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_readable_and_hostile_ones_harmless() {
        let escaped = |name: &str| escape(name.as_bytes());
        assert_eq!(escaped("head/1f/2.7"), "head+1f+2.7");
        assert_eq!(escaped(".."), "%2E."); // ESCAPE-1
        assert_eq!(escaped("."), "%2E");
        assert_eq!(escaped("../x"), "%2E.+x");
        assert_eq!(escaped("a+b%"), "a%2Bb%25");
        assert_eq!(escaped("\n"), "%0A");
    }

    #[test]
    fn what_is_no_escape_is_no_name() {
        // ESCAPE-2
        for foreign in ["%41", "%2e", "%2", "%", "a b", ".x", "~", "%zz", "\u{e4}"] {
            assert_eq!(unescape(foreign.as_bytes()), None, "{foreign}");
        }
    }

    proptest! {
        #[test]
        fn a_name_comes_back(name in prop::collection::vec(1..=255_u8, 1..100)) {
            let escaped = escape(&name); // ESCAPE-1
            prop_assert!(!escaped.contains('/') && !escaped.starts_with('.'));
            prop_assert!(!escaped.starts_with("%%"));
            prop_assert_eq!(unescape(escaped.as_bytes()), Some(name));
        }

        #[test]
        fn any_file_name_is_one_name_or_none(file in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Some(name) = unescape(&file) { // ESCAPE-2
                prop_assert_eq!(escape(&name).into_bytes(), file);
            }
        }
    }
}
