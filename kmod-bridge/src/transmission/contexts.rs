//! Which of a connection's metadata contexts a block status is about.

use crate::limits::CONTEXTS_MAX;

/// Some of the contexts that were agreed on, by their places among them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ContextSet(u8);

const _: () = assert!(CONTEXTS_MAX <= u8::BITS as usize, "a bit for each");

impl ContextSet {
    /// The first `count`, no more than there can be.
    pub fn all(count: usize) -> Self {
        let mut all = Self::default();
        (0..count.min(CONTEXTS_MAX)).for_each(|place| {
            all.insert(place);
        });
        all
    }

    /// `false`: it was in the set already, or there is no such place.
    pub fn insert(&mut self, place: usize) -> bool {
        let bit = match u32::try_from(place) {
            Ok(place) => 1_u8.checked_shl(place).unwrap_or(0),
            Err(_) => 0,
        };
        let is_new = self.0 & bit == 0 && bit != 0;
        self.0 |= bit;
        is_new
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn places(self) -> impl Iterator<Item = usize> {
        (0..CONTEXTS_MAX).filter(move |place| self.0 & (1 << place) != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_in_a_set_once() {
        let mut set = ContextSet::default();
        assert!(set.is_empty());
        for (place, is_new) in [
            (3, true),
            (0, true),
            (3, false),
            (8, false),
            (1 << 40, false),
        ] {
            assert_eq!(set.insert(place), is_new, "{place}");
        }
        assert_eq!(set.places().collect::<Vec<_>>(), [0, 3]);
        assert_eq!(ContextSet::all(3).places().collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(ContextSet::all(100).places().count(), CONTEXTS_MAX);
    }
}
