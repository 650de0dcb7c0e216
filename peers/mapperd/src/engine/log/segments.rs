//! What a journal consists of, as heads name it.

use archipelago_store::Store;

use super::Log;
use crate::map::SegmentRef;

impl<S: Store> Log<S> {
    /// What names all that is durable, and nothing more.
    pub fn durable_segments(&self) -> Vec<SegmentRef> {
        let state = self.state.borrow();
        let mut segments = state.segments.clone();
        let open = segments.last_mut().expect("a journal has a segment");
        open.to_offset = Some(state.durable_offset.max(open.from.offset));
        segments.retain(|segment| segment.to_offset != Some(segment.from.offset));
        segments
    }

    /// What a head names for the journal to go on.
    pub fn segments(&self) -> Vec<SegmentRef> {
        self.state.borrow().segments.clone()
    }

    /// Drops the references to segments before this sequence number: a tree has what they said.
    pub fn forget_before(&self, sequence: u64) -> Vec<SegmentRef> {
        let mut state = self.state.borrow_mut();
        let ended = state
            .segments
            .partition_point(|segment| segment.from.sequence < sequence);
        let ended = ended.min(state.segments.len() - 1);
        state.segments.drain(..ended).collect()
    }

    /// Bytes of records that a replay would read.
    pub fn bytes(&self) -> u64 {
        let state = self.state.borrow();
        let ended = state
            .segments
            .iter()
            .filter_map(|segment| segment.to_offset.map(|to| to - segment.from.offset));
        ended.sum::<u64>() + state.appender.end().offset
    }

    /// The spare segment, if there is one.
    pub fn spare(&self) -> Option<(u64, u64)> {
        let state = self.state.borrow();
        let last = state.segments.last()?;
        state.has_spare.then_some((last.token, last.number + 1))
    }

    /// All that the journal has in the store.
    pub fn segments_and_spare(&self) -> Vec<SegmentRef> {
        let mut segments = self.segments();
        if let (Some((token, number)), Some(last)) = (self.spare(), segments.last().copied()) {
            segments.push(SegmentRef {
                token,
                number,
                ..last
            });
        }
        segments
    }
}
