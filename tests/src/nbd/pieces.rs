//! A stream in pieces of odd sizes, as networks bring it.

use super::choices::Choices;

/// The ends of the pieces: each larger than the one before, the last one at the end of the stream.
pub fn ends(choices: &mut Choices<'_>, len: usize) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut at = 0;
    while at < len {
        let piece = match choices.byte() {
            0..=9 => len,
            10..=99 => 1 + choices.below(8),
            _ => 1 + 17 * choices.below(200),
        };
        at = len.min(at + piece);
        ends.push(at);
    }
    ends
}
