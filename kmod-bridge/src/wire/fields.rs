//! Taking a message apart, field by field, never past its end.

/// A message ended within a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{wanted} bytes were expected where {left} are left")]
pub struct TooShort {
    pub wanted: usize,
    pub left: usize,
}

/// The bytes of a message that were not looked at yet.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

/// An integer as it travels.
pub trait Field: Sized {
    const BYTES: usize;
    /// `bytes` is exactly as long as the field.
    fn from_wire(bytes: &[u8]) -> Self;
}

macro_rules! fields {
    ($($word:ty)*) => {$(
        impl Field for $word {
            const BYTES: usize = size_of::<$word>();
            fn from_wire(bytes: &[u8]) -> Self {
                Self::from_be_bytes(bytes.try_into().expect("the caller cut it to this length"))
            }
        }
    )*};
}

fields! { u16 u32 u64 }

impl<'a> Fields<'a> {
    pub fn of(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    pub fn take<F: Field>(&mut self) -> Result<F, TooShort> {
        self.bytes(F::BYTES).map(F::from_wire)
    }

    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], TooShort> {
        let too_short = TooShort {
            wanted: count,
            left: self.rest.len(),
        };
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(too_short)?;
        self.rest = rest;
        Ok(taken)
    }

    /// A string with its length before it.
    pub fn string(&mut self) -> Result<&'a [u8], TooShort> {
        let len_bytes: u32 = self.take()?;
        self.bytes(len_bytes as usize)
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}
