/// Takes fields from the front of a payload; `None` at its end.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub fn of(payload: &'a [u8]) -> Self {
        Self { rest: payload }
    }

    fn take<const LEN: usize>(&mut self) -> Option<[u8; LEN]> {
        let (now, later) = self.rest.split_first_chunk()?;
        self.rest = later;
        Some(*now)
    }

    pub fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }

    pub fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}
