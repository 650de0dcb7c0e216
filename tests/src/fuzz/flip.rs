//! Choosing what to damage, and by what.

use super::tables::{
    Field, HEADER_USED_BYTES, Meaning, PORT_BYTES, PORT_FIELDS, REQUEST_BYTES, REQUEST_FIELDS,
    STATS_BYTES, Tables,
};
use crate::rng::Rng;

/// Where to write: an aligned word of 4 or 8 bytes, or a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub at: u64,
    pub bytes: u64,
    pub meaning: Meaning,
    /// For copies: the same field of another record.
    pub twin_at: u64,
}

/// Any word; words that steer the library more often than others.
pub(super) fn choose_target(tables: &Tables, rng: &mut Rng) -> Target {
    let geometry = &tables.geometry;
    let (ports, requests) = (u64::from(geometry.ports()), u64::from(geometry.requests()));
    match rng.below(100) {
        0..35 => in_table(tables.ports_at, ports, PORT_BYTES, &PORT_FIELDS, rng),
        35..80 => in_table(
            tables.requests_at,
            requests,
            REQUEST_BYTES,
            &REQUEST_FIELDS,
            rng,
        ),
        80..88 => {
            let owner = Field {
                at: 0,
                bytes: 8,
                meaning: Meaning::Owner,
            };
            let buffers = u64::from(geometry.buffers()).max(1);
            in_table(tables.owners_at, buffers, 8, &[owner], rng)
        }
        88..92 => anywhere(0, HEADER_USED_BYTES, rng),
        92..94 => anywhere(tables.stats_at, ports * STATS_BYTES, rng),
        94..97 => anywhere(0, geometry.buffers_at(), rng),
        _ => {
            let payload = geometry.size_bytes() - geometry.buffers_at();
            anywhere(geometry.buffers_at(), payload.max(8), rng)
        }
    }
}

fn in_table(at: u64, count: u64, stride: u64, fields: &[Field], rng: &mut Rng) -> Target {
    let field = *rng.pick(fields);
    let record = rng.below(count);
    let twin = rng.below(count);
    if stride > 8 && rng.chance(50) {
        return anywhere(at + record * stride, stride, rng);
    }
    Target {
        at: at + record * stride + field.at,
        bytes: field.bytes,
        meaning: field.meaning,
        twin_at: at + twin * stride + field.at,
    }
}

fn anywhere(at: u64, len: u64, rng: &mut Rng) -> Target {
    let bytes = *rng.pick(&[1, 4, 8]);
    let word = at + rng.below(len / bytes) * bytes;
    Target {
        at: word,
        bytes,
        meaning: Meaning::Number,
        twin_at: at + rng.below(len / bytes) * bytes,
    }
}

/// What the chooser can look up in the segment.
pub(super) trait Look {
    /// A word as it stands there now.
    fn word(&self, at: u64, bytes: u64) -> u64;
}

/// What to write over `now`.
pub(super) fn choose_value(
    tables: &Tables,
    target: &Target,
    now: u64,
    look: &dyn Look,
    rng: &mut Rng,
) -> u64 {
    match rng.below(100) {
        0..20 => now ^ 1 << rng.below(target.bytes * 8),
        20..25 => rng.next_u64(),
        25..30 => 0,
        30..33 => u64::MAX,
        33..45 => look.word(target.twin_at, target.bytes),
        45..50 => now.wrapping_add(rng.between(1, 4)),
        50..55 => now.wrapping_sub(rng.between(1, 4)),
        _ => plausible(tables, target.meaning, now, look, rng),
    }
}

fn plausible(tables: &Tables, meaning: Meaning, now: u64, look: &dyn Look, rng: &mut Rng) -> u64 {
    let geometry = &tables.geometry;
    let ports = u64::from(geometry.ports());
    let requests = u64::from(geometry.requests());
    let port = rng.below(ports);
    let generation = look.word(tables.life_at(port), 8) & 0xffff_ffff;
    let name = port << 32 | generation;
    match meaning {
        Meaning::Link => {
            let slot = rng.below(requests + 1);
            let pushes = if rng.chance(700) {
                now >> 32
            } else {
                rng.magnitude(20)
            };
            pushes << 32 | slot
        }
        Meaning::Life => {
            let state = *rng.pick(&[0, 1, 2]);
            state << 56 | (now & 0xffff_ffff).wrapping_add(rng.below(3)) & 0xffff_ffff
        }
        Meaning::Owner => match rng.below(4) {
            0 => 0,
            1 => 1 << 60 | name,
            2 => 2 << 60 | rng.below(ports + 1) << 46 | name,
            _ => 3 << 60 | name,
        },
        Meaning::Name => name,
        Meaning::PortPlusOne => rng.below(ports + 2),
        Meaning::BufferPlusOne => rng.below(u64::from(geometry.buffers()) + 2),
        Meaning::DataAt => {
            let payload = geometry.size_bytes() - geometry.buffers_at();
            let at = geometry.buffers_at() + rng.below(payload.max(1));
            if rng.chance(700) { at & !4095 } else { at }
        }
        Meaning::Number => match rng.below(3) {
            0 => rng.below(16),
            1 => rng.magnitude(63),
            _ => rng.below(16) << 8 | rng.below(4),
        },
        Meaning::Pid => *rng.pick(&[0, 1, u64::from(std::process::id()), 0x7fff_ffff]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nothing;
    impl Look for Nothing {
        fn word(&self, _: u64, _: u64) -> u64 {
            7
        }
    }

    #[test]
    fn targets_lie_in_the_segment_and_are_aligned() {
        let geometry = xseg::Geometry::new(16, 5, 48)
            .and_then(|geometry| geometry.with_buffers(4096, 20))
            .unwrap();
        let tables = Tables::of(geometry);
        let mut rng = Rng::new(3);
        for _ in 0..20_000 {
            let target = choose_target(&tables, &mut rng);
            for at in [target.at, target.twin_at] {
                assert!(at + target.bytes <= geometry.size_bytes(), "{target:?}");
                assert_eq!(at % target.bytes, 0, "{target:?}");
            }
            let _ = choose_value(&tables, &target, 5, &Nothing, &mut rng);
        }
    }
}
