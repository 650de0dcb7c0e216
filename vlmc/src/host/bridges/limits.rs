//! How much the users of one volume may have in flight.

use archipelago_front::{FrontOptions, piece_bytes_max};
use xseg::{BUFFER_BYTES_MIN, Geometry};

/// Payload of one device or guest: a few of the largest requests of a kernel on each of its queues.
const BYTES_MAX: usize = 16 << 20;
const REQUESTS_MAX: usize = 1024;
/// One in so many buffers may be kept by clients that do not send, and as many by clients that do not take.
const KEPT_PART: usize = 5;
const KEPT_MAX: usize = 32;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub front: FrontOptions,
    /// Pieces of NBD clients that stand still within a write, and as many answers that are not taken, may keep buffers.
    pub kept_max: usize,
}

impl Limits {
    /// Nothing if the segment has no buffers that suit disks.
    pub fn of(geometry: &Geometry) -> Option<Self> {
        let piece_bytes_max = piece_bytes_max(geometry)?;
        let class = (piece_bytes_max as u64 / BUFFER_BYTES_MIN).ilog2() as usize;
        let buffers = geometry.buffer_counts()[class] as usize;
        Some(Self {
            front: FrontOptions {
                requests_max: REQUESTS_MAX,
                bytes_max: BYTES_MAX,
                piece_bytes_max,
            },
            kept_max: (buffers / KEPT_PART).clamp(1, KEPT_MAX),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_that_stand_still_keep_less_than_half_of_the_buffers() {
        for (count, kept) in [(1, 1), (9, 1), (37, 7), (1000, 32)] {
            let geometry = Geometry::new(4, 4, 64).and_then(|g| g.with_buffers(1 << 20, count));
            let limits = Limits::of(&geometry.expect("good")).expect("it has buffers");
            assert_eq!(limits.kept_max, kept);
        }
    }
}
