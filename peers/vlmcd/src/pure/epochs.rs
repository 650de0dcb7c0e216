//! What was told under which epoch, and whether it still holds.
//!
//! A mapper raises a volume's epoch before something that it told ceases to hold, and recalls it. Answers and recalls
//! travel apart, so an answer may arrive after a recall that was sent later. Whoever asks therefore leaves a question
//! here while the answer is on its way, and finds at its end whether anything happened meanwhile.
//!
//! # Invariants
//! * **EPOCH-1** An answer that was given before a recall is never fresh after that recall.
//! * **EPOCH-2** An answer during whose way nothing of it was recalled or discarded is fresh, and so is one that was given
//!   under the epoch of the recall, or a newer one: it does not matter how often other blocks change.
//! * **EPOCH-3** A grant holds from its answer until its block is recalled under a newer epoch.
//! * **EPOCH-5** What we commit while an answer is on its way counts over that answer.
//! * **EPOCH-4** An object may be written in place only if its birth volume is this one and its stamp is above every floor
//!   that was told under the newest epoch heard of (M2); within one epoch a floor only comes down.

use std::collections::BTreeMap;
use std::ops::Range;

use archipelago_protocol::VolumeIdBytes;

use super::source::Source;

/// Names a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct QuestionId(u64);

#[derive(Debug)]
struct Question {
    blocks: Range<u64>,
    /// Something of it was discarded, or recalled under an epoch that does not tell older answers from newer ones.
    is_disturbed: bool,
    /// The newest epoch under which something of it was recalled, if anything was.
    recalled: Option<u64>,
    /// What we committed in it, in that order.
    assigned: Vec<Assigned>,
}

/// Sub-blocks that come from a new place since a commit of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assigned {
    pub block: u64,
    pub subs: Range<u16>,
    pub source: Source,
}

/// The epochs of one volume.
#[derive(Debug)]
pub struct Epochs {
    newest: u64,
    floor: u64,
    floor_epoch: u64,
    questions: BTreeMap<QuestionId, Question>,
    next: u64,
}

impl Default for Epochs {
    fn default() -> Self {
        Self {
            newest: 0,
            floor: u64::MAX,
            floor_epoch: 0,
            questions: BTreeMap::new(),
            next: 0,
        }
    }
}

fn overlap(one: &Range<u64>, other: &Range<u64>) -> bool {
    one.start < other.end && other.start < one.end
}

impl Epochs {
    pub fn newest(&self) -> u64 {
        self.newest
    }

    /// A question about these blocks is on its way from now on.
    pub fn ask(&mut self, blocks: Range<u64>) -> QuestionId {
        let id = QuestionId(self.next);
        self.next += 1;
        let question = Question {
            blocks,
            is_disturbed: false,
            recalled: None,
            assigned: Vec::new(),
        };
        self.questions.insert(id, question);
        id
    }

    /// Nobody asks about it any more.
    pub fn close(&mut self, id: QuestionId) {
        self.questions.remove(&id);
    }

    /// Is an answer of this epoch what the map is now, as far as we can know?
    pub fn is_fresh(&self, id: QuestionId, epoch: u64) -> bool {
        let question = self.questions.get(&id);
        self.grant_holds(id, epoch) && question.is_some_and(|question| !question.is_disturbed)
    }

    /// Does a grant that was given under this epoch still hold (EPOCH-3)?
    pub fn grant_holds(&self, id: QuestionId, epoch: u64) -> bool {
        let question = self.questions.get(&id);
        question.is_some_and(|question| question.recalled.is_none_or(|recalled| epoch >= recalled))
    }

    /// The mapper said so.
    pub fn hear(&mut self, epoch: u64, floor: u64) {
        self.newest = self.newest.max(epoch);
        if epoch > self.floor_epoch {
            self.floor_epoch = epoch;
            self.floor = floor;
        } else if epoch == self.floor_epoch {
            self.floor = self.floor.min(floor);
        }
    }

    /// The mapper has this epoch, whatever its floor.
    pub fn hear_epoch(&mut self, epoch: u64) {
        self.newest = self.newest.max(epoch);
    }

    /// It granted an object of this stamp under this epoch: so the floor is below.
    pub fn hear_grant(&mut self, epoch: u64, stamp: u64) {
        self.newest = self.newest.max(epoch);
        if epoch == self.floor_epoch {
            self.floor = self.floor.min(stamp.saturating_sub(1));
        }
    }

    /// The mapper takes back what it said about these blocks under older epochs.
    pub fn recall(&mut self, epoch: u64, blocks: &Range<u64>) {
        let raises = epoch > self.newest;
        self.newest = self.newest.max(epoch);
        for question in self.questions.values_mut() {
            if overlap(&question.blocks, blocks) {
                question.is_disturbed |= !raises;
                question.recalled = question.recalled.max(Some(epoch));
            }
        }
    }

    /// Has something of it been recalled since it was asked?
    pub fn is_recalled(&self, id: QuestionId) -> bool {
        let question = self.questions.get(&id);
        question.is_none_or(|question| question.recalled.is_some())
    }

    /// We have committed this: answers that are on their way may be from before (EPOCH-5).
    pub fn assign(&mut self, assigned: &Assigned) {
        for question in self.questions.values_mut() {
            if question.blocks.contains(&assigned.block) {
                question.assigned.push(assigned.clone());
            }
        }
    }

    /// What we committed since the question was asked: to be put over whatever it is answered with.
    pub fn assigned(&self, id: QuestionId) -> &[Assigned] {
        self.questions
            .get(&id)
            .map_or(&[], |question| &question.assigned)
    }

    /// We have discarded something of these blocks: answers that are on their way may be from before.
    pub fn change(&mut self, blocks: &Range<u64>) {
        for question in self.questions.values_mut() {
            question.is_disturbed |= overlap(&question.blocks, blocks);
        }
    }

    /// The volume is not attached any more; its next epoch may be any.
    pub fn reset(&mut self) {
        (self.newest, self.floor, self.floor_epoch) = (0, u64::MAX, 0);
        for question in self.questions.values_mut() {
            question.is_disturbed = true;
            question.recalled = Some(u64::MAX);
        }
    }

    /// May the object be written in place (EPOCH-4)?
    pub fn is_writable(&self, volume: &VolumeIdBytes, source: &Source) -> bool {
        match source {
            Source::Born { birth, stamp } => birth == volume && *stamp > self.floor,
            Source::Content(_) => false, // others have it too, and its name says what it holds
        }
    }
}

#[cfg(test)]
mod tests;
