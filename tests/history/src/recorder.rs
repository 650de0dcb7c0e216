//! Where clients note what they do, each from a thread of its own.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::history::History;
use crate::operation::{Event, Flush, Operation, Outcome, Time, Work};

/// One clock and one book for all clients.
#[derive(Debug)]
pub struct Recorder {
    now: AtomicU64,
    next_value: AtomicU64,
    history: Mutex<History>,
}

/// A moment at which a client began something.
#[derive(Clone, Copy, Debug)]
#[must_use = "what began is noted when it is over"]
pub struct Begun {
    pub client: u32,
    pub at: Time,
}

impl Default for Recorder {
    fn default() -> Self {
        Self {
            now: AtomicU64::new(1),
            next_value: AtomicU64::new(1),
            history: Mutex::default(),
        }
    }
}

impl Recorder {
    /// Later than all that was asked for before.
    fn tick(&self) -> Time {
        // SeqCst: moments are compared across all threads, and an answer that came before a question was asked has the
        // smaller number.
        Time(self.now.fetch_add(1, Ordering::SeqCst))
    }

    fn note(&self, what: impl FnOnce(&mut History)) {
        what(&mut self.history.lock().expect("nobody panics with the book"));
    }

    /// A value that nobody has written yet.
    pub fn fresh_value(&self) -> u64 {
        // Relaxed: the numbers have to differ, nothing else.
        self.next_value.fetch_add(1, Ordering::Relaxed)
    }

    /// To be called before it is asked for.
    pub fn begin(&self, client: u32) -> Begun {
        let at = self.tick();
        Begun { client, at }
    }

    /// To be called when it was answered, or given up.
    pub fn end_write(&self, begun: Begun, block: u64, work: Work, outcome: Outcome) {
        let answered = self.tick();
        self.note(|history| {
            history.operations.push(Operation {
                client: begun.client,
                block,
                work,
                invoked: begun.at,
                answered,
                outcome,
            });
        });
    }

    /// To be called when it was answered well.
    pub fn end_read(&self, begun: Begun, block: u64, value: u64) {
        self.end_write(begun, block, Work::Read(value), Outcome::Done);
    }

    /// The same of a read that found parts of several values. Nothing is promised of requests that are under way at the same time and
    /// overlap, so each part could have been read by itself: in an order in which that is so a write stands between them, and that was
    /// under way while they were read.
    pub fn end_read_in_parts(&self, begun: Begun, block: u64, values: &[u64]) {
        let answered = self.tick();
        self.note(|history| {
            let parts = values.iter().map(|value| Operation {
                client: begun.client,
                block,
                work: Work::Read(*value),
                invoked: begun.at,
                answered,
                outcome: Outcome::Done,
            });
            history.operations.extend(parts);
        });
    }

    /// To be called when it was answered well.
    pub fn end_flush(&self, begun: Begun) {
        let answered = self.tick();
        self.note(|history| {
            history.flushes.push(Flush {
                client: begun.client,
                invoked: begun.at,
                answered,
            });
        });
    }

    /// Something that whoever reads about a violation wants to know.
    pub fn event(&self, what: impl Into<String>) {
        let (at, what) = (self.tick(), what.into());
        self.note(|history| history.events.push(Event { at, what }));
    }

    /// All that was noted.
    pub fn into_history(self) -> History {
        self.history
            .into_inner()
            .expect("nobody panics with the book")
    }
}
