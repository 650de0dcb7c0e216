//! Epochs against a mapper whose answers and recalls overtake each other.

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
        if is_quiet {
            prop_assert!(is_fresh, "EPOCH-2");
        }
        self.epochs.hear(epoch, 0);
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
        source: Source::Born {
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
    let at = |birth, stamp| Source::Born { birth, stamp };
    let mut epochs = Epochs::default();
    assert!(!epochs.is_writable(&ours, &at(ours, 9)), "nothing was told");
    epochs.hear(2, 5);
    assert!(epochs.is_writable(&ours, &at(ours, 6)));
    assert!(!epochs.is_writable(&ours, &at(ours, 5)));
    assert!(!epochs.is_writable(&ours, &at(theirs, 6)));
    assert!(!epochs.is_writable(&ours, &Source::Content([1; 24])));
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
