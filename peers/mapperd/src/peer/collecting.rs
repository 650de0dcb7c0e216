//! GC: one collection at a time, told of a piece at a time like HASH.
//!
//! # Invariants
//! * **COLLECTING-1** No request waits for a collection: it is told how far it is, and its number finds it again.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use archipelago_protocol::{GcAnswer, GcCall, GcOrphan};
use archipelago_runtime::local::Notify;
use xseg::Incoming;

use super::answer::{Answer, call};
use super::mapperd::Mapperd;
use crate::engine::{GcMode, GcReport, MapError};

/// So long the end is waited for before it is told how far it is.
const ANSWER_AFTER: Duration = Duration::from_millis(500);
/// Orphans that are told by name when it is done: an answer must fit.
const NAMES_MAX: usize = 200;

/// A collection that goes on, or has ended.
#[derive(Debug, Default)]
struct Work {
    number: u64,
    report: GcReport,
    outcome: RefCell<Option<Result<(), MapError>>>,
    ended: Notify,
}

/// The last collection that was asked for.
#[derive(Debug, Default)]
pub struct Collecting {
    work: RefCell<Option<Rc<Work>>>,
}

impl Collecting {
    /// Is nothing being collected?
    pub fn is_idle(&self) -> bool {
        let work = self.work.borrow();
        work.as_ref().is_none_or(|work| work.has_ended())
    }
}

impl Work {
    fn has_ended(&self) -> bool {
        self.outcome.borrow().is_some()
    }

    fn answer(&self, is_done: bool) -> GcAnswer {
        let orphans = self.report.orphans.borrow();
        let told = orphans.iter().take(if is_done { NAMES_MAX } else { 0 });
        GcAnswer {
            is_done,
            looked_at: self.report.looked_at.get(),
            found: self.report.found.get(),
            bytes: self.report.bytes.get(),
            orphans: told
                .map(|orphan| GcOrphan {
                    object: orphan.object.clone(),
                    bytes: orphan.bytes,
                })
                .collect(),
            notes: self.report.notes.borrow().clone(),
        }
    }
}

impl Mapperd {
    pub(super) async fn gc(&self, request: &Incoming) -> Result<Answer, MapError> {
        let call: GcCall = call(request)?;
        let work = self.work_of(&call)?;
        let ended = work.ended.notified();
        if !work.has_ended() {
            let _ = self.handle.timeout(ANSWER_AFTER, ended).await; // whichever comes first
        }
        let outcome = work.outcome.borrow().clone();
        let is_done = outcome.transpose()?.is_some();
        Answer::json(&work.answer(is_done))
    }

    fn work_of(&self, call: &GcCall) -> Result<Rc<Work>, MapError> {
        let mut last = self.collecting.work.borrow_mut();
        match last.as_ref() {
            Some(work) if work.number == call.number => return Ok(work.clone()),
            Some(work) if !work.has_ended() => {
                return Err(MapError::Collecting);
            }
            _ => {}
        }
        let me = self.me.upgrade().ok_or(MapError::Stopping)?;
        let work = Rc::new(Work {
            number: call.number,
            ..Work::default()
        });
        *last = Some(work.clone());
        let begun = work.clone();
        let mode = if call.dry_run {
            GcMode::DryRun
        } else {
            GcMode::Collect
        };
        drop(self.handle.spawn(async move {
            let outcome = me.mapper.gc(mode, &begun.report).await;
            if let Err(error) = &outcome {
                tracing::warn!(%error, "not collected");
            }
            *begun.outcome.borrow_mut() = Some(outcome);
            begun.ended.notify_all();
            me.hashed.notify_all();
            me.wake_emptying();
        }));
        Ok(work)
    }
}
