//! What a client is offered, in the words of the protocol.

use archipelago_front::Features;

use crate::wire::{ReplyMode, transmission_flags as flags};

/// The 16 bits that a client gets. What changes data is not offered where data cannot be changed.
pub fn transmission_flags(features: Features, mode: ReplyMode) -> u16 {
    let writable = !features.read_only;
    let offers = [
        (true, flags::HAS_FLAGS),
        (features.read_only, flags::READ_ONLY),
        (features.flush, flags::SEND_FLUSH),
        (features.fua && writable, flags::SEND_FUA),
        (features.trim && writable, flags::SEND_TRIM),
        (features.write_zeroes && writable, flags::SEND_WRITE_ZEROES),
        (mode != ReplyMode::Simple, flags::SEND_DF),
        (features.multi_conn, flags::CAN_MULTI_CONN),
        (features.cache, flags::SEND_CACHE),
        (
            features.write_zeroes && features.fast_zero && writable,
            flags::SEND_FAST_ZERO,
        ),
    ];
    offers
        .iter()
        .filter(|(offered, _)| *offered)
        .fold(0, |all, (_, flag)| all | flag)
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
        let offered = transmission_flags(features, ReplyMode::Structured);
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
        let simple = transmission_flags(Features::ALL, ReplyMode::Simple);
        let extended = transmission_flags(Features::ALL, ReplyMode::Extended);
        assert_eq!(extended & !simple, flags::SEND_DF);
    }
}
