//! Taking a segment's name away and telling its users to leave.

use rustix::fs::FileType;

use super::handle::Segment;
use super::join::JoinOptions;
use super::place::Place;
use crate::error::SegmentError;
use crate::layout::STATE_DESTROYED;
use crate::name::Life;
use crate::settle;
use crate::sync::Ordering;

impl Segment {
    /// Destroys the segment at `place`. Refused while a live process has a port in it, unless `force`; refused for
    /// a file that is no segment, unless `force` and it is a plain file of ours.
    ///
    /// Users that are left keep their memory until they let go of it; they are told, and their next send fails.
    pub fn destroy(place: &Place, options: &JoinOptions, force: bool) -> Result<(), SegmentError> {
        match options.join(place) {
            Ok(segment) => {
                if !force {
                    segment.refuse_if_in_use()?;
                }
                segment.mark_destroyed();
            }
            Err(
                error @ (SegmentError::BadMagic { .. }
                | SegmentError::TooShort { .. }
                | SegmentError::SizeMismatch { .. }
                | SegmentError::BadGeometry { .. }
                | SegmentError::LayoutVersion { .. }),
            ) => {
                if !(force && is_our_plain_file(place)) {
                    return Err(error);
                }
            }
            Err(SegmentError::Destroyed { .. }) => {}
            Err(error) => return Err(error),
        }
        rustix::fs::unlink(place.path()).map_err(|errno| place.error("unlink", errno))
    }

    fn refuse_if_in_use(&self) -> Result<(), SegmentError> {
        for number in 0..self.geometry().ports() {
            let Some(port) = self.geometry().port(number) else {
                continue;
            };
            let record = self.shared().mapping.port(port);
            let life = Life::unpack(record.life.load(Ordering::Relaxed));
            let taken = self.shared().gate.is_taken(port).unwrap_or(true);
            if life.is_some_and(Life::is_owned) && taken {
                return Err(SegmentError::InUse {
                    path: self.place().path().into(),
                    port,
                    pid: record.pid.load(Ordering::Relaxed),
                });
            }
        }
        Ok(())
    }

    fn mark_destroyed(&self) {
        let header = self.shared().mapping.header();
        header.state.store(STATE_DESTROYED, Ordering::Relaxed);
        settle::ring_every_bell(&self.shared().mapping);
    }
}

fn is_our_plain_file(place: &Place) -> bool {
    let me = rustix::process::geteuid().as_raw();
    rustix::fs::lstat(place.path()).is_ok_and(|stat| {
        FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
            && (stat.st_uid == me || me == 0)
    })
}
