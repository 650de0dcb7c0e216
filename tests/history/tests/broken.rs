//! Histories that no disk could have: each is found, with the operations that prove it. And some that only look so.

use archipelago_history::{Event, Evidence, Flush, History, Operation, Outcome};
use archipelago_history::{Recorder, Time, Violation, Work};

/// Operations on block 7, by client: when they begin and end, and what they do.
#[derive(Default)]
struct Story {
    history: History,
}

impl Story {
    fn add(mut self, client: u32, span: (u64, u64), work: Work, outcome: Outcome) -> Self {
        self.history.operations.push(Operation {
            client,
            block: 7,
            work,
            invoked: Time(span.0),
            answered: Time(span.1),
            outcome,
        });
        self
    }

    fn wrote(self, client: u32, span: (u64, u64), value: u64) -> Self {
        self.add(client, span, Work::Write(value), Outcome::Done)
    }

    fn began(self, client: u32, at: u64, value: u64) -> Self {
        self.add(client, (at, at + 1), Work::Write(value), Outcome::Unknown)
    }

    fn read(self, client: u32, span: (u64, u64), value: u64) -> Self {
        let work = Work::Read(value);
        self.add(client, span, work, Outcome::Done)
    }

    fn flushed(mut self, client: u32, span: (u64, u64)) -> Self {
        self.history.flushes.push(Flush {
            client,
            invoked: Time(span.0),
            answered: Time(span.1),
        });
        self
    }

    fn lost_power(mut self, at: u64) -> Self {
        self.history.losses.push(Time(at));
        self
    }

    fn event(mut self, at: u64, what: &str) -> Self {
        self.history.events.push(Event {
            at: Time(at),
            what: what.into(),
        });
        self
    }

    #[track_caller]
    fn passes(self) {
        if let Err(violation) = self.history.check() {
            panic!("{violation}");
        }
    }

    /// HISTORY-3: what it is told is a violation by itself.
    #[track_caller]
    fn fails(self) -> Box<Violation> {
        let violation = self.history.check().expect_err("it is broken");
        assert_eq!(violation.block, 7);
        let alone = History {
            operations: violation.evidence.operations(),
            ..self.history
        };
        let again = alone.check().expect_err("the evidence is enough");
        assert_eq!(
            std::mem::discriminant(&again.evidence),
            std::mem::discriminant(&violation.evidence)
        );
        violation
    }
}

#[test]
fn what_was_written_is_read_and_writes_at_once_come_in_any_order() {
    Story::default().read(1, (1, 2), 0).passes();
    Story::default()
        .wrote(1, (1, 2), 1)
        .read(2, (3, 4), 1)
        .passes();
    for last in [1, 2] {
        Story::default()
            .wrote(1, (1, 10), 1)
            .wrote(2, (2, 9), 2)
            .read(1, (11, 12), last)
            .read(2, (13, 14), last)
            .passes();
    }
}

#[test]
fn a_stale_read_is_found() {
    let violation = Story::default()
        .wrote(1, (1, 2), 1)
        .wrote(2, (3, 4), 2)
        .event(5, "node 2 is killed")
        .read(1, (6, 7), 1)
        .event(9, "long after")
        .fails();
    assert!(matches!(violation.evidence, Evidence::NoOrder { .. }));
    let text = violation.to_string();
    assert!(text.contains("6..7: client 1 read 1"), "{text}");
    assert!(text.contains("node 2 is killed"), "{text}");
    assert!(!text.contains("long after"), "{text}");
}

#[test]
fn a_read_of_nothing_after_a_write_was_answered_is_found() {
    let story = Story::default().wrote(1, (1, 2), 1).read(2, (3, 4), 0);
    assert!(matches!(story.fails().evidence, Evidence::NoOrder { .. }));
}

/// The old owner's write lands after the new owner's.
#[test]
fn a_write_that_lands_after_the_new_owners_is_found_when_that_was_seen() {
    let late = |story: Story| story.began(1, 1, 1).event(2, "node 1 is stopped");
    late(Story::default())
        .wrote(2, (3, 4), 2)
        .read(2, (5, 6), 1)
        .passes(); // nobody knows when it landed: after the new owner's, for all that anybody saw
    late(Story::default())
        .wrote(2, (3, 4), 2)
        .read(2, (5, 6), 1)
        .read(2, (7, 8), 2)
        .fails(); // it was there, and was gone again
}

#[test]
fn an_unknown_write_that_was_seen_and_overwritten_does_not_come_back() {
    Story::default()
        .began(1, 1, 1)
        .read(2, (3, 4), 1)
        .wrote(2, (5, 6), 2)
        .read(2, (7, 8), 1)
        .fails();
}

#[test]
fn an_unknown_write_may_be_seen_at_any_later_time_or_never() {
    let begun = || Story::default().began(1, 1, 1).wrote(2, (3, 4), 2);
    begun().read(2, (5, 6), 2).passes();
    begun()
        .read(2, (5, 6), 2)
        .read(2, (100, 101), 1)
        .read(2, (102, 103), 1)
        .passes();
    let summary = begun().history.check().expect("it may be so");
    assert_eq!(summary.open_writes, 1);
}

#[test]
fn what_was_refused_nobody_sees() {
    let refused = |story: Story| story.add(1, (1, 2), Work::Write(1), Outcome::Refused);
    refused(Story::default()).read(1, (3, 4), 0).passes();
    let story = refused(Story::default()).read(1, (3, 4), 1);
    assert!(matches!(story.fails().evidence, Evidence::Refused { .. }));
}

#[test]
fn parts_of_several_values_are_of_writes_that_were_under_way() {
    let parts = |story: Story, begun| {
        let end = begun + 3;
        story.read(3, (begun, end), 1).read(3, (begun, end), 2)
    };
    let two = |end| Story::default().wrote(1, (1, 2), 1).wrote(2, (3, end), 2);
    parts(two(10), 5).passes();
    let violation = parts(two(4), 5).fails();
    assert!(matches!(violation.evidence, Evidence::NoOrder { .. }));
    // What was seen whole is not seen in parts afterwards.
    parts(two(20).read(4, (4, 5), 2), 6).fails();
    // A write of which nobody knows is under way for ever.
    parts(Story::default().wrote(1, (1, 2), 1).began(2, 3, 2), 50).passes();
}

#[test]
fn values_out_of_nowhere_are_found() {
    let story = Story::default().wrote(1, (1, 2), 1).read(2, (3, 4), 9);
    assert!(matches!(
        story.fails().evidence,
        Evidence::NeverWritten { .. }
    ));
    let story = Story::default().read(2, (1, 2), 1).wrote(1, (3, 4), 1);
    assert!(matches!(story.fails().evidence, Evidence::TooEarly { .. }));
    let story = Story::default().wrote(1, (1, 2), 1).wrote(2, (3, 4), 1);
    let violation = story.fails();
    assert!(matches!(violation.evidence, Evidence::WrittenTwice { .. }));
}

/// Two nodes that both believe they own the volume.
#[test]
fn two_readers_who_see_two_writes_in_different_orders_are_found() {
    Story::default()
        .wrote(1, (1, 20), 1)
        .wrote(2, (1, 20), 2)
        .read(1, (21, 22), 1)
        .read(2, (21, 22), 2)
        .read(1, (23, 24), 1)
        .fails();
}

#[test]
fn a_flushed_write_that_is_gone_after_a_loss_of_power_is_found() {
    let story = |flush: (u64, u64)| {
        Story::default()
            .wrote(1, (1, 2), 1)
            .wrote(1, (3, 4), 2)
            .flushed(1, flush)
            .lost_power(10)
    };
    let violation = story((5, 6)).read(2, (11, 12), 1).fails();
    assert!(matches!(violation.evidence, Evidence::Lost(_)));
    let text = violation.to_string();
    assert!(text.contains("was flushed (5..6)"), "{text}");
    assert!(text.contains("10: power is lost"), "{text}");
    story((5, 6)).read(2, (11, 12), 2).passes();
    // It was not answered yet when the flush began.
    story((3, 6)).read(2, (11, 12), 1).passes();
    let durable = Story::default()
        .wrote(1, (1, 2), 1)
        .add(1, (3, 4), Work::WriteDurably(2), Outcome::Done)
        .lost_power(10);
    let violation = durable.read(2, (11, 12), 1).fails();
    assert!(violation.to_string().contains("was answered as durable"));
}

/// CLUSTER-1: by time alone 3 may have been there before 1, but 2 was there after 1 and before 3.
#[test]
fn what_was_replaced_is_known_by_what_was_there_between() {
    let story = |kept: u64| {
        Story::default()
            .wrote(1, (5, 15), 1)
            .began(2, 8, 2)
            .read(4, (9, 10), 2)
            .wrote(3, (12, 25), 3)
            .read(4, (20, 21), 2)
            .flushed(1, (26, 27))
            .lost_power(30)
            .read(4, (31, 32), kept)
    };
    let violation = story(1).fails();
    let Evidence::Lost(loss) = &violation.evidence else {
        panic!("{violation}");
    };
    let between = loss.between.as_ref().map(|between| between.value);
    assert_eq!(
        (loss.before.value, between, loss.after.value),
        (1, Some(2), 3)
    );
    story(3).passes();
}

#[test]
fn what_was_not_flushed_may_be_lost_once_and_stays_lost() {
    let story = || Story::default().wrote(1, (1, 2), 1).wrote(1, (3, 4), 2);
    for kept in [0, 1, 2] {
        story()
            .lost_power(10)
            .read(1, (11, 12), kept)
            .read(1, (13, 14), kept)
            .passes();
    }
    // HISTORY-2
    let two = story()
        .lost_power(10)
        .read(1, (11, 12), 1)
        .read(1, (13, 14), 2);
    assert!(matches!(
        two.fails().evidence,
        Evidence::TwoAfterLoss { .. }
    ));
    let later = story()
        .lost_power(10)
        .read(1, (11, 12), 1)
        .lost_power(20)
        .read(1, (21, 22), 2);
    assert!(matches!(
        later.fails().evidence,
        Evidence::TwoAfterLoss { .. }
    ));
}

/// Processes that are killed lose nothing (D1).
#[test]
fn without_a_loss_of_power_an_answered_write_is_kept_whether_it_was_flushed_or_not() {
    Story::default()
        .wrote(1, (1, 2), 1)
        .event(3, "all hosts are killed")
        .read(2, (4, 5), 0)
        .fails();
}

#[test]
fn blocks_are_disks_of_their_own() {
    let mut history = History::default();
    for block in 0..1000 {
        for (work, at) in [(Work::Write(block + 1), 1), (Work::Read(block + 1), 3)] {
            history.operations.push(Operation {
                client: 1,
                block,
                work,
                invoked: Time(at),
                answered: Time(at + 1),
                outcome: Outcome::Done,
            });
        }
    }
    let summary = history.check().expect("each is as it should be");
    assert_eq!((summary.blocks, summary.operations), (1000, 2000));
}

/// Threads that share a register, which is what a block is.
#[test]
fn a_recorder_notes_what_threads_do_to_a_register() {
    use std::sync::atomic::{AtomicU64, Ordering};
    let (recorder, register) = (Recorder::default(), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for client in 0..4 {
            let (recorder, register) = (&recorder, &register);
            scope.spawn(move || {
                for _ in 0..200 {
                    let value = recorder.fresh_value();
                    let begun = recorder.begin(client);
                    register.store(value, Ordering::SeqCst);
                    recorder.end_write(begun, 7, Work::Write(value), Outcome::Done);
                    let begun = recorder.begin(client);
                    let seen = register.load(Ordering::SeqCst);
                    recorder.end_read(begun, 7, seen);
                }
                recorder.end_flush(recorder.begin(client));
                recorder.event("done");
            });
        }
    });
    let history = recorder.into_history();
    assert_eq!((history.flushes.len(), history.events.len()), (4, 4));
    let summary = history.check().expect("a register is a register");
    assert_eq!(summary.operations, 1600);
}
