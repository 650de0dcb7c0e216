//! Small histories, against a checker that tries all orders.

use std::collections::BTreeSet;

use archipelago_history::{Evidence, Flush, History, Operation, Outcome, Time, Work};
use proptest::prelude::*;

/// Ticks of an era. At the last one power is lost.
const ERA: u64 = 12;

/// Is there any order?
fn is_possible(history: &History) -> bool {
    let mut began_with = BTreeSet::from([0]);
    for era in 0..=history.losses.len() as u64 {
        let (from, to) = (era * ERA, (era + 1) * ERA);
        let is_here = |at: Time| (from..to).contains(&at.0);
        let here = history.operations.iter();
        let operations: Vec<Operation> = here
            .filter(|one| is_here(one.invoked) && one.outcome != Outcome::Refused)
            .copied()
            .collect();
        let flushed = |write: &Operation| {
            let by_itself =
                matches!(write.work, Work::WriteDurably(_)) && write.outcome == Outcome::Done;
            let mut flushes = history.flushes.iter();
            by_itself || flushes.any(|flush| is_here(flush.invoked) && write.over() < flush.invoked)
        };
        let durable: BTreeSet<u64> = operations
            .iter()
            .filter(|one| flushed(one))
            .filter_map(Operation::written)
            .collect();
        let mut ends = BTreeSet::new();
        for first in began_with {
            let mut search = Search {
                operations: &operations,
                durable: &durable,
                ends: &mut ends,
            };
            search.from(0, &mut vec![first]);
        }
        began_with = ends;
    }
    !began_with.is_empty()
}

struct Search<'a> {
    operations: &'a [Operation],
    durable: &'a BTreeSet<u64>,
    /// What the block may hold after the era.
    ends: &'a mut BTreeSet<u64>,
}

impl Search<'_> {
    /// All orders that begin with those in `done`, which have left these values one after the other.
    fn from(&mut self, done: u32, values: &mut Vec<u64>) {
        let is_left = |at: &usize| done & (1 << at) == 0;
        let left: Vec<usize> = (0..self.operations.len()).filter(is_left).collect();
        let must = |at: &&usize| self.operations[**at].outcome == Outcome::Done;
        if left.iter().find(must).is_none() {
            let last = values
                .iter()
                .rposition(|value| self.durable.contains(value));
            self.ends.extend(&values[last.unwrap_or(0)..]);
        }
        for at in &left {
            let next = self.operations[*at];
            let is_late = |other: &usize| self.operations[*other].over() < next.invoked;
            if left.iter().any(is_late) {
                continue;
            }
            match next.written() {
                Some(value) => {
                    values.push(value);
                    self.from(done | 1 << at, values);
                    values.pop();
                }
                None if Some(&next.work) == seen(values).as_ref() => {
                    self.from(done | 1 << at, values);
                }
                None => {}
            }
        }
    }
}

fn seen(values: &[u64]) -> Option<Work> {
    let last = values.last()?;
    Some(Work::Read(*last))
}

/// A choice of an operation; writes get their values by their place.
#[derive(Clone, Debug)]
struct Choice {
    era: u64,
    from: u64,
    ticks: u64,
    kind: u8,
    value: usize,
}

fn choice(eras: u64) -> impl Strategy<Value = Choice> {
    let times = (0..eras, 1..ERA - 1, 0..ERA);
    (times, 0..10_u8, 0..5_usize).prop_map(|((era, from, ticks), kind, value)| Choice {
        era,
        from,
        ticks,
        kind,
        value,
    })
}

fn history(eras: u64, choices: &[Choice], flushes: &[(u64, u64)]) -> History {
    let writes = choices.iter().filter(|choice| choice.kind < 5).count() as u64;
    let mut next_value = 0;
    let operations = choices.iter().enumerate().map(|(client, choice)| {
        let from = choice.era * ERA + choice.from;
        let to = (from + choice.ticks).min((choice.era + 1) * ERA - 1);
        let mut outcome = Outcome::Done;
        let work = if choice.kind < 5 {
            next_value += 1;
            match choice.kind {
                3 => outcome = Outcome::Unknown,
                4 if choice.value == 0 => outcome = Outcome::Refused,
                _ => {}
            }
            match choice.kind {
                2 => Work::WriteDurably(next_value),
                _ => Work::Write(next_value),
            }
        } else {
            Work::Read(choice.value as u64 % (writes + 1))
        };
        Operation {
            client: client as u32,
            block: 0,
            work,
            invoked: Time(from),
            answered: Time(to),
            outcome,
        }
    });
    History {
        operations: operations.collect(),
        flushes: flushes
            .iter()
            .map(|(era, from)| Flush {
                client: 99,
                invoked: Time((era % eras) * ERA + from),
                answered: Time((era % eras) * ERA + from + 1),
            })
            .collect(),
        losses: (1..eras).map(|era| Time(era * ERA)).collect(),
        events: Vec::new(),
    }
}

/// Of the two kinds of histories there are enough.
#[test]
fn both_kinds_are_drawn() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let drawn = prop::collection::vec(choice(1), 1..6);
    let mut counts = [0, 0];
    for _ in 0..300 {
        let choices = drawn.new_tree(&mut runner).expect("it can be drawn");
        let drawn = history(1, &choices.current(), &[]);
        counts[usize::from(is_possible(&drawn))] += 1;
    }
    assert!(counts.iter().all(|count| *count > 30), "{counts:?}");
}

/// The brute force is told apart from a checker that finds everything fine, or nothing.
fn agrees(drawn: &History) -> Result<(), TestCaseError> {
    let possible = is_possible(drawn);
    match drawn.check() {
        Ok(_) => prop_assert!(possible, "HISTORY-1, HISTORY-2: it was not found"),
        Err(violation) => {
            prop_assert!(!possible, "HISTORY-1, HISTORY-2: {violation}");
            // HISTORY-3. Only what an era began with is known from elsewhere.
            let alone = History {
                operations: violation.evidence.operations(),
                ..drawn.clone()
            };
            let is_order = matches!(violation.evidence, Evidence::NoOrder { .. });
            if !is_order || drawn.losses.is_empty() {
                prop_assert!(!is_possible(&alone), "HISTORY-3: {violation}");
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn history_1_what_it_says_of_a_register_is_what_all_orders_say(
        choices in prop::collection::vec(choice(1), 0..8),
    ) {
        agrees(&history(1, &choices, &[]))?;
    }

    #[test]
    fn history_2_what_it_says_of_losses_is_what_all_orders_say(
        choices in prop::collection::vec(choice(3), 0..8),
        flushes in prop::collection::vec((0..3_u64, 1..ERA - 2), 0..3),
    ) {
        agrees(&history(3, &choices, &flushes))?;
    }

    #[test]
    fn cluster_1_what_is_lost_is_found_by_the_way_of_others(
        choices in prop::collection::vec(choice(2), 3..8),
        flush in 1..ERA - 2,
    ) {
        // CLUSTER-1: one loss, one flush before it.
        agrees(&history(2, &choices, &[(0, flush)]))?;
    }
}
