//! Values behind keys that are never mistaken for later ones: an index and the generation of its use.
//!
//! # Invariants
//! * **SLAB-1** A key finds its own value or nothing: each use of an index has a generation of its own, and none is 0, so
//!   that the word 0 is nobody's key.

/// Names a value of one [`Slab`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    index: u32,
    generation: u32,
}

/// Keys stay below the tokens that others keep for themselves (the waiter's is all ones).
const GENERATION_MAX: u32 = u32::MAX >> 1;

impl Key {
    /// As one word: a cookie, or the `user_data` of an operation.
    pub fn to_bits(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    pub fn from_bits(bits: u64) -> Self {
        Self {
            index: bits as u32,
            generation: (bits >> 32) as u32,
        }
    }
}

#[derive(Debug)]
struct Entry<T> {
    generation: u32,
    value: Option<T>,
}

/// Grows to the most that it ever held at once; from then on nothing is allocated.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    entries: Vec<Entry<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Slab<T> {
    pub fn insert(&mut self, value: T) -> Key {
        let index = self.free.pop().unwrap_or_else(|| {
            self.entries.push(Entry {
                generation: 0,
                value: None,
            });
            u32::try_from(self.entries.len() - 1).expect("memory ends before 2^32 entries")
        });
        let entry = &mut self.entries[index as usize];
        entry.generation = entry.generation % GENERATION_MAX + 1;
        entry.value = Some(value);
        Key {
            index,
            generation: entry.generation,
        }
    }

    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let entry = self.entries.get_mut(key.index as usize)?;
        entry
            .value
            .as_mut()
            .filter(|_| entry.generation == key.generation)
    }

    pub fn contains(&self, key: Key) -> bool {
        self.entries
            .get(key.index as usize)
            .is_some_and(|entry| entry.generation == key.generation && entry.value.is_some())
    }

    pub fn remove(&mut self, key: Key) -> Option<T> {
        let entry = self.entries.get_mut(key.index as usize)?;
        if entry.generation != key.generation {
            return None;
        }
        let value = entry.value.take()?;
        self.free.push(key.index);
        Some(value)
    }

    /// How many values there are.
    pub fn count(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// The keys of all values.
    pub fn keys(&self) -> impl Iterator<Item = Key> + '_ {
        let keyed = |(index, entry): (usize, &Entry<T>)| {
            entry.value.as_ref().map(|_| Key {
                index: index as u32,
                generation: entry.generation,
            })
        };
        self.entries.iter().enumerate().filter_map(keyed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_an_earlier_use_finds_nothing() {
        // SLAB-1
        let mut slab = Slab::default();
        let first = slab.insert('a');
        assert_eq!(slab.remove(first), Some('a'));
        let second = slab.insert('b');
        assert_eq!(first.index, second.index);
        assert_eq!((slab.remove(first), slab.get_mut(first)), (None, None));
        assert!(slab.contains(second) && !slab.contains(first));
        assert_eq!(slab.keys().collect::<Vec<_>>(), [second]);
        assert_eq!(slab.count(), 1);
    }

    #[test]
    fn no_key_is_the_word_zero_nor_the_waiters_token_even_after_the_generations_wrap() {
        // SLAB-1
        let mut slab = Slab::default();
        assert!(slab.get_mut(Key::from_bits(0)).is_none());
        let key = slab.insert(());
        assert_ne!(key.to_bits(), 0);
        slab.remove(key);
        slab.entries[0].generation = GENERATION_MAX;
        let key = slab.insert(());
        assert_eq!(key.generation, 1);
        assert!(u64::from(GENERATION_MAX) << 32 | u64::from(u32::MAX) < xseg::BELL_TOKEN);
        assert_eq!(Key::from_bits(key.to_bits()), key);
    }
}
