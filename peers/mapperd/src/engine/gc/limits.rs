//! What is old enough to be judged (GC-1).

use std::collections::BTreeMap;

use super::heads::Heads;
use crate::engine::beside::Neighbour;
use crate::engine::error::MapError;
use crate::engine::mapper::Mapper;
use crate::engine::volume::SEGMENTS_A_HEAD_BITS;
use crate::engine::world::World;
use crate::map::{Stamp, VolumeId};

/// What a volume's later numbers are above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Objects of stamps above it may be granted at this moment.
    pub stamp: Stamp,
    /// Page objects from this number on may be about to be named.
    pub page: u64,
    /// The same of journal segments: token and number.
    pub segment: (u64, u64),
}

/// The limits of those who have a head: none of one that was made since, of which nothing is old. Of those without a head
/// everything is old, but what comes before a head.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    of: BTreeMap<VolumeId, Option<Limit>>,
}

impl Limits {
    /// Whoever has a head now and had none when the limits were read was made since.
    pub fn add_young(&mut self, ids: impl Iterator<Item = VolumeId>) {
        for id in ids {
            self.of.entry(id).or_insert(None);
        }
    }

    fn allow(&self, birth: VolumeId, is_old: impl FnOnce(&Limit) -> bool) -> bool {
        match self.of.get(&birth) {
            None => true,
            Some(limit) => limit.as_ref().is_some_and(is_old),
        }
    }

    pub fn has_head(&self, id: VolumeId) -> bool {
        self.of.contains_key(&id)
    }

    pub fn may_judge_stamp(&self, birth: VolumeId, stamp: Stamp) -> bool {
        self.allow(birth, |limit| stamp <= limit.stamp)
    }

    pub fn may_judge_page(&self, birth: VolumeId, number: u64) -> bool {
        self.allow(birth, |limit| number < limit.page)
    }

    pub fn may_judge_segment(&self, birth: VolumeId, numbers: (u64, u64)) -> bool {
        self.allow(birth, |limit| numbers < limit.segment)
    }
}

impl<W: World> Mapper<W> {
    pub(super) async fn limits(&self, heads: &Heads<W>) -> Result<Limits, MapError> {
        let mut limits = Limits::default();
        for (id, known) in heads.all() {
            let limit = match &known.is {
                Neighbour::Open(volume) => {
                    // No checkpoint is under way: what it wrote is named, or nobody's.
                    let _change = volume.begin_change().await;
                    volume.limit()
                }
                // Whoever opens it gives out what is above.
                Neighbour::Still(view) => Limit {
                    stamp: view.head.ceiling,
                    page: view.head.next_page_number,
                    segment: (
                        view.head.version.token,
                        (view.head.version.number + 1) << SEGMENTS_A_HEAD_BITS,
                    ),
                },
            };
            limits.of.insert(id, Some(limit));
        }
        Ok(limits)
    }
}
