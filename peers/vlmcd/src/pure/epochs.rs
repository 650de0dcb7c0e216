//! What was told under which epoch, and whether it still holds.
//!
//! A mapper raises a volume's epoch before something that it told ceases to hold, and recalls it. Answers and recalls
//! travel apart, so an answer may arrive after a recall that was sent later. Whoever asks therefore leaves a question
//! here while the answer is on its way, and finds at its end whether anything happened meanwhile.
//!
//! # Invariants
//! * **EPOCH-1** An answer that was given before a recall is never fresh after that recall.
//! * **EPOCH-2** An answer during whose way nothing was recalled or changed, and whose epoch is the newest, is fresh.
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
    /// Something of it was recalled or changed.
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
        epoch >= self.newest && question.is_some_and(|question| !question.is_disturbed)
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
        self.newest = self.newest.max(epoch);
        for question in self.questions.values_mut() {
            if overlap(&question.blocks, blocks) {
                question.is_disturbed = true;
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
        source.birth == *volume && source.stamp > self.floor
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BLOCKS: u64 = 4;

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Ask(u64, u64),
        /// The mapper answers; the answer arrives later.
        Say(usize),
        Arrive(usize),
        /// The mapper takes something back, under a newer epoch or (another's commit) under the same.
        Recall(u64, u64, bool),
        /// The recall that was sent first arrives.
        Hear,
        Change(u64, u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        let range = || (0..BLOCKS, 1..BLOCKS).prop_map(|(start, len)| (start, start + len));
        prop_oneof![
            3 => range().prop_map(|(start, end)| Step::Ask(start, end)),
            3 => any::<usize>().prop_map(Step::Say),
            3 => any::<usize>().prop_map(Step::Arrive),
            1 => (range(), any::<bool>()).prop_map(|((start, end), raises)| Step::Recall(start, end, raises)),
            2 => Just(Step::Hear),
            1 => range().prop_map(|(start, end)| Step::Change(start, end)),
        ]
    }

    struct Asked {
        id: QuestionId,
        blocks: Range<u64>,
        /// The epoch and the moment of the answer.
        said: Option<(u64, usize)>,
        asked_at: usize,
    }

    #[derive(Default)]
    struct World {
        epochs: Epochs,
        mapper_epoch: u64,
        now: usize,
        asked: Vec<Asked>,
        /// Sent and not heard: the moment, the epoch, the blocks.
        recalls: Vec<(usize, u64, Range<u64>)>,
        /// Heard, or done by ourselves: when sent, when heard, the blocks.
        disturbances: Vec<(usize, usize, Range<u64>)>,
        newest_heard: u64,
    }

    impl World {
        fn step(&mut self, step: Step) -> Result<(), TestCaseError> {
            self.now += 1;
            match step {
                Step::Ask(start, end) => {
                    let id = self.epochs.ask(start..end);
                    self.asked.push(Asked {
                        id,
                        blocks: start..end,
                        said: None,
                        asked_at: self.now,
                    });
                }
                Step::Say(choice) if !self.asked.is_empty() => {
                    let place = choice % self.asked.len();
                    self.asked[place].said = Some((self.mapper_epoch, self.now));
                }
                Step::Arrive(choice) if !self.asked.is_empty() => {
                    let asked = self.asked.swap_remove(choice % self.asked.len());
                    self.arrive(&asked)?;
                }
                Step::Recall(start, end, raises) => {
                    self.mapper_epoch += u64::from(raises);
                    let recall = (self.now, self.mapper_epoch, start..end);
                    self.recalls.push(recall);
                }
                Step::Hear if !self.recalls.is_empty() => {
                    let (sent, epoch, blocks) = self.recalls.remove(0);
                    self.epochs.recall(epoch, &blocks);
                    self.newest_heard = self.newest_heard.max(epoch);
                    self.disturbances.push((sent, self.now, blocks));
                }
                Step::Change(start, end) => {
                    self.epochs.change(&(start..end));
                    self.disturbances.push((self.now, self.now, start..end));
                }
                _ => {}
            }
            Ok(())
        }

        fn arrive(&mut self, asked: &Asked) -> Result<(), TestCaseError> {
            let Some((epoch, said_at)) = asked.said else {
                self.epochs.close(asked.id);
                return Ok(());
            };
            let is_fresh = self.epochs.is_fresh(asked.id, epoch);
            let mine = self
                .disturbances
                .iter()
                .filter(|(_, _, blocks)| overlap(blocks, &asked.blocks));
            let is_old = mine.clone().any(|(sent, _, _)| *sent > said_at);
            prop_assert!(!(is_fresh && is_old), "EPOCH-1");
            let is_quiet = mine.clone().all(|(_, heard, _)| *heard < asked.asked_at);
            if is_quiet && epoch >= self.newest_heard {
                prop_assert!(is_fresh, "EPOCH-2");
            }
            self.epochs.hear(epoch, 0);
            self.newest_heard = self.newest_heard.max(epoch);
            self.epochs.close(asked.id);
            Ok(())
        }
    }

    proptest! {
        /// EPOCH-1, EPOCH-2
        #[test]
        fn an_old_answer_is_never_fresh_and_a_quiet_one_always(steps in proptest::collection::vec(step(), 0..80)) {
            let mut world = World::default();
            for step in steps {
                world.step(step)?;
            }
        }
    }

    /// EPOCH-3
    #[test]
    fn a_grant_holds_until_a_newer_epoch_recalls_its_block() {
        let mut epochs = Epochs::default();
        let question = epochs.ask(5..6);
        epochs.recall(3, &(0..9));
        assert!(epochs.grant_holds(question, 3), "it was given after that");
        assert!(!epochs.grant_holds(question, 2));
        epochs.recall(4, &(6..9));
        assert!(epochs.grant_holds(question, 3), "another block");
        epochs.recall(4, &(5..6));
        assert!(!epochs.grant_holds(question, 3));
        let question = epochs.ask(5..6);
        epochs.reset();
        assert!(!epochs.grant_holds(question, 99));
    }

    /// EPOCH-5
    #[test]
    fn a_commit_of_ours_counts_over_an_answer_that_was_on_its_way() {
        let mut epochs = Epochs::default();
        let before = epochs.ask(5..7);
        let elsewhere = epochs.ask(7..9);
        let assigned = Assigned {
            block: 6,
            subs: 1..3,
            source: Source {
                birth: [1; 16],
                stamp: 4,
            },
        };
        epochs.assign(&assigned);
        let after = epochs.ask(5..7);
        assert_eq!(epochs.assigned(before), [assigned]);
        assert!(epochs.assigned(elsewhere).is_empty());
        assert!(epochs.assigned(after).is_empty());
        assert!(epochs.is_fresh(before, 1));
        assert!(!epochs.is_recalled(before));
        epochs.recall(0, &(6..7));
        assert!(epochs.is_recalled(before) && !epochs.is_fresh(before, 1));
    }

    /// EPOCH-4
    #[test]
    fn what_may_be_written_in_place_follows_the_newest_floor() {
        let (ours, theirs) = ([1; 16], [2; 16]);
        let at = |birth, stamp| Source { birth, stamp };
        let mut epochs = Epochs::default();
        assert!(!epochs.is_writable(&ours, &at(ours, 9)), "nothing was told");
        epochs.hear(2, 5);
        assert!(epochs.is_writable(&ours, &at(ours, 6)));
        assert!(!epochs.is_writable(&ours, &at(ours, 5)));
        assert!(!epochs.is_writable(&ours, &at(theirs, 6)));
        epochs.hear(3, 8);
        epochs.hear(2, 0);
        assert!(
            !epochs.is_writable(&ours, &at(ours, 8)),
            "an older epoch says nothing"
        );
        epochs.hear(3, 6);
        epochs.hear(3, 9);
        assert!(
            epochs.is_writable(&ours, &at(ours, 7)),
            "it came down, and stays"
        );
        epochs.hear_grant(3, 4);
        assert!(epochs.is_writable(&ours, &at(ours, 4)));
        epochs.hear_grant(4, 2);
        assert!(!epochs.is_writable(&ours, &at(ours, 2)), "another epoch's");
        assert_eq!(epochs.newest(), 4);
        epochs.reset();
        assert!(!epochs.is_writable(&ours, &at(ours, 9)));
    }
}
