//! What a client learns of an export when it opens it.

use crate::wire::{ReplyMode, transmission_flags as flags};

/// What an export can do. A client is never told of more, and a command that was not offered is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    pub read_only: bool,
    pub flush: bool,
    pub fua: bool,
    pub trim: bool,
    pub write_zeroes: bool,
    /// It can say at once that zeroing would be no faster than writing.
    pub fast_zero: bool,
    pub cache: bool,
    /// What one connection flushes, all connections' writes are part of (F84).
    pub multi_conn: bool,
}

/// Size, abilities, and what to tell people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExportFacts {
    pub size_bytes: u64,
    pub features: Features,
    pub description: String,
}

impl Features {
    /// Everything, writable.
    pub const ALL: Self = Self {
        read_only: false,
        flush: true,
        fua: true,
        trim: true,
        write_zeroes: true,
        fast_zero: true,
        cache: true,
        multi_conn: true,
    };

    /// The 16 bits that a client gets. What changes data is not offered where data cannot be changed.
    pub fn transmission_flags(self, mode: ReplyMode) -> u16 {
        let writable = !self.read_only;
        let offers = [
            (true, flags::HAS_FLAGS),
            (self.read_only, flags::READ_ONLY),
            (self.flush, flags::SEND_FLUSH),
            (self.fua && writable, flags::SEND_FUA),
            (self.trim && writable, flags::SEND_TRIM),
            (self.write_zeroes && writable, flags::SEND_WRITE_ZEROES),
            (mode != ReplyMode::Simple, flags::SEND_DF),
            (self.multi_conn, flags::CAN_MULTI_CONN),
            (self.cache, flags::SEND_CACHE),
            (
                self.write_zeroes && self.fast_zero && writable,
                flags::SEND_FAST_ZERO,
            ),
        ];
        offers
            .iter()
            .filter(|(offered, _)| *offered)
            .fold(0, |all, (_, flag)| all | flag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_only_export_offers_nothing_that_writes() {
        let features = Features {
            read_only: true,
            ..Features::ALL
        };
        let offered = features.transmission_flags(ReplyMode::Structured);
        let expected = flags::HAS_FLAGS
            | flags::READ_ONLY
            | flags::SEND_FLUSH
            | flags::SEND_DF
            | flags::CAN_MULTI_CONN
            | flags::SEND_CACHE;
        assert_eq!(offered, expected);
    }

    #[test]
    fn whole_answers_are_a_choice_only_where_there_are_chunks() {
        let simple = Features::ALL.transmission_flags(ReplyMode::Simple);
        let extended = Features::ALL.transmission_flags(ReplyMode::Extended);
        assert_eq!(extended & !simple, flags::SEND_DF);
    }
}
