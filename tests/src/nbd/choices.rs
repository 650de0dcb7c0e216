//! Bytes as a row of choices. When they are used up, each choice is the first one: every case ends.

/// The rest of a case.
#[derive(Clone, Copy, Debug)]
pub struct Choices<'a> {
    rest: &'a [u8],
}

/// Numbers at which things end, begin, or wrap.
const EDGES: [u64; 20] = [
    0,
    1,
    2,
    3,
    511,
    512,
    4095,
    4096,
    4097,
    65535,
    65536,
    (1 << 20) - 1,
    1 << 20,
    (32 << 20) + 1,
    u32::MAX as u64,
    1 << 32,
    1 << 62,
    1 << 63,
    u64::MAX - 1,
    u64::MAX,
];

impl<'a> Choices<'a> {
    pub fn of(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    pub fn is_over(&self) -> bool {
        self.rest.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        match self.rest.split_first() {
            Some((byte, rest)) => {
                self.rest = rest;
                *byte
            }
            None => 0,
        }
    }

    pub fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound
    }

    /// Yes in so many of 256 cases.
    pub fn chance(&mut self, of_256: u8) -> bool {
        self.byte() > u8::MAX - of_256
    }

    pub fn word(&mut self) -> u64 {
        (0..8).fold(0, |word, _| word << 8 | u64::from(self.byte()))
    }

    /// An edge, something near one, or anything.
    pub fn number(&mut self) -> u64 {
        let edge = EDGES[self.below(EDGES.len())];
        match self.byte() {
            0..=99 => edge,
            100..=149 => edge.wrapping_add(1),
            150..=199 => edge.wrapping_sub(512),
            _ => self.word(),
        }
    }

    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.byte()).collect()
    }

    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_that_is_used_up_chooses_the_first() {
        let mut choices = Choices::of(&[7]);
        assert_eq!(choices.byte(), 7);
        assert!(choices.is_over());
        assert_eq!(
            (choices.byte(), choices.word(), choices.number()),
            (0, 0, 0)
        );
        assert_eq!(choices.pick(&["first", "second"]), "first");
        assert!(!choices.chance(255));
        assert_eq!(choices.bytes(3), [0, 0, 0]);
    }
}
